//! What came of the comparison.

use std::fmt;

use ebb_api::capture::Mode;

use crate::scenario::{Scenario, Seen};
use crate::stage::Family;

/// All scenarios, each by both families of addresses.
#[derive(Debug)]
pub struct Table {
    /// In the order in which they were played.
    pub rows: Vec<Row>,
}

/// A scenario by one family of addresses.
#[derive(Debug)]
pub struct Row {
    /// The scenario.
    pub scenario: &'static Scenario,
    /// The family.
    pub family: Family,
    /// What was seen without Ebb.
    pub plain: Seen,
    /// What was seen with it.
    pub modes: Vec<(Mode, Seen)>,
}

/// How a mode compares with a plain pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing differs.
    Same,
    /// It differs, as the scenario says that it does.
    Known(&'static str),
    /// It differs.
    Differs,
}

// === impl Table ===

impl Table {
    /// A sentence for each difference that no scenario knows of, and for each that is known and is
    /// not there.
    pub fn surprises(&self) -> Vec<String> {
        let mut surprises = Vec::new();
        for row in &self.rows {
            for (mode, seen) in &row.modes {
                let is_known = row.known(*mode).is_some();
                let differs = *seen != row.plain;
                if differs != is_known {
                    surprises.push(format!(
                        "{} ({}, {mode}): {:?} without Ebb, {seen:?} with it",
                        row.scenario.title, row.family, row.plain
                    ));
                }
            }
        }
        surprises
    }

    /// The verdict on a scenario in a mode: the worse of both families'.
    fn verdict(&self, scenario: &Scenario, mode: Mode) -> Verdict {
        let rows = self.rows.iter();
        let verdicts = rows
            .filter(|row| row.scenario.title == scenario.title)
            .map(|row| row.verdict(mode));
        verdicts.fold(Verdict::Same, |worst, verdict| match (worst, verdict) {
            (Verdict::Differs, _) | (_, Verdict::Differs) => Verdict::Differs,
            (Verdict::Known(why), _) | (_, Verdict::Known(why)) => Verdict::Known(why),
            (Verdict::Same, Verdict::Same) => Verdict::Same,
        })
    }
}

/// As Markdown: a row for each scenario, a column for each mode.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what is compared, by IPv4 and IPv6 | Transparent | Redirect |"
        )?;
        writeln!(f, "|---|---|---|")?;
        for scenario in crate::scenario::ALL {
            let cells = crate::MODES.map(|mode| match self.verdict(scenario, mode) {
                Verdict::Same => "as without Ebb".to_owned(),
                Verdict::Known(why) => why.to_owned(),
                Verdict::Differs => "**differs**".to_owned(),
            });
            writeln!(f, "| {} | {} |", scenario.title, cells.join(" | "))?;
        }
        Ok(())
    }
}

// === impl Row ===

impl Row {
    fn known(&self, mode: Mode) -> Option<&'static str> {
        let mut differs = self.scenario.differs.iter();
        differs.find(|(known, _)| *known == mode).map(|it| it.1)
    }

    fn verdict(&self, mode: Mode) -> Verdict {
        let seen = self.modes.iter().find(|(other, _)| *other == mode);
        match seen {
            Some((_, seen)) if *seen != self.plain => {
                self.known(mode).map_or(Verdict::Differs, Verdict::Known)
            }
            _ => Verdict::Same,
        }
    }
}
