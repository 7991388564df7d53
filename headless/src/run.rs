//! `twinfleet run`: a scenario from file to verdict.

use crate::{
    args::{RunArgs, Speed},
    drive::{Devices, Drive, Way, drive},
    exit::{Exit, Failure, say},
    load_files::{self, Loaded},
    pictures,
    report::{self, Report, collect},
    summary,
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use twinfleet_engine::{
    expect::Expectations,
    mirror::follow::{self, TwinSummary},
    plan::Plan,
    power::life,
    record::{Header, Recorder, Sampled, Writer},
    run::{Run, RunError, epoch_unix_ms},
    world::Counters,
};
use twinfleet_twins::{
    assemble::assemble,
    script, shell,
    wire::{
        WireError,
        client::{ConnectOptions, Version},
        exchange::{Exchange, ExchangeOptions},
        url::BrokerChoice,
    },
};

/// Signals that a report plots at most, and stretches of time in each plot.
const SAMPLED_SIGNALS: usize = 4_096;
const SAMPLED_BUCKETS: usize = 1_024;
/// How long a broker may be away from a run at a pace of its own; meanwhile what was published at QoS 1 and 2 is kept.
const BROKER_PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);
/// Events that a report and the summary keep.
const SAMPLED_EVENTS: usize = 20_000;

/// Runs the scenario; the exit code says whether its expectations held.
pub fn run(args: RunArgs, json: bool) -> Result<Exit, Failure> {
    let mut loaded =
        load_files::scenario(&args.file, &args.sets, &args.catalog).map_err(|r| load_files::refused(&r))?;
    loaded.scripts = script::Options::new(args.trust_scripts, args.script_patience);
    if args.as_devices {
        load_files::starting_now(&mut loaded);
    }
    run_loaded(&loaded, &args, json)
}

/// Runs a scenario that is already read.
pub fn run_loaded(loaded: &Loaded, args: &RunArgs, json: bool) -> Result<Exit, Failure> {
    let choice: BrokerChoice = args.broker.parse().map_err(wire)?;
    if !loaded.warnings.is_empty() && !args.quiet {
        eprintln!("{}", loaded.warnings.render(load_files::style()).trim_end());
    }
    let plan = plan(loaded, args)?;
    load_files::dangling(loaded, &plan).into_result().map_err(|r| load_files::refused(&r))?;
    let unrecorded = load_files::unrecorded(loaded, &plan);
    if plan.shard.1 > 1 && args.record.is_some() && !unrecorded.is_empty() && !args.quiet {
        eprintln!("{}", unrecorded.render(load_files::style()).trim_end());
    }
    let stop = stop_flag()?;
    // The broker first: where there is none, no folder is left behind.
    let mut devices = as_devices(&choice, args, &plan)?;
    let mut exchange = if devices.is_some() { None } else { connect(&choice, args, plan.seed)? };
    let mut page = args.report.as_deref().map(Page::begin).transpose()?;
    let writer = args.record.as_deref().map(|dir| writer(dir, loaded, &plan)).transpose()?;
    let mut run =
        assemble(loaded, &plan, args.threads.into(), writer, sampled(&plan)).map_err(|e| match e {
            RunError::Refused(report) => load_files::refused(&report),
            other => Failure::input(format!("{}: {other}", args.file)),
        })?;
    announce(args, &plan, exchange.as_ref());
    let way = match (&mut devices, &mut exchange) {
        (Some(devices), _) => Way::Devices(devices),
        (None, Some(exchange)) => Way::Exchange(exchange),
        (None, None) => Way::Inside,
    };
    // The good-bye belongs to the run: a broker that is gone by then has not had its last messages.
    let went = drive(&mut run, way, args.speed, args.quiet, &stop).and_then(|drove| {
        if let Some(devices) = devices.take() {
            devices.finish();
        }
        if let Some(exchange) = exchange.take() {
            exchange.finish(true, std::time::Duration::from_secs(5)).map_err(wire)?;
        }
        Ok(drove)
    });
    let drove = match went {
        Ok(drove) => drove,
        Err(failure) => return Err(cut_short(&mut run, args, &choice, failure)),
    };
    let mut deaf = load_files::unheard(loaded, &run);
    let state = finish_record(&mut run, !drove.interrupted)?;
    let mut report = gather(&mut run, &plan, args, &drove, state, &choice);
    deaf.merge(load_files::unread(loaded, &run));
    if !drove.interrupted && !deaf.is_empty() && !args.quiet {
        eprintln!("{}", deaf.render(load_files::style()).trim_end());
    }
    if let Some(page) = &mut page {
        page.fresh = false;
    }
    publish(&mut report, args, json)?;
    Ok(match report.unjudged {
        _ if drove.interrupted => Exit::Interrupted,
        None if !report.held() => Exit::Failed,
        _ => Exit::Ok,
    })
}

