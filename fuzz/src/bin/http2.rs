//! HTTP/2 by prior knowledge, and its goodbye.
#![no_main]

use ebb_sidecar::relay::scenario::{Start, hold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| hold(Start::Http2, script));
