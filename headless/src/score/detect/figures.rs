//! What came of watching, printed for people or machines.

use super::{
    Args,
    files::Stream,
    stream::Watched,
    windows::{self, Part},
};
use crate::exit::say;
use serde_json::{Value, json};
use twinfleet_engine::detect::metrics::{Counts, vus_pr};

/// Files that are listed one by one; the rest is in the total only.
const LISTED: usize = 60;

/// Figures of all streams.
pub struct Figures {
    labelled: bool,
    windowed: bool,
    files: Vec<File>,
}

struct File {
    name: String,
    rows: usize,
    detector: &'static str,
    onsets: usize,
    alarm_rows: usize,
    judged_s: f64,
    period_s: f64,
    allowed_per_month: f64,
    /// Whether it learns from its own past, and that is shorter than the rows to a false alarm.
    beyond: bool,
    named: Vec<String>,
    counts: Option<Counts>,
    vus_pr: Option<f64>,
    part: Option<Part>,
}

const MONTH_S: f64 = twinfleet_engine::detect::contract::MONTH_S;

impl Figures {
    /// None so far.
    pub fn new(args: &Args) -> Self {
        Self { labelled: args.label.is_some(), windowed: args.windows.is_some(), files: Vec::new() }
    }

    /// Adds a stream. Rows that were learnt from are not judged.
    pub fn add(&mut self, stream: &Stream, watched: &Watched, windows: Option<Vec<(usize, usize)>>) {
        let judged = &watched.steps[watched.from..];
        let alarms: Vec<bool> = judged.iter().map(|s| s.alarm).collect();
        let onsets: Vec<bool> = judged.iter().map(|s| s.onset).collect();
        let scores: Vec<f64> = judged.iter().map(|s| s.score).collect();
        let labels = stream.labels.as_ref().map(|l| &l[watched.from..]);
        let period_s = stream.table.notes.median_step_s;
        let t = &stream.table.t_s;
        let mut named: Vec<String> = Vec::new();
        if stream.table.columns.len() > 1 {
            for alarm in watched.alarms() {
                for k in alarm.blamed {
                    let name = &stream.table.columns[k].name;
                    if !named.contains(name) && named.len() < 3 {
                        named.push(name.clone());
                    }
                }
            }
        }
        self.files.push(File {
            name: stream.name.clone(),
            rows: stream.rows(),
            detector: watched.detector,
            onsets: onsets.iter().filter(|o| **o).count(),
            alarm_rows: alarms.iter().filter(|a| **a).count(),
            judged_s: t.get(watched.from).map_or(0.0, |first| t.last().unwrap_or(first) - first),
            period_s,
            beyond: watched.learns && watched.contract.rows > stream.rows() as f64,
            allowed_per_month: watched.contract.alarms_per_month(period_s),
            named,
            counts: labels.map(|l| Counts::of(l, &alarms, &onsets)),
            vus_pr: labels.and_then(|l| vus_pr(l, &scores)),
            part: windows.map(|w| windows::part(stream.rows(), &w, &watched.onsets())),
        });
    }

    /// Prints them.
    pub fn print(&self, json: bool) {
        if json {
            say(format_args!("{}", self.json()));
            return;
        }
        for line in self.lines() {
            say(format_args!("{line}"));
        }
    }

