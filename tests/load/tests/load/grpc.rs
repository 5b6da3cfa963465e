//! gRPC, calls and streams: a call without its message and the status OK is lost.

use ebb_load::kind::Kind;
use ebb_load::tally::Tally;
use ebb_sample_app::grpc::{self, message};
use http::{HeaderMap, HeaderValue, Response};

use crate::http2::{Asked, Frames, serve};
use crate::{assert_all_failed, assert_counted, tally_of};

async fn tally_of_calls(answer: fn(Asked)) -> Tally {
    let tally = tally_of(Kind::GrpcCall, 8, move |stream| serve(stream, answer)).await;
    for kind in [Kind::GrpcCall, Kind::GrpcStream] {
        let counts = tally.kinds[&kind];
        assert_eq!(
            counts.failed, counts.requests,
            "{kind:?}: {:?}",
            tally.reasons
        );
    }
    tally
}

fn status(status: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(
        grpc::STATUS.parse().unwrap(),
        HeaderValue::from_static(status),
    )])
}

/// A call that ends with another status than OK has failed with it, with or without a message
/// before it.
#[tokio::test]
async fn a_status_is_a_failure() {
    let alone = tally_of_calls(|(_, mut response)| {
        let mut head = Response::new(());
        *head.headers_mut() = status("14");
        response.send_response(head, true).unwrap();
    });
    assert_all_failed(&alone.await, 8, "gRPC status 14");
    let in_trailers = tally_of_calls(|(_, mut response)| {
        let mut body = response.send_response(Response::new(()), false).unwrap();
        body.send_trailers(status("13")).unwrap();
    });
    assert_all_failed(&in_trailers.await, 8, "gRPC status 13");
}

/// An end without a status is a cut answer, even if its message was whole.
#[tokio::test]
async fn no_status_is_a_failure() {
    let tally = tally_of(Kind::GrpcCall, 40, |stream| {
        serve(stream, |(_, mut response)| {
            let mut body = response.send_response(Response::new(()), false).unwrap();
            body.send_data(message(b"1"), true).unwrap();
        })
    })
    .await;
    let calls = tally.kinds[&Kind::GrpcCall];
    assert_eq!(calls.failed, calls.requests, "{:?}", tally.reasons);
    // A stream's first message is answered, the second is not.
    let streams = tally.kinds[&Kind::GrpcStream];
    assert!(streams.failed >= streams.requests / 2, "{streams:?}");
    assert!(
        tally.reasons.contains_key("answer cut short"),
        "{:?}",
        tally.reasons
    );
}

/// A call or a stream that breaks off after a message is lost.
#[tokio::test]
async fn a_broken_stream_is_a_failure() {
    let tally = tally_of(Kind::GrpcStream, 9, |stream| async {
        let mut frames = Frames::accept(stream).await;
        for stream in frames.begun(2).await.unwrap_or_default() {
            frames.answer_half(stream, &message(b"1")).await;
        }
        frames.end().await;
    })
    .await;
    let calls = tally.kinds[&Kind::GrpcCall];
    assert_eq!(calls.failed, calls.requests, "{:?}", tally.reasons);
    let streams = tally.kinds[&Kind::GrpcStream];
    assert!(streams.failed > 0, "{streams:?}");
    assert!(
        tally.reasons["answer cut short"] >= streams.failed,
        "{:?}",
        tally.reasons
    );
}

/// An answer that is not what was sent is a failure.
#[tokio::test]
async fn a_wrong_answer_is_a_failure() {
    let tally = tally_of_calls(|(_, mut response)| {
        let mut body = response.send_response(Response::new(()), false).unwrap();
        body.send_data(message(b"something else"), true).unwrap();
    });
    assert_all_failed(&tally.await, 8, "wrong answer");
}

/// A connection that ends with open calls has lost them.
#[tokio::test]
async fn a_close_without_an_answer_is_a_failure() {
    let tally = tally_of(Kind::GrpcCall, 8, |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let _unanswered = connection.accept().await;
    });
    let tally = tally.await;
    assert_counted(&tally, 8, 8);
}
