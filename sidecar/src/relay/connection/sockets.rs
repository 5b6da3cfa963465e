//! A connection's legs are sockets, and its turns are those of a task.

use super::legs::{Leg, Legs};
use super::{Connection, End, Rest, Stage};
use crate::relay::buffer::with_scratch;
use crate::relay::closing;
use crate::relay::exchange::Exchange;
use crate::relay::keepalive;
use crate::relay::notify::Subscription;
use crate::relay::write_buffer::WriteBuffer;
use crate::upstream::Destination;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// How many reads a connection may do before the others have their turn: at most 1 MiB, some 200
/// us.
const TURN: usize = 16;

/// The sockets of a connection, and what waits for them.
pub(crate) struct Sockets {
    pub(super) client: TcpStream,
    pub(super) app: App,
    destination: Destination,
    to_client: WriteBuffer,
    to_app: WriteBuffer,
    timer: Option<Pin<Box<Sleep>>>,
}

pub(super) enum App {
    Dialing(Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>),
    Open(TcpStream),
    Gone,
}

impl Connection {
    /// A client that was accepted, for which the app is dialed.
    pub(crate) fn between(
        client: TcpStream,
        destination: Destination,
        exchange: Exchange,
    ) -> Connection {
        let sockets = Sockets {
            client,
            app: App::dial(&destination),
            destination,
            to_client: WriteBuffer::default(),
            to_app: WriteBuffer::default(),
            timer: None,
        };
        Connection::new(sockets, Stage::Dialing, exchange)
    }

    /// Relays to the connection's end. Needs a task of its own.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function keeps a second copy of itself, and there are 10,000 of these"
    )]
    pub(crate) fn run(mut self, mut subscription: Subscription) -> impl Future<Output = ()> + Send {
        async move {
            let end = poll_fn(|context| {
                if let Some(conduct) = subscription.changed(context) {
                    keepalive::follow(&self.legs.client, self.stance, conduct.stance);
                    self.take_up(&conduct, Instant::now());
                }
                with_scratch(|scratch| self.poll(context, scratch))
            })
            .await;
            drop(subscription);
            self.end(end);
            if end == End::Close {
                closing::linger(&mut self.legs.client).await;
            }
        }
    }

    fn poll(&mut self, context: &mut Context<'_>, scratch: &mut [u8]) -> Poll<End> {
        let now = Instant::now();
        for _ in 0..TURN {
            match self.turn(context, scratch, now) {
                Ok(true) => {}
                Ok(false) => return self.poll_rest(context, now),
                Err(end) => return Poll::Ready(end),
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn poll_rest(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<End> {
        match self.rest(now) {
            Rest::Ended(end) => return Poll::Ready(end),
            Rest::Again => context.waker().wake_by_ref(),
            Rest::Until(Some(at)) => self.legs.wake_at(at, context),
            Rest::Until(None) => self.legs.timer = None,
        }
        Poll::Pending
    }
}

impl App {
    fn dial(destination: &Destination) -> App {
        App::Dialing(Box::pin(destination.clone().dial()))
    }
}

impl Sockets {
    fn wake_at(&mut self, at: Instant, context: &mut Context<'_>) {
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
    }

    /// The socket of a leg, if there is one, and what waits for it.
    fn leg(&mut self, leg: Leg) -> Option<(&mut TcpStream, &mut WriteBuffer)> {
        match (leg, &mut self.app) {
            (Leg::Client, _) => Some((&mut self.client, &mut self.to_client)),
            (Leg::App, App::Open(app)) => Some((app, &mut self.to_app)),
            (Leg::App, _) => None,
        }
    }

    fn waiting(&mut self, leg: Leg) -> &mut WriteBuffer {
        match leg {
            Leg::Client => &mut self.to_client,
            Leg::App => &mut self.to_app,
        }
    }
}

impl Legs for Sockets {
    fn poll_dial(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let App::Dialing(dial) = &mut self.app {
            self.app = App::Open(ready!(dial.as_mut().poll(context))?);
        }
        Poll::Ready(Ok(()))
    }

    fn redial(&mut self) {
        self.app = App::dial(&self.destination);
    }

    fn leave_app(&mut self) {
        self.app = App::Gone;
        self.to_app.clear();
    }

    fn poll_read(
        &mut self,
        from: Leg,
        context: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let piece = scratch.len().min(self.destination.piece());
        let Some((stream, _)) = self.leg(from) else {
            return Poll::Pending;
        };
        // What is read and not taken by the other side is to be kept.
        let mut buffer = ReadBuf::new(&mut scratch[..piece]);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn send(&mut self, to: Leg, bytes: &[u8], context: &mut Context<'_>) -> io::Result<()> {
        match self.leg(to) {
            Some((stream, waiting)) => waiting.send(bytes, stream, context),
            None => Ok(()),
        }
    }

    fn push(&mut self, to: Leg, bytes: &[u8]) {
        self.waiting(to).push(bytes);
    }

    fn unsent(&self, to: Leg) -> usize {
        match to {
            Leg::Client => self.to_client.len(),
            Leg::App => self.to_app.len(),
        }
    }

    fn poll_flush(&mut self, to: Leg, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.leg(to) {
            Some((stream, waiting)) => waiting.flush(stream, context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn forget(&mut self) {
        self.to_app.clear();
    }

    fn poll_finish(&mut self, to: Leg, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.leg(to) {
            Some((stream, _)) => Pin::new(stream).poll_shutdown(context),
            None => Poll::Pending,
        }
    }

    fn closes_behind_what_waits(&mut self) {
        closing::with_last_bytes(&self.client);
    }

    fn reset(&mut self) {
        closing::reset(&self.client);
        if let App::Open(app) = &self.app {
            closing::reset(app);
        }
    }

    fn client_addr(&self) -> Option<SocketAddr> {
        let peer = self.client.peer_addr().ok()?;
        Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
    }

    fn app_port(&self) -> Option<u16> {
        Some(self.destination.port())
    }
}