    /// The same in words.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.files.iter().take(LISTED).map(|f| self.line(f)).collect();
        if self.files.len() > LISTED {
            lines.push(format!("… and {} more files", self.files.len() - LISTED));
        }
        lines.extend(self.totals());
        lines
    }

    fn line(&self, f: &File) -> String {
        let mut text = format!("{}: {} rows, {}", f.name, f.rows, counted(f.onsets, "onset"));
        let share = 100.0 * f.alarm_rows as f64 / f.rows.max(1) as f64;
        if f.onsets > 0 {
            text += &format!(", in alarm {share:.1} % of the time");
        }
        if !f.named.is_empty() {
            text += &format!(", named {}", f.named.join(", "));
        }
        if let Some(c) = &f.counts {
            text += &format!(
                "; F1 {}, false alarms {}, missed {}, delay {}, VUS-PR {}",
                figure(c.f1()),
                percent(c.false_alarm_rate()),
                percent(c.missed_alarm_rate()),
                delay(c, f.period_s),
                figure(f.vus_pr)
            );
        }
        if let Some(p) = &f.part {
            let (found, all) = (p.found, p.windows);
            text += &format!("; windows found {found} of {all}, false onsets {}", p.false_onsets);
        }
        text
    }

    fn totals(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let months: f64 = self.files.iter().map(|f| f.judged_s / MONTH_S).sum();
        let onsets: usize = self.files.iter().map(|f| f.onsets).sum();
        let allowed: f64 = self.files.iter().map(|f| f.allowed_per_month * f.judged_s / MONTH_S).sum();
        let detectors: Vec<&str> = {
            let mut all: Vec<&str> = self.files.iter().map(|f| f.detector).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        lines.push(format!(
            "{} watched for {} ({}): {}; of false ones, {} would be allowed",
            counted(self.files.len(), "stream"),
            span(months * MONTH_S),
            detectors.join(", "),
            counted(onsets, "onset"),
            rounded(allowed)
        ));
        let beyond = self.files.iter().filter(|f| f.beyond).count();
        if beyond > 0 {
            lines.push(format!(
                "{beyond} of {} shorter than the rows to a false alarm: no past of theirs shows so rare a score, the level is \
                 extrapolated, and the contract no promise",
                self.files.len()
            ));
        }
        if self.labelled {
            let c = self.counts();
            let n = self.files.iter().filter_map(|f| f.vus_pr).count();
            let mean = self.files.iter().filter_map(|f| f.vus_pr).sum::<f64>() / n.max(1) as f64;
            let events = c.delays_rows.len() + c.events_missed;
            lines.push(format!(
                "over all rows: F1 {}, false-alarm rate {}, missed-alarm rate {}, VUS-PR {} (mean of the files)",
                figure(c.f1()),
                percent(c.false_alarm_rate()),
                percent(c.missed_alarm_rate()),
                figure((n > 0).then_some(mean)),
            ));
            let period_s = self.files.iter().map(|f| f.period_s).fold(0.0, f64::max);
            lines.push(format!(
                "of {}, {} with an alarm, median delay {}; {} outside of them",
                counted(events, "labelled event"),
                c.delays_rows.len(),
                delay(&c, period_s),
                counted(c.false_onsets, "onset"),
            ));
        }
        if self.windowed {
            let p = self.part();
            let without = self.files.iter().filter(|f| f.part.is_none()).count();
            lines.push(format!(
                "NAB, standard profile: {} (windows found {} of {}, {} outside of them)",
                p.normalised().map_or("–".to_owned(), |s| format!("{s:.1}")),
                p.found,
                p.windows,
                counted(p.false_onsets, "onset"),
            ));
            if without > 0 {
                lines.push(format!(
                    "{} not named in --windows, and not in that score",
                    counted(without, "file")
                ));
            }
        }
        lines
    }

    fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.files.iter().filter_map(|f| f.counts.as_ref()).for_each(|c| all.add(c));
        all
    }

    fn part(&self) -> Part {
        let mut all = Part::default();
        self.files.iter().filter_map(|f| f.part.as_ref()).for_each(|p| all.add(p));
        all
    }

    fn json(&self) -> Value {
        let counts = |c: &Counts, period_s: f64| {
            json!({
                "f1": c.f1(),
                "false_alarm_rate": c.false_alarm_rate(),
                "missed_alarm_rate": c.missed_alarm_rate(),
                "median_delay_rows": c.median_delay_rows(),
                "median_delay_s": c.median_delay_rows().map(|d| d * period_s),
                "events": c.delays_rows.len() + c.events_missed,
                "events_missed": c.events_missed,
                "false_onsets": c.false_onsets,
            })
        };
        let part = |p: &Part| {
            json!({
                "score": p.score,
                "normalised": p.normalised(),
                "windows": p.windows,
                "found": p.found,
                "false_onsets": p.false_onsets,
            })
        };
        let files: Vec<Value> = self
            .files
            .iter()
            .map(|f| {
                json!({
                    "file": f.name,
                    "rows": f.rows,
                    "detector": f.detector,
                    "onsets": f.onsets,
                    "alarm_rows": f.alarm_rows,
                    "false_alarms_allowed_per_month": f.allowed_per_month,
                    "named": f.named,
                    "labels": f.counts.as_ref().map(|c| counts(c, f.period_s)),
                    "vus_pr": f.vus_pr,
                    "nab": f.part.as_ref().map(&part),
                })
            })
            .collect();
        let vus: Vec<f64> = self.files.iter().filter_map(|f| f.vus_pr).collect();
        let period_s = self.files.iter().map(|f| f.period_s).fold(0.0, f64::max);
        json!({
            "files": files,
            "labels": self.labelled.then(|| counts(&self.counts(), period_s)),
            "vus_pr": (!vus.is_empty()).then(|| vus.iter().sum::<f64>() / vus.len() as f64),
            "nab": self.windowed.then(|| part(&self.part())),
        })
    }
}

fn counted(n: usize, what: &str) -> String {
    match n {
        0 => format!("no {what}"),
        1 => format!("one {what}"),
        n => format!("{n} {what}s"),
    }
}

fn figure(x: Option<f64>) -> String {
    x.map_or("–".to_owned(), |x| format!("{x:.3}"))
}

fn percent(x: Option<f64>) -> String {
    x.map_or("–".to_owned(), |x| format!("{:.1} %", 100.0 * x))
}

fn rounded(x: f64) -> String {
    if x < 10.0 { format!("{x:.1}") } else { format!("{x:.0}") }
}

fn span(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} days", s / 86_400.0),
    }
}

fn delay(c: &Counts, period_s: f64) -> String {
    c.median_delay_rows().map_or("–".to_owned(), |d| format!("{d} rows ({})", span(d * period_s)))
}
