//! A connection without sockets: it does with its exchange what `relay::connection` does, on a clock
//! that the scenario moves, and keeps what both ends said and heard.

use super::script::Step;
use crate::census::{Census, OPAQUE_PATIENCE};
use crate::relay::exchange::{AppEnd, Deadline, Exchange, Orphan};
use crate::stance::Stance;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// As in `relay::connection::leaving`.
const PATIENCE: Duration = Duration::from_secs(2);

/// More wake-ups than any connection has reasons for while nothing else happens.
const WAKES: usize = 16;

/// A connection in a rehearsal.
pub(super) struct Rehearsal {
    pub(super) exchange: Exchange,
    pub(super) census: Arc<Census>,
    pub(super) now: Instant,
    pub(super) client: Party,
    pub(super) app: Party,
    pub(super) stance: Stance,
    /// What the relay said in the app's place: the last that the client heard.
    pub(super) answer: Option<Vec<u8>>,
    /// How it ended.
    pub(super) ended: Option<End>,
    /// The client asks for nothing that the app has not been given; see `AppEnd::Keep`.
    pub(super) orphaned: bool,
    behind_gate: Vec<u8>,
    app_listens: bool,
    client_takes: bool,
    /// Bytes for the client that it did not take.
    waiting: bool,
    redialing: bool,
    closing: bool,
    is_cut: bool,
    until: Option<Instant>,
    /// Everything is given to the exchange byte by byte.
    in_bytes: bool,
}

/// One end.
#[derive(Default)]
pub(super) struct Party {
    /// All that the relay read of it.
    pub(super) said: Vec<u8>,
    /// All that it was given.
    pub(super) heard: Vec<u8>,
    unread: VecDeque<Vec<u8>>,
    /// It ended: by a reset, or not.
    ends: Option<bool>,
    /// The relay knows.
    pub(super) has_ended: bool,
    /// It was told that the other one has said all.
    pub(super) told_end: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Over,
    Close,
    Reset,
}

type Turn = Result<bool, End>;

impl Rehearsal {
    pub(super) fn new(in_bytes: bool) -> Rehearsal {
        let now = Instant::now();
        let census = Census::new(now);
        Rehearsal {
            exchange: Exchange::new(census.connect(), OPAQUE_PATIENCE),
            census,
            now,
            client: Party::default(),
            app: Party::default(),
            stance: Stance::Serving,
            answer: None,
            ended: None,
            orphaned: false,
            behind_gate: Vec::new(),
            app_listens: true,
            client_takes: true,
            waiting: false,
            redialing: false,
            closing: false,
            is_cut: false,
            until: None,
            in_bytes,
        }
    }

    /// Lets something happen, and all that follows from it.
    pub(super) fn play(&mut self, step: Step) {
        match step {
            Step::ClientSays(words) if self.client.ends.is_none() => {
                self.client.unread.push_back(words);
            }
            Step::AppSays(words) if self.app.ends.is_none() => self.app.unread.push_back(words),
            Step::ClientSays(_) | Step::AppSays(_) => {}
            Step::Time(time) => self.pass(time),
            Step::Leave => self.take_stance(self.stance.max(Stance::Parting)),
            Step::Stay => self.take_stance(Stance::Serving),
            Step::Close => self.take_stance(self.stance.max(Stance::Closing)),
            Step::Cut => self.take_stance(Stance::Cut),
            Step::ClientEnds => self.client.ends = Some(false),
            Step::AppEnds => self.app.ends = self.app.ends.or(Some(false)),
            Step::AppResets => self.app.ends = self.app.ends.or(Some(true)),
            Step::AppStops => self.app_listens = false,
            Step::ClientStalls => self.client_takes = false,
            Step::ClientTakes => self.client_takes = true,
        }
        self.run();
    }

