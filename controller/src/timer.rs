//! Waiting for a time that may not come.

use tokio::time::Instant;

/// Waits until `deadline`; for ever if there is none. Cancel safe.
pub async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
