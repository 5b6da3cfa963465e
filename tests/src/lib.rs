//! The project's tests on a real Kubernetes, and all that they need: the test bed, load clients, a
//! sample application.

pub mod app;
pub mod bed;
pub mod bench;
pub mod demo;
pub mod eventually;
pub mod harness;
pub mod load;
