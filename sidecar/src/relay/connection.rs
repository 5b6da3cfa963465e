//! One connection: which step follows which, until it ends. Its legs are sockets, or the parties of
//! a test that drives the very same steps.
//!
//! | stage | from the client | to the client | next |
//! |---|---|---|---|
//! | Dialing | waits for the app | nothing | Relaying; a reset if there is no app |
//! | Relaying | to the app, unless gated | what the app says, with goodbyes | any that follows |
//! | WithoutApp | its next request | nothing | Redialing; our answer, and Closing |
//! | Redialing | waits for the app | nothing | Relaying; WithoutApp if there is no app |
//! | HalfClosing | not read | what the app says | the end when the app closes too, or 2 s |
//! | Closing | not read | what waits | the end when the client has taken it |
//! | Cut | not read | what waits | the same; 2 s if something was in flight |
//!
//! A connection also ends when both sides have closed, and with any error of the client's socket.
//! Every stage but Cut becomes Closing with the last word of a goodbye, and Cut at the deadline;
//! there is no way back from these two.

mod leaving;
mod legs;
mod redial;
mod sockets;
mod stage;

use super::exchange::{AppClosed, AppEnd, Exchange};
use crate::stance::{Conduct, Stance};
pub(crate) use legs::{Leg, Legs};
pub(crate) use sockets::Sockets;
use stage::Written;
pub(crate) use stage::{Side, Stage};
use std::task::{Context, Poll};
use std::time::Instant;

/// A connection that was taken in.
pub(crate) struct Connection<L = Sockets> {
    pub(super) legs: L,
    pub(super) exchange: Exchange,
    stance: Stance,
    /// Bytes of a request that must not begin; they go on if the gate opens again.
    pub(super) behind_gate: Vec<u8>,
    client_side: Side,
    pub(super) app_side: Side,
    pub(super) stage: Stage,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Both sides have closed.
    Over,
    /// Close toward the client, so that the last answer arrives.
    Close,
    /// Reset both.
    Reset,
}

/// Whether a turn got anywhere.
pub(crate) type Turn = Result<bool, End>;

/// What comes of a connection on which nothing moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It ends.
    Ended(End),
    /// Something is to be moved after all.
    Again,
    /// It rests until then, if nothing comes before.
    Until(Option<Instant>),
}

impl<L: Legs> Connection<L> {
    /// A connection at its first stage: that in which its legs are.
    pub(crate) fn new(legs: L, stage: Stage, exchange: Exchange) -> Connection<L> {
        Connection {
            legs,
            exchange,
            stance: Stance::Serving,
            behind_gate: Vec::new(),
            client_side: Side::default(),
            app_side: Side::default(),
            stage,
        }
    }

    pub(crate) fn take_up(&mut self, conduct: &Conduct, now: Instant) {
        self.stance = conduct.stance;
        self.exchange.take_up(conduct, now);
    }

