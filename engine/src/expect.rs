//! Expectations: temporal operators over signals, events and verdicts, each with the margin by which it held.
//!
//! A scenario's `expect:` list holds these operators; every field but the subject has a default, and `name` may be added
//! to each. Times are simulated, since the start of the run; `before` is exclusive, `after + within` inclusive.
//!
//! | operator | holds when | margin is in |
//! |---|---|---|
//! | `Always(signal, above \| below \| between)` | every row of every matching signal is within the bounds | the signal's unit |
//! | `Never(signal, above \| below \| between \| outside)` | no row of any matching signal fulfils the condition | the signal's unit |
//! | `Never(verdict \| event)` | nothing like it happens | count |
//! | `Eventually(signal, …, within)` | each matching signal (with `any: true`: one of them) has a row that fulfils it | the signal's unit |
//! | `Eventually(verdict \| event, within)`, `Within(…)` | it happens in time | s to spare |
//! | `Settles(signal, to, error, within, hold)` | from `after + within` on, for `hold`, every row is in `to ± error` | the signal's unit |
//! | `Rate(signal, between, per, over)` | the change per `per`, taken over at least `over`, is within the bounds | unit per `per` |
//! | `Count(signal \| verdict \| event, between)` | so many of them happen | count |
//! | `Implies(if, then, within)` | whenever `if` becomes true, `then` follows in time (per device) | s to spare |
//!
//! What counts, precisely:
//! - *Held means margin ≥ 0*; bounds themselves are within. A margin of a signal is the smallest distance to the bound that
//!   any row had (largest, for `Eventually`), so it says how much tighter the bound could be, or by how much it was missed.
//! - Rows count in `after ≤ t < before` (or `t ≤ after + within`), unless an `unless` is in force: from the fault's (or
//!   verdict's) start until its end, and for `grace` after it.
//! - An `unless` that names devices by a wildcard suspends each device for itself, any other suspends the whole expectation.
//! - Where no matching signal had a row in that time, the outcome is *no data*, and no data is a failure: an expectation that
//!   has seen nothing has shown nothing. `Eventually` and `Within` want a row of each matching signal. A row that is not a number fails `Always`, `Never`, `Settles` and `Rate`, and never fulfils
//!   `Eventually`.
//! - `Never` and `Count` of verdicts and events need no row: silence is what they ask for.
//! - `Implies` starts when `if` turns true and is met when a `then` is or turns true; a signal keeps its last row's value. Where
//!   both sides name devices by a wildcard, each device has its own clock, otherwise all share one.
//! - An `Implies` whose `if` never becomes true is *no data*; one whose deadline lies behind the end of the run is left out.
//!
//! Evaluation streams: memory is a few numbers for each operator and signal, whatever the length of the run.
//!
//! ```
//! use twinfleet_engine::{expect::{Evaluator, Expectation, Status}, signal::{Channel, Kind, SignalTable}};
//! use twinfleet_engine::{time::SimTime, world::Row};
//! let ron = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
//! let expect: Expectation =
//!     ron.from_str(r#"Always(signal: "pi-1/soc.temperature@residual", between: (-4.0, 4.0))"#).unwrap();
//!
//! let mut table = SignalTable::default();
//! let block = table.add_block("pi-1", 1, vec![Channel::new("soc.temperature", Kind::Residual, "K")]);
//! let mut evaluator = Evaluator::new(&[expect], &table);
//! let row = |s: i64, value| Row { t: SimTime(s * 1_000_000_000), signal: table.id(block, 0, 0), value };
//! evaluator.observe(&[row(1, 0.5), row(2, -3.0)], &[]);
//! let outcome = &evaluator.finish(SimTime(3_000_000_000))[0];
//! assert_eq!((outcome.status, outcome.margin), (Status::Held, Some(1.0)));
//! assert_eq!(outcome.sentence, "held with 1 K to spare: pi-1/soc.temperature@residual was -3 K at 2s");
//! ```

mod evaluate;
mod judge;
mod outcome;
mod references;
mod shape;

pub use evaluate::{Evaluator, ExpectError, Expectations, install};
pub use outcome::{Outcome, Status, unit_symbol};
pub use references::{Dangling, EVENT_KINDS, VERDICT_KINDS, Watched, dangling, unrecorded};
pub use shape::ShapeError;

