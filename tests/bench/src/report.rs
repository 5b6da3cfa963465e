//! Ebb beside each of the others: rows for a file, and a table for a person.

use std::fmt::Write as _;

use serde::Serialize;

use super::case::{Case, Metric};
use super::proxy::Proxy;
use super::statistics::{Measurements, ratio};

/// The peer of rows that compare with a number and not with another proxy.
const LIMIT: &str = "limit";

/// A comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The load.
    pub case: Case,
    /// What is compared.
    pub metric: Metric,
    /// Ebb's value.
    pub ebb: f64,
    /// Whom it is compared with; `limit` is a number that we set ourselves. `None` where there is
    /// neither.
    pub peer: Option<String>,
    /// The peer's value.
    pub peer_value: Option<f64>,
    /// The unit of both.
    pub unit: &'static str,
    /// Ebb's value divided by the peer's; `None` where noise made one of them negative.
    pub ratio: Option<f64>,
    /// The greatest ratio that is good enough; `None` where there is no target.
    pub target: Option<f64>,
}

/// Whether a target holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Holds,
    Misses,
    /// There is a target and no ratio.
    Unknown,
}

/// All comparisons, in the order of cases, metrics and peers.
pub fn rows(all: &Measurements) -> Vec<Row> {
    let mut rows = Vec::new();
    for (case, proxy, metric) in all.keys() {
        let Some(ebb) = all.median(case, Proxy::Ebb, metric) else {
            continue;
        };
        if proxy == Proxy::Direct {
            // It is in the others' latencies, and no peer.
            continue;
        }
        let row = |peer: Option<String>, peer_value: Option<f64>, target| Row {
            case,
            metric,
            ebb,
            peer,
            peer_value,
            unit: case.unit(metric),
            ratio: peer_value.and_then(|value| ratio(ebb, value)),
            target,
        };
        if proxy != Proxy::Ebb {
            let value = all.median(case, proxy, metric);
            let target = target(case, metric, proxy);
            rows.push(row(Some(proxy.to_string()), value, target));
        } else if let Some(limit) = limit(case, metric) {
            rows.push(row(Some(LIMIT.to_owned()), Some(limit), Some(1.0)));
        } else if case.is_drain() {
            rows.push(row(None, None, None));
        }
    }
    // The keys are in the order of proxies first; the sort keeps that order within a metric.
    rows.sort_by_key(|row| (row.case, row.metric));
    rows
}

/// The greatest ratio to a peer that is good enough.
fn target(case: Case, metric: Metric, peer: Proxy) -> Option<f64> {
    match (case, metric, peer) {
        (
            Case::KeepAlive | Case::Fresh | Case::Http2 | Case::Bulk,
            Metric::Cpu,
            Proxy::HaproxyTcp,
        )
        | (Case::Bulk, Metric::Cpu, Proxy::HaproxySplice)
        | (
            Case::Latency | Case::LatencyFresh | Case::LatencyHttp2,
            Metric::P50 | Metric::P99,
            Proxy::HaproxyTcp,
        ) => Some(1.0),
        (Case::KeepAlive, Metric::Cpu, Proxy::EnvoyHttp) => Some(0.25),
        (Case::KeepAlive | Case::Http2, Metric::Cpu, Proxy::HaproxyHttp) => Some(0.75),
        (Case::Http2, Metric::Cpu, Proxy::EnvoyHttp) => Some(0.3),
        _ => None,
    }
}

/// The greatest value that is good enough whatever others have, in the metric's unit.
fn limit(case: Case, metric: Metric) -> Option<f64> {
    match (case, metric) {
        (Case::Idle, Metric::ResidentAtStart) => Some(4.0),
        (Case::Idle, Metric::Resident) => Some(30.0),
        (Case::Goodbye, Metric::Cpu) => Some(20.0),
        (Case::Goodbye, Metric::Longest) => Some(5_000.0),
        (Case::Release, Metric::P99) => Some(10_000.0),
        (Case::Admin, Metric::P99) => Some(100_000.0),
        _ => None,
    }
}

