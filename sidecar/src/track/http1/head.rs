//! What the head of a message says about its body and about the connection.

use super::body::Framing;
use super::fields::Fields;
use crate::track::Odd;
use std::mem::MaybeUninit;

/// The most fields of a head that are understood. Common servers stop at 100.
const FIELD_LIMIT: usize = 128;

/// The longest method that is taken for one: the longest registered is 17 letters.
const METHOD_LIMIT: usize = 24;

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

/// What a connection becomes after a 101 (RFC 9110, section 7.8), if that is known.
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

/// The head of a message in one of the two directions.
pub(super) trait Head: Sized {
    /// What must be known to read it.
    type Known;

    /// Whether these first bytes can be its own, as far as they go.
    fn begins(bytes: &[u8]) -> bool;

    /// Whether the first line of these bytes, which is complete, can be its own.
    fn first_line_fits(bytes: &[u8]) -> bool;

    /// Reads a complete head, of which the beginning was looked at.
    fn read(bytes: &[u8], known: Self::Known) -> Result<Self, Odd>;

    /// How many bytes before its own are to be ignored.
    fn ignored(bytes: &[u8]) -> usize;

    fn framing(&self) -> Framing;

    /// Another head follows, which belongs to the same message.
    fn is_interim(&self) -> bool;
}

// === impl RequestHead ===

impl Head for RequestHead {
    type Known = ();

    fn begins(bytes: &[u8]) -> bool {
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
        letters && !(complete && method.is_empty())
    }

    fn first_line_fits(bytes: &[u8]) -> bool {
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or(bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0")
    }

    fn read(bytes: &[u8], (): ()) -> Result<RequestHead, Odd> {
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
            // A tunnel's bytes begin right after the head; a body there means nothing.
            Some(_) if method == Method::Connect => return Err(Odd::Framing),
            Some(framing) => framing,
            None => Framing::None,
        };
        let upgrade = fields.upgrade.is_some() || method == Method::Connect;
        Ok(RequestHead {
            method,
            framing,
            upgrade,
            event_stream: is_get
                && framing.body().is_none()
                && !upgrade
                && fields.accepts_event_stream,
            persistent: fields.persistent(version),
            health_check: fields.health_check,
        })
    }

    /// RFC 9112, section 2.2: an empty line before a request.
    fn ignored(bytes: &[u8]) -> usize {
        bytes
            .iter()
            .take_while(|byte| matches!(byte, b'\r' | b'\n'))
            .count()
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn is_interim(&self) -> bool {
        false
    }
}

// === impl ResponseHead ===

impl Head for ResponseHead {
    /// What was asked (RFC 9112, section 6.3).
    type Known = Method;

    fn begins(bytes: &[u8]) -> bool {
        const START: &[u8] = b"HTTP/1.";
        let length = bytes.len().min(START.len());
        bytes[..length] == START[..length]
    }

    fn first_line_fits(_: &[u8]) -> bool {
        true
    }

    fn read(bytes: &[u8], method: Method) -> Result<ResponseHead, Odd> {
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

    fn ignored(_: &[u8]) -> usize {
        0
    }

    fn framing(&self) -> Framing {
        self.framing
    }

    fn is_interim(&self) -> bool {
        self.status < 200
    }
}

/// That the parser has read all of a head.
fn check_parsed(parsed: httparse::Result<usize>, head: &[u8]) -> Result<(), Odd> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == head.len() => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Odd::TooMany),
        _ => Err(Odd::Malformed),
    }
}
