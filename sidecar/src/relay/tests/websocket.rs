//! WebSocket: when the Close is said, and what becomes of each side's bytes after it.

use super::*;
use crate::relay::exchange::websocket::bytes::close_frame;
use crate::stance::Pace;
use ebb_api::connections::WebSocketCode;

pub(super) const ASK: &[u8] =
    b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
pub(super) const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
pub(super) const ASKED: &[u8] = b"\x81\x85maskhello";
const TOLD: &[u8] = b"\x81\x05hello";
pub(super) const CLIENT_CLOSE: &[u8] = b"\x88\x82mask\x6e\x88";
pub(super) const APP_CLOSE: &[u8] = b"\x88\x02\x03\xe8";
/// What a policy says that names no code.
const GOODBYE: [u8; 4] = close_frame(WebSocketCode::DEFAULT);

impl Played {
    fn websocket(leaving: bool) -> Played {
        let mut played = Played::new(leaving);
        played.client(ASK);
        played.app(SWITCH);
        played.forget();
        played
    }

    /// The same, told to leave at this moment, with its Close said.
    fn closed() -> Played {
        let mut played = Played::websocket(true);
        played.pass(250 * MS);
        assert_eq!(played.heard(), GOODBYE);
        played
    }
}

/// A WebSocket is in flight as long as it lives, as old as the request that asked for it; that is
/// one piece of work.
#[test]
fn it_is_in_flight_as_long_as_it_lives() {
    let mut played = Played::websocket(false);
    played.client(ASKED);
    played.app(TOLD);
    played.pass(Duration::from_secs(60));
    let snapshot = played.census.snapshot(played.now);
    assert_eq!(snapshot.in_flight[&Protocol::WebSocket], 1);
    assert_eq!(snapshot.connections[&Protocol::WebSocket], 1);
    assert_eq!(snapshot.oldest, Some(Duration::from_secs(60)));
    assert_eq!((snapshot.work, snapshot.finished), (1, 0));
    assert_eq!([played.to_app(), played.to_client()], [ASKED, TOLD]);
    played.connection.exchange.finished();
    assert_eq!(played.in_flight(), 0);
    assert_eq!(played.census.snapshot(played.now).finished, 1);
}

