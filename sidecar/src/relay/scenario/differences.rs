//! What may differ between what one side said and what the other heard: each goodbye's own few
//! bytes and nothing else. Written without a look at the trackers, so that both can't be wrong in
//! the same way: it knows the words, not where they belong.

use crate::relay::exchange::http1::bytes::{LAST_CHUNK, TIMEOUT, UNAVAILABLE};
use crate::relay::exchange::http2::bytes::{AT_REST, WARNED, ping, warning};
use ebb_api::connections::WebSocketCode;

const CLOSE: &[u8] = b"Connection: close\r\n";

/// What the relay said to the client of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// GOAWAY of HTTP/2 that names no stream, once.
    warned: bool,
    /// PINGs of HTTP/2: what they said.
    asked: Vec<[u8; 8]>,
    /// `Connection: close`, once.
    close: bool,
}

/// How far the app's bytes have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// It may say more: the beginning of a head is kept.
    Now,
    /// It has said all.
    End,
    /// The connection is over: what it said after some place is dropped.
    Over,
}

/// That nothing differs.
pub(super) fn none(way: &str, said: &[u8], heard: &[u8]) -> Result<(), String> {
    if said == heard {
        return Ok(());
    }
    let at = same(said, heard);
    Err(format!(
        "{way}, of {} bytes {} arrived, and from {at} on {:?} became {:?}",
        said.len(),
        heard.len(),
        excerpt(&said[at..]),
        excerpt(&heard[at..])
    ))
}

/// That the client heard what the app said, with goodbyes.
pub(super) fn to_client(said: &[u8], heard: &[u8], until: Until) -> Result<Words, String> {
    let mut words = Words::default();
    if explained(said, heard, until, &mut words) {
        Ok(words)
    } else {
        none("to the client", said, heard).map(|()| words)
    }
}

/// That the app heard what the client said, but for the answer to our PING; up to some place if the
/// client's bytes wait, or the connection is over.
pub(super) fn to_app(said: &[u8], heard: &[u8], words: &Words, waits: bool) -> Result<(), String> {
    let mut left = words.asked.clone();
    if but_for_answers(said, heard, &mut left, waits) {
        return Ok(());
    }
    none("to the app", said, heard)
}

/// That `heard` is what was said but for answers to these questions, each once at most.
fn but_for_answers(said: &[u8], heard: &[u8], left: &mut Vec<[u8; 8]>, waits: bool) -> bool {
    let common = same(said, heard);
    if common == heard.len() && (waits || common == said.len()) {
        return true;
    }
    for place in 0..left.len() {
        let question = left.remove(place);
        let mut answer = ping(question);
        answer[4] = 0x1;
        for at in (0..=common).rev() {
            // The highest bit of the stream and all flags but ACK have no meaning, and may be set.
            let mut rest = said[at..(at + answer.len()).min(said.len())].to_vec();
            for (place, meant) in [(4, 0x1), (5, 0x7f)] {
                if let Some(byte) = rest.get_mut(place) {
                    *byte &= meant;
                }
            }
            // What kind of frame it is shows when its header is complete, and whose answer it is
            // when all of it is.
            let header = &rest[..rest.len().min(9)];
            let perhaps = header.len() < 9 || answer.starts_with(header);
            if heard.len() == at && rest.len() < answer.len() && perhaps {
                return true;
            }
            if rest == answer
                && but_for_answers(&said[at + answer.len()..], &heard[at..], left, waits)
            {
                return true;
            }
        }
        left.insert(place, question);
    }
    false
}

fn explained(said: &[u8], heard: &[u8], until: Until, words: &mut Words) -> bool {
    let common = same(said, heard);
    if common == heard.len() {
        let missing = &said[common..];
        let may_miss = match until {
            Until::Now => is_incomplete_head(missing),
            Until::End => false,
            Until::Over => true,
        };
        if missing.is_empty() || may_miss {
            return true;
        }
    }
    // Our words may begin with the bytes that come next in what was said.
    (0..=common).rev().any(|at| {
        let (told, rest) = heard.split_at(at);
        ends(rest, until)
            || is_warned(&said[at..], rest, until, words)
            || is_asked(&said[at..], rest, until, words)
            || is_parted(&said[at..], rest, until, told, words)
    })
}

/// The last words, after which nothing of the app's comes.
fn ends(rest: &[u8], until: Until) -> bool {
    let go_away =
        rest.len() == 17 && rest[..9] == [0, 0, 8, 7, 0, 0, 0, 0, 0] && rest[13..] == [0; 4];
    is_close_frame(rest)
        || until == Until::Over && (go_away || [UNAVAILABLE, TIMEOUT, LAST_CHUNK].contains(&rest))
}

/// The Close of a WebSocket, with any code that a policy may name.
pub(super) fn is_close_frame(said: &[u8]) -> bool {
    let code = |high, low| i64::from(u16::from_be_bytes([high, low]));
    matches!(*said, [0x88, 2, high, low] if WebSocketCode::new(code(high, low)).is_some())
}

fn is_warned(said: &[u8], rest: &[u8], until: Until, words: &mut Words) -> bool {
    let Some(behind) = rest.strip_prefix(&warning()[..]) else {
        return false;
    };
    if words.warned {
        return false;
    }
    words.warned = true;
    let explained = explained(said, behind, until, words);
    words.warned = explained;
    explained
}

fn is_asked(said: &[u8], rest: &[u8], until: Until, words: &mut Words) -> bool {
    let asks = |question: &&[u8; 8]| rest.starts_with(&ping(**question));
    let Some(question) = [AT_REST, WARNED].iter().find(asks) else {
        return false;
    };
    words.asked.push(*question);
    let behind = &rest[ping(*question).len()..];
    let explained = explained(said, behind, until, words);
    if !explained {
        words.asked.pop();
    }
    explained
}

