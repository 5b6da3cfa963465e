//! Load clients that never retry: what they lose is lost to a user, too.
//!
//! Six kinds of clients, each in a closed loop of one request after the other. A *keep-alive*
//! client stays on its connection until the server says `Connection: close`, or until the
//! connection ends between two requests, as every HTTP client does; a request that fails after it
//! was sent is a failure. A *fresh* client makes a connection for each request. Both send POSTs,
//! which no client may repeat by itself. So do the clients of HTTP/2 ([`http2`]) and gRPC
//! ([`grpc`]), which send again only what the server says it never began. Those of WebSocket
//! ([`websocket`]) want an echo of each message, and a Close before the end.
//!
//! The clients run where they are started: kube-proxy's rules for Services live in the network
//! namespaces of the nodes, so that is where they must be.

mod connect;
pub mod grpc;
pub mod histogram;
pub mod http1;
pub mod http2;
pub mod kind;
pub mod tally;
pub mod target;
pub mod websocket;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;

use kind::{Kind, Mix};
use tally::{Failure, Tally};
use target::Target;

/// How long a client waits after a failure, so that a port that refuses at once does not count for
/// more than one that answers: about what a request takes.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(50);

/// What each POST carries: enough for a body, too little to matter.
const BODY: &[u8] = b"{\"item\":1}";

/// The load to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where it goes.
    pub target: Target,
    /// The path of the POSTs. gRPC and WebSocket have their own.
    pub path: String,
    /// The clients.
    pub mix: Mix,
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
    /// The load of the demo: clients of every kind, at most ten minutes.
    pub fn usual(target: Target) -> Self {
        Self {
            target,
            path: "/".to_owned(),
            mix: Mix::USUAL,
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
        let mix = run.plan.mix;
        for _ in 0..mix.keep_alive {
            clients.spawn_local_on(http1::keep_alive_client(run.clone()), &local);
        }
        for _ in 0..mix.fresh {
            clients.spawn_local_on(http1::fresh_client(run.clone()), &local);
        }
        for _ in 0..mix.http2 {
            let shared = Rc::<http2::Shared>::default();
            for _ in 0..Mix::STREAMS {
                clients.spawn_local_on(http2::client(run.clone(), shared.clone()), &local);
            }
        }
        for _ in 0..mix.grpc {
            let shared = Rc::<http2::Shared>::default();
            clients.spawn_local_on(grpc::call_client(run.clone(), shared.clone()), &local);
            clients.spawn_local_on(grpc::stream_client(run.clone(), shared), &local);
        }
        for _ in 0..mix.web_sockets {
            clients.spawn_local_on(websocket::client(run.clone()), &local);
        }
        local
            .run_until(async { while clients.join_next().await.is_some() {} })
            .await;
        let mut tally = run.tally.take();
        tally.seconds = began.elapsed().as_secs_f64();
        tally
    }
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

    async fn ended(&self, kind: Kind, began: Instant, result: Result<(), Failure>) {
        let failed = result.is_err();
        let progress = {
            let mut tally = self.tally.borrow_mut();
            tally.count(kind, began.elapsed(), result);
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
