//! When a WebSocket gets its Close, and what becomes of it then.
//!
//! ```text
//!  leaving, between messages, 250 ms of silence after the app's or 1 s --Close--> client
//!  client --its frames, at last its Close--> app (whose own frames go nowhere now)
//!  then the app is half-closed, and the client closed; 2 s after our Close at the latest
//! ```

use super::WebSocket;
use super::bytes::close_frame;
use crate::relay::exchange::{At, Deadline, ToClient};
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// The silence that is taken for the end of an exchange of messages. After a client's message it
/// means nothing: the app may still work on its answer, which would be lost.
const SILENCE: Duration = Duration::from_millis(250);

/// How long to wait for that silence; from then on any place between messages will do.
const CHATTER: Duration = Duration::from_secs(1);

/// How long the client may take to answer our Close.
const ANSWER: Duration = Duration::from_secs(2);

/// Who has said Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nobody.
    Open,
    /// One of the two sides: they bring it to its end themselves.
    Theirs,
    /// We have, at this moment.
    Ours(Instant),
    /// We have, and the client has answered.
    Answered,
}

impl WebSocket {
    /// What is to be said at this moment, and whether the connection is at its end.
    pub(in crate::relay::exchange) fn goodbye(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        match self.closing {
            Closing::Open => self.close(at).map(|close| ToClient {
                bytes: Cow::Owned(close.to_vec()),
                last: false,
            }),
            Closing::Ours(said) if said + ANSWER <= at.now => {
                at.line.opaque_finished();
                Some(ToClient {
                    bytes: Cow::Borrowed(b""),
                    last: true,
                })
            }
            Closing::Ours(_) | Closing::Theirs | Closing::Answered => None,
        }
    }

    /// When there will be something to do, if nothing happens before.
    pub(in crate::relay::exchange) fn goodbye_at(
        &self,
        leaving: Option<Instant>,
    ) -> Option<Instant> {
        match self.closing {
            Closing::Ours(said) => Some(said + ANSWER),
            Closing::Open => self.due(leaving?),
            Closing::Theirs | Closing::Answered => None,
        }
    }

    /// True when the client has answered our Close, which the app must get before its end.
    pub(in crate::relay::exchange) fn is_answered(&self) -> bool {
        self.closing == Closing::Answered
    }

    /// What to do at the deadline. A Close may come between the parts of a message.
    pub(in crate::relay::exchange) fn deadline(&self) -> Deadline {
        if self.closing == Closing::Open && self.app.is_between_frames() {
            Deadline::Answer(close_frame(self.code).to_vec().into())
        } else {
            Deadline::Close
        }
    }

    /// True while nobody has said Close: whoever ends the connection then breaks it off.
    pub(in crate::relay::exchange) fn is_open(&self) -> bool {
        self.closing == Closing::Open
    }

    pub(super) fn answered(&mut self, at: At<'_>) {
        self.closing = Closing::Answered;
        at.line.opaque_finished();
    }

    /// Our Close is out: what the app says now goes nowhere.
    pub(in crate::relay::exchange) fn has_parted(&self) -> bool {
        matches!(self.closing, Closing::Ours(_) | Closing::Answered)
    }

    /// Our Close, if it is to be said here.
    pub(super) fn close(&mut self, at: At<'_>) -> Option<[u8; 4]> {
        let due = at.leaving.and_then(|leaving| self.due(leaving))?;
        if self.closing != Closing::Open || due > at.now {
            return None;
        }
        self.closing = Closing::Ours(at.now);
        at.line.told();
        Some(close_frame(self.code))
    }

    /// When this place, between messages, will do; `None` if it is no such place.
    fn due(&self, leaving: Instant) -> Option<Instant> {
        let client = self.ripe || self.client.is_between_messages();
        let place = self.app.is_between_messages() && client;
        let any_place = self.any_place_from(leaving);
        let silent = self.moved + SILENCE;
        // Who was silent before may speak at any moment, and what meets our Close on its way gets
        // no answer. After an answer there is most time until then: so we listen for one first.
        place.then(|| match self.asked || silent <= leaving {
            true => any_place,
            false => silent.min(any_place),
        })
    }

    /// From when on silence is not waited for.
    pub(super) fn any_place_from(&self, leaving: Instant) -> Instant {
        leaving.max(self.began) + CHATTER
    }
}
