//! The program itself in the network of a pod: the redirect step and the sidecar in a namespace of
//! their own, and clients outside of it. Only a kernel can tell whether it takes the rules and what
//! they do, and what it tells of sockets.
//!
//! It needs root and the program `ip`; without either it fails and says so, for a test that is
//! skipped unseen proves nothing.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod abuse;
mod admin;
mod callers;
mod client;
mod compare;
mod descriptors;
mod goodbye;
mod hold;
mod holders;
mod keepalive;
mod memory;
mod named_ports;
mod observe;
mod own_address;
mod pod;
mod proxy_protocol;
mod redirect;
mod sidecar;
mod steps_down;
mod transparent;
mod urgent;
