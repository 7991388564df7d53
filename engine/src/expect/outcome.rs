//! How an expectation came out.

use super::{
    Bounds, Claim, Condition, Expectation, Unless,
    judge::{Judge, State, Who, Worst},
};
use crate::{
    signal::SignalTable,
    time::{SimTime, Span},
};
use serde::{Deserialize, Serialize};

/// Whether an expectation held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It held.
    Held,
    /// It failed.
    Failed,
    /// Nothing that it looks at was seen, which counts as a failure.
    NoData,
}

/// How an expectation came out, with the margin and the worst moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name, or the claim in words.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// Whether it held.
    pub status: Status,
    /// By how much it held (≥ 0) or failed (< 0) at the worst moment, in `unit`; where something never came, by how much at
    /// least. None: no data, a reading that is no number, or a run that ended with what was to come still in time.
    pub margin: Option<f64>,
    /// Unit of the margin.
    pub unit: String,
    /// The worst moment, [s] since the start of the run.
    pub worst_at_s: Option<f64>,
    /// The signal, twin or device that was worst.
    pub worst: Option<String>,
    /// Its value there, where it is a signal.
    pub worst_value: Option<f64>,
    /// How many rows or events were judged.
    pub judged: u64,
    /// How many of them were against it.
    pub against: u64,
    /// A sentence for people.
    pub sentence: String,
}

impl Outcome {
    /// Whether it held.
    pub fn held(&self) -> bool {
        self.status == Status::Held
    }
}

/// How people write a unit: `degC` is °C, `percent` is %, `m/s2` is m/s², `W/m2` W/m²; others stay as they are.
pub fn unit_symbol(unit: &str) -> &str {
    match unit {
        "degC" => "°C",
        "degF" => "°F",
        "delta_K" => "K",
        "percent" => "%",
        "m/s2" => "m/s²",
        "W/m2" => "W/m²",
        "deg/s" => "°/s",
        "ratio" | "raw" | "none" => "",
        other => other,
    }
}

/// A figure with four significant digits, without trailing zeros.
fn figure(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return if v == 0.0 { "0".into() } else { v.to_string() };
    }
    let digits = (3 - v.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{v:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.to_owned() }
}

fn with_unit(v: f64, unit: &str) -> String {
    let symbol = unit_symbol(unit);
    if symbol.is_empty() { figure(v) } else { format!("{} {symbol}", figure(v)) }
}

/// The claim in words.
pub(super) fn claim_in_words(e: &Expectation) -> String {
    let condition = |c: &Condition| match c {
        Condition::Signal(p, b) if *b == Bounds::ANY => format!("row of {}", p.text),
        Condition::Signal(p, b) => format!("{} {b}", p.text),
        Condition::Verdict(p) => pattern_in_words("verdict", &p.of, &p.kind, &p.part),
        Condition::Event(p) => pattern_in_words("event", &p.of, &p.kind, &p.part),
    };
    let mut text = match &e.claim {
        Claim::Always(p, b) => format!("always {} {b}", p.text),
        Claim::Never(c) => format!("never {}", condition(c)),
        Claim::Settles { signal, to, error } => format!("{} settles to {to} ± {error}", signal.text),
        Claim::Eventually { signal, bounds, any } => {
            format!("eventually {}{} {bounds}", if *any { "any of " } else { "" }, signal.text)
        }
        Claim::Within(c) => condition(c),
        Claim::Rate { signal, bounds, per, .. } => format!("rate of {} per {per} {bounds}", signal.text),
        Claim::Count(c, b) => format!("count of {} {b}", condition(c)),
        Claim::Implies { premise, then, within } => {
            format!("{} implies {} within {within}", condition(premise), condition(then))
        }
    };
    if e.from > SimTime::ZERO {
        text.push_str(&format!(" from {}", e.from));
    }
    if e.to < SimTime::NEVER {
        text.push_str(&format!(
            " until {}",
            SimTime(e.to.0.div_euclid(1_000) * 1_000 + 1_000 * i64::from(e.to.0 % 1_000 != 0))
        ));
    }
    match &e.unless {
        Some(Unless::Fault(of)) => text.push_str(&format!(" unless a fault of {of}")),
        Some(Unless::Verdict(of)) => text.push_str(&format!(" unless a verdict on {of}")),
        None => {}
    }
    text
}

fn pattern_in_words(what: &str, of: &Option<String>, kind: &Option<String>, part: &Option<String>) -> String {
    let mut text = match kind {
        Some(kind) => format!("{what} {kind}"),
        None => format!("any {what}"),
    };
    match (of, part) {
        (Some(of), Some(part)) => text.push_str(&format!(" of {of}/{part}")),
        (Some(of), None) => text.push_str(&format!(" of {of}")),
        (None, Some(part)) => text.push_str(&format!(" of {part}")),
        (None, None) => {}
    }
    text
}

