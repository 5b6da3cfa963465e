//! A connection from its first byte: what it may become, TLS and noise among it.
#![no_main]

use ebb_sidecar::relay::scenario::{Start, hold};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| hold(Start::Nothing, script));
