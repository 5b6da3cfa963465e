//! Reports what the pods do: the status of each policy, Events, and the count of every drain.
//!
//! One task holds all of it and never waits for the API server: the writes run beside it.

pub mod condition;
pub mod drains;
pub mod events;
pub mod history;
pub mod policies;
pub mod schedule;
pub mod status;
pub mod write;

use crate::cluster::SharedCluster;
use crate::metrics::Metrics;
use crate::push::{Learned, News};
use crate::timer;
use drains::{Before, Contacted, DrainFacts, DrainLog, Ending, Entry, PodName};
use ebb_model::views::SidecarView;
use events::Events;
use policies::{PolicyRecords, policies_of};
use status::Now;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::info;
use write::{Write, Writes, key_of};

/// How often every policy is looked at without a reason, to find what no event has shown.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What this room gets to know from the plan.
#[derive(Debug)]
pub enum Notice {
    /// A pod is there.
    Seen {
        /// The pod.
        pod: PodName,
        /// The names of the policies that select it.
        selected_by: Vec<String>,
        /// What is known of its drain, if it has a sidecar.
        drain: Option<Box<DrainFacts>>,
    },
    /// A pod is gone.
    Gone {
        /// The pod.
        pod: PodName,
        /// The names of the policies that selected it.
        selected_by: Vec<String>,
        /// How its sidecar was when it was last seen, if it had one.
        sidecar: Option<Box<SidecarView>>,
    },
    /// A policy of this namespace changed.
    Policies(String),
}

/// The reports of one controller.
pub struct Reports {
    cluster: Arc<SharedCluster>,
    redirect: bool,
    metrics: Arc<Metrics>,
    events: Events,
    drains: DrainLog,
    records: PolicyRecords,
    writes: Writes,
}

// === impl Reports ===

impl Reports {
    /// Reports on what `cluster` holds, by `writes`. `redirect` is the chart's `sidecar.redirect`.
    pub fn new(
        cluster: Arc<SharedCluster>,
        redirect: bool,
        writes: Writes,
        metrics: Arc<Metrics>,
        events: Events,
    ) -> Reports {
        Reports {
            cluster,
            redirect,
            writes,
            metrics,
            events,
            drains: DrainLog::default(),
            records: PolicyRecords::default(),
        }
    }

