//! The moment at which bytes are looked at, and what of the connection does not depend on its
//! protocol.

use crate::census::Connection;
use std::time::Instant;

/// What every protocol is given with each piece of its bytes.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    /// One for all that is decided of a piece: no clock is read twice for it.
    pub(super) now: Instant,
    /// From when on goodbyes are said, while the pod leaves.
    pub(super) leaving: Option<Instant>,
    /// The connection's line in the census.
    pub(super) line: &'a Connection,
}

impl<'a> At<'a> {
    pub(super) fn new(now: Instant, leaving: Option<Instant>, line: &'a Connection) -> At<'a> {
        At { now, leaving, line }
    }

    /// The same where no goodbye can be said yet.
    pub(super) fn without_goodbye(self) -> At<'a> {
        At {
            leaving: None,
            ..self
        }
    }

    pub(super) fn is_leaving(self) -> bool {
        self.leaving.is_some()
    }
}
