//! One of a connection's two legs: the client's, or the app's.

/// What has ended of it.
#[derive(Default)]
pub(super) struct Side {
    /// It sent its FIN.
    pub(super) read: bool,
    /// We sent ours to it.
    pub(super) written: bool,
    /// It takes nothing more: a write failed.
    pub(super) broken: bool,
}

impl Side {
    /// Nothing more goes either way.
    pub(super) fn is_over(&self) -> bool {
        self.read && self.written
    }
}
