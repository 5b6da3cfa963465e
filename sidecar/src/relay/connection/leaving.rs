//! What the stance wants of a connection: the deadline, and what to do with one at rest.

use super::{Connection, End, Leg, Legs, Rest, Stage};
use crate::relay::exchange::Deadline;
use crate::stance::Stance;
use std::time::{Duration, Instant};

/// How long the app may take to say its own goodbye on an idle opaque connection, and a client to
/// take the last answer of a connection that is cut.
const PATIENCE: Duration = Duration::from_secs(2);

impl<L: Legs> Connection<L> {
    /// The deadline: what is in flight ends here, so that it can't pass for whole. Answers that are
    /// whole and wait for a slow client may go on to it for as long as the process lives.
    pub(super) fn cut(&mut self, now: Instant) -> Result<(), End> {
        if self.stage == Stage::Closing {
            let until = (!self.exchange.is_idle(now)).then(|| now + PATIENCE);
            self.stage = Stage::Cut { until };
            return Ok(());
        }
        let deadline = self.exchange.deadline(self.legs.unsent(Leg::App));
        if deadline == Deadline::Handover {
            // Another policy may still have it cut.
            return Ok(());
        }
        let in_flight = self.exchange.cut(now);
        match deadline {
            Deadline::Reset if in_flight => return Err(End::Reset),
            Deadline::Reset | Deadline::Close | Deadline::Handover => {}
            Deadline::Answer(answer) => self.legs.push(Leg::Client, &answer),
        }
        let until = match in_flight {
            true => Some(now + PATIENCE),
            false => self.stage.until(),
        };
        self.stage = Stage::Cut { until };
        self.legs.leave_app();
        Ok(())
    }

    /// Says what is due between two frames of the app.
    pub(super) fn say_goodbye(&mut self, now: Instant) {
        if self.stage.is_closing() {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(now) {
            if !self.client_side.is_finished() {
                self.legs.push(Leg::Client, &goodbye.bytes);
            }
            if goodbye.last {
                self.stage = Stage::Closing;
                self.legs.closes_behind_what_waits();
            }
        }
        if self.legs.unsent(Leg::App) == 0 && self.exchange.is_over() {
            self.stage = Stage::Closing;
        }
    }

    /// Forwards client bytes that were held as a possible answer to our PING, once they turn out
    /// not to be one.
    pub(super) fn release(&mut self) {
        let released = self.exchange.released(self.client_side.read);
        if self.stage.has_app() && !self.app_side.is_broken() {
            self.legs.push(Leg::App, &released);
        }
    }

    /// Nothing moves: what the stance wants of a connection at rest, and when to look again.
    pub(crate) fn rest(&mut self, now: Instant) -> Rest {
        if self.stage.until().is_some_and(|until| until <= now) {
            // What the client has not taken by now is lost, and it must see that.
            let lost = self.legs.unsent(Leg::Client) > 0;
            return Rest::Ended(if lost { End::Reset } else { End::Close });
        }
        if self.stays() {
            if self.stage == Stage::WithoutApp {
                return Rest::Ended(End::Close);
            }
            return Rest::Until(None);
        }
        // The app has said all and the client has our FIN: a client that stays gets nothing more.
        if self.stance >= Stance::Closing && self.app_side.read && self.client_side.is_finished() {
            self.exchange.finished();
            return Rest::Ended(End::Close);
        }
        let waits = [Leg::Client, Leg::App].map(|leg| self.legs.unsent(leg) > 0);
        let at_rest = waits == [false; 2] && !self.stage.is_closing();
        if at_rest && self.stance == Stance::Closing && self.exchange.is_idle(now) {
            self.exchange.close_idle();
            let Some(last_word) = self.exchange.last_word(0) else {
                return Rest::Ended(End::Close);
            };
            self.legs.push(Leg::Client, &last_word);
            self.stage = Stage::Closing;
            return Rest::Again;
        }
        if at_rest && !self.stage.is_half_closing() && self.exchange.wants_half_close(now) {
            self.exchange.half_closed();
            self.stage = Stage::HalfClosing {
                until: now + PATIENCE,
            };
            return Rest::Again;
        }
        Rest::Until(self.wakes_at(now))
    }

    /// When time alone changes something after `now`.
    pub(crate) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        if self.stays() {
            return None;
        }
        self.stage.until().or_else(|| self.exchange.wakes_at(now))
    }

    /// Nothing is wanted of it but to pass bytes. A goodbye that has begun goes on to its end, even
    /// if the pod stays after all.
    fn stays(&self) -> bool {
        self.stance == Stance::Serving
            && self.stage.until().is_none()
            && !self.exchange.is_parting()
    }
}
