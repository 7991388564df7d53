//! `twinfleet score diagnose`: verdicts on a recording, or those of a run's twins against the faults that were put into it.

mod picture;
mod record;

use crate::{
    exit::{Exit, Failure, say},
    fit::{self, data::Flags},
    load_files,
    table::{self, ReadingArgs},
};
use clap::Args as ClapArgs;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    compare::Reading,
    diagnose::{
        Label, Said,
        doctor::Doctor,
        score::{Score, score},
    },
    dynamics::{
        DynamicsDef,
        definition::{ParameterDef, PriorDef},
        fit::{Dataset, at_its_resolution},
    },
    scenario::{
        diagnostic::{Diagnostic, Report, near},
        recording::Table,
    },
    time::{SimTime, Span},
};

pub(super) const AFTER: &str = "\
Examples:
  twinfleet run diagnose-bench --seed 3 --record rec && twinfleet score diagnose --record rec
  twinfleet score diagnose --thing heated-box --data run.csv --time t \\
      --map air.temperature=T1 heater.level=pwm \\
      --params fitted.ron --out verdicts.csv --report out/

OUT has onset,end,part,kind,size,posterior,decided_at in seconds from the first row; each verdict uses only what
came before decided_at. Of a recording, onset_written and decided_written have the times of the nearest rows as the
table writes them.
Labels for a recording: a table with onset,end,part,kind,size, and file where there are several; times are seconds
from its first row, or calendar times as the table writes them.";

/// Say what is wrong, or judge what was said.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// Record of a run; its labels are the faults that its scenario put in. Repeatable: one a seed.
    #[arg(long, value_name = "DIR", num_args = 1.., conflicts_with_all = ["thing", "data"])]
    pub record: Vec<PathBuf>,
    /// Thing of the catalog, or a file that defines one.
    #[arg(long, value_name = "NAME|FILE.ron", required_unless_present = "record", requires = "data")]
    pub thing: Option<String>,
    /// Folder of more definitions.
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Recordings, each watched by itself.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "thing")]
    pub data: Vec<PathBuf>,
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Signal of the thing and the column that holds it.
    #[arg(long, value_name = "SIGNAL=COL[:UNIT]", num_args = 1..)]
    pub map: Vec<String>,
    /// Covariate or constant input of a recording; `*` for all of them.
    #[arg(long = "const", value_name = "FILE:NAME=VALUE", num_args = 1..)]
    pub constants: Vec<String>,
    /// Parameters that `fit` wrote. Without them the twin begins with the thing's priors and learns as it goes.
    #[arg(long, value_name = "FILE.ron")]
    pub params: Option<PathBuf>,
    /// Parameters that the twin goes on learning beside those that `fit` found, as a mirror's `learn` does.
    #[arg(long, value_name = "NAME", num_args = 1.., requires = "params")]
    pub learn: Vec<String>,
    /// What was wrong with the recording: a table with onset, end, part, kind and size.
    #[arg(long, value_name = "FILE.csv")]
    pub labels: Option<PathBuf>,
    /// Where the verdicts go.
    #[arg(long, value_name = "FILE.csv")]
    pub out: Option<PathBuf>,
    /// Folder for a page with the signals, the verdicts and the posteriors through time.
    #[arg(long, value_name = "DIR", requires = "data")]
    pub report: Option<PathBuf>,
}

fn refused(report: &Report) -> Failure {
    load_files::refused(report)
}

fn failed(failure: fit::Failure) -> Failure {
    match failure {
        fit::Failure::Input(report) => refused(&report),
        fit::Failure::Outside(report) => Failure::outside(report.render(load_files::style())),
    }
}

