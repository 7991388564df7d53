//! From a name or a path to a scenario that passed all checks, with its catalog and its files.

use crate::{assemble, catalog, script};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::{
    catalog::Catalog,
    expect,
    plan::Plan,
    scenario::{
        self, Scenario, check,
        diagnostic::{Diagnostic, Report, near},
        files::Files,
        source::Source,
    },
};

/// A scenario that passed all checks.
pub struct Loaded {
    /// Its text, with every `--set` applied.
    pub source: Source,
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The catalog it was checked against.
    pub catalog: Arc<Catalog>,
    /// Where its files are.
    pub files: Files,
    /// What was wrong, but not so wrong that it cannot run.
    pub warnings: Report,
    /// How its scripts are run.
    pub scripts: script::Options,
}

/// The built-in catalog, what lies next to `scenario`, and the folders of `--catalog`, later ones first in rank.
///
/// # Errors
/// Files that cannot be read or are wrong, all of them with their places.
pub fn catalog(scenario: Option<&Path>, folders: &[PathBuf]) -> Result<Catalog, Report> {
    let mut all = catalog::builtin()?;
    if let Some(beside) = scenario.and_then(catalog::beside) {
        catalog::load_dir(&mut all, &beside)?;
    }
    for folder in folders {
        catalog::load_dir(&mut all, folder)?;
    }
    Ok(all)
}

/// Reads and checks the scenario of this path, or of this name among those that come with the program. `sets` are
/// `path=value` overrides, `folders` more catalogs.
///
/// # Errors
/// What is wrong with the scenario or a catalog, with its place.
pub fn scenario(file: &str, sets: &[String], folders: &[PathBuf]) -> Result<Loaded, Report> {
    let path = Path::new(file);
    // A folder of that name, such as a record's, does not hide the scenario that comes with the program.
    let is_own = path.exists() && !(path.is_dir() && catalog::scenario_text(file).is_some());
    let (mut source, base) = if is_own {
        (Source::read(path)?, path.parent().unwrap_or(Path::new("")).to_owned())
    } else if let Some(text) = catalog::scenario_text(file) {
        (Source::embedded(file, text), PathBuf::new())
    } else {
        return Err(no_such_scenario(file, path));
    };
    for assignment in sets {
        source = source.set(assignment)?;
    }
    let catalog = catalog(is_own.then_some(path), folders)?;
    checked(source, catalog, base, |_| {})
}

/// Reads and checks a scenario's text, after `change`. Files that it names are sought from `base` on.
///
/// # Errors
/// What is wrong with it, with its place.
pub fn checked(
    source: Source,
    catalog: Catalog,
    base: PathBuf,
    change: impl FnOnce(&mut Scenario),
) -> Result<Loaded, Report> {
    let mut scenario = scenario::read(&source)?;
    change(&mut scenario);
    let files = Files::at(base).with_embedded(catalog::file);
    let warnings = check::check(&scenario, &catalog, &source, &files).into_result()?;
    Ok(Loaded {
        source,
        scenario: Arc::new(scenario),
        catalog: Arc::new(catalog),
        files,
        warnings,
        scripts: script::Options::default(),
    })
}

/// Expectations that name what the run does not have.
pub fn dangling(loaded: &Loaded, plan: &Plan) -> Report {
    let mut report = Report::default();
    let watched: Vec<expect::Watched<'_>> =
        loaded.scenario.mirror.iter().map(|m| (m.twin.as_str(), assemble::events(loaded, m))).collect();
    for d in expect::dangling(&loaded.scenario.expect, &plan.signals, &watched) {
        let span = loaded.source.span_of_text(&format!("expect[{}]", d.index), &d.word);
        report.push(Diagnostic::error(d.message).at(&loaded.source, span, "").maybe_help(d.help));
    }
    report
}

/// Expectations that the merge of this run's shards could not judge.
pub fn unrecorded(loaded: &Loaded, plan: &Plan) -> Report {
    let mut report = Report::default();
    for (i, signal) in
        expect::unrecorded(&loaded.scenario.expect, &loaded.scenario.record.signals, &plan.signals)
    {
        let span = loaded.source.head(loaded.source.span_of(&format!("expect[{i}]")));
        let text = format!("`merge` cannot judge this: {signal} is not recorded");
        let help = "add it to `record: (signals: […])`";
        report.push(Diagnostic::warning(text).at(&loaded.source, span, "").help(help));
    }
    report
}

fn no_such_scenario(file: &str, path: &Path) -> Report {
    let shipped = catalog::scenarios();
    let beside = match Source::read(path) {
        Err(report) => report.items().first().and_then(|d| d.help_text().map(str::to_owned)),
        Ok(_) => None,
    };
    let names = format!("scenarios that come with the program: {}", shipped.join(", "));
    let near = near(file, shipped.iter().copied()).filter(|help| help.starts_with("did"));
    Diagnostic::error(format!("there is no file `{file}`")).help(near.or(beside).unwrap_or(names)).into()
}
