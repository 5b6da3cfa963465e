//! What the suites and the demo stand on: a client of the bed's cluster, a namespace for each test,
//! Ebb installed by its chart, a web application to drain, and load on it.
//!
//! ```text
//!  inside (threads in a node's network) -> cluster -> namespace (one for each test)
//!                                             |          +-- web, pods, client: what a test says
//!                                       installation     +-- rolls: restarts under load
//! ```

pub mod client;
pub mod cluster;
mod eventually;
pub mod inside;
pub mod installation;
pub mod kube_client;
pub mod namespace;
pub mod pods;
pub mod rolls;
pub mod setup;
pub mod sockets;
pub mod web;

pub use eventually::eventually;
