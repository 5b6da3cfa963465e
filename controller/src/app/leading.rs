//! What only the leader does: to plan, to push, and to write statuses and Events.
//!
//! All of it is made anew for each term and dropped when the term is lost. So a takeover is the
//! same as a restart, and no later leader goes by what an earlier one remembers. What every replica
//! has, the views among it, is in [`app`](super).

use super::LAST_WORK;
use super::tasks::Tasks;
use crate::cluster::SharedCluster;
use crate::keyring::Keyring;
use crate::lease::{Leadership, Term};
use crate::metrics::Metrics;
use crate::planner::{self, Outlets};
use crate::push::{Push, Sign};
use crate::report::write::Writes;
use crate::report::{Reports, events};
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// The most messages that wait between two rooms.
const QUEUE: usize = 1024;

/// How long a new leader waits before it reads what the one before has written last: its watches
/// bring that within milliseconds.
const SETTLED: Duration = Duration::from_secs(1);

/// What the leader's parts are made of.
pub(super) struct Leading {
    /// The views, which others keep up to date.
    pub(super) cluster: Arc<SharedCluster>,
    /// Writes statuses and Events.
    pub(super) client: Client,
    /// Signs what is pushed to sidecars.
    pub(super) keyring: watch::Receiver<Arc<Keyring>>,
    /// The chart's `sidecar.redirect`.
    pub(super) redirect: bool,
    /// The pod of this process, which signs the Events.
    pub(super) pod_name: Option<String>,
    /// Where all of them count.
    pub(super) metrics: Arc<Metrics>,
}

impl Leading {
    /// Leads whenever this replica does, until `stop` is cancelled: then what is due is written.
    /// Ends by itself only if one of its tasks does, which none may.
    pub(super) async fn run(self, mut leadership: Leadership, stop: CancellationToken) {
        loop {
            let term = tokio::select! {
                term = leadership.won() => term,
                () = stop.cancelled() => return,
            };
            info!(term = term.number(), "leading");
            self.metrics.leader.set(1);
            self.metrics.terms.inc();
            tokio::time::sleep(SETTLED).await;
            let mut tasks = self.start(&term);
            tokio::select! {
                () = term.lost() => {
                    warn!(term = term.number(), "leading no longer");
                    // Not to be finished: another may have begun. And no task of it may be left
                    // when the next term begins here.
                    tasks.abandon().await;
                    self.metrics.leads_no_longer();
                }
                ended = tasks.ended() => {
                    error!(task = ended, "ended, and must not");
                    return;
                }
                () = stop.cancelled() => {
                    if !tasks.stop(LAST_WORK).await {
                        warn!(within = ?LAST_WORK, "stopped with statuses or Events unwritten");
                    }
                    return;
                }
            }
        }
    }

    /// Starts all that a leader does, from what the views hold now.
    fn start(&self, term: &Term) -> Tasks {
        let mut tasks = Tasks::default();
        let (to_push, commands) = mpsc::channel(QUEUE);
        let (to_report, notices) = mpsc::channel(QUEUE);
        let (learned, news) = mpsc::channel(QUEUE);

        let signer = Arc::new(Signer(self.keyring.clone()));
        let metrics = || Arc::clone(&self.metrics);
        let push = Push::new(signer, term.clone(), metrics(), learned);
        tasks.spawn("push", push.run(commands));

        let (events, notes) = events::Events::channel(metrics());
        let reporter = Reporter {
            controller: "ebb-controller".to_owned(),
            instance: self.pod_name.clone(),
        };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let writing = events::write(recorder, term.clone(), notes, metrics());
        tasks.spawn_finishing("events", writing);

        let writes = Writes::new(self.client.clone(), term.clone(), metrics());
        let cluster = Arc::clone(&self.cluster);
        let reports = Reports::new(cluster, self.redirect, writes, metrics(), events);
        tasks.spawn_finishing("report", reports.run(notices, news));

        let outlets = Outlets {
            push: to_push,
            report: to_report,
        };
        tasks.spawn("plan", planner::run(Arc::clone(&self.cluster), outlets));
        tasks
    }
}

/// Signs with the keys that are in the Secret now.
struct Signer(watch::Receiver<Arc<Keyring>>);

impl Sign for Signer {
    fn sign(&self, key: &str, body: &[u8]) -> Option<String> {
        let keyring = Arc::clone(&self.0.borrow());
        keyring.sign(key, body)
    }

    fn has_signed(&self, key: &str, body: &[u8], signature: &str) -> bool {
        let keyring = Arc::clone(&self.0.borrow());
        keyring.has_signed(key, body, signature)
    }
}