/// Says it, or judges it.
pub(super) fn run(args: &Args, json: bool) -> Result<Exit, Failure> {
    let (said, labels, device_s, tables) = if args.record.is_empty() {
        let said = watch(args)?;
        let labels = match &args.labels {
            Some(path) => {
                let labels = labels_of(path, &said.tables).map_err(|d| refused(&d.into()))?;
                eprint!("{}", doubts(&labels, &said).render(load_files::style()));
                Some(labels)
            }
            None => None,
        };
        (said.verdicts, labels, said.device_s, said.tables)
    } else {
        let told = record::read_all(&args.record)?;
        (told.said, Some(told.labels), told.device_s, Vec::new())
    };
    if let Some(path) = &args.out {
        fit::write_whole(path, rows(&said, &tables).as_bytes()).map_err(failed)?;
    }
    let judged = labels.map(|labels| score(&labels, &said, device_s));
    if json {
        say(format_args!("{:#}", figures(&said, judged.as_ref(), device_s)));
        return Ok(Exit::Ok);
    }
    match &judged {
        Some(score) => print(score, args.record.len().max(args.data.len())),
        None => list(&said, device_s),
    }
    Ok(Exit::Ok)
}

struct Watched {
    verdicts: Vec<Said>,
    device_s: f64,
    tables: Vec<Watchable>,
    /// What may be said to happen to the thing.
    events: Vec<String>,
}

/// A recording's name and its table, which knows how it writes its times.
struct Watchable {
    name: String,
    table: Table,
}

/// Follows each recording, row by row.
fn watch(args: &Args) -> Result<Watched, Failure> {
    let thing = args.thing.as_deref().unwrap_or_default();
    let (name, def) = fit::dynamics(thing, args.catalog.as_deref()).map_err(failed)?;
    let flags = Flags {
        reading: &args.reading,
        map: &args.map,
        constants: &args.constants,
        files: args.data.iter().map(PathBuf::as_path).collect(),
    };
    let mut def = flags.told(&def);
    if let Some(path) = &args.params {
        def = fit::believed(path, &def).map_err(failed)?;
    }
    let mut warnings = Report::default();
    if args.params.is_none() {
        let text =
            format!("`{name}` is followed by the figures of its definition, fitted to no device of yours");
        let help = "what it says before it has learnt how yours behaves is not to be relied on; `twinfleet fit` on a \
                    recording of a time when all was well gives `--params`";
        warnings.push(Diagnostic::warning(text).help(help));
    }
    let learn = learnt(args, &def).map_err(|d| refused(&d.into()))?;
    let data = fit::data::read_all(&flags, &args.data, &def, &mut warnings).map_err(|r| refused(&r))?;
    fit::data::widen(&mut def, data.iter().map(|r| &r.data), &mut warnings);
    eprint!("{}", warnings.render(load_files::style()));
    let events = def.events.iter().map(|e| e.kind.clone()).collect();
    let mut out = Watched { verdicts: Vec::new(), device_s: 0.0, tables: Vec::new(), events };
    let mut pages = Vec::new();
    for recorded in data {
        let (def, d) = &measured_only(&def, &recorded.data, &args.map);
        let (doctor, whitened) =
            follow(def, d, &learn).map_err(|e| refused(&Diagnostic::error(e.to_string()).into()))?;
        let said = doctor.said(&d.name);
        out.device_s += d.t_s.last().zip(d.t_s.first()).map_or(0.0, |(b, a)| b - a);
        if args.report.is_some() {
            let found = picture::Found { def, data: d, said: &said, doctor: &doctor, whitened: &whitened };
            pages.push(picture::recording(&found));
        }
        out.verdicts.extend(said);
        out.tables.push(Watchable { name: d.name.clone(), table: recorded.table });
    }
    if let Some(dir) = &args.report {
        let made = std::fs::create_dir_all(dir);
        made.map_err(|e| failed(fit::outside(&format!("`{}`", dir.display()), &e)))?;
        let page = picture::page(&name, &pages);
        fit::write_whole(&dir.join("diagnose.html"), page.as_bytes()).map_err(failed)?;
    }
    Ok(out)
}

