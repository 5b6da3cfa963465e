//! The moments of a drain that a person wants to find in the log, in their order.

use ebb_api::phase::Trigger;
use ebb_api::report::Drain;

/// A moment of a drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The drain of the pod, or of a container, began.
    Signal(Trigger),
    /// The reason turned out to be another one.
    Restated(Trigger),
    /// The controller said that the endpoints are gone.
    EndpointsGone,
    /// The controller said that no other endpoint of this Service is ready: the pod goes on
    /// accepting.
    Alone(String),
    /// It said that there is one now.
    Relieved,
    /// Readiness was withdrawn.
    Unready,
    /// Nothing new is accepted any more.
    Draining {
        /// What has begun and goes on.
        in_flight: u64,
    },
    /// The app has broken something off, for the first time in this drain.
    Broken {
        /// How much by now.
        in_all: u64,
    },
    /// The last byte in flight was read from the app.
    LastByte,
    /// The deadline came.
    Cutting {
        /// What is cut.
        in_flight: u64,
        /// What is left to the app's own shutdown.
        handed_over: u64,
    },
    /// The hooks are released.
    Ended(Box<Drain>),
    /// The drain was called off: it was taken back, or neither SIGTERM nor the controller followed
    /// it.
    CalledOff(Box<Drain>),
    /// The pod serves again.
    BackInService,
    /// The process got SIGTERM.
    Sigterm,
}
