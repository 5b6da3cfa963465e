//! What the kernel tells of the TCP sockets of the pod: sock_diag(7) and the `tcp_info` of tcp(7).
//! Both need no privilege, and both tell of this process's network namespace alone, which is the
//! pod's.

mod sockets;
mod unacknowledged;

pub(crate) use sockets::{Socket, Sockets};
pub use unacknowledged::unacknowledged;

/// Why the kernel does not tell.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum KernelError {
    /// It has no sock_diag, or a sandbox keeps us from it.
    Refused(#[from] nlink::Error),
    /// There is no thread, or no descriptor, to ask it with.
    Unasked(#[from] std::io::Error),
    /// The question was lost to a bug.
    Lost(#[from] tokio::task::JoinError),
}
