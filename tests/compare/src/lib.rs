//! What both sides of a connection see in a pod with Ebb and in one without, side by side.
//!
//! ```text
//!  scenario::ALL --play--> Stage (a pod, a network outside of it, a sidecar or none) --> what was seen
//!                                                                                          |
//!                    Table: what a plain pod showed, and where each mode differs <---------+
//! ```
//!
//! A scenario says what client and app do, and writes down what each of them sees. It is played in
//! a plain pod and in one for each mode that has a data path, by IPv4 and by IPv6, and nothing of
//! what is written down may differ, but for what the scenario itself names as a known difference. A
//! new one is a small file in `scenario/`, and a line in [`scenario::ALL`].
//!
//! The sidecar's own tests play them all, and `cargo xtask compare` prints the table that stands in
//! docs/invisible.md.

pub mod scenario;
pub mod stage;
pub mod table;

use std::path::Path;

use anyhow::{Context as _, Result};
use ebb_api::capture::Mode;

use stage::{Family, ReversePath, Stage};
use table::{Row, Table};

/// The modes that are compared with a plain pod: those that have a data path and need no cluster.
pub const MODES: [Mode; 2] = [Mode::Transparent, Mode::Redirect];

/// Plays all scenarios, with the sidecar's program at this path, and files below `scratch`, in pods
/// whose kernel asks this of sources.
///
/// # Errors
///
/// This is not root, or there is no `ip`, or a scenario could not be played at all.
pub fn run(sidecar: &Path, scratch: &Path, reverse_path: ReversePath) -> Result<Table> {
    let plain = Stage::plain(reverse_path)?;
    let stages = MODES.iter().map(|mode| {
        let stage = Stage::with_sidecar(*mode, reverse_path, sidecar, scratch)?;
        Ok((*mode, stage))
    });
    let stages = stages.collect::<Result<Vec<_>>>()?;
    let mut rows = Vec::new();
    for scenario in scenario::ALL {
        for family in Family::ALL {
            let play = |stage: &Stage| {
                let place = stage.place(family);
                let played = (scenario.play)(&place);
                played.with_context(|| format!("{} in a pod {stage}, {family}", scenario.title))
            };
            let expected = play(&plain)?;
            let mut modes = Vec::new();
            for (mode, stage) in &stages {
                // What can't be played there at all is a difference, too.
                let seen = play(stage).unwrap_or_else(|error| vec![format!("{error:#}")]);
                modes.push((*mode, seen));
            }
            rows.push(Row {
                scenario,
                family,
                plain: expected,
                modes,
            });
        }
    }
    Ok(Table { rows })
}
