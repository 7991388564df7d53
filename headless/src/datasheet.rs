//! `twinfleet datasheet`: what a catalog file states against what its model gives on the bench.

pub(crate) mod plot;
mod sheet;

use crate::{
    exit::{Exit, Failure, say},
    load_files,
    report::words::figure,
};
use sheet::Said;
use std::{fs, path::Path, path::PathBuf};
use twinfleet_engine::{
    catalog::{AdcDef, Catalog},
    scenario::diagnostic::near,
};
use twinfleet_twins::datasheet::{self, Compared, Effort};

const AFTER: &str = "\
The part is put on a bench: many units of it, each drawn with its own errors, are read through the
whole pipeline (lag, hysteresis, noise, drift, saturation, quantisation, timing, supply): held still,
swept through their range, stepped, warmed, and left on the shelf for ten years. What comes out stands
beside what the file in the catalog states.

Examples:
  twinfleet datasheet bme280
  twinfleet datasheet mpu6050 --plot out/     Allan deviation and step response as SVG
  twinfleet datasheet esp32-devkit --plot out/     what its converter makes of a voltage, in each of its ranges
  twinfleet datasheet my-probe --catalog my/  a part of your own
  twinfleet datasheet esp32-devkit --json

How to read a line:
  quantum          the step between readings
  noise_std        noise of one reading, rounding included; white_std is without it
  offset_std       spread over units at the usual operating point; zero_std at the quantity's zero
  gain_std         spread of the units' slopes
  drift_per_year   spread of the units' drifts
  hysteresis       full width of the loop
  tau63            time to show 63 % of a jump
  ±                one standard error of the measurement
  datasheet        what the part's datasheet says of that figure, in the same terms (an accuracy taken as
                   two standard deviations is halved), where it was written down; --json says document and page
  file             what the file in the catalog states

Exit code 1 says that a measured figure is not what the file states, or is beyond a limit of the datasheet
by more than four standard errors of the measurement.";

/// Options of `datasheet`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Sensor, board or actuator of the catalog; see `twinfleet list sensors`.
    pub part: String,
    /// Draw Allan deviations and step responses of a sensor's channels, how an actuator follows, or what a board's converter
    /// makes of a voltage, into this folder, as SVG.
    #[arg(long, value_name = "DIR")]
    pub plot: Option<PathBuf>,
    /// Units on the bench. More tell spreads over units more closely.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u32).range(20..=5000))]
    pub units: u32,
    /// Seed that the units are drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
}

/// Measures a part and prints the table.
pub fn run(args: Args, json: bool) -> Result<Exit, Failure> {
    let all = load_files::catalog(None, &args.catalog).map_err(|r| load_files::refused(&r))?;
    let (about, source) = described(&all, &args.part).ok_or_else(|| unknown(&all, &args.part))?;
    let effort = Effort { units: args.units, seed: args.seed };
    let found = datasheet::measure(&all, &args.part, effort).map_err(Failure::input)?;
    let mut lines = datasheet::compare(&datasheet::stated(&all, &args.part), &found);
    let undrawn = all.boards.get(&args.part).is_some_and(|b| b.adc.is_none()) && args.plot.is_some();
    let sheets: Vec<Vec<Said>> = lines.iter().map(|l| sheet::says(&args.part, l)).collect();
    // A limit of the datasheet binds, whatever the file states.
    for (line, said) in lines.iter_mut().zip(&sheets) {
        if said.iter().any(|s| s.is_broken_by(line)) {
            line.agrees = Some(false);
        }
    }
    let off = lines.iter().filter(|l| l.agrees == Some(false)).count();
    let files = match &args.plot {
        Some(dir) => draw(&all, &args.part, effort, dir)?,
        None => Vec::new(),
    };
    if json {
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        let object = serde_json::json!({
            "part": args.part, "about": about, "source": source, "units": args.units, "seed": args.seed,
            "figures": lines, "datasheet": sheets, "plots": names, "agrees": off == 0,
        });
        say(format_args!("{}", serde_json::to_string_pretty(&object).unwrap_or_default()));
    } else {
        say(format_args!("{}: {about}\nsource: {source}\n", args.part));
        print(&lines, &sheets);
        let held = lines.iter().filter(|l| l.agrees == Some(true)).count();
        say(format_args!(
            "\n{} units, seed {}: {held} figures as stated, {off} not, {} without a stated figure",
            args.units,
            args.seed,
            lines.len() - held - off
        ));
        let mut unjudged: Vec<&str> =
            lines.iter().filter(|l| l.agrees.is_none()).map(|l| l.figure.as_str()).collect();
        unjudged.sort_unstable();
        unjudged.dedup();
        if !unjudged.is_empty() {
            say(format_args!("not judged, since its file states none: {}", unjudged.join(", ")));
        }
        for file in &files {
            say(format_args!("drawn: {}", file.display()));
        }
        if undrawn {
            say(format_args!(
                "nothing is drawn: of a board it is what its converter makes of a voltage, and `{}` has none",
                args.part
            ));
        }
    }
    Ok(if off == 0 { Exit::Ok } else { Exit::Failed })
}

