//! A client that was kept when the app closed its side: it may be sending a request right now, and
//! would take our FIN for the loss of it.

use super::{App, Connection, End, Side, Turn};
use crate::relay::exchange::Orphan;
use crate::stance::Stance;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, ReadBuf};

impl Connection {
    pub(super) fn leave_orphaned(&mut self) {
        self.app = App::Gone;
        self.app_side = Side::default();
        self.to_app.clear();
        self.orphaned = true;
    }

    /// The app has closed its side and the client was kept. Its next request is answered here,
    /// unless the app still takes connections: many close an idle one after some seconds, and
    /// serve on.
    pub(super) fn read_orphan(
        &mut self,
        context: &mut Context<'_>,
        scratch: &mut [u8],
        now: Instant,
    ) -> Turn {
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut self.client).poll_read(context, &mut buffer) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(Ok(())) => return Err(End::Close),
            Poll::Ready(Err(_)) => return Err(End::Reset),
        }
        // Of a request whose beginning found no app the rest goes to none either.
        if self.stance < Stance::Closing && self.exchange.is_between_requests() {
            self.orphaned = false;
            self.redialing = true;
            self.app = App::dial(&self.destination);
            return self.pass_to_app(buffer.filled(), context, now);
        }
        let refusal = self.exchange.orphan(buffer.filled());
        self.refuse(refusal)
    }

    pub(super) fn refuse(&mut self, refusal: Orphan) -> Turn {
        match refusal {
            Orphan::Wait => {}
            Orphan::Close => return Err(End::Close),
            Orphan::Answer(answer) => {
                self.to_client.push(answer);
                self.closing = true;
            }
        }
        Ok(true)
    }
}
