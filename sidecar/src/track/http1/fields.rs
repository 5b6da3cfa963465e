//! The fields of a head that matter here.

use super::body::Framing;
use super::head::Upgrade;
use crate::track::Odd;
use httparse::Header;

/// The User-Agents of health checkers, whose requests are no traffic.
const HEALTH_CHECKERS: [&[u8]; 3] = [b"kube-probe/", b"ELB-HealthChecker/", b"GoogleHC/"];

/// The fields that say how a message is delimited and what becomes of the connection.
#[derive(Default)]
pub(super) struct Fields {
    length: Option<u64>,
    chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
    pub(super) upgrade: Option<Upgrade>,
    pub(super) health_check: bool,
    /// The body is an event stream.
    pub(super) event_stream: bool,
    /// One is accepted.
    pub(super) accepts_event_stream: bool,
    /// The body is compressed, or coded in another way.
    pub(super) coded: bool,
}

impl Fields {
    pub(super) fn read(headers: &[Header<'_>]) -> Result<Fields, Odd> {
        let mut fields = Fields::default();
        for Header { name, value } in headers {
            // The lengths tell most fields apart without looking at a letter.
            match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => {
                    fields.length = Some(one(fields.length, value, decimal)?);
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    fields.chunked = Some(one(fields.chunked, value, is_chunked)?);
                }
                10 if name.eq_ignore_ascii_case("connection") => {
                    for token in tokens(value) {
                        fields.close |= token.eq_ignore_ascii_case(b"close");
                        fields.keep_alive |= token.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                7 if name.eq_ignore_ascii_case("upgrade") => {
                    fields.upgrade = Some(match fields.upgrade {
                        None => upgrade(value),
                        Some(_) => Upgrade::Other,
                    });
                }
                10 if name.eq_ignore_ascii_case("user-agent") => {
                    fields.health_check =
                        HEALTH_CHECKERS.iter().any(|name| value.starts_with(name));
                }
                12 if name.eq_ignore_ascii_case("content-type") => {
                    fields.event_stream |= is_event_stream(value);
                }
                6 if name.eq_ignore_ascii_case("accept") => {
                    fields.accepts_event_stream |= tokens(value).any(is_event_stream);
                }
                16 if name.eq_ignore_ascii_case("content-encoding") => {
                    fields.coded |= !value.trim_ascii().eq_ignore_ascii_case(b"identity");
                }
                _ => {}
            }
        }
        Ok(fields)
    }

    /// How the head delimits the body; `None` if it does not. Both ways at once, a transfer coding
    /// in HTTP/1.0, or any but chunked alone, is odd (RFC 9112, section 6.1).
    pub(super) fn framing(&self, version: u8) -> Result<Option<Framing>, Odd> {
        match (self.chunked, self.length) {
            (None, length) => Ok(length.map(Framing::Length)),
            (Some(true), None) if version == 1 => Ok(Some(Framing::Chunked)),
            _ => Err(Odd::Framing),
        }
    }

    /// RFC 9112, section 9.3.
    pub(super) fn persistent(&self, version: u8) -> bool {
        !self.close && (version == 1 || self.keep_alive)
    }
}

/// Whether a media type (RFC 9110, section 8.3.1) is that of event streams, whatever its
/// parameters.
fn is_event_stream(value: &[u8]) -> bool {
    const NAME: &[u8] = b"text/event-stream";
    let Some((name, parameters)) = value.split_at_checked(NAME.len()) else {
        return false;
    };
    let alone = matches!(parameters.first(), None | Some(b';' | b' ' | b'\t'));
    alone && name.eq_ignore_ascii_case(NAME)
}

/// The members of a comma-separated list.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn upgrade(value: &[u8]) -> Upgrade {
    match value.trim_ascii() {
        name if name.eq_ignore_ascii_case(b"websocket") => Upgrade::WebSocket,
        name if name.eq_ignore_ascii_case(b"h2c") => Upgrade::Http2,
        _ => Upgrade::Other,
    }
}

/// The value of a field that delimits the body and was `before`, if it was there already. It may be
/// there more than once, or be a list (RFC 9110, sections 5.3 and 8.6), as proxies make it that add
/// their own: as long as all are equal, whoever reads any of them reads the same.
fn one<T: PartialEq>(
    before: Option<T>,
    value: &[u8],
    read: fn(&[u8]) -> Result<T, Odd>,
) -> Result<T, Odd> {
    let mut one = before;
    for member in value.split(|byte| *byte == b',') {
        let member = read(member.trim_ascii())?;
        if one.is_some_and(|one| one != member) {
            return Err(Odd::Framing);
        }
        one = Some(member);
    }
    one.ok_or(Odd::Framing)
}

fn is_chunked(coding: &[u8]) -> Result<bool, Odd> {
    Ok(coding.eq_ignore_ascii_case(b"chunked"))
}

fn decimal(value: &[u8]) -> Result<u64, Odd> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Odd::Framing);
    }
    std::str::from_utf8(value)
        .map_err(|_| Odd::Framing)?
        .parse()
        .map_err(|_| Odd::Framing)
}
