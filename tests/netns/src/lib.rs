//! A pod's network on this machine, and what runs in it.
//!
//! ```text
//!  network (a namespace) -> pod (its interface, its addresses) -> sidecar (redirect step, process)
//!                                                                     ^
//!     bootstrap (what the webhook would write) -----------------------+--- admin (hooks, status)
//! ```
//!
//! Nothing is pretended but the cluster: the kernel's own namespaces, rules and sockets, the
//! program as its image has it, and hooks called as kubelet calls them. All of it needs root and
//! the programs `ip`, `nsenter`, `setpriv` and `unshare`.
//!
//! The sidecar's own tests use this crate, so it depends on little, and never on the sidecar's
//! library: it is handed the path of a program.

pub mod admin;
pub mod bootstrap;
pub mod capability;
pub mod command;
mod eventually;
pub mod explain;
pub mod isolated;
pub mod memory_group;
pub mod namespace;
pub mod network;
pub mod pod;
pub mod process;
pub mod sidecar;

pub use eventually::eventually;
