//! HTTP/1, on connections that stay and on fresh ones.

use ebb_load::kind::Kind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{assert_all_failed, assert_counted, mix_of, run, tally_of};

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Reads one request; false at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !seen.ends_with(b"}") {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => seen.extend_from_slice(&buffer[..length]),
        }
    }
    true
}

/// A good server: nothing fails, and keep-alive clients stay on one connection.
#[tokio::test]
async fn a_good_server_loses_nothing() {
    async fn serve(mut stream: TcpStream) {
        while read_request(&mut stream).await {
            stream.write_all(GOOD).await.unwrap();
        }
    }
    let kept = tally_of(Kind::KeepAlive, 20, serve).await;
    assert_eq!((kept.requests, kept.failed, kept.connections), (20, 0, 1));
    let fresh = tally_of(Kind::Fresh, 20, serve).await;
    assert_eq!(
        (fresh.requests, fresh.failed, fresh.connections),
        (20, 0, 20)
    );
}

/// `Connection: close` and a close between two requests are the two ways in which a server may end
/// a connection: a new one is made, nothing has failed.
#[tokio::test]
async fn an_announced_or_idle_close_is_no_failure() {
    async fn says_close(mut stream: TcpStream) {
        if read_request(&mut stream).await {
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await.unwrap();
        }
    }
    let announced = tally_of(Kind::KeepAlive, 20, says_close).await;
    assert_eq!(
        (announced.requests, announced.failed, announced.connections),
        (20, 0, 20)
    );

    // The FIN travels with the answer, so the client has seen it before its next request.
    async fn closes_when_idle(mut stream: TcpStream) {
        if read_request(&mut stream).await {
            stream.write_all(GOOD).await.unwrap();
        }
    }
    let idle = tally_of(Kind::KeepAlive, 20, closes_when_idle).await;
    assert_eq!(idle.requests, 20);
    // A request that was written before the FIN was seen may fail; none may be sent twice, so the
    // only reasons are those of a request that was sent.
    assert!(
        idle.reasons
            .keys()
            .all(|reason| reason.contains("request") || reason.contains("answer"))
    );
}

/// A request that was read and not answered was lost.
#[tokio::test]
async fn a_close_without_an_answer_is_a_failure() {
    async fn serve(mut stream: TcpStream) {
        read_request(&mut stream).await;
    }
    for kind in [Kind::KeepAlive, Kind::Fresh] {
        assert_all_failed(
            &tally_of(kind, 5, serve).await,
            5,
            "closed without an answer",
        );
    }
}

/// A connection that is taken and closed at once lost its request, too.
#[tokio::test]
async fn a_connection_closed_at_once_is_a_failure() {
    async fn serve(stream: TcpStream) {
        drop(stream);
    }
    for kind in [Kind::KeepAlive, Kind::Fresh] {
        let tally = tally_of(kind, 5, serve).await;
        assert_counted(&tally, 5, 5);
    }
}

/// A reset after the request is told apart from a close.
#[tokio::test]
async fn a_reset_is_a_failure() {
    async fn serve(mut stream: TcpStream) {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    }
    for kind in [Kind::KeepAlive, Kind::Fresh] {
        assert_all_failed(
            &tally_of(kind, 5, serve).await,
            5,
            "reset after the request",
        );
    }
}

/// Half an answer is no answer.
#[tokio::test]
async fn half_an_answer_is_a_failure() {
    async fn serve(mut stream: TcpStream) {
        if read_request(&mut stream).await {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nok")
                .await
                .unwrap();
        }
    }
    for kind in [Kind::KeepAlive, Kind::Fresh] {
        assert_all_failed(&tally_of(kind, 5, serve).await, 5, "answer cut short");
    }
}

/// An error of the server is a failure with its number.
#[tokio::test]
async fn an_error_status_is_a_failure() {
    async fn serve(mut stream: TcpStream) {
        while read_request(&mut stream).await {
            let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
    }
    for kind in [Kind::KeepAlive, Kind::Fresh] {
        assert_all_failed(&tally_of(kind, 5, serve).await, 5, "status 503");
    }
}

/// An answer that does not come is a failure after the plan's time.
#[tokio::test]
async fn no_answer_is_a_failure() {
    async fn serve(mut stream: TcpStream) {
        while read_request(&mut stream).await {}
    }
    assert_all_failed(
        &tally_of(Kind::KeepAlive, 1, serve).await,
        1,
        "answer timed out",
    );
}

/// A port that nobody listens on refuses every request.
#[tokio::test]
async fn a_closed_port_is_a_failure() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    for kind in Kind::ALL {
        let tally = run(mix_of(kind), 3, closed).await;
        assert_all_failed(&tally, 3, "connection refused");
        assert_eq!(tally.samples.len(), 3);
    }
}
