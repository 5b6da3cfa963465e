//! The proxy in the pod: it passes bytes between clients and the app, counts what is in flight, and
//! holds kubelet's preStop hooks until that is done or the policy's timeout expires.

mod admin;
pub mod app;
pub mod capture;
pub mod census;
pub mod config;
pub mod drain;
mod hooks;
mod lifecycle;
pub mod listener;
mod log_limit;
mod memory;
pub mod relay;
pub mod stance;
mod termination;
pub mod track;
pub mod upstream;
