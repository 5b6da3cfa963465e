//! The moments of a drain that a person wants to find in the log, in their order.

use ebb_api::capture::Mode;
use ebb_api::phase::{Outcome, Trigger};
use ebb_api::report::Drain;

/// A moment of a drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// The pod, or a container, was told to leave.
    Signal(Trigger),
    /// The reason turned out to be another one.
    Restated(Trigger),
    /// The controller said that the endpoints are gone.
    EndpointsGone,
    /// Readiness was withdrawn.
    Unready,
    /// Nothing new is accepted any more.
    Draining {
        /// What has begun and goes on.
        in_flight: u64,
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
    /// The drain led to nothing: it was taken back, or nothing followed its end.
    CalledOff(Box<Drain>),
    /// The pod serves again.
    BackInService,
    /// Kubelet told the process to end.
    Sigterm,
}

impl Milestone {
    /// Writes the line for the log: what is true where connections reach the relay this way.
    pub(crate) fn log(&self, mode: Mode) {
        match self {
            Milestone::Signal(trigger) => {
                tracing::info!(%trigger, "signal seen, the pod is leaving")
            }
            Milestone::Restated(trigger) => {
                tracing::info!(%trigger, "reason for leaving corrected")
            }
            Milestone::EndpointsGone => tracing::info!("endpoints gone"),
            Milestone::Unready => tracing::info!("readiness withdrawn"),
            Milestone::Draining { in_flight } => {
                tracing::info!(in_flight, "{}", draining(mode));
            }
            Milestone::LastByte => match mode {
                Mode::Observe => tracing::info!("nothing seen in flight any more"),
                Mode::Redirect | Mode::NamedPorts => tracing::info!("last in-flight byte read"),
            },
            Milestone::Cutting {
                in_flight,
                handed_over,
            } => tracing::warn!(in_flight, handed_over, "{}", cutting(mode)),
            Milestone::Ended(drain) if drain.outcome == Outcome::TimedOut => tracing::warn!(
                outcome = %drain.outcome,
                took_ms = drain.took_ms,
                finished = drain.finished,
                cut = drain.cut_in_all(),
                "drain ended, hooks released"
            ),
            Milestone::Ended(drain) => tracing::info!(
                outcome = %drain.outcome,
                took_ms = drain.took_ms,
                finished = drain.finished,
                cut = drain.cut_in_all(),
                "drain ended, hooks released"
            ),
            Milestone::CalledOff(drain) => tracing::warn!(
                trigger = %drain.trigger,
                "drain called off: it was taken back, or neither SIGTERM nor the controller followed it"
            ),
            Milestone::BackInService => tracing::info!("back in service"),
            Milestone::Sigterm => tracing::info!("SIGTERM"),
        }
    }
}

fn draining(mode: Mode) -> &'static str {
    match mode {
        Mode::Redirect => "draining, nothing new is accepted",
        Mode::NamedPorts => {
            "draining, nothing new is accepted but what reaches the app's ports by number"
        }
        Mode::Observe => "draining, without a data path: nothing new is refused",
    }
}

fn cutting(mode: Mode) -> &'static str {
    match mode {
        Mode::Redirect => "deadline reached, cutting what is left",
        Mode::NamedPorts => {
            "deadline reached, cutting what is left but what reached the app's ports by number"
        }
        Mode::Observe => "deadline reached, what is left is left to the app's shutdown",
    }
}
