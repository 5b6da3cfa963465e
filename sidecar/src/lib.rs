//! The proxy in the pod: it passes bytes between clients and the app, counts what is in flight, and
//! holds kubelet's preStop hooks until that is done or the policy's timeout expires.

pub mod census;
pub mod stance;