/// Inputs to which no column is mapped are constants of the thing: none of them can be what is wrong with the recording.
fn measured_only(def: &DynamicsDef, data: &Dataset, map: &[String]) -> (DynamicsDef, Dataset) {
    let mapped: Vec<&str> = map.iter().filter_map(|flag| Some(flag.split_once('=')?.0.trim())).collect();
    let (mut def, mut data) = (def.clone(), data.clone());
    for k in (0..def.inputs.len()).rev() {
        let signal = def.inputs[k].signal.clone();
        let constant = data.inputs[k].first().copied().filter(|v| v.is_finite());
        if let (false, Some(value)) = (mapped.contains(&signal.as_str()), constant) {
            def = def.with_held(&signal, value);
            data.inputs.remove(k);
        }
    }
    (def, data)
}

/// What the twin is to learn as it goes: what it is told to, or without fitted parameters all that has a prior.
fn learnt(args: &Args, def: &DynamicsDef) -> Result<Vec<String>, Diagnostic> {
    // What an event changes is not learnt beside it.
    let of_event = |name: &str| def.events.iter().any(|e| e.parameter == name);
    let can = |name: &str, p: &ParameterDef| p.prior != PriorDef::Fixed && !of_event(name);
    let open = || def.parameters.iter().filter(|(name, p)| can(name, p)).map(|(name, _)| name.as_str());
    for name in &args.learn {
        if !open().any(|n| n == name) {
            let why = match def.parameters.get(name) {
                None => "there is no such parameter",
                Some(_) if of_event(name) => "an event changes it",
                Some(_) => "it has no prior",
            };
            let error = Diagnostic::error(format!("`{name}` cannot be learnt: {why}"));
            return Err(error.maybe_help(near(name, open())));
        }
    }
    Ok(if args.params.is_none() { open().map(str::to_owned).collect() } else { args.learn.clone() })
}

/// Row by row; with it, the whitened residuals of each output.
fn follow(
    def: &DynamicsDef,
    d: &Dataset,
    learn: &[String],
) -> Result<(Doctor, Vec<Vec<f64>>), twinfleet_engine::dynamics::model::DynamicsError> {
    let mut whitened = vec![Vec::with_capacity(d.t_s.len()); d.outputs.len()];
    let mut doctor = Doctor::new(&at_its_resolution(def, d), learn, &d.covariates)?;
    for k in 0..d.t_s.len() {
        let t = SimTime::ZERO + Span::from_secs_f64(d.t_s[k]);
        let inputs: Vec<f64> = d.inputs.iter().map(|c| c[k]).collect();
        let outputs: Vec<f64> = d.outputs.iter().map(|c| c[k]).collect();
        doctor.wait(t);
        doctor.take(&Reading { t, arrived: t, inputs: &inputs, outputs: &outputs });
        for (o, column) in whitened.iter_mut().enumerate() {
            column.push(if outputs[o].is_nan() { f64::NAN } else { doctor.whitened(o) });
        }
    }
    Ok((doctor, whitened))
}

