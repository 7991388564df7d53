//! `twinfleet merge DIR… --out DIR`: the records of all shards become the record of the whole run.

use crate::{
    args::MergeArgs,
    exit::{Exit, Failure, say},
    report::Report,
    run::record,
    summary,
};
use twinfleet_engine::{
    expect::{Outcome, Status, unrecorded},
    record::{Record, merge},
    scenario::{self, Scenario, source::Source},
};

/// Merges, and judges the scenario's expectations over the merged rows, as the whole run would have.
pub fn run(args: MergeArgs, json: bool) -> Result<Exit, Failure> {
    if args.shards.iter().any(|dir| crate::load::is_part(dir)) {
        return crate::load::merge(&args.shards, &args.out, &args.catalog, json);
    }
    if args.shards.iter().any(|dir| crate::sweep::is_part(dir)) {
        return crate::sweep::merge(&args.shards, &args.out, json);
    }
    let manifest = merge::merge(&args.shards, &args.out).map_err(record)?;
    let whole = Record::open(&args.out).map_err(record)?;
    let scenario = scenario::read(&Source::embedded("record", &manifest.header.scenario)).ok();
    let expectations = match &scenario {
        Some(scenario) if manifest.finished => judge(&whole, scenario)?,
        _ => Vec::new(),
    };
    let stopped = !manifest.finished && scenario.is_some_and(|s| !s.expect.is_empty());
    let unjudged = stopped.then(|| format!(": the shards were stopped at {}", manifest.end()));
    let report = Report { expectations, unjudged, ..Report::default() };
    let state = manifest.state().map(|h| format!("{:032x}", h.0));
    let headline = report.headline();
    if json {
        let object = serde_json::json!({
            "state_hash": state, "finished": manifest.finished, "held": report.held(),
            "headline": headline, "expectations": report.expectations,
        });
        say(format_args!("{object}"));
    } else {
        let records = if args.shards.len() == 1 { "record" } else { "records" };
        say(format_args!("{} {records} merged into {}", args.shards.len(), args.out.display()));
        let outcomes = summary::outcomes(&report);
        let hash = state.as_deref().unwrap_or("none");
        say(format_args!("{outcomes}\n{headline}; state hash {hash}"));
    }
    Ok(match (stopped, report.held()) {
        (true, _) => Exit::Interrupted,
        (_, true) => Exit::Ok,
        (_, false) => Exit::Failed,
    })
}

/// As the run itself would judge; what was not recorded cannot be.
fn judge(whole: &Record, scenario: &Scenario) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = merge::judge(whole, &scenario.expect).map_err(record)?;
    for (at, signal) in unrecorded(&scenario.expect, &scenario.record.signals, &whole.table) {
        outcomes[at].status = Status::NoData;
        outcomes[at].sentence = format!(
            "not judged: {signal} was not recorded; add it to `record.signals` and run the shards again"
        );
    }
    Ok(outcomes)
}
