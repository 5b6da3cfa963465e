//! Threads in the network of one of the bed's machines.
//!
//! A network namespace belongs to a thread, and the threads that it starts inherit it. So a test,
//! or a set of load clients, runs as it is, only on a thread that was moved first: every socket
//! that it opens is one of that machine, where pods and Services can be reached.

use std::thread::JoinHandle;

use anyhow::Result;
use ebb_bed::Bed;
use ebb_load::tally::Tally;
use ebb_load::{Plan, Progress};
use tokio::sync::watch;

/// The machine that tests and load run in: kube-proxy's rules for Services live on nodes only.
pub const MACHINE: &str = "node-1";

/// Starts a thread in the network of `machine`.
///
/// # Errors
///
/// Fails if the bed does not run; the thread itself fails if it can't be moved.
pub fn spawn_inside<T: Send + 'static>(
    bed: &Bed,
    machine: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    let network = bed.network(machine)?;
    let thread = std::thread::Builder::new().name(format!("in {machine}"));
    Ok(thread.spawn(move || {
        network.enter()?;
        work()
    })?)
}

/// Load clients on a thread of their own, so that nothing that a test does delays them.
#[derive(Debug)]
#[must_use = "finish() tells what came of the load"]
pub struct RunningLoad {
    stop: watch::Sender<bool>,
    progress: watch::Receiver<Progress>,
    thread: JoinHandle<Result<Tally>>,
}

impl RunningLoad {
    /// Starts the clients of `plan` in the network of [`MACHINE`].
    pub fn start(bed: &Bed, plan: Plan) -> Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let (told, progress) = watch::channel(Progress::default());
        let thread = spawn_inside(bed, MACHINE, move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok(runtime.block_on(plan.run(stopping, told)))
        })?;
        Ok(Self {
            stop,
            progress,
            thread,
        })
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Stops the clients, lets them finish their open requests, and returns what came of all.
    pub async fn finish(self) -> Result<Tally> {
        self.stop.send_replace(true);
        let thread = self.thread;
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("the load clients panicked"))?
    }
}
