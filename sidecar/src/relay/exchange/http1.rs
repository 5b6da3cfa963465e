//! An HTTP/1 connection: which requests are open, and the goodbye in the next answer.

pub(in crate::relay) mod bytes;
mod event_stream;

use super::edit::{Edit, Passed};
use super::{AppEnd, Deadline, NoApp};
use crate::census::Connection;
use crate::track::Odd;
use crate::track::event_stream::EventStream;
use crate::track::http1::{
    Framing, Method, RequestEvent, RequestHead, Requests, ResponseEvent, ResponseHead, Responses,
};
use bytes::{LAST_CHUNK, TIMEOUT, UNAVAILABLE, with_close};
use std::collections::VecDeque;
use std::time::Instant;

/// The most requests that may be open on one connection; clients that pipeline stop far below.
const OPEN_LIMIT: usize = 1024;

/// One HTTP/1 connection.
#[derive(Default)]
pub(super) struct Http1 {
    requests: Requests,
    responses: Responses,
    open: VecDeque<Open>,
    /// Bytes of the client that went on to the app.
    taken: u64,
    /// Where the request that comes in now began in them.
    start: u64,
    /// When the head that comes in now began.
    head_began: Option<Instant>,
    /// The last request asked for another protocol: what the client sends next may be that.
    switching: bool,
    /// No request begins from now on.
    gate: bool,
    /// The response head that comes in now is kept until it is complete.
    hold: bool,
    held: Vec<u8>,
    /// Ours is the word that the open request's answer is the last.
    parted: bool,
    /// The last exchange let the connection go on.
    persistent: bool,
    /// The answer under way is an event stream.
    streams: bool,
    /// Its events, if it is one that can be ended.
    stream: Option<Box<EventStream>>,
    /// From when on such a one is ended; nothing means never.
    streams_end: Option<Instant>,
}

/// A request from its complete head to the last byte of its answer.
struct Open {
    method: Method,
    start: u64,
    began: Instant,
    persistent: bool,
    health_check: bool,
    accepts_event_stream: bool,
}

