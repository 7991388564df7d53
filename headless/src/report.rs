//! The report of a run: `report.html` for people, `report.json` for machines, `junit.xml` for CI, plots as SVG.
//!
//! The driver fills a [`Report`]; [`collect`] makes its plotted parts from what the run gathered in
//! [`twinfleet_engine::record::Sampled`], so that no record on disk is needed. Unlike a record, a report may name the
//! machine's own figures, such as wall time.

pub mod axis;
pub mod collect;
mod html;
mod junit;
pub mod pairs;
pub mod plot;
pub mod words;

use crate::pictures::Picture;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    aside,
    expect::{Outcome, VERDICT_KINDS, unit_symbol},
    power::life::GroupLife,
};

/// Everything that a report says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// The scenario's name or path.
    pub scenario: String,
    /// What the scenario shows.
    pub about: String,
    /// Seed of the run.
    pub seed: u64,
    /// The command that runs it again.
    pub replay: String,
    /// Version of Twinfleet.
    pub version: String,
    /// Simulated length asked for, [s].
    pub duration_s: f64,
    /// Simulated time reached, [s].
    pub simulated_s: f64,
    /// Whether the run came to its end.
    pub finished: bool,
    /// Wall time, [s].
    pub wall_s: f64,
    /// Wall time from the start of the simulation to the end of its first tick, [s].
    pub first_tick_s: f64,
    /// Largest lag behind the pace asked for, [s] of wall time.
    pub behind_s: f64,
    /// Where messages went: `none`, `embedded`, a broker's address without its password.
    pub broker: String,
    /// Simulated devices, all shards'.
    pub devices: u32,
    /// Messages published.
    pub messages: u64,
    /// Hash of the run's state, 32 hexadecimal digits.
    pub state_hash: Option<String>,
    /// Counters of the run.
    pub counters: BTreeMap<String, u64>,
    /// How the expectations came out, in the scenario's order.
    pub expectations: Vec<Outcome>,
    /// Why there are none although the scenario has some: a run cut short and a shard see only a part.
    pub unjudged: Option<String>,
    /// Why it did not come to its end, where that is an error by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Twins and what they follow.
    pub twins: Vec<Twin>,
    /// Simulated devices, by group.
    pub groups: Vec<Group>,
    /// How long the batteries will last, by group.
    pub batteries: Vec<BatteryLife>,
    /// Faults, verdicts and other events, in order of time.
    pub happenings: Vec<Happening>,
    /// Events that were not kept.
    pub events_left_out: u64,
    /// Rows of signals that were not kept for plots.
    pub rows_left_out: u64,
    /// A picture of the run, where the desktop could draw one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<Picture>,
}

/// A twin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Twin {
    /// Its device's id.
    pub id: String,
    /// The thing whose dynamics it carries.
    pub thing: String,
    /// Signals that it estimates.
    pub outputs: Vec<Output>,
    /// Signals that drive it.
    pub inputs: Vec<Input>,
    /// How good its forecasts were.
    pub scores: Vec<Score>,
}

/// A signal that a twin estimates.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// `part.quantity`.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// What the physical reported.
    pub reported: Series,
    /// What the twin estimates.
    pub estimate: Series,
    /// Reported minus predicted.
    pub residual: Series,
    /// Bounds that expectations set on the residual.
    pub bounds: Vec<Bound>,
    /// The residual in standard deviations of this stream.
    pub whitened: Series,
    /// Forecasts, by horizon.
    pub forecasts: Vec<Forecast>,
}

/// A signal that drives a twin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Input {
    /// `part.quantity`.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// What the physical reported.
    pub reported: Series,
}

/// A forecast series, each point at the time it speaks of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Forecast {
    /// How far ahead, [s].
    pub horizon_s: f64,
    /// Mean.
    pub mean: Series,
    /// Lower end of the interval.
    pub lower: Series,
    /// Upper end of the interval.
    pub upper: Series,
    /// How far from it readings came.
    #[serde(skip)]
    pub halves: twinfleet_engine::record::Halves,
}

/// How good the forecasts of one signal at one horizon were.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Score {
    /// `part.quantity`.
    pub signal: String,
    /// How far ahead, [s].
    pub horizon_s: f64,
    /// Forecasts that came due.
    pub n: u64,
    /// Root mean square error, in the signal's unit.
    pub rmse: f64,
    /// The same of the forecast that nothing changes.
    pub rmse_persistence: f64,
    /// Share of the intervals that held, 0–1.
    pub coverage: f64,
    /// Share that was asked for, 0–1.
    pub interval: f64,
}

