//! Conversations that are played to an exchange, and what may come of them: the one way in which
//! tests and fuzz targets drive it.
//!
//! ```text
//!  acts (what both sides say, in pieces; time; the stance) --> Played --> differences::check
//! ```
//!
//! It stands in for the connection and its sockets (see `turns`).

mod acts;
mod differences;
mod frames;
mod promises;
mod start;
mod turns;

pub use acts::{Act, acts_from};
pub use promises::hold;
pub use start::Start;

use super::Exchange;
use crate::census::Census;
use crate::stance::{Conduct, Stance};
use differences::Until;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More than any connection has reasons to wake up for while nothing else happens.
const WAKES: usize = 16;

/// An exchange, what each side has said, and what has come out on the other.
pub struct Played {
    pub(super) exchange: Exchange,
    pub(super) census: Arc<Census>,
    pub(super) now: Instant,
    pub(super) conduct: Conduct,
    /// All that was read of the client.
    pub(super) client_said: Vec<u8>,
    /// All that was read of the app.
    pub(super) app_said: Vec<u8>,
    pub(super) to_app: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    /// Nothing goes on in either direction.
    pub(super) over: bool,
    client: Party,
    app: Party,
    behind_gate: Vec<u8>,
    /// The app has closed its side, and the client was kept.
    orphaned: bool,
    app_listens: bool,
    client_takes: bool,
    /// Bytes for the client that it does not take.
    waiting: bool,
    is_cut: bool,
    /// The goodbye of an opaque connection began, or the deadline came: when it is over.
    until: Option<Instant>,
    ended: Option<End>,
    /// The pod left at some time.
    has_left: bool,
}

/// One end of the connection.
#[derive(Default)]
struct Party {
    unread: VecDeque<Vec<u8>>,
    /// What comes behind that.
    end: Option<PartyEnd>,
    /// That was read.
    has_ended: bool,
    /// It was told that the other has said all.
    is_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartyEnd {
    Fin,
    Reset,
}

/// How the connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Over,
    Close,
    Reset,
}

impl Played {
    /// A connection on which nothing was said yet.
    pub fn new(leaving: bool) -> Played {
        let now = Instant::now();
        let census = Census::new(now);
        let mut played = Played {
            exchange: Exchange::new(census.connect()),
            census,
            now,
            conduct: Conduct::default(),
            client_said: Vec::new(),
            app_said: Vec::new(),
            to_app: Vec::new(),
            to_client: Vec::new(),
            over: false,
            client: Party::default(),
            app: Party::default(),
            behind_gate: Vec::new(),
            orphaned: false,
            app_listens: true,
            client_takes: true,
            waiting: false,
            is_cut: false,
            until: None,
            ended: None,
            has_left: false,
        };
        played.set_leaving(leaving);
        played
    }

    /// Plays all of a conversation.
    ///
    /// # Errors
    ///
    /// What came out that may not have: see [`Played::check`], which is asked behind each act.
    pub fn all(acts: &[Act]) -> Result<Played, String> {
        let mut played = Played::new(false);
        for (index, act) in acts.iter().enumerate() {
            played.act(act);
            played
                .check()
                .map_err(|wrong| format!("behind act {index}, {act:?}: {wrong}"))?;
        }
        Ok(played)
    }

    /// Plays one act. What a side says behind its end, or behind the connection's, is not heard.
    pub fn act(&mut self, act: &Act) {
        match act {
            Act::Client(bytes) => return self.client(bytes),
            Act::App(bytes) => return self.app(bytes),
            Act::Wait(time) => return self.pass(*time),
            Act::Leave => self.take_up(self.conduct.stance.max(Stance::Parting)),
            Act::Stay => self.take_up(Stance::Serving),
            Act::Policy(settings) => {
                self.conduct.connections = *settings;
                self.take_up(self.conduct.stance);
            }
            Act::Close => self.take_up(self.conduct.stance.max(Stance::Closing)),
            Act::Cut => self.take_up(Stance::Cut),
            Act::ClientEnds => self.client.end = Some(PartyEnd::Fin),
            Act::AppEnds => self.app.end = self.app.end.or(Some(PartyEnd::Fin)),
            Act::AppResets => self.app.end = self.app.end.or(Some(PartyEnd::Reset)),
            Act::AppStops => self.app_listens = false,
            Act::ClientStalls => self.client_takes = false,
            Act::ClientTakes => self.client_takes = true,
        }
        self.go_on();
    }

    /// Whether what came out is what went in, but for goodbyes while the pod leaves, and all agree
    /// on what is in flight.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn check(&self) -> Result<(), String> {
        self.check_census()?;
        if !self.has_left {
            // At once, too: nothing is ever held.
            return differences::none("to the app", &self.client_said, &self.to_app).and_then(
                |()| differences::none("to the client", &self.app_said, &self.to_client),
            );
        }
        let is_over = self.over || matches!(self.ended, Some(End::Close | End::Reset));
        let until = match (is_over, self.app.has_ended) {
            (true, _) => Until::Over,
            (false, true) => Until::End,
            (false, false) => Until::Now,
        };
        let words = differences::to_client(&self.app_said, &self.to_client, until)?;
        let waits = is_over || self.orphaned || !self.behind_gate.is_empty();
        differences::to_app(&self.client_said, &self.to_app, &words, waits)
    }

    /// Whoever goes by time must find what whoever counts has found.
    fn check_census(&self) -> Result<(), String> {
        let is_served =
            self.ended.is_none() && !self.app.has_ended && !self.orphaned && !self.waiting;
        let in_flight = self.in_flight();
        if is_served && in_flight > 0 && self.exchange.is_idle(self.now) {
            return Err(format!("{in_flight} in flight on an idle connection"));
        }
        Ok(())
    }

    /// Requests and connections in flight at this moment.
    pub fn in_flight(&self) -> u64 {
        self.census.snapshot(self.now).in_flight_in_all()
    }

    /// The client says this, in one read.
    pub(super) fn client(&mut self, bytes: &[u8]) {
        if self.client.end.is_none() && !bytes.is_empty() {
            self.client.unread.push_back(bytes.to_vec());
            self.hear_client();
        }
    }

    /// The app says this, in one read.
    pub(super) fn app(&mut self, bytes: &[u8]) {
        if self.app.end.is_none() && !bytes.is_empty() {
            self.app.unread.push_back(bytes.to_vec());
        }
        self.go_on();
    }

    /// Lets time pass; what is due on the way is done on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.wakes_at().filter(|at| *at <= end) {
            assert!(at > self.now, "a connection that wakes at once never rests");
            wakes += 1;
            assert!(wakes <= WAKES, "it wakes again and again for nothing");
            self.now = at;
            self.go_on();
        }
        self.now = end;
        self.go_on();
    }

    /// From now on goodbyes are said, or not any more; nothing else happens yet.
    pub(super) fn set_leaving(&mut self, leaving: bool) {
        self.take_up(if leaving {
            Stance::Parting
        } else {
            Stance::Serving
        });
    }

    fn take_up(&mut self, stance: Stance) {
        self.conduct.stance = stance;
        self.has_left |= stance > Stance::Serving;
        self.exchange.take_up(&self.conduct, self.now);
    }
}