/// The rows as a table, and which targets hold.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut section = None;
    for row in rows {
        if section != Some((row.case, row.metric)) {
            section = Some((row.case, row.metric));
            let title = format!("{}: {}, {}", row.case.title(), row.metric, row.unit);
            line(
                &mut text,
                format_args!("\n{title}\n  {:<16}{:>12.2}", "ebb", row.ebb),
            );
        }
        let (Some(peer), Some(value)) = (&row.peer, row.peer_value) else {
            continue;
        };
        let ratio = shown(row);
        let verdict = match (verdict(row), row.target) {
            (Some(Verdict::Holds), Some(target)) => format!("   holds: at most {target:.2}x"),
            (Some(Verdict::Misses), Some(target)) => format!("   MISSES: at most {target:.2}x"),
            (Some(Verdict::Unknown), Some(target)) => format!("   unknown: at most {target:.2}x"),
            _ => String::new(),
        };
        line(
            &mut text,
            format_args!("  {peer:<16}{value:>12.2}  ebb is {ratio:>6}{verdict}"),
        );
    }
    summary(&mut text, rows);
    text
}

/// Every target by name, under what became of it.
fn summary(text: &mut String, rows: &[Row]) {
    for (wanted, words) in [
        (Verdict::Holds, "targets hold"),
        (Verdict::Misses, "targets do NOT hold"),
        (Verdict::Unknown, "targets could not be told"),
    ] {
        let found: Vec<_> = rows
            .iter()
            .filter(|row| verdict(row) == Some(wanted))
            .collect();
        line(text, format_args!("\n{} {words}", found.len()));
        for row in found {
            let peer = row.peer.as_deref().unwrap_or_default();
            let target = row.target.unwrap_or_default();
            let what = format!("{} {}", row.case, row.metric);
            line(
                text,
                format_args!(
                    "  {what:<30} {} of {peer}, at most {target:.2}x",
                    shown(row)
                ),
            );
        }
    }
}

fn shown(row: &Row) -> String {
    row.ratio
        .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"))
}

fn verdict(row: &Row) -> Option<Verdict> {
    let target = row.target?;
    Some(match row.ratio {
        Some(ratio) if ratio <= target => Verdict::Holds,
        Some(_) => Verdict::Misses,
        None => Verdict::Unknown,
    })
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{arguments}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Measurements {
        let mut all = Measurements::default();
        for (proxy, cpu) in [
            (Proxy::Ebb, 15.0),
            (Proxy::HaproxyTcp, 15.6),
            (Proxy::HaproxyHttp, 18.0),
            (Proxy::NginxHttp, 30.0),
        ] {
            all.add(Case::KeepAlive, proxy, Metric::Cpu, cpu);
        }
        all.add(Case::KeepAlive, Proxy::Direct, Metric::Cpu, 1.0);
        all.add(Case::Idle, Proxy::Ebb, Metric::ResidentAtStart, 3.0);
        all
    }

    /// Each peer is a row with the target that was set for it, if one was.
    #[test]
    fn rows_compare_ebb_with_each_peer() {
        let rows = rows(&measured());
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row.peer.as_deref(), row.target, verdict(row)))
            .collect();
        assert_eq!(
            said,
            [
                (Some("haproxy-tcp"), Some(1.0), Some(Verdict::Holds)),
                (Some("haproxy-http"), Some(0.75), Some(Verdict::Misses)),
                (Some("nginx-http"), None, None),
                (Some(LIMIT), Some(1.0), Some(Verdict::Holds)),
            ]
        );
    }

    /// The file has the fields that its readers were promised.
    #[test]
    fn a_row_is_a_flat_object() {
        let row = serde_json::to_value(&rows(&measured())[2]).unwrap();
        let expected = serde_json::json!({
            "case": "keep-alive", "metric": "cpu", "ebb": 15.0, "peer": "nginx-http",
            "peer_value": 30.0, "unit": "us/request", "ratio": 0.5, "target": null,
        });
        assert_eq!(row, expected);
    }

    /// What nobody else does stands alone, unless a number was set for it.
    #[test]
    fn drains_are_measured_against_numbers() {
        let mut all = Measurements::default();
        all.add(Case::Release, Proxy::Ebb, Metric::P50, 900.0);
        all.add(Case::Release, Proxy::Ebb, Metric::P99, 2_000.0);
        let rows = rows(&all);
        assert_eq!((rows[0].peer.as_deref(), rows[0].target), (None, None));
        assert_eq!(rows[1].peer.as_deref(), Some(LIMIT));
        assert_eq!(verdict(&rows[1]), Some(Verdict::Holds));
        assert!(table(&rows).contains("900.00"));
    }

    /// The table says what misses, and how many.
    #[test]
    fn the_table_says_which_targets_hold() {
        let text = table(&rows(&measured()));
        assert!(text.contains("MISSES: at most 0.75x"), "{text}");
        assert!(text.contains("2 targets hold\n  keep-alive CPU"), "{text}");
        let missed =
            "1 targets do NOT hold\n  keep-alive CPU                 0.83x of haproxy-http";
        assert!(text.contains(missed), "{text}");
    }
}
