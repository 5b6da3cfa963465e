//! Where the cache folder is. `cargo xtask` compiles this file, too: it asks for room there before it
//! builds anything, so it depends on no crate of ours, and this file on the standard library alone.

use std::path::PathBuf;

/// `$EBB_CACHE`, else `$XDG_CACHE_HOME/ebb`, else `~/.cache/ebb`.
pub(crate) fn from_environment() -> Option<PathBuf> {
    choose(
        variable("EBB_CACHE"),
        variable("XDG_CACHE_HOME"),
        variable("HOME"),
    )
}

/// The path that a variable of the environment names; an empty one names none.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn choose(own: Option<PathBuf>, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    own.or_else(|| xdg.map(|folder| folder.join("ebb")))
        .or_else(|| home.map(|folder| folder.join(".cache/ebb")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_variable_names_the_cache() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(choose(path("/a"), path("/b"), path("/c")), path("/a"));
        assert_eq!(choose(None, path("/b"), path("/c")), path("/b/ebb"));
        assert_eq!(choose(None, None, path("/c")), path("/c/.cache/ebb"));
        assert_eq!(choose(None, None, None), None);
    }
}
