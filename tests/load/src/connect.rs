//! A TCP connection to the target.

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Run;
use super::tally::Failure;

/// Connects, and counts it.
pub(super) async fn connect(run: &Run) -> Result<TcpStream, Failure> {
    run.tally.borrow_mut().connections += 1;
    let connecting = TcpStream::connect(run.plan.target.address());
    let connected = timeout(run.plan.connect_timeout, connecting)
        .await
        .map_err(|_| Failure::ConnectTimedOut)?;
    let stream = connected.map_err(|error| Failure::of_connect(&error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| Failure::of_connect(&error))?;
    Ok(stream)
}
