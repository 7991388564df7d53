//! The fault `Restart`: the embedded broker is stopped and started again here, another one by a program of the user's.

use super::{Args, Setting};
use crate::exit::Failure;
use std::{
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};
use twinfleet_engine::scenario::load::{LoadDef, LoadFaultKind};
use twinfleet_twins::{
    load::{job::Job, program::Program, unix_ns},
    wire::url::BrokerChoice,
};

/// How often somebody looks whether it is time, or over.
const LOOK: Duration = Duration::from_millis(5);
/// A program that has not ended so long after the load is ended: one that restarts the broker right now may finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Instants [ns since the start] of the restarts, and how long the embedded broker is down.
fn instants(load: &LoadDef) -> Vec<(i64, Duration)> {
    let restart = |f: &twinfleet_engine::scenario::load::LoadFaultDef| match f.action {
        LoadFaultKind::Restart { down } => Some((f.at.0, Duration::from_nanos(down.0.max(0) as u64))),
        _ => None,
    };
    let mut all: Vec<_> = load.faults.iter().filter_map(restart).collect();
    all.sort_unstable();
    all
}

/// Whether a fault of this load restarts the broker.
pub fn restarts(load: &LoadDef) -> bool {
    !instants(load).is_empty()
}

/// Whether there is a way to restart the broker, where the scenario asks for it.
pub fn before(args: &Args, load: &LoadDef) -> Result<(), Failure> {
    let choice: BrokerChoice = args.broker.parse().map_err(crate::run::wire)?;
    let embedded = matches!(choice, BrokerChoice::Embedded | BrokerChoice::EmbeddedAt(_));
    match (&args.restart_broker, instants(load).is_empty()) {
        (Some(_), true) => Err(Failure::input(
            "--restart-broker: nothing restarts the broker; add a fault `(at: \"3s\", do: Restart())` to the load",
        )),
        (Some(_), false) if embedded => Err(Failure::input(
            "--restart-broker: the embedded broker is restarted by the load itself; leave it out",
        )),
        (None, false) if !embedded => Err(Failure::input(
            "the fault `Restart` needs `--restart-broker PROGRAM`, which restarts the broker and ends: a script with \
             `systemctl restart mosquitto`, say; it is run without arguments and without a shell",
        )),
        (Some(program), false) if !program.exists() => {
            Err(Failure::input(format!("--restart-broker: there is no file {}", program.display())))
        }
        _ => Ok(()),
    }
}

/// Begins to restart the broker at its instants, which one shard does for all; None: never. It ends with the load: none begins
/// after it, and a program that still runs is ended.
pub fn start(set: &Setting<'_>, job: &Job) -> Option<JoinHandle<Result<(), Failure>>> {
    let instants = instants(&job.load);
    if instants.is_empty() || job.shard.0 != 0 {
        return None;
    }
    let (job, program, embedded) =
        (job.clone(), set.args.restart_broker.clone(), set.target.embedded.clone());
    let stop = Arc::clone(set.stop);
    Some(thread::spawn(move || {
        for (at_ns, down) in instants {
            while !is_due(&job, at_ns) && !job.stopped.load(Relaxed) {
                thread::sleep(LOOK);
            }
            // One that fell due while another took its time is not begun after the end.
            if job.stopped.load(Relaxed) {
                return Ok(());
            }
            let mut over: Option<Instant> = None;
            let give_up = || {
                if !job.stopped.load(Relaxed) {
                    return None;
                }
                if stop.load(Relaxed) {
                    return Some(Ok(()));
                }
                let over = over.get_or_insert_with(Instant::now);
                (over.elapsed() > PATIENCE).then_some(Err("had not ended 10 s after the load"))
            };
            match (&program, &embedded) {
                (Some(program), _) => restart_by(program, give_up)?,
                (None, Some(broker)) => broker.restart(down)?,
                (None, None) => {}
            }
        }
        Ok(())
    }))
}

fn is_due(job: &Job, at_ns: i64) -> bool {
    let start_ns = job.start_signal.load(Relaxed);
    start_ns != i64::MAX && unix_ns().saturating_sub(start_ns) >= at_ns
}

/// Runs the program that restarts the broker to its end, or until `give_up` says that it is to be ended, and whether that is a
/// failure.
pub fn restart_by(
    program: &Path,
    mut give_up: impl FnMut() -> Option<Result<(), &'static str>>,
) -> Result<(), Failure> {
    let failed = |what: String| Failure::outside(format!("--restart-broker {}: {what}", program.display()));
    let mut running = Program::start(program).map_err(|e| failed(format!("cannot be run: {e}")))?;
    loop {
        match running.ended().map_err(|e| failed(e.to_string()))? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(failed(format!("ended with {status}"))),
            None => {}
        }
        if let Some(outcome) = give_up() {
            return outcome.map_err(|why| failed(why.to_owned()));
        }
        thread::sleep(LOOK);
    }
}
