//! What goes in and out of the lifecycle's task.

use crate::hooks::Call;
use crate::stance::Conduct;
use ebb_api::desired::{Conflict, Desired, Signed};
use ebb_api::phase::Phase;
use ebb_api::report::Report;
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot, watch};

/// What another task tells the lifecycle's task, or asks it for.
#[derive(Debug)]
pub(crate) enum Message {
    /// A hook was called.
    Hook(Call),
    /// A desired state with a good signature.
    Desired {
        desired: Box<Desired>,
        /// The same as it was sent.
        signed: Signed,
        answer: oneshot::Sender<Result<Report, Refusal>>,
    },
    /// What the sidecar says about itself.
    Report { answer: oneshot::Sender<Report> },
    /// The census is about to be read by somebody else.
    Census { answer: oneshot::Sender<()> },
    /// The process got SIGTERM.
    Sigterm,
    /// The app's port answers again.
    AppAnswered,
    /// This port of the relay, which was taken at the start, is open.
    Opened(u16),
}

/// Why a well-signed desired state was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is for another pod.
    OtherPod,
    /// It is for another start, or not newer than the present one.
    Conflict(Conflict),
}

/// What the lifecycle publishes for those who only look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) ready: bool,
    /// No connection passes the relay: how each of them ends nobody can tell.
    pub(crate) observed: bool,
    pub(crate) phase: Phase,
    /// Grows with each change that a reader of the status wants to know at once.
    pub(crate) version: u64,
    pub(crate) drains: BTreeMap<&'static str, u64>,
    /// Work that came after the endpoints were gone, over all drains that ended.
    pub(crate) late: u64,
    /// What was in flight at the ends of drains in whose middle Ebb stood aside.
    pub(crate) abandoned: u64,
}

/// The ends of the lifecycle's channels.
pub(crate) struct Handles {
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) conduct: watch::Receiver<Conduct>,
    pub(crate) published: watch::Receiver<Published>,
}
