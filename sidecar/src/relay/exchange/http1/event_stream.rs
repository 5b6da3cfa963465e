//! An answer that is an event stream: known as one, and ended between two events where the policy
//! asks for it.

use super::{Goodbye, Http1};
use crate::relay::exchange::At;
use crate::track::Step;
use crate::track::event_stream::Boundary;
use crate::track::http1::EventStreamBody;
use std::time::Instant;

impl Http1 {
    /// From when on an event stream is ended between two of its events; `None` means that it is
    /// waited for.
    pub(in crate::relay::exchange) fn end_streams(&mut self, from: Option<Instant>) {
        self.streams_end = from;
    }

    /// The answer that has begun is one.
    pub(super) fn begin_stream(&mut self, body: EventStreamBody, at: At<'_>) {
        self.streams = true;
        at.line.began_event_stream();
        let accepted = self
            .open
            .front()
            .is_some_and(|open| open.accepts_event_stream);
        if accepted && body == EventStreamBody::Chunked {
            self.stream = Some(Box::default());
        }
    }

    /// When there will be something to say, if nothing happens before.
    pub(in crate::relay::exchange) fn goodbye_at(&self) -> Option<Instant> {
        let between_events = self.stream.as_ref()?.is_between_events();
        self.streams_end
            .filter(|_| between_events && self.is_alone())
    }

    /// Goes over a piece of the answer: at which length of it an event stream is to be ended.
    pub(super) fn stream_ends(&mut self, piece: &[u8], at: At<'_>) -> Option<usize> {
        let due = self.streams_end.is_some_and(|from| from <= at.now) && self.is_alone();
        let stream = self.stream.as_mut()?;
        let mut length = 0;
        while let Ok(Step {
            used,
            event: Some(Boundary),
        }) = stream.advance(&piece[length..])
        {
            length += used;
            if due {
                return Some(length);
            }
        }
        None
    }

    /// The answer that is an event stream ends here, and the connection with it.
    pub(super) fn end_stream(&mut self, at: At<'_>) {
        self.goodbye = Goodbye::Said;
        at.line.told();
        self.answered(at.line);
    }
}
