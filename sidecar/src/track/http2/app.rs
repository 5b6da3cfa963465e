//! The app's direction: what ends streams.

use super::LAST_STREAM;
use super::frame::{GOAWAY, PUSH_PROMISE, RST_STREAM};
use super::frames::{Frame, Frames};
use crate::track::{Odd, Step};

/// Tracks the frames that an app sends.
#[derive(Debug, Default)]
pub struct App {
    frames: Frames,
}

/// What a frame of the app meant, after its last byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppEvent {
    /// The last byte of an answer.
    Ended(u32),
    /// It gave a stream up.
    Reset(u32),
    /// It will answer, on this stream, what nobody has asked.
    Promised(u32),
    /// It takes frames of this length.
    Takes(u32),
    /// It goes, and has seen no stream after this one.
    GoAway(u32),
    /// Nothing that matters.
    Other,
}

impl App {
    /// True if its SETTINGS were seen, which come before anything else.
    pub fn has_greeted(&self) -> bool {
        !self.frames.is_first()
    }

    /// True if it has sent anything.
    pub fn has_begun(&self) -> bool {
        self.has_greeted() || !self.frames.is_between()
    }

    /// True where another frame can be put between its own.
    pub fn is_between(&self) -> bool {
        self.frames.is_between()
    }

    /// The client takes frames of this length.
    pub fn allow(&mut self, length: u32) {
        self.frames.allow(length);
    }

    /// Goes over `input` up to the end of a frame. Call it until it has no event to report, with
    /// what it did not use.
    pub fn advance(&mut self, input: &[u8]) -> Result<Step<AppEvent>, Odd> {
        let step = self.frames.advance(input, |_| true)?;
        let event = step
            .event
            .map(|frame| frame.map_or(AppEvent::Other, meaning));
        Ok(Step {
            used: step.used,
            event,
        })
    }
}

fn meaning(frame: Frame) -> AppEvent {
    let head = frame.head;
    match head.kind {
        RST_STREAM => AppEvent::Reset(head.stream),
        PUSH_PROMISE => AppEvent::Promised(stream(&frame.start[usize::from(head.is_padded())..])),
        GOAWAY => AppEvent::GoAway(stream(&frame.start)),
        _ if head.ends_stream() => AppEvent::Ended(head.stream),
        _ => frame.takes.map_or(AppEvent::Other, AppEvent::Takes),
    }
}

/// The stream identifier that a payload begins with.
fn stream(payload: &[u8]) -> u32 {
    match payload {
        [s0, s1, s2, s3, ..] => u32::from_be_bytes([*s0, *s1, *s2, *s3]) & LAST_STREAM,
        _ => 0,
    }
}
