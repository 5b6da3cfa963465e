//! What the time of a drain went to, in words.

use super::duration::short;
use ebb_api::report::Parts;

/// The least time that is worth a word, in milliseconds: less is shown as "0.0s".
const LEAST: u64 = 100;

/// "waited 0.3s for the endpoints, 2.2s for quiet and 1.0s for idle clients"; `None` if nothing is
/// known, or nothing was waited for.
pub fn waited(parts: &Parts) -> Option<String> {
    let all = [
        (parts.endpoints_ms, "for the endpoints"),
        (parts.quiet_ms, "for quiet"),
        (parts.last_request_ms, "for the last request"),
        (parts.idle_clients_ms, "for idle clients"),
        (parts.goodbyes_ms, "for goodbyes"),
    ];
    let told = all.into_iter().filter(|(time, _)| *time >= LEAST);
    let told: Vec<_> = told
        .map(|(time, what)| format!("{} {what}", short(time)))
        .collect();
    let (last, others) = told.split_last()?;
    Some(match others {
        [] => format!("waited {last}"),
        others => format!("waited {} and {last}", others.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts that took any time are told, in the order of a drain.
    #[test]
    fn what_took_time_is_told() {
        let parts = Parts {
            endpoints_ms: 310,
            quiet_ms: 2_190,
            idle_clients_ms: 99,
            ..Parts::default()
        };
        assert_eq!(
            waited(&parts).unwrap(),
            "waited 0.3s for the endpoints and 2.1s for quiet"
        );
        let all = Parts {
            last_request_ms: 297_540,
            idle_clients_ms: 1_000,
            goodbyes_ms: 60_000,
            ..parts
        };
        assert_eq!(
            waited(&all).unwrap(),
            "waited 0.3s for the endpoints, 2.1s for quiet, 4m57s for the last request, 1.0s for \
             idle clients and 1m0s for goodbyes"
        );
        let one = Parts {
            quiet_ms: 4_100,
            ..Parts::default()
        };
        assert_eq!(waited(&one).unwrap(), "waited 4.1s for quiet");
        assert_eq!(waited(&Parts::default()), None);
    }
}