/// A run that something outside has ended: what was recorded so far is kept, and the failure says where and what to do.
fn cut_short(run: &mut Run, args: &RunArgs, choice: &BrokerChoice, mut failure: Failure) -> Failure {
    let at = format!("at {:#} of simulated time", run.now());
    if let Err(f) = finish_record(run, false) {
        return Failure { text: format!("{at}: {}", f.text), ..f };
    }
    failure.text = format!("{at}: {}", failure.text);
    if let Some(dir) = &args.record {
        let dir = dir.display();
        failure.text +=
            &format!("\nwhat was recorded until then is in {dir}, marked as cut short (`finished: false`)");
    }
    if failure.of_broker {
        failure.text += "\nstart the broker again, or find out what ended the connection, and give the same command again";
        if args.record.is_some() {
            failure.text += " with another folder for --record";
        }
        failure.text += needs_none(choice);
    }
    failure
}

/// What a run can do without a broker that is not there; who follows real devices cannot.
fn needs_none(choice: &BrokerChoice) -> &'static str {
    match choice {
        BrokerChoice::Url(_) => "\n`--broker embedded` needs no other program",
        // It is that one that failed, in this process: for want of ports, of files, of time.
        _ => "\n`--broker none` needs no connection at all",
    }
}

/// The folder of a report to come: where the run fails before there is one, a folder that was made for it goes again.
struct Page {
    dir: PathBuf,
    fresh: bool,
}

impl Page {
    fn begin(dir: &Path) -> Result<Self, Failure> {
        let fresh = !dir.exists();
        report::probe(dir).map_err(|error| match error {
            report::ReportError::NoFolder(_) => Failure::input(error),
            report::ReportError::Io { .. } => Failure::outside(error),
        })?;
        Ok(Self { dir: dir.to_owned(), fresh })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if self.fresh {
            // Only an empty folder can be removed so, and that it stays would be no harm.
            let _ = std::fs::remove_dir(&self.dir);
        }
    }
}

/// A broker's failure with its exit code.
pub fn wire(error: WireError) -> Failure {
    match error {
        error if error.is_input() => Failure::input(error),
        // The broker is there: to start it again helps nobody.
        WireError::RoundTimeout { .. } => Failure::outside(error),
        error => Failure::broker(error),
    }
}

/// A connection for each device, if that is wanted and can be.
fn as_devices(choice: &BrokerChoice, args: &RunArgs, plan: &Plan) -> Result<Option<Devices>, Failure> {
    if !args.as_devices {
        return Ok(None);
    }
    let BrokerChoice::Url(url) = choice else {
        return Err(Failure::input("--as-devices needs a broker to connect to: add --broker mqtt://host"));
    };
    if args.speed == Speed::Max {
        return Err(Failure::input("--as-devices keeps a pace: add --speed 1x"));
    }
    if args.prefix.as_ref().is_some_and(|p| !p.is_empty()) {
        return Err(Failure::input("--as-devices has no prefix: real devices know of none"));
    }
    if !plan.scenario.mirror.is_empty() {
        let text = "--as-devices speaks for devices only: this scenario has twins too";
        return Err(Failure::input(format!("{text}. `replay` leaves them out, `mirror` follows with them")));
    }
    let options = secured(choice, args)?.unwrap_or_else(|| ConnectOptions::to(url.clone()));
    Ok(Some(Devices::new(options)))
}

