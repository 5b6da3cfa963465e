//! Load clients that never retry: what they lose is lost to a user, too.
//!
//! Two kinds of clients, each in a closed loop of one request after the other. A *keep-alive* client
//! stays on its connection until the server says `Connection: close`, or until the connection ends
//! between two requests, as every HTTP client does; a request that fails after it was sent is a
//! failure. A *fresh* client makes a connection for each request. Both send POSTs, which no client
//! may repeat by itself.
//!
//! The clients run where they are started: kube-proxy's rules for Services live in the network
//! namespaces of the nodes, so that is where they must be.

pub mod histogram;
pub mod http1;
pub mod tally;
pub mod target;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use http1::Connection;
use tally::{Failure, Tally};
use target::Target;

/// How long a client waits after a failure, so that a port that refuses at once does not count for
/// more than one that answers: about what a request takes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// The load to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where it goes.
    pub target: Target,
    /// The path that is asked for.
    pub path: String,
    /// Clients that stay on their connections.
    pub keep_alive: usize,
    /// Clients that make a connection for each request.
    pub fresh: usize,
    /// The most requests in all.
    pub most_requests: u64,
    /// The longest that it goes on.
    pub longest: Duration,
    /// How long a client waits for a connection.
    pub connect_timeout: Duration,
    /// How long a client waits for the whole of an answer.
    pub answer_timeout: Duration,
}

/// What all clients of one run share. They live on one thread.
struct Run {
    plan: Plan,
    end: Instant,
    left: Cell<u64>,
    tally: RefCell<Tally>,
    stop: watch::Receiver<bool>,
    progress: watch::Sender<Progress>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Requests that ended, well or not.
    pub requests: u64,
    /// Those of them that failed.
    pub failed: u64,
}

// === impl Plan ===

impl Plan {
    /// The load of the demo: 32 keep-alive clients and 16 fresh ones, at most ten minutes.
    pub fn usual(target: Target) -> Self {
        Self {
            target,
            path: "/".to_owned(),
            keep_alive: 32,
            fresh: 16,
            most_requests: 10_000_000,
            longest: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(5),
            answer_timeout: Duration::from_secs(30),
        }
    }

    /// Runs the clients until a bound of the plan is reached or `stop` becomes true. Requests that
    /// are open then are finished and counted.
    pub async fn run(
        self,
        stop: watch::Receiver<bool>,
        progress: watch::Sender<Progress>,
    ) -> Tally {
        let run = Rc::new(Run {
            end: Instant::now() + self.longest,
            left: Cell::new(self.most_requests),
            tally: RefCell::default(),
            plan: self,
            stop,
            progress,
        });
        let began = Instant::now();
        let local = LocalSet::new();
        let mut clients = JoinSet::new();
        for _ in 0..run.plan.keep_alive {
            clients.spawn_local_on(keep_alive_client(run.clone()), &local);
        }
        for _ in 0..run.plan.fresh {
            clients.spawn_local_on(fresh_client(run.clone()), &local);
        }
        local
            .run_until(async { while clients.join_next().await.is_some() {} })
            .await;
        let mut tally = run.tally.take();
        tally.seconds = began.elapsed().as_secs_f64();
        tally
    }
}

async fn keep_alive_client(run: Rc<Run>) {
    let mut connection = None;
    while run.take_one() {
        let began = Instant::now();
        let result = on_kept_connection(&run, &mut connection).await;
        run.ended(began, result).await;
    }
}

async fn fresh_client(run: Rc<Run>) {
    while run.take_one() {
        let began = Instant::now();
        let result = async {
            let mut connection = run.connect().await?;
            connection
                .exchange(&run.plan, http1::Reuse::No)
                .await
                .map(|_| ())
        };
        run.ended(began, result.await).await;
    }
}

/// One request on the connection that there is, or on a new one if there is none or it has ended
/// since its last answer.
async fn on_kept_connection(run: &Run, kept: &mut Option<Connection>) -> Result<(), Failure> {
    if let Some(mut connection) = kept.take() {
        match connection.exchange(&run.plan, http1::Reuse::Yes).await {
            Err(Failure::NotSent) => {}
            result => {
                *kept = result?.then_some(connection);
                return Ok(());
            }
        }
    }
    let mut connection = run.connect().await?;
    // On a connection that carried nothing yet, "not sent" is a failure as any other: the server
    // took the connection and closed it.
    let stays = connection.exchange(&run.plan, http1::Reuse::Yes).await?;
    *kept = stays.then_some(connection);
    Ok(())
}

// === impl Run ===

impl Run {
    /// Whether there is one more request to make.
    fn take_one(&self) -> bool {
        let left = self.left.get();
        if left == 0 || *self.stop.borrow() || Instant::now() >= self.end {
            return false;
        }
        self.left.set(left - 1);
        true
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        self.tally.borrow_mut().connections += 1;
        Connection::open(&self.plan).await
    }

    async fn ended(&self, began: Instant, result: Result<(), Failure>) {
        let failed = result.is_err();
        let progress = {
            let mut tally = self.tally.borrow_mut();
            tally.count(began.elapsed(), result);
            Progress {
                requests: tally.requests,
                failed: tally.failed,
            }
        };
        self.progress.send_replace(progress);
        if failed {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}
