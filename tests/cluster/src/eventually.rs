//! Waiting for a condition, never for a length of time.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::Instant;

/// How often a condition is looked at again. Looking costs the API server a request.
const POLL: Duration = Duration::from_millis(100);

/// Looks at `condition` until it answers `Ok`, at most for `limit`.
///
/// The condition's error is what is still missing; the last one stands in the error of a wait that
/// was in vain. A look that takes longer than what is left of `limit` is given up.
pub async fn eventually<T>(
    what: &str,
    limit: Duration,
    mut condition: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut missing = anyhow!("the first look did not come back");
    loop {
        match tokio::time::timeout_at(deadline, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => missing = error,
            Err(_) => {}
        }
        if Instant::now() + POLL >= deadline {
            return Err(missing.context(format!("waited {limit:.0?} in vain: {what}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value comes from the first look that succeeds.
    #[tokio::test(start_paused = true)]
    async fn returns_the_first_success() {
        let mut looks = 0;
        let value = eventually("three looks", Duration::from_secs(10), async || {
            looks += 1;
            if looks < 3 {
                return Err(anyhow!("only {looks}"));
            }
            Ok(looks)
        });
        assert_eq!(value.await.unwrap(), 3);
    }

    /// A wait in vain says what it waited for and what was missing last.
    #[tokio::test(start_paused = true)]
    async fn a_wait_in_vain_says_what_was_missing() {
        let never = eventually::<()>("the moon", Duration::from_secs(1), async || {
            Err(anyhow!("it is day"))
        });
        let message = format!("{:#}", never.await.unwrap_err());
        assert!(
            message.contains("the moon") && message.contains("it is day"),
            "{message}"
        );
    }

    /// A look that hangs does not hang the wait.
    #[tokio::test(start_paused = true)]
    async fn a_look_that_hangs_is_given_up() {
        let hangs = eventually::<()>("an answer", Duration::from_secs(1), async || {
            std::future::pending().await
        });
        assert!(hangs.await.is_err());
    }
}
