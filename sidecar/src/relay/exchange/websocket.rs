//! A WebSocket connection (RFC 6455): when it gets its Close, and what becomes of it then.
//!
//! ```text
//!  leaving, between messages, 250 ms of silence after the app's or 1 s --Close 1001--> client
//!  client --its frames, at last its Close--> app (whose own frames go nowhere now)
//!  then the app is half-closed, and the client closed; 2 s after our Close at the latest
//! ```

pub(in crate::relay) mod bytes;

use super::edit::{Edit, Passed};
use super::{At, Deadline, ToClient};
use crate::track::Odd;
use crate::track::websocket::{Ended, Frames};
use bytes::GOING_AWAY;
use std::borrow::Cow;
use std::time::{Duration, Instant};

/// The silence that is taken for the end of an exchange of messages. After a client's message it
/// means nothing: the app may still work on its answer, which would be lost.
const SILENCE: Duration = Duration::from_millis(250);

/// How long to wait for that silence; from then on any place between messages will do.
const CHATTER: Duration = Duration::from_secs(1);

/// How long the client may take to answer our Close.
const ANSWER: Duration = Duration::from_secs(2);

/// One WebSocket connection.
pub(super) struct WebSocket {
    client: Frames,
    app: Frames,
    /// When it became one: it gets its time to say something too if the pod leaves already.
    began: Instant,
    /// When a byte passed last.
    moved: Instant,
    /// The last message was the client's.
    asked: bool,
    closing: Closing,
    /// The client was between messages when any such place would do.
    ripe: bool,
}

/// Who has said Close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
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
    pub(super) fn new(now: Instant) -> WebSocket {
        WebSocket {
            client: Frames::of_client(),
            app: Frames::of_app(),
            began: now,
            moved: now,
            asked: false,
            closing: Closing::Open,
            ripe: false,
        }
    }

    /// Goes over the client's bytes, all of which go to the app.
    pub(super) fn client_sent(&mut self, input: &[u8], at: At<'_>) -> Result<(), Odd> {
        self.moved = at.now;
        let mut used = 0;
        while self.closing != Closing::Answered {
            let step = match self.client.advance(&input[used..]) {
                Ok(step) => step,
                Err(_) if self.has_parted() => {
                    // Noise is an answer too: what was said can't be unsaid.
                    self.answered(at);
                    break;
                }
                Err(odd) => return Err(odd),
            };
            used += step.used;
            match (step.event, self.closing) {
                (None, _) => break,
                (Some(Ended::Close), Closing::Open) => self.closing = Closing::Theirs,
                (Some(Ended::Close), Closing::Ours(_)) => self.answered(at),
                (Some(Ended::Message), _) => self.asked = true,
                _ => {}
            }
            let any_place = at
                .leaving
                .is_some_and(|leaving| self.any_place_from(leaving) <= at.now);
            self.ripe |= any_place && self.client.is_between_messages();
        }
        Ok(())
    }

    /// Goes over the app's bytes.
    pub(super) fn app_sent<'a>(&mut self, input: &'a [u8], at: At<'_>) -> Passed<'a> {
        let mut edit = Edit::new(input);
        if self.has_parted() {
            edit.put(0, input.len(), b"");
            return edit.same();
        }
        self.moved = at.now;
        let mut used = 0;
        loop {
            let step = match self.app.advance(&input[used..]) {
                Ok(step) => step,
                Err(odd) => return edit.opaque(odd),
            };
            used += step.used;
            match step.event {
                None => return edit.same(),
                Some(Ended::Close) => self.closing = Closing::Theirs,
                Some(Ended::Message) => self.asked = false,
                Some(Ended::Frame) => {}
            }
            if self.close(at) {
                edit.put(used, input.len(), &GOING_AWAY);
                return edit.same();
            }
        }
    }

    /// What is to be said at this moment, and whether the connection is at its end.
    pub(super) fn goodbye(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        match self.closing {
            Closing::Open => self.close(at).then_some(ToClient {
                bytes: Cow::Borrowed(&GOING_AWAY),
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
    pub(super) fn goodbye_at(&self, leaving: Option<Instant>) -> Option<Instant> {
        match self.closing {
            Closing::Ours(said) => Some(said + ANSWER),
            Closing::Open => self.due(leaving?),
            Closing::Theirs | Closing::Answered => None,
        }
    }

    /// True when the client has answered our Close, which the app must get before its end.
    pub(super) fn is_answered(&self) -> bool {
        self.closing == Closing::Answered
    }

    /// What to do at the deadline. A Close may come between the parts of a message.
    pub(super) fn deadline(&self) -> Deadline {
        if self.closing == Closing::Open && self.app.is_between_frames() {
            Deadline::Answer(GOING_AWAY.to_vec().into())
        } else {
            Deadline::Close
        }
    }

    /// True while nobody has said Close: whoever ends the connection then breaks it off.
    pub(super) fn is_open(&self) -> bool {
        self.closing == Closing::Open
    }

    fn answered(&mut self, at: At<'_>) {
        self.closing = Closing::Answered;
        at.line.opaque_finished();
    }

    /// Our Close is out: what the app says now goes nowhere.
    pub(super) fn has_parted(&self) -> bool {
        matches!(self.closing, Closing::Ours(_) | Closing::Answered)
    }

    /// Whether our Close is to be said here.
    fn close(&mut self, at: At<'_>) -> bool {
        let due = at.leaving.and_then(|leaving| self.due(leaving));
        let now_is_the_time = self.closing == Closing::Open && due.is_some_and(|due| due <= at.now);
        if now_is_the_time {
            self.closing = Closing::Ours(at.now);
            at.line.told();
        }
        now_is_the_time
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
    fn any_place_from(&self, leaving: Instant) -> Instant {
        leaving.max(self.began) + CHATTER
    }
}
