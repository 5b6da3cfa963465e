//! HTTP/1 and its goodbye.
#![no_main]

use ebb_sidecar::relay::scenario::{Start, hold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| hold(Start::Nothing, script));
