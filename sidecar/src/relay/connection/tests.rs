use super::*;
use crate::census::Census;
use crate::relay::herald::Herald;
use crate::upstream::{OriginalDestination, Upstream};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A connection whose app has not been dialed, and its client.
async fn taken_in() -> (Connection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (accepted, peer) = listener.accept().await.unwrap();
    let exchange = Exchange::new(Census::new(Instant::now()).connect());
    let upstream = Upstream::new(OriginalDestination::Fixed(address), Vec::new());
    let destination = upstream.destination(&accepted, peer).unwrap();
    (Connection::new(accepted, destination, exchange), client)
}

/// 10,000 idle connections are to fit into 30 MB, of which tokio and the census need half. The size
/// also depends on the features that tokio is built with: more of them in a build of the whole
/// workspace than in the sidecar's own, where it is at most 1,072.
#[tokio::test]
async fn an_idle_connection_is_small() {
    let (connection, _client) = taken_in().await;
    let (_conduct, told) = watch::channel(Conduct::default());
    let seat = Arc::<Herald>::default().seat(told);
    let size = std::mem::size_of_val(&connection.run(seat));
    assert!(size <= 1280, "the task of a connection takes {size} bytes");
}

/// The deadline cuts what is in flight; whole answers still go to a client that takes its time.
#[tokio::test]
async fn whole_answers_wait_for_slow_clients_beyond_the_deadline() {
    const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    for whole in [true, false] {
        let (mut connection, _client) = taken_in().await;
        let now = Instant::now();
        connection.exchange.client_sent(GET, now);
        let length = if whole { OK.len() } else { OK.len() - 1 };
        let passed = connection.exchange.app_sent(&OK[..length], now);
        connection.to_client.push(&passed.bytes);
        connection.take_up(Conduct {
            stance: Stance::Cut,
            ..Conduct::default()
        });
        connection.cut(now).unwrap();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let end = connection.rest(&mut context, now + std::time::Duration::from_secs(60));
        let expected = if whole {
            Poll::Pending
        } else {
            Poll::Ready(End::Reset)
        };
        assert_eq!(end, expected, "the answer is whole: {whole}");
    }
}
