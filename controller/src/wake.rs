//! Waiting for a time that may not come.

use tokio::time::Instant;

/// Waits until then; without a time, for ever. Cancel safe.
pub async fn at(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
