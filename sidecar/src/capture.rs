//! How inbound connections reach the relay, and what is known of those that don't.
//!
//! Redirect: the one-shot init step writes the redirect, and leaves the result by which the sidecar,
//! which has no privilege to look at the rules, knows that they are there.
//!
//! NamedPorts: the relay listens on ports of its own, which Services send clients to.
//!
//! Observe: connections don't pass the relay. Their sockets are looked at, as they are for
//! connections that get to the app past a relay on named ports.

pub mod init;
pub mod kernel;
pub(crate) mod observe;
pub(crate) mod poll;
pub(crate) mod standing;
