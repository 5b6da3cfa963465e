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
        let mut repeated = false;
        for Header { name, value } in headers {
            // The lengths tell most fields apart without looking at a letter.
            match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => {
                    repeated |= fields.length.replace(decimal(value)?).is_some();
                }
                17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                    let chunked = value.trim_ascii().eq_ignore_ascii_case(b"chunked");
                    repeated |= fields.chunked.replace(chunked).is_some();
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
        // Two of what delimits the body, even equal ones, are read differently by different
        // servers.
        if repeated {
            return Err(Odd::Framing);
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

fn decimal(value: &[u8]) -> Result<u64, Odd> {
    let value = value.trim_ascii();
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(Odd::Framing);
    }
    std::str::from_utf8(value)
        .map_err(|_| Odd::Framing)?
        .parse()
        .map_err(|_| Odd::Framing)
}
