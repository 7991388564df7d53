//! A scenario that is ready to run: read, checked, resolved.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::{
    plan::Plan,
    scenario::{
        diagnostic::{Diagnostic, Report},
        source::Source,
    },
};
use twinfleet_twins::{
    catalog,
    loaded::{self, Loaded},
};

/// A scenario with all that a run of it takes.
#[derive(Clone)]
pub struct Opened {
    /// What the title shows: the file's name without its ending.
    pub title: String,
    /// The path or the name that it was opened by.
    pub file: String,
    /// Folders of `--catalog`.
    pub folders: Vec<PathBuf>,
    /// What was read.
    pub loaded: Arc<Loaded>,
    /// Resolved against the catalog.
    pub plan: Arc<Plan>,
    /// Seed in place of the scenario's own.
    pub seed: Option<u64>,
}

impl Opened {
    /// Opens the file of this path, or the shipped scenario of this name; `sets` are `path=value` overrides.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn file(file: &str, sets: &[String], seed: Option<u64>, folders: &[PathBuf]) -> Result<Self, Report> {
        let loaded = loaded::scenario(file, sets, folders)?;
        Self::of(file, seed, folders, loaded)
    }

    /// The same scenario with another text, such as one with more on its timeline.
    ///
    /// # Errors
    /// What is wrong with the text, with its place.
    pub fn with_text(&self, text: &str) -> Result<Self, Report> {
        let source = Source::embedded(self.loaded.source.name(), text);
        let beside = Path::new(&self.file);
        let catalog = loaded::catalog(beside.exists().then_some(beside), &self.folders)?;
        let base = self.loaded.files.base().to_owned();
        let loaded = loaded::checked(source, catalog, base, |_| {})?;
        Self::of(&self.file, self.seed, &self.folders, loaded)
    }

    fn of(file: &str, seed: Option<u64>, folders: &[PathBuf], loaded: Loaded) -> Result<Self, Report> {
        let scenario = Arc::clone(&loaded.scenario);
        let seed_used = seed.unwrap_or(scenario.seed);
        let base = loaded.files.base().to_owned();
        let plan = Plan::new(scenario, Arc::clone(&loaded.catalog), base, seed_used, (0, 1))
            .map_err(|e| Report::from(Diagnostic::error(e.to_string())))?;
        loaded::dangling(&loaded, &plan).into_result()?;
        let title =
            Path::new(file).file_stem().map_or_else(|| file.to_owned(), |s| s.to_string_lossy().into());
        Ok(Self {
            title,
            file: file.to_owned(),
            folders: folders.to_vec(),
            loaded: Arc::new(loaded),
            plan: Arc::new(plan),
            seed,
        })
    }

    /// The scenario's text as it stands, with what was done added to its timeline.
    pub fn text(&self) -> &str {
        self.loaded.source.text()
    }
}

/// Names of the shipped scenarios and what they show.
pub fn shipped() -> Vec<(&'static str, String)> {
    let about = |name: &str| {
        let source = Source::embedded(name, catalog::scenario_text(name).unwrap_or_default());
        source.tree().get("about").and_then(|n| n.text()).unwrap_or_default().to_owned()
    };
    catalog::scenarios().into_iter().map(|name| (name, about(name))).collect()
}
