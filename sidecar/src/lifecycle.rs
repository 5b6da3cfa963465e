//! The pod's lifecycle: one task that feeds the drain machine with events, and does what it orders.
//!
//! It owns everything that changes during a drain: hooks, readiness, the termination message.
//! Others send it a [`Message`] and read what it publishes; nothing is locked and nothing is
//! decided anywhere else.

mod app_probe;
mod desired;
mod hook;
mod log;
mod message;
mod observe;
mod report;
mod step;

pub(crate) use message::{Handles, Message, Published, Refusal};
pub(crate) use observe::Captured;

use crate::capture::poll::SocketPoller;
use crate::census::{Census, Changes};
use crate::config::Config;
use crate::drain::{Event, Machine, Orders, Pod};
use crate::hooks::{Doubts, HeldHooks};
use crate::log_limit::LogLimit;
use crate::stance::{Conduct, Stance};
use crate::termination::TerminationMessage;
use app_probe::AppProbe;
use ebb_api::desired::{Revision, Signed};
use ebb_api::settings::Settings;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// After a step that only a change of the census asked for, the pause is at least this multiple of
/// the step's own duration. A step looks at every connection: of ten thousand it costs some 100 us,
/// measured, and as many that leave one after the other, or whose requests come and go, would ask
/// for one each.
const SHARE: u32 = 20;

/// The longest such pause, since a hook may have to wait for its end.
const LONGEST_REST: Duration = Duration::from_millis(5);

/// The lifecycle's task, and all that it owns.
pub(crate) struct Lifecycle {
    machine: Machine,
    orders: Orders,
    hooks: HeldHooks,
    doubts: Doubts,
    /// How many hook calls were refused since the start.
    refused_hooks: u64,
    refusals: LogLimit,
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
    /// The state that was accepted last, as it was sent.
    accepted: Option<Signed>,
    /// The last moment of the drain that went on last: own hooks may use what is left of it.
    limit: Option<Instant>,
    grace: Duration,
    termination: TerminationMessage,
    app_probe: AppProbe,
    conduct: watch::Sender<Conduct>,
    published: watch::Sender<Published>,
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
            doubts: Doubts::default(),
            refused_hooks: 0,
            refusals: LogLimit::default(),
            census,
            captured,
            poller: None,
            kubelet: None,
            complaint: config.complaint.clone(),
            uid: config.uid.clone(),
            boot,
            revision: Revision::default(),
            accepted: None,
            limit: None,
            grace,
            termination: TerminationMessage::new(
                config.termination.clone(),
                config.bootstrap.as_ref(),
            ),
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
            self.settle_doubts();
            let others = self.next_look().into_iter().chain(self.doubts_end());
            let wake = self.orders.wake.into_iter().chain(others).min();
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
            Message::Hook(call) => self.called(call),
            Message::Desired {
                desired,
                signed,
                answer,
            } => {
                let verdict = self.judge(&desired).map(|()| {
                    self.revision = desired.revision;
                    self.accepted = Some(signed);
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
}

/// The census knows how long idle HTTP/1 connections may be expected back.
fn expect_back(census: &Census, settings: &Settings) {
    let pause = settings.deregistration.idle_seconds;
    census.expect_back_within(Duration::from_secs(pause.into()));
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
