//! What is open, what is in flight, and what has come and gone: the one thing that the relay
//! reports to the rest of the sidecar.
//!
//! Every connection holds a [`Connection`] and writes to it as bytes pass; dropping it, by a panic
//! too, takes it out again. The drain machine reads a [`Snapshot`] whenever [`Changes::changed`]
//! says that it is worth it. Writing is a handful of relaxed atomic operations; only connecting and
//! disconnecting take a lock. Reading looks at every connection, so it belongs to a drain, a report
//! or a scrape, never to a request.

mod connection;
mod oldest;
mod peer;
mod probes;
mod record;
mod records;
mod snapshot;

pub use connection::{Connection, Way};
pub use peer::Peer;
pub use probes::Probes;
pub(crate) use snapshot::milliseconds;
pub use snapshot::{Past, Snapshot};

use crate::track::Odd;
use ebb_api::report::Protocol;
use records::{Place, Records};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long an HTTP/1 head may dribble before nobody waits for it: a client that sends a head byte
/// by byte (slowloris) must not hold a drain, and a head over a bad network takes a second or two.
pub const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Counts of one relay. Shared by `Arc`.
#[derive(Debug)]
pub struct Census {
    /// Times are stored as nanoseconds since `epoch` plus one, so that 0 means never.
    epoch: Instant,
    records: Mutex<Records>,
    /// Open requests and busy opaque connections: those that only an event ends. What ends by time
    /// alone (patience) is found by looking at the records.
    ///
    /// SeqCst wherever it is used: connections on several threads write here, and who is notified
    /// that it came to 0 must see what each of them wrote to its record before.
    busy: AtomicU64,
    /// Within how long an idle connection of HTTP is expected to come back, in nanoseconds.
    longest_pause: AtomicU64,
    totals: Totals,
    probes: Mutex<Probes>,
    version: AtomicU64,
    waiting: AtomicU64,
    changed: Notify,
}

/// Numbers that only grow.
#[derive(Debug, Default)]
struct Totals {
    finished: AtomicU64,
    broken: [AtomicU64; Protocol::ALL.len()],
    given_up: AtomicU64,
    unseen: AtomicU64,
    cut: [AtomicU64; Protocol::ALL.len()],
    /// The greatest age of anything cut, in nanoseconds.
    oldest_cut: AtomicU64,
    idle_closed: AtomicU64,
    one_way_closed: AtomicU64,
    bypassed: AtomicU64,
    refused: AtomicU64,
    work: AtomicU64,
    last_work: AtomicU64,
    accept_errors: AtomicU64,
    panics: AtomicU64,
    turned_opaque: [AtomicU64; Odd::ALL.len()],
}

/// A reader's place in the stream of changes; see [`Census::changes`].
#[derive(Debug)]
pub struct Changes {
    census: Arc<Census>,
    seen: u64,
}

// === impl Census ===

impl Census {
    /// An empty census that counts from `now`.
    pub fn new(now: Instant) -> Arc<Census> {
        Census::beside(Probes::default(), now)
    }

