//! Trackers alone: how a stream is cut changes nothing that they tell.
#![no_main]

use ebb_sidecar::track::pieces::any_cut;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| any_cut(input));
