//! How the goodbye of HTTP/1 gets into an answer.
//!
//! ```text
//!  None --an answer begins while leaving----------> Holding, if no other request is open or begun
//!    |                                              Gated, else: one of the next is the last
//!  Holding --head complete, the app goes on-------> Said: it goes out with `Connection: close`
//!          --a 1xx, or the app closes by itself---> Gated: it goes out as it is
//!          --the app has closed inside of it------> Gated: what has come of it goes out
//!  Gated, Holding --the pod stays after all-------> None
//! ```

use super::Http1;
use super::bytes::{LAST_CHUNK, TIMEOUT, UNAVAILABLE, with_close};
use crate::relay::exchange::{At, Deadline, ToClient};
use crate::track::http1::{Method, ResponseHead};

/// How far the goodbye has come.
#[derive(Default)]
pub(super) enum Goodbye {
    /// None is on its way.
    #[default]
    None,
    /// No request begins from now on, so that some answer is the last.
    Gated,
    /// The same, and the response head that comes in is kept until it is complete: these bytes so
    /// far.
    Holding(Vec<u8>),
    /// The client was told that the open request's answer is the last.
    Said,
}

impl Http1 {
    /// True while no further request may go to the app.
    pub(in crate::relay::exchange) fn is_gated(&self) -> bool {
        !matches!(self.goodbye, Goodbye::None) && self.requests.is_between()
    }

    /// True if the client was told that an answer is the last.
    pub(super) fn has_parted(&self) -> bool {
        matches!(self.goodbye, Goodbye::Said)
    }

    /// True if the last answer is out and the client has said all of what it answers. An answer may
    /// come early; its request's body goes on to the app.
    pub(in crate::relay::exchange) fn is_over(&self) -> bool {
        self.has_parted() && self.open.is_empty() && self.requests.is_between()
    }

    /// The pod does not leave any more: unless a goodbye was said, requests go on. A head that is
    /// held is completed first.
    pub(in crate::relay::exchange) fn stay(&mut self) {
        if matches!(self.goodbye, Goodbye::Gated) {
            self.goodbye = Goodbye::None;
        }
    }

    /// The first byte of a response came while the pod leaves. From here on no request begins, so
    /// that some answer is the last; it is this one if no other request is open or has begun.
    pub(super) fn prepare_goodbye(&mut self) {
        let Some(open) = self.open.front() else {
            return;
        };
        if open.method == Method::Connect {
            return;
        }
        self.goodbye = match self.open.len() == 1 && !self.requests.is_in_head() {
            true => Goodbye::Holding(Vec::new()),
            false => Goodbye::Gated,
        };
    }

    /// Keeps a piece of a response head, if that is held; true if the client is not to get it yet.
    pub(super) fn holds(&mut self, piece: &[u8]) -> bool {
        let Goodbye::Holding(held) = &mut self.goodbye else {
            return false;
        };
        held.extend_from_slice(piece);
        true
    }

    /// A response head is complete with `piece`: what goes to the client in its place, if the head
    /// was held.
    pub(super) fn complete_head(
        &mut self,
        head: &ResponseHead,
        piece: &[u8],
        at: At<'_>,
    ) -> Option<Vec<u8>> {
        let Goodbye::Holding(held) = &mut self.goodbye else {
            return None;
        };
        held.extend_from_slice(piece);
        let whole = std::mem::take(held);
        if !at.is_leaving() {
            self.goodbye = Goodbye::None;
            return Some(whole);
        }
        if head.status < 200 || !head.persistent {
            self.goodbye = Goodbye::Gated;
            return Some(whole);
        }
        self.goodbye = Goodbye::Said;
        Some(with_close(&whole))
    }

    /// Lets go of what was held as the beginning of a response head, as this is no HTTP/1 any more.
    pub(in crate::relay::exchange) fn release(&mut self) -> Vec<u8> {
        match std::mem::take(&mut self.goodbye) {
            Goodbye::Holding(held) => held,
            Goodbye::None | Goodbye::Gated | Goodbye::Said => Vec::new(),
        }
    }

    /// What is to be said at this moment: the last chunk of an event stream, or what was held of a
    /// response head that the app will never complete.
    pub(in crate::relay::exchange) fn goodbye(&mut self, at: At<'_>) -> Option<ToClient<'static>> {
        if self.app_closed
            && let Goodbye::Holding(held) = &mut self.goodbye
        {
            let bytes = std::mem::take(held).into();
            self.goodbye = match at.is_leaving() {
                true => Goodbye::Gated,
                false => Goodbye::None,
            };
            return Some(ToClient { bytes, last: false });
        }
        let due = self.goodbye_at().is_some_and(|due| due <= at.now);
        due.then(|| {
            self.end_stream(at);
            ToClient {
                bytes: LAST_CHUNK.into(),
                last: true,
            }
        })
    }

    /// What to do at the deadline; the last `unwritten` bytes have not reached the app.
    pub(in crate::relay::exchange) fn deadline(&self, unwritten: u64) -> Deadline {
        let Some(open) = self.open.front() else {
            return Deadline::Close;
        };
        if self.responses.is_until_close() {
            return Deadline::Reset;
        }
        let is_held = matches!(self.goodbye, Goodbye::Holding(_)) && !self.app_closed;
        let nothing_is_out = self.responses.is_between() || is_held;
        if !nothing_is_out {
            Deadline::Close
        } else if open.start >= self.taken.saturating_sub(unwritten) {
            Deadline::Answer(UNAVAILABLE.into())
        } else {
            Deadline::Answer(TIMEOUT.into())
        }
    }
}
