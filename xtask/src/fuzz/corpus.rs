//! A target's corpus, in one file of the repository: `fuzz/corpus/TARGET.corpus`.
//!
//! Thousands of files of some hundred bytes each would be most of what the repository tracks. So
//! each input stands after the other, its length before it (four bytes, little-endian). libFuzzer
//! works on folders: [`unpack`] makes one of the file, and [`pack`] makes the file of one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// How long the number before each input is.
const LENGTH: usize = size_of::<u32>();

/// Makes the folder anew, with a file for each input.
pub(super) fn unpack(corpus: &Path, folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("can't empty {}", folder.display()))?;
    }
    super::make(folder)?;
    if !corpus.exists() {
        // A new target has none yet.
        return Ok(());
    }
    let packed = fs::read(corpus).with_context(|| format!("can't read {}", corpus.display()))?;
    let inputs =
        inputs(&packed).with_context(|| format!("{} ends within an input", corpus.display()))?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("{number:05}")), input)?;
    }
    Ok(())
}

/// Writes the folder's files into one, and returns how many they are.
///
/// They are sorted by their names. libFuzzer names what it writes by a digest of its content, so
/// the same inputs make the same file, and an input more or less leaves the others where they are.
pub(super) fn pack(folder: &Path, corpus: &Path) -> Result<usize> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    let mut packed = Vec::new();
    for file in &files {
        let input = fs::read(file)?;
        let length = u32::try_from(input.len()).context("an input of more than 4 GB")?;
        packed.extend(length.to_le_bytes());
        packed.extend(input);
    }
    fs::write(corpus, packed).with_context(|| format!("can't write {}", corpus.display()))?;
    Ok(files.len())
}

/// The inputs; `None` if the last one is cut off.
fn inputs(mut packed: &[u8]) -> Option<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !packed.is_empty() {
        let (length, rest) = packed.split_first_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (input, rest) = rest.split_at_checked(length)?;
        inputs.push(input);
        packed = rest;
    }
    Some(inputs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ebb_paths::workspace;

    /// What is packed is unpacked as it was, the empty input, too.
    #[test]
    fn a_folder_becomes_a_file_and_a_folder_again() {
        let place = std::env::temp_dir().join(format!("ebb-corpus-{}", std::process::id()));
        let (folder, corpus) = (place.join("folder"), place.join("some.corpus"));
        fs::create_dir_all(&folder).unwrap();
        for (name, input) in [("b", "second"), ("a", ""), ("c", "third\n")] {
            fs::write(folder.join(name), input).unwrap();
        }
        assert_eq!(pack(&folder, &corpus).unwrap(), 3);
        let packed = fs::read(&corpus).unwrap();
        assert_eq!(inputs(&packed).unwrap(), [&b""[..], b"second", b"third\n"]);
        assert_eq!(inputs(&packed[..packed.len() - 1]), None);

        unpack(&corpus, &folder).unwrap();
        assert_eq!(fs::read(folder.join("00001")).unwrap(), b"second");
        assert_eq!(pack(&folder, &corpus).unwrap(), 3);
        assert_eq!(fs::read(&corpus).unwrap(), packed);
        fs::remove_dir_all(&place).unwrap();
    }

    /// None is cut off, and each target has one, which its name says.
    #[test]
    fn every_target_has_a_corpus() {
        for target in super::super::targets().unwrap() {
            let corpus = workspace::folder().join(format!("fuzz/corpus/{target}.corpus"));
            let packed = fs::read(&corpus).unwrap_or_default();
            let count = inputs(&packed).map_or(0, |inputs| inputs.len());
            assert!(count > 0, "{}: {count} inputs", corpus.display());
        }
    }
}
