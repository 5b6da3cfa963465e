//! Durations, as coarse as they are long.

/// A duration to the tenth of a second while that matters: "0.3s", "12s", "4m48s".
pub fn short(milliseconds: u64) -> String {
    match milliseconds {
        0..10_000 => {
            let tenths = milliseconds / 100;
            format!("{}.{}s", tenths / 10, tenths % 10)
        }
        _ => seconds(milliseconds),
    }
}

/// A duration in whole seconds, coarser where it is long: "12s", "4m48s", "41m", "2h5m".
pub fn seconds(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..600 => format!("{minutes}m{}s", seconds % 60),
        600..3600 => format!("{minutes}m"),
        _ => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations say no more than one needs.
    #[test]
    fn durations_are_as_coarse_as_they_are_long() {
        for (milliseconds, exact, whole) in [
            (0, "0.0s", "0s"),
            (9_999, "9.9s", "9s"),
            (59_999, "59s", "59s"),
            (288_000, "4m48s", "4m48s"),
            (2_460_000, "41m", "41m"),
            (7_500_000, "2h5m", "2h5m"),
        ] {
            assert_eq!(short(milliseconds), exact);
            assert_eq!(seconds(milliseconds), whole);
        }
    }
}
