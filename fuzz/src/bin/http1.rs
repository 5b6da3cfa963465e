//! HTTP/1 and its goodbye.
#![no_main]

use ebb_sidecar::relay::fuzzing::{Start, exchange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| exchange(Start::Nothing, script));
