//! How inbound connections reach the relay, and what is known of those that don't.
//!
//! Redirect: the one-shot init step writes the redirect, and the mark by which the sidecar, which has
//! no privilege to look at the rules, knows that it is there. The two containers share the pod's
//! network namespace and nothing else, so the mark is there: it is the alias of the interface `lo`,
//! which only a holder of NET_ADMIN in the namespace can write and anybody can read.
//!
//! NamedPorts: the relay listens on ports of its own, which Services send clients to.
//!
//! Observe: connections don't pass the relay. Their sockets are looked at, as they are for
//! connections that get to the app past a relay on named ports.

mod local_route;
pub(crate) mod lookout;
pub mod mark;
pub(crate) mod observe;
pub mod redirect;
pub(crate) mod sockets;
pub(crate) mod standing;
