//! Which verdict speaks of which fault. The page, report.json and the summary all tell it from here.
//!
//! A verdict speaks of a fault of the same part that it overlaps with in time, and that it does not begin long before. It
//! names the fault where it is of the same kind, too, and its size lies on the same side. What speaks of no fault is a false
//! verdict where faults were injected; a fault that nothing speaks of was missed.

use super::{Happening, Report};
use serde::Serialize;

/// The onset of a verdict is an estimate: it may lie so long before that of its fault, [s].
const SLACK_S: f64 = 60.0;

/// A fault and the verdict that speaks of it, or one of them alone.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// What was injected.
    pub fault: Option<&'a Happening>,
    /// What the twin said.
    pub verdict: Option<&'a Happening>,
    /// What that comes to.
    pub outcome: Outcome,
}

/// How a fault and a verdict go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The verdict is right in kind, part, time and sign.
    Named,
    /// One more verdict that is right of a fault that was named already.
    NamedAgain,
    /// The verdict is right in part and time, and calls it something else.
    OtherKind,
    /// Nobody said anything of the fault.
    Missed,
    /// There was no such fault.
    False,
    /// A verdict where nothing was injected at all: whether it is right, nobody knows.
    Unjudged,
}

impl Outcome {
    /// In a word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Named => "named",
            Self::NamedAgain => "named again",
            Self::OtherKind => "other kind",
            Self::Missed => "missed",
            Self::False => "not injected",
            Self::Unjudged => "verdict",
        }
    }
}

impl Pair<'_> {
    /// When the earlier of the two began, [s]; the fault's onset where there is one.
    fn begin_s(&self) -> f64 {
        self.fault.or(self.verdict).map_or(0.0, |h| h.from_s)
    }
}

impl Report {
    /// The faults of what a twin follows and the verdicts of it, in order of time.
    pub fn pairs(&self, twin: &str) -> Vec<Pair<'_>> {
        let of = |what: &str| -> Vec<&Happening> {
            self.happenings.iter().filter(|h| h.what == what && h.subject == twin).collect()
        };
        pairs(&of("fault"), &of("verdict"))
    }
}

fn pairs<'a>(faults: &[&'a Happening], verdicts: &[&'a Happening]) -> Vec<Pair<'a>> {
    let mut all: Vec<Pair<'a>> =
        faults.iter().map(|f| Pair { fault: Some(f), verdict: None, outcome: Outcome::Missed }).collect();
    // Those that are right come first, so that none that is wrong takes their fault away.
    let mut left = Vec::new();
    for v in verdicts.iter().copied() {
        let nearest = |free: bool, all: &[Pair<'a>]| {
            let right = |f: &Happening| speaks(v, f) && kind(v) == kind(f);
            let fits = all.iter().enumerate().filter(|(_, p)| !free || p.verdict.is_none());
            fits.filter_map(|(i, p)| p.fault.filter(|f| right(f)).map(|f| (i, (f.from_s - v.from_s).abs())))
                .min_by(|a, b| a.1.total_cmp(&b.1))
                .map(|(i, _)| i)
        };
        if let Some(i) = nearest(true, &all[..faults.len()]) {
            (all[i].verdict, all[i].outcome) = (Some(v), Outcome::Named);
        } else if let Some(i) = nearest(false, &all[..faults.len()]) {
            let fault = all[i].fault;
            all.push(Pair { fault, verdict: Some(v), outcome: Outcome::NamedAgain });
        } else {
            left.push(v);
        }
    }
    for v in left {
        let free =
            |p: &Pair<'_>| p.verdict.is_none() && p.fault.is_some_and(|f| kind(v) != kind(f) && speaks(v, f));
        match all[..faults.len()].iter_mut().rev().find(|p| free(p)) {
            Some(pair) => (pair.verdict, pair.outcome) = (Some(v), Outcome::OtherKind),
            None => {
                let outcome = if faults.is_empty() { Outcome::Unjudged } else { Outcome::False };
                all.push(Pair { fault: None, verdict: Some(v), outcome });
            }
        }
    }
    all.sort_by(|a, b| a.begin_s().total_cmp(&b.begin_s()));
    all
}

/// Whether a verdict speaks of a fault, by whatever name.
fn speaks(v: &Happening, f: &Happening) -> bool {
    same_part(v, f) && overlap(v, f) && f.from_s - SLACK_S <= v.from_s && same_side(v, f)
}

/// The kind of a fault or verdict, without what follows it.
fn kind(h: &Happening) -> &str {
    h.detail.split([':', ' ', ',']).next().unwrap_or_default()
}

/// A silence and a clock are the device's, whatever part the scenario or the twin named; all else is of a part.
fn same_part(v: &Happening, f: &Happening) -> bool {
    let whole = |h: &Happening| h.part.is_empty() || h.part == twinfleet_engine::mirror::DEVICE_PART;
    let of_device =
        |h: &Happening| matches!(kind(h), "dropout" | "clock_skew" | "intermittent" | "bus_lock_up");
    // A change of the thing itself is put in without a part, and a verdict says which.
    let of_thing = f.part.is_empty() && kind(f) == kind(v);
    f.part == v.part
        || of_thing
        || whole(f) && whole(v)
        || (whole(f) || whole(v)) && of_device(f) && of_device(v)
}

/// Whether they are ever there at the same time. What has no length counts at its own instant.
fn overlap(a: &Happening, b: &Happening) -> bool {
    let end = |h: &Happening| h.to_s.unwrap_or(f64::INFINITY);
    let (from_s, to_s) = (a.from_s.max(b.from_s), end(a).min(end(b)));
    let instant = |h: &Happening| h.to_s == Some(h.from_s);
    from_s < to_s || from_s == to_s && (instant(a) || instant(b))
}

/// Whether the sizes are on the same side, where both have one: a gain above or below 1, an offset above or below 0.
fn same_side(v: &Happening, f: &Happening) -> bool {
    let side = |h: &Happening| {
        let size = if h.what == "verdict" { h.size? } else { h.value };
        match kind(h) {
            "bias" | "drift" | "spike" | "clock_skew" => Some((false, size > 0.0)),
            "gain" => Some((true, size > 1.0)),
            _ => None,
        }
    };
    match (side(v), side(f)) {
        // What a gain does to a reading depends on the reading: it is compared with gains alone.
        (Some((gain, up)), Some((other, high))) => gain != other || up == high,
        _ => true,
    }
}
