//! Moves a run forward at its pace, and its messages to the broker and back.

mod devices;

pub use devices::Devices;

use crate::{args::Speed, exit::Failure, run::wire};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use twinfleet_engine::{
    firmware::program::Programs, message::Message, mirror::follow::live, record::Recorder, run::Run,
    time::SimTime, world::Events,
};
use twinfleet_twins::wire::{exchange::Exchange, session::SessionNews};

/// How long a tick's messages may take through the broker and back.
const ROUND_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a tick at a pace waits for what the devices said in the one before.
const SETTLE: Duration = Duration::from_secs(2);

/// How a run went, as seen from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drive {
    /// Wall time, [s].
    pub wall_s: f64,
    /// Wall time to the end of the first tick, [s].
    pub first_tick_s: f64,
    /// Messages that reached the broker.
    pub messages: u64,
    /// The largest lag behind the pace asked for, [s] of wall time.
    pub behind_s: f64,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

/// Runs to the end, or until `stop`.
pub fn drive(
    run: &mut Run,
    way: Way<'_>,
    speed: Speed,
    quiet: bool,
    stop: &AtomicBool,
) -> Result<Drive, Failure> {
    let mut progress = Progress::new(run, quiet);
    let begin = Instant::now();
    let mut drive = Drive::default();
    let mut carrier = Carrier { way, lock_step: speed == Speed::Max, been_there: false, catching_up: false };
    let mut inbox = Vec::new();
    let mut told = Told::default();
    while !run.is_over() {
        if stop.load(Ordering::Relaxed) {
            drive.interrupted = true;
            break;
        }
        if let Speed::Times(times) = speed {
            let due = Duration::from_secs_f64(run.now().as_secs_f64() / times);
            match due.checked_sub(begin.elapsed()) {
                Some(early) => sleep(early, stop),
                None => drive.behind_s = drive.behind_s.max((begin.elapsed() - due).as_secs_f64()),
            }
            carrier.collect(run.now(), &mut inbox)?;
            carrier.hear_news(run, &progress);
        }
        let outbox = run.tick(std::mem::take(&mut inbox));
        drive.messages += outbox.len() as u64;
        inbox = carrier.carry(run, outbox)?;
        if run.world_mut().get_resource::<Recorder>().is_some_and(Recorder::failed) {
            return Err(Failure::outside("the record cannot be written"));
        }
        if let Some(programs) = run.world().get_resource::<Programs>() {
            tell_scripts(run, &progress, &mut told);
            if let Some(why) = programs.failed() {
                return Err(Failure::outside(why));
            }
        }
        if drive.first_tick_s == 0.0 {
            drive.first_tick_s = begin.elapsed().as_secs_f64();
        }
        progress.at(run.now(), drive.messages);
    }
    drive.wall_s = begin.elapsed().as_secs_f64();
    progress.finish();
    Ok(drive)
}

/// What of a run's scripts has been told to those who watch.
#[derive(Default)]
struct Told {
    lines: u32,
    failures: u32,
}

/// Lines that scripts print and failures of theirs that are told as they come; all are in the record and the report.
const LINES: u32 = 100;
const FAILURES: u32 = 20;

/// What scripts printed in this tick, and what went wrong with them, for those who watch.
fn tell_scripts(run: &Run, progress: &Progress, told: &mut Told) {
    for event in &run.world().resource::<Events>().0 {
        let (count, most, sign, what) = match event.kind.as_str() {
            "script_says" => (&mut told.lines, LINES, " |", "scripts print more"),
            "script_crash" | "script_stuck" | "script_gone" => {
                (&mut told.failures, FAILURES, ":", "more scripts fail")
            }
            _ => continue,
        };
        *count = count.saturating_add(1);
        if *count <= most {
            progress.say(&format!("{} at {:#}{sign} {}", event.subject, event.t, event.detail));
        } else if *count == most + 1 {
            progress.say(&format!("{what}: see the report (--report DIR)"));
        }
    }
}

/// Sleeps, but wakes for Ctrl-C within a tenth of a second.
fn sleep(mut left: Duration, stop: &AtomicBool) {
    const SLICE: Duration = Duration::from_millis(100);
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let slice = left.min(SLICE);
        std::thread::sleep(slice);
        left -= slice;
    }
}

