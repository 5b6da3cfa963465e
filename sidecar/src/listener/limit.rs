//! The most connections at a time: each needs two file descriptors, and the admin port must have
//! some left, or no hook would be answered.

use crate::census::Census;
use crate::log_limit::LogLimit;
use rustix::process::{Resource, getrlimit};
use std::sync::Arc;
use std::time::Instant;

/// What everything else may need: the connections of the admin port, and what is open all the time.
const OTHERS: u64 = 576;

/// How many connections the relay takes at a time.
#[derive(Debug)]
pub(super) struct ConnectionLimit {
    census: Arc<Census>,
    most: u64,
    complaint: LogLimit,
}

impl ConnectionLimit {
    /// As many as the process's limit of file descriptors allows; of a small limit a quarter is
    /// left for everything else.
    pub(super) fn new(census: Arc<Census>) -> ConnectionLimit {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        ConnectionLimit {
            census,
            most: most(limit),
            complaint: LogLimit::default(),
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> u64 {
        self.census.relayed()
    }

    /// True if no further connection may be accepted beside these; the log says so now and then.
    pub(super) fn is_full(&self, open: u64) -> bool {
        let is_full = open >= self.most;
        if is_full && let Some(skipped) = self.complaint.allow(Instant::now()) {
            let connections = self.most;
            tracing::warn!(
                connections,
                skipped,
                "the relay pauses accepting: it has as many as its file descriptors allow"
            );
        }
        is_full
    }
}

fn most(limit: u64) -> u64 {
    (limit - OTHERS.min(limit / 4)) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::census::{Peer, Way};

    /// Some file descriptors stay for everything else.
    #[test]
    fn there_is_something_left_for_others() {
        assert_eq!(most(100), 37);
        assert_eq!(most(1 << 20), (1 << 19) - 288);
        assert_eq!(most(0), 0);
    }

    /// What reaches the app past the relay takes none of its file descriptors.
    #[test]
    fn only_the_relay_s_own_count() {
        let census = Census::new(Instant::now());
        let limit = ConnectionLimit {
            most: 1,
            ..ConnectionLimit::new(census.clone())
        };
        let _others =
            [Way::Bypassing, Way::Observed].map(|way| census.connect(way, Peer::nobody()));
        assert!(!limit.is_full(limit.open()));
        let relayed = census.connect_nobody();
        assert!(limit.is_full(limit.open()));
        drop(relayed);
        assert!(!limit.is_full(limit.open()));
    }
}
