//! `twinfleet merge DIR… --out DIR`: the records of all shards become the record of the whole run.

use crate::{
    args::MergeArgs,
    exit::{Exit, Failure, say},
    run::record,
};
use twinfleet_engine::{
    expect::Status,
    record::{Record, merge},
    scenario::{self, source::Source},
};

/// Merges, and judges the scenario's expectations over the merged rows. Only signals that were recorded can be judged.
pub fn run(args: MergeArgs, json: bool) -> Result<Exit, Failure> {
    let manifest = merge::merge(&args.shards, &args.out).map_err(record)?;
    let source = Source::embedded("record", &manifest.header.scenario);
    let expectations = scenario::read(&source).map(|s| s.expect).unwrap_or_default();
    let whole = Record::open(&args.out).map_err(record)?;
    let outcomes = merge::judge(&whole, &expectations).map_err(record)?;
    let state = manifest.state().map(|h| format!("{:032x}", h.0));
    if json {
        say(format_args!("{}", serde_json::json!({ "state_hash": state, "expectations": outcomes })));
    } else {
        say(format_args!("{} records merged into {}", args.shards.len(), args.out.display()));
        for o in &outcomes {
            say(format_args!(
                "{}  {}\n        {}",
                if o.held() { "held  " } else { "FAILED" },
                o.name,
                o.sentence
            ));
        }
        say(format_args!("state hash {}", state.as_deref().unwrap_or("none")));
    }
    let failing = outcomes.iter().any(|o| o.status != Status::Held);
    Ok(if failing { Exit::Failed } else { Exit::Ok })
}
