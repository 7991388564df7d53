//! The shape of an expectation in a scenario file, and its way into a type that cannot be wrong.

use super::{Bounds, Claim, Condition, EventPattern, Expectation, SignalPattern, Unless, VerdictPattern};
use crate::{
    signal::{Glob, GlobError},
    time::{SimTime, Span},
};
use serde::Deserialize;

type Pair = (f64, f64);

/// One struct variant for each operator, since RON names fields within a variant only there.
#[derive(Deserialize)]
#[serde(rename = "Expectation", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "it lives for the moment of reading one expectation")]
pub(super) enum Raw {
    Always {
        name: Option<String>,
        signal: String,
        above: Option<f64>,
        below: Option<f64>,
        between: Option<Pair>,
        unless: Option<Unless>,
        grace: Option<Span>,
        after: Option<Span>,
        before: Option<Span>,
    },
    Never {
        name: Option<String>,
        signal: Option<String>,
        above: Option<f64>,
        below: Option<f64>,
        between: Option<Pair>,
        outside: Option<Pair>,
        verdict: Option<VerdictPattern>,
        event: Option<EventPattern>,
        unless: Option<Unless>,
        grace: Option<Span>,
        after: Option<Span>,
        before: Option<Span>,
    },
    Eventually {
        name: Option<String>,
        signal: Option<String>,
        above: Option<f64>,
        below: Option<f64>,
        between: Option<Pair>,
        outside: Option<Pair>,
        verdict: Option<VerdictPattern>,
        event: Option<EventPattern>,
        #[serde(default)]
        any: bool,
        after: Option<Span>,
        within: Option<Span>,
    },
    Within {
        name: Option<String>,
        signal: Option<String>,
        above: Option<f64>,
        below: Option<f64>,
        between: Option<Pair>,
        outside: Option<Pair>,
        verdict: Option<VerdictPattern>,
        event: Option<EventPattern>,
        after: Option<Span>,
        within: Span,
    },
    Settles {
        name: Option<String>,
        signal: String,
        to: f64,
        error: f64,
        after: Option<Span>,
        within: Span,
        hold: Option<Span>,
        unless: Option<Unless>,
        grace: Option<Span>,
    },
    Rate {
        name: Option<String>,
        signal: String,
        above: Option<f64>,
        below: Option<f64>,
        between: Option<Pair>,
        per: Option<Span>,
        over: Option<Span>,
        unless: Option<Unless>,
        grace: Option<Span>,
        after: Option<Span>,
        before: Option<Span>,
    },
    Count {
        name: Option<String>,
        signal: Option<String>,
        above: Option<f64>,
        below: Option<f64>,
        verdict: Option<VerdictPattern>,
        event: Option<EventPattern>,
        between: Pair,
        unless: Option<Unless>,
        grace: Option<Span>,
        after: Option<Span>,
        before: Option<Span>,
    },
    Implies {
        name: Option<String>,
        #[serde(rename = "if")]
        premise: RawCondition,
        then: RawCondition,
        within: Option<Span>,
        unless: Option<Unless>,
        grace: Option<Span>,
        after: Option<Span>,
        before: Option<Span>,
    },
}

/// The condition of an `Implies`.
#[derive(Default, Deserialize)]
#[serde(rename = "Condition", deny_unknown_fields, default)]
pub(super) struct RawCondition {
    signal: Option<String>,
    above: Option<f64>,
    below: Option<f64>,
    between: Option<Pair>,
    outside: Option<Pair>,
    verdict: Option<VerdictPattern>,
    event: Option<EventPattern>,
}

/// `Any`, or the figures of a verdict.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected `Any` or `(of: \"twin\", kind: \"stuck\", part: \"part.quantity\")`")]
pub(super) enum RawVerdict {
    Any(AnyWord),
    Like(LikeVerdict),
}

