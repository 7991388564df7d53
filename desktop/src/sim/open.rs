//! A scenario, a record or a mirror that is ready to be looked at: read, checked, resolved.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::{
    plan::Plan,
    record::{Record, RecordError},
    scenario::{
        self,
        diagnostic::{Diagnostic, Report},
        files::Files,
        source::Source,
    },
};
use twinfleet_twins::{
    catalog,
    loaded::{self, Loaded},
    mirror::scope::twins_alone,
    script,
};

/// Where what is looked at comes from.
#[derive(Clone)]
pub enum Origin {
    /// It is simulated.
    Run,
    /// It was simulated, and is read from a record.
    Record(Arc<Record>),
    /// Real devices tell it.
    Live {
        /// The broker's URL.
        broker: String,
    },
}

/// A scenario with all that a run of it takes.
#[derive(Clone)]
pub struct Opened {
    /// What the title shows: the file's name without its ending, or the record's folder.
    pub title: String,
    /// The path or the name that it was opened by.
    pub file: String,
    /// Folders of `--catalog`.
    pub folders: Vec<PathBuf>,
    /// What was read.
    pub loaded: Arc<Loaded>,
    /// Resolved against the catalog.
    pub plan: Arc<Plan>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Opened {
    /// Opens the file of this path, the record in this folder, or the shipped scenario of this name; `sets` are `path=value`
    /// overrides. A seed in place of the scenario's own is one of them: the text has it, so that a saved session replays.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn file(file: &str, sets: &[String], seed: Option<u64>, folders: &[PathBuf]) -> Result<Self, Report> {
        if let Some(dir) = record_folder(Path::new(file)) {
            if let Some(set) = sets.first() {
                let error = Diagnostic::error(format!("{file} is a record: `--set {set}` cannot change it"));
                return Err(error.help("leave `--set` out, or run the scenario anew").into());
            }
            return Self::record(&dir, folders);
        }
        let sets: Vec<String> = sets.iter().cloned().chain(seed.map(of_seed)).collect();
        let loaded = loaded::scenario(file, &sets, folders)?;
        Self::of(file, folders, loaded, Origin::Run)
    }

    /// Opens the record in a folder.
    ///
    /// # Errors
    /// What is wrong with it: the file that is damaged, or what its scenario names and is not to be had.
    pub fn record(dir: &Path, folders: &[PathBuf]) -> Result<Self, Report> {
        let record = Record::open(dir).map_err(|e| refused(&e))?;
        let header = &record.manifest.header;
        let source = Source::embedded(&format!("{}: scenario", dir.display()), &header.scenario);
        let scenario = scenario::read(&source)?;
        let catalog = loaded::catalog(None, folders)?;
        let (seed, shard) = (header.seed, header.shard);
        // The run has passed the checks, maybe with files that are not here: a record needs none of them.
        let loaded = Loaded {
            source,
            scenario: Arc::new(scenario),
            catalog: Arc::new(catalog),
            files: Files::at(dir.parent().unwrap_or(Path::new(""))).with_embedded(catalog::file),
            warnings: Report::default(),
            scripts: script::Options::default(),
        };
        let base = loaded.files.base().to_owned();
        let plan = Plan::new(loaded.scenario.clone(), loaded.catalog.clone(), base, seed, shard);
        let plan = plan.map_err(|e| {
            let error = Diagnostic::error(format!("{}: {e}", dir.display()));
            Report::from(error.help("it ran with a catalog of its own: name its folder by `--catalog`"))
        })?;
        Ok(Self {
            // A folder's name has no ending: what stands behind a point tells it from the next.
            title: dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned(),
            file: dir.display().to_string(),
            folders: folders.to_vec(),
            loaded: Arc::new(loaded),
            plan: Arc::new(plan),
            origin: Origin::Record(Arc::new(record)),
        })
    }

