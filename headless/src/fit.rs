//! `twinfleet fit`: calibrates a thing's dynamics against recordings, and simulates what was held out.

pub(crate) mod data;
mod picture;
mod print;

use crate::table::{self, ReadingArgs};
use clap::Args as ClapArgs;
use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside,
    catalog::ThingDef,
    dynamics::{
        DynamicsDef,
        fit::{Dataset, FitError, Global, Report as Fitted, Settings, fit, pool},
        params::Params,
    },
    scenario::{
        definition,
        diagnostic::{Diagnostic, Report, near},
        recording::Table,
        source::Source,
    },
};
use twinfleet_twins::catalog;

/// Calibrate a thing's dynamics against recordings.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Thing of the catalog, or a file that defines one.
    #[arg(long, value_name = "NAME|FILE.ron")]
    pub thing: String,
    /// Folder of more definitions.
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Recordings to fit on.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Recordings that are held out whole.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "train_fraction")]
    pub test: Vec<PathBuf>,
    /// Share of each recording's rows that is fitted; the rest is held out.
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    pub train_fraction: f64,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Signal of the thing and the column that holds it.
    #[arg(long, value_name = "SIGNAL=COL[:UNIT]", required = true, num_args = 1..)]
    pub map: Vec<String>,
    /// Covariate or constant input of a recording; `*` for all of them.
    #[arg(long = "const", value_name = "FILE:NAME=VALUE", num_args = 1..)]
    pub constants: Vec<String>,
    /// How much of a test recording its state is estimated from, [s].
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    pub warmup: f64,
    /// Starting points.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub starts: usize,
    /// Seed of the starting points.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// How the best valley is looked for, before least squares descend into it.
    #[arg(long, value_enum, default_value = "multistart")]
    pub global: Search,
    /// Parameters, or priors pooled over a fleet, that an earlier fit wrote: what is believed before these recordings.
    #[arg(long, value_name = "FILE.ron")]
    pub params: Option<PathBuf>,
    /// Where the fitted parameters go.
    #[arg(long, value_name = "FILE.ron")]
    pub out: Option<PathBuf>,
    /// Take each recording as a device of its own, and write the prior of a device not seen yet: mean and spread of each
    /// parameter from unit to unit.
    #[arg(long, value_name = "FILE.ron")]
    pub pool: Option<PathBuf>,
    /// Folder for a page with measured and simulated values and the parameters' profiles.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Where measured and simulated values go, row by row.
    #[arg(long, value_name = "FILE.csv")]
    pub trace: Option<PathBuf>,
}

/// How the best valley is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Search {
    /// From `--starts` points drawn from the priors.
    Multistart,
    /// From where CMA-ES, an evolution strategy, comes to; and from those points.
    CmaEs,
}

/// Why the command failed.
#[derive(Debug)]
pub enum Failure {
    /// Bad flags, files or figures: exit 2.
    Input(Report),
    /// A file could not be written: exit 3.
    Outside(Report),
}

impl From<Report> for Failure {
    fn from(report: Report) -> Self {
        Self::Input(report)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Input(diagnostic.into())
    }
}

/// Fits, writes the files that were asked for, and prints the figures, as one JSON object where
/// `json` says so. Returns warnings about the recordings.
///
/// # Errors
/// [`Failure::Input`] when flags, the thing or a recording cannot be used; [`Failure::Outside`] when a file cannot be
/// written.
pub fn run(args: &Args, json: bool, out: &mut dyn Write) -> Result<Report, Failure> {
    if !(args.train_fraction > 0.0 && args.train_fraction <= 1.0) {
        let error = Diagnostic::error("--train-fraction must be above 0 and at most 1");
        return Err(error.help("0.6 fits the first 60 % of each recording and holds out the rest").into());
    }
    if !(args.warmup.is_finite() && args.warmup >= 0.0) {
        return Err(Diagnostic::error("--warmup must be a number of seconds, 0 or more").into());
    }
    let (name, mut def) = dynamics(&args.thing, args.catalog.as_deref())?;
    let mut warnings = Report::default();
    twice(args, &mut warnings)?;
    let flags = data::Flags {
        reading: &args.reading,
        map: &args.map,
        constants: &args.constants,
        files: args.data.iter().chain(&args.test).map(PathBuf::as_path).collect(),
    };
    def = flags.told(&def);
    if let Some(path) = &args.params {
        def = believed(path, &def)?;
    }
    let mut tables: Vec<Table> = Vec::new();
    let mut read = |paths: &[PathBuf], warnings: &mut Report| -> Result<Vec<Dataset>, Report> {
        let recorded = data::read_all(&flags, paths, &def, warnings)?;
        Ok(recorded
            .into_iter()
            .map(|r| {
                tables.push(r.table);
                r.data
            })
            .collect())
    };
    let train = read(&args.data, &mut warnings)?;
    let test = read(&args.test, &mut warnings)?;
    long_enough(&test, args.warmup)?;
    data::widen(&mut def, train.iter().chain(&test), &mut warnings);
    let settings = Settings {
        train_fraction: args.train_fraction,
        starts: args.starts,
        seed: args.seed,
        warmup_s: args.warmup,
        global: match args.global {
            Search::Multistart => Global::Multistart,
            Search::CmaEs => Global::CmaEs,
        },
        profiled: true,
        ..Settings::default()
    };
    let refused = |e: FitError| Diagnostic::error(e.to_string()).help("see `twinfleet fit --help`");
    let report = fit(&name, &def, &train, &test, &settings).map_err(refused)?;
    if let Some(path) = &args.pool {
        let pooled = pool(&name, &def, &train, &settings).map_err(refused)?;
        write_whole(path, pooled.to_ron().as_bytes())?;
    }
    if let Some(dir) = &args.report {
        fs::create_dir_all(dir).map_err(|e| outside(&format!("`{}`", dir.display()), &e))?;
        write_whole(&dir.join("fit.html"), picture::page(&name, &report).as_bytes())?;
    }
    if let Some(path) = &args.out {
        write_whole(path, report.params.to_ron().as_bytes())?;
    }
    if let Some(path) = &args.trace {
        write_whole(path, trace(&report, &tables).as_bytes())?;
    }
    let text = if json { print::json(&report, &def) } else { print::table(&report, &def) };
    out.write_all(text.as_bytes()).map_err(|e| outside("standard output", &e))?;
    Ok(warnings)
}