/// Simulated devices of one pattern, or places and bodies with the same signals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Device pattern, such as `node-{}`, or the names of its members.
    pub id: String,
    /// Number of devices.
    pub devices: u32,
    /// Names of places or bodies; empty where `id` is a pattern.
    pub members: Vec<String>,
    /// Their channels.
    pub channels: Vec<GroupChannel>,
}

impl Group {
    /// Whether a device belongs to it.
    pub fn holds(&self, device: &str) -> bool {
        if !self.members.is_empty() {
            return self.members.iter().any(|m| m == device);
        }
        let Some((head, tail)) = self.id.split_once("{}") else { return self.id == device };
        let number = device.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
        number.and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n < self.devices)
    }

    /// Name of its i-th member.
    pub fn member(&self, i: u32) -> String {
        self.members.get(i as usize).cloned().unwrap_or_else(|| self.id.replace("{}", &i.to_string()))
    }
}

/// One channel of a group, over all of its devices.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupChannel {
    /// `part.quantity`.
    pub name: String,
    /// Kind of signal.
    pub kind: String,
    /// Unit.
    pub unit: String,
    /// Devices that had a row.
    pub devices: u32,
    /// Rows.
    pub rows: u64,
    /// Smallest value of any device.
    pub min: f64,
    /// Whose it is.
    pub min_of: String,
    /// Mean over devices and time, each stretch of the plot weighing the same.
    pub mean: f64,
    /// Largest value of any device.
    pub max: f64,
    /// Whose it is.
    pub max_of: String,
    /// Least, largest and mean value over devices, by time.
    pub fan: Series,
    /// First and last decile over devices, by time, where there are ten devices or more.
    pub middle: Series,
    /// Each device by itself, where they are few.
    pub lines: Vec<Line>,
    /// Bounds that expectations set.
    pub bounds: Vec<Bound>,
}

impl GroupChannel {
    /// Whether no device ever had another value.
    pub fn is_constant(&self) -> bool {
        self.min == self.max
    }
}

/// One device's series.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    /// Device.
    pub of: String,
    /// What it did.
    pub series: Series,
}

/// A bound that an expectation sets, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bound {
    /// The bound, in the signal's unit.
    pub level: f64,
    /// From when it holds, [s].
    pub from_s: f64,
    /// Until when, [s]. None: to the end.
    pub to_s: Option<f64>,
}

/// How long a group's batteries will last, by the mean currents of the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BatteryLife {
    /// Device pattern.
    pub group: String,
    /// Devices that were seen.
    pub devices: u32,
    /// Mean current over devices, net of charging, [mA].
    pub mean_ma: f64,
    /// Least mean current of a device, [mA].
    pub least_ma: f64,
    /// Greatest, [mA].
    pub most_ma: f64,
    /// Median life, [h]. None, here and below: it does not run down.
    pub expected_h: Option<f64>,
    /// Lower end of the 90 % interval, over devices and over the run's own variation, [h].
    pub earliest_h: Option<f64>,
    /// Its upper end, [h].
    pub latest_h: Option<f64>,
    /// 5 % quantile over devices alone, [h].
    pub units_from_h: Option<f64>,
    /// 95 % quantile over devices alone, [h].
    pub units_to_h: Option<f64>,
    /// Whether the median device gave way in the run's cold and would go on in the warm: for how long, below.
    pub gave_way_in_the_cold: bool,
    /// Median life were the cells never colder than their reference temperature, [h]; this and the next two only there.
    pub warm_h: Option<f64>,
    /// Lower end of its 90 % interval, [h].
    pub warm_from_h: Option<f64>,
    /// Upper end, [h].
    pub warm_to_h: Option<f64>,
}

impl From<GroupLife> for BatteryLife {
    fn from(life: GroupLife) -> Self {
        let ends = |h: f64| h.is_finite().then_some(h);
        Self {
            group: life.group,
            devices: life.devices,
            mean_ma: life.mean_ma,
            least_ma: life.range_ma.0,
            most_ma: life.range_ma.1,
            expected_h: ends(life.expected_h),
            earliest_h: ends(life.earliest_h),
            latest_h: ends(life.latest_h),
            units_from_h: ends(life.units_h.0),
            units_to_h: ends(life.units_h.1),
            gave_way_in_the_cold: life.warm_h.is_some(),
            warm_h: life.warm_h.and_then(|w| ends(w.0)),
            warm_from_h: life.warm_h.and_then(|w| ends(w.1)),
            warm_to_h: life.warm_h.and_then(|w| ends(w.2)),
        }
    }
}

