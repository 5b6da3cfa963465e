//! Frames, told apart in the plainest way and without the trackers, so that the trackers have
//! somebody to disagree with. A stream is taken as valid; what is said of one that is not is not
//! asked for.

use crate::track::http2::LAST_STREAM;

/// A whole frame of HTTP/2 (RFC 9113, section 4.1).
pub(super) struct Http2Frame<'a> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'a [u8],
    /// Where it ends in the bytes.
    pub(super) end: usize,
}

impl PartialEq for Http2Frame<'_> {
    fn eq(&self, other: &Self) -> bool {
        let all = |frame: &Self| (frame.kind, frame.flags, frame.stream);
        all(self) == all(other) && self.payload == other.payload
    }
}

impl Http2Frame<'_> {
    /// A frame that the relay may say.
    pub(super) fn is_goodbye(&self) -> bool {
        self.kind == GOAWAY || self.asks()
    }

    /// A PING of the relay's.
    fn asks(&self) -> bool {
        self.kind == PING
            && [b"ebb-warn", b"ebb-rest"]
                .iter()
                .any(|says| self.payload == *says)
    }

    /// Whether a frame of another kind may follow: not inside of a header block.
    pub(super) fn may_be_followed(&self) -> bool {
        !matches!(self.kind, HEADERS | PUSH_PROMISE | CONTINUATION) || self.flags & END_HEADERS != 0
    }

    /// What a GOAWAY says.
    pub(super) fn last_stream(&self) -> Option<u32> {
        let last = self.payload.get(..4).filter(|_| self.kind == GOAWAY);
        last.map(number)
    }
}

/// What a direction of HTTP/2 said about streams.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The header blocks of new streams of the client, complete.
    pub(super) opened: Vec<u32>,
    /// END_STREAM and RST_STREAM.
    pub(super) ended: Vec<u32>,
    /// The lowest GOAWAY.
    pub(super) last: Option<u32>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

pub(super) fn http2(bytes: &[u8]) -> Vec<Http2Frame<'_>> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let [l0, l1, l2, kind, flags, s0, s1, s2, s3, behind @ ..] = rest {
        let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        let Some((payload, next)) = behind.split_at_checked(length) else {
            break;
        };
        frames.push(Http2Frame {
            kind: *kind,
            flags: *flags,
            stream: number(&[*s0, *s1, *s2, *s3]),
            payload,
            end: bytes.len() - next.len(),
        });
        rest = next;
    }
    frames
}

/// The bytes without the frames after `from` that ask the client to begin nothing more.
pub(super) fn without_warnings(bytes: &[u8], from: usize) -> Vec<u8> {
    let Some((before, framed)) = bytes.split_at_checked(from) else {
        return bytes.to_vec();
    };
    let mut kept = before.to_vec();
    let mut begin = 0;
    for frame in http2(framed) {
        if frame.last_stream() != Some(LAST_STREAM) {
            kept.extend_from_slice(&framed[begin..frame.end]);
        }
        begin = frame.end;
    }
    kept.extend_from_slice(&framed[begin..]);
    kept
}

/// What was said about streams in these bytes.
pub(super) fn streams(bytes: &[u8]) -> Said {
    let mut said = Said::default();
    let mut block = 0;
    for frame in http2(bytes) {
        if frame.kind == HEADERS {
            block = frame.stream;
        }
        if matches!(frame.kind, HEADERS | CONTINUATION)
            && frame.flags & END_HEADERS != 0
            && said.opened.last().is_none_or(|last| *last < block)
        {
            said.opened.push(block);
        }
        let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
        if ends || frame.kind == RST_STREAM {
            said.ended.push(frame.stream);
        }
        if let Some(last) = frame.last_stream() {
            said.last = Some(said.last.map_or(last, |before| before.min(last)));
        }
    }
    said
}

/// Whether a WebSocket frame of the app ends with these bytes (RFC 6455, section 5.2), and whether
/// a message does.
pub(super) fn is_between_websocket_frames(bytes: &[u8]) -> (bool, bool) {
    let mut rest = bytes;
    let mut in_message = false;
    while let [kind, length, behind @ ..] = rest {
        let extended = match length & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((extended, behind)) = behind.split_at_checked(extended) else {
            return (false, false);
        };
        let length = match extended {
            [] => u64::from(length & 0x7f),
            bytes => bytes
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
        };
        let behind = usize::try_from(length)
            .ok()
            .and_then(|length| behind.get(length..));
        let Some(behind) = behind else {
            return (false, false);
        };
        if kind & 0x8 == 0 {
            in_message = kind & 0x80 == 0;
        }
        rest = behind;
    }
    (rest.is_empty(), rest.is_empty() && !in_message)
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0_u32, |number, byte| number << 8 | u32::from(*byte))
        & (u32::MAX >> 1)
}
