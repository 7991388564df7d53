//! A session as a file that replays from where it is written: the files that its scenario names are named so that they are found
//! from there, and what was written is read again before anything is claimed of it.

use super::open::{Opened, Origin};
use std::{
    fmt::Write as _,
    io::{Read, Write as _},
    path::{Path, PathBuf, absolute},
};
use twinfleet_engine::{
    aside::Aside,
    scenario::{
        diagnostic::{Report, Style},
        files::Files,
        source::Source,
        tree::Value,
    },
};
use twinfleet_twins::{catalog, loaded, shell};

/// What has become of a session that was to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is written, and this command replays it to the same state hash.
    Replays(String),
    /// It is written; it is of real devices, whose words nobody keeps.
    Follows,
    /// It is written, but cannot be run from there: why.
    Stranded(String),
}

/// Keys that name a file.
const KEYS: [&str; 3] = ["path", "params", "file"];

/// Writes what was opened, with what was done, whole or not at all, over what is there.
///
/// # Errors
/// What the disk says.
pub fn save(opened: &Opened, to: &Path) -> std::io::Result<Saved> {
    let to = absolute(to)?;
    let folder = to.parent().unwrap_or(Path::new("/"));
    let source = match opened.replayed() {
        Ok(source) => source,
        Err(report) => return Err(std::io::Error::other(first(&report))),
    };
    let (text, named) = settled(&source, opened.loaded.files.base(), folder);
    let mut file = Aside::create(&to)?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    let catalogs = catalogs(opened, folder);
    let found = judged(opened, file.place(), &catalogs, &named);
    file.finish()?;
    Ok(match (found, &opened.origin) {
        (Err(why), _) => Saved::Stranded(why),
        (Ok(()), Origin::Live { .. }) => Saved::Follows,
        (Ok(()), Origin::Run | Origin::Record(_)) => {
            let mut command = format!("twinfleet run {}", quoted(&to));
            for folder in &catalogs {
                let _ = write!(command, " --catalog {}", quoted(folder));
            }
            Saved::Replays(command + if opened.loaded.scripts.trust { " --trust-scripts" } else { "" })
        }
    })
}

/// The text with its files named so that they are found from `folder`: below it by their relative path, elsewhere by the
/// absolute one. Also the pairs of names, before and after.
fn settled(source: &Source, base: &Path, folder: &Path) -> (String, Vec<(String, String)>) {
    let mut edits = Vec::new();
    source.tree().walk("", &mut |key, node| {
        let Value::Text(named) = &node.value else { return };
        if KEYS.contains(&key) {
            let there = [base.join(named), PathBuf::from(named)].into_iter().find(|p| p.is_file());
            let full = there.and_then(|p| absolute(p).ok());
            // What came with the program is found from everywhere.
            let new = full.map_or_else(|| named.clone(), |full| from(folder, &full));
            edits.push((node.span.clone(), named.clone(), new));
        }
    });
    let mut text = source.text().to_owned();
    edits.sort_by_key(|(span, ..)| std::cmp::Reverse(span.start));
    for (span, _, new) in edits.iter().filter(|(_, old, new)| old != new) {
        text.replace_range(span.clone(), &format!("{new:?}"));
    }
    (text, edits.into_iter().map(|(_, old, new)| (old, new)).collect())
}

/// A file's path from a folder.
fn from(folder: &Path, full: &Path) -> String {
    full.strip_prefix(folder).unwrap_or(full).display().to_string()
}

/// Folders of definitions that a replay has to name: those of `--catalog`, and what lay beside the scenario where that is not
/// beside what was saved.
fn catalogs(opened: &Opened, folder: &Path) -> Vec<PathBuf> {
    let whole = |p: &Path| absolute(p).unwrap_or_else(|_| p.to_owned());
    let scenario = Path::new(&opened.file);
    let beside = scenario.is_file().then(|| catalog::beside(scenario)).flatten().map(|p| whole(&p));
    let beside = beside.filter(|p| *p != folder.join("catalog") && !opened.folders.contains(p));
    beside.into_iter().chain(opened.folders.iter().map(|p| whole(p))).collect()
}

/// Reads what was written where it lies, with the folders that a replay is told of: whether it is what was opened.
fn judged(
    opened: &Opened,
    file: &Path,
    catalogs: &[PathBuf],
    named: &[(String, String)],
) -> Result<(), String> {
    let written = loaded::scenario(&file.to_string_lossy(), &[], catalogs).map_err(|r| first(&r))?;
    let bytes = |files: &Files, path: &str| {
        let mut bytes = Vec::new();
        files.open(path).ok().and_then(|(_, mut file)| file.read_to_end(&mut bytes).ok()).map(|_| bytes)
    };
    for (before, after) in named {
        let (was, is) = (bytes(&opened.loaded.files, before), bytes(&written.files, after));
        if was != is {
            return Err(format!("`{after}` is another file there than `{before}` was here"));
        }
    }
    Ok(())
}

/// The first of what is wrong, in a line.
fn first(report: &Report) -> String {
    report.items().first().map_or_else(|| report.render(Style::Plain), |d| d.message().to_owned())
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    shell::word(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_names_a_file_that_is_there_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.csv"), "t\n").unwrap();
        let text = r#"Scenario(from: Recording(path: "a.csv"), params: "shipped.ron", about: "a.csv")"#;
        let source = Source::embedded("s", text);
        let (same, _) = settled(&source, dir.path(), dir.path());
        assert_eq!(same, text);
        let (moved, named) = settled(&source, dir.path(), Path::new("/elsewhere"));
        let full = dir.path().join("a.csv").display().to_string();
        assert_eq!(moved, text.replacen("\"a.csv\"", &format!("{full:?}"), 1));
        assert_eq!(named.len(), 2);
    }
}
