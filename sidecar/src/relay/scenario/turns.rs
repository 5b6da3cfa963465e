//! The turns of a connection whenever something has happened: those that a task gives it.

use super::Played;
use crate::relay::buffer::with_scratch;
use crate::relay::connection::{End, Leg, Legs, Rest, Stage};
use std::task::{Context, Waker};
use std::time::Instant;

/// More turns than anything that was said can take.
const TURNS: usize = 100_000;

impl Played {
    /// When a connection at rest looks again.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let is_there = self.ended.is_none();
        self.connection.wakes_at(self.now).filter(|_| is_there)
    }

    /// Turns until nothing moves any more.
    pub(super) fn go_on(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..TURNS {
            if self.ended.is_some() {
                return;
            }
            let (connection, now) = (&mut self.connection, self.now);
            match with_scratch(|scratch| connection.turn(&mut context, scratch, now)) {
                Ok(true) => {}
                Ok(false) => match connection.rest(now) {
                    Rest::Again => {}
                    Rest::Until(_) => return,
                    Rest::Ended(end) => self.end(end),
                },
                Err(end) => self.end(end),
            }
        }
        panic!("a connection that never rests");
    }

    /// Reads what the client said, and nothing else.
    pub(super) fn hear_client(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        while self.ended.is_none() && !self.is_over() {
            let (connection, now) = (&mut self.connection, self.now);
            match with_scratch(|scratch| connection.move_up(&mut context, scratch, now)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(end) => self.end(end),
            }
        }
        if self.connection.stage == Stage::Redialing {
            self.go_on();
        }
    }

    /// Bytes for the client that it does not take.
    pub(super) fn waits(&self) -> bool {
        self.connection.legs.unsent(Leg::Client) > 0
    }

    fn end(&mut self, end: End) {
        self.connection.end(end);
        self.ended = Some(end);
    }
}
