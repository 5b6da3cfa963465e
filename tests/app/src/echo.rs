//! The port that echoes plain TCP.

use tokio::net::TcpStream;
use tokio::sync::watch;

/// Sends back what comes, until the client is done or the application stops.
pub(super) async fn serve_connection(mut stream: TcpStream, mut stopping: watch::Receiver<bool>) {
    let (mut reader, mut writer) = stream.split();
    tokio::select! {
        // Either way the connection is over; what the error was is the client's affair.
        _ = tokio::io::copy(&mut reader, &mut writer) => {}
        () = super::told(&mut stopping) => {}
    }
}
