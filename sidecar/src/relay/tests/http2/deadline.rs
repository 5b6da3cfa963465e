//! What a client of HTTP/2 hears at the deadline.

use super::*;

/// At the deadline the client hears of which streams the app has seen nothing.
#[test]
fn the_deadline_names_what_the_app_has_seen() {
    let mut played = Played::http2(true);
    played.client(&[request(1), request(3), request(7)].concat());
    let said = |last| Deadline::Answer(go_away(last).to_vec().into());
    assert_eq!(played.connection.exchange.deadline(0), said(7));
    assert_eq!(played.connection.exchange.deadline(1), said(5));
    assert_eq!(
        played.connection.exchange.deadline(request(7).len()),
        said(5)
    );
    assert_eq!(
        played.connection.exchange.deadline(request(7).len() + 1),
        said(1)
    );
}

/// A stream that the app pushes is no stream of the client's, whose last one is named.
#[test]
fn the_deadline_does_not_name_what_was_pushed() {
    let mut played = Played::http2(true);
    played.client(&request(1));
    played.client(&request(3));
    played.app(&frame(5, 0x4, 1, &[0, 0, 0, 2, b'x']));
    let said = |last| Deadline::Answer(go_away(last).to_vec().into());
    assert_eq!(played.connection.exchange.deadline(1), said(1));
    played.app(&[answer(1), answer(3)].concat());
    assert_eq!(played.connection.exchange.deadline(1), said(3));
}
