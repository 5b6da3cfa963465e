//! How a connection leaves: when its goodbye is due, when it is idle, what the deadline does to it,
//! and what the census learns of its end.

use super::action::{Deadline, ToClient};
use super::{At, Exchange, Kind};
use crate::census::HEAD_PATIENCE;
use crate::track::opaque::Opaque;
use ebb_api::connections::AtTimeout;
use std::borrow::Cow;
use std::time::Instant;

impl Exchange {
    /// What the relay has to say to the client at this moment, after what the app has said so far;
    /// or the end of that, where it was held back for a goodbye that can't be said.
    pub(crate) fn goodbye(&mut self, now: Instant) -> Option<ToClient<'static>> {
        let at = At::new(now, self.goodbyes_from(), &self.line);
        match &mut self.kind {
            Kind::Http1(http1) => http1.goodbye(at),
            Kind::Http2(http2) => http2.goodbye(at),
            Kind::WebSocket(socket) => socket.goodbye(at),
            Kind::Opaque(_, owed) if owed.is_empty() => None,
            Kind::Opaque(_, owed) => Some(ToClient {
                bytes: std::mem::take(owed).into(),
                last: false,
            }),
        }
    }

    /// True while a goodbye that can't be taken back waits for its answer.
    pub(crate) fn is_parting(&self) -> bool {
        matches!(&self.kind, Kind::WebSocket(socket) if socket.has_parted())
    }

    /// True if the client has its last answer, and all that it said belongs to what was answered.
    pub(crate) fn is_over(&self) -> bool {
        matches!(&self.kind, Kind::Http1(http1) if http1.is_over())
    }

    /// True if nothing is in flight at `now`.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        match &self.kind {
            Kind::Opaque(opaque, _) => opaque.is_idle(now),
            Kind::Http1(http1) => http1.is_idle() && is_patient_no_more(http1.head_began(), now),
            Kind::Http2(http2) => http2.is_idle() && is_patient_no_more(http2.head_began(), now),
            Kind::WebSocket(_) => false,
        }
    }

    /// When time alone changes something after `now`: the connection becomes idle, or its goodbye
    /// is due.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let patient = |head_began: Option<Instant>| head_began.map(|began| began + HEAD_PATIENCE);
        let leaving = self.goodbyes_from();
        let (idle_at, goodbye_at) = match &self.kind {
            Kind::Opaque(opaque, _) => (opaque.idle_at(), self.half_close_at(opaque)),
            Kind::Http1(http1) => (patient(http1.head_began()), http1.goodbye_at()),
            Kind::Http2(http2) => (patient(http2.head_began()), http2.goodbye_at(leaving)),
            Kind::WebSocket(socket) => (None, socket.goodbye_at(leaving)),
        };
        // A moment that has passed must not hide one to come.
        [idle_at, goodbye_at]
            .into_iter()
            .flatten()
            .filter(|at| *at > now)
            .min()
    }

    /// True if the app is to be half-closed, and then the client closed: an idle opaque connection
    /// that has carried something, whose app may say its own goodbye; a WebSocket on which all is
    /// said.
    pub(crate) fn wants_half_close(&self, now: Instant) -> bool {
        match &self.kind {
            Kind::Opaque(opaque, _) => self.half_close_at(opaque).is_some_and(|at| at <= now),
            Kind::WebSocket(socket) => socket.is_answered(),
            Kind::Http1(_) | Kind::Http2(_) => false,
        }
    }

    /// When the app is to be half-closed, if nothing moves before.
    fn half_close_at(&self, opaque: &Opaque) -> Option<Instant> {
        Some(opaque.idle_at()?.max(self.leaving?))
    }

    /// What to do at the deadline, when `unwritten` bytes were taken for the app and are not yet
    /// written to it.
    pub(crate) fn deadline(&self, unwritten: usize) -> Deadline {
        match &self.kind {
            Kind::Opaque(..) => match self.settings.at_timeout {
                AtTimeout::Close => Deadline::Close,
                AtTimeout::Reset => Deadline::Reset,
                AtTimeout::Handover => Deadline::Handover,
            },
            Kind::Http1(http1) => http1.deadline(unwritten as u64),
            Kind::Http2(_) => self
                .last_word(unwritten)
                .map_or(Deadline::Close, Deadline::Answer),
            Kind::WebSocket(socket) => socket.deadline(),
        }
    }

    /// What is sent to the client of a connection that is closed at this moment, when `unwritten`
    /// bytes were taken for the app and are not yet written to it: which stream of HTTP/2 is the
    /// last that the app has seen. `None` where a close says all there is to say.
    pub(crate) fn last_word(&self, unwritten: usize) -> Option<Cow<'static, [u8]>> {
        match &self.kind {
            Kind::Http2(http2) => http2.last_word(unwritten as u64),
            Kind::Http1(_) | Kind::WebSocket(_) | Kind::Opaque(..) => None,
        }
    }

    /// The deadline came: what is in flight counts as cut. True if anything was.
    pub(crate) fn cut(&self, now: Instant) -> bool {
        self.line.cut(now)
    }

    /// The relay closes the connection, on which nothing is in flight.
    pub(crate) fn close_idle(&self) {
        self.line.idle_closed();
    }

    /// The app is half-closed, which its client will notice, and is not waited for any more.
    pub(crate) fn half_closed(&self) {
        if matches!(&self.kind, Kind::Opaque(opaque, _) if opaque.is_one_way()) {
            self.line.one_way_closed();
        }
        self.line.told();
        self.line.settled();
    }

    /// The relay closes the connection after its last words.
    pub(crate) fn closed(&self) {
        self.line.settled();
    }

    /// Both sides have closed.
    pub(crate) fn finished(&self) {
        match &self.kind {
            Kind::WebSocket(socket) if socket.is_answered() => self.line.settled(),
            Kind::WebSocket(_) | Kind::Opaque(..) => self.line.opaque_finished(),
            Kind::Http1(_) | Kind::Http2(_) => self.line.settled(),
        }
    }
}

/// True unless a head is under way that began a moment ago.
fn is_patient_no_more(head_began: Option<Instant>, now: Instant) -> bool {
    head_began.is_none_or(|began| began + HEAD_PATIENCE <= now)
}