fn described(all: &Catalog, part: &str) -> Option<(String, String)> {
    let sensor = all.sensors.get(part).map(|s| (s.about.clone(), s.source.clone()));
    let board = || all.boards.get(part).map(|b| (b.about.clone(), b.source.clone()));
    sensor.or_else(board).or_else(|| all.actuators.get(part).map(|a| (a.about.clone(), a.source.clone())))
}

fn unknown(all: &Catalog, part: &str) -> Failure {
    let known =
        || all.sensors.keys().chain(all.boards.keys()).chain(all.actuators.keys()).map(String::as_str);
    let help = near(part, known())
        .unwrap_or_else(|| "see `twinfleet list sensors`, `boards`, `actuators`".to_owned());
    Failure::input(format!("there is no sensor, board or actuator `{part}`\n  help: {help}"))
}

/// The table, its columns as wide as what they hold.
fn print(lines: &[Compared], sheets: &[Vec<Said>]) {
    let mut table =
        vec![["channel", "figure", "datasheet", "file", "measured", "±", "unit", ""].map(str::to_owned)];
    for (l, said) in lines.iter().zip(sheets) {
        let verdict = match l.agrees {
            Some(true) => "as stated",
            Some(false) => "NOT AS STATED",
            None => "",
        };
        table.push([
            l.channel.clone(),
            l.figure.clone(),
            said.iter().map(Said::short).collect::<Vec<_>>().join(", "),
            l.stated.map_or(String::new(), short),
            short(l.measured),
            if l.error > 0.0 && l.measured != 0.0 { short(l.error) } else { String::new() },
            if l.unit == "none" { String::new() } else { l.unit.clone() },
            verdict.to_owned(),
        ]);
    }
    let wide = |c: usize| table.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(wide).collect();
    for row in &table {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            // Figures stand right, words left.
            .map(
                |(c, (text, w))| {
                    if (2..6).contains(&c) { format!("{text:>w$}") } else { format!("{text:w$}") }
                },
            )
            .collect();
        say(format_args!("{}", cells.join("  ").trim_end()));
    }
}

/// Four digits; in powers of ten where a decimal would be mostly zeros.
fn short(v: f64) -> String {
    if v != 0.0 && v.is_finite() && v.abs() < 1e-3 { format!("{v:.2e}") } else { figure(v) }
}

fn draw(all: &Catalog, part: &str, effort: Effort, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |e: std::io::Error| Failure::outside(format!("{}: {e}", dir.display()));
    let sensor = all.sensors.get(part);
    fs::create_dir_all(dir).map_err(failed)?;
    let mut files = Vec::new();
    let mut write = |name: String, svg: String| -> Result<(), Failure> {
        let path = dir.join(name);
        fs::write(&path, svg).map_err(failed)?;
        files.push(path);
        Ok(())
    };
    if let Some(board) = all.boards.get(part) {
        for range in board.adc.iter().flat_map(AdcDef::range_names) {
            let curves = datasheet::converter(all, part, range, effort).map_err(Failure::input)?;
            let name = range.map_or_else(String::new, |r| format!("-{r}"));
            write(format!("{part}-adc{name}.svg"), plot::converter(part, range, &curves))?;
        }
        return Ok(files);
    }
    let Some(sensor) = sensor else {
        let r = datasheet::follows(all, part, effort).map_err(Failure::input)?;
        write(format!("{part}-level-step.svg"), plot::step(part, &r))?;
        return Ok(files);
    };
    let period_s = (sensor.min_interval.as_secs_f64() * 1.001).max(sensor.conversion.as_secs_f64()).max(0.01);
    for c in &sensor.channels {
        let points = datasheet::allan_of(all, part, &c.quantity, period_s, effort).map_err(Failure::input)?;
        // A state has no noise, and nothing to draw on a logarithmic axis.
        if points.iter().any(|p| p.1 > 0.0) {
            write(format!("{part}-{}-allan.svg", c.quantity), plot::allan(part, c, &points, period_s))?;
        }
    }
    for r in datasheet::responses(all, part, effort).map_err(Failure::input)? {
        write(format!("{part}-{}-step.svg", r.quantity), plot::step(part, &r))?;
    }
    Ok(files)
}
