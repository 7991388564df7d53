//! What `run` prints at its end, for a person.

use crate::{
    args::RunArgs,
    report::{Happening, Report, Score, pairs::Outcome, words},
};
use std::fmt::Write;
use twinfleet_engine::{
    expect::{self, Status},
    mirror::follow::TwinSummary,
    scenario::Scenario,
    time::{SimTime, Span},
};

/// Verdicts and faults that are listed before the rest is counted.
const LISTED: usize = 20;

/// Puts the twins' scores into the report.
pub fn score_twins(report: &mut Report, scenario: &Scenario, summary: &TwinSummary) {
    for score in &summary.0 {
        let Some(def) = scenario.mirror.iter().find(|m| m.twin == score.twin) else { continue };
        let Some(twin) = report.twins.iter_mut().find(|t| t.id == score.twin) else { continue };
        twin.thing.clone_from(&def.thing);
        twin.scores = score
            .forecasts
            .iter()
            .map(|(signal, horizon, s)| Score {
                signal: signal.clone(),
                horizon_s: horizon.as_secs_f64(),
                n: s.n(),
                rmse: s.rmse(),
                rmse_persistence: s.rmse_persistence(),
                coverage: s.coverage(),
                interval: def.forecast.as_ref().map_or(0.9, |f| f.interval),
            })
            .collect();
        // The event says when a verdict was reached; the twin also knows since when, until when and how large.
        let known: Vec<Happening> = report
            .happenings
            .iter()
            .filter(|h| h.what == "verdict" && h.subject == score.twin)
            .cloned()
            .collect();
        let cause = |part: &str, kind: &str, t_s: f64| {
            let same = |h: &&Happening| h.part == part && h.detail == kind && (h.from_s - t_s).abs() < 1e-6;
            known.iter().find(same).map(|h| h.cause.clone()).unwrap_or_default()
        };
        report.happenings.retain(|h| !(h.what == "verdict" && h.subject == score.twin));
        report.happenings.extend(score.verdicts.iter().map(|v| Happening {
            from_s: v.onset.as_secs_f64(),
            to_s: v.end.map(SimTime::as_secs_f64),
            what: "verdict".to_owned(),
            subject: score.twin.clone(),
            part: v.part.clone(),
            detail: v.kind.to_owned(),
            value: v.posterior,
            decided_at_s: Some(v.decided_at.as_secs_f64()),
            size: (v.size != 0.0).then_some(v.size),
            cause: cause(&v.part, v.kind, v.decided_at.as_secs_f64()),
            ..Happening::default()
        }));
    }
    report.happenings.sort_by(|a, b| a.from_s.total_cmp(&b.from_s));
}

/// The whole summary.
pub fn text(report: &Report, args: &RunArgs) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = head(&mut out, report);
    let _ = twins(&mut out, report);
    let _ = happenings(&mut out, report);
    let _ = batteries(&mut out, report);
    out += &outcomes(report);
    let _ = tail(&mut out, report, args);
    out
}

fn head(out: &mut String, r: &Report) -> std::fmt::Result {
    let rate = r.simulated_s / r.wall_s.max(1e-9);
    writeln!(
        out,
        "{} simulated in {:.2} s ({rate:.0}x real time), seed {}, {} messages through {}",
        clock(r.simulated_s),
        r.wall_s,
        r.seed,
        r.messages,
        if r.broker == "none" { "no broker" } else { &r.broker }
    )?;
    if !r.finished {
        writeln!(out, "stopped by Ctrl-C at {} of {}", clock(r.simulated_s), clock(r.duration_s))?;
    }
    if r.behind_s > 0.5 {
        writeln!(out, "fell behind the pace by {:.1} s at most; no simulated time was dropped", r.behind_s)?;
    }
    if !r.counters.is_empty() {
        let words: Vec<String> =
            r.counters.iter().map(|(k, v)| format!("{} {v}", k.replace('_', " "))).collect();
        writeln!(out, "{}", words.join(", "))?;
    }
    Ok(())
}

