//! Faults of the timeline: whether they befall anything, and their figures.

use super::{
    Place,
    fleet::{Target, Targets},
};
use crate::{
    scenario::diagnostic::{Diagnostic, Report, near},
    sense::fault::{FaultDef, reach},
    time::Span,
};

/// The shortest mean time between two changes of a loose contact; what is faster no reading sees.
const SHORTEST: Span = Span(10_000_000);

impl Targets {
    /// What is wrong with a fault's target.
    pub(super) fn fault(&self, target: &str, kind: &FaultDef) -> Option<Diagnostic> {
        let (device, channel) = match target.split_once('/') {
            Some((device, channel)) => (device, Some(channel.split('@').next().unwrap_or(channel))),
            None => (target, None),
        };
        let hits = self.hit(device);
        if hits.is_empty() {
            return (!self.vague).then(|| self.missing(device));
        }
        let whole = matches!(
            kind,
            FaultDef::Dropout
                | FaultDef::ClockSkew { .. }
                | FaultDef::AdcReference { .. }
                | FaultDef::Condensation { .. }
        );
        match channel {
            None if !whole => {
                let text = format!("`{target}` names no signal");
                let help = "write `device/part.quantity`; only Dropout, ClockSkew, AdcReference and Condensation befall a \
                            whole device";
                return Some(Diagnostic::error(text).help(help));
            }
            Some(_) if matches!(kind, FaultDef::AdcReference { .. }) => {
                let text = format!("the reference is the whole board's, and `{target}` names a part of it");
                return Some(Diagnostic::error(text).help(format!("write `{device}`")));
            }
            _ => {}
        }
        if let Some(channel) = channel
            && let Some(error) = self.lacking(&hits, channel)
        {
            return Some(error);
        }
        self.spared(&hits, target, channel, kind)
    }

    /// What is wrong where a fault befalls nothing of the devices that it names.
    fn spared(
        &self,
        hits: &[&Target],
        target: &str,
        channel: Option<&str>,
        kind: &FaultDef,
    ) -> Option<Diagnostic> {
        let reaches = |t: &&Target| !reach::reached(kind, channel, &t.streams).is_empty();
        let (what, help) = match kind {
            FaultDef::BusLockUp => ("is on no bus that could hang", "name a part on I2C, SPI or 1-Wire"),
            FaultDef::AdcReference { .. } => (
                "reads no part through its board's converter",
                "name a device with a part on an analogue pin",
            ),
            FaultDef::Condensation { .. } => {
                ("measures no humidity, and has no part on an analogue pin", "name a device with such a part")
            }
            FaultDef::SelfHeating { .. } => ("measures no temperature", "name the temperature of a part"),
            FaultDef::Dust { .. } => ("measures no light", "name a part's `illuminance`"),
            _ => return None,
        };
        if hits.iter().any(|t| !t.complete || reaches(t)) {
            return None;
        }
        Some(Diagnostic::error(format!("`{target}` {what}")).help(help))
    }

    /// What is wrong with a swap: the key of the field, and the error.
    pub(super) fn swap(&self, target: &str, with: &str) -> Option<(&'static str, Diagnostic)> {
        let Some((device, channel)) = target.split_once('/') else {
            let error = Diagnostic::error(format!("`{target}` names no signal"));
            return Some(("target", error.help("write `device/part.quantity`")));
        };
        let hits = self.hit(device);
        if hits.is_empty() {
            return (!self.vague).then(|| ("target", self.missing(device)));
        }
        if hits.iter().any(|t| !t.complete) {
            return None;
        }
        for (key, name) in [("target", channel), ("with", with)] {
            if name.contains(['*', '?']) {
                let error = Diagnostic::error(format!("`{name}` may name more than one reading"));
                return Some((key, error.help("write out the one that is exchanged")));
            }
            if hits.iter().all(|t| t.streams.iter().all(|s| s.name != name)) {
                let known = hits.iter().flat_map(|t| &t.streams).map(|s| s.name.as_str());
                let error = Diagnostic::error(format!("`{}` measures no `{name}`", hits[0].pattern));
                return Some((key, error.maybe_help(near(name, known))));
            }
        }
        let quantity = |name: &str| name.split_once('.').map(|(_, q)| q.to_owned());
        let text = match hits.iter().find_map(|t| reach::swapped(channel, with, &t.streams).map(|s| (t, s))) {
            None => "no device has both of them".to_owned(),
            Some(_) if channel == with => "a reading exchanged with itself is none".to_owned(),
            Some((t, (a, b)))
                if t.streams[a].unit != t.streams[b].unit || quantity(channel) != quantity(with) =>
            {
                format!("`{channel}` and `{with}` are not of one quantity: nobody takes one for the other")
            }
            _ => return None,
        };
        Some(("with", Diagnostic::error(text).help("name another part that measures the same")))
    }
}

