//! One connection: two sockets, and what waits between them.

mod leaving;
mod orphan;
mod side;

use super::closing;
use super::exchange::{AppEnd, Exchange};
use super::herald::Seat;
use super::leftover::Leftover;
use crate::stance::{Conduct, Stance};
use crate::upstream::Destination;
use side::Side;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// The most that is read at once. Copies of this size beat splicing.
const SCRATCH: usize = 64 * 1024;

/// How many reads a connection may do before the others have their turn: at most 1 MiB, some 200 us.
const TURN: usize = 16;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// Lends the buffer that all connections of a thread share, so that an idle one holds none.
pub(crate) fn with_scratch<T>(use_it: impl FnOnce(&mut [u8]) -> T) -> T {
    BUFFER.with_borrow_mut(|buffer| use_it(buffer))
}

/// A connection that was taken in.
pub(crate) struct Connection {
    client: TcpStream,
    destination: Destination,
    app: App,
    exchange: Exchange,
    stance: Stance,
    to_client: Leftover,
    to_app: Leftover,
    /// Bytes of a request that must not begin; they go on if the gate opens again.
    behind_gate: Vec<u8>,
    client_side: Side,
    app_side: Side,
    /// The app has closed its side, and the client was kept: see [`AppEnd::Keep`].
    orphaned: bool,
    /// The app is dialed again for a request of a client that was kept.
    redialing: bool,
    /// Nothing but what waits goes to the client any more, then it is closed.
    closing: bool,
    /// The deadline came.
    is_cut: bool,
    /// The goodbye of an opaque connection began, or the deadline came: when it is over.
    until: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

enum App {
    Dialing(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open(TcpStream),
    Gone,
}

impl App {
    fn dial(destination: &Destination) -> App {
        App::Dialing(Box::pin(destination.clone().dial()))
    }
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Both sides have closed.
    Over,
    /// Close toward the client, so that the last answer arrives.
    Close,
    /// Reset both.
    Reset,
}

/// Whether a turn got anywhere.
type Turn = Result<bool, End>;

impl Connection {
    pub(crate) fn new(
        client: TcpStream,
        destination: Destination,
        exchange: Exchange,
    ) -> Connection {
        Connection {
            client,
            app: App::dial(&destination),
            destination,
            exchange,
            stance: Stance::Serving,
            to_client: Leftover::default(),
            to_app: Leftover::default(),
            behind_gate: Vec::new(),
            client_side: Side::default(),
            app_side: Side::default(),
            orphaned: false,
            redialing: false,
            closing: false,
            is_cut: false,
            until: None,
            timer: None,
        }
    }

    /// Relays to the connection's end. Needs a task of its own.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function keeps a second copy of itself, and there are 10,000 of these"
    )]
    pub(crate) fn run(mut self, mut seat: Seat) -> impl Future<Output = ()> + Send {
        async move {
            let end = poll_fn(|context| {
                if let Some(conduct) = seat.news(context) {
                    self.take_up(conduct);
                }
                with_scratch(|scratch| self.poll(context, scratch))
            })
            .await;
            drop(seat);
            if self.end(end) {
                closing::linger(&mut self.client).await;
            }
        }
    }

    fn take_up(&mut self, conduct: Conduct) {
        self.stance = conduct.stance;
        self.exchange.take_up(&conduct, Instant::now());
    }

