//! An HTTP/2 connection: which streams are open, and when it gets which goodbye.
//!
//! ```text
//!  leaving:
//!    the last open stream ends ----------> with its end GOAWAY(2^31-1) --+
//!    several at a time for 1 s --------------> GOAWAY(2^31-1) -----------+
//!    none open for 1.5 s --> PING --answered--> GOAWAY(2^31-1) ----------+--2 s--> PING --+
//!                                                                                         |
//!                                answered and 1 s, or 3 s; and no stream is open ---------+
//!                                                    |
//!                                                    +--> GOAWAY(exact), closed
//! ```
//!
//! A request that crosses GOAWAY(exact) on its way is safe to send again, but not every client can:
//! it comes when the client has acknowledged that it begins nothing more. What asks for that
//! (GOAWAY(2^31-1)) loses no request of a client that obeys the RFC, whenever it comes. Some take
//! any GOAWAY for an error of the streams that are open, so it comes when none is: best with the
//! end of an answer, which clients read together with it. And some read only while they wait for an
//! answer. Whatever is said to these at rest, they find when they have sent their next request, so
//! that this is lost: a PING without any GOAWAY tells them apart, and they hear nothing more before
//! the end of their next answer. `docs/policy.md` has what was measured.
//!
//! GOAWAY(exact) names the last stream that the app may have seen: what the client began after it
//! is read and dropped, and safe to send again. A GOAWAY of the app's own passes, and no later one
//! of ours names a higher stream (RFC 9113, section 6.8).

pub(in crate::relay) mod bytes;
mod goodbye;
mod question;

use super::At;
use super::edit::{Edit, Passed};
use crate::census::Connection;
use crate::track::Odd;
use crate::track::http2::{App, AppEvent, Client, ClientEvent, PREFACE};
use question::Question;
use std::time::Instant;

/// The most streams that may be open on one connection, which bounds the memory of each to 100 KB;
/// servers commonly allow 100 to 1000. Where an app allows more and a client uses them, the
/// connection is opaque from there on: waited for while the client waits, and not told to leave.
const OPEN_LIMIT: usize = 4096;

/// One HTTP/2 connection.
#[derive(Default)]
pub(super) struct Http2 {
    /// The preface that is still to come, after an upgrade from HTTP/1.
    preface: &'static [u8],
    client: Client,
    app: App,
    /// In the order they began in.
    open: Vec<Open>,
    /// Bytes of the client that went on to the app.
    taken: u64,
    /// When the header block that comes in now began.
    head_began: Option<Instant>,
    /// When the first stream began; nobody is told to leave before.
    first: Option<Instant>,
    /// Since when no stream is open.
    quiet: Option<Instant>,
    /// The client has had several streams open at once: it begins them at any moment.
    crowded: bool,
    /// Whether the client reads while it is at rest.
    reads: Question,
    /// When it was told to begin nothing more.
    warned: Option<Instant>,
    /// Whether it has read that.
    leaves: Question,
    /// The beginning of what may be the answer to a PING of ours.
    held: Vec<u8>,
    /// The stream that the app has answered last, if its request had a body.
    answered: Option<u32>,
    /// The app has let a RST_STREAM follow an answer once: it did not want the rest of that
    /// request (RFC 9113, section 8.1).
    resets_answered: bool,
    /// What the app's own GOAWAY said.
    app_last: Option<u32>,
    /// All that it has carried is a request of kubelet's probe, which is not counted in the census
    /// before this moment.
    probe: Option<Instant>,
    /// The app has closed its side: no stream will be answered any more.
    app_closed: bool,
}

/// A stream from its complete header block to the last byte of its answer.
struct Open {
    stream: u32,
    began: Instant,
    /// Where its header block ended in the client's bytes.
    end: u64,
    /// The request goes on behind it.
    has_body: bool,
}

/// Whether a whole frame comes first in these bytes (RFC 9113, section 4.1).
fn begins_with_a_frame(bytes: &[u8]) -> bool {
    bytes.split_at_checked(9).is_some_and(|(head, rest)| {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        rest.len() as u64 >= u64::from(length)
    })
}

