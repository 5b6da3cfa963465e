//! What libFuzzer says, kept in a file, and what matters of it.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

/// So many lines tell what broke.
const END: usize = 20;

/// What a run said.
pub(super) struct Said {
    pub(super) succeeded: bool,
    text: String,
}

/// Runs a command whose words go to the file.
pub(super) fn run(command: &mut Command, file: &Path) -> Result<Said> {
    let log = File::create(file).with_context(|| format!("can't write {}", file.display()))?;
    let status = command
        // The message of a panic is what matters; of where it came from there would be pages.
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("can't start {}", command.get_program().display()))?;
    Ok(Said {
        succeeded: status.success(),
        text: String::from_utf8_lossy(&fs::read(file)?).into_owned(),
    })
}

impl Said {
    /// How much was run, and how much more of the program was reached than by the corpus.
    pub(super) fn summary(&self) -> String {
        let runs = self.number("stat::number_of_executed_units:", None);
        let coverage = |event| self.number("cov:", Some(event));
        format!(
            "{} runs; the corpus reached {} branches, {} in the end",
            runs.unwrap_or(0),
            coverage("INITED").unwrap_or(0),
            coverage("DONE").unwrap_or(0),
        )
    }

    /// The last lines.
    pub(super) fn end(&self) -> String {
        let lines: Vec<&str> = self.text.lines().collect();
        lines[lines.len().saturating_sub(END)..].join("\n")
    }

    /// The number behind a word, in the last line with this event.
    fn number(&self, word: &str, event: Option<&str>) -> Option<u64> {
        let is_it =
            |line: &&str| line.contains(word) && event.is_none_or(|name| line.contains(name));
        let line = self.text.lines().rfind(is_it)?;
        let behind = line.split(word).nth(1)?;
        behind.split_whitespace().next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_what_was_reached() {
        let said = Said {
            succeeded: true,
            text: "#2\tINITED cov: 8 ft: 9 corp: 1/1b exec/s: 0 rss: 27Mb\n\
                   #6202\tNEW    cov: 10 ft: 10 corp: 3/54b\n\
                   #99\tDONE   cov: 12 ft: 12 corp: 5/17b lim: 4096\n\
                   stat::number_of_executed_units: 99\n"
                .to_owned(),
        };
        assert_eq!(
            said.summary(),
            "99 runs; the corpus reached 8 branches, 12 in the end"
        );
    }
}