    /// Lets time pass; whatever is due on the way is done on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut wakes = 0;
        while let Some(at) = self.wakes_at().filter(|at| *at <= end) {
            assert!(at > self.now, "it wakes in the past");
            wakes += 1;
            assert!(wakes <= WAKES, "it wakes again and again for nothing");
            self.now = at;
            self.run();
        }
        self.now = end;
        self.run();
    }

    fn take_stance(&mut self, stance: Stance) {
        self.stance = stance;
        self.exchange
            .set_leaving(stance >= Stance::Parting, self.now);
    }

    /// When a connection that rests looks again.
    fn wakes_at(&self) -> Option<Instant> {
        if self.ended.is_some() || (self.stance == Stance::Serving && self.until.is_none()) {
            return None;
        }
        self.until.or_else(|| self.exchange.wakes_at(self.now))
    }

    /// Turns until nothing moves any more.
    fn run(&mut self) {
        let mut turns = 0;
        while self.ended.is_none() {
            turns += 1;
            assert!(turns < 100_000, "it never rests");
            match self.turn() {
                Ok(true) => continue,
                Ok(false) => {}
                Err(end) => return self.end(end),
            }
            match self.rest() {
                Ok(true) => {}
                Ok(false) => return,
                Err(end) => return self.end(end),
            }
        }
    }

    fn turn(&mut self) -> Turn {
        if self.stance == Stance::Cut && !self.is_cut {
            self.cut()?;
        }
        self.say_goodbye();
        let released = self.exchange.released(self.client.has_ended);
        self.app.heard.extend(released);
        let down = self.move_down()?;
        if self.closing {
            return Ok(down);
        }
        let up = self.move_up()?;
        let over = |party: &Party| party.has_ended && party.told_end;
        if over(&self.client) && over(&self.app) {
            return Err(End::Over);
        }
        Ok(down || up)
    }

    fn say_goodbye(&mut self) {
        if self.closing {
            return;
        }
        if let Some(goodbye) = self.exchange.goodbye(self.now) {
            if !self.client.told_end {
                self.give_client(&goodbye.bytes);
            }
            self.closing = goodbye.last;
        }
        self.closing |= self.exchange.is_over();
    }

    fn give_client(&mut self, bytes: &[u8]) {
        self.client.heard.extend_from_slice(bytes);
        self.waiting |= !self.client_takes && !bytes.is_empty();
    }

    fn give_answer(&mut self, answer: &[u8]) {
        assert!(self.answer.is_none(), "one answer of the relay is the last");
        self.answer = Some(answer.to_vec());
        self.waiting |= !self.client_takes;
        self.closing = true;
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
        if self.closing {
            return Err(End::Close);
        }
        if self.app.has_ended {
            return self.end_client_side();
        }
        if self.orphaned {
            return Ok(waited);
        }
        let Some(words) = self.app.unread.pop_front() else {
            return match self.app.ends {
                None => Ok(waited),
                Some(reset) => self.app_ended(reset),
            };
        };
        for piece in words.chunks(self.piece(&words)) {
            self.app.said.extend_from_slice(piece);
            let passed = self.exchange.app_sent(piece, self.now);
            let (bytes, last) = (passed.bytes.into_owned(), passed.last);
            self.give_client(&bytes);
            self.closing = last;
            self.exchange.handed_over(!self.waiting, self.now);
            if last {
                break;
            }
        }
        Ok(true)
    }

    fn piece(&self, words: &[u8]) -> usize {
        if self.in_bytes { 1 } else { words.len() }
    }

    fn app_ended(&mut self, reset: bool) -> Turn {
        if !reset {
            self.exchange.app_said_all();
        }
        let end = self.exchange.app_closed(self.now);
        if !self.client.has_ended && end == AppEnd::Keep {
            self.orphaned = true;
        } else if reset {
            return Err(End::Reset);
        } else {
            self.app.has_ended = true;
        }
        Ok(true)
    }

    fn end_client_side(&mut self) -> Turn {
        if self.until.is_some() {
            return Err(End::Close);
        }
        Ok(!std::mem::replace(&mut self.client.told_end, true))
    }

    fn move_up(&mut self) -> Turn {
        if self.orphaned {
            return self.read_orphan();
        }
        if self.client.has_ended || self.until.is_some() {
            return Ok(!std::mem::replace(&mut self.app.told_end, true));
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
            Some(words) => {
                self.client.said.extend_from_slice(&words);
                self.pass_to_app(&words);
                Ok(true)
            }
            None => {
                self.client.has_ended = self.client.ends.is_some();
                Ok(self.client.has_ended)
            }
        }
    }

    fn pass_to_app(&mut self, words: &[u8]) {
        for piece in words.chunks(self.piece(words)) {
            if !self.behind_gate.is_empty() {
                self.behind_gate.extend_from_slice(piece);
                continue;
            }
            let passed = self.exchange.client_sent(piece, self.now);
            assert!(
                passed.taken == piece.len() || self.exchange.is_gated(),
                "nothing waits where no gate is closed"
            );
            self.app.heard.extend_from_slice(&passed.bytes);
            self.behind_gate.extend_from_slice(&piece[passed.taken..]);
        }
    }

    fn read_orphan(&mut self) -> Turn {
        let Some(words) = self.client.unread.pop_front() else {
            return match self.client.ends {
                None => Ok(false),
                Some(_) => Err(End::Close),
            };
        };
        self.client.said.extend_from_slice(&words);
        if self.stance < Stance::Closing && self.exchange.is_idle(self.now) {
            self.orphaned = false;
            self.redialing = true;
            let heard = self.app.heard.len();
            self.pass_to_app(&words);
            self.redial(heard)?;
            return Ok(true);
        }
        let refusal = self.exchange.orphan(&words);
        self.refuse(refusal)
    }

    /// The app's next connection, or what becomes of the bytes behind `heard`, which were for it.
    fn redial(&mut self, heard: usize) -> Result<(), End> {
        self.redialing = false;
        if self.app_listens {
            self.app.ends = None;
            return Ok(());
        }
        self.app.heard.truncate(heard);
        self.orphaned = true;
        self.refuse(self.exchange.app_unreachable()).map(|_| ())
    }

    fn refuse(&mut self, refusal: Orphan) -> Turn {
        match refusal {
            Orphan::Wait => {}
            Orphan::Close => return Err(End::Close),
            Orphan::Answer(answer) => self.give_answer(answer),
        }
        Ok(true)
    }

    fn cut(&mut self) -> Result<(), End> {
        self.is_cut = true;
        if self.closing {
            if !self.exchange.is_idle(self.now) {
                self.until = Some(self.now + PATIENCE);
            }
            return Ok(());
        }
        let deadline = self.exchange.deadline(0);
        if self.exchange.line().cut(self.now) {
            self.until = Some(self.now + PATIENCE);
        }
        self.closing = true;
        match deadline {
            Deadline::Close => {}
            Deadline::Reset => return Err(End::Reset),
            Deadline::Answer(answer) => self.give_answer(&answer),
        }
        Ok(())
    }

    /// What the stance wants of a connection at rest; true if there is something to do now.
    fn rest(&mut self) -> Turn {
        if self.until.is_some_and(|until| until <= self.now) {
            return Err(if self.waiting { End::Reset } else { End::Close });
        }
        if self.stance == Stance::Serving && self.until.is_none() {
            return if self.orphaned {
                Err(End::Close)
            } else {
                Ok(false)
            };
        }
        if self.stance == Stance::Closing && self.app.has_ended && self.client.told_end {
            return Err(End::Close);
        }
        let at_rest = !self.waiting && !self.closing;
        if at_rest && self.stance == Stance::Closing && self.exchange.is_idle(self.now) {
            self.exchange.line().idle_closed();
            let Deadline::Answer(goodbye) = self.exchange.deadline(0) else {
                return Err(End::Close);
            };
            self.give_answer(&goodbye);
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