impl Http2 {
    /// A connection that was HTTP/1 up to the 101 for a request of this time, which is stream 1.
    pub(super) fn upgraded(began: Instant) -> Http2 {
        Http2 {
            preface: PREFACE,
            client: Client::upgraded(),
            open: vec![Open {
                stream: 1,
                began,
                end: 0,
                has_body: false,
            }],
            first: Some(began),
            ..Http2::default()
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() || self.probe.is_some()
    }

    /// How many streams the app still has to answer; a probe of kubelet's doesn't count.
    pub(super) fn awaited(&self) -> u64 {
        match self.probe {
            Some(_) => 0,
            None => self.open.len() as u64,
        }
    }

    pub(super) fn head_began(&self) -> Option<Instant> {
        self.head_began
    }

    /// Goes over the client's bytes from `used` on, and says which of all of them go to the app.
    pub(super) fn client_sent<'a>(
        &mut self,
        input: &'a [u8],
        mut used: usize,
        at: At<'_>,
    ) -> Passed<'a> {
        let mut edit = Edit::new(input);
        let rest = &input[used..];
        let (expected, later) = self.preface.split_at(self.preface.len().min(rest.len()));
        if !rest.starts_with(expected) {
            return edit.opaque(Odd::NotHttp);
        }
        self.preface = later;
        used += expected.len();
        self.taken += expected.len() as u64;
        loop {
            // Of a frame that began before we asked the app has some bytes: it is no answer.
            let since_asked = !self.held.is_empty() || self.client.is_between_frames();
            let step = match self.client.advance(&input[used..]) {
                Ok(step) => step,
                Err(odd) => {
                    edit.put(used, used, &std::mem::take(&mut self.held));
                    return edit.opaque(odd);
                }
            };
            let piece = used..used + step.used;
            used = piece.end;
            let awaited = self.awaits_answer() && since_asked;
            if let Some(ClientEvent::Answered(said)) = step.event
                && awaited
                && self.answered(said, at.now)
            {
                self.held.clear();
                edit.put(piece.start, piece.end, b"");
                continue;
            }
            if awaited && step.event.is_none() && self.client.may_answer() {
                self.held.extend_from_slice(&input[piece.clone()]);
                edit.put(piece.start, piece.end, b"");
            } else {
                edit.put(piece.start, piece.start, &self.held);
                self.taken += (self.held.len() + step.used) as u64;
                self.held.clear();
            }
            match step.event {
                None => break,
                Some(event) => {
                    if let Err(odd) = self.client_did(event, at) {
                        return edit.opaque(odd);
                    }
                }
            }
        }
        if self.client.is_in_head() && self.head_began.is_none() {
            self.head_began = Some(at.now);
            at.line.head_began(at.now);
        }
        edit.same()
    }

    /// Lets go of what was held as the beginning of an answer to a PING of ours.
    pub(super) fn release(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Goes over the app's bytes.
    pub(super) fn app_sent<'a>(&mut self, input: &'a [u8], at: At<'_>) -> Passed<'a> {
        let mut edit = Edit::new(input);
        let mut used = 0;
        let mut is_answered = false;
        loop {
            let step = match self.app.advance(&input[used..]) {
                Ok(step) => step,
                Err(odd) => return edit.opaque(odd),
            };
            used += step.used;
            match step.event {
                None => return edit.same(),
                Some(event) => {
                    let was_open = !self.open.is_empty();
                    if let Err(odd) = self.app_did(event, at) {
                        return edit.opaque(odd);
                    }
                    is_answered = (is_answered || was_open) && self.open.is_empty();
                }
            }
            let goodbye = match is_answered {
                // Some servers let a RST_STREAM follow the end of an answer (nginx does). A client
                // that fails at what is behind a GOAWAY would lose the answer by it.
                true if self.may_warn() && begins_with_a_frame(&input[used..]) => None,
                true => self.goodbye_behind_answer(at),
                false => self.goodbye(at),
            };
            if let Some(goodbye) = goodbye {
                edit.put(used, used, &goodbye.bytes);
                if goodbye.last {
                    return edit.last(used);
                }
            }
        }
    }

    /// The app closed its side: it answers none of the streams that are open, and none that the
    /// client still begins.
    pub(super) fn app_closed(&mut self, at: At<'_>) {
        self.app_closed = true;
        self.open.clear();
        self.note_quiet(at);
        at.line.settled();
    }

    fn client_did(&mut self, event: ClientEvent, at: At<'_>) -> Result<(), Odd> {
        match event {
            ClientEvent::Opened(stream) => {
                self.head_began = None;
                if self.first.is_none() {
                    self.first = Some(at.now);
                    self.probe = at.line.probe_until(at.now);
                } else {
                    self.count_after_all(at);
                }
                return self.began(stream, at);
            }
            ClientEvent::Reset(stream) => {
                self.drop_streams(at, Connection::requests_given_up, |open| open == stream);
            }
            ClientEvent::Takes(length) => self.app.allow(length),
            ClientEvent::Answered(_) | ClientEvent::Other => {}
        }
        Ok(())
    }

    fn app_did(&mut self, event: AppEvent, at: At<'_>) -> Result<(), Odd> {
        match event {
            AppEvent::Ended(stream) => {
                if let Some(index) = self.open.iter().position(|open| open.stream == stream) {
                    let open = self.open.remove(index);
                    self.answered = open.has_body.then_some(stream);
                    if self.probe.is_none() {
                        at.line
                            .request_ended(self.open.first().map(|open| open.began));
                    }
                    self.note_quiet(at);
                }
            }
            // The app says so itself, for this one stream, and goes on: an answer, if a poor one.
            AppEvent::Reset(stream) => {
                if self.answered == Some(stream) {
                    self.answered = None;
                    self.resets_answered = true;
                }
                self.drop_streams(at, Connection::requests_dropped, |open| open == stream);
            }
            AppEvent::Promised(stream) => {
                // It belongs to a request (RFC 9113, section 8.4): without any it is odd.
                if self.client.last() == 0 {
                    return Err(Odd::Unsolicited);
                }
                return self.began(stream, at);
            }
            AppEvent::Takes(length) => self.client.allow(length),
            AppEvent::GoAway(last) => {
                self.asks_again();
                self.app_last = Some(self.app_last.map_or(last, |before| before.min(last)));
                at.line.told();
                // It never answers those that its client began after that, which may be sent again.
                let not_begun = |open: u32| open > last && !open.is_multiple_of(2);
                self.drop_streams(at, Connection::requests_dropped, not_begun);
            }
            AppEvent::Other => {}
        }
        Ok(())
    }

    fn began(&mut self, stream: u32, at: At<'_>) -> Result<(), Odd> {
        let refused = !stream.is_multiple_of(2) && self.app_last.is_some_and(|last| stream > last);
        if refused || self.app_closed {
            if self.open.is_empty() {
                at.line.settled();
                self.note_quiet(at);
            }
            return Ok(());
        }
        if self.open.len() == OPEN_LIMIT {
            return Err(Odd::TooMany);
        }
        let of_client = !stream.is_multiple_of(2);
        self.crowded |= !self.open.is_empty() && of_client;
        self.open.push(Open {
            stream,
            began: at.now,
            end: self.taken,
            has_body: of_client && self.client.last_goes_on(),
        });
        self.quiet = None;
        if self.probe.is_some() {
            at.line.settled();
        } else {
            at.line.request_began(at.now, true);
        }
        Ok(())
    }

    /// A probe makes one request and is over in time: with a second one, or later, the first was a
    /// client's, too.
    fn count_after_all(&mut self, at: At<'_>) {
        if self.probe.take().is_some() {
            self.open
                .iter()
                .for_each(|_| at.line.request_began(at.now, true));
        }
    }

    /// These streams end without an answer that is whole; `tell` tells the census.
    fn drop_streams(
        &mut self,
        at: At<'_>,
        tell: impl Fn(&Connection, u32, Option<Instant>),
        dropped: impl Fn(u32) -> bool,
    ) {
        let before = self.open.len();
        self.open.retain(|open| !dropped(open.stream));
        let count = before - self.open.len();
        if count > 0 {
            let next_began = self.open.first().map(|open| open.began);
            if self.probe.is_none() {
                tell(at.line, count as u32, next_began);
            }
            self.note_quiet(at);
        }
    }

    fn note_quiet(&mut self, at: At<'_>) {
        if self.open.is_empty() {
            self.quiet = Some(at.now);
            if let Some(began) = self.head_began {
                at.line.head_began(began);
            }
        }
    }
}
