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
    },
    /// It does not answer, for the reason given.
    Unreachable(String),
    /// It verifies with a key that the controller does not have, and accepts no other.
    KeyLost,
}