/// The labels of a table: one recording, or a column names it.
fn labels_of(path: &Path, tables: &[Watchable]) -> Result<Vec<Label>, Diagnostic> {
    let bad = |why: String| {
        Diagnostic::error(format!("{}: {why}", path.display())).help(
            "its first line is onset,end,part,kind,size; times are seconds from the recording's first row, or calendar \
             times (2024-05-01 12:00:00)",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
    let whole = text.trim_start_matches('\u{feff}');
    let first = whole.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let parted = [b';', b'\t', b','].into_iter().find(|sign| first.as_bytes().contains(sign)).unwrap_or(b',');
    // Spreadsheets leave cells out at the end of a line, and lines without any.
    let mut table = csv::ReaderBuilder::new();
    table.delimiter(parted).has_headers(false).flexible(true);
    let mut lines = Vec::new();
    for record in table.from_reader(whole.as_bytes()).records() {
        let record = record.map_err(|e| bad(e.to_string()))?;
        let begin = record.position().map_or(0, csv::Position::byte) as usize;
        // Of a cell with a blank before its quote, the quotes belong to the text.
        let cell = |c: &str| c.trim().trim_matches('"').to_owned();
        let cells: Vec<String> = record.iter().map(cell).collect();
        if cells.iter().any(|c| !c.is_empty()) {
            lines.push((begin, cells));
        }
    }
    let mut lines = lines.into_iter();
    let (_, heads) = lines.next().ok_or_else(|| bad("it is empty".to_owned()))?;
    let at = |name: &str| heads.iter().position(|h| h.eq_ignore_ascii_case(name));
    let (Some(onset), Some(kind)) = (at("onset"), at("kind")) else {
        return Err(bad("there is no column `onset` or `kind`".to_owned()));
    };
    lines
        .map(|(begin, cells)| {
            let text = |i: Option<usize>| i.and_then(|i| cells.get(i)).map_or("", String::as_str);
            let wrong = |what: &str, text: &str| {
                let line = line_at(whole, begin);
                bad(match text {
                    "" => format!("line {line}: no {what}"),
                    _ => format!("line {line}: `{text}` is no {what}"),
                })
            };
            let of = named(tables, text(at("file")))
                .ok_or_else(|| wrong("recording given to --data", text(at("file"))))?;
            let time = |i: Option<usize>, what: &str| match text(i) {
                "" => Ok(None),
                cell => seconds(cell, &of.table).map(Some).ok_or_else(|| wrong(what, cell)),
            };
            let size = match text(at("size")) {
                "" => 0.0,
                cell => number(cell).ok_or_else(|| wrong("size", cell))?,
            };
            Ok(Label {
                subject: of.name.clone(),
                part: text(at("part")).to_owned(),
                kind: spelled(text(Some(kind))),
                from_s: time(Some(onset), "onset")?.ok_or_else(|| wrong("onset", ""))?,
                until_s: time(at("end"), "end")?.unwrap_or(f64::INFINITY),
                size,
            })
        })
        .collect()
}

/// What verdicts say of sensors and streams, and of what no hypothesis explains.
const KINDS: [&str; 10] =
    ["stuck", "bias", "drift", "gain", "spike", "noise", "dropout", "clock_skew", "spoofed", "unknown"];

/// A kind as verdicts spell it, where a scenario or a spreadsheet writes `ClockSkew` or `clock skew`; that of an event as it is.
fn spelled(kind: &str) -> String {
    let mut own = String::new();
    for c in kind.chars() {
        if c.is_uppercase() && own.ends_with(char::is_lowercase) {
            own.push('_');
        }
        own.extend(c.to_lowercase());
    }
    let own = own.replace([' ', '-'], "_");
    if KINDS.contains(&own.as_str()) { own } else { kind.to_owned() }
}

/// Labels that no verdict can meet: they count as missed, and what was said rightly counts as said in vain.
fn doubts(labels: &[Label], watched: &Watched) -> Report {
    let mut report = Report::default();
    for l in labels {
        let label = format!("the label `{}` at {} s", l.kind, l.from_s);
        if l.until_s < l.from_s {
            let text = format!("{label} ends before it begins, at {} s", l.until_s);
            report.push(Diagnostic::warning(text).help("no verdict can meet it: it counts as missed"));
        }
        let of = watched.tables.iter().find(|t| t.name == l.subject);
        if let Some(last) = of.and_then(|t| t.table.t_s.last()).filter(|last| l.from_s > **last) {
            let text = format!("{label} begins behind the last row of {}, at {last} s", l.subject);
            report.push(
                Diagnostic::warning(text)
                    .help("times are seconds from the recording's first row, or calendar times"),
            );
        }
    }
    let known = || KINDS.into_iter().chain(watched.events.iter().map(String::as_str));
    let kinds: BTreeSet<&str> = labels.iter().map(|l| l.kind.as_str()).collect();
    for kind in kinds.into_iter().filter(|kind| !known().any(|k| k == *kind)) {
        let text = format!("no verdict on this thing is a `{kind}`: such labels count as missed");
        report.push(Diagnostic::warning(text).maybe_help(near(kind, known())));
    }
    report
}

/// The number of the line, from 1, that holds what is read from this byte on: the reader begins with what ends the line before, and
/// with empty ones.
fn line_at(text: &str, begin: usize) -> usize {
    let blank = text[begin..].len() - text[begin..].trim_start().len();
    text[..begin + blank].matches('\n').count() + 1
}

/// The recording that a label is about: the first, or the one named by its path or its file's name.
fn named<'a>(tables: &'a [Watchable], file: &str) -> Option<&'a Watchable> {
    let is_it = |t: &&Watchable| {
        t.name == file
            || Path::new(&t.name).file_name().is_some_and(|name| name == Path::new(file).as_os_str())
    };
    if file.is_empty() { tables.first() } else { tables.iter().find(is_it) }
}

