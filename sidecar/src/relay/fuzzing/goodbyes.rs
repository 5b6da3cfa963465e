//! What the relay may change: the app's bytes are the client's, in order, but for the words of a
//! goodbye in places where it may stand. Judged from both ends alone.

use super::frames::{is_between_http2_frames, is_between_websocket_frames};
use crate::goodbye::http2::warning;
use crate::goodbye::websocket::GOING_AWAY;

/// A word of the relay, and where in the app's bytes it was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Close(usize),
    Warning(usize),
    /// GOAWAY with the last stream.
    Exact(usize, u32),
    GoingAway(usize),
}

/// Where the app's bytes are frames, as far as that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framed {
    /// Those of HTTP/2 begin here.
    pub(super) http2: Option<usize>,
    /// Those of WebSocket begin here.
    pub(super) websocket: Option<usize>,
}

/// The relay's words in what the client heard; nothing if it differs from what the app said in any
/// other way.
pub(super) fn words(app: &[u8], heard: &[u8], framed: Framed) -> Option<Vec<Word>> {
    if app.starts_with(heard) {
        return Some(Vec::new());
    }
    let same = app.iter().zip(heard).take_while(|(a, b)| a == b).count();
    // The word may begin with bytes that the app's next ones begin with, too.
    (0..=same)
        .rev()
        .find_map(|place| word_at(app, heard, place, framed))
}

fn word_at(app: &[u8], heard: &[u8], place: usize, framed: Framed) -> Option<Vec<Word>> {
    let rest = &heard[place..];
    let between_http2 = || {
        framed
            .http2
            .is_none_or(|from| place > from && is_between_http2_frames(&app[from..], place - from))
    };
    let between_messages = || {
        framed.websocket.is_none_or(|from| {
            place >= from && is_between_websocket_frames(&app[from..], place - from).1
        })
    };
    if let Some(behind) = rest.strip_prefix(&warning())
        && between_http2()
    {
        let without = [&heard[..place], behind].concat();
        let later = words(app, &without, framed)?;
        let once = !later.iter().any(|word| matches!(word, Word::Warning(_)));
        return once.then(|| [vec![Word::Warning(place)], later].concat());
    }
    match rest {
        [0, 0, 8, 7, 0, 0, 0, 0, 0, l0, l1, l2, l3, 0, 0, 0, 0] if between_http2() => {
            let last = u32::from_be_bytes([*l0, *l1, *l2, *l3]);
            return Some(vec![Word::Exact(place, last)]);
        }
        _ if rest == GOING_AWAY && between_messages() => return Some(vec![Word::GoingAway(place)]),
        _ => {}
    }
    let behind = rest.strip_prefix(b"Connection: close\r\n")?;
    // It may follow a body without an end of line.
    let status_line = app[..place].rsplit(|byte| *byte == b'\n').nth(1)?;
    let (head, body) = head(&app[place..])?;
    let (heard_head, heard_body) = self::head(behind)?;
    (status_line.windows(7).any(|window| window == b"HTTP/1.")
        && fields(head) == fields(heard_head)
        && body.starts_with(heard_body))
    .then(|| vec![Word::Close(place)])
}

/// The fields of a head, and what is behind it.
fn head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    // With no field at all the empty line follows the status line.
    if let Some(behind) = bytes.strip_prefix(b"\r\n") {
        return Some((b"", behind));
    }
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&bytes[..end], &bytes[end + 4..]))
}

/// What the fields say: those of Connection as tokens, without the two that a goodbye replaces, and
/// all others as they are.
fn fields(head: &[u8]) -> (Vec<&[u8]>, Vec<Vec<u8>>) {
    const NAME: &[u8] = b"connection:";
    let mut others = Vec::new();
    let mut tokens = Vec::new();
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.split_at_checked(NAME.len()) {
            Some((name, value)) if name.eq_ignore_ascii_case(NAME) => {
                let own = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                tokens.extend(
                    own.filter(|token| {
                        !token.is_empty()
                            && !token.eq_ignore_ascii_case(b"close")
                            && !token.eq_ignore_ascii_case(b"keep-alive")
                    })
                    .map(<[u8]>::to_vec),
                );
            }
            _ => others.push(line),
        }
    }
    others.retain(|line| !line.is_empty());
    (others, tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goodbye::http2::go_away;

    /// What the judge lets pass, and what it does not.
    #[test]
    fn only_goodbyes_in_their_places_pass() {
        let any = Framed::default();
        assert_eq!(words(b"abc", b"ab", any), Some(vec![]));
        assert_eq!(words(b"abc", b"ac", any), None);
        assert_eq!(words(b"ab", b"abc", any), None);
        let app = b"HTTP/1.1 200 OK\r\nA: 1\r\nConnection: keep-alive, x\r\n\r\nbody";
        let close = |behind: &[u8]| {
            let heard = [b"HTTP/1.1 200 OK\r\nConnection: close\r\n", behind].concat();
            words(app, &heard, any)
        };
        let good = Some(vec![Word::Close(17)]);
        assert_eq!(close(b"A: 1\r\nConnection: x\r\n\r\nbo"), good);
        assert_eq!(close(b"A: 2\r\nConnection: x\r\n\r\nbo"), None);
        assert_eq!(close(b"A: 1\r\n\r\nbo"), None);
        assert_eq!(close(b"A: 1\r\nConnection: x\r\n\r\nob"), None);
        let http2 = Framed {
            http2: Some(0),
            ..any
        };
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let told = [&settings[..], &warning(), &settings, &go_away(1)].concat();
        assert_eq!(
            words(&settings.repeat(3), &told, http2),
            Some(vec![Word::Warning(9), Word::Exact(18, 1)])
        );
        assert_eq!(words(&settings, &go_away(1), http2), None);
        let websocket = Framed {
            websocket: Some(0),
            ..any
        };
        let parts = b"\x01\x01a\x80\x01b";
        let told = |at: usize| words(parts, &[&parts[..at], &GOING_AWAY].concat(), websocket);
        assert_eq!(told(3), None);
        assert_eq!(told(6), Some(vec![Word::GoingAway(6)]));
    }
}
