//! What to do about the Lease: pure, the time comes in as `now`.

use super::{DURATION, GIVE_UP, Held};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that a holder's own word on the Lease's duration is believed; the least is
/// [`DURATION`]. A slip of somebody's editor must neither keep everybody out for ever nor let two
/// in.
const LONGEST: Duration = Duration::from_secs(60);

/// The holder of a Lease that was deleted and made anew: it can be taken as if that one had
/// vanished.
pub(super) const NOBODY: &str = "nobody: it was deleted, and made anew";

/// What the Lease says, as far as it counts here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// The version, which every write changes.
    pub(super) version: String,
    /// Who holds it; nobody after it was given back.
    pub(super) holder: Option<String>,
    /// For how long it is the holder's after each renewal.
    pub(super) duration: Option<Duration>,
    /// How often it has changed hands.
    pub(super) term: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take it, with this term.
    Take { term: u64 },
    /// Make it anew, held by [`NOBODY`].
    Make,
    /// Renew it, with the term that it has.
    Renew,
    /// Leave it to whoever has it.
    Wait,
}

/// What one process has seen of the Lease, and what it holds of it.
#[derive(Debug)]
pub(super) struct Claim {
    identity: String,
    held: Option<Held>,
    /// What was found when the Lease was looked at last, and since when that has been so; in it
    /// `None` where there was no Lease. `None` before the first look.
    seen: Option<(Option<Record>, Instant)>,
    /// The highest term that anybody is known to have had.
    highest: u64,
}

// === impl Claim ===

impl Claim {
    /// Nothing seen yet. Two processes that may run at the same time have different identities.
    pub(super) fn new(identity: String) -> Claim {
        Claim {
            identity,
            held: None,
            seen: None,
            highest: 0,
        }
    }

    /// Takes in what the Lease says now; `None` if there is none.
    pub(super) fn see(&mut self, record: Option<Record>, now: Instant) {
        if let Some(record) = &record {
            self.highest = self.highest.max(record.term);
            let is_ours = record.holder.as_ref() == Some(&self.identity);
            self.held = self.held.filter(|held| is_ours && held.term == record.term);
        }
        let version = |record: &Option<Record>| record.as_ref().map(|it| it.version.clone());
        let since = match &self.seen {
            Some((before, since)) if version(before) == version(&record) => *since,
            _ => now,
        };
        self.seen = Some((record, since));
    }

    /// Takes note of a term that somebody has had.
    pub(super) fn heard(&mut self, term: u64) {
        self.highest = self.highest.max(term);
    }

    /// What to do now.
    pub(super) fn step(&self, now: Instant) -> Step {
        let take = Step::Take {
            term: self.highest + 1,
        };
        let Some((record, since)) = &self.seen else {
            return Step::Wait;
        };
        let expired = |duration| match now < *since + duration {
            true => Step::Wait,
            false => take,
        };
        match (record, self.held(now)) {
            (Some(_), Some(held)) if held.term == self.highest => Step::Renew,
            // Deleted, or somebody has had a later term.
            (_, Some(_)) => take,
            // The chart makes it, so it was deleted, and who held it may do so still by its own
            // clock. Only of a Lease that is there can be known that it has not changed meanwhile.
            (None, None) => Step::Make,
            (Some(record), None) => match &record.holder {
                // One that was put in its place as the chart makes it has forgotten the term, and
                // somebody may hold it still.
                None if record.term < self.highest => expired(DURATION),
                // Made by the chart, or given back.
                None => take,
                // An earlier process of this pod, or a write of ours whose answer was lost.
                Some(holder) if *holder == self.identity => take,
                Some(_) => {
                    let duration = record.duration.unwrap_or(DURATION);
                    expired(duration.clamp(DURATION, LONGEST))
                }
            },
        }
    }

    /// Takes note that a write has been taken which was sent then. A renewal that is answered when
    /// the term has ended does not bring it back.
    pub(super) fn wrote(&mut self, record: Record, sent: Instant, now: Instant) {
        self.highest = self.highest.max(record.term);
        let is_over = self
            .held
            .is_some_and(|held| held.term == record.term && held.until <= now);
        self.held = (!is_over).then(|| Held {
            term: record.term,
            until: sent + GIVE_UP,
        });
        self.seen = Some((Some(record), sent));
    }

    /// What is held at this moment.
    pub(super) fn held(&self, now: Instant) -> Option<Held> {
        self.held.filter(|held| now < held.until)
    }
}
