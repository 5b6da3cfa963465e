//! No room reaches back: a crate's `rooms.txt` says which of its modules may use which, and the
//! sources are held to it.
//!
//! Each line is a room: a module, with all below it that is no room of its own. A room stands above
//! those that it uses, so the arrows make no circle. Tests are free: they may look at anything.

mod paths;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use ebb_paths::workspace;

use super::complain;
use super::source;
use table::Table;

/// The crates whose rooms are held.
pub(super) const CRATES: [&str; 4] = ["api", "sidecar", "model", "controller"];

/// Fails if a room uses what its line does not name, or a line is not true any more.
pub(super) fn hold() -> Result<()> {
    let mut problems = Vec::new();
    for folder in CRATES {
        problems.extend(judge(&workspace::folder().join(folder), folder)?);
    }
    complain(&problems)
}

/// A use of one room by another.
struct Arrow {
    from: String,
    to: String,
    /// The file and the line.
    place: String,
}

fn judge(folder: &Path, name: &str) -> Result<Vec<String>> {
    let path = folder.join("rooms.txt");
    let text =
        fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    let file = format!("{name}/rooms.txt");
    let (mut table, mut problems) = Table::parse(&text, &file);
    let modules = modules(&folder.join("src"), name)?;
    problems.extend(unknown(&modules, &table, &file));
    let is_there = |room: &str| {
        let path: Vec<&str> = room.split("::").collect();
        modules.iter().any(|module| module.path == path)
    };
    for room in table.take_gone(is_there) {
        problems.push(format!(
            "{file}: there is no module {room} any more: remove its line"
        ));
    }
    problems.extend(table.differences(&arrows(&modules, &table), &file));
    Ok(problems)
}

/// A module of a crate.
struct Module {
    /// Its path in the crate; empty for the root.
    path: Vec<String>,
    file: String,
    /// Where its paths lead, and the line of each.
    paths: Vec<(Vec<String>, usize)>,
}

/// All modules but those of tests.
fn modules(sources: &Path, folder: &str) -> Result<Vec<Module>> {
    let library = format!("ebb_{folder}");
    let has_library = sources.join("lib.rs").exists();
    let mut modules = Vec::new();
    let mut tests: Vec<Vec<String>> = Vec::new();
    for file in source::files(sources)? {
        let relative = file.strip_prefix(sources).expect("it was found below");
        let mut path: Vec<String> = relative
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        if path == ["lib"] || (path == ["main"] && !has_library) {
            path.clear();
        }
        let text = fs::read_to_string(&file)?;
        let found = paths::read(&source::code(&text), &path, &library);
        for name in found.test_modules {
            tests.push(path.iter().cloned().chain([name]).collect());
        }
        modules.push(Module {
            path,
            file: format!("{folder}/src/{}", relative.display()),
            paths: found.paths,
        });
    }
    modules.retain(|module| !tests.iter().any(|test| module.path.starts_with(test)));
    Ok(modules)
}

/// Modules that are in no room.
fn unknown(modules: &[Module], table: &Table, file: &str) -> Vec<String> {
    modules
        .iter()
        .filter(|module| module.path.len() == 1 && table.room(&module.path).is_none())
        .map(|module| {
            format!(
                "{}: say in {file} where the room {} stands, and what it may use",
                module.file, module.path[0]
            )
        })
        .collect()
}

/// Who uses whom, with one place for each pair.
fn arrows(modules: &[Module], table: &Table) -> Vec<Arrow> {
    let mut arrows = BTreeMap::new();
    for module in modules {
        let Some(from) = table.room(&module.path) else {
            continue;
        };
        for (path, line) in &module.paths {
            let Some(to) = table.room(path) else {
                continue;
            };
            if from != to {
                let place = format!("{}:{line}", module.file);
                arrows.entry((from, to)).or_insert(place);
            }
        }
    }
    arrows
        .into_iter()
        .map(|((from, to), place)| Arrow {
            from: from.to_owned(),
            to: to.to_owned(),
            place,
        })
        .collect()
}
