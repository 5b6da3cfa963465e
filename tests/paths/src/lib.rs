//! Where the checkout and the test bed's files are on this machine, for the programs that have to
//! agree on it.
//!
//! `cargo xtask` asks for room in the cache, and whether another run changes the bed, before it
//! builds anything; so this crate depends on the standard library alone.

pub mod workspace;

use std::path::PathBuf;

/// The folder for what must be found whatever the cache folder is: the lock and the record of the
/// bed. There is one bed on a machine, since its cgroups have fixed names.
pub const MACHINE_WIDE: &str = "/run/ebb";

/// The file that a run which changes the bed holds a lock on; it holds that run's process number.
pub const LOCK: &str = "/run/ebb/lock";

/// The folder for what is fetched and built: `$EBB_CACHE`, else `$XDG_CACHE_HOME/ebb`, else
/// `~/.cache/ebb`. `None` if not even `HOME` is set.
pub fn cache() -> Option<PathBuf> {
    choose(
        variable("EBB_CACHE"),
        variable("XDG_CACHE_HOME"),
        variable("HOME"),
    )
}

/// The path that a variable of the environment names; an empty one names none.
pub fn variable(name: &str) -> Option<PathBuf> {
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

    #[test]
    fn the_lock_is_in_the_folder_of_the_machine() {
        assert!(LOCK.starts_with(MACHINE_WIDE));
    }
}
