//! PINGs of the relay's own, whose answers the app must not see: it did not ask.

use super::Http2;
use super::bytes::{AT_REST, WARNED};
use std::time::Instant;

/// Where a PING of ours is, and the answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Question {
    /// Nobody has asked.
    #[default]
    Unasked,
    /// It is on its way since then, or the answer is.
    Asked(Instant),
    /// The answer came then.
    Answered(Instant),
}

impl Question {
    fn is_open(self) -> bool {
        matches!(self, Question::Asked(_))
    }
}

impl Http2 {
    /// Whether the client has something to answer that only we have asked.
    pub(super) fn awaits_answer(&self) -> bool {
        self.reads.is_open() || self.leaves.is_open()
    }

    /// What the client has answered says nothing about what it was told only now.
    pub(super) fn asks_again(&mut self) {
        if !self.reads.is_open() {
            self.reads = Question::Unasked;
        }
    }

    /// The client has answered a PING that said this; false if that was none of ours.
    pub(super) fn answered(&mut self, said: [u8; 8], now: Instant) -> bool {
        match said {
            WARNED if self.leaves.is_open() => self.leaves = Question::Answered(now),
            // While a stream is open everybody reads: this says nothing about a client at rest.
            AT_REST if self.reads.is_open() && !self.open.is_empty() => {
                self.reads = Question::Unasked;
            }
            AT_REST if self.reads.is_open() => self.reads = Question::Answered(now),
            _ => return false,
        }
        true
    }
}
