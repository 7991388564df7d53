//! The figures of a fit, for people and for machines.

use crate::report::words;
use serde_json::{Map, Value, json};
use twinfleet_engine::dynamics::{
    DynamicsDef,
    definition::PriorDef,
    fit::{Estimate, Experiment, Part, PartScore, Report, Unknown},
};

/// Errors per recording, parameters with their intervals, and what the data do not tell.
pub(super) fn table(report: &Report, def: &DynamicsDef) -> String {
    let wide = report.files.iter().map(|f| f.chars().count()).max().unwrap_or(0).max(9);
    let mut text =
        format!("{:wide$}  {:<24} {:>4} {:>10} {:>7}\n", "recording", "signal", "part", "RMSE", "rows");
    for s in &report.scores {
        text +=
            &format!("{:wide$}  {:<24} {:>4} {:>10.4} {:>7}\n", s.file, s.signal, s.part.name(), s.rmse, s.n);
    }
    for u in &report.unknown {
        text += &unknown(report, u);
    }
    for s in report.scores.iter().filter(|s| s.part == Part::Fit) {
        text += &unexplained(report, s, def);
    }
    text += "\nparameter            value         90 % interval             unit      of\n";
    for e in &report.estimates {
        text += &format!(
            "{:<16} {:>10.5}   [{:>10.5}, {:>10.5}]   {:<9} {}{}\n",
            e.name,
            e.value,
            e.interval.0,
            e.interval.1,
            e.unit,
            e.recording.as_deref().unwrap_or("all"),
            match e.identified {
                _ if is_at_bound(e, def) => "   (at its bound)",
                true => "",
                false => "   (not identified: kept near its prior)",
            },
        );
    }
    let bound: Vec<&str> =
        report.estimates.iter().filter(|e| is_at_bound(e, def)).map(|e| e.name.as_str()).collect();
    if !bound.is_empty() {
        text += &format!(
            "at a bound: {}; these readings ask for more than the thing allows: it may be built otherwise, or \
             what was mapped is not what it means\n",
            bound.join(", ")
        );
    }
    let held: Vec<&str> = def
        .parameters
        .iter()
        .filter(|(_, p)| p.prior == PriorDef::Fixed)
        .map(|(name, _)| name.as_str())
        .collect();
    for names in &report.confounded {
        text += &format!("told only together by these data: {}\n", names.join(", "));
    }
    for rival in &report.rivals {
        let values: Vec<String> = rival.iter().map(|(name, value)| format!("{name} {value:.5}")).collect();
        text += &format!("explained as well by: {} (the intervals span both)\n", values.join(", "));
    }
    for e in &report.experiments {
        text += &experiment(e, def);
    }
    if !held.is_empty() {
        text += &format!("held at the thing's own value: {}\n", held.join(", "));
    }
    if !report.converged {
        text += "the iterations did not converge: take the figures with care, or raise --starts\n";
    }
    text
}

/// Whether an estimate went as far as the thing lets it.
fn is_at_bound(e: &Estimate, def: &DynamicsDef) -> bool {
    let at = |bound: f64| bound.is_finite() && (e.value - bound).abs() <= 1e-3 * bound.abs();
    def.parameters.get(&e.name).is_some_and(|p| at(p.bounds.0) || at(p.bounds.1))
}

/// By how much an error is beyond what the sensor scatters, and what share of a signal's swing it is, where a fit explains little.
const BEYOND_NOISE: f64 = 5.0;
const LITTLE: f64 = 0.5;

