//! Small views of the objects of a cluster: facts, and no decisions.
//!
//! Nothing larger than a view is ever kept: ten thousand pods as they come from the API server are
//! hundreds of megabytes, their views a few. So each object is read no further than is needed, and
//! narrowed to its view as it arrives.

pub mod contact;
pub mod endpoints;
pub mod limit_range;
pub mod namespace;
pub mod pod;
pub mod policy;
mod selection;

pub use contact::{Contact, Seen};
pub use endpoints::{EndpointIndex, NarrowSlice, ServiceKind, SliceView};
pub use limit_range::{Bounds, LimitRangeView};
pub use namespace::{NamespaceLabels, NamespaceView};
pub use pod::{Deletion, Imposed, Imposer, NarrowPod, Owner, PodView, SidecarState, SidecarView};
pub use policy::{InvalidPolicy, PolicyView};
