//! Real clients through real drains; see [`ebb_tests::clients`]. No cluster, but what other languages
//! need is fetched.

use std::process::Command;

/// None of the clients sees an error while each server's pod is replaced four times, and none stays
/// with a pod that leaves.
#[test]
#[ignore = "needs Python, Node and Go packages: cargo xtask test"]
fn no_client_sees_an_error() {
    let status = Command::new(env!("CARGO_BIN_EXE_ebb-soak"))
        .args(["clients", "--drains", "4"])
        .status()
        .expect("cargo has built the program");
    assert!(status.success(), "{status}: see above what was seen");
}
