//! Ebb beside each of the others: rows for a file, and a table for a person.

use std::fmt::Write as _;

use serde::Serialize;

use super::case::{Case, Metric, idle_connections};
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
    /// Whom it is compared with; `limit` is a number that we set ourselves.
    pub peer: String,
    /// The peer's value.
    pub peer_value: f64,
    /// The unit of both.
    pub unit: &'static str,
    /// Ebb's value divided by the peer's; nothing where noise made one of them negative.
    pub ratio: Option<f64>,
    /// The greatest ratio that is good enough; nothing where there is no target.
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
        let row = |peer: String, peer_value, target| Row {
            case,
            metric,
            ebb,
            peer,
            peer_value,
            unit: case.unit(metric),
            ratio: ratio(ebb, peer_value),
            target,
        };
        if proxy == Proxy::Ebb {
            if let Some(limit) = limit(case, metric) {
                rows.push(row(LIMIT.to_owned(), limit, Some(1.0)));
            }
        } else if let Some(value) = all.median(case, proxy, metric) {
            rows.push(row(proxy.to_string(), value, target(case, metric, proxy)));
        }
    }
    // The keys are in the order of proxies first; the sort keeps that order within a metric.
    rows.sort_by_key(|row| (row.case, row.metric));
    rows
}

/// The greatest ratio to a peer that is good enough.
fn target(case: Case, metric: Metric, peer: Proxy) -> Option<f64> {
    match (case, metric, peer) {
        (Case::KeepAlive | Case::Http2 | Case::Bulk, Metric::Cpu, Proxy::HaproxyTcp)
        | (Case::Bulk, Metric::Cpu, Proxy::HaproxySplice)
        | (Case::Latency, Metric::P50 | Metric::P99, Proxy::HaproxyTcp) => Some(1.0),
        (Case::KeepAlive, Metric::Cpu, Proxy::HaproxyHttp) => Some(0.8),
        (Case::KeepAlive, Metric::Cpu, Proxy::EnvoyHttp) => Some(0.25),
        (Case::Http2, Metric::Cpu, Proxy::HaproxyHttp) => Some(0.75),
        (Case::Http2, Metric::Cpu, Proxy::EnvoyHttp) => Some(0.3),
        _ => None,
    }
}

/// The greatest value that is good enough whatever others have, in the metric's unit.
fn limit(case: Case, metric: Metric) -> Option<f64> {
    match (case, metric) {
        (Case::Idle, Metric::ResidentAtStart) => Some(4.0),
        (Case::Idle, Metric::Resident) => Some(30.0),
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
            let title = format!("{}: {}, {}", title(row.case), row.metric, row.unit);
            line(
                &mut text,
                format_args!("\n{title}\n  {:<16}{:>12.2}", "ebb", row.ebb),
            );
        }
        let ratio = row
            .ratio
            .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        let verdict = match (verdict(row), row.target) {
            (Some(Verdict::Holds), Some(target)) => format!("   holds: at most {target:.2}x"),
            (Some(Verdict::Misses), Some(target)) => format!("   MISSES: at most {target:.2}x"),
            (Some(Verdict::Unknown), Some(target)) => format!("   unknown: at most {target:.2}x"),
            _ => String::new(),
        };
        line(
            &mut text,
            format_args!(
                "  {:<16}{:>12.2}  ebb is {ratio:>6}{verdict}",
                row.peer, row.peer_value
            ),
        );
    }
    let count = |wanted| {
        rows.iter()
            .filter(|row| verdict(row) == Some(wanted))
            .count()
    };
    line(
        &mut text,
        format_args!(
            "\n{} targets hold, {} do not, {} could not be told",
            count(Verdict::Holds),
            count(Verdict::Misses),
            count(Verdict::Unknown)
        ),
    );
    text
}

fn title(case: Case) -> String {
    match case {
        Case::Idle => format!("{case} ({} connections)", idle_connections()),
        _ => case.to_string(),
    }
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
            .map(|row| (row.peer.as_str(), row.target, verdict(row)))
            .collect();
        assert_eq!(
            said,
            [
                ("haproxy-tcp", Some(1.0), Some(Verdict::Holds)),
                ("haproxy-http", Some(0.8), Some(Verdict::Misses)),
                ("nginx-http", None, None),
                (LIMIT, Some(1.0), Some(Verdict::Holds)),
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

    /// The table says what misses, and how many.
    #[test]
    fn the_table_says_which_targets_hold() {
        let text = table(&rows(&measured()));
        assert!(text.contains("MISSES: at most 0.80x"), "{text}");
        assert!(
            text.contains("2 targets hold, 1 do not, 0 could not be told"),
            "{text}"
        );
    }
}
