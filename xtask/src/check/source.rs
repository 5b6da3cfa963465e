//! The Rust sources of a crate, as the checks read them: without comments and without what is in
//! quotes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// All `*.rs` files below the folder, sorted; none if there is no such folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    with_extension(folder, "rs")
}

/// All files below the folder whose names end so, sorted; none if there is no such folder.
///
/// What is made or fetched is left out: `target`, `node_modules`, and all whose name begins with a
/// dot.
pub(super) fn with_extension(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.is_dir() {
        return Ok(found);
    }
    let entries =
        fs::read_dir(folder).with_context(|| format!("can't read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() {
            found.extend(with_extension(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The text with a space for each letter of a comment or of what is in quotes. Lines stay lines.
pub(super) fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = match letter {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => quoted(rest, 1),
            'r' | 'b' | 'c' if begins_word(&code) => raw(rest).unwrap_or(0),
            '\'' => character(rest).unwrap_or(0),
            _ => 0,
        };
        if length == 0 {
            code.push(letter);
            rest = &rest[letter.len_utf8()..];
        } else {
            let (hidden, after) = rest.split_at(length);
            code.extend(hidden.chars().map(|letter| match letter {
                '\n' => '\n',
                _ => ' ',
            }));
            rest = after;
        }
    }
    code
}

/// Whether what comes next would be the first letter of a word.
fn begins_word(before: &str) -> bool {
    !before.ends_with(|last: char| last.is_alphanumeric() || last == '_')
}

/// The length of a comment, which may have others in it.
fn comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a text whose opening quote ends at `from`.
fn quoted(text: &str, from: usize) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip_while(|(at, _)| *at < from) {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a text with a letter before its quote: `b"…"`, `r#"…"#`, `br"…"`.
fn raw(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"]
        .into_iter()
        .find(|prefix| text.starts_with(prefix))?;
    let after = &text[prefix.len()..];
    if !prefix.ends_with('r') {
        return after
            .starts_with('"')
            .then(|| quoted(text, prefix.len() + 1));
    }
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = text.len() - inside.len();
    Some(
        inside
            .find(&end)
            .map_or(text.len(), |at| begin + at + end.len()),
    )
}

/// The length of a letter in quotes; `None` if this is a lifetime.
fn character(text: &str) -> Option<usize> {
    let inside = &text[1..];
    if let Some(escaped) = inside.strip_prefix('\\') {
        let end = escaped
            .char_indices()
            .skip(1)
            .find(|(_, letter)| *letter == '\'')?;
        return Some(2 + end.0 + 1);
    }
    let letter = inside.chars().next()?;
    let after = 1 + letter.len_utf8();
    text[after..].starts_with('\'').then_some(after + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_hidden_and_code_is_not() {
        for (text, expected) in [
            ("a // b\nc", "a     \nc"),
            ("a /* b /* c */ d */ e", "a                   e"),
            (r#"f("a::b \" c", d)"#, "f(           , d)"),
            (r##"f(r#"a " b"#, d)"##, "f(          , d)"),
            (r#"f(b"a", br"\", d)"#, "f(    ,      , d)"),
            ("['\\'', '\"', 'a'] &'a b", "[    ,    ,    ] &'a b"),
            ("'\\u{7f}' + var\"", "         + var "),
            ("number\"x\"", "number   "),
            ("let r = br;", "let r = br;"),
        ] {
            assert_eq!(code(text), expected, "{text}");
        }
    }
}