use crate::{
    signal::Glob,
    time::{SimTime, Span},
    world::Event,
};
use serde::Deserialize;
use std::fmt;

/// An expectation, as read and found sound.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "shape::Raw")]
pub struct Expectation {
    /// Its name in reports; without one, the claim in words.
    pub name: Option<String>,
    /// What it claims.
    pub claim: Claim,
    /// First instant that counts.
    pub from: SimTime,
    /// Last instant that counts.
    pub to: SimTime,
    /// What suspends it.
    pub unless: Option<Unless>,
    /// How long after its end `unless` goes on.
    pub grace: Span,
}

/// What an expectation claims.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// Every row is within the bounds.
    Always(SignalPattern, Bounds),
    /// It never happens.
    Never(Condition),
    /// Every row is within the bounds, once the time to settle is over.
    Settles {
        /// Which signals.
        signal: SignalPattern,
        /// Where they settle.
        to: f64,
        /// How far off they may stay.
        error: f64,
    },
    /// Every signal fulfils the bounds once.
    Eventually {
        /// Which signals.
        signal: SignalPattern,
        /// What is to be fulfilled.
        bounds: Bounds,
        /// One of the signals is enough.
        any: bool,
    },
    /// It happens before the deadline, which is the last instant that counts.
    Within(Condition),
    /// The change per `per` is within the bounds.
    Rate {
        /// Which signals.
        signal: SignalPattern,
        /// Bounds of the rate, in the signal's unit per `per`.
        bounds: Bounds,
        /// Unit of time of the rate.
        per: Span,
        /// The change is taken over at least this long; zero: from one row to the next.
        over: Span,
    },
    /// So many of them happen.
    Count(Condition, Bounds),
    /// Whenever one becomes true, the other is true at once or follows.
    Implies {
        /// What starts the clock.
        premise: Condition,
        /// What has to follow.
        then: Condition,
        /// How long it may take.
        within: Span,
    },
}

/// Something that rows or events can fulfil.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A row of a signal within bounds.
    Signal(SignalPattern, Bounds),
    /// A verdict of a twin.
    Verdict(VerdictPattern),
    /// An event.
    Event(EventPattern),
}

/// A glob over signals, and the text it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalPattern {
    /// As written.
    pub text: String,
    /// Compiled.
    pub glob: Glob,
}

/// An interval of values or, inverted, all that is outside it. The bounds themselves belong to both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Lower end; −∞ where there is none.
    pub low: f64,
    /// Upper end; ∞ where there is none.
    pub high: f64,
    /// Whether the outside is meant.
    pub outside: bool,
}

impl Bounds {
    /// No bound at all.
    pub const ANY: Self = Self { low: f64::NEG_INFINITY, high: f64::INFINITY, outside: false };

    /// Values from `low` to `high`.
    pub const fn between(low: f64, high: f64) -> Self {
        Self { low, high, outside: false }
    }

    /// By how much a value fulfils the bounds (≥ 0) or misses them (< 0), in the value's unit; −∞ for NaN.
    pub fn margin(&self, value: f64) -> f64 {
        if value.is_nan() {
            return f64::NEG_INFINITY;
        }
        let inside = (value - self.low).min(self.high - value);
        if self.outside { -inside } else { inside }
    }

    /// The same with inside and outside exchanged.
    #[must_use]
    pub const fn inverted(self) -> Self {
        Self { low: self.low, high: self.high, outside: !self.outside }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.outside, self.low.is_finite(), self.high.is_finite()) {
            (false, true, true) => write!(f, "between {} and {}", self.low, self.high),
            (false, true, false) => write!(f, "above {}", self.low),
            (false, false, true) => write!(f, "below {}", self.high),
            (true, true, false) => write!(f, "below {}", self.low),
            (true, false, true) => write!(f, "above {}", self.high),
            (true, true, true) => write!(f, "outside {} to {}", self.low, self.high),
            (_, false, false) => f.write_str("of any value"),
        }
    }
}

/// Which verdicts are meant; what is left out fits everything. In RON `Any` or `(of: "pi-1", kind: "stuck", part: "soc")`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "shape::RawVerdict")]
pub struct VerdictPattern {
    /// Twin, a glob.
    pub of: Option<String>,
    /// Kind of fault, as [`crate::sense::fault::FaultDef::name`] spells it; case and underscores do not matter.
    pub kind: Option<String>,
    /// `part.quantity`, a glob, or the part alone.
    pub part: Option<String>,
}

