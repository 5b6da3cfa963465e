//! Conversations that are played to a connection, and what may come of them: the one way in which
//! tests and fuzz targets drive it.
//!
//! ```text
//!  acts (what both sides say, in pieces; time; the stance) --> Played --> differences::check
//! ```
//!
//! The connection is the relay's own; only its legs are no sockets.

mod acts;
mod differences;
mod frames;
mod parties;
mod promises;
mod start;
mod turns;

pub use acts::{Act, acts_from};
pub use promises::hold;
pub use start::Start;

use super::connection::{Connection, End, Stage};
use super::exchange::Exchange;
use crate::census::Census;
use crate::stance::{Conduct, Stance};
use differences::Until;
use parties::{Parties, PartyEnd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// More than any connection has reasons to wake up for while nothing else happens.
const WAKES: usize = 16;

/// A connection between two parties, and what each has said and heard.
pub struct Played {
    pub(super) connection: Connection<Parties>,
    pub(super) census: Arc<Census>,
    pub(super) now: Instant,
    pub(super) conduct: Conduct,
    pub(super) ended: Option<End>,
    /// The pod left at some time.
    has_left: bool,
}

impl Played {
    /// A connection on which nothing was said yet.
    pub fn new(leaving: bool) -> Played {
        let now = Instant::now();
        let census = Census::new(now);
        let mut played = Played {
            connection: Connection::new(
                Parties::new(),
                Stage::Relaying,
                Exchange::new(census.connect_nobody()),
            ),
            census,
            now,
            conduct: Conduct::default(),
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
    /// What came out that may not have: see [`Played::check`], which is asked after each act.
    pub fn all(acts: &[Act]) -> Result<Played, String> {
        let mut played = Played::new(false);
        for (index, act) in acts.iter().enumerate() {
            played.act(act);
            played
                .check()
                .map_err(|wrong| format!("after act {index}, {act:?}: {wrong}"))?;
        }
        Ok(played)
    }

    /// Plays one act. What a side says after its end, or after the connection's, is not heard.
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
            Act::ClientEnds => self.legs().client.ends(PartyEnd::Fin),
            Act::AppEnds => self.legs().app.ends(PartyEnd::Fin),
            Act::AppResets => self.legs().app.ends(PartyEnd::Reset),
            Act::AppStops => self.legs().app_listens = false,
            Act::ClientStalls => self.legs().client_takes = false,
            Act::ClientTakes => self.legs().client_takes = true,
        }
        self.go_on();
    }

    /// The client resets the connection.
    #[cfg(test)]
    pub(super) fn client_resets(&mut self) {
        self.legs().client.ends(PartyEnd::Reset);
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
            return differences::none("to the app", self.client_said(), self.to_app()).and_then(
                |()| differences::none("to the client", self.app_said(), self.to_client()),
            );
        }
        let connection = &self.connection;
        let is_over = self.is_over() || matches!(self.ended, Some(End::Close | End::Reset));
        let until = match (is_over, connection.app_side.read) {
            (true, _) => Until::Over,
            (false, true) => Until::End,
            (false, false) => Until::Now,
        };
        let words = differences::to_client(self.app_said(), self.to_client(), until)?;
        let waits =
            is_over || connection.stage == Stage::WithoutApp || !connection.behind_gate.is_empty();
        differences::to_app(self.client_said(), self.to_app(), &words, waits)
    }

    /// Whoever goes by time must find what whoever counts has found.
    fn check_census(&self) -> Result<(), String> {
        let is_served = self.ended.is_none()
            && !self.connection.app_side.read
            && self.connection.stage != Stage::WithoutApp
            && !self.waits();
        let in_flight = self.in_flight();
        if is_served && in_flight > 0 && self.connection.exchange.is_idle(self.now) {
            return Err(format!("{in_flight} in flight on an idle connection"));
        }
        Ok(())
    }

    /// Requests and connections in flight at this moment.
    pub fn in_flight(&self) -> u64 {
        self.census.snapshot(self.now).in_flight_in_all()
    }

    /// Nothing goes on in either direction.
    pub(super) fn is_over(&self) -> bool {
        self.connection.stage.is_closing()
    }

    /// The deadline came.
    fn is_cut(&self) -> bool {
        matches!(self.connection.stage, Stage::Cut { .. })
    }

    fn legs(&mut self) -> &mut Parties {
        &mut self.connection.legs
    }

    /// All that was read of the client.
    pub(super) fn client_said(&self) -> &[u8] {
        &self.connection.legs.client.said
    }

    /// All that was read of the app.
    pub(super) fn app_said(&self) -> &[u8] {
        &self.connection.legs.app.said
    }

    pub(super) fn to_client(&self) -> &[u8] {
        &self.connection.legs.client.heard
    }

    pub(super) fn to_app(&self) -> &[u8] {
        &self.connection.legs.app.heard
    }

    /// The client says this, in one read.
    pub(super) fn client(&mut self, bytes: &[u8]) {
        self.legs().client.says(bytes);
        self.hear_client();
    }

    /// The app says this, in one read.
    pub(super) fn app(&mut self, bytes: &[u8]) {
        self.legs().app.says(bytes);
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
        self.connection.take_up(&self.conduct, self.now);
    }
}
