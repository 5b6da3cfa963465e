//! Heads: finding their end in any split of the stream, and what they say about the body.

use super::body::Framing;
use crate::track::Odd;
use httparse::Header;
use memchr::memchr2;
use std::mem::MaybeUninit;

/// The longest head that is understood; what is longer is opaque. Common servers stop at 8 to
/// 32 KiB.
pub const HEAD_LIMIT: usize = 64 * 1024;

/// The most fields of a head that are understood. Common servers stop at 100.
const FIELD_LIMIT: usize = 128;

/// The longest method that is taken for one: the longest registered is 17 letters.
const METHOD_LIMIT: usize = 24;

/// The User-Agents of health checkers, whose requests are no traffic.
const HEALTH_CHECKERS: [&[u8]; 3] = [b"kube-probe/", b"ELB-HealthChecker/", b"GoogleHC/"];

/// What a request's method means for its response (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// HEAD: the response has no body.
    Head,
    /// CONNECT: after a 2xx the connection is a tunnel.
    Connect,
    /// Any other.
    Other,
}

/// What a connection becomes behind a 101 (RFC 9110, section 7.8), if we know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// HTTP/2 without TLS.
    Http2,
    /// WebSocket.
    WebSocket,
    /// Something else, or more than one.
    Other,
}

/// What a request's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// The method, as far as it matters.
    pub method: Method,
    /// How its body is delimited.
    pub framing: Framing,
    /// The client asks for another protocol: what follows may not be HTTP.
    pub upgrade: bool,
    /// The client wants the connection to go on (RFC 9112, section 9.3).
    pub persistent: bool,
    /// A health checker sent it.
    pub health_check: bool,
    /// A GET without a body that accepts an event stream.
    pub event_stream: bool,
}

/// What a response's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// How its body is delimited.
    pub framing: Framing,
    /// The app lets the connection go on (RFC 9112, section 9.3).
    pub persistent: bool,
    /// The protocol that the connection changes to, in a 101.
    pub upgrade: Option<Upgrade>,
    /// Its body is an event stream that goes on for as long as the app likes.
    pub event_stream: Option<EventStreamBody>,
}

/// How an event stream is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventStreamBody {
    /// As it is, in chunks: its events can be seen.
    Chunked,
    /// Compressed, or up to the end of the connection.
    Other,
}

/// The bytes of a head, gathered over any number of reads, and looked at once each.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Empty as long as nothing came; a head that comes in one read is never copied.
    bytes: Vec<u8>,
    line: Line,
    /// The first line is complete, and was looked at.
    first_line: bool,
}

/// A place in a line of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    #[default]
    Start,
    Inside,
    /// Behind the CR of a line with something in it.
    Cr,
    /// Behind the CR of an empty line.
    LastCr,
}

/// A CR without its LF, or the other way round, which shows at this byte of the input.
struct Bare {
    at: usize,
}

// === impl Gathered ===

impl Gathered {
    /// Adds `input`. With the end of the head in it, tells how much of the input belongs to it and
    /// what `read` makes of the whole head; without, keeps it all.
    pub(super) fn add<T>(
        &mut self,
        input: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Odd>,
        plausible: impl Fn(&[u8], bool) -> bool,
    ) -> Result<Option<(usize, T)>, Odd> {
        let end = match self.find_end(input) {
            Ok(end) => end,
            Err(Bare { at }) => {
                let odd = match self.bytes.len() + at {
                    HEAD_LIMIT.. => Odd::TooMany,
                    _ => Odd::Malformed,
                };
                return Err(self.doubt(odd, &input[..=at], plausible));
            }
        };
        if self.bytes.len() + end.unwrap_or(input.len()) > HEAD_LIMIT {
            return Err(self.doubt(Odd::TooMany, input, plausible));
        }
        let Some(end) = end else {
            self.bytes.extend_from_slice(input);
            if !self.first_line {
                // The first bytes are looked at in every piece, the line once, when it is complete:
                // no split makes this expensive.
                self.first_line = input.contains(&b'\n');
                if !plausible(&self.bytes, self.first_line) {
                    return Err(Odd::NotHttp);
                }
            }
            return Ok(None);
        };
        let head = if self.bytes.is_empty() {
            read(&input[..end])?
        } else {
            self.bytes.extend_from_slice(&input[..end]);
            read(&self.bytes)?
        };
        Ok(Some((end, head)))
    }

    /// Forgets the head, and its memory: an idle connection holds none.
    pub(super) fn clear(&mut self) {
        *self = Gathered::default();
    }

    /// Why what can't be a head up to the end of `input` is odd: for this reason, unless it never
    /// began like a head. The same in every split: what comes after the limit is not looked at.
    fn doubt(&mut self, odd: Odd, input: &[u8], plausible: impl Fn(&[u8], bool) -> bool) -> Odd {
        let rest = HEAD_LIMIT + 1 - self.bytes.len();
        self.bytes
            .extend_from_slice(&input[..rest.min(input.len())]);
        match plausible(&self.bytes, self.bytes.contains(&b'\n')) {
            true => odd,
            false => Odd::NotHttp,
        }
    }

    /// Looks for the empty line. A bare CR or LF (RFC 9112, section 2.2) is read differently by
    /// different servers.
    fn find_end(&mut self, input: &[u8]) -> Result<Option<usize>, Bare> {
        let mut index = 0;
        while index < input.len() {
            self.line = match (self.line, input[index]) {
                (Line::Inside, b'\r') => Line::Cr,
                (Line::Start, b'\r') => Line::LastCr,
                (Line::Cr, b'\n') => Line::Start,
                (Line::LastCr, b'\n') => return Ok(Some(index + 1)),
                (Line::Cr | Line::LastCr, _) | (_, b'\n') => return Err(Bare { at: index }),
                (Line::Start | Line::Inside, _) => {
                    // Only the ends of lines matter: the way to the next is one search.
                    let rest = &input[index + 1..];
                    index += memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    Line::Inside
                }
            };
            index += 1;
        }
        Ok(None)
    }
}

