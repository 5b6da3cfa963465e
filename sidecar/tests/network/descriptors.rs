//! The file descriptors of this process, which all tests share: those that need most of them take
//! turns.

use rustix::process::{Resource, getrlimit, setrlimit};
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// A test's turn, until it is dropped.
pub(crate) struct Turn {
    /// How many there are, with those that the other tests take.
    pub(crate) all: u64,
    _turn: MutexGuard<'static, ()>,
}

/// Waits for its turn, and raises the limit as far as this machine allows.
pub(crate) fn turn() -> Turn {
    // A test that failed in its turn has left nothing behind.
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    Turn {
        all: limit.maximum.unwrap_or(u64::MAX),
        _turn: turn,
    }
}
