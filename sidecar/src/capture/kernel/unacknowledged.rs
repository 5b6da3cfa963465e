//! What the kernel has taken for clients and they have not acknowledged.

use super::KernelError;
use nlink::netlink::{Connection, SockDiag};
use nlink::sockdiag::{SocketFilter, SocketInfo};

/// How many bytes clients of the relay on `ports` have not acknowledged, on connections that the
/// relay has closed too.
///
/// # Errors
///
/// The kernel does not tell.
pub async fn unacknowledged(ports: &[u16]) -> Result<u64, KernelError> {
    let kernel = Connection::<SockDiag>::new()?;
    let mut bytes = 0;
    for port in ports {
        let filter = SocketFilter::tcp().connected().local_port(*port).build();
        let sockets = kernel.query(&filter).await?;
        let queues = sockets.iter().filter_map(SocketInfo::as_inet);
        bytes += queues.map(|socket| u64::from(socket.send_q)).sum::<u64>();
    }
    Ok(bytes)
}
