//! An HTTP/1 connection: which requests are open, and the goodbye in the next answer.

pub(in crate::relay) mod bytes;
mod event_stream;
mod goodbye;

use super::edit::{Edit, Passed};
use super::{AppEnd, At, NoApp};
use crate::census::Connection;
use crate::track::Odd;
use crate::track::event_stream::EventStream;
use crate::track::http1::{
    Framing, MessageEvent, Method, RequestHead, Requests, ResponseHead, Responses,
};
use bytes::{LAST_CHUNK, UNAVAILABLE};
use goodbye::Goodbye;
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
    goodbye: Goodbye,
    /// The app has closed its side, and the client gets to know it.
    app_closed: bool,
    /// Whether the last exchange let the connection go on; `None` before the first answer.
    persistent: Option<bool>,
    /// The answer under way is an event stream.
    streams: bool,
    /// Its events, if it is one that can be ended.
    stream: Option<Box<EventStream>>,
    /// From when on such a stream is ended; `None` means never.
    streams_end: Option<Instant>,
    /// How many of the client's bytes are a header before all else. Another connection to the app
    /// would not have it.
    header: u64,
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
    /// The same connection behind a header of the PROXY protocol of this length.
    pub(super) fn behind_header(&self, length: u64) -> Http1 {
        Http1 {
            taken: length,
            header: length,
            streams_end: self.streams_end,
            ..Http1::default()
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty()
    }

    /// True if every request has its answer, and no byte of another has come.
    pub(super) fn is_between_requests(&self) -> bool {
        self.open.is_empty() && self.requests.is_between()
    }

    pub(super) fn head_began(&self) -> Option<Instant> {
        self.head_began
    }

    /// When the oldest open request began.
    pub(super) fn oldest_began(&self) -> Option<Instant> {
        self.open.front().map(|open| open.began)
    }

    /// How many requests the app still has to answer. Those of health checkers don't count, nor do
    /// those that follow an answer which was to be the last: the app has not begun them (RFC 9112,
    /// section 9.6).
    pub(super) fn awaited(&self) -> u64 {
        let said_last = self.persistent == Some(false) && self.responses.is_between();
        if said_last || self.app_closed {
            return 0;
        }
        let awaited = self.open.iter().filter(|open| !open.health_check);
        awaited.count() as u64
    }

    /// True if the client has sent anything.
    pub(super) fn has_begun(&self) -> bool {
        self.taken > self.header || self.head_began.is_some()
    }

    /// True if the client has made a request.
    pub(super) fn has_carried(&self) -> bool {
        self.start > self.header || !self.open.is_empty()
    }

    /// Goes over the client's bytes: returns how many of them go to the app.
    pub(super) fn client_sent(&mut self, input: &[u8], at: At<'_>) -> Result<usize, Odd> {
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
                Some(MessageEvent::Head(head)) => self.request_began(head, at)?,
                Some(MessageEvent::End) => {}
            }
        }
        self.taken += used as u64;
        if self.requests.is_in_head() && self.head_began.is_none() {
            self.head_began = Some(at.now);
            at.line.head_began(at.now);
        }
        at.line.is_unfinished(self.is_unfinished());
        Ok(used)
    }

    /// The client has said what is no HTTP/1, and may be the start of something else that is known:
    /// as good as a head that is not complete.
    pub(super) fn wait_for_more(&mut self, at: At<'_>) {
        if self.head_began.is_none() {
            self.head_began = Some(at.now);
            at.line.head_began(at.now);
        }
    }

    /// Goes over the app's bytes.
    pub(super) fn app_sent<'a>(&mut self, input: &'a [u8], at: At<'_>) -> Passed<'a> {
        let mut edit = Edit::new(input);
        let mut used = 0;
        loop {
            let rest = &input[used..];
            if at.is_leaving() && !rest.is_empty() && self.responses.is_between() {
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
            if let Some(length) = self.stream_ends(&input[piece.clone()], at) {
                let end = used + length;
                self.end_stream(at);
                edit.put(end, end, LAST_CHUNK);
                return edit.last(end);
            }
            used = piece.end;
            match step.event {
                None => {
                    if self.holds(&input[piece.clone()]) {
                        edit.put(piece.start, piece.end, b"");
                    }
                    return edit.same();
                }
                Some(MessageEvent::Head(head)) => {
                    if let Some(whole) = self.complete_head(&head, &input[piece.clone()], at) {
                        edit.put(piece.start, piece.end, &whole);
                    }
                    if self.switches(&head) {
                        return match head.upgrade {
                            Some(upgrade) if self.is_alone() => edit.upgraded(upgrade, used),
                            _ => edit.opaque(Odd::Upgrade),
                        };
                    }
                    self.answer_began(&head, at);
                }
                Some(MessageEvent::End) => {
                    self.request_ended(at);
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
    pub(super) fn app_closed(&mut self, at: At<'_>) -> AppEnd {
        let may_go_on = self.is_between_requests() && self.persistent == Some(true);
        if at.is_leaving() && may_go_on && self.header == 0 {
            return AppEnd::Keep;
        }
        self.app_closed = true;
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

    fn request_began(&mut self, head: RequestHead, at: At<'_>) -> Result<(), Odd> {
        if self.open.len() == OPEN_LIMIT {
            return Err(Odd::TooMany);
        }
        self.head_began = None;
        self.switching = head.upgrade;
        self.open.push_back(Open {
            method: head.method,
            start: self.start,
            began: at.now,
            persistent: head.persistent,
            health_check: head.health_check,
            accepts_event_stream: head.event_stream,
        });
        at.line.request_began(at.now, !head.health_check);
        Ok(())
    }

    /// Whether the connection is something else after this head (RFC 9110, sections 7.8 and 9.3.6).
    fn switches(&self, head: &ResponseHead) -> bool {
        let connect = self
            .open
            .front()
            .is_some_and(|open| open.method == Method::Connect);
        head.status == 101 || (connect && (200..300).contains(&head.status))
    }

    /// True if the client still has to say a part of the oldest request that waits.
    fn is_unfinished(&self) -> bool {
        let before = usize::from(!self.requests.is_in_head());
        !self.requests.is_between() && self.open.len() <= before
    }

    /// True if the open request is complete and none is after it: what the client sends next
    /// belongs to another protocol if the app changes to that.
    fn is_alone(&self) -> bool {
        self.open.len() == 1 && self.requests.is_between()
    }

    fn answer_began(&mut self, head: &ResponseHead, at: At<'_>) {
        if head.status < 200 {
            return;
        }
        self.switching = false;
        let asked = self.open.front().is_some_and(|open| open.persistent);
        let persistent = asked && head.persistent;
        self.persistent = Some(persistent);
        if self.has_parted() || head.framing == Framing::UntilClose || !persistent {
            at.line.told();
        }
        if let Some(body) = head.event_stream {
            self.begin_stream(body, at);
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

    fn request_ended(&mut self, at: At<'_>) {
        self.answered(at.line);
        // The next head may have begun long ago.
        if let Some(began) = self.head_began.filter(|_| self.open.is_empty()) {
            at.line.head_began(began);
        }
    }
}