impl Http1 {
    pub(super) fn is_gated(&self) -> bool {
        self.gate && self.requests.is_between()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// True if every request has its answer, and no byte of another has come.
    pub(super) fn is_between_requests(&self) -> bool {
        self.open.is_empty() && self.requests.is_between()
    }

    /// True if the last answer is out and the client has said all of what it answers. An answer may
    /// come early; its request's body goes on to the app.
    pub(super) fn is_over(&self) -> bool {
        self.parted && self.open.is_empty() && self.requests.is_between()
    }

    pub(super) fn head_began(&self) -> Option<Instant> {
        self.head_began
    }

    /// When the oldest open request began.
    pub(super) fn oldest_began(&self) -> Option<Instant> {
        self.open.front().map(|open| open.began)
    }

    /// True if the client has sent anything.
    pub(super) fn has_begun(&self) -> bool {
        self.taken > 0 || self.head_began.is_some()
    }

    /// The pod does not leave any more: unless a goodbye was said, requests go on.
    pub(super) fn stay(&mut self) {
        if !self.hold && !self.parted {
            self.gate = false;
        }
    }

    /// Goes over the client's bytes: so many of them go to the app.
    pub(super) fn client_sent(
        &mut self,
        input: &[u8],
        line: &Connection,
        now: Instant,
    ) -> Result<usize, Odd> {
        let mut used = 0;
        loop {
            if self.is_gated() {
                break;
            }
            let rest = &input[used..];
            if self.requests.is_between() {
                if self.switching && !rest.is_empty() {
                    return Err(Odd::Upgrade);
                }
                self.start = self.taken + used as u64;
            }
            let step = self.requests.advance(rest)?;
            used += step.used;
            match step.event {
                None => break,
                Some(RequestEvent::Head(head)) => self.request_began(head, line, now)?,
                Some(RequestEvent::End) => {}
            }
        }
        self.taken += used as u64;
        if self.requests.is_in_head() && self.head_began.is_none() {
            self.head_began = Some(now);
            line.head_began(now);
        }
        Ok(used)
    }

    /// The client has said what is no HTTP/1 and may be the start of HTTP/2: as good as a head that
    /// is not complete.
    pub(super) fn wait_for_preface(&mut self, line: &Connection, now: Instant) {
        if self.head_began.is_none() {
            self.head_began = Some(now);
            line.head_began(now);
        }
    }

    /// Goes over the app's bytes.
    pub(super) fn app_sent<'a>(
        &mut self,
        input: &'a [u8],
        leaving: bool,
        line: &Connection,
        now: Instant,
    ) -> Passed<'a> {
        let mut edit = Edit::new(input);
        let mut used = 0;
        loop {
            let rest = &input[used..];
            if leaving && !rest.is_empty() && self.responses.is_between() {
                self.prepare_goodbye();
            }
            let method = self.open.front().map(|open| open.method);
            let step = match self.responses.advance(rest, method) {
                Ok(step) => step,
                Err(odd) => {
                    edit.put(used, used, &self.release());
                    return edit.opaque(odd);
                }
            };
            let piece = used..used + step.used;
            if let Some(length) = self.stream_ends(&input[piece.clone()], now) {
                let end = used + length;
                self.end_stream(line);
                edit.put(end, end, LAST_CHUNK);
                return edit.last(end);
            }
            used = piece.end;
            match step.event {
                None => {
                    if self.hold {
                        self.held.extend_from_slice(&input[piece.clone()]);
                        edit.put(piece.start, piece.end, b"");
                    }
                    return edit.same();
                }
                Some(ResponseEvent::Head(head)) => {
                    if self.hold {
                        self.hold = false;
                        let mut held = std::mem::take(&mut self.held);
                        held.extend_from_slice(&input[piece.clone()]);
                        if leaving && head.status >= 200 && head.persistent {
                            self.parted = true;
                            held = with_close(&held);
                        }
                        edit.put(piece.start, piece.end, &held);
                        if !leaving {
                            self.gate = false;
                        }
                    }
                    if self.switches(&head) {
                        return match head.upgrade {
                            Some(upgrade) if self.is_alone() => edit.upgraded(upgrade, used),
                            _ => edit.opaque(Odd::Upgrade),
                        };
                    }
                    self.answer_began(&head, line);
                }
                Some(ResponseEvent::End) => {
                    self.request_ended(line);
                    if self.is_over() {
                        return edit.last(used);
                    }
                }
            }
        }
    }

    /// The app sent its FIN: an answer that only this delimits is complete.
    pub(super) fn app_said_all(&mut self, line: &Connection) {
        if self.responses.is_until_close() {
            self.answered(line);
        }
    }

    /// The app closed or reset its side.
    pub(super) fn app_closed(&mut self, leaving: bool, line: &Connection) -> AppEnd {
        if leaving && self.is_between_requests() && self.persistent {
            return AppEnd::Keep;
        }
        line.settled();
        self.hold = false;
        self.stream = None;
        AppEnd::Pass
    }

    /// Bytes from a client whose app has gone.
    pub(super) fn sent_without_app(&mut self, input: &[u8], line: &Connection) -> NoApp {
        match self.requests.advance(input) {
            Err(_) => NoApp::Close,
            Ok(step) if step.event.is_none() => NoApp::Wait,
            Ok(_) => {
                line.refused();
                NoApp::Answer(UNAVAILABLE)
            }
        }
    }

    /// None of the client's last request reached an app, and none will take it.
    pub(super) fn app_unreachable(&self, line: &Connection) -> NoApp {
        if self.open.is_empty() {
            return NoApp::Wait;
        }
        line.refused();
        NoApp::Answer(UNAVAILABLE)
    }

    /// What to do at the deadline; the last `unwritten` bytes have not reached the app.
    pub(super) fn deadline(&self, unwritten: u64) -> Deadline {
        let Some(open) = self.open.front() else {
            return Deadline::Close;
        };
        if self.responses.is_until_close() {
            return Deadline::Reset;
        }
        let nothing_is_out =
            self.responses.is_between() || (self.responses.is_in_head() && self.hold);
        if !nothing_is_out {
            Deadline::Close
        } else if open.start >= self.taken.saturating_sub(unwritten) {
            Deadline::Answer(UNAVAILABLE.into())
        } else {
            Deadline::Answer(TIMEOUT.into())
        }
    }

    /// Lets go of what was held as the beginning of a response head.
    pub(super) fn release(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn request_began(
        &mut self,
        head: RequestHead,
        line: &Connection,
        now: Instant,
    ) -> Result<(), Odd> {
        if self.open.len() == OPEN_LIMIT {
            return Err(Odd::TooMany);
        }
        self.head_began = None;
        self.switching = head.upgrade;
        self.open.push_back(Open {
            method: head.method,
            start: self.start,
            began: now,
            persistent: head.persistent,
            health_check: head.health_check,
            accepts_event_stream: head.event_stream,
        });
        line.request_began(now, !head.health_check);
        Ok(())
    }

    /// The first byte of a response came while the pod leaves. From here on no request begins, so
    /// that some answer is the last; it is this one if no other request is open or has begun.
    fn prepare_goodbye(&mut self) {
        let Some(open) = self.open.front() else {
            return;
        };
        if open.method == Method::Connect {
            return;
        }
        self.gate = true;
        self.hold = self.open.len() == 1 && !self.requests.is_in_head();
    }

    /// Whether the connection is something else behind this head (RFC 9110, sections 7.8 and 9.3.6).
    fn switches(&self, head: &ResponseHead) -> bool {
        let connect = self
            .open
            .front()
            .is_some_and(|open| open.method == Method::Connect);
        head.status == 101 || (connect && (200..300).contains(&head.status))
    }

    /// True if the open request is complete and none is behind it: what the client sends next
    /// belongs to another protocol if the app changes to that.
    fn is_alone(&self) -> bool {
        self.open.len() == 1 && self.requests.is_between()
    }

    fn answer_began(&mut self, head: &ResponseHead, line: &Connection) {
        if head.status < 200 {
            return;
        }
        self.switching = false;
        let asked = self.open.front().is_some_and(|open| open.persistent);
        self.persistent = asked && head.persistent;
        if self.parted || head.framing == Framing::UntilClose || !self.persistent {
            line.told();
        }
        if let Some(body) = head.event_stream {
            self.begin_stream(body, line);
        }
    }

    /// The oldest request has its whole answer.
    fn answered(&mut self, line: &Connection) {
        let Some(answered) = self.open.pop_front() else {
            return;
        };
        if std::mem::take(&mut self.streams) {
            self.stream = None;
            line.event_stream_ended();
        }
        let next_began = self.open.front().map(|open| open.began);
        if answered.health_check {
            line.health_check_ended(next_began);
        } else {
            line.request_ended(next_began);
        }
    }

    fn request_ended(&mut self, line: &Connection) {
        self.answered(line);
        // The next head may have begun long ago.
        if let Some(began) = self.head_began.filter(|_| self.open.is_empty()) {
            line.head_began(began);
        }
    }
}