/// The largest size of a fault: with it added, what a recording can hold is still what a twin takes in.
const LARGEST_SIZE: f64 = 1e12;

/// What is wrong with a fault's figures.
pub(super) fn figures(action: &Place<'_>, kind: &FaultDef, report: &mut Report) {
    let size = match kind {
        FaultDef::Bias { by } | FaultDef::Spike { by, .. } => Some(("by", *by)),
        FaultDef::Drift { per_h } => Some(("per_h", *per_h)),
        FaultDef::Gain { factor } => Some(("factor", *factor)),
        FaultDef::Noise { std } => Some(("std", *std)),
        FaultDef::ClockSkew { ppm } => Some(("ppm", *ppm)),
        _ => None,
    };
    // What is not finite is refused wherever it stands.
    if let Some((key, size)) = size.filter(|s| s.1.is_finite() && s.1.abs() > LARGEST_SIZE) {
        let text = format!("`{key}` is {size:e}: no reading, record or report can hold what comes of it");
        let error = action.error(&format!("kind.{key}"), text);
        report.push(error.help(format!("write a size of at most {LARGEST_SIZE:e}")));
        return;
    }
    // Its label stands in the record all the same; `score` leaves it out.
    if let Some((key, nothing)) = size_of_nothing(kind) {
        let text =
            format!("a fault whose `{key}` is {nothing} does nothing, and is labelled as one that does");
        report.push(action.warning(&format!("kind.{key}"), text).help("give it a size, or leave it out"));
    }
    let mut lasts = |key: &str, span: Span, least: Span| {
        if span < least {
            let error = action.error(&format!("kind.{key}"), format!("`{key}` is shorter than {least}"));
            report.push(error.help(format!("write \"{least}\" or more")));
        }
    };
    match kind {
        FaultDef::Intermittent { open, closed } => {
            lasts("open", *open, SHORTEST);
            lasts("closed", *closed, SHORTEST);
        }
        FaultDef::Noise { std } => action.at_least("kind.std", *std, 0.0, report),
        FaultDef::ClockSkew { ppm } if *ppm <= -1e6 => {
            let text = "a clock that is slow by 1000000 ppm stands still, by more runs backwards";
            let error = action.error("kind.ppm", text);
            report.push(error.help("a crystal is off by 10 to 100 ppm, a bad one by 10000"));
        }
        FaultDef::AdcReference { by } => action.within("kind.by", *by, -0.5, 1.0, report),
        FaultDef::Condensation { leak, .. } => action.within("kind.leak", *leak, 0.0, 1.0, report),
        FaultDef::SelfHeating { by, .. } => action.within("kind.by", *by, 0.0, 100.0, report),
        FaultDef::Dust { per_day } => action.within("kind.per_day", *per_day, 0.0, 0.99, report),
        _ => {}
    }
}

/// The field by which a fault changes nothing, and what stands there.
fn size_of_nothing(kind: &FaultDef) -> Option<(&'static str, f64)> {
    let key = match kind {
        FaultDef::Bias { .. }
        | FaultDef::Spike { .. }
        | FaultDef::AdcReference { .. }
        | FaultDef::SelfHeating { .. } => "by",
        FaultDef::Drift { .. } => "per_h",
        FaultDef::Gain { .. } => "factor",
        FaultDef::Noise { .. } => "std",
        FaultDef::ClockSkew { .. } => "ppm",
        FaultDef::Dust { .. } => "per_day",
        _ => return None,
    };
    FaultDef::changes_nothing(kind.name(), kind.size()).then_some((key, kind.size()))
}
