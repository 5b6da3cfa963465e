//! The controller of Ebb: watches policies, pods and endpoints, tells the sidecars what is wanted of
//! them, and writes down what came of it. The webhook that injects the sidecars lives here too.
//!
//! ```text
//!  API server --> watch --> cluster (small views) --> plan (pure) --+--> signal --> sidecars
//!                              ^                                    |       |
//!  API server --> admission ---+ (reads)                            +--> report --> status, Events
//! ```
//!
//! Data enters on the left and leaves on the right; no room reaches back.

pub mod admission;
pub mod certificate;
pub mod cluster;
pub mod crds;
pub mod keyring;
pub mod plan;
