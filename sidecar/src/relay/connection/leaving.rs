//! What the stance wants of a connection: the deadline, and what to do with one at rest.

use super::{App, Connection, End};
use crate::relay::closing;
use crate::relay::exchange::Deadline;
use crate::stance::Stance;
use std::future::Future;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How long the app may take to say its own goodbye on an idle opaque connection, and a client to
/// take the last answer of a connection that is cut.
const PATIENCE: Duration = Duration::from_secs(2);

impl Connection {
    /// The deadline: what is in flight ends here, so that it can't pass for whole. Answers that are
    /// whole and wait for a slow client may go on to it for as long as the process lives.
    pub(super) fn cut(&mut self, now: Instant) -> Result<(), End> {
        let deadline = self.exchange.deadline(self.to_app.len());
        if deadline == Deadline::Handover && !self.closing {
            // Another policy may still have it cut.
            return Ok(());
        }
        self.is_cut = true;
        if self.closing {
            if !self.exchange.is_idle(now) {
                self.until = Some(now + PATIENCE);
            }
            return Ok(());
        }
        let in_flight = self.exchange.line().cut(now);
        if in_flight {
            self.until = Some(now + PATIENCE);
        }
        match deadline {
            Deadline::Reset if in_flight => return Err(End::Reset),
            Deadline::Reset | Deadline::Close | Deadline::Handover => {}
            Deadline::Answer(answer) => self.to_client.push(&answer),
        }
        self.closing = true;
        self.app = App::Gone;
        Ok(())
    }

    /// Says what is due between two frames of the app.
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        if self.closing {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(now) {
            if !self.client_side.written {
                self.to_client.push(&goodbye.bytes);
            }
            self.closing = goodbye.last;
            if self.closing {
                closing::with_last_bytes(&self.client);
            }
        }
        if self.to_app.is_empty() && self.exchange.is_over() {
            self.closing = true;
        }
    }

    /// Hands on what the exchange held back of the client's bytes, once that is certain to be wrong.
    pub(super) fn release(&mut self) {
        let released = self.exchange.released(self.client_side.read);
        if matches!(self.app, App::Open(_)) && !self.app_side.broken {
            self.to_app.push(&released);
        }
    }

    /// Nothing moves. What the stance wants of a connection at rest, and when to look again.
    pub(super) fn rest(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<End> {
        if self.until.is_some_and(|until| until <= now) {
            // What the client has not taken by now is lost, and it must see that.
            let lost = !self.to_client.is_empty();
            return Poll::Ready(if lost { End::Reset } else { End::Close });
        }
        // A goodbye that has begun goes on to its end, even if the pod stays after all.
        let stays = self.stance == Stance::Serving && !self.exchange.is_parting();
        if stays && self.until.is_none() {
            if self.orphaned {
                return Poll::Ready(End::Close);
            }
            self.timer = None;
            return Poll::Pending;
        }
        // The app has said all and the client has our FIN: a client that stays hears nothing more.
        if self.stance >= Stance::Closing && self.app_side.read && self.client_side.written {
            self.exchange.finished();
            return Poll::Ready(End::Close);
        }
        let at_rest = self.to_client.is_empty() && self.to_app.is_empty() && !self.closing;
        if at_rest && self.stance == Stance::Closing && self.exchange.is_idle(now) {
            self.exchange.line().idle_closed();
            let Deadline::Answer(goodbye) = self.exchange.deadline(0) else {
                return Poll::Ready(End::Close);
            };
            self.to_client.push(&goodbye);
            self.closing = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if at_rest && self.until.is_none() && self.exchange.wants_half_close(now) {
            self.exchange.line().told();
            self.exchange.line().settled();
            self.until = Some(now + PATIENCE);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.until.or_else(|| self.exchange.wakes_at(now)) {
            Some(at) => self.wake_at(at, context),
            None => Poll::Pending,
        }
    }

    fn wake_at(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<End> {
        let at = tokio::time::Instant::from_std(at);
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // A connection that moves pushes its moment on; the timer follows only when it fires.
        if timer.deadline() > at || timer.is_elapsed() {
            timer.as_mut().reset(at);
        }
        if timer.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
