//! The file that a long task is to write at its end: whether that can be is asked at the beginning.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::{Context as _, Result};

/// Refuses if the file can't be written. What is in it stays; where there is none, none is left.
pub(crate) fn check_writable(file: &Path) -> Result<()> {
    let is_there = file.exists();
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(file)
        .with_context(|| format!("can't write the report to {}", file.display()))?;
    if !is_there {
        fs::remove_file(file)
            .with_context(|| format!("can't remove the empty {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is not there is found out at once; a file that is there keeps what it holds.
    #[test]
    fn what_cannot_be_written_is_refused_and_what_can_stays_as_it_is() {
        let folder = std::env::temp_dir().join(format!("ebb-report-{}", std::process::id()));
        let file = folder.join("report.json");
        let error = check_writable(&file).unwrap_err().to_string();
        assert!(error.contains("report.json"), "{error}");
        fs::create_dir(&folder).unwrap();
        check_writable(&file).unwrap();
        assert!(!file.exists());
        fs::write(&file, "old").unwrap();
        check_writable(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        fs::remove_dir_all(&folder).unwrap();
    }
}
