//! One connection's line in the census: written by its task, read by whoever takes a snapshot.

use super::record::UNKNOWN;
use super::records::Place;
use super::{Census, HEAD_PATIENCE, add};
use crate::track::Odd;
use ebb_api::report::Protocol;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How a connection gets to the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Through the relay.
    #[default]
    Relayed,
    /// Past the sidecar, where no relay is in the way.
    Observed,
    /// Past the relay, which should have been in the way.
    Bypassing,
}

/// The handle of an open connection. Its methods say what has happened on the wire; dropping it is
/// the connection's end.
#[derive(Debug)]
pub struct Connection {
    census: Arc<Census>,
    record: Place,
    /// Who made it to which port, where that port is probed: it may be one of kubelet's probes.
    made: Option<Box<(IpAddr, u16)>>,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(
        census: Arc<Census>,
        record: Place,
        made: Option<Box<(IpAddr, u16)>>,
    ) -> Connection {
        Connection {
            census,
            record,
            made,
        }
    }

    /// Where the connection stands among all that are open, as a part of 2^32: the golden ratio
    /// spreads neighbors, and any number of them, evenly.
    pub fn place(&self) -> u32 {
        const GOLDEN_RATIO: u32 = 0x9E37_79B9;
        (self.record.number() as u32).wrapping_mul(GOLDEN_RATIO)
    }

    /// Whether the first request of this connection, at `now`, is one of a probe, and therefore not
    /// to be counted here before the moment that this returns. To be asked once.
    pub fn probe_until(&self, now: Instant) -> Option<Instant> {
        let (from, port) = self.made.as_deref()?;
        self.census.probes().include(*from, *port, now)
    }

    /// The first bytes of a request head came, and the head is not complete.
    pub fn head_began(&self, now: Instant) {
        self.record.speaks_http();
        if self.open() == 0 {
            self.count_anew(self.census.stamp(now));
            self.set_since(now);
            self.set_patience(Some(now + HEAD_PATIENCE));
        }
    }

    /// A request's head is complete. `counts` is false for health checkers, whose requests are no
    /// traffic.
    pub fn request_began(&self, now: Instant, counts: bool) {
        let record = &*self.record;
        record.speaks_http();
        let stamp = self.census.stamp(now);
        let last = record.last_request.swap(stamp, Ordering::Relaxed);
        if last != 0 {
            record
                .longest_gap
                .fetch_max(stamp.saturating_sub(last), Ordering::Relaxed);
        }
        if counts {
            self.census.worked(now);
        }
        if self.open() == 0 {
            self.count_anew(stamp);
            self.set_since(now);
        }
        self.set_patience(None);
        record.open.fetch_add(1, Ordering::Relaxed);
        self.census.began(1);
    }

    /// The last byte of the oldest request's answer was read from the app. `next_began` is when the
    /// head of the request after it was complete, if there is one.
    pub fn request_ended(&self, next_began: Option<Instant>) {
        let since = next_began.map_or(0, |began| self.census.stamp(began));
        self.record.since.store(since, Ordering::Relaxed);
        add(&self.census.totals.finished, 1);
        self.close(1);
    }

    /// The same for the request of a health checker, which is no traffic and not counted.
    pub fn health_check_ended(&self, next_began: Option<Instant>) {
        self.requests_dropped(1, next_began);
    }

    /// `count` open requests were given up by their client, which goes on using the connection.
    /// `next_began` as in [`Connection::request_ended`].
    pub fn requests_given_up(&self, count: u32, next_began: Option<Instant>) {
        add(&self.census.totals.given_up, count.into());
        self.requests_dropped(count, next_began);
    }

    /// `count` open requests ended without an answer that is whole, and nothing was lost by that:
    /// the app says that it has not begun them, or has answered by giving them up. `next_began` as
    /// in [`Connection::request_ended`].
    pub fn requests_dropped(&self, count: u32, next_began: Option<Instant>) {
        let since = next_began.map_or(0, |began| self.census.stamp(began));
        self.record.since.store(since, Ordering::Relaxed);
        self.close(count);
    }

    /// The connection is HTTP/2.
    pub fn turned_http2(&self) {
        self.record
            .protocol
            .store(Protocol::Http2 as u8 + 1, Ordering::Relaxed);
        self.set_patience(None);
    }

    /// What came so far was a header before all else: nothing is known yet of what follows it.
    pub fn header_ended(&self) {
        self.record.protocol.store(UNKNOWN, Ordering::Relaxed);
        self.settled();
    }

