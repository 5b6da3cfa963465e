//! Writes down what the pods do: the status of each policy, Events, and the count of every drain.
//!
//! One task holds all of it and never waits for the API server: the writes run beside it.

pub mod events;
pub mod ledger;
pub mod sentence;
pub mod status;
pub mod write;

use crate::api_error::Class;
use crate::cluster::{NamespaceView, PodView, SharedCluster};
use crate::metrics::Metrics;
use crate::signal::{Learned, News};
use ebb_api::phase::Outcome;
use ebb_api::policy::DrainPolicy;
use ebb_api::settings::Settings;
use ebb_api::status::DrainPolicyStatus;
use events::{Events, PolicyName};
use kube::api::{Api, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Client, Resource};
use ledger::{Before, Ending, Entry, Ledger, PodName};
use serde_json::json;
use status::{History, Now};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};
use write::{PolicyKey, Schedule};

/// The name that the API server keeps beside the fields that are ours.
pub const FIELD_MANAGER: &str = "ebb-controller";

/// How long pods that drain are gathered into one Event of their policy.
const WINDOW: Duration = Duration::from_secs(10);

/// How often every policy is looked at without any reason, to find what no event told.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What the plan tells this room.
#[derive(Debug)]
pub enum Notice {
    /// A pod is there, and acts on these settings if it has a sidecar.
    Seen {
        /// The pod.
        pod: Box<PodView>,
        /// What its sidecar acts on.
        settings: Box<Settings>,
    },
    /// A pod is gone; this is how it was when it went.
    Gone(Box<PodView>),
    /// A policy of this namespace changed.
    Policies(String),
}

/// The reports of one controller.
pub struct Reports {
    cluster: Arc<SharedCluster>,
    client: Client,
    metrics: Arc<Metrics>,
    events: Events,
    ledger: Ledger,
    books: HashMap<PolicyKey, Book>,
    schedule: Schedule,
    writes: JoinSet<(PolicyName, DrainPolicyStatus, Result<(), kube::Error>)>,
}

/// One policy's past, and its status as it stands.
#[derive(Debug)]
struct Book {
    policy: PolicyName,
    /// The status when this process saw the policy first: what an earlier one wrote.
    found: DrainPolicyStatus,
    /// The status as it stands.
    written: DrainPolicyStatus,
    history: History,
    window: Option<Window>,
}

/// Pods that drained and that no Event of the policy has told of yet.
#[derive(Debug)]
struct Window {
    until: Instant,
    pods: u64,
    finished: u64,
    last: PodName,
}

impl Reports {
    /// Reports on what `cluster` holds.
    pub fn new(
        cluster: Arc<SharedCluster>,
        client: Client,
        metrics: Arc<Metrics>,
        events: Events,
    ) -> Reports {
        Reports {
            cluster,
            client,
            metrics,
            events,
            ledger: Ledger::default(),
            books: HashMap::new(),
            schedule: Schedule::default(),
            writes: JoinSet::new(),
        }
    }

