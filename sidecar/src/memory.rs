//! The memory that the container may have, and how it is shared out to connections.
//!
//! A container that takes more than its limit is killed, and every connection of the pod with it.
//! So new connections wait in the kernel's queue while too little is left, as they do when file
//! descriptors run out; those that are open go on, and each may hold no more bytes than its share
//! of what is left. A container without a limit takes what it needs, and none of this happens.
//!
//! Nothing runs by the clock, and a connection costs no system call: a look at the kernel's numbers
//! grants a number of connections, and the next look follows when they are taken, or when a
//! connection comes and the last look is old.

mod group;
pub(crate) mod heap;
mod share;

use crate::log_limit::LogLimit;
use ebb_api::report;
use group::{Group, Usage};
use share::Share;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a look counts. Two files are read for it, some 5 us in all.
pub(crate) const LOOK: Duration = Duration::from_millis(100);

/// The most of what the app has said and the client's socket has not sent on that the kernel takes
/// in for one connection, in bytes: as much as a read. What is on its way does not count, so it
/// slows nobody down.
pub(crate) const MOST_UNSENT: u32 = 64 * 1024;

/// The kernel's buffer for what the app says, in bytes. It is on this machine, so more would not be
/// faster. The kernel doubles it, for its own records.
pub(crate) const FROM_APP: usize = 128 * 1024;

/// The memory of the container, for all connections of all threads.
#[derive(Debug)]
pub(crate) struct Memory {
    /// `None` where there is no limit, or none that can be known.
    group: Option<Group>,
    /// Whether there was a limit at the last look.
    bounded: AtomicBool,
    state: Mutex<State>,
    /// The most that a connection may read at once, in bytes.
    piece: AtomicUsize,
    waits: AtomicU64,
    complaint: LogLimit,
}

#[derive(Debug, Default)]
struct State {
    /// How many more connections may come before the next look.
    granted: u64,
    looked: Option<Instant>,
    /// Since when new connections have waited.
    waiting: Option<Instant>,
}

// === impl Memory ===

impl Default for Memory {
    /// Without a limit.
    fn default() -> Memory {
        Memory::of(None)
    }
}

impl Memory {
    /// The memory of the control group that this process is in. A limit that is set later is seen,
    /// too.
    pub(crate) fn of_this_process() -> Memory {
        Memory::of(Group::of_this_process())
    }

    fn of(group: Option<Group>) -> Memory {
        let usage = group.as_ref().and_then(Group::usage);
        Memory {
            bounded: AtomicBool::new(usage.is_some()),
            group,
            state: Mutex::default(),
            piece: AtomicUsize::new(usize::MAX),
            waits: AtomicU64::new(0),
            complaint: LogLimit::default(),
        }
    }

    /// Whether one more connection may come beside those that are open.
    pub(crate) fn admits(&self, open: u64, now: Instant) -> bool {
        let Some(group) = &self.group else {
            return true;
        };
        let mut state = self.state();
        let since = |at| now.saturating_duration_since(at);
        let is_fresh = state.looked.is_some_and(|at| since(at) < LOOK);
        if !is_fresh || state.granted == 0 {
            self.look(&mut state, group.usage(), open, now);
        }
        let admits = state.granted > 0;
        state.granted = state.granted.saturating_sub(1);
        admits
    }

    /// The most that a connection may read at once, in bytes: what it reads it may have to hold.
    pub(crate) fn piece(&self) -> usize {
        self.piece.load(Ordering::Relaxed)
    }

    /// Whether there is a limit that was short lately, so that another look is worth it although no
    /// connection comes.
    pub(crate) fn is_shared_out(&self) -> bool {
        self.piece() != usize::MAX
    }

