use super::*;
use crate::census::Census;
use ebb_api::report::Protocol;
use proptest::prelude::*;

mod http2;
mod websocket;

const GET: &str = "GET / HTTP/1.1\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const MS: Duration = Duration::from_millis(1);
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

fn conduct(leaving: bool) -> Conduct {
    let stance = if leaving {
        Stance::Parting
    } else {
        Stance::Serving
    };
    Conduct {
        stance,
        ..Conduct::default()
    }
}

/// An exchange with what came out of it on both sides.
struct Played {
    exchange: Exchange,
    census: std::sync::Arc<Census>,
    now: Instant,
    behind_gate: Vec<u8>,
    to_app: Vec<u8>,
    to_client: Vec<u8>,
    over: bool,
}

impl Played {
    fn new(leaving: bool) -> Played {
        let now = Instant::now();
        let census = Census::new(now);
        let mut exchange = Exchange::new(census.connect());
        exchange.take_up(&conduct(leaving), now);
        Played {
            exchange,
            census,
            now,
            behind_gate: Vec::new(),
            to_app: Vec::new(),
            to_client: Vec::new(),
            over: false,
        }
    }

    /// Gives the client's bytes as the connection does: what the gate holds back comes first.
    fn client(&mut self, bytes: &[u8]) {
        self.behind_gate.extend_from_slice(bytes);
        if self.exchange.is_gated() || self.over || self.behind_gate.is_empty() {
            return;
        }
        let input = std::mem::take(&mut self.behind_gate);
        let passed = self.exchange.client_sent(&input, self.now);
        self.to_app.extend_from_slice(&passed.bytes);
        self.behind_gate.extend_from_slice(&input[passed.taken..]);
    }

    fn app(&mut self, bytes: &[u8]) {
        if self.over || bytes.is_empty() {
            return;
        }
        let passed = self.exchange.app_sent(bytes, self.now);
        self.to_client.extend_from_slice(&passed.bytes);
        self.over = passed.last;
        self.exchange.handed_over(true, self.now);
        self.to_app.extend(self.exchange.released(false));
        self.client(b"");
    }

    /// Lets time pass, and says what is due then.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.over {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(self.now) {
            self.to_client.extend_from_slice(&goodbye.bytes);
            self.over = goodbye.last;
        }
    }

    /// From now on goodbyes are said, or not any more.
    fn set_leaving(&mut self, leaving: bool) {
        self.exchange.take_up(&conduct(leaving), self.now);
    }

    fn forget(&mut self) {
        self.to_app.clear();
        self.to_client.clear();
    }

    /// What the client has heard since it was asked last.
    fn heard(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.to_client)
    }

    fn in_flight(&self) -> u64 {
        self.census.snapshot(self.now).in_flight_in_all()
    }
}

/// What the two sides say, in turn.
#[derive(Clone, Debug)]
enum Turn {
    Client(Vec<u8>),
    App(Vec<u8>),
}

