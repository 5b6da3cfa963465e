//! Event streams and their end.
#![no_main]

use ebb_sidecar::relay::scenario::{Start, hold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| hold(Start::EventStream, script));
