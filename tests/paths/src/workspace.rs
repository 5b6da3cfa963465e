//! The checkout that this was built from, and what cargo builds of it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Its folder, which also names the toolchain.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is two folders below the workspace")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    match crate::variable("CARGO_TARGET_DIR") {
        Some(target) => folder().join(target),
        None => folder().join("target"),
    }
}

/// A cargo that works on the workspace: the one that runs this program, if one does.
pub fn cargo() -> Command {
    let mut command = Command::new(crate::variable("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(folder());
    // What cargo says to us of our own package is not for the next one: ring's build script asks
    // for it, and with it all that stands on ring is built anew each time that somebody else asks.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_the_folder_with_the_chart() {
        assert!(folder().join("Cargo.lock").is_file());
        assert!(folder().join("charts/ebb/Chart.yaml").is_file());
    }
}
