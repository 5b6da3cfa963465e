//! The client's direction: what opens streams.

use super::frame::{FrameHead, HEADERS, PING, PUSH_PROMISE, RST_STREAM};
use super::frames::{Frame, Frames};
use crate::track::{Odd, Step};

/// Tracks the frames that a client sends after its preface.
#[derive(Debug, Default)]
pub struct Client {
    frames: Frames,
    last: u32,
    /// The request of that stream goes on behind its header block.
    goes_on: bool,
}

/// What a frame of the client meant, after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The header block of a new stream is complete.
    Opened(u32),
    /// It gave a stream up.
    Reset(u32),
    /// It takes frames of this length.
    Takes(u32),
    /// It answered a PING that said this.
    Answered([u8; 8]),
    /// Nothing that matters.
    Other,
}

impl Client {
    /// A client that has asked for HTTP/2 in HTTP/1: its request is stream 1 (RFC 7540, section
    /// 3.2).
    pub fn upgraded() -> Client {
        Client {
            last: 1,
            ..Client::default()
        }
    }

    /// The highest stream of which the header block is complete; 0 if there was none.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// True if the request of the highest stream goes on behind its header block: it has a body.
    pub fn last_goes_on(&self) -> bool {
        self.goes_on
    }

    /// True inside of a header block that opens a stream.
    pub fn is_in_head(&self) -> bool {
        self.frames
            .block()
            .is_some_and(|head| head.stream > self.last)
    }

    /// True if the next byte begins a frame.
    pub fn is_between_frames(&self) -> bool {
        self.frames.is_between_frames()
    }

    /// True where the frame under way may turn out to be the answer to a PING.
    pub fn may_answer(&self) -> bool {
        match self.frames.head() {
            None => !self.frames.is_between(),
            Some(head) => head.kind == PING && head.is_ack(),
        }
    }

    /// The app takes frames of this length.
    pub fn allow(&mut self, length: u32) {
        self.frames.allow(length);
    }

    /// Goes over `input` up to the end of a frame. Call it until it has no event to report, with
    /// what it did not use: no piece that it goes over holds bytes of two frames.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<ClientEvent>, Odd> {
        let step = self.frames.advance(input, may_send)?;
        let event = step
            .event
            .map(|frame| frame.map_or(ClientEvent::Other, |frame| self.meaning(frame)));
        Ok(Step {
            used: step.used,
            event,
        })
    }

    fn meaning(&mut self, frame: Frame) -> ClientEvent {
        let head = frame.head;
        match head.kind {
            // Those of a stream that is known are trailers.
            HEADERS if head.stream > self.last => {
                self.last = head.stream;
                self.goes_on = !head.ends_stream();
                ClientEvent::Opened(head.stream)
            }
            RST_STREAM => ClientEvent::Reset(head.stream),
            PING if head.is_ack() => ClientEvent::Answered(frame.start),
            _ => frame.takes.map_or(ClientEvent::Other, ClientEvent::Takes),
        }
    }
}

/// A client opens odd streams only, and promises none (RFC 9113, sections 5.1.1 and 8.4).
fn may_send(head: FrameHead) -> bool {
    match head.kind {
        HEADERS => !head.stream.is_multiple_of(2),
        PUSH_PROMISE => false,
        _ => true,
    }
}
