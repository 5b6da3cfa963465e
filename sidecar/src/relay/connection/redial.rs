//! A client that was kept when the app closed its side: it may be sending a request right now, and
//! would take our FIN for the loss of it.

use super::{Connection, End, Leg, Legs, Side, Stage, Turn};
use crate::relay::exchange::NoApp;
use crate::stance::Stance;
use std::task::{Context, Poll};
use std::time::Instant;

impl<L: Legs> Connection<L> {
    pub(super) fn go_on_without_app(&mut self) {
        self.legs.leave_app();
        self.app_side = Side::default();
        self.stage = Stage::WithoutApp;
    }

    /// The app has closed its side and the client was kept. Its next request is answered here,
    /// unless the app still takes connections: many close an idle one after some seconds, and
    /// serve on.
    pub(super) fn read_without_app(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Turn {
        let said = match self.legs.poll_read(Leg::Client, context, scratch) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Err(End::Close),
            Poll::Ready(Ok(read)) => &scratch[..read],
            Poll::Ready(Err(_)) => return Err(End::Reset),
        };
        // Of a request whose beginning found no app the rest goes to none either.
        if self.stance < Stance::Closing && self.exchange.is_between_requests() {
            self.stage = Stage::Redialing;
            self.legs.redial();
            return self.pass_to_app(said, context, now);
        }
        let refusal = self.exchange.sent_without_app(said);
        self.refuse(refusal)
    }

    pub(super) fn refuse(&mut self, refusal: NoApp) -> Turn {
        match refusal {
            NoApp::Wait => {}
            NoApp::Close => return Err(End::Close),
            NoApp::Answer(answer) => {
                self.legs.push(Leg::Client, answer);
                self.stage = Stage::Closing;
            }
        }
        Ok(true)
    }
}
