//! What is known of one open connection: the line that its task writes and snapshots read.

use super::{Census, Way};
use ebb_api::report::Protocol;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// No protocol is known: counted as opaque. Those that are known have their number plus one.
pub(super) const UNKNOWN: u8 = 0;

/// One writer (the connection's task), any number of readers. A reader may see two fields of
/// different moments; whatever it decides by them, the next change corrects.
///
/// One cache line each: threads that run connections beside each other do not write to the same.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Record {
    /// A connection has it; otherwise the rest has no meaning.
    taken: AtomicBool,
    /// The kernel's number for the client's socket, where somebody asked for it; 0 is none.
    pub(super) socket: AtomicU64,
    way: AtomicU8,
    /// The number of what the first bytes have shown; [`UNKNOWN`] before, and when it stops being
    /// that.
    pub(super) protocol: AtomicU8,
    /// Open requests; for an opaque connection one while the client spoke last.
    pub(super) open: AtomicU32,
    /// When the oldest of those, or what patience waits for, began.
    pub(super) since: AtomicU64,
    /// In flight until then although nothing is open: a head dribbles in, or the app spoke last.
    pub(super) patience: AtomicU64,
    /// The last request's head.
    pub(super) last_request: AtomicU64,
    /// The longest time between two heads, in nanoseconds.
    pub(super) longest_gap: AtomicU64,
    /// The goodbye was said.
    pub(super) told: AtomicBool,
    /// An opaque connection's client has sent something.
    pub(super) spoken: AtomicBool,
    /// Bytes for the client wait in the relay.
    pub(super) buffered: AtomicBool,
}

/// What one record says at one moment.
pub(super) struct Reading {
    pub(super) protocol: Protocol,
    pub(super) in_flight: u64,
    pub(super) since: Option<Instant>,
    /// When patience alone ends what is in flight.
    pub(super) settles_at: Option<Instant>,
    /// Until when the connection may come back before it was told to leave.
    pub(super) pausing_until: Option<Instant>,
    /// It has carried something, was not told to leave, and is no HTTP/1 connection.
    pub(super) untold: bool,
    pub(super) buffered: bool,
}

impl Record {
    /// A connection takes it, which gets to the app this way. Nothing stays of the one before.
    pub(super) fn begin(&self, way: Way) {
        self.way.store(way as u8, Ordering::Relaxed);
        self.protocol.store(UNKNOWN, Ordering::Relaxed);
        self.open.store(0, Ordering::Relaxed);
        let times = [
            &self.socket,
            &self.since,
            &self.patience,
            &self.last_request,
            &self.longest_gap,
        ];
        for time in times {
            time.store(0, Ordering::Relaxed);
        }
        for word in [&self.told, &self.spoken, &self.buffered] {
            word.store(false, Ordering::Relaxed);
        }
        self.taken.store(true, Ordering::Relaxed);
    }

    /// Its connection has ended.
    pub(super) fn end(&self) {
        self.taken.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn way(&self) -> Way {
        let way = self.way.load(Ordering::Relaxed);
        [Way::Relayed, Way::Observed, Way::Bypassing][usize::from(way)]
    }

    pub(super) fn read(&self, census: &Census, now: Instant) -> Reading {
        let protocol = self.protocol();
        let open = u64::from(self.open.load(Ordering::Relaxed));
        let patience = census
            .instant(self.patience.load(Ordering::Relaxed))
            .filter(|until| open == 0 && *until > now);
        let in_flight = open.max(u64::from(patience.is_some()));
        // Times are only made of what is asked about: most connections are at rest.
        let since = || census.instant(self.since.load(Ordering::Relaxed));
        let may_pause = matches!(protocol, Protocol::Http1 | Protocol::Http2) && open == 0;
        let pausing_until = || self.pausing_until(census).filter(|until| *until > now);
        Reading {
            protocol,
            in_flight,
            since: (in_flight > 0).then(since).flatten(),
            settles_at: patience,
            buffered: self.buffered.load(Ordering::Relaxed),
            untold: self.is_untold(protocol),
            pausing_until: may_pause.then(pausing_until).flatten(),
        }
    }

    /// It is HTTP/1, unless it is known to be HTTP/2.
    pub(super) fn speaks_http(&self) {
        if self.protocol.load(Ordering::Relaxed) == UNKNOWN {
            self.protocol
                .store(Protocol::Http1 as u8 + 1, Ordering::Relaxed);
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        let number = usize::from(self.protocol.load(Ordering::Relaxed));
        let known = number.checked_sub(1).map(|place| Protocol::ALL[place]);
        known.unwrap_or(Protocol::Opaque)
    }

    fn is_untold(&self, protocol: Protocol) -> bool {
        let carried = match protocol {
            // With an answer, and while one goes on the connection is in flight.
            Protocol::Http1 | Protocol::EventStream => false,
            Protocol::Http2 => self.last_request.load(Ordering::Relaxed) != 0,
            Protocol::WebSocket | Protocol::Opaque | Protocol::Tls => {
                self.spoken.load(Ordering::Relaxed)
            }
        };
        carried && !self.told.load(Ordering::Relaxed)
    }

    /// Three times the connection's own longest gap after its last request, at most the pause that
    /// the census expects; with one request so far nothing is known of its gaps, so all of that.
    fn pausing_until(&self, census: &Census) -> Option<Instant> {
        if self.told.load(Ordering::Relaxed) {
            return None;
        }
        let last = census.instant(self.last_request.load(Ordering::Relaxed))?;
        let longest = census.longest_pause.load(Ordering::Relaxed);
        let pause = match self.longest_gap.load(Ordering::Relaxed) {
            0 => longest,
            gap => gap.saturating_mul(3).min(longest),
        };
        Some(last + Duration::from_nanos(pause))
    }
}
