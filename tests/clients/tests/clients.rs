//! Real clients through real drains, a conformance suite, and servers that go by addresses; see
//! [`ebb_clients`]. No cluster, but what other languages need is fetched.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// One at a time: what is fetched has one place, and slow answers are errors here.
static ALONE: Mutex<()> = Mutex::new(());

fn passes(arguments: &[&str]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let status = Command::new(env!("CARGO_BIN_EXE_ebb-soak"))
        .args(arguments)
        .status()
        .expect("cargo has built the program");
    assert!(status.success(), "{status}: see above what was seen");
}

/// None of the clients sees an error while each server's pod is replaced four times, and none stays
/// with a pod that leaves.
#[test]
#[ignore = "needs packages of Python, Node, Go and Java: cargo xtask test"]
fn no_client_sees_an_error() {
    passes(&["clients", "--drains", "4"]);
}

/// h2spec's cases end through the relay as they end without it, on five servers.
#[test]
#[ignore = "needs packages of Python, Node, Go and Java: cargo xtask test"]
fn h2spec_sees_no_relay() {
    passes(&["conformance"]);
}

/// httpd, Postfix and PostgreSQL trust behind the sidecar whom they trust without it, and nobody
/// else; Redis and its Sentinel find each other.
#[test]
#[ignore = "needs Debian's packages: cargo xtask test"]
fn servers_that_go_by_addresses_see_those_of_their_clients() {
    passes(&["trust"]);
}
