//! Where a connection is between its beginning and its end.

use std::time::Instant;

/// What is done with a connection; the table in [`connection`](super) says what follows what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The app is dialed for the first time.
    Dialing,
    /// Bytes pass in both directions.
    Relaying,
    /// The app has closed its side, and the client was kept: see
    /// [`AppEnd::Keep`](crate::relay::exchange::AppEnd::Keep).
    WithoutApp,
    /// The app is dialed again for a request of such a client.
    Redialing,
    /// The goodbye of an opaque connection or of a WebSocket: the app got the client's FIN, and
    /// what it answers still passes. At the latest at this moment it is over.
    HalfClosing {
        /// That moment.
        until: Instant,
    },
    /// Nothing but what waits goes to the client any more, then it is closed.
    Closing,
    /// The same at the deadline.
    Cut {
        /// When it is over where something was in flight; otherwise the client may take its time
        /// for a whole answer, for as long as the process lives.
        until: Option<Instant>,
    },
}

impl Stage {
    /// Bytes can go to the app and come from it.
    pub(super) fn has_app(self) -> bool {
        matches!(self, Stage::Relaying | Stage::HalfClosing { .. })
    }

    pub(super) fn is_dialing(self) -> bool {
        matches!(self, Stage::Dialing | Stage::Redialing)
    }

    pub(super) fn is_half_closing(self) -> bool {
        matches!(self, Stage::HalfClosing { .. })
    }

    /// Nothing is read any more.
    pub(crate) fn is_closing(self) -> bool {
        matches!(self, Stage::Closing | Stage::Cut { .. })
    }

    /// When it ends at the latest, whatever the two sides do.
    pub(super) fn until(self) -> Option<Instant> {
        match self {
            Stage::HalfClosing { until } => Some(until),
            Stage::Cut { until } => until,
            Stage::Dialing
            | Stage::Relaying
            | Stage::WithoutApp
            | Stage::Redialing
            | Stage::Closing => None,
        }
    }
}

/// What has ended of one of the two legs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Side {
    /// It sent its FIN.
    pub(crate) read: bool,
    pub(super) written: Written,
}

/// What goes to a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Written {
    /// It may get more.
    #[default]
    Open,
    /// We sent it our FIN.
    Finished,
    /// It takes nothing more: a write failed.
    Broken,
}

impl Side {
    /// Nothing more goes either way.
    pub(super) fn is_over(self) -> bool {
        self.read && self.is_finished()
    }

    pub(super) fn is_finished(self) -> bool {
        self.written == Written::Finished
    }

    pub(super) fn is_broken(self) -> bool {
        self.written == Written::Broken
    }
}