    /// The connection is no HTTP, or no longer, for this reason. Open requests become the one thing
    /// in flight that an opaque connection is; it is no new work. Counted if it had carried any.
    pub fn turned_opaque(&self, odd: Odd) {
        if self.record.last_request.load(Ordering::Relaxed) != 0 {
            add(&self.census.totals.turned_opaque[odd as usize], 1);
        }
        self.record.protocol.store(UNKNOWN, Ordering::Relaxed);
        self.became_one();
    }

    /// The answer that has begun is an event stream.
    pub fn began_event_stream(&self) {
        self.record
            .protocol
            .store(Protocol::EventStream as u8 + 1, Ordering::Relaxed);
    }

    /// It is complete: the connection is one of HTTP/1 again.
    pub fn event_stream_ended(&self) {
        self.record
            .protocol
            .store(Protocol::Http1 as u8 + 1, Ordering::Relaxed);
    }

    /// The opaque connection is one of TLS.
    pub fn turned_tls(&self) {
        self.record
            .protocol
            .store(Protocol::Tls as u8 + 1, Ordering::Relaxed);
    }

    /// The connection is a WebSocket, which is in flight as long as it lives. The request that
    /// asked for it becomes that; it is no new work.
    pub fn turned_websocket(&self) {
        self.record
            .protocol
            .store(Protocol::WebSocket as u8 + 1, Ordering::Relaxed);
        self.became_one();
    }

    /// What was open is one thing in flight now.
    fn became_one(&self) {
        let record = &*self.record;
        self.set_patience(None);
        if record.last_request.load(Ordering::Relaxed) != 0 {
            record.spoken.store(true, Ordering::Relaxed);
        }
        self.close(self.open().saturating_sub(1));
    }

    /// An opaque connection's client sent something.
    pub fn client_spoke(&self, now: Instant) {
        self.count_anew(self.census.stamp(now));
        if !self.record.spoken.swap(true, Ordering::Relaxed) {
            self.census.worked(now);
        }
        self.bytes_wait(now);
    }

    /// The same on a connection whose client waits for nothing: it is idle at `idle_at`.
    pub fn client_spoke_alone(&self, now: Instant, idle_at: Instant) {
        self.count_anew(self.census.stamp(now));
        let record = &*self.record;
        if !record.spoken.swap(true, Ordering::Relaxed) {
            self.census.worked(now);
        }
        let patience = self.census.instant(record.patience.load(Ordering::Relaxed));
        if self.open() == 0 && patience.is_none_or(|until| until <= now) {
            self.set_since(now);
        }
        self.set_patience(Some(idle_at));
        self.close(self.open());
    }

    /// A connection on which only its client had spoken is closed after its silence.
    pub fn one_way_closed(&self) {
        add(&self.census.totals.one_way_closed, 1);
    }

    /// Bytes of an opaque connection wait for the client to take them.
    pub fn bytes_wait(&self, now: Instant) {
        self.set_patience(None);
        if self.open() == 0 {
            self.set_since(now);
            self.record.open.store(1, Ordering::Relaxed);
            self.census.began(1);
        }
    }

    /// An opaque connection's app sent something, and all of it was handed to the client. It is
    /// waited for until `idle_at`; `None` if the client never spoke, for then this is a greeting
    /// and the connection stays idle.
    pub fn app_spoke(&self, now: Instant, idle_at: Option<Instant>) {
        if self.open() == 0 && self.record.patience.load(Ordering::Relaxed) == 0 {
            self.set_since(now);
        }
        self.set_patience(idle_at);
        self.close(self.open());
    }

    /// The silence that an opaque connection is waited for has become another one: it is idle at
    /// `idle_at` now, unless it is waited for no more or for something else.
    pub fn patience_changed(&self, idle_at: Option<Instant>) {
        if self.record.patience.load(Ordering::Relaxed) != 0 {
            self.set_patience(idle_at);
            self.census.bump();
        }
    }

    /// Nothing is in flight any more: patience ended, or one of the sides did.
    pub fn settled(&self) {
        self.set_patience(None);
        self.close(self.open());
        if self.census.busy.load(Ordering::SeqCst) == 0 {
            self.census.bump();
        }
    }

    /// The app closed or reset its side, or never took the connection, while its client waited for
    /// so much. Nothing is in flight any more.
    pub fn broken_off(&self, count: u64) {
        let protocol = self.record.protocol();
        add(&self.census.totals.broken[protocol as usize], count);
        self.lost(count);
    }

    /// The client closed or reset the connection with so much in flight. Nothing is any more.
    pub fn given_up(&self, count: u64) {
        add(&self.census.totals.given_up, count);
        self.lost(count);
    }

    fn lost(&self, count: u64) {
        if count > 0 {
            // What was lost does not finish as well.
            self.record.spoken.store(false, Ordering::Relaxed);
        }
        self.settled();
    }

