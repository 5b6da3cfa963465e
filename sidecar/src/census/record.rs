//! What is known of one open connection: the line that its task writes and snapshots read.

use super::{Census, Way};
use ebb_api::report::{Protocol, WaitsFor};
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
    /// Bytes of the client, and of the app, since the connection was last at rest.
    received: AtomicU64,
    sent: AtomicU64,
    /// The goodbye was said.
    pub(super) told: AtomicBool,
    /// An opaque connection's client has sent something.
    pub(super) spoken: AtomicBool,
    /// Bytes for the client wait in the relay.
    pub(super) buffered: AtomicBool,
    /// Bytes for the app wait in the relay.
    pub(super) app_full: AtomicBool,
    /// The client has not said all of the request that is in flight.
    pub(super) unfinished: AtomicBool,
}

/// What one record says at one moment.
#[derive(Clone, Copy)]
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
        let numbers = [
            &self.since,
            &self.patience,
            &self.last_request,
            &self.longest_gap,
            &self.received,
            &self.sent,
        ];
        for number in numbers {
            number.store(0, Ordering::Relaxed);
        }
        let words = [
            &self.told,
            &self.spoken,
            &self.buffered,
            &self.app_full,
            &self.unfinished,
        ];
        for word in words {
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

    /// What something in flight on it waits for.
    pub(super) fn waits_for(&self, reading: &Reading) -> WaitsFor {
        let has_begun = self.open.load(Ordering::Relaxed) > 0;
        let is_unfinished = self.unfinished.load(Ordering::Relaxed);
        let app_is_full = self.app_full.load(Ordering::Relaxed);
        match reading.protocol {
            _ if reading.buffered => WaitsFor::Client,
            Protocol::WebSocket | Protocol::EventStream => WaitsFor::End,
            // Patience with a head, or with a silence.
            Protocol::Http1 | Protocol::Http2 if !has_begun => WaitsFor::Request,
            Protocol::Opaque | Protocol::Tls if !has_begun => WaitsFor::Silence,
            Protocol::Http1 if is_unfinished && !app_is_full => WaitsFor::Request,
            Protocol::Http1 | Protocol::Http2 | Protocol::Opaque | Protocol::Tls => WaitsFor::App,
        }
    }

    /// Bytes of the client, and of the app.
    pub(super) fn passed(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (load(&self.received), load(&self.sent))
    }

    /// So many bytes of the client, and of the app, have passed by now.
    pub(super) fn has_passed(&self, received: u64, sent: u64) {
        self.received.store(received, Ordering::Relaxed);
        self.sent.store(sent, Ordering::Relaxed);
    }

    /// More bytes of the client have passed.
    pub(super) fn received(&self, bytes: usize) {
        add_alone(&self.received, bytes);
    }

    /// More bytes of the app have.
    pub(super) fn sent(&self, bytes: usize) {
        add_alone(&self.sent, bytes);
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

/// Adds without the lock that an atomic addition takes: a record has one writer.
fn add_alone(counter: &AtomicU64, bytes: usize) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(bytes as u64);
    counter.store(sum, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection writes to one cache line, however much is known of it.
    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(std::mem::size_of::<Record>(), 64);
    }
}
