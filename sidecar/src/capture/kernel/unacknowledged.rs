//! What the kernel has taken for clients and they have not acknowledged.

use super::KernelError;
use nlink::netlink::{Connection, SockDiag};
use nlink::sockdiag::expr::{Comparison, FilterExpr};
use nlink::sockdiag::{SocketFilter, SocketInfo};
use std::collections::BTreeSet;

/// How many bytes clients of the relay have not acknowledged that arrived at these `ports`, on
/// connections that the relay has closed too.
///
/// # Errors
///
/// The kernel does not tell.
pub async fn unacknowledged(ports: &BTreeSet<u16>) -> Result<u64, KernelError> {
    let at = |port: &u16| FilterExpr::Sport(Comparison::Eq, *port);
    let either = |one, other| FilterExpr::Or(Box::new(one), Box::new(other));
    let Some(at_ports) = ports.iter().map(at).reduce(either) else {
        return Ok(0);
    };
    let filter = SocketFilter::tcp()
        .connected()
        .filter_expr(at_ports)
        .build();
    let sockets = Connection::<SockDiag>::new()?.query(&filter).await?;
    let queues = sockets.iter().filter_map(SocketInfo::as_inet);
    Ok(queues.map(|socket| u64::from(socket.send_q)).sum())
}
