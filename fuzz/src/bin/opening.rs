//! A connection from its first byte: what it may become, TLS and noise among it.
#![no_main]

use ebb_sidecar::relay::fuzzing::{Start, exchange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| exchange(Start::Nothing, script));