/// One that was silent before it is to leave is listened to for a second.
#[test]
fn a_silent_one_is_listened_to_first() {
    let mut played = Played::websocket(false);
    played.pass(Duration::from_secs(60));
    played.set_leaving(true);
    played.pass(999 * MS);
    assert!(played.to_client().is_empty());
    played.pass(MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// A client that speaks twice a second gets the Close after an answer, with all the time there is
/// until its next message.
#[test]
fn a_message_does_not_meet_the_goodbye() {
    let mut played = Played::websocket(false);
    played.app(TOLD);
    played.pass(499 * MS);
    played.set_leaving(true);
    played.pass(MS);
    played.client(ASKED);
    played.pass(50 * MS);
    played.app(TOLD);
    played.pass(249 * MS);
    assert_eq!(played.heard(), TOLD.repeat(2));
    played.pass(MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// The Close comes at the first silence that begins while the pod leaves.
#[test]
fn the_goodbye_comes_in_silence() {
    let mut played = Played::websocket(true);
    for _ in 0..3 {
        played.pass(249 * MS);
        played.app(TOLD);
    }
    assert_eq!(played.heard(), TOLD.repeat(3));
    assert_eq!(
        played.connection.exchange.wakes_at(played.now),
        Some(played.now + 250 * MS)
    );
    played.pass(250 * MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// The Close waits for the connection's own moment where goodbyes are spread, and is not said at
/// all where the policy waits for WebSockets.
#[test]
fn the_goodbye_comes_when_the_policy_says() {
    let mut played = Played::websocket(false);
    let _first = played.census.connect_nobody();
    let mut second = Played::new(false);
    second.connection.exchange = Exchange::new(played.census.connect_nobody());
    second.client(ASK);
    second.app(SWITCH);
    second.forget();
    let pace = Pace {
        from: second.now,
        length: Duration::from_secs(1000),
    };
    let mut conduct = Conduct {
        stance: Stance::Parting,
        pace: Some(pace),
        ..Conduct::default()
    };
    played.connection.exchange.take_up(&conduct, played.now);
    played.pass(250 * MS);
    assert_eq!(played.heard(), GOODBYE, "the first place is the first");
    second.connection.exchange.take_up(&conduct, second.now);
    let turn = second
        .connection
        .exchange
        .wakes_at(second.now)
        .expect("a moment");
    // It is silent when its turn comes, and listened to for a second.
    let listened = Duration::from_secs(1);
    assert_eq!(
        turn,
        pace.turn(second.connection.exchange.place()) + listened
    );
    assert!(turn > pace.from + Duration::from_secs(100) && turn < pace.ends());
    conduct.connections.web_sockets = WebSockets::Wait;
    second.connection.exchange.take_up(&conduct, second.now);
    assert_eq!(second.connection.exchange.wakes_at(second.now), None);
    second.pass(Duration::from_secs(3600));
    assert!(second.to_client().is_empty());
    conduct.connections.web_sockets = WebSockets::Goodbye;
    second.connection.exchange.take_up(&conduct, second.now);
    second.pass(Duration::ZERO);
    assert_eq!(second.heard(), GOODBYE);
}

/// The Close says the policy's code: the one that is in force when it is said, at the deadline too.
#[test]
fn the_goodbye_says_what_the_policy_says() {
    let with = |code| Conduct {
        stance: Stance::Parting,
        connections: ConnectionSettings {
            web_socket_code: WebSocketCode::from(code),
            ..ConnectionSettings::default()
        },
        ..Conduct::default()
    };
    let mut before = Played::new(false);
    before.connection.exchange.take_up(&with(1012), before.now);
    before.client(ASK);
    before.app(SWITCH);
    before.forget();
    let deadline = before.connection.exchange.deadline(0);
    assert_eq!(
        deadline,
        Deadline::Answer(b"\x88\x02\x03\xf4".to_vec().into())
    );
    before.pass(250 * MS);
    assert_eq!(before.heard(), b"\x88\x02\x03\xf4");

    let mut after = Played::websocket(true);
    after.connection.exchange.take_up(&with(4999), after.now);
    after.app(TOLD);
    after.pass(250 * MS);
    assert_eq!(after.heard(), [TOLD, b"\x88\x02\x13\x87"].concat());
}

/// A client that has spoken last may wait for its answer: it gets a second for it.
#[test]
fn an_answer_may_take_its_time() {
    let mut played = Played::websocket(true);
    played.client(ASKED);
    played.pass(999 * MS);
    assert!(played.to_client().is_empty());
    played.pass(MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// A Pong is no answer, and the silence counts from the answer on.
#[test]
fn silence_counts_from_the_answer() {
    let mut played = Played::websocket(true);
    played.client(ASKED);
    played.pass(500 * MS);
    played.app(b"\x8a\0");
    played.pass(250 * MS);
    played.app(TOLD);
    assert_eq!(played.heard(), [b"\x8a\0", TOLD].concat());
    played.pass(249 * MS);
    assert!(played.to_client().is_empty());
    played.pass(MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// Where there is no silence the Close comes between two messages after a second: of both sides.
#[test]
fn the_goodbye_comes_between_messages() {
    let mut played = Played::websocket(true);
    played.pass(100 * MS);
    played.app(b"\x01\x01a");
    played.client(&ASKED[..4]);
    played.pass(2000 * MS);
    played.client(&ASKED[4..]);
    played.app(b"\x89\0\x00\x01b");
    assert_eq!(played.heard(), b"\x01\x01a\x89\0\x00\x01b");
    played.app(b"\x80\x01c\x81\x01d");
    assert_eq!(played.heard(), [b"\x80\x01c", &GOODBYE[..]].concat());
}

/// One that begins when the pod leaves already has its time to say something.
#[test]
fn a_late_one_has_its_time() {
    let mut played = Played::new(true);
    played.pass(Duration::from_secs(5));
    played.client(ASK);
    played.app(SWITCH);
    played.forget();
    played.pass(249 * MS);
    played.client(ASKED);
    played.app(TOLD);
    assert_eq!(played.heard(), TOLD);
    played.pass(250 * MS);
    assert_eq!(played.heard(), GOODBYE);
}

/// A client that is inside of a message at every moment that we look is told too.
#[test]
fn a_client_that_never_pauses_is_told() {
    let mut played = Played::websocket(true);
    played.client(&ASKED[..4]);
    played.pass(2000 * MS);
    assert!(played.to_client().is_empty());
    played.client(&[&ASKED[4..], &ASKED[..4]].concat());
    played.pass(Duration::ZERO);
    assert_eq!(played.heard(), GOODBYE);
}

/// After our Close the client is heard by the app up to its own Close, and the app by nobody.
#[test]
fn the_client_s_answer_goes_to_the_app() {
    let mut played = Played::closed();
    played.app(TOLD);
    played.client(&[ASKED, &CLIENT_CLOSE[..3]].concat());
    assert!(!played.connection.exchange.wants_half_close(played.now));
    assert_eq!(played.in_flight(), 1);
    played.client(&CLIENT_CLOSE[3..]);
    assert!(played.connection.exchange.wants_half_close(played.now));
    assert_eq!(played.to_app(), [ASKED, CLIENT_CLOSE].concat());
    played.app(APP_CLOSE);
    assert!(played.to_client().is_empty());
    played.connection.exchange.finished();
    let snapshot = played.census.snapshot(played.now);
    assert_eq!((snapshot.in_flight_in_all(), snapshot.finished), (0, 1));
}

/// A client that does not answer is waited for 2 s.
#[test]
fn a_client_that_does_not_answer() {
    let mut played = Played::closed();
    assert_eq!(
        played.connection.exchange.wakes_at(played.now),
        Some(played.now + 2000 * MS)
    );
    played.pass(1999 * MS);
    assert!(!played.is_over());
    played.pass(MS);
    assert!(played.is_over() && played.to_client().is_empty());
    assert_eq!(played.in_flight(), 0);
}

/// A side that has said Close itself needs no word of ours.
#[test]
fn their_own_close() {
    let (mut by_client, mut by_app) = (Played::websocket(true), Played::websocket(true));
    by_client.client(CLIENT_CLOSE);
    by_app.app(APP_CLOSE);
    by_client.pass(Duration::from_secs(5));
    by_app.pass(Duration::from_secs(5));
    assert_eq!(by_client.heard(), b"");
    assert_eq!(by_app.heard(), APP_CLOSE);
    assert_eq!(by_app.connection.exchange.deadline(0), Deadline::Close);
}

/// The deadline says Close wherever a frame can come.
#[test]
fn the_deadline() {
    let mut played = Played::websocket(true);
    let close = Deadline::Answer(GOODBYE.to_vec().into());
    assert_eq!(played.connection.exchange.deadline(0), close);
    played.app(b"\x01\x01a\x00");
    assert_eq!(played.connection.exchange.deadline(0), Deadline::Close);
    played.app(b"\x01b");
    assert_eq!(played.connection.exchange.deadline(0), close);
}

/// Frames that break the rules make it an opaque connection, and pass.
#[test]
fn doubt_is_opaque() {
    let mut played = Played::websocket(true);
    played.client(TOLD);
    assert_eq!(played.to_app(), TOLD);
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}

pub(super) fn frames() -> impl Strategy<Value = Vec<Act>> {
    let client = prop::sample::select(vec![
        ASKED,
        ASKED,
        b"\x01\x80mask",
        b"\x80\x80mask",
        b"\x89\x80mask",
        CLIENT_CLOSE,
        b"?",
    ]);
    let app = prop::sample::select(vec![
        TOLD,
        TOLD,
        b"\x01\x01a",
        b"\x80\x01b",
        b"\x89\0",
        APP_CLOSE,
        b"?",
    ]);
    let turn = prop_oneof![
        client.prop_map(|bytes| Act::Client(bytes.to_vec())),
        app.prop_map(|bytes| Act::App(bytes.to_vec())),
    ];
    prop::collection::vec(turn, 0..12).prop_map(|turns| {
        let mut all = vec![Act::Client(ASK.to_vec()), Act::App(SWITCH.to_vec())];
        all.extend(turns);
        all
    })
}

proptest! {
    /// While leaving the app hears all that the client says as long as the connection is open, and
    /// the client what the app says up to some place, and there our Close at most: however it is
    /// cut.
    #[test]
    fn leaving_adds_one_close(
        turns in frames(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        pace in 0..600u32,
    ) {
        let whole = play(&turns, &[], true, pace * MS);
        let played = play(&turns, &cuts, true, pace * MS);
        prop_assert_eq!(played.to_client(), whole.to_client());
        prop_assert_eq!(played.in_flight(), whole.in_flight());
        prop_assert_eq!(played.client_said(), played.to_app());
        let app = played.app_said();
        let told = played.to_client().strip_suffix(&GOODBYE[..]);
        prop_assert!(*app == *played.to_client() || told.is_some_and(|told| app.starts_with(told)));
    }
}

/// How many bytes of `frames`, as an app sends them, are whole messages: by the book (RFC 6455,
/// section 5.2) and without a tracker.
fn whole_messages(frames: &[u8]) -> usize {
    let (mut at, mut whole) = (0, 0);
    let mut inside = false;
    while let [first, length, ..] = frames[at..] {
        at += 2 + usize::from(length);
        if at > frames.len() {
            break;
        }
        let (last, control) = (first & 0x80 != 0, first & 8 != 0);
        inside = if control { inside } else { !last };
        if !inside {
            whole = at;
        }
    }
    whole
}

proptest! {
    /// A Close of ours comes after a whole message of the app's.
    #[test]
    fn the_goodbye_is_between_messages(
        messages in prop::collection::vec((any::<bool>(), 0..3u8), 0..12),
        cuts in prop::collection::vec(any::<usize>(), 0..4),
        pace in 0..600u32,
    ) {
        let mut turns = vec![Act::Client(ASK.to_vec()), Act::App(SWITCH.to_vec())];
        for (by_client, kind) in messages {
            turns.push(match (by_client, kind) {
                (true, 0) => Act::Client(ASKED.to_vec()),
                (true, 1) => Act::Client(b"\x01\x80mask\x89\x80mask\x80\x80mask".to_vec()),
                (true, _) => Act::Client(b"\x8a\x80mask".to_vec()),
                (false, 0) => Act::App(TOLD.to_vec()),
                (false, 1) => Act::App(b"\x01\x01a\x89\0\x80\x01b".to_vec()),
                (false, _) => Act::App(b"\x89\0".to_vec()),
            });
        }
        let mut played = Played::new(true);
        for turn in &turns {
            played.say(turn, &cuts, pace * MS);
        }
        let heard = &played.to_client()[SWITCH.len()..];
        if let Some(told) = heard.strip_suffix(&GOODBYE[..]) {
            prop_assert_eq!(whole_messages(told), told.len());
        } else {
            prop_assert_eq!(played.to_client(), played.app_said());
        }
    }
}
