//! The figures of a fit, for people and for machines.

use serde_json::{Value, json};
use twinfleet_engine::dynamics::{DynamicsDef, fit::Report};

/// Errors per recording, parameters with their intervals, and what the data do not tell.
pub(super) fn table(report: &Report, def: &DynamicsDef) -> String {
    let wide = report.files.iter().map(|f| f.chars().count()).max().unwrap_or(0).max(9);
    let mut text =
        format!("{:wide$}  {:<24} {:>4} {:>10} {:>7}\n", "recording", "signal", "part", "RMSE", "rows");
    for s in &report.scores {
        text +=
            &format!("{:wide$}  {:<24} {:>4} {:>10.4} {:>7}\n", s.file, s.signal, s.part.name(), s.rmse, s.n);
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
            if e.identified { "" } else { "   (not identified: kept near its prior)" },
        );
    }
    let held: Vec<&str> = def
        .parameters
        .iter()
        .filter(|(_, p)| p.prior == twinfleet_engine::dynamics::definition::PriorDef::Fixed)
        .map(|(name, _)| name.as_str())
        .collect();
    if !held.is_empty() {
        text += &format!("held at the thing's own value: {}\n", held.join(", "));
    }
    if !report.converged {
        text += "the iterations did not converge: take the figures with care, or raise --starts\n";
    }
    text
}

/// The same as one object.
pub(super) fn json(report: &Report) -> String {
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
                   "low": e.interval.0, "high": e.interval.1, "identified": e.identified})
        })
        .collect();
    let all = json!({"converged": report.converged, "scores": scores, "parameters": parameters});
    format!("{all:#}\n")
}