/// A sentence on a signal of which the fit explains little; empty for another.
fn unexplained(report: &Report, s: &PartScore, def: &DynamicsDef) -> String {
    let of = || {
        let rows = report.trace.iter().filter(|r| r.part == s.part && r.measured.is_finite());
        rows.filter(|r| report.files[r.file] == s.file && report.signals[r.output] == s.signal)
    };
    let n = of().count().max(1) as f64;
    let mean = of().map(|r| r.measured).sum::<f64>() / n;
    let swing = (of().map(|r| (r.measured - mean).powi(2)).sum::<f64>() / n).sqrt();
    let noise = def.outputs.iter().find(|o| o.signal == s.signal).map_or(0.0, |o| o.noise_std);
    if s.rmse < LITTLE * swing || s.rmse < BEYOND_NOISE * noise {
        return String::new();
    }
    format!(
        "{}: {} swings by {swing:.3} about its mean, and the fit is off by {:.3}: it explains little; are columns, \
         units, times and inputs what the thing means?\n",
        s.file, s.signal, s.rmse
    )
}

/// A sentence on where nothing told what drove the thing.
fn unknown(report: &Report, u: &Unknown) -> String {
    format!(
        "{}: nothing tells the inputs for {} from {:.0} s on: the state behind it is estimated anew\n",
        report.files[u.file],
        words::span(u.until_s - u.from_s),
        u.from_s
    )
}

/// A sentence on what would tell a parameter.
fn experiment(e: &Experiment, def: &DynamicsDef) -> String {
    let unit = |name: &str| {
        let unit = def.inputs.iter().find(|i| i.signal == name).map_or("", |i| i.unit.as_str());
        if unit.is_empty() { String::new() } else { format!(" {unit}") }
    };
    let log = def.parameters.get(&e.parameter).is_some_and(|p| matches!(p.prior, PriorDef::Log(_)));
    let wide = |sd: f64| {
        let half = 1.645 * sd;
        if log { format!("×/÷ {:.2}", half.exp()) } else { format!("± {half:.2}") }
    };
    let Some(input) = &e.input else {
        return format!(
            "to tell {}: no step of any input would, with these sensors; hold it, or measure another node\n",
            e.parameter
        );
    };
    let half = words::span(0.5 * e.length_s);
    let unit = unit(input);
    let how = if e.settable {
        format!("set {input} to {}{unit} for {half}, then to {}{unit} for {half}", e.high, e.low)
    } else {
        format!("record {half} with {input} near {}{unit} and {half} near {}{unit}", e.high, e.low)
    };
    format!(
        "to tell {}: {how}, reading {}: {} → {}\n",
        e.parameter,
        e.read.join(", "),
        wide(e.sd.0),
        wide(e.sd.1)
    )
}

/// The same as one object.
pub(super) fn json(report: &Report, def: &DynamicsDef) -> String {
    let scores: Vec<Value> = report
        .scores
        .iter()
        .map(|s| json!({"file": s.file, "signal": s.signal, "part": s.part.name(), "rmse": s.rmse, "rows": s.n}))
        .collect();
    let parameters: Vec<Value> = report
        .estimates
        .iter()
        .map(|e| {
            json!({"name": e.name, "recording": e.recording, "value": e.value, "unit": e.unit,
                   "low": e.interval.0, "high": e.interval.1, "identified": e.identified,
                   "at_bound": is_at_bound(e, def),
                   "profile": e.profile, "profile_of_data": e.of_data, "rise_at_ends": e.rise_at_ends})
        })
        .collect();
    let experiments: Vec<Value> = report
        .experiments
        .iter()
        .map(|e| {
            json!({"parameter": e.parameter, "input": e.input, "settable": e.settable, "high": e.high,
                   "low": e.low, "length_s": e.length_s, "read": e.read, "sd_now": e.sd.0, "sd_after": e.sd.1})
        })
        .collect();
    let unknown: Vec<Value> = report
        .unknown
        .iter()
        .map(|u| json!({"file": report.files[u.file], "from_s": u.from_s, "until_s": u.until_s}))
        .collect();
    let rivals: Vec<Map<String, Value>> = report
        .rivals
        .iter()
        .map(|rival| rival.iter().map(|(name, value)| (name.clone(), json!(value))).collect())
        .collect();
    let all = json!({"unknown_inputs": unknown, "explained_as_well_by": rivals, "converged": report.converged, "scores": scores, "parameters": parameters,
                     "told_only_together": report.confounded, "experiments": experiments});
    format!("{all:#}\n")
}