impl Judge {
    /// How it comes out if the run ends here.
    pub(super) fn outcome(&self, end: SimTime, table: &SignalTable) -> Outcome {
        let claim = claim_in_words(&self.e);
        let mut out = Outcome {
            name: self.e.name.clone().unwrap_or_else(|| claim.clone()),
            claim,
            status: Status::NoData,
            margin: None,
            unit: String::new(),
            worst_at_s: None,
            worst: None,
            worst_value: None,
            judged: self.judged,
            against: self.against,
            sentence: String::new(),
        };
        match (&self.e.claim, &self.state) {
            (Claim::Never(Condition::Verdict(_) | Condition::Event(_)), _) => self.never_happened(&mut out),
            (Claim::Eventually { any, .. }, State::Best(best)) => {
                self.eventually(&mut out, best, *any, table);
            }
            (Claim::Within(_), State::First(firsts)) => self.in_time(&mut out, firsts, end, table),
            (Claim::Count(_, bounds), State::Count { last }) => {
                let n = self.judged as f64;
                out.decide(bounds.margin(n), "");
                out.worst_at_s = last.as_ref().map(|(t, _)| t.as_secs_f64());
                out.worst = last.as_ref().map(|(_, who)| who.name(table));
                let spare = match out.margin {
                    Some(margin) if margin > 0.0 => format!(" with {} to spare", figure(margin)),
                    Some(margin) if margin < 0.0 => format!(" by {}", figure(-margin)),
                    _ => String::new(),
                };
                out.sentence = format!("{}{spare}: counted {n}, asked for {bounds}", out.verb());
            }
            (Claim::Implies { .. }, _) => self.implies(&mut out, end, table),
            _ => self.rows(&mut out, table),
        }
        // What is to last must be seen to the end of its time.
        if matches!(self.e.claim, Claim::Settles { .. })
            && out.held()
            && end < self.e.to
            && self.e.to < SimTime::NEVER
        {
            out.status = Status::Failed;
            out.margin = None;
            out.sentence =
                format!("failed: the run ended at {end}, before its `hold` was over at {}", self.e.to);
        }
        out
    }

    /// Always, Never, Settles and Rate: the worst row.
    fn rows(&self, out: &mut Outcome, table: &SignalTable) {
        let Some(worst) = &self.worst else {
            out.unit = self.first.first().map(|id| table.channel(*id).unit.clone()).unwrap_or_default();
            out.sentence = "no data: none of its signals had a row in that time".into();
            return;
        };
        let (mut unit, mut was) = (worst.who.unit(table), "was");
        if let Claim::Rate { per, .. } = &self.e.claim {
            unit = format!("{}/{per}", unit_symbol(&unit));
            was = "changed by";
        }
        out.decide(worst.margin, &unit);
        out.place(worst, table);
        let name = worst.who.name(table);
        let value = worst.value.unwrap_or(f64::NAN);
        out.sentence = if value.is_nan() {
            format!("failed: {name} was no number at {:#}", worst.t)
        } else if out.held() {
            let spare = with_unit(worst.margin, &unit);
            format!("held with {spare} to spare: {name} {was} {} at {:#}", with_unit(value, &unit), worst.t)
        } else {
            let (by, value) = (with_unit(-worst.margin, &unit), with_unit(value, &unit));
            let rows = format!("{} of {} rows", self.against, self.judged);
            format!("failed by {by}: {name} {was} {value} at {:#} ({rows})", worst.t)
        };
    }

    fn never_happened(&self, out: &mut Outcome) {
        out.decide(-(self.against as f64), "");
        out.sentence = match &self.worst {
            None => "held: it never happened".into(),
            Some(worst) => {
                out.worst_at_s = Some(worst.t.as_secs_f64());
                let name = match &worst.who {
                    Who::Subject(name) => name.clone(),
                    Who::Signal(_) => String::new(),
                };
                let times = if self.against == 1 { "once".into() } else { format!("{} times", self.against) };
                let text = format!("failed: it happened {times}, first at {name} at {:#}", worst.t);
                out.worst = Some(name);
                text
            }
        };
    }

    fn eventually(&self, out: &mut Outcome, best: &[Option<Worst>], any: bool, table: &SignalTable) {
        let missing = best.iter().position(Option::is_none).filter(|_| !any);
        if let Some(slot) = missing {
            let name = table.name(self.first[slot]);
            out.unit = table.channel(self.first[slot]).unit.clone();
            out.sentence = format!("no data: {name} had no row in that time");
            out.worst = Some(name);
            return;
        }
        let rows = best.iter().flatten();
        // The first of equals, in both cases, so that the choice does not depend on the iterator's habits.
        let chosen = rows.reduce(|a, b| match any {
            true if b.margin > a.margin => b,
            false if b.margin < a.margin => b,
            _ => a,
        });
        let Some(worst) = chosen else {
            out.sentence = "no data: none of its signals had a row in that time".into();
            return;
        };
        let unit = worst.who.unit(table);
        out.decide(worst.margin, &unit);
        out.place(worst, table);
        let (name, value) = (worst.who.name(table), worst.value.unwrap_or(f64::NAN));
        let value = with_unit(value, &unit);
        out.sentence = if out.held() {
            let spare = with_unit(worst.margin, &unit);
            format!("held with {spare} to spare: {name} reached {value} at {:#}", worst.t)
        } else {
            let by = with_unit(-worst.margin, &unit);
            format!("failed by {by}: {name} came no nearer than {value} at {:#}", worst.t)
        };
    }