/// Which events are meant; what is left out fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventPattern {
    /// Device, zone or link, a glob.
    pub of: Option<String>,
    /// Kind of event, such as `brown_out`; case and underscores do not matter.
    pub kind: Option<String>,
    /// Part, a glob, or the part alone.
    pub part: Option<String>,
    /// What led to it: the kind of the event before, or a glob over the cause as the record has it.
    pub cause: Option<String>,
}

/// What suspends an expectation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub enum Unless {
    /// An injected fault of this device (`pi-1`) or part (`pi-1/soc.temperature`), globs allowed.
    Fault(String),
    /// A standing verdict on this device or part.
    Verdict(String),
}

fn fits(pattern: Option<&String>, text: &str) -> bool {
    pattern.is_none_or(|p| crate::signal::wildcard(p.as_bytes(), text.as_bytes()))
}

fn fits_part(pattern: Option<&String>, part: &str) -> bool {
    let first = part.split('.').next().unwrap_or(part);
    fits(pattern, part) || fits(pattern, first)
}

fn fits_word(pattern: Option<&String>, word: &str) -> bool {
    let plain = |s: &str| s.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect::<String>();
    pattern.is_none_or(|p| plain(p) == plain(word))
}

impl VerdictPattern {
    /// Whether this event is such a verdict. A verdict's detail begins with the kind of fault, which a `:` or a blank ends.
    pub fn matches(&self, event: &Event) -> bool {
        let kind = event.detail.split([':', ' ', ',']).next().unwrap_or_default();
        event.kind == "verdict"
            && fits(self.of.as_ref(), &event.subject)
            && fits_word(self.kind.as_ref(), kind)
            && fits_part(self.part.as_ref(), &event.part)
    }
}

impl EventPattern {
    /// Whether this event is meant.
    pub fn matches(&self, event: &Event) -> bool {
        fits(self.of.as_ref(), &event.subject)
            && fits_word(self.kind.as_ref(), &event.kind)
            && fits_part(self.part.as_ref(), &event.part)
            && self.fits_cause(&event.cause)
    }

    fn fits_cause(&self, cause: &str) -> bool {
        fits(self.cause.as_ref(), cause)
            || crate::cause::kind_of(cause).is_some_and(|kind| fits_word(self.cause.as_ref(), kind))
    }
}

impl Unless {
    /// Whether the event begins (`true`) or ends (`false`) what suspends; `None` if it concerns something else.
    pub fn switches(&self, event: &Event) -> Option<bool> {
        let (target, begin, end) = match self {
            Self::Fault(target) => (target, "fault_start", "fault_end"),
            Self::Verdict(target) => (target, "verdict", "verdict_end"),
        };
        let on = if event.kind == begin {
            true
        } else if event.kind == end {
            false
        } else {
            return None;
        };
        let (device, part) = match target.split_once('/') {
            Some((device, part)) => (device, Some(part.to_owned())),
            None => (target.as_str(), None),
        };
        let hit = fits(Some(&device.to_owned()), &event.subject)
            && (event.part.is_empty() || fits_part(part.as_ref(), &event.part));
        hit.then_some(on)
    }
}

impl Condition {
    fn signal(&self) -> Option<&SignalPattern> {
        match self {
            Self::Signal(signal, _) => Some(signal),
            Self::Verdict(_) | Self::Event(_) => None,
        }
    }

    /// Whether an event fulfils the condition.
    pub fn matches_event(&self, event: &Event) -> bool {
        match self {
            Self::Signal(..) => false,
            Self::Verdict(pattern) => pattern.matches(event),
            Self::Event(pattern) => pattern.matches(event),
        }
    }
}

impl Expectation {
    /// The globs it looks at, as written: each has to match a signal, and its signals have to be watched.
    pub fn signals(&self) -> Vec<&str> {
        let patterns = match &self.claim {
            Claim::Always(signal, _)
            | Claim::Settles { signal, .. }
            | Claim::Eventually { signal, .. }
            | Claim::Rate { signal, .. } => vec![Some(signal)],
            Claim::Never(c) | Claim::Within(c) | Claim::Count(c, _) => vec![c.signal()],
            Claim::Implies { premise, then, .. } => vec![premise.signal(), then.signal()],
        };
        patterns.into_iter().flatten().map(|p| p.text.as_str()).collect()
    }
}
