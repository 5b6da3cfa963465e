//! Conversations of every protocol, lawful for the most part, and what can go wrong with them: how
//! their bytes are cut, mixed and damaged, and when the pod leaves.

use super::*;

/// Any of them.
pub(super) fn any_protocol() -> impl Strategy<Value = Vec<Act>> {
    prop_oneof![
        3 => http1(),
        3 => super::http2::random::talk(),
        1 => h2c(),
        2 => super::websocket::frames(),
        2 => super::event_stream::talk(),
        1 => tls(),
        1 => opaque(),
        1 => behind_header(),
    ]
}

/// Any of some behind a header of the PROXY protocol.
fn behind_header() -> impl Strategy<Value = Vec<Act>> {
    let header = prop::sample::select(super::header::HEADERS.to_vec());
    let talk = prop_oneof![http1(), super::http2::random::talk(), tls(), opaque()];
    (header, talk).prop_map(|(header, mut talk)| {
        talk.insert(0, Act::Client(header.to_vec()));
        talk
    })
}

fn texts(client: bool, weighted: &[(u32, &'static str)]) -> impl Strategy<Value = Act> + use<> {
    let each = weighted
        .iter()
        .map(|(weight, text)| (*weight, Just(*text).boxed()));
    prop::strategy::Union::new_weighted(each.collect()).prop_map(move |text| {
        let bytes = text.as_bytes().to_vec();
        match client {
            true => Act::Client(bytes),
            false => Act::App(bytes),
        }
    })
}

/// HTTP/1: requests of all framings, answers that come in time, early, unasked or never.
pub(super) fn http1() -> impl Strategy<Value = Vec<Act>> {
    let client = texts(
        true,
        &[
            (6, GET),
            (3, "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
            (
                3,
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            ),
            (
                1,
                "PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
            ),
            (1, "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
            (1, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            (1, "HEAD / HTTP/1.1\r\n\r\n"),
            (1, "GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n"),
            (1, "CONNECT a:1 HTTP/1.1\r\n\r\n"),
            (1, "\r\n"),
            (1, "nonsense\r\n"),
            (1, "\x16"),
            (1, "PRI * HTTP/2.0\r\n\r\nSM"),
        ],
    );
    let app = texts(
        false,
        &[
            (6, OK),
            (
                3,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\na\r\n0\r\nT: x\r\n\r\n",
            ),
            (
                1,
                "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
            ),
            (
                1,
                "HTTP/1.1 200 OK\r\nconnection: close , a\r\nContent-Length: 0\r\n\r\n",
            ),
            (1, "HTTP/1.1 100 Continue\r\n\r\n"),
            (1, "HTTP/1.1 101 Switching Protocols\r\n\r\n"),
            (1, "HTTP/1.1 204 No Content\r\n\r\n"),
            (1, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
            (1, "HTTP/1.0 200 OK\r\n\r\n"),
            (
                1,
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            ),
            (1, "nonsense\n"),
        ],
    );
    prop::collection::vec(prop_oneof![client, app], 0..12)
}

/// HTTP/2 by an upgrade from HTTP/1.
fn h2c() -> impl Strategy<Value = Vec<Act>> {
    super::http2::random::talk().prop_map(|talk| {
        let ask = b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n";
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n";
        let mut all = vec![Act::Client(ask.to_vec()), Act::App(switch.to_vec())];
        all.extend(talk);
        all
    })
}

/// TLS: a ClientHello, and then what nobody can read.
fn tls() -> impl Strategy<Value = Vec<Act>> {
    let record = |kind: u8| {
        prop::collection::vec(any::<u8>(), 1..40).prop_map(move |payload| {
            let mut record = vec![kind, 3, 3, 0, payload.len() as u8];
            record.extend(payload);
            record
        })
    };
    let turn = prop_oneof![
        record(23).prop_map(Act::Client),
        record(23).prop_map(Act::App),
        record(21).prop_map(Act::App),
    ];
    prop::collection::vec(turn, 0..8).prop_map(|turns| {
        let mut all = vec![Act::Client(CLIENT_HELLO.to_vec())];
        all.extend(turns);
        all
    })
}

/// Anything, whoever is first.
fn opaque() -> impl Strategy<Value = Vec<Act>> {
    let bytes = prop::collection::vec(any::<u8>(), 1..30);
    let turn = (any::<bool>(), bytes).prop_map(|(client, bytes)| match client {
        true => Act::Client(bytes),
        false => Act::App(bytes),
    });
    prop::collection::vec(turn, 0..8)
}

/// Damages what is said: a byte is changed, lost or doubled.
pub(super) fn damaged(talk: impl Strategy<Value = Vec<Act>>) -> impl Strategy<Value = Vec<Act>> {
    let damage = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..3u8,
        any::<u8>(),
    );
    (talk, prop::collection::vec(damage, 1..4)).prop_map(|(mut talk, damages)| {
        for (turn, place, kind, byte) in damages {
            if talk.is_empty() {
                break;
            }
            let turn = turn.index(talk.len());
            let (Act::Client(bytes) | Act::App(bytes)) = &mut talk[turn] else {
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            let place = place.index(bytes.len());
            match kind {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
        }
        talk
    })
}

/// The acts of a talk: each turn in pieces, the two sides mixed as they like, and what else happens
/// between them.
pub(super) fn acts(
    talk: impl Strategy<Value = Vec<Act>>,
    others: impl Strategy<Value = Act>,
) -> impl Strategy<Value = Vec<Act>> {
    let mix = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<bool>(), 1..64),
    ];
    let others = prop::collection::vec((any::<prop::sample::Index>(), others), 0..8);
    let cuts = prop::collection::vec(any::<usize>(), 0..6);
    (talk, cuts, mix, others).prop_map(|(talk, cuts, mix, others)| {
        let mut acts = mixed(&talk, &cuts, &mix);
        for (place, other) in others {
            acts.insert(place.index(acts.len() + 1), other);
        }
        acts
    })
}

/// The turns in pieces that end at `cuts` of each; in order, or as `mix` takes them from each side.
fn mixed(talk: &[Act], cuts: &[usize], mix: &[bool]) -> Vec<Act> {
    let pieces = talk.iter().flat_map(|turn| {
        let (by_client, bytes) = said(turn);
        in_pieces(bytes, cuts)
            .into_iter()
            .map(move |piece| match by_client {
                true => Act::Client(piece.to_vec()),
                false => Act::App(piece.to_vec()),
            })
    });
    if mix.is_empty() {
        return pieces.collect();
    }
    let (client, app): (Vec<Act>, Vec<Act>) =
        pieces.partition(|piece| matches!(piece, Act::Client(_)));
    let (mut client, mut app) = (client.into_iter(), app.into_iter());
    let mut acts = Vec::new();
    for by_client in mix.iter().cycle() {
        let next = match by_client {
            true => client.next().or_else(|| app.next()),
            false => app.next().or_else(|| client.next()),
        };
        match next {
            Some(act) => acts.push(act),
            None => break,
        }
    }
    acts
}

/// Whether the client speaks, and what is said.
pub(super) fn said(turn: &Act) -> (bool, &[u8]) {
    match turn {
        Act::Client(bytes) => (true, bytes),
        Act::App(bytes) => (false, bytes),
        other => panic!("nobody speaks: {other:?}"),
    }
}

/// `bytes` in pieces that end at `cuts`.
pub(super) fn in_pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    ends.into_iter()
        .map(|end| &bytes[std::mem::replace(&mut from, end)..end])
        .collect()
}
