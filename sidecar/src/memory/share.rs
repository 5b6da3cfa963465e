//! What is left of a limit, shared out: decisions only.

use super::group::Usage;

/// What a new connection takes at once at most, in bytes: some 8 KiB of the kernel's for two
/// sockets, and some 2 KiB of ours.
const CONNECTION: u64 = 16 * 1024;

/// What it may take later, when it is used for the first time, in bytes: some 2 KiB, measured with
/// WebSockets.
const GROWTH: u64 = 4 * 1024;

/// How many come at most before the next look. More would leave little to each of them.
const AT_ONCE: u64 = 64;

/// Of this many connections nobody waits for memory: a limit in which not even these have room
/// keeps no pod from serving.
const FEW: u64 = 16;

/// The least piece, in bytes: less would cost a system call for every word.
const LEAST_PIECE: u64 = 512;

/// A piece of this size is never too little: it is what the relay reads at once.
const WHOLE_PIECE: u64 = 64 * 1024;

/// What may be taken before the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// How many new connections.
    pub(super) connections: u64,
    /// How much one connection may read at once, in bytes; all of them may have to keep it, in both
    /// directions.
    pub(super) piece: usize,
}

// === impl Share ===

impl Share {
    /// That of a container without a limit.
    pub(super) const UNLIMITED: Share = Share {
        connections: u64::MAX,
        piece: usize::MAX,
    };

    /// Half of what is left of the limit is for new connections, beside a reserve and what those
    /// that are open have not taken yet. The rest is for the bytes that all of them may come to
    /// hold. `was_waiting`: new connections wait already, and go on waiting until there is somewhat
    /// more than too little.
    pub(super) fn of(usage: Usage, open: u64, was_waiting: bool) -> Share {
        let left = usage.limit.saturating_sub(usage.used);
        let reserve = usage.limit / 8;
        let kept = if was_waiting {
            reserve + reserve / 4
        } else {
            reserve
        };
        let growth = open.saturating_mul(GROWTH);
        let for_new = left.saturating_sub(kept.saturating_add(growth)) / 2;
        let least = if open < FEW { 1 } else { 0 };
        let connections = (for_new / CONNECTION).clamp(least, AT_ONCE);
        let all = open.saturating_add(connections);
        let taken = growth.saturating_add(connections * (CONNECTION + GROWTH));
        // In both directions.
        let piece = left.saturating_sub(taken) / all.saturating_mul(2).max(1);
        Share {
            connections,
            piece: if piece >= WHOLE_PIECE {
                usize::MAX
            } else {
                usize::try_from(piece.max(LEAST_PIECE)).unwrap_or(usize::MAX)
            },
        }
    }

    /// Whether nobody has to do without anything.
    pub(super) fn is_plenty(self) -> bool {
        self.connections > 0 && self.piece == usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn share(limit: u64, used: u64, open: u64) -> Share {
        let usage = Usage {
            limit: limit * MIB,
            used: used * MIB,
        };
        Share::of(usage, open, false)
    }

    /// New connections wait while less than the reserve is left, and a little longer once they do,
    /// so that they don't come and wait in turns.
    #[test]
    fn new_connections_wait_for_the_reserve() {
        assert_eq!(share(128, 20, 1000).connections, AT_ONCE);
        assert_eq!(share(128, 112, 100).connections, 0);
        assert_eq!(share(128, 90, 6000).connections, 0, "those may grow");
        let usage = Usage {
            limit: 128 * MIB,
            used: 110 * MIB,
        };
        assert!(Share::of(usage, 100, false).connections > 0);
        assert_eq!(Share::of(usage, 100, true).connections, 0);
        assert_eq!(
            share(128, 200, 1000).connections,
            0,
            "more than there is, as cgroups allow for a moment"
        );
    }

    /// A limit that is too small for anything serves a few all the same.
    #[test]
    fn a_few_are_served_whatever_the_limit() {
        assert_eq!(share(4, 8, FEW - 1).connections, 1);
        assert_eq!(share(4, 8, FEW).connections, 0);
    }

    /// If all that are open, and all that may come, hold their piece in both directions, there is
    /// room for it, but for the least that every connection may hold.
    #[test]
    fn what_is_shared_out_is_there() {
        for limit in [8, 24, 128, 1024] {
            for used in [0, limit / 2, limit - limit / 8, limit - 1] {
                for open in [0, 1, 100, 10_000] {
                    let Share { connections, piece } = share(limit, used, open);
                    let piece = (piece as u64).min(WHOLE_PIECE);
                    let all = open + connections;
                    let taken = connections * CONNECTION + all * (GROWTH + 2 * piece);
                    let left = (limit - used) * MIB;
                    assert!(
                        taken <= left + CONNECTION || piece == LEAST_PIECE,
                        "{taken} of {left} bytes, {open} open, limit {limit} MiB"
                    );
                }
            }
        }
    }

    /// With room for everybody's whole reads nothing is any different.
    #[test]
    fn reads_are_whole_while_there_is_room() {
        assert_eq!(share(128, 10, 100).piece, usize::MAX);
        assert!(share(128, 10, 100).is_plenty());
        assert!(share(128, 10, 2000).piece < 64 * 1024);
    }
}
