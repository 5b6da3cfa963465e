//! Whatever both sides say.

use super::*;

pub(in super::super) fn talk() -> impl Strategy<Value = Vec<Act>> {
    let client = prop_oneof![
        8 => (0..6u32).prop_map(|stream| request(2 * stream + 1)),
        2 => (0..6u32).prop_map(|stream| frame(3, 0, 2 * stream + 1, &[0; 4])),
        2 => (0..6u32).prop_map(|stream| frame(0, 0x1, 2 * stream + 1, b"body")),
        2 => (0..6u32).prop_map(|stream| {
            let stream = 2 * stream + 1;
            [frame(1, 0x1, stream, b"he"), frame(9, 0x4, stream, b"ad")].concat()
        }),
        2 => Just(pong()),
        2 => Just(frame(6, 0x1, 0, &AT_REST)),
        1 => Just(settings()),
        1 => Just(frame(6, 0x1, 0, &[0; 8])),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let app = prop_oneof![
        8 => (0..6u32).prop_map(|stream| answer(2 * stream + 1)),
        2 => (0..6u32).prop_map(|stream| frame(3, 0, 2 * stream + 1, &[0; 4])),
        1 => (0..6u32).prop_map(|stream| frame(5, 0x4, 2 * stream + 1, &[0, 0, 0, 2])),
        1 => Just(answer(2)),
        1 => (0..12u32).prop_map(|last| go_away(last).to_vec()),
        1 => Just(frame(6, 0, 0, &WARNED)),
        1 => Just(frame(6, 0, 0, &AT_REST)),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ];
    let turn = prop_oneof![client.prop_map(Act::Client), app.prop_map(Act::App),];
    prop::collection::vec(turn, 0..16).prop_map(|turns| {
        let hello = [PREFACE, &settings()[..]].concat();
        let mut talk = vec![Act::Client(hello), Act::App(settings())];
        talk.extend(turns);
        talk
    })
}

/// A frame as its receiver sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// All whole frames of `bytes`, by the book (RFC 9113, section 4.1) and without a tracker.
pub(super) fn seen(mut bytes: &[u8]) -> Vec<Seen> {
    let mut frames = Vec::new();
    while let [l0, l1, l2, kind, flags, s0, s1, s2, s3, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        let Some((payload, behind)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push(Seen {
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            payload: payload.to_vec(),
        });
        bytes = behind;
    }
    frames
}

/// What a lawful app says to streams that a lawful client has opened, in its own order.
fn lawful() -> impl Strategy<Value = Vec<Act>> {
    let answers = |stream: u32| {
        vec![
            frame(1, 0x4, stream, b"interim"),
            [frame(1, 0x1, stream, b"he"), frame(9, 0x4, stream, b"ad")].concat(),
            answer(stream),
            frame(3, 0, stream, &[0; 4]),
        ]
    };
    let turn = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0..10u8,
    );
    prop::collection::vec(turn, 1..24).prop_map(move |turns| {
        let mut talk = vec![
            Act::Client([PREFACE, &settings()[..]].concat()),
            Act::App(settings()),
        ];
        let (mut next, mut open) = (1, Vec::new());
        for (which, what, choice) in turns {
            if choice < 4 || open.is_empty() {
                talk.push(Act::Client(request(next)));
                open.push(next);
                next += 2;
                continue;
            }
            let place = which.index(open.len());
            let said = answers(open[place]);
            let kind = what.index(said.len());
            talk.push(Act::App(match choice {
                9 => frame(6, 0, 0, b"question"),
                _ => said[kind].clone(),
            }));
            if choice != 9 && kind > 0 {
                open.remove(place);
            }
        }
        talk
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// A client that obeys the rules sees frames that do: all of the app's up to the last, ours
    /// only where a frame may stand, and at the end the exact number of the last stream that the
    /// app has seen, when it has answered all of them.
    #[test]
    fn the_goodbye_is_lawful(
        talk in lawful(),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        leaves in any::<prop::sample::Index>(),
        pace in prop_oneof![0..20u32, 0..1500u32],
    ) {
        let mut played = Played::new(false);
        let leaves = leaves.index(talk.len());
        for (index, turn) in talk.iter().enumerate() {
            if index == leaves {
                played.leave(true);
            }
            played.say(turn, &cuts, pace * MS);
        }
        let heard = seen(played.to_client());
        let (exact, heard) = match heard.split_last() {
            Some((last, others)) if played.is_over() => (Some(last), others),
            _ => (None, &heard[..]),
        };
        let asks = |frame: &Seen, says: [u8; 8]| frame.kind == 6 && frame.payload == says;
        let ours = |frame: &&Seen| {
            frame.kind == 7 || asks(frame, AT_REST) || asks(frame, WARNED)
        };
        for at in (0..heard.len()).filter(|at| ours(&&heard[*at])) {
            let continues = heard.get(at + 1).is_some_and(|frame| frame.kind == 9);
            prop_assert!(!continues, "inside of a header block");
        }
        let words: Vec<&Seen> = heard.iter().filter(ours).collect();
        let warned = words.iter().position(|frame| frame.kind == 7);
        for (index, word) in words.iter().enumerate() {
            // The question, the warning, and whether that was read: each once, in this order.
            let is_in_order = match word.kind {
                7 => index <= 1 && warned == Some(index),
                _ if asks(word, AT_REST) => index == 0,
                _ => warned.is_some_and(|warned| index == warned + 1),
            };
            prop_assert!(is_in_order, "{:?}", words);
        }
        let theirs: Vec<&Seen> = heard.iter().filter(|frame| !ours(frame)).collect();
        let app = seen(played.app_said());
        prop_assert!(theirs.iter().zip(&app).all(|(heard, said)| *heard == said));
        prop_assert!(played.is_over() || theirs.len() == app.len());

        if let Some(exact) = exact {
            prop_assert_eq!(exact.kind, 7);
            let asked = seen(&played.to_app()[PREFACE.len()..]);
            let opened = asked.iter().filter(|frame| frame.kind == 1).map(|frame| frame.stream);
            let opened: Vec<u32> = opened.collect();
            let last = opened.iter().max().copied().unwrap_or(0);
            prop_assert_eq!(&exact.payload[..4], &last.to_be_bytes());
            let ends = |frame: &Seen| frame.kind == 3 || (frame.kind < 2 && frame.flags & 1 != 0);
            for stream in opened {
                let ended = heard.iter().any(|frame| frame.stream == stream && ends(frame));
                prop_assert!(ended, "stream {} is open", stream);
            }
        }
    }
}
