//! Whose turn it is on a connection in flight, as its bytes tell, and how many have passed.

use super::*;
use ebb_api::report::WaitsFor;

const POST: &str = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";

impl Played {
    /// Whose turn it is, with the bytes from the client and from the app; `None` at rest.
    fn turn(&self) -> Option<(WaitsFor, u64, u64)> {
        let holders = self.census.snapshot(self.now).holders;
        let holder = holders.first()?;
        Some((holder.waits_for, holder.received, holder.sent))
    }
}

/// A request is its client's to finish, byte by byte, and then the app's to answer; with the last
/// byte of the answer nobody holds anything.
#[test]
fn a_request_passes_from_side_to_side() {
    let mut played = Played::new(false);
    for _ in 0..2 {
        for (index, byte) in POST.bytes().enumerate() {
            played.client(&[byte]);
            let sent = index as u64 + 1;
            let waits_for = match sent == POST.len() as u64 {
                true => WaitsFor::App,
                false => WaitsFor::Request,
            };
            assert_eq!(played.turn(), Some((waits_for, sent, 0)));
        }
        let asked = POST.len() as u64;
        for (index, byte) in OK.bytes().enumerate() {
            let before = Some((WaitsFor::App, asked, index as u64));
            assert_eq!(played.turn(), before);
            played.app(&[byte]);
        }
        assert_eq!(played.turn(), None);
    }
}

/// Of requests behind each other the oldest counts: a second one that is not complete is waited for
/// only when the first has its answer.
#[test]
fn the_oldest_request_is_the_one_that_waits() {
    let mut played = Played::new(false);
    let (head, rest) = GET.split_at(7);
    played.client(GET.as_bytes());
    played.client(head.as_bytes());
    let turn = |played: &Played| played.turn().map(|(waits_for, ..)| waits_for);
    assert_eq!(turn(&played), Some(WaitsFor::App));
    played.app(OK.as_bytes());
    assert_eq!(turn(&played), Some(WaitsFor::Request));
    played.client(rest.as_bytes());
    assert_eq!(turn(&played), Some(WaitsFor::App));
}

/// A client that does not take its answer is the one who is waited for, until it does.
#[test]
fn a_client_that_takes_nothing_is_waited_for() {
    let mut played = Played::new(false);
    played.client(GET.as_bytes());
    played.act(&Act::ClientStalls);
    let half = &OK.as_bytes()[..OK.len() - 1];
    played.app(half);
    let passed = (GET.len() as u64, half.len() as u64);
    let turn = |waits_for| Some((waits_for, passed.0, passed.1));
    assert_eq!(played.turn(), turn(WaitsFor::Client));
    played.act(&Act::ClientTakes);
    assert_eq!(played.turn(), turn(WaitsFor::App));
}

/// What is behind the answer that changes the protocol, in the same read, is counted once.
#[test]
fn bytes_behind_an_upgrade_are_counted_once() {
    let ask = b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\n\r\n\x81\x05hello";
    let mut played = Played::new(false);
    played.client(ask);
    played.app(switch);
    let turn = (WaitsFor::End, ask.len() as u64, switch.len() as u64);
    assert_eq!(played.turn(), Some(turn));
}

/// What waits behind a gate, since the pod leaves, has not passed.
#[test]
fn bytes_behind_a_gate_are_not_counted() {
    let mut played = Played::new(true);
    played.client(GET.as_bytes());
    let head = &OK.as_bytes()[..20];
    played.app(head);
    played.client(GET.as_bytes());
    assert!(played.connection.exchange.is_gated());
    let turn = (WaitsFor::App, GET.len() as u64, head.len() as u64);
    assert_eq!(played.turn(), Some(turn));
}

/// Where it is no HTTP nobody knows at first whether the app will ever speak. Once it has, a
/// question is the app's to answer; then only a silence ends it.
#[test]
fn an_opaque_connection_waits_for_its_app_and_for_silence() {
    let mut played = Played::new(false);
    played.client(b"\0question");
    assert_eq!(played.turn(), Some((WaitsFor::Silence, 9, 0)));
    played.app(b"\0answer");
    assert_eq!(played.turn(), Some((WaitsFor::Silence, 9, 7)));
    played.client(b"\0another one");
    assert_eq!(played.turn(), Some((WaitsFor::App, 21, 7)));
    played.app(b"\0and its answer");
    assert_eq!(played.turn(), Some((WaitsFor::Silence, 21, 22)));
    played.pass(Duration::from_secs(60));
    assert_eq!(played.turn(), None);
}
