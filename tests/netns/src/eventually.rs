//! Waiting for a condition, never for a length of time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The pause between the first two looks.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The longest pause: a look may cost a process.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Looks at `condition` until it has a value, for at most `limit`; each pause is twice as long as
/// the one before, up to 50 ms. The last look is made after `limit`.
///
/// # Errors
///
/// `limit` has passed, or the condition itself failed, which ends the wait at once.
pub fn eventually<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(value) = condition()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        thread::sleep(pause);
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is that of the first look that has one; an error ends the wait; so does the limit,
    /// which names what was waited for.
    #[test]
    fn a_wait_ends_with_a_value_an_error_or_the_limit() {
        let mut looks = 0;
        let third = eventually("the third look", Duration::from_secs(10), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(third.unwrap(), 3);
        let broken = eventually::<()>("a value", Duration::from_secs(10), || bail!("broken"));
        assert_eq!(broken.unwrap_err().to_string(), "broken");
        let late = eventually::<()>("the moon", Duration::ZERO, || Ok(None));
        assert!(late.unwrap_err().to_string().contains("the moon"));
    }
}
