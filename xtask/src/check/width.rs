//! Prose is wrapped: comments in `*.rs`, and paragraphs in `*.md`.
//!
//! Tables, links that are longer themselves, and what stands between fences can't be wrapped, and
//! code is rustfmt's.

use std::fs;
use std::path::Path;

use anyhow::Result;
use ebb_paths::workspace;

use super::complain;
use super::source;

/// The longest line, in letters: as long as rustfmt's.
const WIDTH: usize = 100;

/// Fails if a line of prose is wider.
pub(super) fn hold() -> Result<()> {
    let mut problems = Vec::new();
    for extension in ["rs", "md"] {
        for file in source::with_extension(workspace::folder(), extension)? {
            let text = fs::read_to_string(&file)?;
            let name = file
                .strip_prefix(workspace::folder())
                .unwrap_or(Path::new(&file));
            problems.extend(too_wide(&text, extension == "rs").into_iter().map(|line| {
                format!(
                    "{}:{line}: wrap the line at {WIDTH} letters",
                    name.display()
                )
            }));
        }
    }
    complain(&problems)
}

/// The numbers of the lines that are too wide.
fn too_wide(text: &str, is_rust: bool) -> Vec<usize> {
    let mut is_fenced = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let prose = if is_rust {
            let Some(comment) = line.trim_start().strip_prefix("//") else {
                is_fenced = false;
                continue;
            };
            comment.trim_start_matches(['/', '!']).trim_start()
        } else {
            line.trim_start()
        };
        if prose.starts_with("```") {
            is_fenced = !is_fenced;
        }
        let can_wrap = !is_fenced && !prose.starts_with('|') && !prose.contains("://");
        if can_wrap && line.chars().count() > WIDTH {
            found.push(number + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_too_wide_and_what_cannot_be_wrapped_is_not() {
        let wide = "x ".repeat(60);
        let rust =
            format!("/// {wide}\nlet a = \"{wide}\";\n// | {wide}\n//! https://{wide}\n// {wide}");
        assert_eq!(too_wide(&rust, true), [1, 5]);
        let page = format!("{wide}\n| {wide}\n```sh\n{wide}\n```\n{wide}\nshort");
        assert_eq!(too_wide(&page, false), [1, 6]);
    }
}