    fn poll(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<End> {
        let now = Instant::now();
        for _ in 0..TURN {
            match self.turn(context, scratch, now) {
                Ok(true) => {}
                Ok(false) => return self.rest(context, now),
                Err(end) => return Poll::Ready(end),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what can be moved, the app's side first: what it has said by now decides whether
    /// another request can go to it.
    fn turn(&mut self, context: &mut Context<'_>, scratch: &mut [u8], now: Instant) -> Turn {
        if self.stance == Stance::Cut && !self.is_cut {
            self.cut(now)?;
        }
        let dialed = self.dial(context)?;
        self.say_goodbye(now);
        let down = self.move_down(context, scratch, now)?;
        if self.closing {
            return Ok(down);
        }
        self.release();
        let up = self.move_up(context, scratch, now)?;
        if self.client_side.is_over() && self.app_side.is_over() {
            return Err(End::Over);
        }
        Ok(dialed || down || up)
    }

    fn dial(&mut self, context: &mut Context<'_>) -> Turn {
        let App::Dialing(dial) = &mut self.app else {
            return Ok(false);
        };
        match dial.as_mut().poll(context) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(app)) => {
                self.app = App::Open(app);
                self.redialing = false;
                Ok(true)
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "the app did not take the connection");
                if !self.redialing {
                    return Err(End::Reset);
                }
                self.redialing = false;
                self.leave_orphaned();
                self.refuse(self.exchange.app_unreachable())
            }
        }
    }

    fn move_down(&mut self, context: &mut Context<'_>, scratch: &mut [u8], now: Instant) -> Turn {
        let waited = !self.to_client.is_empty();
        match self.to_client.flush(&mut self.client, context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(_)) => return Err(End::Reset),
            Poll::Ready(Ok(())) if waited => self.exchange.handed_over(true, now),
            Poll::Ready(Ok(())) => {}
        }
        if self.closing {
            return Err(End::Close);
        }
        if self.app_side.read {
            return self.end_client_side(context);
        }
        let App::Open(app) = &mut self.app else {
            return Ok(waited);
        };
        if self.exchange.is_over() {
            // It waits for the end of an upload, and nothing that the app says belongs to that.
            return Ok(waited);
        }
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(app).poll_read(context, &mut buffer) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(ended) => return self.app_closed(ended.is_err(), now),
        }
        let passed = self.exchange.app_sent(buffer.filled(), now);
        // The end of an upload that was answered early still goes to the app first.
        self.closing = passed.last && (self.to_app.is_empty() || !self.exchange.is_over());
        let sent = self
            .to_client
            .send(&passed.bytes, &mut self.client, context);
        sent.map_err(|_| End::Reset)?;
        self.exchange.handed_over(self.to_client.is_empty(), now);
        Ok(true)
    }

    fn app_closed(&mut self, reset: bool, now: Instant) -> Turn {
        if !reset {
            self.exchange.app_said_all();
        }
        let end = self.exchange.app_closed(now);
        if !self.client_side.read && end == AppEnd::Keep {
            self.leave_orphaned();
        } else if reset || self.app_side.broken {
            return Err(End::Reset);
        } else {
            self.app_side.read = true;
        }
        Ok(true)
    }

    /// Tells the client that the app has said all.
    fn end_client_side(&mut self, context: &mut Context<'_>) -> Turn {
        if self.until.is_some() {
            return Err(End::Close);
        }
        if self.client_side.written {
            return Ok(false);
        }
        if self.client_side.read && self.app_side.is_over() {
            // The close that follows says it.
            self.client_side.written = true;
            return Ok(true);
        }
        match Pin::new(&mut self.client).poll_shutdown(context) {
            Poll::Ready(Ok(())) => {
                self.client_side.written = true;
                Ok(true)
            }
            Poll::Ready(Err(_)) => Err(End::Reset),
            Poll::Pending => Ok(false),
        }
    }

    fn move_up(&mut self, context: &mut Context<'_>, scratch: &mut [u8], now: Instant) -> Turn {
        if self.orphaned {
            return self.read_orphan(context, scratch, now);
        }
        let waited = !self.to_app.is_empty();
        if let App::Open(app) = &mut self.app
            && !self.app_side.broken
        {
            match self.to_app.flush(app, context) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Err(_)) => return self.app_broke(),
                Poll::Ready(Ok(())) => {}
            }
        }
        if !self.to_app.is_empty() || self.app_side.broken {
            return Ok(false);
        }
        if self.exchange.is_over() {
            return Ok(waited);
        }
        if self.client_side.read || self.until.is_some() {
            return self.end_app_side(context);
        }
        if !self.behind_gate.is_empty() {
            if self.exchange.is_gated() {
                return Ok(waited);
            }
            let bytes = std::mem::take(&mut self.behind_gate);
            return self.pass_to_app(&bytes, context, now);
        }
        // A closed gate is no reason not to read: the client may leave behind it. One read at most
        // waits there.
        let mut buffer = ReadBuf::new(scratch);
        match Pin::new(&mut self.client).poll_read(context, &mut buffer) {
            Poll::Pending => return Ok(waited),
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(Ok(())) => {
                self.client_side.read = true;
                return Ok(true);
            }
            Poll::Ready(Err(_)) => return Err(End::Reset),
        }
        self.pass_to_app(buffer.filled(), context, now)
    }

    fn pass_to_app(&mut self, bytes: &[u8], context: &mut Context<'_>, now: Instant) -> Turn {
        let passed = self.exchange.client_sent(bytes, now);
        self.behind_gate.extend_from_slice(&bytes[passed.taken..]);
        match &mut self.app {
            App::Open(app) => {
                if self.to_app.send(&passed.bytes, app, context).is_err() {
                    return self.app_broke();
                }
            }
            App::Dialing(_) => self.to_app.push(&passed.bytes),
            App::Gone => {}
        }
        Ok(true)
    }

    /// The app takes nothing more. What it said before may still have to be read.
    fn app_broke(&mut self) -> Turn {
        self.app_side.broken = true;
        self.to_app.clear();
        if self.client_side.written {
            // The client has its answer and our FIN: a reset would destroy it.
            return Err(End::Close);
        }
        Ok(true)
    }

    /// Tells the app that the client has said all.
    fn end_app_side(&mut self, context: &mut Context<'_>) -> Turn {
        let App::Open(app) = &mut self.app else {
            return Ok(false);
        };
        if self.app_side.written {
            return Ok(false);
        }
        if self.app_side.read && self.client_side.is_over() {
            // The close that follows says it.
            self.app_side.written = true;
            return Ok(true);
        }
        match Pin::new(app).poll_shutdown(context) {
            Poll::Ready(Ok(())) => {
                self.app_side.written = true;
                Ok(true)
            }
            Poll::Ready(Err(_)) => self.app_broke(),
            Poll::Pending => Ok(false),
        }
    }

    /// Settles the books and the app's side; true if the client is to be closed gently.
    fn end(&mut self, end: End) -> bool {
        match end {
            End::Over => self.exchange.finished(),
            End::Close => self.exchange.line().settled(),
            End::Reset => {
                closing::reset(&self.client);
                if let App::Open(app) = &self.app {
                    closing::reset(app);
                }
            }
        }
        self.app = App::Gone;
        end == End::Close
    }
}

#[cfg(test)]
mod tests;
