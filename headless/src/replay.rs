//! `twinfleet replay`: a recording published as the device would.

use crate::{
    args::{ReplayArgs, RunArgs},
    exit::{Exit, Failure},
    load_files::{self, Loaded},
    run,
};
use std::{fmt::Write, path::Path};
use twinfleet_engine::{
    scenario::{
        PhysicalSource, Scenario, calendar,
        diagnostic::{Diagnostic, Report},
        files::Files,
        recording::Recording,
        source::Source,
    },
    time::Span,
};

/// Publishes until the recording ends.
pub fn run(args: ReplayArgs, json: bool) -> Result<Exit, Failure> {
    let mut loaded = if args.file.ends_with(".ron") || !Path::new(&args.file).exists() {
        physicals_of(&args.file).map_err(|r| load_files::refused(&r))?
    } else {
        table(&args)?
    };
    if loaded.scenario.physicals.is_empty() {
        return Err(Failure::input(format!("{}: it has no `physicals` to replay", args.file)));
    }
    if args.as_devices {
        load_files::starting_now(&mut loaded);
    }
    let run_args = RunArgs {
        file: args.file.clone(),
        seed: None,
        speed: args.speed,
        broker: args.broker,
        prefix: Some(args.prefix),
        record: None,
        report: None,
        no_pictures: true,
        threads: 1,
        sets: Vec::new(),
        shard: (0, 1),
        catalog: Vec::new(),
        as_devices: args.as_devices,
        trust_scripts: false,
        script_patience: None,
        quiet: args.quiet,
        login: Some(args.login),
    };
    run::run_loaded(&loaded, &run_args, json)
}

/// A scenario's physicals and nothing else of it.
fn physicals_of(file: &str) -> Result<Loaded, Report> {
    let whole = load_files::scenario(file, &[], &[])?;
    let base = whole.files.base().to_owned();
    // Where the scenario does not say when it starts, its first recording does.
    let first = whole.scenario.physicals.first().filter(|_| whole.scenario.start.is_none());
    let start = match first {
        Some(first) => {
            Recording::of_physical(&first.from, &whole.files, None)?.t0_unix_ns.map(calendar::text)
        }
        None => whole.scenario.start.clone(),
    };
    load_files::checked(whole.source, (*whole.catalog).clone(), base, |scenario| {
        only_physicals(scenario);
        scenario.start = start;
    })
}

fn only_physicals(scenario: &mut Scenario) {
    scenario.fleet.clear();
    scenario.mirror.clear();
    scenario.expect.clear();
    scenario.timeline.clear();
}

/// A scenario around a table: its length is the table's.
fn table(args: &ReplayArgs) -> Result<Loaded, Failure> {
    let refused = |r: Report| load_files::refused(&r);
    let text = scenario_text(args, Span::from_secs(1))?;
    let draft = twinfleet_engine::scenario::read(&Source::embedded("replay", &text)).map_err(refused)?;
    let from: &PhysicalSource = &draft.physicals[0].from;
    let rows = Recording::of_physical(from, &Files::at(""), None).map_err(refused)?;
    let length = Span::from_secs_f64(rows.t_s.last().copied().unwrap_or(0.0).floor() + 1.0);
    let text = scenario_text(args, length)?;
    let catalog = load_files::catalog(None, &[]).map_err(refused)?;
    // Messages are stamped as the device stamped its readings.
    let start = rows.t0_unix_ns.map(calendar::text);
    let at_start = |scenario: &mut Scenario| scenario.start = start;
    load_files::checked(Source::embedded("replay", &text), catalog, "".into(), at_start).map_err(refused)
}

fn scenario_text(args: &ReplayArgs, length: Span) -> Result<String, Failure> {
    if args.maps.is_empty() {
        return Err(Failure::input(
            "name at least one signal and its column: --map soc.temperature=temp (repeat it for more)",
        ));
    }
    let mut map = String::new();
    for pair in &args.maps {
        let flag = Source::embedded("--map", pair);
        let refuse = |what: &str, at: std::ops::Range<usize>, help: &str| {
            load_files::refused(&Diagnostic::error(what).at(&flag, at, "").help(help).into())
        };
        let (signal, column) = pair.split_once('=').ok_or_else(|| {
            let help = "write SIGNAL=COL, such as soc.temperature=temp";
            refuse("a signal and its column are joined by `=`", 0..pair.len(), help)
        })?;
        if signal.split('.').filter(|part| !part.is_empty()).count() != 2 {
            let help = "write `part.quantity`, such as soc.temperature=temp";
            return Err(refuse("this is no signal that a device reports", 0..signal.len(), help));
        }
        let column = match column.rsplit_once(':') {
            Some((name, unit)) => format!("{name} {unit}"),
            None => column.to_owned(),
        };
        // Writing to a String cannot fail.
        let _ = write!(map, "{:?}: {column:?}, ", format!("{signal}@reported"));
    }
    let timing = match (&args.time, args.period) {
        (Some(column), _) => format!("time: {column:?}"),
        (None, Some(period)) => format!("period: \"{period}\""),
        (None, None) => {
            let text = "name the column of time (--time COL), or the spacing of the rows (--period 1s)";
            return Err(Failure::input(text));
        }
    };
    // What is wrong with a flag is shown with its own line of this.
    Ok(format!(
        "Scenario(format: 1, duration: \"{length}\", physicals: [(\n  id: {:?},\n  from: Recording(\n    path: {:?},\n    \
         {timing},\n    header: {},\n    map: {{{map}}},\n  ),\n  publish: (\n    topic: {:?},\n    qos: {},\n  ),\n)])",
        args.id, args.file, !args.no_header, args.topic, args.qos
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_carry_the_recordings_own_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let args = |time: &str| ReplayArgs {
            file: path.display().to_string(),
            time: Some(time.to_owned()),
            maps: vec!["a.temperature=temp".to_owned()],
            ..replay_args()
        };
        std::fs::write(&path, "when,s,temp\n2020-07-29 16:59:35.037,5,20\n2020-07-29 16:59:36.1,6,21\n")
            .unwrap();
        let start =
            |time: &str| table(&args(time)).unwrap_or_else(|f| panic!("{}", f.text)).scenario.start.clone();
        assert_eq!(start("when").as_deref(), Some("2020-07-29T16:59:35.037Z"));
        // Seconds since some start name no day.
        assert_eq!(start("s"), None);
    }

    fn replay_args() -> ReplayArgs {
        use clap::Parser;
        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            args: ReplayArgs,
        }
        Cli::parse_from(["replay", "x.csv"]).args
    }
}