/// How to get to a broker of the user's, where the command has options for that.
fn secured(choice: &BrokerChoice, args: &RunArgs) -> Result<Option<ConnectOptions>, Failure> {
    match (&args.login, choice) {
        (Some(login), BrokerChoice::Url(_)) => login.options(&args.broker, "a broker is named").map(Some),
        (Some(login), _) if login.has_files() => Err(Failure::input(format!(
            "--password-file, --ca-file, --cert and --key are for a broker that asks for them, and `{choice}` asks for none: name one \
             by --broker, such as mqtts://host"
        ))),
        _ => Ok(None),
    }
}

fn plan(loaded: &Loaded, args: &RunArgs) -> Result<Plan, Failure> {
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    let base = loaded.files.base().to_owned();
    Plan::new(Arc::clone(&loaded.scenario), Arc::clone(&loaded.catalog), base, seed, args.shard)
        .map_err(Failure::input)
}

/// Set by Ctrl-C; a second Ctrl-C ends the process at once.
pub fn stop_flag() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|e| Failure::outside(format!("cannot listen for Ctrl-C: {e}")))?;
    Ok(stop)
}

fn writer(dir: &Path, loaded: &Loaded, plan: &Plan) -> Result<Writer, Failure> {
    let header = Header {
        shard: plan.shard,
        epoch_unix_ms: epoch_unix_ms(plan),
        ..Header::new(loaded.source.text(), plan.seed)
    };
    Writer::create(dir, header, &plan.signals, loaded.scenario.record.segment).map_err(record)
}

/// A record's failure with its exit code.
pub fn record(error: twinfleet_engine::record::RecordError) -> Failure {
    let help = error.help().map(|h| format!("\n{h}")).unwrap_or_default();
    let text = format!("record: {error}{help}");
    if error.exit_code() == 2 { Failure::input(text) } else { Failure::outside(text) }
}

fn sampled(plan: &Plan) -> Sampled {
    use twinfleet_engine::record::Sampler;
    Sampled::new(Sampler::new(SAMPLED_SIGNALS, SAMPLED_BUCKETS), SAMPLED_EVENTS).with_forecasts(&plan.signals)
}

fn connect(choice: &BrokerChoice, args: &RunArgs, seed: u64) -> Result<Option<Exchange>, Failure> {
    let by = secured(choice, args)?;
    let own = match choice {
        BrokerChoice::None => return Ok(None),
        BrokerChoice::Embedded | BrokerChoice::EmbeddedAt(_) => String::new(),
        BrokerChoice::Url(_) => format!("twinfleet/{seed}-{}/", std::process::id()),
    };
    let mut prefix = args.prefix.clone().unwrap_or(own);
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    // In lock-step each message is waited for; at a pace of its own, the devices go on while the broker is away.
    let patience = match (args.speed, choice) {
        (Speed::Times(_), BrokerChoice::Url(_)) => BROKER_PATIENCE,
        _ => std::time::Duration::ZERO,
    };
    if by.as_ref().is_some_and(|by| by.identity.is_some() || by.version == Version::V5) {
        return Err(Failure::input("--cert, --key and --mqtt 5 go with --as-devices"));
    }
    let (choice, ca_file) = match by {
        Some(by) => (BrokerChoice::Url(by.url), by.ca_file),
        None => (choice.clone(), None),
    };
    let options = ExchangeOptions { prefix, patience, ca_file, ..Default::default() };
    Exchange::connect(&choice, options).map(Some).map_err(|error| {
        let mut failure = wire(error);
        if failure.of_broker {
            failure.text += needs_none(&choice);
        }
        failure
    })
}

fn announce(args: &RunArgs, plan: &Plan, exchange: Option<&Exchange>) {
    if args.quiet {
        return;
    }
    if !plan.scenario.about.is_empty() {
        eprintln!("{}", plan.scenario.about);
    }
    if let Some(at) = exchange.and_then(Exchange::embedded_addr) {
        eprintln!(
            "embedded broker at {at}: look in with `mosquitto_sub -h {} -p {} -t '#' -v`",
            at.ip(),
            at.port()
        );
    }
}