    /// Whether there is a limit: then the kernel's buffers are bounded, too.
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded.load(Ordering::Relaxed)
    }

    /// How often new connections began to wait.
    pub(crate) fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }

    /// How things stand; `None` where there is no limit.
    pub(crate) fn report(&self, now: Instant) -> Option<report::Memory> {
        let usage = self.group.as_ref()?.usage()?;
        let waiting = self.state().waiting;
        Some(report::Memory {
            limit_bytes: usage.limit,
            used_bytes: usage.used,
            waiting_ms: waiting.map(|since| {
                let waited = now.saturating_duration_since(since).as_millis();
                u64::try_from(waited).unwrap_or(u64::MAX)
            }),
        })
    }

    fn look(&self, state: &mut State, usage: Option<Usage>, open: u64, now: Instant) {
        let was_waiting = state.waiting.is_some();
        let share = usage.map_or(Share::UNLIMITED, |usage| {
            let share = Share::of(usage, open, was_waiting);
            if share.is_plenty() {
                return share;
            }
            // What the kernel only keeps for later goes before anybody is killed, and what our
            // allocator keeps is there for new connections. To know how much that is costs the
            // kernel more than the rest of the look.
            let kept = self.group.as_ref().map(Group::kept).unwrap_or_default();
            let spare = heap::spare(kept.anonymous, open);
            Share::of(usage.without(kept.cached + spare), open, was_waiting)
        });
        self.bounded.store(usage.is_some(), Ordering::Relaxed);
        state.looked = Some(now);
        state.granted = share.connections;
        self.piece.store(share.piece, Ordering::Relaxed);
        match (share.connections, state.waiting) {
            (0, None) => {
                state.waiting = Some(now);
                self.waits.fetch_add(1, Ordering::Relaxed);
                self.complain(usage, open, now);
            }
            (1.., Some(since)) => {
                state.waiting = None;
                let waited_ms = now.saturating_duration_since(since).as_millis();
                tracing::info!(waited_ms, "there is memory for new connections again");
            }
            _ => {}
        }
    }

    fn complain(&self, usage: Option<Usage>, connections: u64, now: Instant) {
        if let (Some(usage), Some(skipped)) = (usage, self.complaint.allow(now)) {
            tracing::warn!(
                connections,
                used_bytes = usage.used,
                limit_bytes = usage.limit,
                skipped,
                "new connections wait: the container's limit leaves no memory for them"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock can panic halfway.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    const MIB: u64 = 1 << 20;

    /// A group of which the test says what is used.
    struct Pretended(PathBuf);

    impl Pretended {
        fn new(name: &str) -> Pretended {
            let name = format!("ebb-memory-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("memory.max"), (128 * MIB).to_string()).unwrap();
            fs::write(folder.join("memory.stat"), "").unwrap();
            let group = Pretended(folder);
            group.uses(8);
            group
        }

        fn uses(&self, mebibytes: u64) {
            let bytes = (mebibytes * MIB).to_string();
            fs::write(self.0.join("memory.current"), bytes).unwrap();
        }

        fn memory(&self) -> Memory {
            Memory::of(Group::open(&self.0))
        }
    }

    impl Drop for Pretended {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    /// Most connections ask the kernel nothing: a look grants many, and counts for a while. It does
    /// not count for longer, and what is seen then is told.
    #[test]
    fn a_look_counts_for_a_while() {
        let group = Pretended::new("look");
        let memory = group.memory();
        let start = Instant::now();
        assert!(memory.admits(1000, start) && memory.is_bounded());
        group.uses(127);
        assert!(memory.admits(1001, start + LOOK / 2));
        assert_eq!(memory.waits(), 0);
        let later = start + LOOK;
        assert!(!memory.admits(1002, later) && memory.is_shared_out());
        assert!(memory.piece() < 1024, "{}", memory.piece());
        let report = memory.report(later + LOOK).unwrap();
        assert_eq!(report.used_bytes, 127 * MIB);
        assert_eq!(report.waiting_ms, Some(100));
        group.uses(20);
        assert!(memory.admits(100, later + LOOK) && !memory.is_shared_out());
        assert_eq!(memory.report(later + LOOK).unwrap().waiting_ms, None);
        assert_eq!(memory.waits(), 1);
    }

    /// Many connections at once are no more than were granted: the next look comes when they are
    /// taken, however soon that is.
    #[test]
    fn a_flood_is_looked_at() {
        let group = Pretended::new("flood");
        let memory = group.memory();
        let now = Instant::now();
        let mut admitted: u64 = 0;
        while memory.admits(admitted, now) {
            admitted += 1;
            group.uses(8 + admitted / 64);
        }
        assert!(
            admitted < 90 * 64,
            "{admitted} in 104 MiB, 16 KiB each, and 4 KiB later"
        );
        assert!(admitted > 70 * 64, "{admitted}");
    }

    /// Without a group there is no limit, and nothing to tell.
    #[test]
    fn without_a_limit_nothing_waits() {
        let memory = Memory::default();
        assert!(memory.admits(u64::MAX, Instant::now()));
        assert!(!memory.is_bounded() && !memory.is_shared_out());
        assert_eq!(memory.report(Instant::now()), None);
    }
}
