//! Calls of strangers: believed when the controller says that the pod leaves, or is away; refused
//! when it says, well after the call, that the pod stays. Until then they wait, and change nothing.

use super::Call;
use std::time::{Duration, Instant};

/// How long after a call a word of the controller knows whether there was a deletion: its watch
/// may lag behind kubelet's.
const LAG: Duration = Duration::from_secs(2);

/// For how long after its last word a controller counts as there. It speaks to every sidecar at
/// least every 90 s.
const PRESENT: Duration = Duration::from_secs(150);

/// How many calls wait; of more, those go that their callers have given up.
const WAITING: usize = 64;

/// The controller's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) at: Instant,
    /// Whether the pod leaves by it.
    pub(crate) leaves: bool,
}

/// What becomes of a stranger's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is kubelet's.
    Believed,
    /// It is nobody's who may call.
    Refused,
    /// Nobody knows yet; at this moment it is believed.
    Waits(Instant),
}

/// The calls that wait for their verdict.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Vec<(Instant, Call)>);

/// Calls with their verdict.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) believed: Vec<Call>,
    pub(crate) refused: Vec<Call>,
}

/// The verdict on a call that came at `called`. Without a controller there are only the hooks to go
/// by, so all are believed.
pub(crate) fn judge(called: Instant, word: Option<Word>, now: Instant) -> Verdict {
    match word {
        None => Verdict::Believed,
        Some(word) if word.leaves => Verdict::Believed,
        Some(word) if word.at >= called + LAG => Verdict::Refused,
        Some(word) if now >= word.at + PRESENT => Verdict::Believed,
        Some(word) => Verdict::Waits(word.at + PRESENT),
    }
}

// === impl Doubts ===

impl Doubts {
    /// Takes a call in.
    pub(crate) fn add(&mut self, call: Call, now: Instant) {
        if self.0.len() >= WAITING {
            self.0.retain(|(_, call)| !call.answer.is_closed());
        }
        self.0.push((now, call));
    }

    /// Takes out the calls of which it is known by now what they are.
    pub(crate) fn settle(&mut self, word: Option<Word>, now: Instant) -> Settled {
        let mut settled = Settled::default();
        for (called, call) in std::mem::take(&mut self.0) {
            match judge(called, word, now) {
                Verdict::Believed => settled.believed.push(call),
                Verdict::Refused => settled.refused.push(call),
                Verdict::Waits(_) => self.0.push((called, call)),
            }
        }
        settled
    }

    /// When the next one is settled if nothing is said.
    pub(crate) fn next(&self, word: Option<Word>, now: Instant) -> Option<Instant> {
        let verdicts = self.0.iter().map(|(called, _)| judge(*called, word, now));
        let moments = verdicts.map(|verdict| match verdict {
            Verdict::Waits(until) => until,
            Verdict::Believed | Verdict::Refused => now,
        });
        moments.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// While the controller is there, a call waits until it says something that tells.
    #[test]
    fn the_controller_decides() {
        let called = Instant::now() + 1000 * SECOND;
        let says = |at, leaves| Some(Word { at, leaves });
        let verdict = |word, now| judge(called, word, now);
        assert_eq!(verdict(None, called), Verdict::Believed, "nobody is there");
        let before = called - 60 * SECOND;
        let waits = Verdict::Waits(before + PRESENT);
        assert_eq!(verdict(says(before, false), called), waits);
        let soon = called + SECOND;
        assert_eq!(
            verdict(says(soon, false), soon),
            Verdict::Waits(soon + PRESENT),
            "it may not have seen the deletion yet"
        );
        assert_eq!(verdict(says(soon, true), soon), Verdict::Believed);
        let later = called + LAG;
        assert_eq!(verdict(says(later, false), later), Verdict::Refused);
        assert_eq!(
            verdict(says(before, true), called),
            Verdict::Believed,
            "the pod leaves already"
        );
    }

    /// A controller that went away before it could say so keeps no call waiting for ever.
    #[test]
    fn a_controller_that_is_away_decides_nothing() {
        let called = Instant::now() + 1000 * SECOND;
        let word = |before| {
            Some(Word {
                at: called - before,
                leaves: false,
            })
        };
        assert_eq!(judge(called, word(PRESENT), called), Verdict::Believed);
        let Verdict::Waits(until) = judge(called, word(SECOND), called) else {
            panic!("it was there a second ago");
        };
        assert!(until - called < PRESENT);
        assert_eq!(judge(called, word(SECOND), until), Verdict::Believed);
    }
}
