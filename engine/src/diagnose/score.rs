//! Verdicts against what was put wrong: F1 by kind, errors of onset and size, false alarms.
//!
//! A label is found by the first verdict on its device that begins within it, or up to [`EARLY_S`] before, and is decided
//! after its onset; of several labels, the one whose onset is nearest. It counts as right where kind and part are right; else as missed, and as said in vain. Later verdicts
//! within the time of a label, or [`AFTER_S`] after it, that are of another kind or part are said in vain, too. What begins
//! outside every label is a false alarm.
//!
//! ```
//! use twinfleet_engine::diagnose::{Label, Said, score::score};
//! let label = |from_s| Label { subject: "a".into(), part: "p".into(), kind: "bias".into(), from_s, until_s: from_s + 60.0, size: 2.0 };
//! let said = Said {
//!     subject: "a".into(), part: "p".into(), kind: "bias".into(), onset_s: 101.0, end_s: None, size: 1.8,
//!     posterior: 0.9, decided_at_s: 110.0,
//! };
//! let s = score(&[label(100.0), label(500.0)], &[said], 86_400.0 * 30.0);
//! assert_eq!((s.kinds["bias"].right, s.kinds["bias"].missed), (1, 1));
//! assert!((s.macro_f1 - 2.0 / 3.0).abs() < 1e-12 && s.false_alarms == 0);
//! ```

use super::{Label, Said};
use std::collections::BTreeMap;

/// How long before a label's onset its verdict may say it began, [s].
pub const EARLY_S: f64 = 120.0;
/// How long after a label's end what it leaves behind is no false alarm, [s].
pub const AFTER_S: f64 = 300.0;
/// Length of a device-month, [s].
pub const MONTH_S: f64 = 30.0 * 86_400.0;

/// How one kind fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Kind {
    /// Named with kind and part.
    pub right: usize,
    /// Not named, or as something else.
    pub missed: usize,
    /// Said where it was not.
    pub vain: usize,
}

impl Kind {
    /// Harmonic mean of precision and recall.
    pub fn f1(&self) -> f64 {
        let all = 2 * self.right + self.missed + self.vain;
        if all == 0 { 0.0 } else { 2.0 * self.right as f64 / all as f64 }
    }
}

/// How all fared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// By kind of the labels.
    pub kinds: BTreeMap<String, Kind>,
    /// Mean F1 over the kinds of the labels.
    pub macro_f1: f64,
    /// Of the labels that were named: |onset said − onset|, median and mean, [s].
    pub onset_error_s: (f64, f64),
    /// |size said / size − 1|, median and mean, of those that have a size.
    pub size_error: (f64, f64),
    /// Time from onset to decision, median and mean, [s].
    pub delay_s: (f64, f64),
    /// Verdicts outside every label.
    pub false_alarms: usize,
    /// Device-months outside every label.
    pub months: f64,
    /// What was made of each label: the first verdict on it.
    pub answers: Vec<(Label, Option<Said>)>,
    /// The false alarms themselves.
    pub alarms: Vec<Said>,
}

impl Score {
    /// False alarms per device-month.
    pub fn alarms_per_month(&self) -> f64 {
        if self.months > 0.0 { self.false_alarms as f64 / self.months } else { 0.0 }
    }
}

/// Holds verdicts against labels; `device_s` is the time that was watched, over all devices, [s].
pub fn score(labels: &[Label], said: &[Said], device_s: f64) -> Score {
    let mut score = Score::default();
    let mut said: Vec<&Said> = said.iter().collect();
    said.sort_by(|a, b| a.decided_at_s.total_cmp(&b.decided_at_s));
    let of: Vec<Option<usize>> = said.iter().map(|s| label_of(labels, s)).collect();
    let mut vain: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut onsets, mut sizes, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for (k, label) in labels.iter().enumerate() {
        let mine: Vec<&Said> =
            said.iter().zip(&of).filter(|(_, o)| **o == Some(k)).map(|(s, _)| *s).collect();
        let right = |s: &Said| s.kind == label.kind && is_same_part(&s.part, &label.part);
        let first = mine.iter().copied().find(|s| s.onset_s <= label.until_s);
        let kind = score.kinds.entry(label.kind.clone()).or_default();
        match first {
            Some(s) if right(s) => {
                kind.right += 1;
                onsets.push((s.onset_s - label.from_s).abs());
                delays.push(s.decided_at_s - label.from_s);
                if label.size != 0.0 && s.size != 0.0 {
                    // Spikes go in both directions.
                    let signed = label.kind != "spike";
                    let share = s.size / label.size;
                    sizes.push((if signed { share } else { share.abs() } - 1.0).abs());
                }
            }
            _ => kind.missed += 1,
        }
        for s in mine.iter().filter(|s| !right(s)) {
            *vain.entry(s.kind.as_str()).or_default() += 1;
        }
        score.answers.push((label.clone(), first.cloned()));
    }
    score.alarms = said.iter().zip(&of).filter(|(_, o)| o.is_none()).map(|(s, _)| (*s).clone()).collect();
    score.false_alarms = score.alarms.len();
    for alarm in &score.alarms {
        *vain.entry(alarm.kind.as_str()).or_default() += 1;
    }
    for (kind, n) in vain {
        if let Some(k) = score.kinds.get_mut(kind) {
            k.vain = n;
        }
    }
    let n = score.kinds.len().max(1) as f64;
    score.macro_f1 = score.kinds.values().map(Kind::f1).fold(0.0, |sum, f| sum + f) / n;
    let faulty: f64 = labels.iter().map(|l| l.until_s - l.from_s).filter(|s| s.is_finite()).sum();
    score.months = (device_s - faulty).max(0.0) / MONTH_S;
    score.onset_error_s = median_and_mean(onsets);
    score.size_error = median_and_mean(sizes);
    score.delay_s = median_and_mean(delays);
    score
}

/// The label that a verdict is about: of those in whose time it lies, the one whose onset is nearest.
fn label_of(labels: &[Label], s: &Said) -> Option<usize> {
    let within = |l: &Label| {
        s.subject == l.subject
            && s.onset_s >= l.from_s - EARLY_S
            && s.onset_s <= l.until_s + AFTER_S
            && s.decided_at_s >= l.from_s
    };
    let off = |l: &Label| (s.onset_s - l.from_s).abs();
    let about = labels.iter().enumerate().filter(|(_, l)| within(l));
    about.min_by(|a, b| off(a.1).total_cmp(&off(b.1))).map(|(k, _)| k)
}

/// A device's own faults are named on no part, and some labels name the part where the verdict names its quantity.
fn is_same_part(said: &str, label: &str) -> bool {
    said == label || label.is_empty() || said.split_once('.').is_some_and(|(part, _)| part == label)
}

fn median_and_mean(mut values: Vec<f64>) -> (f64, f64) {
    if values.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let median = 0.5 * (values[(n - 1) / 2] + values[n / 2]);
    (median, values.iter().sum::<f64>() / n as f64)
}
