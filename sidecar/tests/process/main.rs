//! The whole sidecar in one process on ports of its own: real hook calls, real signatures, real
//! connections through the relay to a real app. What only the cluster can show (kubelet, iptables,
//! images) is not here, and what the pure drain machine decides is tested beside it.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod admin;
mod alone;
mod app;
mod connections;
mod drain;
mod own_hook;
mod port;
mod running;
