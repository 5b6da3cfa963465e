//! The controller of Ebb: watches policies, pods and endpoints, sends each sidecar its desired
//! state, and reports the outcome. The webhook that injects the sidecars is part of it.
//!
//! ```text
//!  API server --> watch --> cluster --> planner --+--> push ------> sidecars
//!                              ^                  |      v
//!  API server --> admission ---+ (reads)          +--> report ----> status, Events
//! ```
//!
//! All left of the planner is in every replica; the planner and what is right of it is in the one
//! that holds the lease. Data enters on the left and leaves on the right; no room reaches back.
//! What is read from an object, what is decided about it and the sentences that say so are pure,
//! and shared with other programs: they are the crate `ebb-model`.

pub mod admin;
pub mod admission;
pub mod api_error;
pub mod api_server;
pub mod app;
pub mod certificate;
pub mod cluster;
pub mod config;
pub mod hexadecimal;
pub mod keyring;
pub mod lease;
pub mod log_limit;
pub mod metrics;
pub mod planner;
pub mod push;
pub mod readiness;
pub mod report;
pub mod server;
pub mod timer;
pub mod watch;
