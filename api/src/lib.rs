//! The words of Ebb: what a person writes in a [`DrainPolicy`](policy::DrainPolicy), and what the
//! controller and the sidecars say to each other.
//!
//! There is no IO here, no clock and no client, and nothing of ours below it: every other crate may
//! depend on this one. The custom resource itself stands behind the feature `crd`, so that the
//! sidecar, which only needs the resolved [`Settings`](settings::Settings), never compiles a
//! Kubernetes client.
//!
//! ```text
//!  DrainPolicy --resolve--> Settings --+--> Bootstrap  (in the pod's spec, written by the webhook)
//!   (policy)               (settings)  +--> Desired    (over the network, signed, the newest wins)
//!                                               |
//!  status <--- controller <--- Report, FinalReport (report), in words of Phase, Trigger, Outcome
//! ```
#![deny(missing_docs)]

pub mod annotations;
pub mod bootstrap;
pub mod capture;
pub mod connections;
pub mod desired;
pub mod hold;
pub mod names;
pub mod phase;
#[cfg(feature = "crd")]
#[expect(
    unreachable_pub,
    reason = "the derive repeats each struct inside a function"
)]
pub mod policy;
pub mod quantity;
pub mod report;
#[cfg(feature = "crd")]
#[expect(
    unreachable_pub,
    reason = "the derive repeats each struct inside a function"
)]
pub mod selector;
pub mod settings;
#[cfg(feature = "crd")]
pub mod status;
