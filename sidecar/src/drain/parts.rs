//! What the time of a drain goes to. Each moment belongs to one part, so that they sum to the
//! whole.

use super::facts::Facts;
use super::state::{Leaving, Stage};
use crate::census::{Snapshot, milliseconds};
use ebb_api::report;
use std::time::{Duration, Instant};

/// The parts of a drain up to some moment, and which one goes on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    spent: [Duration; Part::ALL.len()],
    until: Instant,
    wait: Wait,
}

/// What a moment of a drain goes to; each is explained at the field of [`report::Parts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Endpoints,
    Quiet,
    LastRequest,
    IdleClients,
    Goodbyes,
}

/// What the time goes to if nothing else happens: one part up to a moment that is known (`None` if
/// it is not), and another one from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    first: (Part, Option<Instant>),
    then: Part,
}

// === impl Part ===

impl Part {
    const ALL: [Part; 5] = [
        Part::Endpoints,
        Part::Quiet,
        Part::LastRequest,
        Part::IdleClients,
        Part::Goodbyes,
    ];
}

// === impl Wait ===

impl Wait {
    /// What a leaving pod waits for from `now` on.
    pub(super) fn of(leaving: &Leaving, facts: &Facts, snapshot: &Snapshot, now: Instant) -> Wait {
        match leaving.stage {
            // Whether the pod goes, or one of its containers.
            Stage::Suspected => Wait::only(Part::Quiet),
            Stage::Restarting | Stage::Cutting => Wait::only(Part::LastRequest),
            Stage::LameDuck if waits_for_old_work(leaving, facts, snapshot) => Wait {
                first: (Part::Endpoints, out_of_endpoints(leaving, facts)),
                then: Part::LastRequest,
            },
            Stage::LameDuck | Stage::Unready => Wait {
                first: (Part::Endpoints, out_of_endpoints(leaving, facts)),
                then: Part::Quiet,
            },
            Stage::Draining if snapshot.in_flight_in_all() > 0 => Wait::only(Part::LastRequest),
            Stage::Draining => {
                let longest = leaving.since + facts.idle_wait(leaving);
                let expected_back = snapshot.pausing_until.unwrap_or(now).min(longest);
                let is_paced = snapshot.untold > 0 && facts.pace(leaving).is_some();
                Wait {
                    first: (Part::IdleClients, Some(expected_back)),
                    then: match is_paced {
                        true => Part::Goodbyes,
                        // What the kernel has queued is looked at.
                        false => Part::Quiet,
                    },
                }
            }
        }
    }

    fn only(part: Part) -> Wait {
        Wait {
            first: (part, None),
            then: part,
        }
    }
}

/// When the endpoints are gone and the least time has passed; `None` if the controller has not said
/// that they are.
fn out_of_endpoints(leaving: &Leaving, facts: &Facts) -> Option<Instant> {
    let (least, _) = facts.lame_duck(leaving);
    let least = leaving.signal + least;
    match facts.guidance() {
        Some(_) => facts.gone(leaving).map(|gone| gone.max(least)),
        None => Some(least),
    }
}

fn waits_for_old_work(leaving: &Leaving, facts: &Facts, snapshot: &Snapshot) -> bool {
    facts.goes_on_accepting(leaving) && facts.has_old_work(leaving, snapshot)
}

// === impl Parts ===

impl Parts {
    /// Those of a drain that begins.
    pub(super) fn begin(now: Instant) -> Parts {
        Parts {
            spent: [Duration::ZERO; Part::ALL.len()],
            until: now,
            wait: Wait::only(Part::Quiet),
        }
    }

    /// The time up to `now` goes to what was waited for; from here on it is this.
    pub(super) fn go_on(&mut self, wait: Wait, now: Instant) {
        let (first, bound) = self.wait.first;
        let turn = bound.unwrap_or(now).max(self.until).min(now);
        self.spent[first as usize] += turn.saturating_duration_since(self.until);
        self.spent[self.wait.then as usize] += now.saturating_duration_since(turn);
        self.until = now;
        self.wait = wait;
    }

    /// What a report says of them. Rounded down one after the other, so that the sum is the whole
    /// rounded down.
    pub(super) fn report(&self) -> report::Parts {
        let mut whole = Duration::ZERO;
        let mut part = |part: Part| {
            let before = milliseconds(whole);
            whole += self.spent[part as usize];
            milliseconds(whole) - before
        };
        report::Parts {
            endpoints_ms: part(Part::Endpoints),
            quiet_ms: part(Part::Quiet),
            last_request_ms: part(Part::LastRequest),
            idle_clients_ms: part(Part::IdleClients),
            goodbyes_ms: part(Part::Goodbyes),
        }
    }
}