    /// True while something is open, or an opaque connection's client waits for the app.
    pub fn is_awaited(&self) -> bool {
        self.open() > 0
    }

    /// The same, or patience goes on.
    pub fn is_in_flight(&self, now: Instant) -> bool {
        self.record.read(&self.census, now).in_flight > 0
    }

    /// An opaque connection on which somebody had spoken, or a WebSocket, ended in good order.
    pub fn opaque_finished(&self) {
        if self.record.spoken.load(Ordering::Relaxed) {
            add(&self.census.totals.finished, 1);
        }
        self.settled();
    }

    /// The client of a connection that does not pass the relay sent something after a silence, or
    /// for the first time.
    pub fn work_came(&self, now: Instant) {
        self.record.spoken.store(true, Ordering::Relaxed);
        self.census.worked(now);
    }

    /// The work in flight on an observed connection has ended.
    pub fn one_finished(&self) {
        add(&self.census.totals.finished, 1);
    }

    /// An observed connection has gone on which somebody waited: what came of that nobody has seen.
    pub fn ended_unseen(&self) {
        add(&self.census.totals.unseen, 1);
    }

    /// The client has sent so many bytes, which are taken for the app.
    pub fn received(&self, bytes: usize) {
        self.record.received(bytes);
    }

    /// The app has sent so many bytes.
    pub fn sent(&self, bytes: usize) {
        self.record.sent(bytes);
    }

    /// The client and the app have sent so many bytes in all, on a connection that does not pass
    /// the relay.
    pub fn has_passed(&self, received: u64, sent: u64) {
        self.record.has_passed(received, sent);
    }

    /// Whether bytes for the app wait in the relay, because it does not take them.
    pub fn app_is_full(&self, full: bool) {
        self.record.app_full.store(full, Ordering::Relaxed);
    }

    /// Whether the client still has to say a part of the request that is in flight.
    pub fn is_unfinished(&self, unfinished: bool) {
        self.record.unfinished.store(unfinished, Ordering::Relaxed);
    }

    /// Whether bytes for the client wait, because it does not take them: in the relay or, where the
    /// connection does not pass that, with the kernel.
    pub fn buffered(&self, buffered: bool) {
        self.record.buffered.store(buffered, Ordering::Relaxed);
    }

    /// The goodbye was said: the client knows that it must go.
    pub fn told(&self) {
        self.record.told.store(true, Ordering::Relaxed);
    }

    /// A request came when the app had closed its side, and the relay answered it.
    pub fn refused(&self) {
        add(&self.census.totals.refused, 1);
        self.told();
    }

    /// The deadline came. What is in flight is counted as cut; a connection with nothing in flight
    /// that was not told to leave as closed idle. True if anything was in flight.
    pub fn cut(&self, now: Instant) -> bool {
        let reading = self.record.read(&self.census, now);
        if reading.in_flight == 0 {
            self.idle_closed();
            return false;
        }
        let totals = &self.census.totals;
        add(&totals.cut[reading.protocol as usize], reading.in_flight);
        if let Some(since) = reading.since {
            let age = now.saturating_duration_since(since).as_nanos();
            let age = u64::try_from(age).unwrap_or(u64::MAX);
            totals.oldest_cut.fetch_max(age, Ordering::Relaxed);
        }
        self.settled();
        true
    }

    /// The connection is closed by the relay with nothing in flight; counted if it was not told.
    pub fn idle_closed(&self) {
        if !self.record.told.load(Ordering::Relaxed) {
            add(&self.census.totals.idle_closed, 1);
        }
    }

    fn open(&self) -> u32 {
        self.record.open.load(Ordering::Relaxed)
    }

    /// `count` fewer are open; never more than are, since a count that wraps would hold every later
    /// drain to its deadline.
    fn close(&self, count: u32) {
        let open = self.open();
        debug_assert!(count <= open, "{count} of {open} open requests ended");
        let count = count.min(open);
        if count > 0 {
            self.record.open.fetch_sub(count, Ordering::Relaxed);
            self.census.ended(count.into());
        }
    }

    /// Something is about to begin: if the connection is at rest, its bytes are counted from here
    /// on.
    fn count_anew(&self, now: u64) {
        if self.open() == 0 && self.record.patience.load(Ordering::Relaxed) <= now {
            self.record.has_passed(0, 0);
        }
    }

    fn set_since(&self, since: Instant) {
        let stamp = self.census.stamp(since);
        self.record.since.store(stamp, Ordering::Relaxed);
    }

    fn set_patience(&self, until: Option<Instant>) {
        let stamp = until.map_or(0, |until| self.census.stamp(until));
        self.record.patience.store(stamp, Ordering::Relaxed);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.close(self.open());
        self.census.disconnect(&self.record);
    }
}
