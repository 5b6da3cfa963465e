//! Pushes to every sidecar the state that is wanted of it, and follows those that drain.
//!
//! Level-triggered: a pod has at most one attempt under way, which carries the newest wanted state;
//! a failed one is repeated after longer and longer waits. A serving pod gets its state once, and
//! again when something changes; a leaving one comes before all others and is followed until it is
//! gone. Nothing depends on any of it: a sidecar that gets no state drains by its bootstrap.

pub mod client;
pub mod put;
pub mod queue;
#[cfg(test)]
mod tests;

use crate::lease::Term;
use crate::metrics::Metrics;
use crate::timer;
use client::{CallError, Sidecar};
use ebb_api::report::Report;
use ebb_model::plan::Wanted;
use ebb_model::views::Contact;
use put::Failure;
use queue::{Next, Queue};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{debug, warn};

/// How long after its stream has broken a leaving sidecar is asked again.
const FOLLOW_AGAIN: Duration = Duration::from_millis(500);

/// Signs desired states.
pub trait Sign: Send + Sync + 'static {
    /// The signature of the body by the key of that id, in standard base64; `None` if there is no
    /// such key.
    fn sign(&self, key: &str, body: &[u8]) -> Option<String>;

    /// Whether that is the signature of the body by the key of that id.
    fn has_signed(&self, key: &str, body: &[u8], signature: &str) -> bool;
}

/// What the plan asks of this room.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Put this state to a sidecar.
    Put(Box<Wanted>),
    /// There is no sidecar to talk to in the pod of this UID any more.
    Forget(String),
}

/// What this room has learned about one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// The UID of the pod.
    pub pod: String,
    /// What was learned.
    pub what: Learned,
}

/// What was learned about a sidecar.
#[derive(Clone, Debug, PartialEq)]
pub enum Learned {
    /// It answers, or it does not.
    Contact(Contact),
    /// It is leaving, and this is how far it has come.
    Report(Box<Report>),
}

/// All that is pushed to the sidecars, and those that are followed.
pub struct Push<S> {
    signer: Arc<S>,
    term: Term,
    metrics: Arc<Metrics>,
    news: mpsc::Sender<News>,
    queue: Queue,
    attempts: JoinSet<(Wanted, Result<put::Accepted, Failure>)>,
    running: HashMap<String, AbortHandle>,
    followers: JoinSet<()>,
    following: HashMap<String, AbortHandle>,
}

impl<S: Sign> Push<S> {
    /// Signs states by `signer` as the leader of that term, and sends to `news` what is learned.
    pub fn new(
        signer: Arc<S>,
        term: Term,
        metrics: Arc<Metrics>,
        news: mpsc::Sender<News>,
    ) -> Self {
        Push {
            signer,
            term,
            metrics,
            news,
            queue: Queue::default(),
            attempts: JoinSet::new(),
            running: HashMap::new(),
            followers: JoinSet::new(),
            following: HashMap::new(),
        }
    }

    /// Runs until no more commands can come.
    pub async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            self.start();
            let wake = self.queue.wake();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Put(wanted)) => self.want(*wanted),
                    Some(Command::Forget(pod)) => self.forget(&pod),
                    None => return,
                },
                Some(ended) = self.attempts.join_next() => match ended {
                    Ok((wanted, result)) => self.attempted(wanted, result).await,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                Some(ended) = self.followers.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
                () = timer::at(wake) => {}
            }
        }
    }

    /// Starts whatever is due.
    fn start(&mut self) {
        while let Some(Next { wanted, peer }) = self.queue.next(Instant::now()) {
            let pod = wanted.pod.clone();
            let (signer, term) = (Arc::clone(&self.signer), self.term.clone());
            let task = self.attempts.spawn(async move {
                let result = Box::pin(put::put(&*signer, &term, &wanted, peer)).await;
                (wanted, result)
            });
            // A leaving pod does not wait for an attempt that began when it was serving.
            if let Some(before) = self.running.insert(pod, task) {
                before.abort();
            }
        }
    }

    fn want(&mut self, wanted: Wanted) {
        if wanted.leave.is_some() && !self.following.contains_key(&wanted.pod) {
            let follower = follow(wanted.clone(), self.news.clone());
            let task = self.followers.spawn(follower);
            self.following.insert(wanted.pod.clone(), task);
        }
        self.queue.want(wanted, Instant::now());
        self.metrics.sidecars.set(self.queue.len() as i64);
    }

    fn forget(&mut self, pod: &str) {
        self.queue.forget(pod);
        let tasks = [self.running.remove(pod), self.following.remove(pod)];
        for task in tasks.into_iter().flatten() {
            task.abort();
        }
        self.metrics.sidecars.set(self.queue.len() as i64);
    }

    async fn attempted(&mut self, wanted: Wanted, result: Result<put::Accepted, Failure>) {
        let now = Instant::now();
        let Wanted {
            pod,
            namespace,
            name,
            ..
        } = wanted;
        let contact = match result {
            Ok(accepted) => {
                debug!(
                    pod.namespace = namespace,
                    pod.name = name,
                    pod.uid = pod,
                    revision = ?accepted.peer.revision,
                    "told"
                );
                self.metrics.puts.inc();
                if let Some(waited) = self.queue.accepted(&pod, &accepted, now) {
                    self.metrics.put_seconds.observe(waited.as_secs_f64());
                }
                accepted.contact
            }
            Err(failure) => {
                self.metrics.put_failures.inc();
                match failure {
                    Failure::Outbid(by) => self.term.outbid(by),
                    // All of this room ends with the term.
                    Failure::Deposed => return,
                    _ => {}
                }
                let failures = self.queue.failed(&pod, now);
                debug!(
                    pod.namespace = namespace,
                    pod.name = name,
                    pod.uid = pod,
                    %failure,
                    failures,
                    "could not tell"
                );
                // A sidecar that has only just started, or ends now, is no news.
                if failures != queue::FAILURES_UNTIL_UNREACHABLE {
                    return;
                }
                warn!(
                    pod.namespace = namespace,
                    pod.name = name,
                    pod.uid = pod,
                    %failure,
                    "a sidecar cannot be told anything"
                );
                Some(match failure {
                    Failure::UnknownKey(_) => Contact::KeyLost,
                    failure => Contact::Unreachable(failure.to_string()),
                })
            }
        };
        self.running.remove(&pod);
        let Some(contact) = contact else { return };
        let what = Learned::Contact(contact);
        // Without a listener the process is about to end.
        let _ = self.news.send(News { pod, what }).await;
    }
}

/// Follows a leaving sidecar until the task is aborted.
async fn follow(wanted: Wanted, news: mpsc::Sender<News>) {
    let sidecar = Sidecar::at(wanted.address);
    loop {
        if let Err(error) = hand_on(&sidecar, &wanted.pod, &news).await {
            debug!(
                pod.namespace = wanted.namespace,
                pod.name = wanted.name,
                pod.uid = wanted.pod,
                %error,
                "lost sight of a leaving sidecar"
            );
        }
        tokio::time::sleep(FOLLOW_AGAIN).await;
    }
}

/// Hands on the sidecar's reports until its stream ends.
async fn hand_on(sidecar: &Sidecar, pod: &str, news: &mpsc::Sender<News>) -> Result<(), CallError> {
    let mut states = sidecar.watch().await?;
    while let Some(report) = states.next().await? {
        // Another pod may have this address already.
        if report.pod == pod {
            let what = Learned::Report(Box::new(report));
            let pod = pod.to_owned();
            // Without a listener the process is about to end.
            let _ = news.send(News { pod, what }).await;
        }
    }
    Ok(())
}