/// A recording that is fitted twice would count for two, and one that was fitted is no test.
fn twice(args: &Args, warnings: &mut Report) -> Result<(), Failure> {
    let own = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let mut fitted = BTreeSet::new();
    for path in &args.data {
        if !fitted.insert(own(path)) {
            let error = Diagnostic::error(format!("`{}` is given twice to --data", path.display()));
            return Err(error.help("its readings would count for twice as many: name it once").into());
        }
    }
    for path in args.test.iter().filter(|path| fitted.contains(&own(path))) {
        let text = format!("`{}` is fitted, and tested on as well", path.display());
        let help = "what is told of it as held out was seen: name a recording that is not among --data";
        warnings.push(Diagnostic::warning(text).help(help));
    }
    Ok(())
}

/// A recording to test on has to go on beyond what its state is estimated from.
fn long_enough(test: &[Dataset], warmup_s: f64) -> Result<(), Failure> {
    for d in test {
        let rows = d.t_s.partition_point(|t| *t < warmup_s).max(1);
        if rows >= d.t_s.len() {
            let text = format!(
                "{}: its {} rows end within the first {warmup_s} s, from which its state is estimated",
                d.name,
                d.t_s.len()
            );
            return Err(Diagnostic::error(text).help("give a longer recording, or less of --warmup").into());
        }
    }
    Ok(())
}

/// The network with what an earlier fit found.
pub(crate) fn believed(path: &Path, def: &DynamicsDef) -> Result<DynamicsDef, Failure> {
    let bad = |why: String| {
        Diagnostic::error(format!("{}: {why}", path.display()))
            .help("a parameter file is what `twinfleet fit --out` or `--pool` writes for the same thing")
    };
    let text = fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let params = Params::from_ron(&text).map_err(|e| bad(e.to_string()))?;
    Ok(params.applied_to(def).map_err(|e| bad(e.to_string()))?)
}

/// A thing's name and its dynamics, by its name in the catalog or from a file.
pub(crate) fn dynamics(thing: &str, folder: Option<&Path>) -> Result<(String, DynamicsDef), Failure> {
    let file = Path::new(thing);
    let found: ThingDef = if file.extension().is_some_and(|e| e == "ron") {
        definition::read(&Source::read(file)?)?
    } else {
        let mut all = catalog::builtin()?;
        if let Some(dir) = folder {
            catalog::load_dir(&mut all, dir)?;
        }
        let found = all.things.remove(thing);
        found.ok_or_else(|| {
            let known = all.things.keys().map(String::as_str);
            Diagnostic::error(format!("there is no thing `{thing}`"))
                .help("name one of `twinfleet list things`, or a file that ends in .ron")
                .maybe_help(near(thing, known))
        })?
    };
    let def = found.dynamics.ok_or_else(|| {
        Diagnostic::error(format!("`{}` has no dynamics to fit", found.name)).help("give it `dynamics: (…)`")
    })?;
    Ok((found.name, def))
}

/// Row by row: seconds from each recording's first row, and in the last column the time as its table writes it.
fn trace(report: &Fitted, tables: &[Table]) -> String {
    let mut text = String::from("file,time,signal,measured,simulated,part,written\n");
    for r in &report.trace {
        // A missing reading is an empty cell.
        let measured = if r.measured.is_finite() { r.measured.to_string() } else { String::new() };
        let (file, signal) = (quoted(&report.files[r.file]), &report.signals[r.output]);
        let written = table::row_text(&tables[r.file], r.row);
        text +=
            &format!("{file},{},{signal},{measured},{},{},{written}\n", r.t_s, r.simulated, r.part.name());
    }
    text
}

pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

pub(crate) fn outside(what: &str, error: &io::Error) -> Failure {
    Failure::Outside(Diagnostic::error(format!("cannot write {what}: {error}")).into())
}

/// Beside first, then renamed: no reader ever sees half a file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    aside::write_whole(path, bytes).map_err(|e| outside(&format!("`{}`", path.display()), &e))
}

#[cfg(test)]
mod tests;
