//! SPDX license expressions, as far as packages use them.

/// Whether what is allowed suffices; `None` if the expression can't be read.
///
/// A slash is the OR of older packages. A license WITH an exception is asked for as a whole.
pub(super) fn is_satisfied(expression: &str, is_allowed: impl Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser {
        words: &words,
        is_allowed: &is_allowed,
    };
    let is_satisfied = parser.any()?;
    parser.words.is_empty().then_some(is_satisfied)
}

struct Parser<'a> {
    /// What is still to be read.
    words: &'a [&'a str],
    is_allowed: &'a dyn Fn(&str) -> bool,
}

impl<'a> Parser<'a> {
    /// Alternatives.
    fn any(&mut self) -> Option<bool> {
        let mut is_satisfied = self.all()?;
        while self.takes("OR") {
            is_satisfied |= self.all()?;
        }
        Some(is_satisfied)
    }

    /// What has to hold together.
    fn all(&mut self) -> Option<bool> {
        let mut is_satisfied = self.one()?;
        while self.takes("AND") {
            is_satisfied &= self.one()?;
        }
        Some(is_satisfied)
    }

    fn one(&mut self) -> Option<bool> {
        if self.takes("(") {
            let is_satisfied = self.any()?;
            return self.takes(")").then_some(is_satisfied);
        }
        let license = self.word()?;
        if matches!(license, "OR" | "AND" | "WITH" | ")") {
            return None;
        }
        if self.takes("WITH") {
            let exception = self.word()?;
            return Some((self.is_allowed)(&format!("{license} WITH {exception}")));
        }
        Some((self.is_allowed)(license))
    }

    fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allowed_must_suffice() {
        let allowed = ["MIT", "BSD-3-Clause", "Apache-2.0 WITH LLVM-exception"];
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0", Some(false)),
            ("GPL-3.0 OR MIT", Some(true)),
            ("GPL-3.0/MIT", Some(true)),
            ("GPL-3.0 AND MIT", Some(false)),
            ("(GPL-3.0 OR MIT) AND BSD-3-Clause", Some(true)),
            ("GPL-3.0 OR MIT AND Zlib", Some(false)),
            ("Apache-2.0 WITH LLVM-exception", Some(true)),
            ("Apache-2.0", Some(false)),
            ("(MIT", None),
            ("MIT MIT", None),
            ("OR", None),
            ("", None),
        ] {
            let found = is_satisfied(expression, |license| allowed.contains(&license));
            assert_eq!(found, expected, "{expression}");
        }
    }
}
