//! `twinfleet fit`: calibrates a thing's dynamics against recordings, and simulates what was held out.

mod data;
mod print;

use clap::Args as ClapArgs;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    catalog::ThingDef,
    dynamics::{
        DynamicsDef,
        fit::{Report as Fitted, Settings, fit},
    },
    scenario::{
        definition,
        diagnostic::{Diagnostic, Report, near},
        source::Source,
    },
    time::Span,
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
    /// Column of time: a name or `#N`.
    #[arg(long, value_name = "COL", required_unless_present = "period")]
    pub time: Option<String>,
    /// Unit of a numeric time column: s, ms, us or ns.
    #[arg(long, value_name = "UNIT")]
    pub time_unit: Option<String>,
    /// Spacing of the rows where there is no time column.
    #[arg(long, value_name = "DURATION", conflicts_with = "time")]
    pub period: Option<Span>,
    /// The first line holds no names.
    #[arg(long)]
    pub no_header: bool,
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
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub starts: usize,
    /// Seed of the starting points.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Where the fitted parameters go.
    #[arg(long, value_name = "FILE.ron")]
    pub out: Option<PathBuf>,
    /// Where measured and simulated values go, row by row.
    #[arg(long, value_name = "FILE.csv")]
    pub trace: Option<PathBuf>,
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
    let (name, def) = dynamics(args)?;
    let mut warnings = Report::default();
    let train = data::read_all(args, &args.data, &def, &mut warnings)?;
    let test = data::read_all(args, &args.test, &def, &mut warnings)?;
    let settings = Settings {
        train_fraction: args.train_fraction,
        starts: args.starts,
        seed: args.seed,
        warmup_s: args.warmup,
        ..Settings::default()
    };
    let report = fit(&name, &def, &train, &test, &settings)
        .map_err(|e| Diagnostic::error(e.to_string()).help("see `twinfleet fit --help`"))?;
    if let Some(path) = &args.out {
        write_whole(path, report.params.to_ron().as_bytes())?;
    }
    if let Some(path) = &args.trace {
        write_whole(path, trace(&report).as_bytes())?;
    }
    let text = if json { print::json(&report) } else { print::table(&report, &def) };
    out.write_all(text.as_bytes()).map_err(|e| outside("standard output", &e))?;
    Ok(warnings)
}

fn dynamics(args: &Args) -> Result<(String, DynamicsDef), Failure> {
    let file = Path::new(&args.thing);
    let thing: ThingDef = if file.extension().is_some_and(|e| e == "ron") {
        definition::read(&Source::read(file)?)?
    } else {
        let mut all = catalog::builtin()?;
        if let Some(dir) = &args.catalog {
            catalog::load_dir(&mut all, dir)?;
        }
        let found = all.things.remove(&args.thing);
        found.ok_or_else(|| {
            let known = all.things.keys().map(String::as_str);
            Diagnostic::error(format!("there is no thing `{}`", args.thing))
                .help("name one of `twinfleet list things`, or a file that ends in .ron")
                .maybe_help(near(&args.thing, known))
        })?
    };
    let def = thing.dynamics.ok_or_else(|| {
        Diagnostic::error(format!("`{}` has no dynamics to fit", thing.name)).help("give it `dynamics: (…)`")
    })?;
    Ok((thing.name, def))
}

fn trace(report: &Fitted) -> String {
    let mut text = String::from("file,time,signal,measured,simulated,part\n");
    for r in &report.trace {
        // A missing reading is an empty cell.
        let measured = if r.measured.is_finite() { r.measured.to_string() } else { String::new() };
        let (file, signal) = (quoted(&report.files[r.file]), &report.signals[r.output]);
        text += &format!("{file},{},{signal},{measured},{},{}\n", r.t_s, r.simulated, r.part.name());
    }
    text
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

fn outside(what: &str, error: &io::Error) -> Failure {
    Failure::Outside(Diagnostic::error(format!("cannot write {what}: {error}")).into())
}

/// Beside first, then renamed: no reader ever sees half a file.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".part");
    let aside = PathBuf::from(aside);
    let written = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, path));
    written.map_err(|e| {
        // Whatever was written of it is of no use; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&aside);
        outside(&format!("`{}`", path.display()), &e)
    })
}

#[cfg(test)]
mod tests;
