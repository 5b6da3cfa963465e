//! Numbers with their nouns, and lists of names.

use std::collections::BTreeSet;

/// How many names a list has.
const NAMED: usize = 3;

/// "1 request", "2 requests".
pub fn count(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {one}{ending}")
}

/// The word for that number of things.
pub fn plural(number: usize, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

/// The first names in order, "and 9 more".
pub fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: BTreeSet<&str> = names.collect();
    let shown: Vec<_> = all.iter().take(NAMED).copied().collect();
    match all.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of something is one of something; of many names the first three are given.
    #[test]
    fn numbers_agree_and_lists_end() {
        assert_eq!(count(1, "pod"), "1 pod");
        assert_eq!(count(0, "pod"), "0 pods");
        assert_eq!(plural(1, "policy", "policies"), "policy");
        assert_eq!(names(["b", "a"].into_iter()), "a, b");
        assert_eq!(
            names(["d", "b", "a", "c"].into_iter()),
            "a, b, c and 1 more"
        );
    }
}
