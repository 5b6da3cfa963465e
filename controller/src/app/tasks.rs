//! The long-lived tasks of the process, each by its name.

use std::time::Duration;
use tokio::task::{JoinError, JoinSet};

/// Tasks of which none may end while the process runs.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    lasting: JoinSet<&'static str>,
    finishing: JoinSet<&'static str>,
}

impl Tasks {
    /// Spawns a task that is aborted at the end of the process.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.lasting.spawn(async move {
            task.await;
            name
        });
    }

    /// Spawns a task that finishes its work at the end of the process: it ends by itself when it is
    /// stopped, or when nothing can come in any more.
    pub(super) fn spawn_finishing(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        self.finishing.spawn(async move {
            task.await;
            name
        });
    }

    /// Waits for the first task that ends, and returns its name. Cancel safe.
    pub(super) async fn ended(&mut self) -> String {
        tokio::select! {
            Some(ended) = self.lasting.join_next() => name(ended),
            Some(ended) = self.finishing.join_next() => name(ended),
            else => "everything".to_owned(),
        }
    }

    /// Aborts all of them, and waits until they have ended.
    pub(super) async fn abandon(mut self) {
        self.lasting.shutdown().await;
        self.finishing.shutdown().await;
    }

    /// Aborts the tasks that last, then waits until the others have finished, but no longer than
    /// `within`. Returns whether they have.
    pub(super) async fn stop(mut self, within: Duration) -> bool {
        self.lasting.shutdown().await;
        let finished = async { while self.finishing.join_next().await.is_some() {} };
        tokio::time::timeout(within, finished).await.is_ok()
    }
}

fn name(ended: Result<&'static str, JoinError>) -> String {
    ended.map_or_else(|error| format!("a task ({error})"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    /// The first task to end is named, and a panic is no end unseen.
    #[tokio::test]
    async fn the_task_that_ends_is_named() {
        let mut tasks = Tasks::default();
        tasks.spawn("lasting", std::future::pending());
        tasks.spawn_finishing("report", async {});
        assert_eq!(tasks.ended().await, "report");
        tasks.spawn("plan", async { panic!("a bug") });
        let ended = tasks.ended().await;
        assert!(ended.starts_with("a task ("), "{ended}");
    }

    /// Nothing of abandoned tasks is left when the next ones begin.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_abandoned_is_gone() {
        for _ in 0..100 {
            let mut tasks = Tasks::default();
            let held = Arc::new(());
            for name in ["plan", "push"] {
                let held = Arc::clone(&held);
                tasks.spawn(name, async move {
                    let _held = held;
                    std::future::pending().await
                });
            }
            tasks.spawn_finishing("report", std::future::pending());
            tasks.abandon().await;
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    /// What finishes gets its time after what lasts has been aborted; what never does is given up.
    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_is_finished() {
        let mut tasks = Tasks::default();
        let (sender, receiver) = oneshot::channel::<()>();
        tasks.spawn("plan", async move {
            let _sender = sender;
            std::future::pending().await
        });
        tasks.spawn_finishing("report", async {
            assert!(receiver.await.is_err(), "its input ends first");
        });
        assert!(tasks.stop(Duration::from_secs(5)).await);
        let mut tasks = Tasks::default();
        tasks.spawn_finishing("webhook", std::future::pending());
        assert!(!tasks.stop(Duration::from_secs(5)).await);
    }
}
