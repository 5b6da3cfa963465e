//! The paths of a file of Rust that lead to other modules of its crate.
//!
//! This is no compiler. It knows `crate::`, `self::`, `super::`, the crate's own name, and the
//! modules that the file itself declares, with whatever braces come next; that is how this project
//! writes paths. What is only there for tests is left out.

/// What of a file matters here.
pub(super) struct Found {
    /// Where its paths lead: absolute in the crate, and the line where each stands.
    pub(super) paths: Vec<(Vec<String>, usize)>,
    /// Modules that it declares for tests alone.
    pub(super) test_modules: Vec<String>,
}

/// Reads a file's code, which has no comments and no texts in quotes any more.
///
/// `module` is where the file stands in its crate, whose own name is `library`.
pub(super) fn read(code: &str, module: &[String], library: &str) -> Found {
    let tokens = tokens(code);
    let mut reader = Reader {
        tokens: &tokens,
        library,
        children: Vec::new(),
        // Of the file itself, and of each module with braces that is open.
        modules: vec![(module.to_vec(), 0)],
        depth: 0,
        found: Found {
            paths: Vec::new(),
            test_modules: Vec::new(),
        },
    };
    reader.children = reader.declared();
    reader.run();
    reader.found
}

struct Token<'a> {
    text: &'a str,
    line: usize,
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    library: &'a str,
    children: Vec<&'a str>,
    modules: Vec<(Vec<String>, usize)>,
    depth: usize,
    found: Found,
}

