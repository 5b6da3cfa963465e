//! Where the records of open connections are: side by side, so that a snapshot of ten thousand of
//! them reads memory in order and does not hold up the bytes that pass meanwhile.

use super::record::Record;
use super::{Peer, Way};
use std::ops::Deref;
use std::sync::Arc;

/// How many records are allocated at once: 16 KiB.
const BLOCK: usize = 256;

/// All records, in places that are used again. Memory stays as large as the most connections that
/// ever were open at a time.
#[derive(Debug, Default)]
pub(super) struct Records {
    blocks: Vec<Arc<Block>>,
    /// Who has made each connection, in the order of the places.
    peers: Vec<Peer>,
    free: Vec<usize>,
    /// How many of those that are taken are connections that pass the relay.
    relayed: usize,
}

#[derive(Debug)]
struct Block([Record; BLOCK]);

/// A taken place: one connection's record.
#[derive(Debug)]
pub(super) struct Place {
    block: Arc<Block>,
    number: usize,
}

// === impl Records ===

impl Records {
    /// A fresh record for a connection.
    pub(super) fn take(&mut self, way: Way, peer: Peer) -> Place {
        let number = match self.free.pop() {
            Some(number) => {
                self.peers[number] = peer;
                number
            }
            None => {
                self.peers.push(peer);
                self.peers.len() - 1
            }
        };
        if number / BLOCK == self.blocks.len() {
            let block = Block(std::array::from_fn(|_| Record::default()));
            self.blocks.push(Arc::new(block));
        }
        let place = Place {
            block: self.blocks[number / BLOCK].clone(),
            number,
        };
        place.begin(way);
        self.relayed += usize::from(way == Way::Relayed);
        place
    }

    /// The connection has ended.
    pub(super) fn free(&mut self, place: &Place) {
        place.end();
        self.relayed -= usize::from(place.way() == Way::Relayed);
        self.free.push(place.number);
    }

    /// How many open connections pass the relay.
    pub(super) fn relayed(&self) -> usize {
        self.relayed
    }

    /// Those of open connections.
    pub(super) fn open(&self) -> impl Iterator<Item = (&Record, &Peer)> {
        let all = self.blocks.iter().flat_map(|block| &block.0);
        all.zip(&self.peers).filter(|(record, _)| record.is_taken())
    }
}

// === impl Place ===

impl Place {
    /// No other connection that is open has the same.
    pub(super) fn number(&self) -> usize {
        self.number
    }
}

impl Deref for Place {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.block.0[self.number % BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that is used again has its new connection's peer.
    #[test]
    fn a_place_has_the_peer_of_its_connection() {
        let mut records = Records::default();
        let peer = |port| Peer {
            port,
            ..Peer::nobody()
        };
        let places = [1, 2].map(|port| records.take(Way::Relayed, peer(port)));
        records.free(&places[0]);
        let _again = records.take(Way::Relayed, peer(3));
        let ports: Vec<_> = records.open().map(|(_, peer)| peer.port).collect();
        assert_eq!(ports, [3, 2]);
    }

    /// Places are used again, from the start and over the end of a block, and tell nothing of who
    /// had them before.
    #[test]
    fn places_are_used_again() {
        let mut records = Records::default();
        let take = |records: &mut Records, way| records.take(way, Peer::nobody());
        let places: Vec<Place> = (0..BLOCK + 1)
            .map(|_| take(&mut records, Way::Relayed))
            .collect();
        assert_eq!(records.open().count(), BLOCK + 1);
        for place in &places[1..] {
            records.free(place);
        }
        assert_eq!(records.open().count(), 1);
        for _ in 1..BLOCK {
            take(&mut records, Way::Bypassing);
        }
        let bypassing = |(record, _): &(&Record, &Peer)| record.way() == Way::Bypassing;
        assert_eq!(records.open().filter(bypassing).count(), BLOCK - 1);
        assert_eq!((records.blocks.len(), records.peers.len()), (2, BLOCK + 1));
    }
}
