//! What a connection does with its exchange whenever it has its turn: `relay::connection`, without
//! sockets.

use super::{End, PartyEnd, Played};
use crate::relay::exchange::{AppEnd, Deadline, Orphan};
use crate::stance::Stance;
use std::time::{Duration, Instant};

/// As in `relay::connection::leaving`.
const PATIENCE: Duration = Duration::from_secs(2);

/// More turns than anything that was said can take.
const TURNS: usize = 100_000;

/// Whether a turn got anywhere.
type Turn = Result<bool, End>;

impl Played {
    /// When a connection at rest looks again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        if self.ended.is_some() || self.stays() {
            return None;
        }
        self.until.or_else(|| self.exchange.wakes_at(self.now))
    }

    /// Nothing is wanted of it but to pass bytes.
    fn stays(&self) -> bool {
        let serves = self.conduct.stance == Stance::Serving;
        serves && !self.exchange.is_parting() && self.until.is_none()
    }

    /// Turns until nothing moves any more.
    pub(super) fn go_on(&mut self) {
        for _ in 0..TURNS {
            if self.ended.is_some() {
                return;
            }
            let turned = match self.turn() {
                Ok(false) => self.rest(),
                turned => turned,
            };
            match turned {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => self.end(end),
            }
        }
        panic!("a connection that never rests");
    }

    /// Reads what the client said, and nothing else.
    pub(super) fn hear_client(&mut self) {
        while self.ended.is_none() && !self.over {
            match self.move_up() {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => self.end(end),
            }
        }
    }

    fn turn(&mut self) -> Turn {
        if self.conduct.stance == Stance::Cut && !self.is_cut {
            self.cut()?;
        }
        self.say_goodbye();
        let down = self.move_down()?;
        if self.over {
            return Ok(down);
        }
        let released = self.exchange.released(self.client.has_ended);
        self.to_app.extend(released);
        let up = self.move_up()?;
        if [&self.client, &self.app]
            .iter()
            .all(|party| party.has_ended && party.is_told)
        {
            return Err(End::Over);
        }
        Ok(down || up)
    }

    fn say_goodbye(&mut self) {
        if self.over {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(self.now) {
            if !self.client.is_told {
                self.give_client(&goodbye.bytes);
            }
            self.over = goodbye.last;
        }
        self.over |= self.exchange.is_over();
    }

    fn give_client(&mut self, bytes: &[u8]) {
        self.to_client.extend_from_slice(bytes);
        self.waiting |= !self.client_takes && !bytes.is_empty();
    }

    fn give_last(&mut self, answer: &[u8]) {
        self.give_client(answer);
        self.over = true;
    }

    fn move_down(&mut self) -> Turn {
        let waited = self.waiting;
        if waited {
            if !self.client_takes {
                return Ok(false);
            }
            self.waiting = false;
            self.exchange.handed_over(true, self.now);
        }
        if self.over {
            return Err(End::Close);
        }
        if self.app.has_ended {
            return self.end_client_side();
        }
        if self.orphaned {
            return Ok(waited);
        }
        let Some(said) = self.app.unread.pop_front() else {
            return match self.app.end {
                None => Ok(waited),
                Some(end) => self.app_ended(end),
            };
        };
        self.app_said.extend_from_slice(&said);
        let passed = self.exchange.app_sent(&said, self.now);
        let (bytes, last) = (passed.bytes.into_owned(), passed.last);
        self.give_client(&bytes);
        self.over = last;
        self.exchange.handed_over(!self.waiting, self.now);
        Ok(true)
    }

    fn app_ended(&mut self, end: PartyEnd) -> Turn {
        if end == PartyEnd::Fin {
            self.exchange.app_said_all();
        }
        let keeps = self.exchange.app_closed(self.now) == AppEnd::Keep;
        if !self.client.has_ended && keeps {
            self.orphaned = true;
        } else if end == PartyEnd::Reset {
            return Err(End::Reset);
        } else {
            self.app.has_ended = true;
        }
        Ok(true)
    }

    /// Tells the client that the app has said all.
    fn end_client_side(&mut self) -> Turn {
        if self.until.is_some() {
            return Err(End::Close);
        }
        Ok(!std::mem::replace(&mut self.client.is_told, true))
    }

    fn move_up(&mut self) -> Turn {
        if self.orphaned {
            return self.read_orphan();
        }
        if self.client.has_ended || self.until.is_some() {
            return Ok(!std::mem::replace(&mut self.app.is_told, true));
        }
        if !self.behind_gate.is_empty() {
            if self.exchange.is_gated() {
                return Ok(false);
            }
            let bytes = std::mem::take(&mut self.behind_gate);
            self.pass_to_app(&bytes);
            return Ok(true);
        }
        match self.client.unread.pop_front() {
            Some(said) => {
                self.client_said.extend_from_slice(&said);
                self.pass_to_app(&said);
                Ok(true)
            }
            None => {
                self.client.has_ended = self.client.end.is_some();
                Ok(self.client.has_ended)
            }
        }
    }

    fn pass_to_app(&mut self, said: &[u8]) {
        let passed = self.exchange.client_sent(said, self.now);
        self.to_app.extend_from_slice(&passed.bytes);
        let taken = passed.taken;
        self.behind_gate.extend_from_slice(&said[taken..]);
        assert!(
            taken == said.len() || self.exchange.is_gated(),
            "nothing waits at an open gate"
        );
    }

    fn read_orphan(&mut self) -> Turn {
        let Some(said) = self.client.unread.pop_front() else {
            return match self.client.end {
                None => Ok(false),
                Some(_) => Err(End::Close),
            };
        };
        self.client_said.extend_from_slice(&said);
        if self.conduct.stance >= Stance::Closing || !self.exchange.is_between_requests() {
            let refusal = self.exchange.orphan(&said);
            return self.refuse(refusal);
        }
        // Where the app still listens, it takes the request on a connection of its own.
        let heard = self.to_app.len();
        self.pass_to_app(&said);
        if self.app_listens {
            self.orphaned = false;
            self.app.end = None;
            return Ok(true);
        }
        self.to_app.truncate(heard);
        self.refuse(self.exchange.app_unreachable())
    }

    fn refuse(&mut self, refusal: Orphan) -> Turn {
        match refusal {
            Orphan::Wait => {}
            Orphan::Close => return Err(End::Close),
            Orphan::Answer(answer) => self.give_last(answer),
        }
        Ok(true)
    }

    fn cut(&mut self) -> Result<(), End> {
        let deadline = self.exchange.deadline(0);
        if deadline == Deadline::Handover && !self.over {
            return Ok(());
        }
        self.is_cut = true;
        if self.over {
            if !self.exchange.is_idle(self.now) {
                self.until = Some(self.now + PATIENCE);
            }
            return Ok(());
        }
        let in_flight = self.exchange.line().cut(self.now);
        if in_flight {
            self.until = Some(self.now + PATIENCE);
        }
        self.over = true;
        match deadline {
            Deadline::Reset if in_flight => return Err(End::Reset),
            Deadline::Reset | Deadline::Close | Deadline::Handover => {}
            Deadline::Answer(answer) => self.give_last(&answer),
        }
        Ok(())
    }

    /// What the stance wants of a connection at rest; true if there is something to do now.
    fn rest(&mut self) -> Turn {
        if self.until.is_some_and(|until| until <= self.now) {
            return Err(if self.waiting { End::Reset } else { End::Close });
        }
        if self.stays() {
            return if self.orphaned {
                Err(End::Close)
            } else {
                Ok(false)
            };
        }
        if self.conduct.stance >= Stance::Closing && self.app.has_ended && self.client.is_told {
            self.exchange.finished();
            return Err(End::Close);
        }
        let at_rest = !self.waiting && !self.over;
        if at_rest && self.conduct.stance == Stance::Closing && self.exchange.is_idle(self.now) {
            self.exchange.line().idle_closed();
            let Deadline::Answer(goodbye) = self.exchange.deadline(0) else {
                return Err(End::Close);
            };
            self.give_last(&goodbye);
            return Ok(true);
        }
        if at_rest && self.until.is_none() && self.exchange.wants_half_close(self.now) {
            self.exchange.line().told();
            self.exchange.line().settled();
            self.until = Some(self.now + PATIENCE);
            return Ok(true);
        }
        Ok(false)
    }

    fn end(&mut self, end: End) {
        match end {
            End::Over => self.exchange.finished(),
            End::Close => self.exchange.line().settled(),
            End::Reset => {}
        }
        self.ended = Some(end);
    }
}
