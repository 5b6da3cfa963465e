//! The table that the demo prints, and its form as JSON.

use serde::{Deserialize, Serialize};

use super::setup::Setup;
use crate::load::tally::Summary;

/// What came of the requests in one set-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The set-up.
    pub setup: Setup,
    /// The numbers.
    #[serde(flatten)]
    pub summary: Summary,
}

/// The rows as a table for a person.
pub fn render(rows: &[Row]) -> String {
    let mut lines = vec![["set-up", "requests", "failed", "p50", "p99", "why"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let numbers = &row.summary;
        let mut reasons: Vec<_> = numbers.reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let why = reasons
            .iter()
            .map(|(reason, count)| format!("{} {reason}", grouped(**count)));
        [
            row.setup.title().to_owned(),
            grouped(numbers.requests),
            grouped(numbers.failed),
            format!("{:.0} ms", numbers.p50_ms),
            format!("{:.0} ms", numbers.p99_ms),
            why.collect::<Vec<_>>().join(", "),
        ]
    }));
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let [setup, numbers @ .., why] = line;
        let mut row = format!("{setup:<width$}", width = widths[0]);
        for (cell, width) in numbers.iter().zip(&widths[1..]) {
            row += &format!("  {cell:>width$}");
        }
        row += &format!("  {why}");
        text += row.trim_end();
        text.push('\n');
    }
    text
}

/// A number with its thousands grouped: 12,345.
pub fn grouped(number: u64) -> String {
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
    use std::collections::BTreeMap;

    fn rows() -> Vec<Row> {
        let reasons = BTreeMap::from([
            ("connection refused".to_owned(), 12),
            ("closed without an answer".to_owned(), 1_477),
        ]);
        let lossy = Summary {
            requests: 35_012,
            failed: 1_489,
            reasons,
            p50_ms: 51.2,
            p99_ms: 78.9,
        };
        let clean = Summary {
            failed: 0,
            reasons: BTreeMap::new(),
            ..lossy.clone()
        };
        vec![
            Row {
                setup: Setup::Plain,
                summary: lossy,
            },
            Row {
                setup: Setup::Ebb,
                summary: clean,
            },
        ]
    }

    #[test]
    fn the_table_lines_up_and_names_the_commonest_reason_first() {
        let expected = "\
set-up              requests  failed    p50    p99  why
as it is              35,012   1,489  51 ms  79 ms  1,477 closed without an answer, 12 connection refused
with a DrainPolicy    35,012       0  51 ms  79 ms
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
