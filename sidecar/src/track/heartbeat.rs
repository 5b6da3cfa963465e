//! Heartbeats on a connection that nobody can read: small exchanges of always the same size, with
//! pauses between them. gRPC's keepalive PINGs inside of TLS are such, MongoDB's `hello`, the empty
//! lines of STOMP, AMQP's and MQTT's pings, each every few seconds for as long as the connection
//! lives. They say that both sides live, and nothing about work.

use super::opaque::Side;
use std::time::{Duration, Instant};

/// How long nothing must move before what comes next is another exchange.
pub const PAUSE: Duration = Duration::from_secs(1);

/// The most that one side says in a ping: one in TLS has 24 to 46 bytes, and hardly any request has
/// so few.
const TINY: u32 = 64;

/// The most of what asks for a state, as `hello` does, and of the answer; and the least pause
/// before it, for requests have such sizes, too.
const SMALL: u32 = 2048;
const LONG_PAUSE: Duration = Duration::from_secs(5);

/// How often exchanges must have been like an earlier one to be heartbeats.
const ENOUGH: u8 = 2;

/// What both sides said in one exchange, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exchange {
    client: u32,
    app: u32,
}

/// What was so when an exchange began: who had spoken last, and when.
pub type Before = (Option<Side>, Instant);

/// The last exchanges of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heartbeats {
    /// When the last byte moved.
    moved: Option<Instant>,
    /// The exchange that goes on.
    now: Exchange,
    /// The pause before it was a long one.
    rested: bool,
    /// What was so before it, and before the two that preceded it.
    starts: [Option<Before>; 3],
    /// The last two sizes, the latest first: two sides may beat independently of each other.
    sizes: [Exchange; 2],
    /// The other one is that of a heartbeat, too.
    both: bool,
    /// How many exchanges in a row had one of those.
    repeated: u8,
    /// What was so before the first of them.
    calm: Option<Before>,
    /// The same if the exchange between the first two was a heartbeat, too.
    calm_if_both: Option<Before>,
}

impl Heartbeats {
    /// One side said this many bytes, when `before` was so. Where that may be a heartbeat, or a
    /// part of one: what was so before the first of them.
    pub fn spoke(
        &mut self,
        (side, length): (Side, usize),
        before: Before,
        now: Instant,
    ) -> Option<Before> {
        let pause = self.moved.map(|moved| now.saturating_duration_since(moved));
        if pause.is_none_or(|pause| pause >= PAUSE) {
            self.end_exchange();
            self.starts = [Some(before), self.starts[0], self.starts[1]];
            self.rested = pause.is_some_and(|pause| pause >= LONG_PAUSE);
        }
        self.moved = Some(now);
        let said = match side {
            Side::Client => &mut self.now.client,
            Side::App => &mut self.now.app,
        };
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        *said = said.saturating_add(length);
        let [latest, other] = self.sizes.map(|size| self.now.is_part_of(size));
        let is_part = latest || (other && self.both);
        let beats = self.repeated >= ENOUGH && self.now.is_small(self.rested) && is_part;
        self.calm.filter(|_| beats)
    }

    fn end_exchange(&mut self) {
        let ended = std::mem::take(&mut self.now);
        if ended == Exchange::default() {
            return;
        }
        let [latest, other] = self.sizes.map(|size| size == ended);
        let may_be_other = self.both || self.repeated == 0 || self.calm_if_both.is_some();
        if !ended.is_small(self.rested) || !(latest || (other && may_be_other)) {
            *self = Heartbeats {
                moved: self.moved,
                starts: self.starts,
                sizes: [ended, self.sizes[0]],
                ..Heartbeats::default()
            };
            return;
        }
        match (self.repeated, latest) {
            (0, true) => self.calm = self.starts[1],
            (0, false) => [self.calm, _, self.calm_if_both] = self.starts,
            (_, true) => self.calm_if_both = None,
            (_, false) => {
                self.both = true;
                self.calm = self.calm_if_both.take().or(self.calm);
            }
        }
        if !latest {
            self.sizes.swap(0, 1);
        }
        self.repeated = self.repeated.saturating_add(1);
    }
}

impl Exchange {
    fn is_small(self, rested: bool) -> bool {
        let most = self.client.max(self.app);
        most <= TINY || (most <= SMALL && rested)
    }

    fn is_part_of(self, whole: Exchange) -> bool {
        self.client <= whole.client && self.app <= whole.app
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says these exchanges, each with this pause before it; which of them were heartbeats to the
    /// last byte.
    fn beats(exchanges: &[(usize, usize)], pause: Duration) -> Vec<bool> {
        let mut now = Instant::now();
        let mut heartbeats = Heartbeats::default();
        let each = exchanges.iter().map(|(client, app)| {
            now += pause;
            let mut beats = true;
            for (side, length) in [(Side::Client, *client), (Side::App, *app)] {
                if length > 0 {
                    let spoke = heartbeats.spoke((side, length), (None, now), now);
                    beats &= spoke.is_some();
                }
            }
            beats
        });
        each.collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Pings are known when they come for the fourth time; after anything else, for the third.
    #[test]
    fn pings_are_known() {
        let ping = (39, 39);
        let talk = [ping, ping, ping, ping, (300, 5000), ping, ping, ping, ping];
        let known = [false, false, false, true, false, false, false, true, true];
        assert_eq!(beats(&talk, 10 * SECOND), known);
        assert_eq!(
            beats(&[(1, 1); 5], SECOND / 2),
            [false; 5],
            "without a pause it is a talk"
        );
    }

    /// Two sides that beat by themselves.
    #[test]
    fn independent_beats_are_known() {
        let talk = [(1, 0), (0, 1), (1, 0), (0, 1), (1, 0), (0, 1)];
        assert_eq!(beats(&talk, 5 * SECOND)[4..], [true, true]);
    }

    /// Larger ones are known by their long pauses.
    #[test]
    fn larger_ones_have_long_pauses() {
        let hello = [(313, 1120); 5];
        assert!(beats(&hello, 10 * SECOND)[4]);
        assert_eq!(
            beats(&hello, 2 * SECOND),
            [false; 5],
            "those may be requests"
        );
        assert_eq!(beats(&[(100, 9000); 5], 10 * SECOND), [false; 5]);
    }

    /// Exchanges of any other size are work, even among heartbeats.
    #[test]
    fn what_differs_is_work() {
        let again = [
            (500, 900),
            (39, 39),
            (39, 39),
            (39, 39),
            (39, 39),
            (500, 900),
            (39, 39),
        ];
        assert_eq!(beats(&again, 10 * SECOND)[4..], [true, false, false]);
        let talk = [(39, 39), (39, 39), (39, 39), (39, 39), (39, 300), (60, 39)];
        assert_eq!(beats(&talk, 10 * SECOND)[3..], [true, false, false]);
    }
}