fn talk() -> impl Strategy<Value = Vec<Turn>> {
    let client = prop_oneof![
        6 => Just(GET),
        3 => Just("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
        3 => Just("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        1 => Just("HEAD / HTTP/1.1\r\n\r\n"),
        1 => Just("GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n"),
        1 => Just("CONNECT a:1 HTTP/1.1\r\n\r\n"),
        1 => Just("\r\n"),
        1 => Just("nonsense\r\n"),
        1 => Just("\x16"),
        1 => Just("PRI * HTTP/2.0\r\n\r\nSM"),
    ];
    let app = prop_oneof![
        6 => Just(OK),
        3 => Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        1 => Just("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
        1 => Just("HTTP/1.1 100 Continue\r\n\r\n"),
        1 => Just("HTTP/1.1 101 Switching Protocols\r\n\r\n"),
        1 => Just("HTTP/1.1 204 No Content\r\n\r\n"),
        1 => Just("HTTP/1.0 200 OK\r\n\r\n"),
        1 => Just("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        1 => Just("nonsense\n"),
    ];
    let turn = prop_oneof![
        client.prop_map(|text| Turn::Client(text.as_bytes().to_vec())),
        app.prop_map(|text| Turn::App(text.as_bytes().to_vec())),
    ];
    prop::collection::vec(turn, 0..12)
}

/// Gives a turn to an exchange, cut in pieces.
fn feed(played: &mut Played, turn: &Turn, cuts: &[usize]) {
    let (Turn::Client(bytes) | Turn::App(bytes)) = turn;
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    for end in ends {
        match turn {
            Turn::Client(_) => played.client(&bytes[from..end]),
            Turn::App(_) => played.app(&bytes[from..end]),
        }
        from = end;
    }
}

/// Plays turns, each cut in pieces.
fn play(turns: &[Turn], cuts: &[usize], leaving: bool) -> Played {
    let mut played = Played::new(leaving);
    for turn in turns {
        feed(&mut played, turn, cuts);
    }
    played
}

fn said(turns: &[Turn], by_client: bool) -> Vec<u8> {
    let of_side = |turn: &Turn| match turn {
        Turn::Client(bytes) if by_client => bytes.clone(),
        Turn::App(bytes) if !by_client => bytes.clone(),
        _ => Vec::new(),
    };
    turns.iter().flat_map(of_side).collect()
}

proptest! {
    /// While serving, what goes in comes out, at once, on both sides, whatever it is and however it
    /// is cut.
    #[test]
    fn serving_changes_nothing(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let played = play(&turns, &cuts, false);
        prop_assert_eq!(&played.to_app, &said(&turns, true));
        prop_assert_eq!(&played.to_client, &said(&turns, false));
        prop_assert!(!played.over);
    }

    /// What is in flight does not depend on how the bytes were cut.
    #[test]
    fn no_split_changes_what_is_in_flight(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        leaving in any::<bool>(),
    ) {
        let whole = play(&turns, &[], leaving);
        let cut = play(&turns, &cuts, leaving);
        prop_assert_eq!(cut.in_flight(), whole.in_flight());
        prop_assert_eq!(&cut.to_client, &whole.to_client);
        prop_assert_eq!(cut.over, whole.over);
    }

    /// While leaving, the client's bytes pass up to some request's end, and the app's bytes differ
    /// by one goodbye at most, after which nothing comes.
    #[test]
    fn leaving_changes_only_the_goodbye(
        turns in talk(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let played = play(&turns, &cuts, true);
        let (client, app) = (said(&turns, true), said(&turns, false));
        prop_assert!(client.starts_with(&played.to_app));
        let goodbye = b"Connection: close\r\n";
        let place = played
            .to_client
            .windows(goodbye.len())
            .position(|window| window == goodbye);
        match place {
            None => prop_assert!(app.starts_with(&played.to_client)),
            Some(place) => {
                let (before, behind) = played.to_client.split_at(place);
                let behind = &behind[goodbye.len()..];
                prop_assert!(app.starts_with(before));
                let rest = &app[before.len()..];
                let rest = rest.strip_prefix(&b"Connection: keep-alive\r\n"[..]).unwrap_or(rest);
                prop_assert!(rest.starts_with(behind));
            }
        }
    }
}

/// The head is kept until it is whole, and only the head.
#[test]
fn the_goodbye_waits_for_the_whole_head() {
    let mut played = Played::new(true);
    played.client(GET.as_bytes());
    let (head, body) = OK.as_bytes().split_at(OK.len() - 2);
    for byte in &head[..head.len() - 1] {
        played.app(&[*byte]);
        assert!(played.to_client.is_empty());
    }
    played.app(&head[head.len() - 1..]);
    assert_eq!(played.to_client, LAST.as_bytes()[..LAST.len() - 2]);
    assert_eq!(played.in_flight(), 1);
    played.app(&[body, b"more"].concat());
    assert_eq!(
        played.to_client,
        LAST.as_bytes(),
        "nothing behind the last answer"
    );
    assert!(played.over);
    assert_eq!(played.in_flight(), 0);
}

/// A head that turns out to be odd is given out whole, and requests go on.
#[test]
fn an_odd_head_is_released() {
    let mut played = Played::new(true);
    played.client(GET.as_bytes());
    played.app(b"HTTP/1.1 200 OK\r\n");
    played.client(GET.as_bytes());
    assert_eq!(played.to_app, GET.as_bytes(), "the next request waits");
    played.app(b"bad\n");
    assert_eq!(played.to_client, b"HTTP/1.1 200 OK\r\nbad\n");
    assert_eq!(played.to_app, [GET, GET].concat().as_bytes());
    let in_flight = played.census.snapshot(played.now).in_flight;
    assert_eq!(in_flight.get(&Protocol::Opaque), Some(&1));
}

/// So is one that is held when the client turns out to be odd.
#[test]
fn a_held_head_is_released_when_the_client_is_odd() {
    let mut played = Played::new(true);
    played.client(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    let (begin, end) = OK.as_bytes().split_at(20);
    played.app(begin);
    assert!(played.to_client.is_empty());
    played.client(b"nonsense\r\n");
    played.pass(Duration::ZERO);
    assert_eq!(played.to_client, begin);
    played.app(end);
    assert_eq!(played.to_client, OK.as_bytes());
}

/// An answer that says itself that it is the last is left as it is.
#[test]
fn an_app_s_own_goodbye_is_left_alone() {
    for head in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    ] {
        let mut played = Played::new(true);
        played.client(GET.as_bytes());
        played.app(head.as_bytes());
        played.client(GET.as_bytes());
        assert_eq!(played.to_client, head.as_bytes());
        assert_eq!(
            played.to_app,
            GET.as_bytes(),
            "no further request goes to the app"
        );
        assert!(!played.over, "the app closes by itself");
    }
}

/// The deadline: only a request of which the app has not seen a byte may be sent again.
#[test]
fn the_deadline_tells_what_may_be_sent_again() {
    let mut played = Played::new(true);
    assert_eq!(played.exchange.deadline(0), Deadline::Close);
    played.client(GET.as_bytes());
    let answer = |deadline| match deadline {
        Deadline::Answer(answer) => String::from_utf8_lossy(&answer[9..12]).into_owned(),
        other => format!("{other:?}"),
    };
    assert_eq!(answer(played.exchange.deadline(GET.len())), "503");
    assert_eq!(answer(played.exchange.deadline(GET.len() - 1)), "504");
    assert_eq!(answer(played.exchange.deadline(0)), "504");
    played.app(&OK.as_bytes()[..30]);
    assert_eq!(
        answer(played.exchange.deadline(0)),
        "504",
        "the head is held"
    );
    played.app(&OK.as_bytes()[30..OK.len() - 1]);
    assert_eq!(answer(played.exchange.deadline(0)), "Close");
}
