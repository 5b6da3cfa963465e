//! One direction of a connection, frame by frame.

use super::frame::{CONTINUATION, FrameHead, HEAD, HEADERS, PUSH_PROMISE, SETTINGS};
use crate::track::{Odd, Step};

/// The longest payload that anybody may send unasked (RFC 9113, section 4.2).
const FRAME_SIZE: u32 = 1 << 14;

/// SETTINGS_MAX_FRAME_SIZE (RFC 9113, section 6.5.2).
const MAX_FRAME_SIZE: u16 = 5;

/// How much of a payload is kept: as much as the longest thing of fixed length in any.
const KEPT: usize = 8;

/// Goes over frames, and keeps the little of their payloads that matters.
#[derive(Debug)]
pub(super) struct Frames {
    /// Where the payload of a frame is under way: its header.
    head: Option<FrameHead>,
    /// The bytes of a header that is not complete, or the first of the payload; of SETTINGS those
    /// of the parameter that is under way.
    bytes: [u8; HEAD],
    have: usize,
    /// What is still to come of the payload.
    left: u32,
    /// The HEADERS or PUSH_PROMISE that CONTINUATION must follow.
    block: Option<Frame>,
    /// No frame was seen: the first is SETTINGS (RFC 9113, section 3.4).
    first: bool,
    /// The longest payload that the other side takes, as far as it has said.
    limit: u32,
    /// The longest payload that this side takes, if the SETTINGS under way say so.
    takes: Option<u32>,
}

/// A frame of which the last byte was seen; of a header block in several frames, the whole block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) head: FrameHead,
    /// The first bytes of the payload; of SETTINGS none are kept.
    pub(super) start: [u8; KEPT],
    /// SETTINGS_MAX_FRAME_SIZE.
    pub(super) takes: Option<u32>,
}

impl Default for Frames {
    fn default() -> Frames {
        Frames {
            head: None,
            bytes: [0; HEAD],
            have: 0,
            left: 0,
            block: None,
            first: true,
            limit: FRAME_SIZE,
            takes: None,
        }
    }
}

impl Frames {
    /// True if the next byte begins a frame, and a frame of another kind may come before it.
    pub(super) fn is_between(&self) -> bool {
        self.is_between_frames() && self.block.is_none()
    }

    /// True if the next byte begins a frame, perhaps one that continues a header block.
    pub(super) fn is_between_frames(&self) -> bool {
        self.head.is_none() && self.have == 0
    }

    /// The header of the frame that is under way; `None` before it is complete.
    pub(super) fn head(&self) -> Option<FrameHead> {
        self.head
    }

    /// The header block that is under way: the header of its first frame.
    pub(super) fn block(&self) -> Option<FrameHead> {
        self.block.map(|frame| frame.head).or(self
            .head
            .filter(|head| matches!(head.kind, HEADERS | PUSH_PROMISE)))
    }

    /// True before the first byte of the first frame's end.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// The other side takes payloads of this length. One that takes less from now on may still be
    /// sent what it took before, so this only grows.
    pub(super) fn allow(&mut self, length: u32) {
        self.limit = self.limit.max(length);
    }

    /// Goes over `input` up to the end of a frame. What belongs to a header block in several frames
    /// is reported once, at its end; the frames before it end with `Some(None)`. `may_send` says
    /// whether this side may send such a frame.
    pub(super) fn advance(
        &mut self,
        input: &[u8],
        may_send: fn(FrameHead) -> bool,
    ) -> Result<Step<Option<Frame>>, Odd> {
        let mut used = 0;
        let head = match self.head {
            Some(head) => head,
            None => {
                used = input.len().min(HEAD - self.have);
                self.bytes[self.have..self.have + used].copy_from_slice(&input[..used]);
                self.have += used;
                if self.first {
                    self.check_first()?;
                }
                if self.have < HEAD {
                    return Ok(Step { used, event: None });
                }
                let head = FrameHead::read(self.bytes);
                self.check(head)?;
                if !may_send(head) {
                    return Err(Odd::Malformed);
                }
                self.have = 0;
                self.left = head.length;
                self.head = Some(head);
                head
            }
        };
        let rest = &input[used..];
        let payload = usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
        self.keep(head, &rest[..payload]);
        // It is at most what is left, which is of this type.
        self.left -= payload as u32;
        used += payload;
        let event = (self.left == 0).then(|| self.end(head));
        Ok(Step { used, event })
    }

    /// The first frame is known byte by byte, so that a greeting of another protocol is not taken
    /// for the start of one.
    fn check_first(&self) -> Result<(), Odd> {
        let plausible =
            self.bytes[..self.have]
                .iter()
                .enumerate()
                .all(|(index, byte)| match index {
                    1 | 2 => true,
                    3 => *byte == SETTINGS,
                    _ => *byte == 0,
                });
        plausible.then_some(()).ok_or(Odd::NotHttp)
    }

    fn check(&self, head: FrameHead) -> Result<(), Odd> {
        head.check()?;
        // RFC 9113, section 6.10: nothing comes between the frames of a header block.
        let continues = head.kind == CONTINUATION;
        let in_order = match self.block {
            Some(block) => continues && block.head.stream == head.stream,
            None => !continues,
        };
        (in_order && head.length <= self.limit)
            .then_some(())
            .ok_or(Odd::Malformed)
    }

    fn keep(&mut self, head: FrameHead, payload: &[u8]) {
        if head.kind != SETTINGS {
            let kept = payload.len().min(KEPT - self.have);
            self.bytes[self.have..self.have + kept].copy_from_slice(&payload[..kept]);
            self.have += kept;
            return;
        }
        for byte in payload {
            self.bytes[self.have] = *byte;
            self.have += 1;
            if let [i0, i1, v0, v1, v2, v3] = self.bytes[..self.have] {
                self.have = 0;
                if u16::from_be_bytes([i0, i1]) == MAX_FRAME_SIZE {
                    self.takes = Some(u32::from_be_bytes([v0, v1, v2, v3]));
                }
            }
        }
    }

    fn end(&mut self, head: FrameHead) -> Option<Frame> {
        let mut start = [0; KEPT];
        if head.kind != SETTINGS {
            start[..self.have].copy_from_slice(&self.bytes[..self.have]);
        }
        let frame = Frame {
            head,
            start,
            takes: self.takes.take(),
        };
        self.head = None;
        self.have = 0;
        self.first = false;
        match head.kind {
            HEADERS | PUSH_PROMISE if !head.ends_block() => {
                self.block = Some(frame);
                None
            }
            CONTINUATION if !head.ends_block() => None,
            CONTINUATION => self.block.take(),
            _ => Some(frame),
        }
    }
}