/// A finite number, with a decimal point or a decimal comma.
fn number(cell: &str) -> Option<f64> {
    cell.replacen(',', ".", 1).parse().ok().filter(|v: &f64| v.is_finite())
}

/// Numbers from here on are times since 1970, as tables have them, rather than seconds from the first row.
const UNIX: f64 = 1e8;

/// A time of a label, [s] from the recording's first row.
fn seconds(cell: &str, table: &Table) -> Option<f64> {
    match number(cell) {
        Some(s) if s.abs() < UNIX => Some(s),
        _ => table.since_first_s(cell),
    }
}

fn rows(said: &[Said], tables: &[Watchable]) -> String {
    let several = tables.len() > 1 || said.windows(2).any(|w| w[0].subject != w[1].subject);
    let written = !tables.is_empty();
    let mut text = String::from("onset,end,part,kind,size,posterior,decided_at");
    text += if several { ",file" } else { "" };
    text += if written { ",onset_written,decided_written\n" } else { "\n" };
    for s in said {
        let end = s.end_s.map_or(String::new(), |e| e.to_string());
        let part = fit::quoted(&s.part);
        text += &format!(
            "{},{end},{part},{},{},{:.6},{}",
            s.onset_s, s.kind, s.size, s.posterior, s.decided_at_s
        );
        if several {
            text += &format!(",{}", fit::quoted(&s.subject));
        }
        if let Some(of) = tables.iter().find(|t| t.name == s.subject) {
            let at = |t_s: f64| table::nearest_text(&of.table, t_s);
            text += &format!(",{},{}", at(s.onset_s), at(s.decided_at_s));
        }
        text.push('\n');
    }
    text
}

fn list(said: &[Said], device_s: f64) {
    say(format_args!(
        "{:>10} {:>10}  {:<24} {:<12} {:>10} {:>9} {:>10}",
        "onset s", "end s", "part", "kind", "size", "posterior", "decided s"
    ));
    for s in said {
        say(format_args!(
            "{:>10.1} {:>10}  {:<24} {:<12} {:>10.3} {:>9.4} {:>10.1}",
            s.onset_s,
            s.end_s.map_or("–".to_owned(), |e| format!("{e:.1}")),
            if s.part.is_empty() { "(device)" } else { &s.part },
            s.kind,
            s.size,
            s.posterior,
            s.decided_at_s
        ));
    }
    say(format_args!("{} verdicts in {:.2} h", said.len(), device_s / 3600.0));
}

