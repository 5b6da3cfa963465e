//! Conversations that are played to an exchange, and what may come of them: the one way in which
//! tests and fuzz targets drive it.
//!
//! ```text
//!  acts (what both sides say, in pieces; time; the stance) --> Played --> differences::check
//! ```
//!
//! It stands in for the connection: what an exchange gives out is delivered at once.

mod acts;
mod differences;

pub use acts::{Act, acts_from, acts_to};

use differences::Until;

use super::{AppEnd, Deadline, Exchange};
use crate::census::Census;
use crate::stance::{Conduct, Stance};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An exchange, what each side has said, and what has come out on the other.
pub struct Played {
    pub(super) exchange: Exchange,
    pub(super) census: Arc<Census>,
    pub(super) now: Instant,
    pub(super) conduct: Conduct,
    /// All that the client said.
    pub(super) client_said: Vec<u8>,
    /// All that the app said.
    pub(super) app_said: Vec<u8>,
    pub(super) to_app: Vec<u8>,
    pub(super) to_client: Vec<u8>,
    behind_gate: Vec<u8>,
    /// Nothing goes on in either direction.
    pub(super) over: bool,
    client_ended: bool,
    app_ended: bool,
    leaving: bool,
    /// The pod left at some time.
    has_left: bool,
}

impl Played {
    /// A connection on which nothing was said yet.
    pub fn new(leaving: bool) -> Played {
        let now = Instant::now();
        let census = Census::new(now);
        let conduct = Conduct {
            stance: stance(leaving),
            ..Conduct::default()
        };
        let mut exchange = Exchange::new(census.connect());
        exchange.take_up(&conduct, now);
        Played {
            exchange,
            census,
            now,
            conduct,
            client_said: Vec::new(),
            app_said: Vec::new(),
            to_app: Vec::new(),
            to_client: Vec::new(),
            behind_gate: Vec::new(),
            over: false,
            client_ended: false,
            app_ended: false,
            leaving,
            has_left: leaving,
        }
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
            Act::Client(bytes) => self.client(bytes),
            Act::App(bytes) => self.app(bytes),
            Act::Wait(time) => self.pass(*time),
            Act::Leave => self.leave(true),
            Act::Stay => self.leave(false),
            Act::Policy(settings) => {
                self.conduct.connections = *settings;
                self.leave(self.leaving);
            }
            Act::ClientEnds => self.client_ends(),
            Act::AppEnds => self.app_ends(),
            Act::Cut => self.cut(),
        }
        let wakes_at = self.exchange.wakes_at(self.now);
        assert!(
            wakes_at.is_none_or(|at| at > self.now),
            "a connection that wakes at once never rests"
        );
    }

    /// Whether what came out is what went in, but for goodbyes while the pod leaves.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn check(&self) -> Result<(), String> {
        if !self.has_left {
            // At once, too: nothing is ever held.
            return differences::none("to the app", &self.client_said, &self.to_app).and_then(
                |()| differences::none("to the client", &self.app_said, &self.to_client),
            );
        }
        let until = match (self.over, self.app_ended) {
            (true, _) => Until::Over,
            (false, true) => Until::End,
            (false, false) => Until::Now,
        };
        let words = differences::to_client(&self.app_said, &self.to_client, until)?;
        let waits = self.over || !self.behind_gate.is_empty();
        differences::to_app(&self.client_said, &self.to_app, &words, waits)
    }

    /// Requests and connections in flight at this moment.
    pub fn in_flight(&self) -> u64 {
        self.census.snapshot(self.now).in_flight_in_all()
    }

    /// Gives the client's bytes as the connection does: what the gate holds back comes first.
    pub(super) fn client(&mut self, bytes: &[u8]) {
        if self.over || self.client_ended {
            return;
        }
        self.client_said.extend_from_slice(bytes);
        self.behind_gate.extend_from_slice(bytes);
        self.pass_gate();
    }

    pub(super) fn app(&mut self, bytes: &[u8]) {
        if self.over || self.app_ended || bytes.is_empty() {
            return;
        }
        self.app_said.extend_from_slice(bytes);
        let passed = self.exchange.app_sent(bytes, self.now);
        self.to_client.extend_from_slice(&passed.bytes);
        self.over = passed.last;
        self.exchange.handed_over(true, self.now);
        self.go_on();
    }

    /// Lets time pass, and says what is due then.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.go_on();
    }

    pub(super) fn leave(&mut self, leaving: bool) {
        self.leaving = leaving;
        self.has_left |= leaving;
        self.conduct.stance = stance(leaving);
        self.exchange.take_up(&self.conduct, self.now);
        self.go_on();
    }

    /// The client sends its FIN.
    fn client_ends(&mut self) {
        self.client_ended = true;
        self.go_on();
    }

    /// The app sends its FIN. A client that is kept meets the app again with its next request.
    fn app_ends(&mut self) {
        if self.over || self.app_ended {
            return;
        }
        self.exchange.app_said_all();
        self.app_ended = self.exchange.app_closed(self.now) == AppEnd::Pass;
        self.go_on();
    }

    /// The deadline comes.
    fn cut(&mut self) {
        if self.over {
            return;
        }
        self.has_left = true;
        if let Deadline::Answer(answer) = self.exchange.deadline(0) {
            self.to_client.extend_from_slice(&answer);
        }
        self.exchange.line().cut(self.now);
        self.over = true;
    }

    /// What the connection does whenever it has its turn.
    fn go_on(&mut self) {
        if self.over {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(self.now) {
            self.to_client.extend_from_slice(&goodbye.bytes);
            self.over = goodbye.last;
        }
        self.over |= self.exchange.is_over();
        self.to_app
            .extend(self.exchange.released(self.client_ended));
        self.pass_gate();
    }

    fn pass_gate(&mut self) {
        if self.over || self.behind_gate.is_empty() || self.exchange.is_gated() {
            return;
        }
        let input = std::mem::take(&mut self.behind_gate);
        let passed = self.exchange.client_sent(&input, self.now);
        self.to_app.extend_from_slice(&passed.bytes);
        self.behind_gate.extend_from_slice(&input[passed.taken..]);
    }
}

pub(super) fn stance(leaving: bool) -> Stance {
    if leaving {
        Stance::Parting
    } else {
        Stance::Serving
    }
}
