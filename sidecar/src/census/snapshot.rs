//! The census at one moment.

use super::oldest::Oldest;
use super::{Census, Way};
use crate::track::Odd;
use ebb_api::report::{self, Holder, Protocol};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The census at one moment. The numbers from [`Snapshot::finished`] on only grow: a drain takes a
/// snapshot at its start and subtracts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Open connections, by protocol; one that has not shown what it is counts as opaque.
    pub connections: BTreeMap<Protocol, u64>,
    /// Requests and opaque connections in flight, by protocol.
    pub in_flight: BTreeMap<Protocol, u64>,
    /// The age of the oldest of those.
    pub oldest: Option<Duration>,
    /// The earliest beginning of any of those, by protocol: of a request or, where the relay can't
    /// tell messages apart, of the connection.
    pub begun: BTreeMap<Protocol, Instant>,
    /// The connections with the oldest of those.
    pub holders: Vec<Holder>,
    /// If nothing else happens, something stops being in flight by time alone at this moment
    /// (patience with a dribbled head or a silent opaque connection ends): look again then.
    pub settles_at: Option<Instant>,
    /// Until when some connection of HTTP that was busy lately and was not told to leave may still
    /// come back. It can end sooner; look again then.
    pub pausing_until: Option<Instant>,
    /// Connections of other protocols that have carried something and were not told to leave.
    pub untold: u64,
    /// Connections whose client has not taken all that the app sent: those bytes wait in the relay,
    /// and would be lost with it.
    pub buffered: u64,
    /// What of all that does not pass the relay.
    pub past: Past,
    /// How many of the connections reach the app past the relay, which should have been in the way.
    pub bypassing: u64,
    /// Requests answered to the last byte, and opaque connections that ended by themselves.
    pub finished: u64,
    /// What the app broke off, by protocol.
    pub broken: BTreeMap<Protocol, u64>,
    /// What its clients gave up.
    pub given_up: u64,
    /// Connections past the relay that went while somebody waited: finished or lost, nobody saw.
    pub unseen: u64,
    /// What was cut at the deadline, by protocol: never more than was in flight.
    pub cut: BTreeMap<Protocol, u64>,
    /// The greatest age of anything that was cut.
    pub oldest_cut: Option<Duration>,
    /// Connections closed by the relay with nothing in flight, and not told to leave before.
    pub idle_closed: u64,
    /// Opaque connections on which only the client had spoken, closed after their silence.
    pub one_way_closed: u64,
    /// Connections that reached the app past the relay.
    pub bypassed: u64,
    /// Requests that came when the app had gone, and were answered by the relay with 503.
    pub refused: u64,
    /// New work that counts as traffic: requests but those of health checkers, and opaque
    /// connections from their client's first byte.
    pub work: u64,
    /// When the last of that came.
    pub last_work: Option<Instant>,
    /// Errors of `accept`.
    pub accept_errors: u64,
    /// Connections lost to a bug of ours.
    pub panics: u64,
    /// Connections that had carried requests when they became opaque, by the reason.
    pub turned_opaque: BTreeMap<Odd, u64>,
}

/// What goes past the relay: the drain waits for it, but the sidecar's process has no part in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Open connections.
    pub connections: u64,
    /// Those of them in flight.
    pub in_flight: u64,
}

impl Census {
    /// Takes a snapshot. It looks at every connection.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let totals = &self.totals;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let mut snapshot = Snapshot {
            finished: load(&totals.finished),
            given_up: load(&totals.given_up),
            unseen: load(&totals.unseen),
            idle_closed: load(&totals.idle_closed),
            one_way_closed: load(&totals.one_way_closed),
            bypassed: load(&totals.bypassed),
            refused: load(&totals.refused),
            work: load(&totals.work),
            last_work: self.instant(load(&totals.last_work)),
            accept_errors: load(&totals.accept_errors),
            panics: load(&totals.panics),
            ..Snapshot::default()
        };
        for protocol in Protocol::ALL {
            let place = protocol as usize;
            count(&mut snapshot.cut, protocol, load(&totals.cut[place]));
            count(&mut snapshot.broken, protocol, load(&totals.broken[place]));
        }
        for odd in Odd::ALL {
            let turned = load(&totals.turned_opaque[odd as usize]);
            count(&mut snapshot.turned_opaque, odd, turned);
        }
        if !snapshot.cut.is_empty() {
            snapshot.oldest_cut = Some(Duration::from_nanos(load(&totals.oldest_cut)));
        }
        let (mut connections, mut in_flight) = ([0; Protocol::ALL.len()], [0; Protocol::ALL.len()]);
        let records = self.records();
        let mut oldest = Oldest::default();
        for (record, peer) in records.open() {
            let reading = record.read(self, now);
            connections[reading.protocol as usize] += 1;
            in_flight[reading.protocol as usize] += reading.in_flight;
            if record.way() == Way::Relayed {
                snapshot.buffered += u64::from(reading.buffered);
                snapshot.untold += u64::from(reading.untold);
            } else {
                snapshot.past.connections += 1;
                snapshot.past.in_flight += reading.in_flight;
                snapshot.bypassing += u64::from(record.way() == Way::Bypassing);
            }
            let age = reading
                .since
                .map(|since| now.saturating_duration_since(since));
            snapshot.oldest = snapshot.oldest.max(age);
            let is_one = record.way() == Way::Relayed && reading.protocol.is_opaque();
            let begun = reading.since.map(|it| if is_one { peer.since } else { it });
            if let Some(begun) = begun {
                let earliest = snapshot.begun.entry(reading.protocol).or_insert(begun);
                *earliest = begun.min(*earliest);
            }
            snapshot.settles_at = earlier(snapshot.settles_at, reading.settles_at);
            snapshot.pausing_until = snapshot.pausing_until.max(reading.pausing_until);
            oldest.look_at(reading, record, peer);
        }
        snapshot.holders = oldest.report(now);
        drop(records);
        for protocol in Protocol::ALL {
            let place = protocol as usize;
            count(&mut snapshot.connections, protocol, connections[place]);
            count(&mut snapshot.in_flight, protocol, in_flight[place]);
        }
        snapshot
    }
}

impl Snapshot {
    /// How much is in flight in all.
    pub fn in_flight_in_all(&self) -> u64 {
        self.in_flight.values().sum()
    }

    /// How many connections are open in all.
    pub fn connections_in_all(&self) -> u64 {
        self.connections.values().sum()
    }

    /// Whether the relay has no connection, and nothing to relay.
    pub fn relay_is_idle(&self) -> bool {
        self.connections_in_all() <= self.past.connections && self.relayed_in_flight() == 0
    }

    /// How much is in flight on connections that pass the relay.
    pub fn relayed_in_flight(&self) -> u64 {
        self.in_flight_in_all().saturating_sub(self.past.in_flight)
    }

    /// What a report says of it.
    pub fn report(&self) -> report::Census {
        report::Census {
            connections: self.connections.clone(),
            in_flight: self.in_flight.clone(),
            oldest_ms: self.oldest.map(milliseconds),
            holders: self.holders.clone(),
            bypassing: self.bypassing,
        }
    }
}

/// The age of something, as a report counts it.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn count<K: Ord>(numbers: &mut BTreeMap<K, u64>, key: K, count: u64) {
    if count > 0 {
        *numbers.entry(key).or_default() += count;
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