    /// Runs until nobody can send notices any more; writes what is due then, and returns.
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
                Some(ended) = self.writes.join_next() => match ended {
                    Ok((policy, status, result)) => self.written(policy, status, result),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                _ = look_again.tick() => self.look_again(),
                () = sleep_until(wake) => {}
            }
            self.close_windows();
            self.write_due();
        }
    }

    /// What is not written now, no later process could know.
    async fn finish(mut self) {
        self.schedule.hurry();
        self.write_due();
        while let Some(ended) = self.writes.join_next().await {
            if let Ok((policy, status, result)) = ended {
                self.written(policy, status, result);
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Seen { pod, settings } => {
                let before = self.before(&pod, &settings);
                let now = Now::read();
                let entries = self.ledger.see(&pod, &settings, &before, now.wall);
                for entry in entries {
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
                self.pod_changed(&pod, settings.policy.as_deref());
            }
            Notice::Gone(pod) => {
                let policy = self
                    .ledger
                    .account(&pod.uid)
                    .and_then(|account| account.settings.policy.clone());
                if let Some(ending) = self.ledger.gone(&pod) {
                    self.ended(&ending, Now::read());
                }
                self.pod_changed(&pod, policy.as_deref());
            }
            Notice::Policies(namespace) => self.policies_changed(&namespace),
        }
    }

    fn heard(&mut self, heard: News) {
        let now = Instant::now();
        match heard.what {
            Learned::Contact(contact) => {
                if let Some(account) = self.ledger.contact(&heard.pod, contact)
                    && let Some(policy) = account.settings.policy.clone()
                {
                    let namespace = account.namespace.clone();
                    self.schedule.changed((namespace, policy), now);
                }
            }
            Learned::Report(report) => {
                let phase = report.phase;
                let before = self
                    .ledger
                    .account(&heard.pod)
                    .and_then(|account| account.report.as_ref().map(|(report, _)| report.phase));
                if let Some(account) = self.ledger.report(&heard.pod, *report, now)
                    && let Some(policy) = account.settings.policy.clone()
                {
                    let key = (account.namespace.clone(), policy);
                    if before == Some(phase) {
                        self.schedule.progressed(key, now);
                    } else {
                        self.schedule.changed(key, now);
                    }
                }
            }
        }
    }

    /// A drain has ended: it is counted, told, and soon written.
    fn ended(&mut self, ending: &Ending, now: Now) {
        let PodName {
            namespace, name, ..
        } = &ending.pod;
        let Ending {
            outcome, summary, ..
        } = ending;
        info!(pod.namespace = namespace, pod.name = name, %outcome, summary, "left");
        self.metrics.ended(ending.outcome, ending.cut);
        if let Some(note) = events::ended(ending) {
            self.events.note(note);
        }
        let Some(policy) = &ending.policy else { return };
        let key = (namespace.clone(), policy.clone());
        self.open_book(&key);
        // It may have been deleted meanwhile.
        let Some(book) = self.books.get_mut(&key) else {
            return;
        };
        book.history.record(ending, now.wall);
        if let Some(note) = events::warning(&book.policy, ending) {
            self.events.note(note);
        }
        if ending.outcome == Outcome::Drained {
            let window = book.window.get_or_insert_with(|| Window {
                until: now.instant + WINDOW,
                pods: 0,
                finished: 0,
                last: ending.pod.clone(),
            });
            window.pods += 1;
            window.finished += ending.finished;
            window.last = ending.pod.clone();
        }
        self.schedule.changed(key, now.instant);
    }

    /// What an earlier process wrote down about the pod.
    fn before(&mut self, pod: &PodView, settings: &Settings) -> Before {
        let Some(policy) = &settings.policy else {
            return Before::default();
        };
        let key = (pod.namespace.clone(), policy.clone());
        self.open_book(&key);
        let Some(book) = self.books.get(&key) else {
            return Before::default();
        };
        let active = book
            .found
            .active
            .iter()
            .find(|active| active.pod == pod.name);
        Before {
            since: active.map(|active| active.since.0),
            counted: book
                .found
                .recent
                .iter()
                .any(|recent| recent.pod == pod.name),
        }
    }

    /// Every policy that selects the pod, or that it acts on, may have something new to say.
    fn pod_changed(&mut self, pod: &PodView, acts_on: Option<&str>) {
        let selecting: Vec<String> = self.cluster.read(|cluster| {
            let policies = cluster.namespace(&pod.namespace).map(|it| &it.policies);
            policies
                .into_iter()
                .flatten()
                .filter(|policy| policy.selects(&pod.labels))
                .map(|policy| policy.name.clone())
                .collect()
        });
        let now = Instant::now();
        for policy in { selecting }.into_iter().chain(acts_on.map(str::to_owned)) {
            self.schedule.changed((pod.namespace.clone(), policy), now);
        }
    }

    fn policies_changed(&mut self, namespace: &str) {
        let known = self.cluster.read(|cluster| {
            cluster
                .namespace(namespace)
                .map_or_else(BTreeMap::new, policies_of)
        });
        let gone = self
            .books
            .iter()
            .filter(|((of, name), book)| {
                of == namespace && known.get(name) != Some(&book.policy.uid)
            })
            .map(|(key, _)| key.clone());
        for key in gone.collect::<Vec<_>>() {
            self.books.remove(&key);
            self.schedule.forget(&key);
        }
        let now = Instant::now();
        for name in known.into_keys() {
            let key = (namespace.to_owned(), name);
            self.open_book(&key);
            self.schedule.changed(key, now);
        }
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        for key in self.books.keys() {
            self.schedule.changed(key.clone(), now);
        }
    }

    /// Makes sure that there is a book for the policy, if there is such a policy.
    fn open_book(&mut self, key: &PolicyKey) {
        if self.books.contains_key(key) {
            return;
        }
        let found = self.cluster.read(|cluster| {
            let namespace = cluster.namespace(&key.0)?;
            match (namespace.policy(&key.1), namespace.invalid.get(&key.1)) {
                (Some(policy), _) => Some((policy.uid.clone(), policy.status.clone())),
                (None, Some(policy)) => Some((policy.uid.clone(), policy.status.clone())),
                (None, None) => None,
            }
        });
        if let Some((uid, status)) = found {
            let book = Book {
                policy: PolicyName {
                    namespace: key.0.clone(),
                    name: key.1.clone(),
                    uid,
                },
                history: History::of(&status),
                written: status.clone(),
                found: status,
                window: None,
            };
            self.books.insert(key.clone(), book);
        }
    }

    fn wake(&self) -> Option<Instant> {
        let windows = self
            .books
            .values()
            .filter_map(|book| Some(book.window.as_ref()?.until));
        windows.chain(self.schedule.wake()).min()
    }

    fn close_windows(&mut self) {
        let now = Instant::now();
        for book in self.books.values_mut() {
            if let Some(window) = book.window.take_if(|window| window.until <= now) {
                let Window {
                    pods,
                    finished,
                    last,
                    ..
                } = window;
                let note = events::drained(&book.policy, pods, finished, &last);
                self.events.note(note);
            }
        }
    }

    fn write_due(&mut self) {
        let now = Now::read();
        while let Some(key) = self.schedule.next(now.instant) {
            let Some(book) = self.books.get(&key) else {
                self.schedule.forget(&key);
                continue;
            };
            let ledger = &self.ledger;
            let status = self.cluster.read(|cluster| {
                let namespace = cluster.namespace(&key.0)?;
                if let Some(policy) = namespace.policy(&key.1) {
                    let history = &book.history;
                    let before = &book.written;
                    return Some(status::status(
                        namespace, policy, ledger, history, before, now,
                    ));
                }
                let policy = namespace.invalid.get(&key.1)?;
                Some(status::invalid(policy, &book.history, &book.written, now))
            });
            let Some(status) = status else { continue };
            if status == book.written {
                continue;
            }
            if !status::differs_beyond_progress(&book.written, &status)
                && !self.schedule.progress_is_due(&key, now.instant)
            {
                self.schedule.progressed(key, now.instant);
                continue;
            }
            let (client, policy) = (self.client.clone(), book.policy.clone());
            self.schedule.begin(key, now.instant);
            self.writes.spawn(async move {
                let result = Box::pin(write_status(client, &policy, &status)).await;
                (policy, status, result)
            });
        }
    }

    fn written(
        &mut self,
        policy: PolicyName,
        status: DrainPolicyStatus,
        result: Result<(), kube::Error>,
    ) {
        let PolicyName {
            namespace,
            name,
            uid,
        } = policy;
        let key = (namespace.clone(), name.clone());
        self.schedule.end(&key);
        let Err(error) = result else {
            self.metrics.status_writes.inc();
            debug!(namespace, name, "status written");
            // Unless it was made anew under the same name meanwhile.
            let book = self.books.get_mut(&key);
            if let Some(book) = book.filter(|book| book.policy.uid == uid) {
                if let Some((reason, message)) = newly_unprotected(&book.written, &status) {
                    let note = events::unprotected(&book.policy, reason, message);
                    self.events.note(note);
                }
                book.written = status;
            }
            return;
        };
        self.metrics.writes_failed.inc();
        match Class::of(&error) {
            // It was deleted, or made anew under the same name; the watch will say so.
            Class::NotFound | Class::Conflict => {
                debug!(namespace, name, %error, "the policy is gone");
            }
            Class::Expired | Class::Transient => {
                warn!(namespace, name, %error, "could not write the status; trying again");
                self.schedule.changed(key, Instant::now());
            }
            Class::Bug => {
                error!(namespace, name, %error, "the API server does not take the status");
            }
        }
    }
}

/// Name and UID of all policies of a namespace, whether they are valid or not.
fn policies_of(namespace: &NamespaceView) -> BTreeMap<String, String> {
    let valid = namespace
        .policies
        .iter()
        .map(|it| (it.name.clone(), it.uid.clone()));
    let invalid = namespace
        .invalid
        .values()
        .map(|it| (it.name.clone(), it.uid.clone()));
    valid.chain(invalid).collect()
}

/// The reason and the message of a condition Protected that says no for a reason that it did not say
/// before. That there are no pods yet is no reason to warn.
fn newly_unprotected<'a>(
    before: &DrainPolicyStatus,
    now: &'a DrainPolicyStatus,
) -> Option<(&'a str, &'a str)> {
    let of = |status: &'a DrainPolicyStatus| {
        status
            .conditions
            .iter()
            .find(|it| it.type_ == "Protected" && it.status == "False" && it.reason != "NoTargets")
            .map(|it| (it.reason.as_str(), it.message.as_str()))
    };
    let said = before
        .conditions
        .iter()
        .find(|it| it.type_ == "Protected")
        .map(|it| it.reason.as_str());
    of(now).filter(|(reason, _)| Some(*reason) != said)
}

/// Puts the status in place, whatever it was: it is all ours.
async fn write_status(
    client: Client,
    policy: &PolicyName,
    status: &DrainPolicyStatus,
) -> Result<(), kube::Error> {
    let kind = ApiResource::erase::<DrainPolicy>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(client, &policy.namespace, &kind);
    let patch = json!({
        "apiVersion": DrainPolicy::api_version(&()),
        "kind": DrainPolicy::kind(&()),
        // Another policy of the same name is not meant.
        "metadata": {"name": policy.name, "uid": policy.uid},
        "status": status,
    });
    let how = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&policy.name, &how, &Patch::Apply(patch))
        .await?;
    Ok(())
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
