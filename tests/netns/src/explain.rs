//! Picks the lines of a log that say why something did not work.

use std::fs;
use std::path::Path;

/// How many lines an error message carries.
const LINES: usize = 8;

/// The lines of a log file that explain a failure, led by the file's name; made to follow a
/// sentence.
pub fn of_log(path: &Path) -> String {
    let text = fs::read(path).unwrap_or_default();
    let lines = telling_lines(&String::from_utf8_lossy(&text));
    if lines.is_empty() {
        return format!("; its log {} is empty", path.display());
    }
    format!(
        "; its log {} says:\n  {}",
        path.display(),
        lines.join("\n  ")
    )
}

/// The last lines that look like errors; if none does, the last lines.
fn telling_lines(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let errors: Vec<&str> = lines
        .iter()
        .copied()
        .filter(|line| looks_like_an_error(line))
        .collect();
    let chosen = if errors.is_empty() { &lines } else { &errors };
    let from = chosen.len().saturating_sub(LINES);
    chosen[from..]
        .iter()
        .map(|line| line.chars().take(500).collect())
        .collect()
}

fn looks_like_an_error(line: &str) -> bool {
    // The Kubernetes programs begin a line with the severity and the date: "E1122 15:04:05.…".
    let klog = line.len() > 5
        && line.starts_with(['E', 'F'])
        && line.as_bytes()[1..5].iter().all(u8::is_ascii_digit);
    klog || [
        "level=error",
        "level=fatal",
        "\"level\":\"fatal\"",
        "panic:",
        "Error:",
        "error:",
        "command failed",
    ]
    .iter()
    .any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_preferred_to_what_came_last() {
        let log = "I1122 15:04:05.1 1 server.go:1] fine\nE1122 15:04:06.1 1 server.go:2] address in use\nI1122 15:04:07.1 bye\n";
        assert_eq!(
            telling_lines(log),
            ["E1122 15:04:06.1 1 server.go:2] address in use"]
        );
    }

    #[test]
    fn without_an_error_the_end_of_the_log_is_shown() {
        let log: String = (0..20).map(|number| format!("line {number}\n")).collect();
        let lines = telling_lines(&log);
        assert_eq!((lines.len(), lines[0].as_str()), (LINES, "line 12"));
    }

    #[test]
    fn an_english_word_is_not_a_severity() {
        assert!(!looks_like_an_error("Every node is ready"));
        assert!(looks_like_an_error(
            "time=\"x\" level=fatal msg=\"no socket\""
        ));
    }
}
