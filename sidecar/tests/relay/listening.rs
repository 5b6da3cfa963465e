//! The relay's port: open, closed without losing anybody, open again.

use crate::harness::{TestRelay, within};
use ebb_sidecar::listener::{self, Port};
use ebb_sidecar::stance::Stance;
use tokio::net::TcpStream;

/// A port that is taken is an error that names it.
#[tokio::test]
async fn a_port_that_is_taken() {
    let bound = listener::bind(Port::plain(0)).unwrap();
    let port = bound.local_addr().port();
    let error = listener::bind(Port::plain(port)).unwrap_err();
    assert_eq!(error.port, port);
    assert!(error.to_string().contains(&port.to_string()));
}

/// Connections that the kernel had queued when the stance changed are served; later ones are
/// refused; when the drain heals the port is open again.
#[tokio::test]
async fn queued_connections_survive_the_close() {
    let relay = TestRelay::new().await;
    // Blocking connects: the relay's task, on this thread, can't accept meanwhile.
    let queued: Vec<std::net::TcpStream> = (0..20)
        .map(|_| std::net::TcpStream::connect(relay.address).unwrap())
        .collect();
    relay.stance(Stance::Draining);
    let mut ends = Vec::new();
    for client in queued {
        client.set_nonblocking(true).unwrap();
        let mut client = crate::harness::End(TcpStream::from_std(client).unwrap());
        client.say("\x16").await;
        // Not always that client's: several threads dial in any order.
        let app = relay.accept().await;
        ends.push((client, app));
    }
    for (_, app) in &mut ends {
        app.hear("\x16").await;
        app.say("served").await;
    }
    for (client, _) in &mut ends {
        client.hear("served").await;
    }
    drop(ends);
    let refused = TcpStream::connect(relay.address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    relay.stance(Stance::Serving);
    relay
        .until("all to end", |now| now.connections.is_empty())
        .await;
    // The listener hears of it a moment later.
    let again = async {
        loop {
            match TcpStream::connect(relay.address).await {
                Ok(client) => return crate::harness::End(client),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let mut client = within("the relay to accept again", again).await;
    let mut app = relay.accept().await;
    client.say("again").await;
    app.hear("again").await;
}
