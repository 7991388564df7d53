//! From the command line's names to a scenario, its catalog and its files.

use crate::exit::Failure;
use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::{
    catalog::Catalog,
    expect,
    plan::Plan,
    scenario::{
        self, Scenario, calendar, check,
        diagnostic::{Diagnostic, Report, Style, near},
        files::Files,
        source::Source,
    },
};
use twinfleet_twins::{catalog, script};

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

/// How diagnostics look on standard error.
pub fn style() -> Style {
    if std::io::stderr().is_terminal() {
        let width = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok()).unwrap_or(110);
        Style::Fancy { width, color: std::env::var_os("NO_COLOR").is_none() }
    } else {
        Style::Plain
    }
}

/// Bad input, with everything that is wrong with it.
pub fn refused(report: &Report) -> Failure {
    Failure::input(report.render(style()))
}

/// The built-in catalog, what lies next to `scenario`, and the folders of `--catalog`, later ones first in rank.
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

/// Reads and checks the scenario of this path, or of this name among those that come with the program.
pub fn scenario(file: &str, sets: &[String], folders: &[PathBuf]) -> Result<Loaded, Report> {
    let path = Path::new(file);
    let (mut source, base) = if path.exists() {
        (Source::read(path)?, path.parent().unwrap_or(Path::new("")).to_owned())
    } else if let Some(text) = catalog::scenario_text(file) {
        (Source::embedded(file, text), PathBuf::new())
    } else {
        return Err(no_such_scenario(file, path));
    };
    for assignment in sets {
        source = source.set(assignment)?;
    }
    let catalog = catalog(path.exists().then_some(path), folders)?;
    checked(source, catalog, base, |_| {})
}

/// Reads and checks a scenario's text, after `change`.
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

/// The same scenario, begun now: what its devices say is stamped as real ones would stamp it.
pub fn starting_now(loaded: &mut Loaded) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let mut scenario = Scenario::clone(&loaded.scenario);
    scenario.start = Some(calendar::text(since.as_nanos() as i64));
    loaded.scenario = Arc::new(scenario);
}

/// Expectations that name what the run does not have.
pub fn dangling(loaded: &Loaded, plan: &Plan) -> Report {
    let mut report = Report::default();
    for d in expect::dangling(&loaded.scenario.expect, &plan.signals) {
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
