//! The project's tests on a real Kubernetes, and all that they need: the test bed, load clients, and a
//! harness for suites that run on it. The sample application is a crate of its own, in `app/`.

pub mod bed;
pub mod bench;
pub mod clients;
pub mod demo;
pub mod eventually;
pub mod exit;
pub mod harness;
pub mod load;
