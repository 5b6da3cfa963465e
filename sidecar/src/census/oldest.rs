//! The oldest of what is in flight, found while a census is looked over.

use super::Peer;
use super::record::{Reading, Record};
use super::snapshot::milliseconds;
use ebb_api::report::{HOLDERS, Holder};
use std::time::Instant;

/// The connections with the oldest things in flight, the oldest first: never more than [`HOLDERS`].
#[derive(Default)]
pub(super) struct Oldest<'a> {
    found: Vec<Found<'a>>,
}

struct Found<'a> {
    since: Instant,
    reading: Reading,
    record: &'a Record,
    peer: &'a Peer,
}

impl<'a> Oldest<'a> {
    /// Looks at one more connection. Most are at rest, or younger than those that were found.
    pub(super) fn look_at(&mut self, reading: Reading, record: &'a Record, peer: &'a Peer) {
        let Some(since) = reading.since else {
            return;
        };
        if self.found.len() == HOLDERS {
            if self.found.last().is_some_and(|last| last.since <= since) {
                return;
            }
            self.found.pop();
        }
        let place = self.found.partition_point(|found| found.since <= since);
        self.found.insert(
            place,
            Found {
                since,
                reading,
                record,
                peer,
            },
        );
    }

    /// What a report says of them.
    pub(super) fn report(&self, now: Instant) -> Vec<Holder> {
        let holder = |found: &Found<'_>| {
            let (received, sent) = found.record.passed();
            Holder {
                client: found.peer.client,
                port: found.peer.port,
                protocol: found.reading.protocol,
                in_flight: found.reading.in_flight,
                age_ms: milliseconds(now.saturating_duration_since(found.since)),
                received,
                sent,
                waits_for: found.record.waits_for(&found.reading),
            }
        };
        self.found.iter().map(holder).collect()
    }
}
