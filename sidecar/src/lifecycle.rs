//! The pod's lifecycle: one task that feeds the drain machine with events, and does what it orders.
//!
//! It owns everything that changes during a drain: hooks, readiness, the termination message. Others send it a [`Message`]
//! and read what it publishes; nothing is locked and nothing is decided anywhere else.

mod app_probe;
mod log;
mod observe;
mod report;

pub(crate) use observe::Captured;

use crate::capture::poll::SocketPoller;
use crate::census::{Census, Changes};
use crate::config::Config;
use crate::drain::{Caller, Event, Machine, Milestone, Orders, Pod};
use crate::hooks::HeldHooks;
use crate::stance::{Conduct, Stance};
use crate::termination::TerminationMessage;
use app_probe::AppProbe;
use ebb_api::desired::{Conflict, Desired, Revision};
use ebb_api::phase::Phase;
use ebb_api::report::Report;
use ebb_api::settings::Settings;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// After a step that only a change of the census asked for, the pause is at least this multiple of
/// the step's own duration. A step looks at every connection: of ten thousand it costs some 100 us,
/// measured, and as many that leave one after the other, or whose requests come and go, would ask
/// for one each.
const SHARE: u32 = 20;

/// The longest such pause, since a hook may have to wait for its end.
const LONGEST_REST: Duration = Duration::from_millis(5);

/// What another task tells the lifecycle's task, or asks it for.
#[derive(Debug)]
pub(crate) enum Message {
    /// Kubelet called a hook, from its address to this one of the pod; `answer` fires when it may
    /// be answered.
    Hook {
        caller: Caller,
        kubelet: IpAddr,
        pod_address: IpAddr,
        answer: oneshot::Sender<()>,
    },
    /// A desired state with a good signature.
    Desired {
        desired: Box<Desired>,
        answer: oneshot::Sender<Result<Report, Refusal>>,
    },
    /// What the sidecar says about itself.
    Report { answer: oneshot::Sender<Report> },
    /// The census is about to be read by somebody else.
    Census { answer: oneshot::Sender<()> },
    /// Kubelet told the process to end.
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
    pub(crate) phase: Phase,
    /// Grows with each change that a reader of the status wants to know at once.
    pub(crate) version: u64,
    pub(crate) drains: BTreeMap<&'static str, u64>,
    /// Work that came after the endpoints were gone, over all drains that ended.
    pub(crate) late: u64,
}

/// The lifecycle's task, and all that it owns.
pub(crate) struct Lifecycle {
    machine: Machine,
    orders: Orders,
    hooks: HeldHooks,
    census: Arc<Census>,
    captured: Captured,
    /// Looks for the connections that don't pass the relay; `None` if all do.
    poller: Option<SocketPoller>,
    /// Where kubelet calls from, once it has.
    kubelet: Option<IpAddr>,
    complaint: Option<String>,
    uid: String,
    boot: String,
    revision: Revision,
    /// The last moment of the drain that went on last: own hooks may use what is left of it.
    limit: Option<Instant>,
    grace: Duration,
    termination: TerminationMessage,
    app_probe: AppProbe,
    conduct: watch::Sender<Conduct>,
    published: watch::Sender<Published>,
}

/// The ends of the lifecycle's channels.
pub(crate) struct Handles {
    pub(crate) messages: mpsc::Sender<Message>,
    pub(crate) conduct: watch::Receiver<Conduct>,
    pub(crate) published: watch::Receiver<Published>,
}

// === impl Lifecycle ===

impl Lifecycle {
    pub(crate) fn new(
        config: &Config,
        captured: Captured,
        census: Arc<Census>,
        boot: String,
    ) -> (Lifecycle, mpsc::Receiver<Message>, Handles) {
        let (messages, inbox) = mpsc::channel(64);
        let (published, published_seen) = watch::channel(Published::default());
        let pod: Pod = config.pod();
        let containers = config
            .bootstrap
            .as_ref()
            .map_or(&[][..], |bootstrap| &bootstrap.containers);
        let grace = pod.grace;
        let settings = config.settings();
        expect_back(&census, &settings);
        let connections = settings.connections;
        let (conduct, conduct_seen) = watch::channel(Conduct {
            stance: Stance::Serving,
            pace: None,
            connections,
        });
        let mut machine = Machine::new(pod, settings);
        let now = Instant::now();
        let (orders, _) = machine.on(Event::Tick, &census.snapshot(now), now);
        let mut lifecycle = Lifecycle {
            machine,
            orders,
            hooks: HeldHooks::new(containers),
            census,
            captured,
            poller: None,
            kubelet: None,
            complaint: config.complaint.clone(),
            uid: config.uid.clone(),
            boot,
            revision: Revision::default(),
            limit: None,
            grace,
            termination: TerminationMessage::new(config.termination.clone()),
            app_probe: AppProbe::new(containers, messages.clone()),
            conduct,
            published,
        };
        lifecycle.start_poller();
        let handles = Handles {
            messages,
            conduct: conduct_seen,
            published: published_seen,
        };
        (lifecycle, inbox, handles)
    }