#[derive(Deserialize)]
pub(super) enum AnyWord {
    Any,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LikeVerdict {
    of: Option<String>,
    kind: Option<String>,
    part: Option<String>,
}

impl From<RawVerdict> for VerdictPattern {
    fn from(raw: RawVerdict) -> Self {
        match raw {
            RawVerdict::Any(AnyWord::Any) => Self::default(),
            RawVerdict::Like(LikeVerdict { of, kind, part }) => Self { of, kind, part },
        }
    }
}

/// Why an expectation makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ShapeError {
    /// No bound, or several.
    #[error("{0} needs exactly one of {1}: write `between: (low, high)`, say, and take the others away")]
    Bounds(&'static str, &'static str),
    /// Bounds in the wrong order, or not numbers.
    #[error("the bounds {0} and {1} hold no value: write the lower one first")]
    Empty(f64, f64),
    /// Neither signal nor verdict nor event, or several.
    #[error(
        "{0} needs exactly one of signal, verdict, event: write `signal: \"device/part.quantity@kind\"`, `verdict: Any` or `event: (kind: \"brown_out\")`"
    )]
    Subject(&'static str),
    /// Bounds where there is no signal.
    #[error(
        "{0} has bounds but no signal that they could bound: write `signal: …` too, or take the bounds away"
    )]
    BoundsOfNothing(&'static str),
    /// The glob cannot be read.
    #[error(transparent)]
    Glob(#[from] GlobError),
    /// No time is left.
    #[error("{0} looks at no time: `before` ({2}) is not after `after` ({1}): write a later `before`")]
    NoTime(&'static str, Span, Span),
    /// A figure that has to be positive is not.
    #[error("{0}: `{1}` has to be above zero: write a larger one")]
    Positive(&'static str, &'static str),
    /// A count that nothing can have.
    #[error("nothing is counted less than 0 times: write `between: (0, 0)` for what never happens")]
    Below,
    /// `any` without a signal.
    #[error(
        "{0}: `any` chooses among signals, but there is no signal: write `signal: …`, or take `any` away"
    )]
    AnyOfNothing(&'static str),
}

fn pattern(text: String) -> Result<SignalPattern, ShapeError> {
    let glob = Glob::new(&text)?;
    Ok(SignalPattern { text, glob })
}

/// The bounds that a file names; `None` where it names none.
#[derive(Clone, Copy, Default)]
struct Limits {
    above: Option<f64>,
    below: Option<f64>,
    between: Option<Pair>,
    outside: Option<Pair>,
}

impl Limits {
    fn read(self, op: &'static str, names: &'static str) -> Result<Option<Bounds>, ShapeError> {
        let inf = f64::INFINITY;
        let all = [
            self.above.map(|low| Bounds::between(low, inf)),
            self.below.map(|high| Bounds::between(-inf, high)),
            self.between.map(|(low, high)| Bounds::between(low, high)),
            self.outside.map(|(low, high)| Bounds::between(low, high).inverted()),
        ];
        let mut given = all.into_iter().flatten();
        let first = given.next();
        if given.next().is_some() {
            return Err(ShapeError::Bounds(op, names));
        }
        match first {
            Some(b) if b.low.is_nan() || b.high.is_nan() || b.low > b.high => {
                Err(ShapeError::Empty(b.low, b.high))
            }
            other => Ok(other),
        }
    }

    fn need(self, op: &'static str, names: &'static str) -> Result<Bounds, ShapeError> {
        self.read(op, names)?.ok_or(ShapeError::Bounds(op, names))
    }
}

const ONE_SIDED: &str = "above, below, between";
const ALL_SIDES: &str = "above, below, between, outside";

/// The subject of an operator that takes any kind of condition.
fn condition(
    op: &'static str,
    signal: Option<String>,
    limits: Limits,
    verdict: Option<VerdictPattern>,
    event: Option<EventPattern>,
    bare_signal: bool,
) -> Result<Condition, ShapeError> {
    let bounds = limits.read(op, ALL_SIDES)?;
    match (signal, verdict, event) {
        (Some(signal), None, None) => match bounds {
            Some(bounds) => Ok(Condition::Signal(pattern(signal)?, bounds)),
            None if bare_signal => Ok(Condition::Signal(pattern(signal)?, Bounds::ANY)),
            None => Err(ShapeError::Bounds(op, ALL_SIDES)),
        },
        (None, ..) if bounds.is_some() => Err(ShapeError::BoundsOfNothing(op)),
        (None, Some(verdict), None) => Ok(Condition::Verdict(verdict)),
        (None, None, Some(event)) => Ok(Condition::Event(event)),
        _ => Err(ShapeError::Subject(op)),
    }
}

/// `after ≤ t < before`, as two inclusive instants.
fn window(
    op: &'static str,
    after: Option<Span>,
    before: Option<Span>,
) -> Result<(SimTime, SimTime), ShapeError> {
    let from = after.unwrap_or_default();
    match before {
        Some(before) if before <= from => Err(ShapeError::NoTime(op, from, before)),
        Some(before) => Ok((SimTime(from.0), SimTime(before.0 - 1))),
        None => Ok((SimTime(from.0), SimTime::NEVER)),
    }
}

/// `after ≤ t ≤ after + within`.
fn deadline(after: Option<Span>, within: Option<Span>) -> (SimTime, SimTime) {
    let from = SimTime(after.unwrap_or_default().0);
    (from, within.map_or(SimTime::NEVER, |w| from + w))
}

impl TryFrom<Raw> for Expectation {
    type Error = ShapeError;

    fn try_from(raw: Raw) -> Result<Self, ShapeError> {
        let (name, claim, (from, to), unless, grace) = match raw {
            Raw::Always { name, signal, above, below, between, unless, grace, after, before } => {
                let bounds = Limits { above, below, between, outside: None }.need("Always", ONE_SIDED)?;
                let claim = Claim::Always(pattern(signal)?, bounds);
                (name, claim, window("Always", after, before)?, unless, grace)
            }
            Raw::Never {
                name,
                signal,
                above,
                below,
                between,
                outside,
                verdict,
                event,
                unless,
                grace,
                after,
                before,
            } => {
                let limits = Limits { above, below, between, outside };
                let what = condition("Never", signal, limits, verdict, event, false)?;
                (name, Claim::Never(what), window("Never", after, before)?, unless, grace)
            }
            Raw::Eventually {
                name,
                signal,
                above,
                below,
                between,
                outside,
                verdict,
                event,
                any,
                after,
                within,
            } => {
                let limits = Limits { above, below, between, outside };
                let claim = match condition("Eventually", signal, limits, verdict, event, false)? {
                    Condition::Signal(signal, bounds) => Claim::Eventually { signal, bounds, any },
                    _ if any => return Err(ShapeError::AnyOfNothing("Eventually")),
                    other => Claim::Within(other),
                };
                (name, claim, deadline(after, within), None, None)
            }
            Raw::Within { name, signal, above, below, between, outside, verdict, event, after, within } => {
                let limits = Limits { above, below, between, outside };
                let what = condition("Within", signal, limits, verdict, event, false)?;
                (name, Claim::Within(what), deadline(after, Some(within)), None, None)
            }
            Raw::Settles { name, signal, to, error, after, within, hold, unless, grace } => {
                if error.is_nan() || error <= 0.0 {
                    return Err(ShapeError::Positive("Settles", "error"));
                }
                let (_, from) = deadline(after, Some(within));
                let claim = Claim::Settles { signal: pattern(signal)?, to, error };
                (name, claim, (from, hold.map_or(SimTime::NEVER, |h| from + h)), unless, grace)
            }
            Raw::Rate { name, signal, above, below, between, per, over, unless, grace, after, before } => {
                let bounds = Limits { above, below, between, outside: None }.need("Rate", ONE_SIDED)?;
                let per = per.unwrap_or(Span::from_secs(3600));
                if per.0 <= 0 {
                    return Err(ShapeError::Positive("Rate", "per"));
                }
                let over = over.unwrap_or_default();
                let claim = Claim::Rate { signal: pattern(signal)?, bounds, per, over };
                (name, claim, window("Rate", after, before)?, unless, grace)
            }
            Raw::Count {
                name,
                signal,
                above,
                below,
                verdict,
                event,
                between,
                unless,
                grace,
                after,
                before,
            } => {
                let limits = Limits { above, below, ..Limits::default() };
                let what = condition("Count", signal, limits, verdict, event, true)?;
                if between.1 < 0.0 {
                    return Err(ShapeError::Below);
                }
                let number = Limits { between: Some(between), ..Limits::default() };
                let claim = Claim::Count(what, number.need("Count", "between")?);
                (name, claim, window("Count", after, before)?, unless, grace)
            }
            Raw::Implies { name, premise, then, within, unless, grace, after, before } => {
                let claim = Claim::Implies {
                    premise: premise.read("the `if` of Implies")?,
                    then: then.read("the `then` of Implies")?,
                    within: within.unwrap_or_default(),
                };
                (name, claim, window("Implies", after, before)?, unless, grace)
            }
        };
        Ok(Self { name, claim, from, to, unless, grace: grace.unwrap_or_default() })
    }
}

impl RawCondition {
    fn read(self, op: &'static str) -> Result<Condition, ShapeError> {
        let Self { signal, above, below, between, outside, verdict, event } = self;
        condition(op, signal, Limits { above, below, between, outside }, verdict, event, false)
    }
}