/// How messages go from one tick to the next.
pub enum Way<'a> {
    /// Straight.
    Inside,
    /// Through a broker, by one connection.
    Exchange(&'a mut Exchange),
    /// Through a broker, by one connection a device.
    Devices(&'a mut Devices),
}

/// Takes messages from one tick to the next.
struct Carrier<'a> {
    way: Way<'a>,
    lock_step: bool,
    /// Whether a connection was told of.
    been_there: bool,
    /// Whether the broker is away, or what was kept meanwhile still comes in: silence means nothing.
    catching_up: bool,
}

impl Carrier<'_> {
    /// What arrived by itself since the last tick, the run's own and what others said; only where nothing waits.
    fn collect(&mut self, now: SimTime, inbox: &mut Vec<Message>) -> Result<(), Failure> {
        match &mut self.way {
            Way::Inside => {}
            Way::Exchange(exchange) => {
                exchange.settle(SETTLE).map_err(wire)?;
                inbox.extend(exchange.drain().map_err(wire)?);
                let arrived = |m: Message| Message { sent: now, due: now, ..m };
                inbox.extend(exchange.foreign().into_iter().map(arrived));
            }
            Way::Devices(devices) => inbox.extend(devices.drain(now)?),
        }
        Ok(())
    }

    /// What happened to the broker, for those who watch; while it is away, silence says nothing of the devices.
    fn hear_news(&mut self, run: &mut Run, progress: &Progress) {
        if let Way::Devices(devices) = &mut self.way {
            return devices.news().iter().for_each(|line| progress.say(line));
        }
        let Way::Exchange(exchange) = &mut self.way else { return };
        for news in exchange.news() {
            match news {
                SessionNews::Away { reason, wait } => {
                    self.catching_up = true;
                    progress.say(&format!(
                        "{reason}\nthe devices go on, and keep what they publish; next attempt in {:.1} s",
                        wait.as_secs_f64()
                    ));
                }
                // The first connection is no news.
                SessionNews::Back { .. } if !std::mem::replace(&mut self.been_there, true) => {}
                SessionNews::Back { .. } => progress.say("the broker is back"),
            }
        }
        if self.catching_up {
            let now = run.now();
            live::pause(run.world_mut(), now);
            self.catching_up = exchange.is_behind();
        }
    }

    fn carry(&mut self, run: &mut Run, outbox: Vec<Message>) -> Result<Vec<Message>, Failure> {
        match &mut self.way {
            Way::Inside => Ok(outbox),
            Way::Exchange(exchange) if self.lock_step => exchange.round(&outbox, ROUND_TIMEOUT).map_err(wire),
            Way::Exchange(exchange) => {
                exchange.send(&outbox).map_err(wire)?;
                Ok(Vec::new())
            }
            Way::Devices(devices) => devices.send(run, &outbox).map(|()| Vec::new()),
        }
    }
}

/// A bar on a terminal, a plain line every tenth elsewhere.
struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    end: SimTime,
    tenth: i64,
    redraw: Instant,
}

impl Progress {
    fn new(run: &Run, quiet: bool) -> Self {
        let end = run.end();
        let terminal = std::io::stderr().is_terminal();
        let bar = (!quiet && terminal).then(|| {
            let bar = ProgressBar::with_draw_target(
                Some(end.as_secs_f64() as u64),
                ProgressDrawTarget::stderr_with_hz(10),
            );
            let style = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}  {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.with_style(style)
        });
        Self { bar, lines: !quiet && !terminal, end, tenth: 0, redraw: Instant::now() }
    }

    fn at(&mut self, now: SimTime, messages: u64) {
        if let Some(bar) = &self.bar {
            if self.redraw.elapsed() > Duration::from_millis(80) {
                self.redraw = Instant::now();
                let elapsed = bar.elapsed().as_secs_f64().max(1e-9);
                bar.set_position((now.as_secs_f64() as u64).min(self.end.as_secs_f64() as u64));
                bar.set_message(format!(
                    "{now} simulated, {:.0}x, {messages} messages",
                    now.as_secs_f64() / elapsed
                ));
            }
        } else if self.lines {
            let tenth = (now.0.min(self.end.0) as i128 * 10 / i128::from(self.end.0.max(1))) as i64;
            if tenth > self.tenth {
                self.tenth = tenth;
                eprintln!("{:>3}%  {now} simulated, {messages} messages", tenth * 10);
            }
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if self.lines => eprintln!("{text}"),
            None => {}
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