fn twins(out: &mut String, r: &Report) -> std::fmt::Result {
    if r.twins.iter().all(|t| t.scores.is_empty()) {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<28} {:>8} {:>10} {:>12} {:>9} {:>8}",
        "forecast", "ahead", "RMSE", "persistence", "coverage", "n"
    )?;
    for twin in &r.twins {
        for s in &twin.scores {
            let unit = twin.outputs.iter().find(|o| o.name == s.signal).map_or("", |o| o.unit.as_str());
            writeln!(
                out,
                "{:<28} {:>8} {:>10} {:>12} {:>9} {:>8}",
                format!("{}/{}", twin.id, s.signal),
                clock(s.horizon_s),
                figure(s.rmse, unit),
                figure(s.rmse_persistence, unit),
                if s.n > 0 { format!("{:.0} %", 100.0 * s.coverage) } else { "–".to_owned() },
                s.n
            )?;
        }
    }
    Ok(())
}

fn happenings(out: &mut String, r: &Report) -> std::fmt::Result {
    let told: Vec<_> =
        r.happenings.iter().filter(|h| matches!(h.what.as_str(), "fault" | "verdict")).collect();
    if told.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfaults put in and verdicts found")?;
    let pairs: Vec<_> = r.twins.iter().flat_map(|t| r.pairs(&t.id)).collect();
    // A fault that was named twice is named.
    let outcome = |h: &Happening| {
        let of = |side: Option<&Happening>| side.is_some_and(|s| std::ptr::eq(s, h));
        let found = pairs.iter().find(|p| of(p.fault) || of(p.verdict))?.outcome;
        (found != Outcome::Unjudged).then(|| found.word())
    };
    for h in told.iter().take(LISTED) {
        let until = h.to_s.map_or_else(|| "open".to_owned(), clock);
        let part = if h.part.is_empty() { h.subject.clone() } else { format!("{}/{}", h.subject, h.part) };
        let size = r.size_of(h).map_or_else(String::new, |s| format!(", size {s}"));
        let because =
            h.cause.rsplit_once('@').map_or_else(String::new, |(what, _)| format!(", because of {what}"));
        let decided = h.decided_at_s.map_or_else(String::new, |t| format!(" (decided at {})", clock(t)));
        let judged = outcome(h).map_or_else(String::new, |word| format!(": {word}"));
        writeln!(
            out,
            "  {:<8} {part:<28} {} from {} to {until}{size}{decided}{because}{judged}",
            h.what,
            h.detail,
            clock(h.from_s)
        )?;
    }
    if told.len() > LISTED {
        writeln!(out, "  … and {} more; --report DIR lists them all", told.len() - LISTED)?;
    }
    Ok(())
}

fn batteries(out: &mut String, r: &Report) -> std::fmt::Result {
    if r.batteries.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\nbattery life, if all goes on as in this run, down to where its coldest moment would end it (in brackets nine in ten: \
         devices, and how their currents varied)"
    )?;
    for b in &r.batteries {
        let ma = words::figure(b.mean_ma);
        writeln!(out, "  {:<28} {} (90 %: {}) at {ma} mA", b.group, words::expected(b), words::lives(b))?;
    }
    Ok(())
}

/// How each expectation came out; empty where there is none.
pub fn outcomes(r: &Report) -> String {
    let mut out: String = r.expectations.iter().map(outcome).collect();
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// What did not hold, and how to run it again: what a quiet run says when it fails.
pub fn failed(r: &Report) -> String {
    let failed: String = r.expectations.iter().filter(|o| !o.held()).map(outcome).collect();
    format!("{}\n\n{}\nrun it again with: {}", failed.trim_start(), r.headline(), r.replay)
}

fn outcome(o: &expect::Outcome) -> String {
    let mark = match o.status {
        Status::Held => "held  ",
        Status::Failed => "FAILED",
        Status::NoData => "NODATA",
    };
    format!("\n{mark}  {}\n        {}", o.name, o.sentence)
}

fn tail(out: &mut String, r: &Report, args: &RunArgs) -> std::fmt::Result {
    let headline = r.headline();
    writeln!(out, "\n{headline}; state hash {}", r.state_hash.as_deref().unwrap_or("none"))?;
    if let Some(dir) = &args.report {
        writeln!(out, "report: {}", dir.join("report.html").display())?;
    }
    if let Some(dir) = &args.record {
        writeln!(out, "record: {}", dir.display())?;
    }
    if !r.held() && r.unjudged.is_none() {
        writeln!(out, "run it again with: {}", r.replay)?;
    }
    Ok(())
}

fn figure(value: f64, unit: &str) -> String {
    if value.is_finite() { format!("{value:.3} {}", expect::unit_symbol(unit)) } else { "–".to_owned() }
}

fn clock(seconds: f64) -> String {
    format!("{:#}", Span::from_secs_f64(seconds))
}