/// Whether the beginning of a head can still become a request of HTTP/1: the method at once, the
/// version when the first line is complete.
pub(super) fn plausible_request(bytes: &[u8], first_line_complete: bool) -> bool {
    let start = &bytes[..bytes.len().min(METHOD_LIMIT + 1)];
    let method = match start.iter().position(|byte| *byte == b' ') {
        Some(end) => &start[..end],
        None if start.len() > METHOD_LIMIT => return false,
        None => start,
    };
    let complete = method.len() < start.len();
    let letters = method
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    if !letters || (complete && method.is_empty()) {
        return false;
    }
    if !first_line_complete {
        return true;
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
}

/// Whether the beginning of a head can still become a response of HTTP/1.
pub(super) fn plausible_response(bytes: &[u8], _first_line_complete: bool) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let length = bytes.len().min(START.len());
    bytes[..length] == START[..length]
}

/// Reads a complete request head.
pub(super) fn read_request(bytes: &[u8]) -> Result<RequestHead, Odd> {
    if !plausible_request(bytes, true) {
        return Err(Odd::NotHttp);
    }
    let mut headers = [const { MaybeUninit::uninit() }; FIELD_LIMIT];
    let mut request = httparse::Request::new(&mut []);
    check_parsed(
        request.parse_with_uninit_headers(bytes, &mut headers),
        bytes,
    )?;
    let method = request.method.ok_or(Odd::Malformed)?;
    let fields = Fields::read(request.headers)?;
    let version = request.version.ok_or(Odd::Malformed)?;
    let is_get = method == "GET";
    let method = match method {
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        _ => Method::Other,
    };
    let framing = match fields.framing(version)? {
        // A tunnel's bytes begin right behind the head; a body there means nothing.
        Some(_) if method == Method::Connect => return Err(Odd::Framing),
        Some(framing) => framing,
        None => Framing::None,
    };
    let upgrade = fields.upgrade.is_some() || method == Method::Connect;
    Ok(RequestHead {
        method,
        framing,
        upgrade,
        event_stream: is_get && framing.body().is_none() && !upgrade && fields.accepts_event_stream,
        persistent: fields.persistent(version),
        health_check: fields.health_check,
    })
}

/// Reads a complete response head, knowing what was asked (RFC 9112, section 6.3).
pub(super) fn read_response(bytes: &[u8], method: Method) -> Result<ResponseHead, Odd> {
    if !plausible_response(bytes, true) {
        return Err(Odd::NotHttp);
    }
    let mut headers = [const { MaybeUninit::uninit() }; FIELD_LIMIT];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut headers,
    );
    check_parsed(parsed, bytes)?;
    let status = response.code.ok_or(Odd::Malformed)?;
    let version = response.version.ok_or(Odd::Malformed)?;
    let fields = Fields::read(response.headers)?;
    let framing = fields.framing(version)?;
    let framing = match (method, status) {
        (_, 0..=99 | 600..) => return Err(Odd::Malformed),
        (Method::Head, _) | (_, 100..=199 | 204 | 304) => Framing::None,
        _ => framing.unwrap_or(Framing::UntilClose),
    };
    Ok(ResponseHead {
        status,
        framing,
        persistent: fields.persistent(version) && framing != Framing::UntilClose,
        upgrade: fields.upgrade.filter(|_| status == 101),
        event_stream: match framing {
            _ if status != 200 || !fields.event_stream => None,
            Framing::Chunked if !fields.coded => Some(EventStreamBody::Chunked),
            Framing::Chunked | Framing::UntilClose => Some(EventStreamBody::Other),
            Framing::None | Framing::Length(_) => None,
        },
    })
}

/// That the parser has read all of a head.
fn check_parsed(parsed: httparse::Result<usize>, head: &[u8]) -> Result<(), Odd> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == head.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Odd::TooMany),
        _ => Err(Odd::Malformed),
    }
}

/// The fields that say how a message is delimited and what becomes of the connection.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    chunked: Option<bool>,
    close: bool,
    keep_alive: bool,
    upgrade: Option<Upgrade>,
    health_check: bool,
    /// The body is an event stream.
    event_stream: bool,
    /// One is accepted.
    accepts_event_stream: bool,
    /// The body is compressed, or coded in another way.
    coded: bool,
}

impl Fields {
    fn read(headers: &[Header<'_>]) -> Result<Fields, Odd> {
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
        // Two of what delimits the body, even equal ones, are read differently by different servers.
        if repeated {
            return Err(Odd::Framing);
        }
        Ok(fields)
    }

    /// How the head delimits the body; nothing if it does not. Both ways at once, a transfer coding
    /// in HTTP/1.0, or any but chunked alone, is odd (RFC 9112, section 6.1).
    fn framing(&self, version: u8) -> Result<Option<Framing>, Odd> {
        match (self.chunked, self.length) {
            (None, length) => Ok(length.map(Framing::Length)),
            (Some(true), None) if version == 1 => Ok(Some(Framing::Chunked)),
            _ => Err(Odd::Framing),
        }
    }

    /// RFC 9112, section 9.3.
    fn persistent(&self, version: u8) -> bool {
        !self.close && (version == 1 || self.keep_alive)
    }
}

/// Whether a media type (RFC 9110, section 8.3.1) is that of event streams, whatever its parameters.
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
