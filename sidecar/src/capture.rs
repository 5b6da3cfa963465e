//! How inbound connections reach the relay: the redirect that the one-shot init step writes, and
//! the mark by which the sidecar, which has no privilege to look at the rules, knows that it is
//! there.
//!
//! The two containers share the pod's network namespace and nothing else, so the mark is there: it
//! is the alias of the interface `lo`, which only a holder of NET_ADMIN in the namespace can write
//! and anybody can read.

mod local_route;
pub mod mark;
pub mod redirect;