    /// Moves what can be moved, the app's side first: what it has said by now decides whether
    /// another request can go to it.
    pub(crate) fn turn(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Turn {
        if self.stance == Stance::Cut && !matches!(self.stage, Stage::Cut { .. }) {
            self.cut(now)?;
        }
        let dialed = self.dial(context, now)?;
        self.say_goodbye(now);
        let down = self.move_down(context, scratch, now)?;
        if self.stage.is_closing() {
            return Ok(down);
        }
        self.release();
        let up = self.move_up(context, scratch, now)?;
        if self.client_side.is_over() && self.app_side.is_over() {
            return Err(End::Over);
        }
        Ok(dialed || down || up)
    }

    fn dial(&mut self, context: &mut Context<'_>, now: Instant) -> Turn {
        if !self.stage.is_dialing() {
            return Ok(false);
        }
        match self.legs.poll_dial(context) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(())) => {
                self.stage = Stage::Relaying;
                Ok(true)
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(
                    client.addr = self.legs.client_addr().map(tracing::field::display),
                    app.port = self.legs.app_port(),
                    %error,
                    "the app did not take the connection"
                );
                if self.stage == Stage::Dialing {
                    self.exchange.app_closed(AppClosed::Reset, now);
                    return Err(End::Reset);
                }
                self.go_on_without_app();
                self.refuse(self.exchange.app_unreachable())
            }
        }
    }

    fn move_down(&mut self, context: &mut Context<'_>, scratch: &mut [u8], now: Instant) -> Turn {
        let waited = self.legs.unsent(Leg::Client) > 0;
        match self.legs.poll_flush(Leg::Client, context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return Err(End::Reset),
            Poll::Ready(Ok(())) if waited => self.exchange.handed_over(true, now),
            Poll::Ready(Ok(())) => {}
        }
        if self.stage.is_closing() {
            return Err(End::Close);
        }
        if self.app_side.read {
            return self.end_client_side(context);
        }
        if !self.stage.has_app() {
            return Ok(waited);
        }
        if self.exchange.is_over() {
            // It waits for the end of an upload, and nothing that the app says belongs to that.
            return Ok(waited);
        }
        let read = match self.legs.poll_read(Leg::App, context, scratch) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(0)) => return self.app_closed(AppClosed::First, now),
            Poll::Ready(Ok(read)) => read,
            Poll::Ready(Err(_)) => return self.app_closed(AppClosed::Reset, now),
        };
        let passed = self.exchange.app_sent(&scratch[..read], now);
        self.log_doubt();
        // The end of an upload that was answered early still goes to the app first.
        if passed.last && (self.legs.unsent(Leg::App) == 0 || !self.exchange.is_over()) {
            self.stage = Stage::Closing;
        }
        let sent = self.legs.send(Leg::Client, &passed.bytes, context);
        sent.map_err(|_| End::Reset)?;
        let all = self.legs.unsent(Leg::Client) == 0;
        self.exchange.handed_over(all, now);
        Ok(true)
    }

    fn app_closed(&mut self, how: AppClosed, now: Instant) -> Turn {
        // Where a write was first to meet the reset, what is read after it looks like a FIN.
        let reset = how == AppClosed::Reset || self.app_side.is_broken();
        if !reset {
            self.exchange.app_said_all();
        }
        let end = self.exchange.app_closed(
            match reset {
                _ if self.client_side.read || self.stage.is_half_closing() => {
                    AppClosed::AfterClient
                }
                true => AppClosed::Reset,
                false => AppClosed::First,
            },
            now,
        );
        if !self.client_side.read && end == AppEnd::Keep {
            self.go_on_without_app();
        } else if reset {
            return Err(End::Reset);
        } else {
            self.app_side.read = true;
        }
        Ok(true)
    }

    /// Tells the client that the app has said all.
    fn end_client_side(&mut self, context: &mut Context<'_>) -> Turn {
        if self.stage.is_half_closing() {
            return Err(End::Close);
        }
        if self.client_side.is_finished() {
            return Ok(false);
        }
        if self.client_side.read && self.app_side.is_over() {
            // The close that follows says it.
            self.client_side.written = Written::Finished;
            return Ok(true);
        }
        match self.legs.poll_finish(Leg::Client, context) {
            Poll::Ready(Ok(())) => {
                self.client_side.written = Written::Finished;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(End::Reset),
            Poll::Pending => Ok(false),
        }
    }

    pub(crate) fn move_up(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Turn {
        if self.stage == Stage::WithoutApp {
            return self.read_without_app(context, scratch, now);
        }
        let waited = self.legs.unsent(Leg::App) > 0;
        if self.stage.has_app() && !self.app_side.is_broken() {
            match self.legs.poll_flush(Leg::App, context) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(_)) => return self.app_broke(),
                Poll::Ready(Ok(())) if waited => self.exchange.app_is_full(false),
                Poll::Ready(Ok(())) => {}
            }
        }
        if self.legs.unsent(Leg::App) > 0 || self.app_side.is_broken() {
            return Ok(false);
        }
        if self.exchange.is_over() {
            return Ok(waited);
        }
        if self.client_side.read || self.stage.is_half_closing() {
            return self.end_app_side(context);
        }
        if !self.behind_gate.is_empty() {
            if self.exchange.is_gated() {
                return Ok(waited);
            }
            let bytes = std::mem::take(&mut self.behind_gate);
            return self.pass_to_app(&bytes, context, now);
        }
        // A closed gate is no reason not to read: the client may close meanwhile. One read at most
        // waits there.
        match self.legs.poll_read(Leg::Client, context, scratch) {
            Poll::Pending => Ok(waited),
            Poll::Ready(Ok(0)) => {
                self.client_side.read = true;
                Ok(true)
            }
            Poll::Ready(Ok(read)) => self.pass_to_app(&scratch[..read], context, now),
            Poll::Ready(Err(_)) => Err(End::Reset),
        }
    }

    fn pass_to_app(&mut self, bytes: &[u8], context: &mut Context<'_>, now: Instant) -> Turn {
        let passed = self.exchange.client_sent(bytes, now);
        self.log_doubt();
        self.behind_gate.extend_from_slice(&bytes[passed.taken..]);
        debug_assert!(
            self.behind_gate.is_empty() || self.exchange.is_gated(),
            "nothing waits at an open gate"
        );
        if !self.stage.has_app() {
            self.legs.push(Leg::App, &passed.bytes);
        } else if self.legs.send(Leg::App, &passed.bytes, context).is_err() {
            return self.app_broke();
        }
        if self.legs.unsent(Leg::App) > 0 {
            self.exchange.app_is_full(true);
        }
        Ok(true)
    }

    fn log_doubt(&mut self) {
        if let Some(odd) = self.exchange.take_doubt() {
            tracing::debug!(
                client.addr = self.legs.client_addr().map(tracing::field::display),
                app.port = self.legs.app_port(),
                reason = %odd,
                "the connection is opaque from here on"
            );
        }
    }

    /// The app takes nothing more. What it said before may still have to be read.
    fn app_broke(&mut self) -> Turn {
        self.app_side.written = Written::Broken;
        self.legs.forget();
        if self.client_side.is_finished() {
            // The client has its answer and our FIN: a reset would destroy it.
            return Err(End::Close);
        }
        Ok(true)
    }

    /// Tells the app that the client has said all.
    fn end_app_side(&mut self, context: &mut Context<'_>) -> Turn {
        if !self.stage.has_app() || self.app_side.is_finished() {
            return Ok(false);
        }
        if self.app_side.read && self.client_side.is_over() {
            // The close that follows says it.
            self.app_side.written = Written::Finished;
            return Ok(true);
        }
        match self.legs.poll_finish(Leg::App, context) {
            Poll::Ready(Ok(())) => {
                self.app_side.written = Written::Finished;
                Ok(true)
            }
            Poll::Ready(Err(_)) => self.app_broke(),
            Poll::Pending => Ok(false),
        }
    }

    /// Settles the books and the app's side. The client's is still to be closed where it is not
    /// reset.
    pub(crate) fn end(&mut self, end: End) {
        match end {
            End::Over => self.exchange.finished(),
            End::Close => self.exchange.closed(),
            End::Reset => {
                // An end of the app's has settled what was open, and so has a cut.
                if !self.stage.is_closing() {
                    self.exchange.client_left();
                }
                self.legs.reset();
            }
        }
        self.legs.leave_app();
    }
}

#[cfg(test)]
mod tests;