fn print(score: &Score, runs: usize) {
    say(format_args!("{:<12} {:>6} {:>7} {:>6} {:>6}", "kind", "right", "missed", "vain", "F1"));
    for (name, k) in &score.kinds {
        say(format_args!("{name:<12} {:>6} {:>7} {:>6} {:>6.3}", k.right, k.missed, k.vain, k.f1()));
    }
    let n: usize = score.kinds.values().map(|k| k.right + k.missed).sum();
    say(format_args!("macro-F1 {:.3} over {n} faults in {runs} run(s)", score.macro_f1));
    let pair = |(median, mean): (f64, f64), times: f64, unit: &str| {
        if median.is_nan() {
            return "–".to_owned();
        }
        format!("{:.1} {unit} (mean {:.1})", times * median, times * mean)
    };
    say(format_args!(
        "in the median, of those named: onset off by {}, decided after {}, size off by {}",
        pair(score.onset_error_s, 1.0, "s"),
        pair(score.delay_s, 1.0, "s"),
        pair(score.size_error, 100.0, "%")
    ));
    say(format_args!(
        "{} false alarms in {:.2} device-months: {:.2} a device-month",
        score.false_alarms,
        score.months,
        score.alarms_per_month()
    ));
    for (label, answer) in &score.answers {
        let wrong = answer.as_ref().is_none_or(|s| s.kind != label.kind || !same(&s.part, &label.part));
        if wrong {
            let told = answer.as_ref().map_or("nothing was said".to_owned(), |s| {
                format!("said {} {} from {:.0} s", s.kind, s.part, s.onset_s)
            });
            say(format_args!(
                "  {} {} {} {:+.3} at {:.0} s: {told}",
                label.subject, label.kind, label.part, label.size, label.from_s
            ));
        }
    }
    for s in &score.alarms {
        say(format_args!("  false alarm: {} {} {} at {:.0} s", s.subject, s.kind, s.part, s.onset_s));
    }
}

fn same(said: &str, label: &str) -> bool {
    said == label || label.is_empty() || said.split_once('.').is_some_and(|(part, _)| part == label)
}

fn figures(said: &[Said], score: Option<&Score>, device_s: f64) -> Value {
    let verdicts: Vec<Value> = said
        .iter()
        .map(|s| {
            json!({"device": s.subject, "part": s.part, "kind": s.kind, "onset_s": s.onset_s, "end_s": s.end_s,
                   "size": s.size, "posterior": s.posterior, "decided_at_s": s.decided_at_s})
        })
        .collect();
    let mut all = json!({"verdicts": verdicts, "device_s": device_s});
    if let Some(s) = score {
        let kinds: serde_json::Map<String, Value> = s
            .kinds
            .iter()
            .map(|(name, k)| {
                let figures = json!({"right": k.right, "missed": k.missed, "vain": k.vain, "f1": k.f1()});
                (name.clone(), figures)
            })
            .collect();
        let pair = |p: (f64, f64)| json!({"median": finite(p.0), "mean": finite(p.1)});
        all["macro_f1"] = json!(s.macro_f1);
        all["kinds"] = Value::Object(kinds);
        all["onset_error_s"] = pair(s.onset_error_s);
        all["size_error"] = pair(s.size_error);
        all["delay_s"] = pair(s.delay_s);
        all["false_alarms"] = json!(s.false_alarms);
        all["device_months"] = json!(s.months);
        all["false_alarms_per_device_month"] = json!(s.alarms_per_month());
    }
    all
}

fn finite(x: f64) -> Option<f64> {
    Some(x).filter(|x| x.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_however_they_end() {
        for text in ["a,b\n\n1,2\n3,4\n", "a,b\r\n\r\n1,2\r\n3,4\r\n"] {
            let mut table = csv::ReaderBuilder::new();
            table.has_headers(false).flexible(true);
            let lines: Vec<usize> = table
                .from_reader(text.as_bytes())
                .records()
                .map(|r| line_at(text, r.unwrap().position().unwrap().byte() as usize))
                .collect();
            assert_eq!(lines, [1, 3, 4], "{text:?}");
        }
    }
}