fn finish_record(run: &mut Run, finished: bool) -> Result<twinfleet_engine::world::StateHash, Failure> {
    let (state, end) = (run.state_hash(), run.now());
    let world = run.world_mut();
    let counters = world.resource::<Counters>().0.clone();
    if let Some(mut recorder) = world.get_resource_mut::<Recorder>() {
        recorder.finish(end, finished, state, &counters).map_err(record)?;
    }
    Ok(state)
}

fn gather(
    run: &mut Run,
    plan: &Plan,
    args: &RunArgs,
    drove: &Drive,
    state: twinfleet_engine::world::StateHash,
    choice: &BrokerChoice,
) -> Report {
    let now = run.now();
    follow::summarise(run.world_mut());
    let batteries = life::forecast(run.world_mut(), plan).into_iter().map(Into::into).collect();
    let world = run.world();
    let counters: BTreeMap<String, u64> =
        world.resource::<Counters>().0.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect();
    // A shard sees its own signals only, and a run cut short not all windows: neither can judge.
    let unjudged = match plan.shard {
        _ if plan.scenario.expect.is_empty() => None,
        _ if drove.interrupted => Some(format!(": the run was stopped at {now}")),
        (i, n) if n > 1 => Some(format!(" in shard {i} of {n}: `merge` judges the whole")),
        _ => None,
    };
    let mut report = Report {
        scenario: args.file.clone(),
        about: plan.scenario.about.clone(),
        seed: plan.seed,
        replay: replay(args, plan.seed),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        duration_s: plan.scenario.duration.as_secs_f64(),
        simulated_s: now.as_secs_f64(),
        finished: !drove.interrupted,
        wall_s: drove.wall_s,
        first_tick_s: drove.first_tick_s,
        behind_s: drove.behind_s,
        broker: choice.to_string(),
        devices: plan.groups.iter().map(|g| g.count).sum(),
        messages: drove.messages,
        state_hash: Some(format!("{:032x}", state.0)),
        counters,
        batteries,
        expectations: match &unjudged {
            Some(_) => Vec::new(),
            None => world.resource::<Expectations>().0.finish(now),
        },
        unjudged,
        ..Report::default()
    };
    if let Some(sampled) = world.get_resource::<Sampled>() {
        collect::collect(&mut report, &plan.signals, sampled, &plan.scenario.expect);
    }
    if let Some(summary) = world.get_resource::<TwinSummary>() {
        summary::score_twins(&mut report, &plan.scenario, summary);
    }
    report
}

/// The command that runs it again.
fn replay(args: &RunArgs, seed: u64) -> String {
    let mut words =
        vec!["twinfleet run".to_owned(), shell::word(&args.file).into_owned(), format!("--seed {seed}")];
    words.extend(args.sets.iter().map(|s| format!("--set {}", shell::word(s))));
    words.extend(args.catalog.iter().map(|c| format!("--catalog {}", shell::word(&c.display().to_string()))));
    if let Speed::Times(times) = args.speed {
        words.push(format!("--speed {times}x"));
    }
    if args.as_devices {
        // As it is told to people: without its password.
        let broker = args.broker.parse::<BrokerChoice>().map_or_else(|_| String::new(), |b| b.to_string());
        words.push(format!("--as-devices --broker {}", shell::word(&broker)));
    }
    if args.shard != (0, 1) {
        words.push(format!("--shard {}/{}", args.shard.0, args.shard.1));
    }
    words.join(" ")
}

fn publish(report: &mut Report, args: &RunArgs, json: bool) -> Result<(), Failure> {
    if let Some(dir) = &args.report {
        // A shard, and what other devices or their own code made of it, cannot be gone through again by the desktop.
        if !args.no_pictures && args.shard == (0, 1) {
            match pictures::take(report, args, dir) {
                Ok(picture) => report.picture = picture,
                Err(why) if !args.quiet => eprintln!("the report has no picture: {why}"),
                Err(_) => {}
            }
        }
        report::write(report, dir).map_err(Failure::outside)?;
    }
    if json {
        say(format_args!("{}", report::json(report)));
    } else if !args.quiet {
        say(format_args!("{}", summary::text(report, args).trim_end()));
    } else if !report.held() && report.unjudged.is_none() {
        eprintln!("{}", summary::failed(report));
    }
    Ok(())
}
