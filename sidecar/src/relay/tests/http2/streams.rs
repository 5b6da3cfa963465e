//! Which streams are in flight, and until when.

use super::*;

/// A stream is in flight from its header block to the app's END_STREAM, or until one side gives it
/// up; each is new work.
#[test]
fn streams_are_in_flight() {
    let mut played = Played::http2(false);
    assert_eq!(played.in_flight(), 0);
    played.client(&[request(1), request(3), frame(1, 0x4, 5, b"h")].concat());
    assert_eq!(played.in_flight(), 3);
    played.app(&answer(3));
    assert_eq!(played.in_flight(), 2);
    played.app(&frame(1, 0x4, 1, b"interim"));
    played.app(&answer(1)[..20]);
    assert_eq!(played.in_flight(), 2, "a part of an answer is none");
    played.client(&frame(3, 0, 5, &[0; 4]));
    assert_eq!(played.in_flight(), 1);
    played.app(&answer(1)[20..]);
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight_in_all(), 0);
    assert_eq!((snapshot.work, snapshot.finished), (3, 2));
    assert_eq!(snapshot.connections[&Protocol::Http2], 1);
}

/// What the app leaves open when it closes is dropped once, whatever the client says of it later,
/// and what the client begins after that is not in flight.
#[tokio::test]
async fn streams_end_once_when_the_app_closes() {
    let mut played = Played::http2(false);
    played.client(&[request(1), request(3)].concat());
    assert_eq!(played.in_flight(), 2);
    assert_eq!(
        played
            .connection
            .exchange
            .app_closed(AppClosed::First, played.now),
        AppEnd::Pass
    );
    assert_eq!(played.in_flight(), 0);
    played.client(&[frame(3, 0, 1, &[0; 4]), request(5)].concat());
    played.client(&frame(3, 0, 5, &[0; 4]));
    assert_eq!(played.in_flight(), 0);
    let other = played.census.connect_nobody();
    let mut changes = played.census.changes();
    other.request_began(played.now, true);
    other.request_ended(None);
    let told = tokio::time::timeout(Duration::from_secs(10), changes.changed()).await;
    assert!(told.is_ok(), "the census goes on telling of ends");
}

/// A header block that nobody waits for any more does not hide that a goodbye is due later.
#[test]
fn a_moment_that_has_passed_hides_none_to_come() {
    let mut played = Played::http2(false);
    played.client(&[request(1), request(3), frame(1, 0x1, 5, b"dribbled")].concat());
    played.pass(HEAD_PATIENCE);
    played.set_leaving(true);
    let due = played.now + 1000 * MS;
    assert_eq!(played.connection.exchange.wakes_at(played.now), Some(due));
}

/// A header block that never ends holds a drain for 5 s, and the app has not seen that stream.
#[test]
fn a_dribbled_header_block() {
    let mut played = Played::http2(true);
    played.client(&[request(1), frame(1, 0x1, 3, b"he")].concat());
    played.app(&answer(1));
    played.forget();
    assert_eq!(played.in_flight(), 1);
    played.pass(4999 * MS);
    assert!(played.to_client().is_empty());
    assert!(!played.connection.exchange.is_idle(played.now));
    played.pass(MS);
    assert!(played.connection.exchange.is_idle(played.now));
    assert_eq!(played.in_flight(), 0);
    assert_eq!(played.heard(), ping(AT_REST));
    assert_eq!(
        played.connection.exchange.deadline(0),
        Deadline::Answer(go_away(1).to_vec().into())
    );
}

/// More streams than can be followed make it an opaque connection: nothing is lost.
#[test]
fn too_many_streams_are_opaque() {
    let mut played = Played::http2(true);
    let most: Vec<u8> = (0..4096)
        .flat_map(|stream| request(2 * stream + 1))
        .collect();
    played.client(&most);
    assert_eq!(played.in_flight(), 4096);
    played.client(&request(8193));
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight, [(Protocol::Opaque, 1)].into());
    played.app(&answer(1));
    played.pass(Duration::from_secs(5));
    assert_eq!(played.heard(), answer(1));
    assert_eq!(played.to_app(), [most, request(8193)].concat());
}
