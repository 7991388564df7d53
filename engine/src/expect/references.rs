//! What an expectation names that the run does not have: it could never fire, and would hold or fail for nothing.

use super::{Claim, Condition, Evaluator, EventPattern, ExpectError, Expectation, VerdictPattern, fits_part};
use crate::{
    diagnose::{doctor::SPOOFED, world::UNKNOWN},
    dynamics::definition::HappeningDef,
    scenario::diagnostic::near,
    signal::{Channel, Glob, Kind, SignalId, SignalTable, wildcard},
};

/// Kinds that verdicts on sensors and devices can have, as [`crate::sense::fault::FaultDef::name`] spells them.
pub const VERDICT_KINDS: [&str; 8] =
    ["stuck", "bias", "drift", "gain", "spike", "noise", "dropout", "clock_skew"];

/// Kinds of the events that a run can have; a test looks up those of every shipped scenario's record.
pub const EVENT_KINDS: [&str; 43] = [
    "alarm",
    "alarm_end",
    "bad_command",
    "bad_input",
    "bad_payload",
    "battery_cold",
    "brown_out",
    "clock_reset",
    "clock_set",
    "command",
    "diagnosis",
    "disturb_end",
    "disturb_start",
    "dropped",
    "duty_cycle",
    "fault_end",
    "fault_start",
    "gap",
    "gap_end",
    "joined",
    "moved",
    "offline",
    "online",
    "reboot",
    "refused",
    "roamed",
    "sag",
    "script_crash",
    "script_exit",
    "script_gone",
    "script_host",
    "script_quiet",
    "script_reset",
    "script_says",
    "script_stuck",
    "set",
    "set_end",
    "too_long",
    "unheard",
    "verdict",
    "verdict_end",
    "weather_end",
    "weather_start",
];

/// A reference to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dangling {
    /// Index of the expectation.
    pub index: usize,
    /// The text in it that names nothing.
    pub word: String,
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

/// What may happen to the thing that a twin follows, and be its verdict: the twin's id, and the events of its thing.
pub type Watched<'a> = (&'a str, &'a [HappeningDef]);