    /// Runs until no more notices can come, then writes what is due, and returns.
    pub async fn run(
        mut self,
        mut notices: mpsc::Receiver<Notice>,
        mut news: mpsc::Receiver<News>,
    ) {
        let mut look_again = tokio::time::interval(LOOK_AGAIN);
        loop {
            let wake = self.wake();
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => self.notice(notice),
                    None => return self.finish().await,
                },
                Some(heard) = news.recv() => self.heard(heard),
                Some(write) = self.writes.next() => self.written(write),
                _ = look_again.tick() => self.look_again(),
                () = timer::at(wake) => {}
            }
            for note in self.records.close_windows(Instant::now()) {
                self.events.note(note);
            }
            self.write_due();
        }
    }

    /// What is not written now, no later process could know. Each policy is tried once, so that the
    /// process ends soon.
    async fn finish(mut self) {
        for note in self.records.close_all_windows() {
            self.events.note(note);
        }
        // What is under way may be older than what is due.
        self.end_writes().await;
        self.writes.schedule.hurry();
        self.write_due();
        self.end_writes().await;
    }

    async fn end_writes(&mut self) {
        while let Some(write) = self.writes.next().await {
            self.written(write);
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Seen {
                pod,
                selected_by,
                drain,
            } => {
                let policy = drain.as_ref().and_then(|it| it.settings.policy.clone());
                if let Some(facts) = drain {
                    self.seen(&pod, *facts);
                }
                self.changed(&pod.namespace, selected_by.into_iter().chain(policy));
            }
            Notice::Gone {
                pod,
                selected_by,
                sidecar,
            } => {
                let known = self.drains.pod(&pod.uid);
                let policy = known.and_then(|known| known.settings.policy.clone());
                if let Some(ending) = self.drains.gone(&pod.uid, sidecar.as_deref()) {
                    self.ended(&ending, Now::read());
                }
                self.changed(&pod.namespace, selected_by.into_iter().chain(policy));
            }
            Notice::Policies(namespace) => self.policies_changed(&namespace),
        }
    }

    fn seen(&mut self, pod: &PodName, facts: DrainFacts) {
        let before = self.before(pod, facts.settings.policy.as_deref());
        let now = Now::read();
        for entry in self.drains.see(pod, facts, &before, now.wall) {
            match entry {
                Entry::Began(beginning) => {
                    let trigger = beginning.trigger;
                    info!(pod.namespace = pod.namespace, pod.name = pod.name, %trigger, "leaving");
                    if let Some(note) = events::began(&beginning) {
                        self.events.note(note);
                    }
                }
                Entry::Ended(ending) => self.ended(&ending, now),
            }
        }
    }

    fn heard(&mut self, heard: News) {
        let now = Instant::now();
        match heard.what {
            Learned::Contact(contact) => {
                let Some(Contacted { pod, refused_hooks }) =
                    self.drains.contact(&heard.pod, contact)
                else {
                    return;
                };
                if refused_hooks > 0 {
                    self.events
                        .note(events::hook_refused(&pod.pod, refused_hooks));
                }
                if let Some(policy) = pod.settings.policy.clone() {
                    let namespace = pod.pod.namespace.clone();
                    self.writes.schedule.changed((namespace, policy), now);
                }
            }
            Learned::Report(report) => {
                let phase = report.phase;
                let before = self
                    .drains
                    .pod(&heard.pod)
                    .and_then(|known| known.report.as_ref().map(|(report, _)| report.phase));
                if let Some(known) = self.drains.report(&heard.pod, *report, now)
                    && let Some(policy) = known.settings.policy.clone()
                {
                    let key = (known.pod.namespace.clone(), policy);
                    if before == Some(phase) {
                        self.writes.schedule.progressed(key, now);
                    } else {
                        self.writes.schedule.changed(key, now);
                    }
                }
            }
        }
    }

    /// A drain has ended: it is counted, becomes an Event, and is soon in a status.
    fn ended(&mut self, ending: &Ending, now: Now) {
        let PodName {
            namespace, name, ..
        } = &ending.pod;
        let (outcome, summary) = (ending.outcome, &ending.summary);
        info!(pod.namespace = namespace, pod.name = name, %outcome, summary, "left");
        self.metrics.ended(ending.outcome, ending.counts);
        if let Some(note) = events::ended(ending) {
            self.events.note(note);
        }
        let Some(policy) = &ending.policy else { return };
        let key = (namespace.clone(), policy.clone());
        // It may have been deleted meanwhile.
        let Some(record) = self.records.open(&self.cluster, &key) else {
            return;
        };
        record.ended(ending, now);
        if let Some(note) = events::warning(&record.policy, ending) {
            self.events.note(note);
        }
        self.writes.schedule.changed(key, now.instant);
    }

    /// What an earlier process wrote about the pod, which acts on that policy.
    fn before(&mut self, pod: &PodName, policy: Option<&str>) -> Before {
        let Some(policy) = policy else {
            return Before::default();
        };
        let key = (pod.namespace.clone(), policy.to_owned());
        let record = self.records.open(&self.cluster, &key);
        record.map_or_else(Before::default, |record| record.before(&pod.name))
    }

    /// These policies may have something new to say.
    fn changed(&mut self, namespace: &str, policies: impl Iterator<Item = String>) {
        let now = Instant::now();
        for policy in policies {
            let key = (namespace.to_owned(), policy);
            self.writes.schedule.changed(key, now);
        }
    }

    fn policies_changed(&mut self, namespace: &str) {
        let known = policies_of(&self.cluster, namespace);
        for key in self.records.drop_gone(namespace, &known) {
            self.writes.schedule.forget(&key);
        }
        self.recount();
        let now = Instant::now();
        for name in known.into_keys() {
            let key = (namespace.to_owned(), name);
            self.records.open(&self.cluster, &key);
            self.writes.schedule.changed(key, now);
        }
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        for key in self.records.keys() {
            self.writes.schedule.changed(key.clone(), now);
        }
    }

    fn wake(&self) -> Option<Instant> {
        let wakes = [self.records.wake(), self.writes.schedule.wake()];
        wakes.into_iter().flatten().min()
    }

    fn write_due(&mut self) {
        let now = Now::read();
        let mut recount = false;
        while let Some(key) = self.writes.schedule.next(now.instant) {
            let Some(record) = self.records.get_mut(&key) else {
                self.writes.schedule.forget(&key);
                continue;
            };
            let Some(status) = record.status(&self.cluster, self.redirect, &self.drains, now)
            else {
                continue;
            };
            if record.targets != status.targets {
                record.targets = status.targets.clone();
                recount = true;
            }
            if status == record.written {
                continue;
            }
            if !status::differs_beyond_progress(&record.written, &status)
                && !self.writes.schedule.progress_is_due(&key, now.instant)
            {
                self.writes.schedule.progressed(key, now.instant);
                continue;
            }
            self.writes
                .begin(record.policy.clone(), status, now.instant);
        }
        if recount {
            self.recount();
        }
    }

    fn recount(&self) {
        let (protected, unprotected) = self.records.protected_and_not();
        self.metrics.targets(protected, unprotected);
    }

    fn written(&mut self, write: Write) {
        let Some((policy, status)) = self.writes.ended(write) else {
            return;
        };
        // Unless it was made anew under the same name meanwhile.
        let record = self.records.get_mut(&key_of(&policy));
        let Some(record) = record.filter(|record| record.policy == policy) else {
            return;
        };
        if let Some(note) = record.take_written(status) {
            self.events.note(note);
        }
    }
}
