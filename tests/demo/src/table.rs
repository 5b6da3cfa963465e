//! The table that the demo prints, and its form as JSON.

use ebb_api::capture::Mode;
use ebb_cluster::setup::Setup;
use ebb_load::kind::Kind;
use ebb_load::tally::Summary;
use serde::{Deserialize, Serialize};

/// What came of the requests in one set-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The set-up.
    pub(crate) setup: Setup,
    /// The capture mode that its policy names, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<Mode>,
    /// The numbers.
    #[serde(flatten)]
    pub(crate) summary: Summary,
}

impl Row {
    fn title(&self) -> String {
        let title = self.setup.title();
        match self.mode {
            Some(mode) => format!("{title}, {mode}"),
            None => title.to_owned(),
        }
    }
}

/// The rows as a table for a person: how many requests each kind of client lost, and under the
/// table why.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut head = vec!["set-up", "requests", "lost"];
    head.extend(Kind::ALL.map(Kind::title));
    head.extend(["p50", "p99"]);
    let mut lines = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    lines.extend(rows.iter().map(cells));
    let mut widths = vec![0; lines[0].len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        text += &format!("{:<width$}", line[0], width = widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    for row in rows.iter().filter(|row| !row.summary.reasons.is_empty()) {
        text += &format!("\n{}: {}\n", row.title(), why(&row.summary));
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    let numbers = &row.summary;
    let mut cells = vec![
        row.title(),
        grouped(numbers.requests),
        grouped(numbers.failed),
    ];
    cells.extend(Kind::ALL.map(|kind| {
        let counts = numbers.kinds.get(&kind);
        grouped(counts.map_or(0, |counts| counts.failed))
    }));
    cells.extend([numbers.p50_ms, numbers.p99_ms].map(|time| format!("{time:.0} ms")));
    cells
}

/// The reasons, the commonest first.
fn why(numbers: &Summary) -> String {
    let mut reasons: Vec<_> = numbers.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let each = reasons
        .iter()
        .map(|(reason, count)| format!("{} {reason}", grouped(**count)));
    each.collect::<Vec<_>>().join(", ")
}

/// A number with its thousands grouped: 12,345.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_load::tally::Counts;
    use std::collections::BTreeMap;

    fn rows() -> Vec<Row> {
        let reasons = BTreeMap::from([
            ("connection refused".to_owned(), 12),
            ("closed without an answer".to_owned(), 1_477),
        ]);
        let counts = |requests, failed| Counts { requests, failed };
        let lossy = Summary {
            requests: 35_012,
            failed: 1_489,
            kinds: BTreeMap::from([
                (Kind::KeepAlive, counts(20_000, 1_470)),
                (Kind::Http2, counts(15_012, 19)),
            ]),
            retried: 0,
            reasons,
            p50_ms: 51.2,
            p99_ms: 78.9,
        };
        let clean = Summary {
            failed: 0,
            kinds: BTreeMap::new(),
            reasons: BTreeMap::new(),
            ..lossy.clone()
        };
        vec![
            Row {
                setup: Setup::Plain,
                mode: None,
                summary: lossy,
            },
            Row {
                setup: Setup::Ebb,
                mode: None,
                summary: clean,
            },
        ]
    }

    #[test]
    fn the_table_lines_up_and_names_the_commonest_reason_first() {
        let expected = "\
set-up              requests   lost  keep-alive  fresh  HTTP/2  gRPC  gRPC streams  WebSocket    p50    p99
as it is              35,012  1,489       1,470      0      19     0             0          0  51 ms  79 ms
with a DrainPolicy    35,012      0           0      0       0     0             0          0  51 ms  79 ms

as it is: 1,477 closed without an answer, 12 connection refused
";
        assert_eq!(render(&rows()), expected);
    }

    /// The report has the fields that are documented.
    #[test]
    fn the_report_is_flat() {
        let json = serde_json::to_value(rows()).unwrap();
        assert_eq!(json[0]["setup"], "plain");
        assert_eq!(json[0]["requests"], 35_012);
        assert_eq!(json[0]["reasons"]["connection refused"], 12);
        assert_eq!(json[0]["kinds"]["keepAlive"]["failed"], 1_470);
        assert_eq!(json[1]["failed"], 0);
        assert_eq!(json[1]["p99_ms"], 78.9);
    }

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
