//! The checkout that this was built from, and what cargo builds of it.

use std::path::{Path, PathBuf};

/// Its folder, which also names the toolchain.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is two folders below the workspace")
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    match ebb_paths::variable("CARGO_TARGET_DIR") {
        Some(target) => folder().join(target),
        None => folder().join("target"),
    }
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