/// An event, or a fault or verdict with its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Happening {
    /// When it began, [s].
    pub from_s: f64,
    /// When it ended, [s]. None: not within the run, or it has no length.
    pub to_s: Option<f64>,
    /// `fault`, `verdict`, or the event's kind.
    pub what: String,
    /// Device.
    pub subject: String,
    /// Part.
    pub part: String,
    /// Kind of fault, or a sentence.
    pub detail: String,
    /// A figure: size of a fault, posterior of a verdict.
    pub value: f64,
    /// Unit of the figure, where the event tells one: of a fault's size.
    pub unit: String,
    /// The stream that a swapped one is exchanged with.
    pub with: String,
    /// What led to it: an earlier event's id or a signal.
    pub cause: String,
    /// When a verdict was reached, [s]; its onset is `from_s`.
    pub decided_at_s: Option<f64>,
    /// The size a verdict gives, in the signal's unit (per hour for a drift, ppm for a clock).
    pub size: Option<f64>,
}

/// A signal over time. Only its extremes go into report.json; the points are in the plots.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Series {
    /// Points in order of time.
    #[serde(skip)]
    pub points: Vec<Point>,
    /// Number of rows.
    pub rows: u64,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
}

/// What a signal did in a short stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// When, [s].
    pub t_s: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Last value, or the mean over devices.
    pub value: f64,
}

impl Series {
    /// A series of these points, which `rows` rows went into.
    pub fn new(points: Vec<Point>, rows: u64) -> Self {
        let min = points.iter().map(|p| p.min).reduce(f64::min);
        let max = points.iter().map(|p| p.max).reduce(f64::max);
        Self { points, rows, min, max }
    }
}

impl Report {
    /// Whether every expectation was judged and held.
    pub fn held(&self) -> bool {
        self.unjudged.is_none() && self.expectations.iter().all(Outcome::held)
    }

    /// The verdict on the run in a few words.
    pub fn headline(&self) -> String {
        if let Some(why) = &self.unjudged {
            return format!("Expectations are not judged{why}");
        }
        let n = self.expectations.len();
        let failed = self.expectations.iter().filter(|o| !o.held()).count();
        match (n, failed) {
            (0, _) => "Ran without expectations".into(),
            (1, 0) => "The expectation held".into(),
            (_, 0) => format!("All {n} expectations held"),
            (1, _) => "The expectation failed".into(),
            _ => format!("{failed} of {n} expectations failed"),
        }
    }
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file is where the folder should be.
    #[error("--report {path}: this is a file, a folder was expected\nname a folder; it is made where it does not exist", path = .0.display())]
    NoFolder(PathBuf),
    /// The operating system said no.
    #[error("cannot write the report {path}: {source}\n{advice}", path = path.display(), advice = advice(source))]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
}

/// What to do where a folder takes no report.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space there, or name another folder with --report"
        }
        io::ErrorKind::FileTooLarge => {
            "raise the limit on a file's size (`ulimit -f`), or name a folder of another file system with --report"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "name a folder that you may write to with --report"
        }
        _ => "name another folder with --report, or see what is wrong with this one",
    }
}

impl Report {
    /// Unit of a signal or part of a device; empty where it is not known.
    pub fn unit_of(&self, device: &str, part: &str) -> &str {
        let twin = self.twins.iter().filter(|t| t.id == device);
        let outputs = twin.clone().flat_map(|t| &t.outputs).map(|o| (&o.name, &o.unit));
        let inputs = twin.flat_map(|t| &t.inputs).map(|i| (&i.name, &i.unit));
        let group = self.groups.iter().filter(|g| g.holds(device)).flat_map(|g| &g.channels);
        let mut known = outputs.chain(inputs).chain(group.map(|c| (&c.name, &c.unit)));
        known.find(|(name, _)| *name == part).map_or("", |(_, unit)| unit)
    }