    fn in_time(
        &self,
        out: &mut Outcome,
        firsts: &[Option<(SimTime, Who)>],
        end: SimTime,
        table: &SignalTable,
    ) {
        out.unit = "s".into();
        let deadline = self.e.to.min(end);
        if let Some(slot) = firsts.iter().position(Option::is_none) {
            out.status = Status::Failed;
            let who = self.first.get(slot).map(|id| table.name(*id));
            let subject = who.as_ref().map_or("it".to_owned(), Clone::clone);
            out.worst = who;
            out.worst_at_s = Some(deadline.as_secs_f64());
            let by = out.lacks(end - deadline);
            out.sentence =
                format!("failed{by}: {subject} was not there by {deadline}, nor until the end at {end}");
            return;
        }
        let Some((t, who)) = firsts.iter().flatten().reduce(|a, b| if b.0 > a.0 { b } else { a }) else {
            return;
        };
        let margin = (deadline - *t).as_secs_f64();
        out.decide(margin, "s");
        out.worst_at_s = Some(t.as_secs_f64());
        let name = who.name(table);
        let spare = Span::from_secs_f64(margin.abs());
        out.sentence = if out.held() {
            format!(
                "held with {spare:#} to spare: {name} at {t:#}, {:#} after {:#}",
                *t - self.e.from,
                self.e.from
            )
        } else {
            format!(
                "failed by {spare:#}: {name} only at {t:#}, {:#} after {:#}",
                *t - self.e.from,
                self.e.from
            )
        };
        out.worst = Some(name);
    }

    fn implies(&self, out: &mut Outcome, end: SimTime, table: &SignalTable) {
        out.unit = "s".into();
        let (unmet, first) = self.unmet(end);
        out.judged += unmet;
        out.against += unmet;
        if let Some((since, who)) = first {
            out.status = Status::Failed;
            out.worst_at_s = Some(since.as_secs_f64());
            let name = who.name(table);
            let by = match &self.e.claim {
                Claim::Implies { within, .. } => out.lacks(end - (since + *within)),
                _ => String::new(),
            };
            out.sentence = format!("failed{by}: nothing followed {name} of {since}");
            out.worst = Some(name);
            return;
        }
        let Some(worst) = &self.worst else {
            out.sentence = "no data: the `if` never became true with time left to follow it".into();
            return;
        };
        out.decide(worst.margin, "s");
        out.place(worst, table);
        let spare = Span::from_secs_f64(worst.margin.abs());
        let name = worst.who.name(table);
        out.sentence = if out.held() {
            let times = if out.judged == 1 { "once".to_owned() } else { format!("{} times", out.judged) };
            format!("held {times}, with {spare:#} to spare after {name} at {:#}", worst.t)
        } else {
            format!(
                "failed {} of {} times, by {spare:#} after {name} at {:#}",
                out.against, out.judged, worst.t
            )
        };
    }
}

impl Who {
    fn name(&self, table: &SignalTable) -> String {
        match self {
            Self::Signal(id) => table.name(*id),
            Self::Subject(name) => name.clone(),
        }
    }

    fn unit(&self, table: &SignalTable) -> String {
        match self {
            Self::Signal(id) => table.channel(*id).unit.clone(),
            Self::Subject(_) => String::new(),
        }
    }
}

impl Outcome {
    fn decide(&mut self, margin: f64, unit: &str) {
        self.status = if margin >= 0.0 { Status::Held } else { Status::Failed };
        // No minus before a zero.
        self.margin = margin.is_finite().then_some(margin + 0.0);
        self.unit = unit.to_owned();
    }

    /// What had not come when its time had been over for so long: the least by which it failed, in words too.
    fn lacks(&mut self, late: Span) -> String {
        if late <= Span::ZERO {
            return String::new();
        }
        self.margin = Some(-late.as_secs_f64());
        format!(" by {late:#} at least")
    }

    fn place(&mut self, worst: &Worst, table: &SignalTable) {
        self.worst_at_s = Some(worst.t.as_secs_f64());
        self.worst = Some(worst.who.name(table));
        self.worst_value = worst.value.filter(|v| v.is_finite());
    }

    fn verb(&self) -> &'static str {
        if self.held() { "held" } else { "failed" }
    }
}
