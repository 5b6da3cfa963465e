//! The two parties of a conversation, as the legs of a connection without sockets.

use crate::relay::connection::{Leg, Legs};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

/// Both ends of the connection.
pub(in super::super) struct Parties {
    pub(in super::super) client: Party,
    pub(in super::super) app: Party,
    /// Another connection to the app would be taken.
    pub(super) app_listens: bool,
    pub(super) client_takes: bool,
}

/// One end.
#[derive(Default)]
pub(in super::super) struct Party {
    unread: VecDeque<Vec<u8>>,
    /// What comes after that.
    end: Option<PartyEnd>,
    /// All that was read of it.
    pub(super) said: Vec<u8>,
    /// All that it was told, with what waits for it.
    pub(in super::super) heard: Vec<u8>,
    /// How much of that waits.
    unsent: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartyEnd {
    Fin,
    Reset,
}

impl Party {
    /// It says this, in one piece. What it says after its end is not heard.
    pub(super) fn says(&mut self, bytes: &[u8]) {
        if self.end.is_none() && !bytes.is_empty() {
            self.unread.push_back(bytes.to_vec());
        }
    }

    pub(super) fn ends(&mut self, end: PartyEnd) {
        self.end = self.end.or(Some(end));
    }

    fn read(&mut self, scratch: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(piece) = self.unread.front_mut() else {
            return match self.end {
                None => Poll::Pending,
                Some(PartyEnd::Fin) => Poll::Ready(Ok(0)),
                Some(PartyEnd::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        let length = piece.len().min(scratch.len());
        scratch[..length].copy_from_slice(&piece[..length]);
        self.said.extend(piece.drain(..length));
        if piece.is_empty() {
            self.unread.pop_front();
        }
        Poll::Ready(Ok(length))
    }

    /// Forgets what waits for it.
    fn forget(&mut self) {
        let taken = self.heard.len().saturating_sub(self.unsent);
        self.heard.truncate(taken);
        self.unsent = 0;
    }
}

impl Parties {
    pub(super) fn new() -> Parties {
        Parties {
            client: Party::default(),
            app: Party::default(),
            app_listens: true,
            client_takes: true,
        }
    }

    fn party(&mut self, leg: Leg) -> &mut Party {
        match leg {
            Leg::Client => &mut self.client,
            Leg::App => &mut self.app,
        }
    }
}

impl Legs for Parties {
    fn poll_dial(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.app_listens {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.app.end = None;
        Poll::Ready(Ok(()))
    }

    fn redial(&mut self) {}

    fn leave_app(&mut self) {
        self.app.forget();
    }

    fn poll_read(
        &mut self,
        from: Leg,
        _: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.party(from).read(scratch)
    }

    fn send(&mut self, to: Leg, bytes: &[u8], context: &mut Context<'_>) -> io::Result<()> {
        self.push(to, bytes);
        match self.poll_flush(to, context) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn push(&mut self, to: Leg, bytes: &[u8]) {
        let party = self.party(to);
        party.heard.extend_from_slice(bytes);
        party.unsent += bytes.len();
    }

    fn unsent(&self, to: Leg) -> usize {
        match to {
            Leg::Client => self.client.unsent,
            Leg::App => self.app.unsent,
        }
    }

    fn poll_flush(&mut self, to: Leg, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if to == Leg::Client && !self.client_takes && self.client.unsent > 0 {
            return Poll::Pending;
        }
        self.party(to).unsent = 0;
        Poll::Ready(Ok(()))
    }

    fn forget(&mut self) {
        self.app.forget();
    }

    fn poll_finish(&mut self, _: Leg, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn closes_behind_what_waits(&mut self) {}

    fn reset(&mut self) {}

    fn client_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn app_port(&self) -> Option<u16> {
        None
    }
}
