//! What an expectation names that the run does not have: it could never fire, and would hold or fail for nothing.

use super::{Claim, Condition, Evaluator, ExpectError, Expectation, VerdictPattern};
use crate::{
    scenario::diagnostic::near,
    signal::{Channel, Kind, SignalTable, wildcard},
};

/// Kinds that verdicts can have, as [`crate::sense::fault::FaultDef::name`] spells them.
pub const VERDICT_KINDS: [&str; 8] =
    ["stuck", "bias", "drift", "gain", "spike", "noise", "dropout", "clock_skew"];

/// Kinds of the events that a run can have.
pub const EVENT_KINDS: [&str; 23] = [
    "bad_command",
    "bad_input",
    "bad_payload",
    "battery_cold",
    "brown_out",
    "clock_reset",
    "clock_set",
    "command",
    "disturb_end",
    "disturb_start",
    "dropped",
    "duty_cycle",
    "fault_end",
    "fault_start",
    "gap",
    "gap_end",
    "joined",
    "reboot",
    "roamed",
    "sag",
    "too_long",
    "verdict",
    "verdict_end",
];

/// A reference to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Index of the expectation.
    pub index: usize,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

/// All references to signals, twins, parts and kinds that do not exist.
///
/// ```
/// use twinfleet_engine::{expect::{self, Expectation}, signal::SignalTable};
/// let ron = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
/// let never: Expectation = ron.from_str(r#"Never(verdict: (kind: "stuk"))"#).unwrap();
/// let found = expect::dangling(&[never], &SignalTable::default());
/// assert_eq!(found[0].message, "no verdict has the kind `stuk`");
/// ```
pub fn dangling(expectations: &[Expectation], table: &SignalTable) -> Vec<Dangling> {
    let mut all: Vec<Dangling> = Evaluator::unmatched(expectations, table)
        .into_iter()
        .map(|ExpectError::NoSignal { index, glob }| Dangling {
            index,
            message: format!("no signal of this run fits `{glob}`"),
            help: Some("`twinfleet run … --record DIR` lists all signals in DIR/signals.json".to_owned()),
        })
        .collect();
    let twins: Vec<(&str, &[Channel])> = table
        .blocks()
        .filter(|(_, count, channels)| *count == 1 && channels.iter().any(|c| c.kind == Kind::Estimate))
        .map(|(pattern, _, channels)| (pattern, channels))
        .collect();
    for (index, e) in expectations.iter().enumerate() {
        for kind in conditions(e)
            .into_iter()
            .filter_map(|c| if let Condition::Event(p) = c { p.kind.as_ref() } else { None })
        {
            if !EVENT_KINDS.iter().any(|k| plain(k) == plain(kind)) {
                let help =
                    near(kind, EVENT_KINDS).unwrap_or_else(|| format!("one of {}", EVENT_KINDS.join(", ")));
                all.push(Dangling {
                    index,
                    message: format!("no event has the kind `{kind}`"),
                    help: Some(help),
                });
            }
        }
        for cause in conditions(e)
            .into_iter()
            .filter_map(|c| if let Condition::Event(p) = c { p.cause.as_ref() } else { None })
        {
            // A glob over whole causes is left alone; a bare word is a kind.
            let word = !cause.contains(['/', '@', '*', '?']);
            if word && !EVENT_KINDS.iter().any(|k| plain(k) == plain(cause)) {
                let message = format!("no event has the kind `{cause}`, so none is because of it");
                all.push(Dangling { index, message, help: near(cause, EVENT_KINDS) });
            }
        }
        for pattern in verdicts(e) {
            if let Some((message, help)) = wrong(pattern, &twins) {
                all.push(Dangling { index, message, help });
            }
        }
    }
    all.sort_by_key(|d| d.index);
    all
}

fn conditions(e: &Expectation) -> Vec<&Condition> {
    match &e.claim {
        Claim::Never(c) | Claim::Within(c) | Claim::Count(c, _) => vec![c],
        Claim::Implies { premise, then, .. } => vec![premise, then],
        _ => vec![],
    }
}

/// A kind as it is compared: case and underscores do not matter.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('_', "")
}

fn verdicts(e: &Expectation) -> Vec<&VerdictPattern> {
    conditions(e)
        .into_iter()
        .filter_map(|c| if let Condition::Verdict(p) = c { Some(p) } else { None })
        .collect()
}

fn wrong(p: &VerdictPattern, twins: &[(&str, &[Channel])]) -> Option<(String, Option<String>)> {
    if let Some(kind) = &p.kind
        && !VERDICT_KINDS.iter().any(|k| plain(k) == plain(kind))
    {
        return Some((format!("no verdict has the kind `{kind}`"), near(kind, VERDICT_KINDS)));
    }
    let meant: Vec<_> = twins
        .iter()
        .filter(|(id, _)| p.of.as_ref().is_none_or(|of| wildcard(of.as_bytes(), id.as_bytes())))
        .collect();
    if let (Some(of), true) = (&p.of, meant.is_empty()) {
        return Some((format!("there is no twin `{of}`"), near(of, twins.iter().map(|(id, _)| *id))));
    }
    let part = p.part.as_ref()?;
    let names = || {
        meant
            .iter()
            .flat_map(|(_, cs)| cs.iter())
            .filter(|c| c.kind == Kind::Verdict)
            .map(|c| c.name.as_str())
    };
    let fits = |name: &str| {
        wildcard(part.as_bytes(), name.as_bytes())
            || name.split_once('.').is_some_and(|(head, _)| head == part)
    };
    (!names().any(fits)).then(|| (format!("no twin meant here has the part `{part}`"), near(part, names())))
}
