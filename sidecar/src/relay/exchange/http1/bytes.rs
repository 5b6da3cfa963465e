//! Goodbyes of HTTP/1: `Connection: close` in the app's answer, and the answers that the relay
//! gives where no app will.

use crate::track::http1::tokens;

/// The answer to a request that the app never saw a byte of: it is safe to send it again, and soon.
pub(crate) const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\
    Retry-After: 1\r\nContent-Length: 0\r\n\r\n";

/// The answer to a request that the app has seen, wholly or in part, and not begun to answer when
/// the deadline came. No Retry-After: sending it again might do it twice.
pub(crate) const TIMEOUT: &[u8] = b"HTTP/1.1 504 Gateway Timeout\r\nConnection: close\r\n\
    Content-Length: 0\r\n\r\n";

/// The last chunk of a body, without trailers (RFC 9112, section 7.1): it ends an event stream,
/// whose client connects again by itself.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// A complete response head with `Connection: close` right after its status line, without the
/// tokens `close` and `keep-alive` elsewhere (RFC 9110, section 7.6.1), and else as it was.
///
/// A field whose only tokens were those goes; one that the app folded over two lines (obsolete, RFC
/// 9112, section 5.2) never comes here, because the tracker calls it odd.
pub(crate) fn with_close(head: &[u8]) -> Vec<u8> {
    const CLOSE: &[u8] = b"Connection: close\r\n";
    let mut out = Vec::with_capacity(head.len() + CLOSE.len());
    for (index, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match connection_value(line) {
            _ if index == 0 => {
                out.extend_from_slice(line);
                out.extend_from_slice(CLOSE);
            }
            None => out.extend_from_slice(line),
            Some(value) => push_others(&mut out, value),
        }
    }
    out
}

/// The value of a Connection field.
fn connection_value(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"connection:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then_some(value)
}

/// The field again with its other tokens, if it has any.
fn push_others(out: &mut Vec<u8>, value: &[u8]) {
    let others = tokens(value).filter(|token| {
        !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive")
    });
    let others: Vec<&[u8]> = others.collect();
    if !others.is_empty() {
        out.extend_from_slice(b"Connection: ");
        out.extend_from_slice(&others.join(&b", "[..]));
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(head: &str) -> String {
        String::from_utf8(with_close(head.as_bytes())).unwrap()
    }

    /// The goodbye goes after the status line; nothing else changes.
    #[test]
    fn close_goes_behind_the_status_line() {
        assert_eq!(
            said("HTTP/1.1 200 OK\r\nA: 1\r\nB: connection:\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nA: 1\r\nB: connection:\r\n\r\n"
        );
    }

    /// What contradicts it goes, what says something else stays.
    #[test]
    fn other_words_about_the_connection_stay() {
        assert_eq!(
            said("HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\nA: 1\r\n\r\n"),
            "HTTP/1.0 200 OK\r\nConnection: close\r\nA: 1\r\n\r\n"
        );
        assert_eq!(
            said("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop ,close\r\n\r\n"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: X-Hop\r\n\r\n"
        );
    }
}
