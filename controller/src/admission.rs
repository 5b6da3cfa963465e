//! The webhook that puts the sidecar into pods.
//!
//! The API server asks it about every pod that is made. It decodes, decides by a pure function, and
//! encodes; it never denies, and whatever goes wrong lets the pod through as it came: Ebb broken is
//! never worse than no Ebb.

mod arrival;
mod birthright;
mod eligible;
mod grace;
pub mod guest;
mod hooks;
pub mod inject;
mod probes;
mod resources;

pub use arrival::Arrival;
pub use eligible::{Bystander, Refusal};
pub use guest::Guest;
pub use resources::GuestResources;