    /// The size of a fault or verdict with its unit; `None` for kinds that have none.
    pub fn size_of(&self, h: &Happening) -> Option<String> {
        let size = if h.what == "verdict" { h.size? } else { h.value };
        let kind = h.detail.split([':', ' ', ',']).next().unwrap_or_default();
        let own = unit_symbol(self.unit_of(&h.subject, &h.part));
        // What the label says of its unit, but for what a twin shows in its own.
        let (told, per) = h.unit.split_once('/').map_or((h.unit.as_str(), ""), |(unit, per)| (unit, per));
        let unit = if own.is_empty() { unit_symbol(told) } else { own };
        let sign = if size > 0.0 { "+" } else { "" };
        let number = words::figure(size);
        let text = match kind {
            "stuck" | "dropout" | "bus_lock_up" => return None,
            "swap" if h.with.is_empty() => return None,
            "swap" => format!("with {}", h.with),
            // A share of the time, of the reference, of the voltage, or of the light in a day.
            "intermittent" | "adc_reference" | "condensation" | "dust" => {
                let each = if per.is_empty() { String::new() } else { format!("/{per}") };
                format!("{} %{each}", words::figure(100.0 * size))
            }
            "self_heating" => format!("{sign}{number} K"),
            "gain" => format!("× {number}"),
            "noise" => format!("σ {number} {unit}"),
            "clock_skew" => format!("{sign}{number} ppm"),
            "drift" => format!("{sign}{number} {unit}/h"),
            // Of the thing itself: by what a parameter was changed, or what a twin has found it to be.
            _ if h.part.is_empty() && told == "ratio" => format!("× {number}"),
            kind if h.what == "verdict" && !VERDICT_KINDS.contains(&kind) => number,
            _ => format!("{sign}{number} {unit}"),
        };
        Some(text.trim_end().to_owned())
    }
}

/// Finds out before a long run whether a report can be written to `dir`, which is made if it is not there.
///
/// # Errors
/// [`ReportError::NoFolder`], exit code 2, and what the operating system says, exit code 3.
pub fn probe(dir: &Path) -> Result<(), ReportError> {
    if dir.exists() && !dir.is_dir() {
        return Err(ReportError::NoFolder(dir.to_owned()));
    }
    let failed = |source| ReportError::Io { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(failed)?;
    let file = dir.join(".twinfleet-probe");
    let written = fs::write(&file, "x");
    let removed = fs::remove_file(&file);
    written.and(removed).map_err(failed)
}

/// Writes `report.html`, `report.json`, `junit.xml` and `plots/*.svg` into `dir`, in place of those of an earlier run.
///
/// # Errors
/// What the operating system says; the command's exit code is 3.
pub fn write(report: &Report, dir: &Path) -> Result<(), ReportError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Io { path, source }
    };
    let plots = plot::all(report);
    let folder = dir.join("plots");
    fs::create_dir_all(&folder).map_err(failed(&folder))?;
    let mut files = vec![
        (dir.join("report.html"), html::page(report, &plots)),
        (dir.join("report.json"), json(report)),
        (dir.join("junit.xml"), junit::xml(report)),
    ];
    files.extend(plots.iter().map(|p| (folder.join(format!("{}.svg", p.file)), p.standalone())));
    for (path, text) in files {
        aside::write_whole(&path, text).map_err(failed(&path))?;
    }
    Ok(())
}

/// The report as the text of report.json.
pub fn json(report: &Report) -> String {
    #[derive(Serialize)]
    struct Whole<'a> {
        format: u32,
        /// Null where nothing was judged.
        held: Option<bool>,
        headline: String,
        /// What was injected into what twins follow, and what they said of it.
        judged: Vec<Judged<'a>>,
        #[serde(flatten)]
        report: &'a Report,
    }
    #[derive(Serialize)]
    struct Judged<'a> {
        twin: &'a str,
        outcome: pairs::Outcome,
        fault: Option<&'a Happening>,
        verdict: Option<&'a Happening>,
    }
    let held = report.unjudged.is_none().then(|| report.held());
    let mut judged = Vec::new();
    for twin in &report.twins {
        judged.extend(report.pairs(&twin.id).into_iter().map(|p| Judged {
            twin: &twin.id,
            outcome: p.outcome,
            fault: p.fault,
            verdict: p.verdict,
        }));
    }
    let whole = Whole { format: 1, held, headline: report.headline(), judged, report };
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

/// How report pages look; plots share the first of the two.
pub const STYLE: &str = include_str!("report/style.css");
/// See [`STYLE`].
pub const PAGE: &str = include_str!("report/page.css");

/// The report as JUnit XML.
pub fn junit_xml(report: &Report) -> String {
    junit::xml(report)
}

/// Text with the characters replaced that XML and HTML keep for themselves; control characters, which XML has none for,
/// become spaces.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
