//! The controller of Ebb: watches policies, pods and endpoints, tells the sidecars what is wanted of
//! them, and writes down what came of it. The webhook that injects the sidecars lives here too.
//!
//! ```text
//!  API server --> watch --> cluster (small views) --> plan (pure) --+--> push ----> sidecars
//!                              ^                                    |       |
//!  API server --> admission ---+ (reads)                            +--> report --> status, Events
//! ```
//!
//! Data enters on the left and leaves on the right; no room reaches back.

pub mod admin;
pub mod admission;
pub mod api_error;
pub mod api_server;
pub mod app;
pub mod certificate;
pub mod cluster;
pub mod config;
pub mod crds;
pub mod excerpt;
pub mod keyring;
pub mod log_limit;
pub mod metrics;
pub mod plan;
pub mod planner;
pub mod push;
pub mod readiness;
pub mod report;
pub mod timer;
pub mod watch;
