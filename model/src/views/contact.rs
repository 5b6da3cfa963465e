//! A sidecar as a client of its admin port knows it.

use ebb_api::capture::{Mode, Step};

/// What is known of a sidecar beyond the objects of the API server.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Contact {
    /// Nobody has spoken to it yet.
    #[default]
    None,
    /// It answers.
    Reached {
        /// The mode that it runs in.
        mode: Mode,
        /// Why that is not the mode that was asked for, and what it lacks.
        steps: Vec<Step>,
        /// What else it says of itself.
        seen: Seen,
    },
    /// It does not answer, for the reason given.
    Unreachable(String),
    /// It verifies with a key that the controller does not have, and accepts no other.
    KeyLost,
}

/// What a sidecar says of itself that has nothing to do with its mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether new connections wait until its container has more memory.
    pub waits_for_memory: bool,
    /// How many hook calls of strangers it has refused since its start.
    pub refused_hooks: u64,
}

impl Contact {
    /// What the sidecar says of itself; if it says nothing, nothing has happened to it.
    pub fn seen(&self) -> Seen {
        match self {
            Contact::Reached { seen, .. } => *seen,
            Contact::None | Contact::Unreachable(_) | Contact::KeyLost => Seen::default(),
        }
    }
}