    /// Runs until the process has nothing left to do after SIGTERM.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut changes = self.census.changes();
        let mut rested = Instant::now();
        self.step(Event::Tick);
        while !self.orders.exit {
            let wake = self.orders.wake.into_iter().chain(self.next_look()).min();
            // Otherwise the census changes with every request, and nobody needs to know.
            let watching = self.orders.until_idle;
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => {
                        self.look().await;
                        self.serve(message);
                    }
                    // The lifecycle itself holds a sender, for the probe of the app.
                    None => return,
                },
                () = changed_since(rested, &mut changes), if watching => {
                    let began = Instant::now();
                    self.step(Event::Tick);
                    let stepped = Instant::now();
                    rested = stepped + ((stepped - began) * SHARE).min(LONGEST_REST);
                }
                () = sleep_until(wake) => {
                    self.look().await;
                    self.step(Event::Tick);
                }
            }
        }
    }

    fn serve(&mut self, message: Message) {
        match message {
            Message::Hook {
                caller,
                kubelet,
                pod_address,
                answer,
            } => {
                tracing::info!(hook = %caller, "hook called");
                self.census.probes_come_from(kubelet);
                self.kubelet = Some(kubelet);
                self.app_probe.reach_at(pod_address);
                self.hooks
                    .call(caller.clone(), pod_address, answer, Instant::now());
                self.step(Event::HookCalled(caller));
            }
            Message::Desired { desired, answer } => {
                let verdict = self.judge(&desired).map(|()| {
                    self.revision = desired.revision;
                    expect_back(&self.census, &desired.settings);
                    self.step(Event::Desired(desired));
                    self.report(Instant::now())
                });
                let _ = answer.send(verdict);
            }
            Message::Report { answer } => {
                let _ = answer.send(self.report(Instant::now()));
            }
            Message::Census { answer } => {
                let _ = answer.send(());
            }
            Message::Sigterm => self.step(Event::Sigterm),
            Message::AppAnswered => self.step(Event::AppAnswered),
            Message::Opened(port) => self.opened(port),
        }
    }

    fn judge(&self, desired: &Desired) -> Result<(), Refusal> {
        if self.uid.is_empty() || desired.pod != self.uid {
            return Err(Refusal::OtherPod);
        }
        if desired.boot != self.boot || desired.revision <= self.revision {
            return Err(Refusal::Conflict(Conflict {
                boot: self.boot.clone(),
                revision: self.revision,
            }));
        }
        Ok(())
    }

    fn step(&mut self, event: Event) {
        let now = Instant::now();
        let snapshot = self.census.snapshot(now);
        let sigterm = event == Event::Sigterm;
        let heard = matches!(event, Event::Desired(_));
        let (orders, milestones) = self.machine.on(event, &snapshot, now);
        let told_at_once = heard || !milestones.is_empty();
        let wanted = Conduct {
            stance: orders.stance,
            pace: orders.pace,
            connections: self.machine.settings().connections,
        };
        self.conduct
            .send_if_modified(|conduct| std::mem::replace(conduct, wanted) != wanted);
        let back = milestones.contains(&Milestone::BackInService);
        // Back in service, the drain that was told of before is not how this process ends.
        if sigterm || back || self.machine.ending().is_some() {
            self.say_last_words(&snapshot);
        }
        for milestone in &milestones {
            log::write(milestone, self.captured.effective.path().words);
        }
        if let Some(deadline) = orders.deadline {
            self.limit = Some(deadline);
        }
        let limit = self.limit.unwrap_or(now + self.grace);
        self.hooks.release(orders.release, limit);
        self.app_probe.set(&orders.restarting);
        if back {
            self.limit = None;
        }
        self.publish(&orders, &milestones, told_at_once);
        self.orders = orders;
    }

    fn publish(&self, orders: &Orders, milestones: &[Milestone], at_once: bool) {
        self.published.send_if_modified(|published| {
            let before = published.clone();
            published.ready = orders.ready;
            published.phase = orders.phase;
            published.version += u64::from(at_once);
            for milestone in milestones {
                // A drain that healed counts twice: as what it came to, and as called off.
                if let Milestone::Ended(drain) | Milestone::CalledOff(drain) = milestone {
                    *published.drains.entry(drain.outcome.as_str()).or_default() += 1;
                }
                if let Milestone::Ended(drain) = milestone {
                    published.late += drain.late;
                }
            }
            *published != before
        });
    }
}

/// The census knows how long idle HTTP/1 connections may be expected back.
fn expect_back(census: &Census, settings: &Settings) {
    let pause = settings.deregistration.idle_seconds;
    census.expect_http1_back_within(Duration::from_secs(pause.into()));
}

/// Waits for a change of the census, and at least until then; cancel safe.
async fn changed_since(rested: Instant, changes: &mut Changes) {
    if Instant::now() < rested {
        tokio::time::sleep_until(rested.into()).await;
    }
    changes.changed().await;
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}