impl<'a> Reader<'a> {
    fn run(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at);
        }
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    /// The names that are declared with `mod` anywhere in the file.
    fn declared(&self) -> Vec<&'a str> {
        (1..self.tokens.len())
            .filter(|&at| self.text(at - 1) == "mod")
            .map(|at| self.text(at))
            .collect()
    }

    /// Reads what begins here, and returns where the next begins.
    fn step(&mut self, at: usize) -> usize {
        match self.text(at) {
            "#" if self.is_for_tests(at) => return self.skip_item(at),
            "mod" if self.text(at + 2) == "{" => {
                let mut inside = self.module().to_vec();
                inside.push(self.text(at + 1).to_owned());
                self.depth += 1;
                self.modules.push((inside, self.depth));
                return at + 3;
            }
            "{" => self.depth += 1,
            "}" => {
                if self.modules.len() > 1 && self.modules.last().is_some_and(|m| m.1 == self.depth)
                {
                    self.modules.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ if self.text(at + 1) == "::" && !self.continues(at) => {
                if let Some(start) = self.start(at) {
                    return self.path(at + 2, start);
                }
            }
            _ => {}
        }
        at + 1
    }

    fn module(&self) -> &[String] {
        &self
            .modules
            .last()
            .expect("the file's own is never taken")
            .0
    }

    /// Whether this is in the middle of a path, or says only how far something is visible.
    fn continues(&self, at: usize) -> bool {
        at > 0 && matches!(self.text(at - 1), "::" | "in" | "$")
    }

    /// The module that a path's first word names; `None` if it is another crate's, or a type's.
    fn start(&self, at: usize) -> Option<Vec<String>> {
        let module = self.module();
        match self.text(at) {
            "crate" => Some(Vec::new()),
            word if word == self.library => Some(Vec::new()),
            "self" => Some(module.to_vec()),
            "super" => Some(module[..module.len().saturating_sub(1)].to_vec()),
            word if self.children.contains(&word) => {
                // Declared by the file, not by a module within it.
                let mut child = self.modules[0].0.clone();
                child.push(word.to_owned());
                Some(child)
            }
            _ => None,
        }
    }

    /// Follows a path from after its first `::`; returns where the next token begins.
    fn path(&mut self, mut at: usize, mut path: Vec<String>) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.text(at) {
                "{" => return self.group(at + 1, &path),
                "super" => {
                    path.pop();
                }
                "self" => {}
                word if is_word(word) => path.push(word.to_owned()),
                "*" => {
                    at += 1;
                    break;
                }
                // The brackets of a generic function.
                _ => break,
            }
            at += 1;
            if self.text(at) != "::" {
                break;
            }
            at += 1;
        }
        self.found.paths.push((path, line));
        at
    }

    /// Follows all paths in braces; returns where the next token begins.
    fn group(&mut self, mut at: usize, path: &[String]) -> usize {
        while at < self.tokens.len() {
            at = match self.text(at) {
                "}" => return at + 1,
                "," => at + 1,
                // `as` and the new name, and the star.
                "as" => at + 2,
                "*" => {
                    self.found.paths.push((path.to_vec(), self.tokens[at].line));
                    at + 1
                }
                _ => self.path(at, path.to_vec()),
            };
        }
        at
    }

    /// Whether an attribute `#[cfg(test)]` begins here.
    fn is_for_tests(&self, at: usize) -> bool {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
        (0..attribute.len()).all(|offset| self.text(at + offset) == attribute[offset])
    }

    /// Skips an item from its `#[cfg(test)]` to its semicolon, or its closing brace.
    fn skip_item(&mut self, start: usize) -> usize {
        let mut at = start + 7;
        let mut open = 0_usize;
        while at < self.tokens.len() {
            match self.text(at) {
                "mod" if open == 0 => {
                    let name = self.text(at + 1).to_owned();
                    self.found.test_modules.push(name);
                }
                ";" if open == 0 => return at + 1,
                "{" | "(" | "[" => open += 1,
                "}" | ")" | "]" => {
                    open = open.saturating_sub(1);
                    if open == 0 && self.text(at) == "}" {
                        return at + 1;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        at
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// Words, `::`, and every other sign by itself.
fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
            let length = if is_part(first) {
                rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push(Token {
                text: &rest[..length],
                line: number + 1,
            });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<String> {
        let module = ["relay".to_owned(), "exchange".to_owned()];
        let found = read(code, &module, "ebb_sidecar");
        found
            .paths
            .iter()
            .map(|(path, _)| path.join("::"))
            .collect()
    }

    #[test]
    fn paths_are_absolute_whatever_they_begin_with() {
        for (code, expected) in [
            ("use crate::track::Odd;", vec!["track::Odd"]),
            ("use std::net::IpAddr;", vec![]),
            (
                "use super::connection::Side;",
                vec!["relay::connection::Side"],
            ),
            ("use super::super::stance;", vec!["stance"]),
            (
                "use self::edit::Edit as E;",
                vec!["relay::exchange::edit::Edit"],
            ),
            ("ebb_sidecar::app::run();", vec!["app::run"]),
            (
                "mod edit; fn f() { edit::new::<u8>() }",
                vec!["relay::exchange::edit::new"],
            ),
            ("pub(in crate::relay) fn f() {}", vec![]),
            (
                "use crate::{track::{self, http1::*}, census as c};",
                vec!["track", "track::http1", "census"],
            ),
            (
                "mod inner { use super::edit::E; }",
                vec!["relay::exchange::edit::E"],
            ),
            (
                "mod inner { fn f() { {} } } fn g(a: super::Taken) {}",
                vec!["relay::Taken"],
            ),
        ] {
            assert_eq!(paths(code), expected, "{code}");
        }
    }

    #[test]
    fn what_is_for_tests_is_left_out() {
        let code = "#[cfg(test)] #[path = ] mod bench;\n\
                    #[cfg(test)] mod tests { use crate::app::run; }\n\
                    #[cfg(test)] fn f(a: [u8; 2]) -> u8 { crate::app::g() }\n\
                    #[cfg(any(test, feature = ))] use crate::census::C;";
        assert_eq!(paths(code), ["census::C"]);
        let found = read(code, &[], "ebb_sidecar");
        assert_eq!(found.test_modules, ["bench", "tests"]);
        assert_eq!(found.paths[0].1, 4);
    }
}
