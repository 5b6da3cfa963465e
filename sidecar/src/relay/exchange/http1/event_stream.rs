//! An answer that is an event stream: known as one, and ended between two events where the policy
//! asks for it.

use super::Http1;
use super::bytes::LAST_CHUNK;
use crate::census::Connection;
use crate::track::Step;
use crate::track::event_stream::Boundary;
use crate::track::http1::EventStreamBody;
use std::time::Instant;

impl Http1 {
    /// From when on an event stream is ended between two of its events; nothing means that it is
    /// waited for.
    pub(in crate::relay::exchange) fn end_streams(&mut self, from: Option<Instant>) {
        self.streams_end = from;
    }

    /// The answer that has begun is one.
    pub(super) fn begin_stream(&mut self, body: EventStreamBody, line: &Connection) {
        self.streams = true;
        line.began_event_stream();
        let accepted = self
            .open
            .front()
            .is_some_and(|open| open.accepts_event_stream);
        if accepted && body == EventStreamBody::Chunked {
            self.stream = Some(Box::default());
        }
    }

    /// What is to be said at this moment, and whether that ends the connection: the last chunk of an
    /// event stream; or what was held of a response head that the app will never complete, of which
    /// the client is to hear as much as it would without us.
    pub(in crate::relay::exchange) fn goodbye(
        &mut self,
        line: &Connection,
        now: Instant,
    ) -> Option<(Vec<u8>, bool)> {
        if !self.hold && !self.held.is_empty() {
            return Some((self.release(), false));
        }
        let due = self.goodbye_at().is_some_and(|at| at <= now);
        due.then(|| {
            self.end_stream(line);
            (LAST_CHUNK.to_vec(), true)
        })
    }

    /// When there will be something to say, if nothing happens before.
    pub(in crate::relay::exchange) fn goodbye_at(&self) -> Option<Instant> {
        let between_events = self.stream.as_ref()?.is_between_events();
        self.streams_end
            .filter(|_| between_events && self.is_alone())
    }

    /// Goes over a piece of the answer: at which length of it an event stream is to be ended.
    pub(super) fn stream_ends(&mut self, piece: &[u8], now: Instant) -> Option<usize> {
        let due = self.streams_end.is_some_and(|from| from <= now) && self.is_alone();
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
    pub(super) fn end_stream(&mut self, line: &Connection) {
        self.parted = true;
        line.told();
        self.answered(line);
    }
}