/// All references to signals, twins, parts and kinds that do not exist.
///
/// ```
/// use twinfleet_engine::{expect::{self, Expectation}, signal::SignalTable};
/// let ron = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
/// let never: Expectation = ron.from_str(r#"Never(verdict: (kind: "stuk"))"#).unwrap();
/// let found = expect::dangling(&[never], &SignalTable::default(), &[]);
/// assert_eq!(found[0].message, "no verdict has the kind `stuk`");
/// ```
pub fn dangling(expectations: &[Expectation], table: &SignalTable, watched: &[Watched<'_>]) -> Vec<Dangling> {
    let mut all: Vec<Dangling> = Evaluator::unmatched(expectations, table)
        .into_iter()
        .map(|ExpectError::NoSignal { index, glob }| Dangling {
            index,
            message: format!("no signal of this run fits `{glob}`"),
            help: Some(near_signal(&glob, table)),
            word: glob,
        })
        .collect();
    let twins: Vec<(&str, &[Channel])> = table
        .blocks()
        .filter(|(_, count, channels)| *count == 1 && channels.iter().any(|c| c.kind == Kind::Estimate))
        .map(|(pattern, _, channels)| (pattern, channels))
        .collect();
    for (index, e) in expectations.iter().enumerate() {
        let unknown = |kind: &str, message: String| {
            let help =
                near(kind, EVENT_KINDS).unwrap_or_else(|| format!("one of {}", EVENT_KINDS.join(", ")));
            let known = EVENT_KINDS.iter().any(|k| plain(k) == plain(kind));
            (!known).then(|| Dangling { index, word: kind.to_owned(), message, help: Some(help) })
        };
        for kind in events(e).into_iter().filter_map(|p| p.kind.as_ref()) {
            all.extend(unknown(kind, format!("no event has the kind `{kind}`")));
        }
        for cause in events(e).into_iter().filter_map(|p| p.cause.as_ref()) {
            // A glob over whole causes is left alone; a bare word is a kind.
            if !cause.contains(['/', '@', '*', '?']) {
                all.extend(unknown(
                    cause,
                    format!("no event has the kind `{cause}`, so none is because of it"),
                ));
            }
        }
        let parts = events(e).into_iter().filter_map(|p| partless(p, table));
        let words = verdicts(e).into_iter().filter_map(|p| wrong(p, &twins, watched));
        for (word, message, help) in parts.chain(words) {
            all.push(Dangling { index, word, message, help: Some(help) });
        }
    }
    all.sort_by_key(|d| d.index);
    all
}

/// Expectations that look at a signal which a record of these globs does not keep, and the first such signal: from the record
/// alone they cannot be judged.
pub fn unrecorded(
    expectations: &[Expectation],
    kept: &[String],
    table: &SignalTable,
) -> Vec<(usize, String)> {
    let kept: Vec<Glob> = kept.iter().filter_map(|text| Glob::new(text).ok()).collect();
    let is_kept = |id: &SignalId| {
        let (device, channel) = (table.device_name(*id), table.channel(*id));
        kept.iter().any(|g| g.matches_device(&device) && g.matches_channel(channel))
    };
    let first = |e: &Expectation| {
        let globs = e.signals().into_iter().filter_map(|text| Glob::new(text).ok());
        globs.flat_map(|g| table.matches(&g)).find(|id| !is_kept(id)).map(|id| table.name(id))
    };
    expectations.iter().enumerate().filter_map(|(i, e)| Some((i, first(e)?))).collect()
}

/// What a glob that fits nothing may have meant: a device, or one of the signals that the devices it names have.
fn near_signal(glob: &str, table: &SignalTable) -> String {
    let (device, channel) = glob.split_once('/').unwrap_or((glob, "*"));
    let (name, kind) = channel.rsplit_once('@').map_or((channel, None), |(name, kind)| (name, Some(kind)));
    let met: Vec<&[Channel]> = table.blocks().filter(|b| has(device, b.0, b.1)).map(|b| b.2).collect();
    if met.is_empty() {
        let names: Vec<String> = table.blocks().map(|b| b.0.replace("{}", "0")).collect();
        return near(device, names.iter().map(String::as_str))
            .unwrap_or_else(|| "the run has no signals".to_owned());
    }
    let all = || met.iter().flat_map(|channels| channels.iter());
    let same: Vec<String> = (all().filter(|c| wildcard(name.as_bytes(), c.name.as_bytes())))
        .map(|c| format!("{device}/{}@{}", c.name, c.kind))
        .collect();
    if !same.is_empty() {
        return near("", same.iter().map(String::as_str)).unwrap_or_default().replacen("known", "it has", 1);
    }
    let meant = all().filter(|c| kind.is_none_or(|kind| c.kind.name() == kind));
    let names: Vec<String> = meant.map(|c| format!("{device}/{}@{}", c.name, c.kind)).collect();
    let others: Vec<String> = all().map(|c| format!("{device}/{}@{}", c.name, c.kind)).collect();
    near(glob, if names.is_empty() { &others } else { &names }.iter().map(String::as_str)).unwrap_or_default()
}

/// Whether a glob names one of the devices of a block.
fn has(device: &str, pattern: &str, count: u32) -> bool {
    (0..count).any(|i| wildcard(device.as_bytes(), pattern.replace("{}", &i.to_string()).as_bytes()))
}

impl Expectation {
    /// Whom the events befall that it looks at, as globs.
    pub(crate) fn befallen(&self) -> Vec<&str> {
        events(self).into_iter().filter_map(|p| p.of.as_deref()).collect()
    }
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

fn events(e: &Expectation) -> Vec<&EventPattern> {
    conditions(e)
        .into_iter()
        .filter_map(|c| if let Condition::Event(p) = c { Some(p) } else { None })
        .collect()
}

/// The part in a pattern of faults that no device meant has, what is wrong with it, and what to try. A fault's label names the
/// stream that it reaches; what the part of another event is called, is its own to know.
fn partless(p: &EventPattern, table: &SignalTable) -> Option<(String, String, String)> {
    let part = p.part.as_ref().filter(|part| !part.is_empty())?;
    let kind = plain(p.kind.as_ref()?);
    if !matches!(kind.as_str(), "faultstart" | "faultend") {
        return None;
    }
    let names: Vec<&str> = table
        .blocks()
        .filter(|b| p.of.as_ref().is_none_or(|of| has(of, b.0, b.1)))
        .flat_map(|b| b.2)
        .map(|c| c.name.as_str())
        .collect();
    let is_there = names.iter().any(|name| fits_part(Some(part), name));
    (!is_there).then(|| {
        let help = near(part, names).unwrap_or_else(|| "leave `part` out".to_owned());
        (part.clone(), format!("no device meant here has the part `{part}`"), help)
    })
}

/// The word of a pattern that no twin has, what is wrong with it, and what to try.
fn wrong(
    p: &VerdictPattern,
    twins: &[(&str, &[Channel])],
    watched: &[Watched<'_>],
) -> Option<(String, String, String)> {
    let is_meant = |id: &str| p.of.as_ref().is_none_or(|of| wildcard(of.as_bytes(), id.as_bytes()));
    let meant: Vec<_> = twins.iter().filter(|(id, _)| is_meant(id)).collect();
    let events = || watched.iter().filter(|(id, _)| is_meant(id)).flat_map(|(_, events)| *events);
    if let (Some(of), true) = (&p.of, meant.is_empty()) {
        let help = near(of, twins.iter().map(|(id, _)| *id));
        let help = help.unwrap_or_else(|| "the scenario mirrors nothing: add `mirror: […]`".to_owned());
        return Some((of.clone(), format!("there is no twin `{of}`"), help));
    }
    if let Some(kind) = &p.kind {
        let of_things = events().map(|e| e.kind.as_str());
        let beside = events().next().map_or([].as_slice(), |_| &[UNKNOWN, SPOOFED]);
        let known: Vec<&str> =
            VERDICT_KINDS.into_iter().chain(of_things).chain(beside.iter().copied()).collect();
        if !known.iter().any(|k| plain(k) == plain(kind)) {
            let help = near(kind, known).unwrap_or_default();
            return Some((kind.clone(), format!("no verdict has the kind `{kind}`"), help));
        }
    }
    let part = p.part.as_ref()?;
    let names = || {
        meant
            .iter()
            .flat_map(|(_, cs)| cs.iter())
            .filter(|c| c.kind == Kind::Verdict)
            .map(|c| c.name.as_str())
            .chain(events().map(|e| e.part.as_str()))
    };
    let fits = |name: &str| {
        wildcard(part.as_bytes(), name.as_bytes())
            || name.split_once('.').is_some_and(|(head, _)| head == part)
    };
    (!names().any(fits)).then(|| {
        let help = near(part, names()).unwrap_or_else(|| "leave `part` out".to_owned());
        (part.clone(), format!("no twin meant here has the part `{part}`"), help)
    })
}