/// `Connection: close` after a status line, and the rest of that head without its opposite.
fn is_parted(said: &[u8], rest: &[u8], until: Until, told: &[u8], words: &mut Words) -> bool {
    let Some(behind) = rest.strip_prefix(CLOSE) else {
        return false;
    };
    let status_line = told
        .strip_suffix(b"\r\n")
        .and_then(|lines| lines.rsplit(|byte| *byte == b'\n').next())
        .is_some_and(|line| line.windows(7).any(|version| version == b"HTTP/1."));
    if !status_line {
        return false;
    }
    let Some(length) = head_length(said).filter(|_| !words.close) else {
        return false;
    };
    let head: Vec<u8> = said[..length]
        .split_inclusive(|byte| *byte == b'\n')
        .flat_map(without_opposite)
        .collect();
    words.close = true;
    let explained = behind
        .strip_prefix(&head[..])
        .is_some_and(|behind| explained(&said[length..], behind, until, words));
    words.close = explained;
    explained
}

/// A line of a head; of a Connection field what is neither `close` nor `keep-alive`.
fn without_opposite(line: &[u8]) -> Vec<u8> {
    let text: String = line.iter().map(|byte| char::from(*byte)).collect();
    let Some((name, value)) = text.split_once(':') else {
        return line.to_vec();
    };
    if !name.eq_ignore_ascii_case("connection") {
        return line.to_vec();
    }
    let others: Vec<&str> = value
        .split(',')
        .map(|token| token.trim_matches([' ', '\t', '\r', '\n', '\x0c']))
        .filter(|token| !["", "close", "keep-alive"].contains(&&*token.to_ascii_lowercase()))
        .collect();
    if others.is_empty() {
        return Vec::new();
    }
    let line = format!("Connection: {}\r\n", others.join(", "));
    line.chars().map(|letter| letter as u8).collect()
}

/// The length of the fields of a head, with the empty line.
fn head_length(fields: &[u8]) -> Option<usize> {
    if fields.starts_with(b"\r\n") {
        return Some(2);
    }
    let end = fields.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some(end + 4)
}

/// The beginning of a response head, which is kept until it is complete.
fn is_incomplete_head(bytes: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let length = bytes.len().min(START.len());
    bytes[..length] == START[..length] && head_length(bytes).is_none()
}

fn same(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn excerpt(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(80)].escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::exchange::http1::bytes::with_close;
    use crate::relay::exchange::http2::bytes::go_away;

    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: keep-alive, x\r\nA: b\r\n\r\n";

    /// Each word of ours is known, and only where it may stand.
    #[test]
    fn goodbyes_are_known() {
        let is = |said: &[u8], heard: &[u8], until| to_client(said, heard, until).is_ok();
        assert!(is(HEAD, &with_close(HEAD), Until::Now));
        assert!(is(b"ab", &[b"a", &go_away(7)[..]].concat(), Until::Over));
        assert!(is(
            b"ab",
            &[b"a", &warning()[..], b"b"].concat(),
            Until::Now
        ));
        let asked = [b"a", &ping(AT_REST)[..], &warning()[..], b"b"].concat();
        assert!(is(b"ab", &asked, Until::Now));
        assert!(is(b"ab", b"a\x88\x02\x03\xe9", Until::Now));
        assert!(!is(b"ab", b"a\x88\x02\x03\xee", Until::Now), "1006");
        assert!(is(b"", UNAVAILABLE, Until::Over));
        assert!(is(b"ab", &[b"a", LAST_CHUNK].concat(), Until::Over));
        assert!(
            is(b"ab", b"a", Until::Over),
            "what the app says after the end"
        );
        let held = b"aHTTP/1.1 200 OK\r\n";
        assert!(is(held, b"a", Until::Now));
        assert!(!is(held, b"a", Until::End));
    }

    /// Anything else is wrong.
    #[test]
    fn other_words_are_wrong() {
        let is = |said: &[u8], heard: &[u8], until| to_client(said, heard, until).is_ok();
        assert!(!is(b"ab", b"a", Until::Now), "lost");
        assert!(!is(b"ab", b"ac", Until::Over), "changed");
        assert!(!is(b"ab", &[b"a", &go_away(7)[..]].concat(), Until::Now));
        assert!(!is(
            b"ab",
            &[b"a", &go_away(7)[..], b"b"].concat(),
            Until::Over
        ));
        let twice = [&warning()[..], &warning()[..]].concat();
        assert!(!is(b"", &twice, Until::Now));
        let elsewhere = [&HEAD[..43], CLOSE, &HEAD[43..]].concat();
        assert!(!is(HEAD, &elsewhere, Until::Now));
        let kept = [&HEAD[..17], CLOSE, &HEAD[17..]].concat();
        assert!(!is(HEAD, &kept, Until::Now), "both at once");
        assert!(to_app(b"ab", b"a", &Words::default(), false).is_err());
        let mut answer = ping(AT_REST);
        answer[4] = 1;
        let twice = [b"a", &answer[..], &answer[..], b"b"].concat();
        let words = Words {
            asked: vec![AT_REST],
            ..Words::default()
        };
        let once = [b"a", &answer[..], b"b"].concat();
        assert!(to_app(&twice, &once, &words, false).is_ok());
        assert!(
            to_app(&twice, b"ab", &words, false).is_err(),
            "it was asked once"
        );
    }
}