    /// The same for a pod that has such probes.
    pub fn beside(probes: Probes, now: Instant) -> Arc<Census> {
        Arc::new(Census {
            epoch: now,
            records: Mutex::default(),
            busy: AtomicU64::new(0),
            longest_pause: AtomicU64::new(0),
            totals: Totals::default(),
            probes: Mutex::new(probes),
            version: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// Counts a new connection of this peer, which gets to the app this way and has said nothing
    /// yet, until the handle is dropped.
    pub fn connect(self: &Arc<Self>, way: Way, peer: Peer) -> Connection {
        if way == Way::Bypassing {
            add(&self.totals.bypassed, 1);
        }
        let probed = self.probes().connect_to(peer.port);
        let made = probed.then(|| Box::new((peer.client.ip(), peer.port)));
        let record = self.records().take(way, peer);
        Connection::new(self.clone(), record, made)
    }

    /// The same for one that passes the relay, from nobody.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn connect_nobody(self: &Arc<Self>) -> Connection {
        self.connect(Way::Relayed, Peer::nobody())
    }

    /// Kubelet called from this address: its probes do, too.
    pub fn probes_come_from(&self, caller: IpAddr) {
        self.probes().come_from(caller);
    }

    fn probes(&self) -> MutexGuard<'_, Probes> {
        // Nothing that holds the lock can panic halfway.
        self.probes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many open connections pass the relay. Cheap.
    pub(crate) fn relayed(&self) -> u64 {
        self.records().relayed() as u64
    }

    /// The kernel's numbers for the sockets of clients that pass the relay, as far as they were
    /// given: see [`Peer::socket`].
    pub(crate) fn sockets(&self) -> HashSet<u64> {
        let records = self.records();
        let open = records.open();
        let relayed = open.filter(|(record, _)| record.way() == Way::Relayed);
        let sockets = relayed.map(|(_, peer)| peer.socket);
        sockets.filter(|socket| *socket != 0).collect()
    }

    /// A reader's place: the next [`Changes::changed`] reports everything after this call.
    pub fn changes(self: &Arc<Self>) -> Changes {
        Changes {
            census: self.clone(),
            seen: self.version.load(Ordering::SeqCst),
        }
    }

    /// When the last new work came (see [`Snapshot::work`]). Cheap.
    pub fn last_work(&self) -> Option<Instant> {
        self.instant(self.totals.last_work.load(Ordering::Relaxed))
    }

    /// Open requests and busy opaque connections, by the books that [`Changes`] goes by.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// From now on an idle connection of HTTP that was not told to leave is expected to come back
    /// within three of its own gaps, at most within `pause`; to begin with, it is not expected at
    /// all.
    pub fn expect_back_within(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
        self.longest_pause.store(pause, Ordering::Relaxed);
    }

    /// Counts an error of `accept` that cost a client its connection or the listener a pause.
    pub(crate) fn accept_failed(&self) {
        add(&self.totals.accept_errors, 1);
    }

    /// Counts a connection that was lost to a bug of ours.
    pub(crate) fn panicked(&self) {
        add(&self.totals.panics, 1);
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        // A panic while the lock was held can at worst have lost one place; the counts go on.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stamp(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.epoch).as_nanos();
        // 584 years of uptime fit.
        u64::try_from(since).map_or(u64::MAX, |nanos| nanos.saturating_add(1))
    }

    fn instant(&self, stamp: u64) -> Option<Instant> {
        let nanos = stamp.checked_sub(1)?;
        Some(self.epoch + Duration::from_nanos(nanos))
    }

    fn began(&self, count: u64) {
        if self.busy.fetch_add(count, Ordering::SeqCst) == 0 {
            self.bump();
        }
    }

    fn ended(&self, count: u64) {
        if self.busy.fetch_sub(count, Ordering::SeqCst) == count {
            self.bump();
        }
    }

    fn worked(&self, now: Instant) {
        add(&self.totals.work, 1);
        self.totals
            .last_work
            .store(self.stamp(now), Ordering::Relaxed);
    }

    fn disconnect(&self, record: &Place) {
        self.records().free(record);
        if self.busy.load(Ordering::SeqCst) == 0 {
            self.bump();
        }
    }

    fn bump(&self) {
        // SeqCst here and in `Changes::changed`: either the reader sees the new version, or this
        // sees the reader waiting.
        self.version.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed.notify_waiters();
        }
    }
}

// === impl Changes ===

impl Changes {
    /// Waits until something happened that a drain waits for: the last thing in flight finished,
    /// the first new thing came, a connection went while nothing was in flight. Returns at once if
    /// that was so since the last call. Cancel safe. What ends by time alone is not reported here:
    /// [`Snapshot::settles_at`] says when to look again.
    pub async fn changed(&mut self) {
        let census = &self.census;
        let _waiting = Waiting::new(&census.waiting);
        loop {
            let notified = census.changed.notified();
            let version = census.version.load(Ordering::SeqCst);
            if version != self.seen {
                self.seen = version;
                return;
            }
            notified.await;
        }
    }
}

/// Counts a reader for as long as it waits.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
