//! Who runs the connections that the listener has accepted: its own thread, or some threads that
//! take turns.
//!
//! One thread is the default: it is what a pod's sidecar has the share of a core for, and a
//! connection gains nothing by a thread of its own. More of them are for pods whose traffic fills a
//! core. Each has a runtime of its own, and a connection stays where it has begun, so nothing on
//! its way is shared but the census.

use crate::relay::{Relay, Taken};
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinError, JoinSet};

/// What runs connections. Dropping it drops them.
pub(super) struct Workers {
    relay: Relay,
    /// What wakes the connections of all threads: without it none would learn any more that it is
    /// to leave.
    notifier: JoinSet<()>,
    /// Connections on this thread.
    connections: JoinSet<()>,
    /// The ways to the others; none where this thread does it all. A queue holds what was accepted
    /// a moment ago: it empties as fast as a thread takes in sockets.
    queues: Vec<UnboundedSender<Handed>>,
    /// The other threads.
    threads: JoinSet<io::Result<()>>,
    /// Whose turn it is.
    turn: usize,
}

/// A connection on its way to another thread. It counts in the census already.
struct Handed {
    client: std::net::TcpStream,
    taken: Taken,
}

/// A thread, or what wakes the connections, ended while the relay runs: a bug or a lack of memory.
#[derive(Debug)]
pub(super) struct WorkerLost;

// === impl Workers ===

impl Workers {
    /// As many threads as the relay is to have. Must be called inside of a tokio runtime, whose end
    /// waits for them.
    pub(super) fn new(relay: Relay) -> Workers {
        let threads = relay.workers().get();
        let mut notifier = JoinSet::new();
        notifier.spawn(relay.notify());
        let mut workers = Workers {
            relay,
            notifier,
            connections: JoinSet::new(),
            queues: Vec::new(),
            threads: JoinSet::new(),
            turn: 0,
        };
        if threads > 1 {
            for _ in 0..threads {
                let (queue, handed) = unbounded_channel();
                let relay = workers.relay.clone();
                workers.threads.spawn_blocking(move || work(handed, &relay));
                workers.queues.push(queue);
            }
        }
        workers
    }

    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Runs a connection that `peer` has made.
    ///
    /// # Errors
    ///
    /// The thread whose turn it is has ended.
    pub(super) fn run(&mut self, client: TcpStream, peer: SocketAddr) -> Result<(), WorkerLost> {
        let Some(taken) = self.relay.take(&client, peer) else {
            return Ok(());
        };
        if self.queues.is_empty() {
            let connection = taken.begin(client);
            self.connections
                .spawn(connection.run(self.relay.subscribe()));
            return Ok(());
        }
        let client = match client.into_std() {
            Ok(client) => client,
            Err(error) => {
                tracing::debug!(
                    client.addr = %taken.client_addr(),
                    app.port = taken.app_port(),
                    %error,
                    "client went before it was served"
                );
                return Ok(());
            }
        };
        self.turn = (self.turn + 1) % self.queues.len();
        self.queues[self.turn]
            .send(Handed { client, taken })
            .map_err(|_| WorkerLost)
    }

    /// Watches over what runs, for ever if nothing goes wrong. Cancel safe.
    pub(super) async fn watch(&mut self) -> WorkerLost {
        loop {
            tokio::select! {
                biased;
                Some(ended) = self.connections.join_next() => note_panic(ended, &self.relay),
                Some(ended) = self.threads.join_next() => {
                    tracing::error!(?ended, "a thread of the relay ended");
                    return WorkerLost;
                }
                Some(ended) = self.notifier.join_next() => {
                    tracing::error!(?ended, "what tells the relay's connections to leave ended");
                    return WorkerLost;
                }
                else => std::future::pending().await,
            }
        }
    }
}

/// Runs connections that are handed over, until nobody hands any over; then drops what is open.
fn work(mut handed: UnboundedReceiver<Handed>, relay: &Relay) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                Some(ended) = connections.join_next() => note_panic(ended, relay),
                next = handed.recv() => match next {
                    None => return Ok(()),
                    Some(Handed { client, taken }) => match TcpStream::from_std(client) {
                        Ok(client) => {
                            connections.spawn(taken.begin(client).run(relay.subscribe()));
                        }
                        Err(error) => {
                            tracing::warn!(
                                client.addr = %taken.client_addr(),
                                app.port = taken.app_port(),
                                %error,
                                "a connection is lost"
                            );
                            relay.census().accept_failed();
                        }
                    },
                },
            }
        }
    })
}

fn note_panic(ended: Result<(), JoinError>, relay: &Relay) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection was lost to a bug in the relay");
        relay.census().panicked();
    }
}
