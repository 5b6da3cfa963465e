//! The connections of a port, and which of them goes when there are too many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::{AbortHandle, JoinSet};

/// The connections of a port.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    tasks: JoinSet<()>,
    open: Vec<Open>,
    turns: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Open {
    task: AbortHandle,
    activity: Activity,
}

/// When a connection last asked something, or came: its turn, which is greater the later it is.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    turns: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

// === impl Connections ===

impl Connections {
    /// No connections yet, and never more than `most`.
    pub(super) fn new(most: usize) -> Connections {
        Connections {
            most,
            tasks: JoinSet::new(),
            open: Vec::new(),
            turns: Arc::default(),
        }
    }

    /// Serves one more. If that is one too many, the one that has asked nothing for the longest
    /// time is closed for it.
    pub(super) fn admit<F>(&mut self, serve: impl FnOnce(Activity) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.open.retain(|open| !open.task.is_finished());
        if self.open.len() >= self.most {
            self.close_the_most_silent();
        }
        let activity = Activity {
            turns: Arc::clone(&self.turns),
            last: Arc::default(),
        };
        activity.note();
        let task = self.tasks.spawn(serve(activity.clone()));
        self.open.push(Open { task, activity });
    }

    /// Waits until one has ended; for ever if there are none. Cancel safe.
    pub(super) async fn one_ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }

    /// Waits until all have ended.
    pub(super) async fn all_ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    fn close_the_most_silent(&mut self) {
        let turns = self.open.iter().map(|open| open.activity.last());
        if let Some((index, _)) = turns.enumerate().min_by_key(|(_, turn)| *turn) {
            self.open.swap_remove(index).task.abort();
        }
    }
}

// === impl Activity ===

impl Activity {
    /// The connection asks something now.
    pub(super) fn note(&self) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.last.store(turn, Ordering::Relaxed);
    }

    fn last(&self) -> u64 {
        self.last.load(Ordering::Relaxed)
    }
}
