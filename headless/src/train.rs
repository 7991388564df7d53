//! `twinfleet train`: trains a network on a table, keeps it in files, and shows it beside what it has to beat.

use crate::{
    exit::{Exit, Failure, say},
    load_files,
    score::forecast::{figures::Figures, walk},
    series_args::{Read, SeriesArgs},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside::Aside,
    scenario::diagnostic::{Diagnostic, Report},
};
use twinfleet_twins::predictors::{
    self, Model,
    network::{Forecaster, Kind, Settings},
};

/// What `--help` shows below the options.
pub const AFTER: &str = "\
Examples:
  # how warm a processor will be, from its load and temperature so far
  twinfleet train --data pi.csv --time datetime --target temp --inputs usage \\
      --horizons 60,300 --train-until 2500 --arch gru --no-calendar \\
      --out pi.json
  # then, on a recording that it was not trained on
  twinfleet score forecast --data other.csv --time datetime --target temp \\
      --inputs usage --horizons 60,300 --train-until 600 --model pi.json

It writes the head (OUT, in JSON) and the weights beside it (safetensors), and
prints the errors of the network, of ridge regression and of persistence on
the rows behind --train-until (and --validate-until). A twin takes it with
`mirror: [(…, predictor: (file: \"pi.json\", map: {\"temp\":
\"soc.temperature\", \"usage\": \"cpu.load\"}))]`.

The same table, flags and seed leave the same files on the same machine.

Exit codes:
  0 trained    2 bad input    3 a file could not be written";

/// Forecasts of each model that are judged at most.
const JUDGED: usize = 1500;

/// Options of `train`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    #[command(flatten)]
    series: SeriesArgs,
    /// Shape of the network: gru, tcn or mixer.
    #[arg(long, value_name = "NAME", default_value = "gru", value_parser = parse_kind)]
    pub arch: Kind,
    /// Rows that it looks back. Default: two days of them, or 128.
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub look_back: Option<u32>,
    /// Width of its layers.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub hidden: u32,
    /// Times that all samples are gone through at most.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub epochs: u32,
    /// Seed of initial weights and shuffles.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Do not let it see the hour and the day of the week (a twin's network must not).
    #[arg(long)]
    pub no_calendar: bool,
    /// Where its head goes; the weights go beside it.
    #[arg(long, value_name = "OUT.json")]
    pub out: PathBuf,
}

fn parse_kind(name: &str) -> Result<Kind, String> {
    Kind::find(name).ok_or_else(|| "write gru, tcn or mixer".to_owned())
}

/// Trains, writes and prints.
pub fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let Read { table, task, parts, names } = args.series.read().map_err(|r| load_files::refused(&r))?;
    eprint!("{}", table.notes.warnings.render(load_files::style()));
    if args.out.extension().is_none_or(|e| e != "json") {
        let error = Diagnostic::error(format!("`{}` does not end in .json", args.out.display()));
        return Err(load_files::refused(
            &error.help("that is how `--model` tells a file from a name").into(),
        ));
    }
    let rows = task.series.row_slots();
    let mut settings = Settings::new(args.arch, names);
    settings.look_back = args.look_back.map(|l| l as usize);
    settings.hidden = args.hidden as usize;
    settings.epochs = args.epochs as usize;
    settings.seed = args.seed;
    settings.calendar = !args.no_calendar;
    settings.validate_from = (parts.test > parts.train).then(|| rows[parts.train - 1] + 1);
    let mut forecaster = Forecaster::untrained(settings);
    forecaster.fit(&task, rows[parts.test - 1] + 1);
    let refuse = |why: String| load_files::refused(&Report::from(Diagnostic::error(why)));
    let failed = forecaster.about();
    let Some(network) = forecaster.network_mut() else { return Err(refuse(failed)) };
    let weights = args.out.with_extension("safetensors");
    network.head.weights = weights.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let (head, bytes) =
        network.head_text().and_then(|h| Ok((h, network.weights()?))).map_err(|e| refuse(e.to_string()))?;
    write(&weights, &bytes)?;
    write(&args.out, head.as_bytes())?;

    let every = ((rows.len() - parts.test) / JUDGED).max(1);
    let settings = walk::Settings { parts, every, interval: 0.9, frozen: true, drawn: false };
    let sheet = walk::Sheet::new(&table, &task, parts.train);
    let about = forecaster.about();
    let mut all: Vec<(&str, Figures)> = Vec::new();
    for (name, model) in [("persistence", None), ("ridge", None), (args.arch.name(), Some(forecaster))] {
        let mut model: Box<dyn Model> = match model {
            Some(network) => Box::new(network),
            None => predictors::find(name, &task).ok_or_else(|| refuse(format!("no forecaster {name}")))?,
        };
        let figures = walk::walk(&task, model.as_mut(), &settings, &sheet, None, &mut None);
        all.push((name, figures.map_err(Failure::outside)?));
    }
    if json {
        let object = serde_json::json!({
            "head": args.out, "weights": weights, "about": about,
            "mae": all.iter().map(|(name, f)| ((*name).to_owned(), f.errors())).collect::<std::collections::BTreeMap<_, _>>(),
        });
        say(format_args!("{}", serde_json::to_string_pretty(&object).unwrap_or_default()));
        return Ok(Exit::Ok);
    }
    say(format_args!("{about}\nheld out: {} rows behind row {}\n", rows.len() - parts.test, parts.test));
    Figures::print_beside(&all);
    say(format_args!("\nwritten: {} and {}", args.out.display(), weights.display()));
    Ok(Exit::Ok)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let written = Aside::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.finish()
    });
    written.map_err(|e| Failure::outside(format!("cannot write `{}`: {e}", path.display())))
}

#[cfg(test)]
#[test]
fn help_fits_a_terminal() {
    assert!(AFTER.lines().all(|line| line.chars().count() <= 80), "{AFTER}");
}