    /// Opens a scenario whose twins follow real devices on this broker; its time begins at `now_unix_ms`.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub fn mirror(
        file: &str,
        broker: &str,
        sets: &[String],
        folders: &[PathBuf],
        now_unix_ms: i64,
    ) -> Result<Self, Report> {
        let mut loaded = loaded::scenario(file, sets, folders)?;
        if loaded.scenario.mirror.is_empty() {
            let error = Diagnostic::error(format!("{file}: it has no `mirror` section"));
            return Err(error
                .help("there is nobody to follow; open it without `--mirror` to simulate it")
                .into());
        }
        twins_alone(&mut loaded, now_unix_ms);
        Self::of(file, folders, loaded, Origin::Live { broker: broker.to_owned() })
    }

    /// The scenario of a record, to be simulated anew and acted on.
    ///
    /// # Errors
    /// What it names and is not to be had here, with its place.
    pub fn anew(&self) -> Result<Self, Report> {
        let source = self.replayed()?;
        let catalog = loaded::catalog(None, &self.folders)?;
        let loaded = loaded::checked(source, catalog, self.loaded.files.base().to_owned(), |_| {})?;
        Self::of(&self.title, &self.folders, loaded, Origin::Run).map(|o| o.scripted(&self.loaded.scripts))
    }

    /// The same, its scripts run so.
    #[must_use]
    pub fn scripted(mut self, options: &script::Options) -> Self {
        // Nobody else has it yet.
        if let Some(loaded) = Arc::get_mut(&mut self.loaded) {
            loaded.scripts.clone_from(options);
        }
        self
    }

    /// The same scenario with another text, such as one with more on its timeline.
    ///
    /// # Errors
    /// What is wrong with the text, with its place.
    pub fn with_text(&self, text: &str) -> Result<Self, Report> {
        let source = Source::embedded(self.loaded.source.name(), text);
        let beside = Path::new(&self.file);
        let catalog = loaded::catalog(beside.is_file().then_some(beside), &self.folders)?;
        let base = self.loaded.files.base().to_owned();
        let loaded = loaded::checked(source, catalog, base, |_| {})?;
        Self::of(&self.file, &self.folders, loaded, Origin::Run).map(|o| o.scripted(&self.loaded.scripts))
    }

    fn of(file: &str, folders: &[PathBuf], loaded: Loaded, origin: Origin) -> Result<Self, Report> {
        let scenario = Arc::clone(&loaded.scenario);
        let seed = scenario.seed;
        let base = loaded.files.base().to_owned();
        let plan = Plan::new(scenario, Arc::clone(&loaded.catalog), base, seed, (0, 1))
            .map_err(|e| Report::from(Diagnostic::error(e.to_string())))?;
        loaded::dangling(&loaded, &plan).into_result()?;
        Ok(Self {
            title: title(file),
            file: file.to_owned(),
            folders: folders.to_vec(),
            loaded: Arc::new(loaded),
            plan: Arc::new(plan),
            origin,
        })
    }

    /// What a seed asks for is had: a record was made with one, which stays.
    ///
    /// # Errors
    /// Of a record of another seed, that it cannot be changed.
    pub fn not_reseeded(&self, seed: Option<u64>) -> Result<(), String> {
        match (&self.origin, seed) {
            (Origin::Record(record), Some(seed)) if record.manifest.header.seed != seed => Err(format!(
                "{} is a record of seed {}: `--seed {seed}` cannot change it; leave it out, or run the scenario anew",
                self.file, record.manifest.header.seed
            )),
            _ => Ok(()),
        }
    }

    /// The scenario's text, with the seed of the record where it is another than the scenario's own.
    pub(super) fn replayed(&self) -> Result<Source, Report> {
        let source = Source::embedded(self.loaded.source.name(), self.text());
        match &self.origin {
            Origin::Record(record) if record.manifest.header.seed != self.loaded.scenario.seed => {
                source.set(&of_seed(record.manifest.header.seed))
            }
            _ => Ok(source),
        }
    }

    /// The scenario's text as it stands, with what was done added to its timeline.
    pub fn text(&self) -> &str {
        self.loaded.source.text()
    }
}

/// As `--set` writes it.
fn of_seed(seed: u64) -> String {
    format!("seed={seed}")
}

fn title(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(|| file.to_owned(), |s| s.to_string_lossy().into())
}

/// The folder of a record, if this is one, or a file of one. A folder that is none does not hide the scenario of its name that
/// comes with the program.
fn record_folder(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        let shipped = path.to_str().is_some_and(|name| catalog::scenario_text(name).is_some());
        return (!shipped || path.join("manifest.json").is_file()).then(|| path.to_owned());
    }
    let beside = |up: usize| path.ancestors().nth(up).filter(|dir| dir.join("manifest.json").is_file());
    let is = |name: &str| path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(name));
    let found = if is("manifest.json") { beside(1) } else { beside(2).filter(|_| is(".parquet")) };
    found.filter(|_| path.is_file()).map(Path::to_owned)
}

fn refused(error: &RecordError) -> Report {
    Diagnostic::error(error.to_string()).maybe_help(error.help().map(str::to_owned)).into()
}

/// Names of the shipped scenarios and what they show.
pub fn shipped() -> Vec<(&'static str, String)> {
    let about = |name: &str| {
        let source = Source::embedded(name, catalog::scenario_text(name).unwrap_or_default());
        source.tree().get("about").and_then(|n| n.text()).unwrap_or_default().to_owned()
    };
    catalog::scenarios().into_iter().map(|name| (name, about(name))).collect()
}
