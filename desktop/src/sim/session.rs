//! A source on a thread of its own. Whoever looks sets how far it may go ([`Session::allow`]) and reads what it has left.

use super::{
    left::Left,
    open::{Opened, Origin},
    source::{NoSource, Source, source},
};
use std::{
    any::Any,
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc,
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use twinfleet_engine::{record::Bucket, signal::SignalId, time::SimTime};

/// What is shared is brought up to date so often.
const SHARE_EVERY: Duration = Duration::from_millis(25);
/// Series to plot are brought up to date so often.
const SERIES_EVERY: Duration = Duration::from_millis(150);

/// How long the end of a run is waited for.
const ENDING: Duration = Duration::from_secs(2);

/// What the window reads.
pub struct Shared {
    /// What the run has left.
    pub left: Left,
    /// Series of the signals that were wanted.
    pub series: HashMap<SignalId, Arc<Vec<Bucket>>>,
    /// Signals to have series of.
    pub wanted: Vec<SignalId>,
    /// Simulated seconds a second of wall time, of late; 0 while it rests.
    pub pace: f64,
    /// Wall time of a tick, of late, [ms].
    pub tick_ms: f64,
    /// Why the thread has ended, if by a bug.
    pub broken: Option<String>,
}

/// A source on its thread; it ends with its handle.
pub struct Session {
    /// The scenario as it runs.
    pub opened: Opened,
    /// Length of a tick, [ns].
    pub step_ns: i64,
    shared: Arc<Mutex<Shared>>,
    end_ns: Arc<AtomicI64>,
    goal_ns: Arc<AtomicI64>,
    stop: Arc<AtomicBool>,
    wake: Arc<(Mutex<()>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Session {
    /// Starts a source; it waits at its start until it is allowed further, unless it is live.
    ///
    /// # Errors
    /// Bad input that only setting up can find; a broker that cannot be reached.
    pub fn start(opened: Opened, threads: usize) -> Result<Self, NoSource> {
        let (goal_ns, end_ns) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let wake = Arc::new((Mutex::new(()), Condvar::new()));
        let (tell, told) = mpsc::channel();
        let (goal, end, ended, woken, own) =
            (goal_ns.clone(), end_ns.clone(), stop.clone(), wake.clone(), opened.clone());
        let live = matches!(opened.origin, Origin::Live { .. });
        // The world belongs to the thread that made it: its pool counts that one in.
        let body = move || match source(&own, threads) {
            Err(error) => drop(tell.send(Err(error))),
            Ok(source) => {
                end.store(source.left().end.0, Ordering::Relaxed);
                let shared = Arc::new(Mutex::new(Shared::of(source.as_ref())));
                let _ = tell.send(Ok(Arc::clone(&shared)));
                Worker { source, live, shared, end, goal, ended, woken }.guarded();
            }
        };
        let outside = |text: String| NoSource { text, outside: true };
        let thread = std::thread::Builder::new().name("twinfleet-run".to_owned()).spawn(body);
        let thread = thread.map_err(|e| outside(format!("cannot start a thread: {e}")))?;
        let shared = told.recv().unwrap_or_else(|_| {
            Err(outside("what was opened ended before it began, which is a bug".to_owned()))
        })?;
        let step_ns = shared.lock().unwrap_or_else(PoisonError::into_inner).left.step_ns;
        Ok(Self { opened, step_ns, shared, end_ns, goal_ns, stop, wake, thread: Some(thread) })
    }

    /// When it ends; of a live mirror, the time reached.
    pub fn end(&self) -> SimTime {
        SimTime(self.end_ns.load(Ordering::Relaxed))
    }

    /// Whether real devices are followed, whose time nobody sets.
    pub fn is_live(&self) -> bool {
        matches!(self.opened.origin, Origin::Live { .. })
    }

    /// The run may go on to this instant; never back.
    pub fn allow(&self, t: SimTime) {
        if self.goal_ns.fetch_max(t.0, Ordering::Relaxed) < t.0 {
            self.wake.1.notify_one();
        }
    }

    /// What it has left so far.
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake.1.notify_one();
        let Some(thread) = self.thread.take() else { return };
        // A tick that a script hangs in is not waited for: its thread ends when it does.
        let since = Instant::now();
        while !thread.is_finished() {
            if since.elapsed() > ENDING {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = thread.join();
    }
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it says nothing of itself").to_owned()
}

impl Shared {
    /// Why what is shown goes no further than it has come, where something has gone wrong.
    pub fn failed(&self) -> Option<String> {
        let broken =
            self.broken.as_ref().map(|why| format!("the run has ended by a bug of twinfleet: {why}"));
        broken.or_else(|| self.left.failed.clone())
    }

    fn of(source: &dyn Source) -> Self {
        Self {
            left: source.left().clone(),
            series: HashMap::new(),
            wanted: Vec::new(),
            pace: 0.0,
            tick_ms: 0.0,
            broken: None,
        }
    }
}

struct Worker {
    source: Box<dyn Source>,
    live: bool,
    shared: Arc<Mutex<Shared>>,
    end: Arc<AtomicI64>,
    goal: Arc<AtomicI64>,
    ended: Arc<AtomicBool>,
    woken: Arc<(Mutex<()>, Condvar)>,
}

impl Worker {
    /// Works; whoever looks is told of a panic.
    fn guarded(self) {
        let (shared, end) = (Arc::clone(&self.shared), Arc::clone(&self.end));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work())) {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let now = shared.left.now;
            (shared.left.end, shared.broken) = (now, Some(said(panic.as_ref())));
            end.store(now.0, Ordering::Relaxed);
        }
    }

    fn work(mut self) {
        let (mut shared_at, mut series_at) = (Instant::now(), Instant::now());
        let (mut ticks, mut from) = (0u32, self.source.left().now);
        while !self.ended.load(Ordering::Relaxed) {
            let allowed = self.live || self.source.left().now.0 < self.goal.load(Ordering::Relaxed);
            let moved = allowed && self.source.tick();
            ticks += u32::from(moved);
            let since = shared_at.elapsed();
            if since >= SHARE_EVERY || (!moved && ticks > 0) {
                let series = series_at.elapsed() >= SERIES_EVERY || !moved;
                let span_s = (self.source.left().now - from).as_secs_f64();
                self.share(ticks, since, span_s, series);
                if series {
                    series_at = Instant::now();
                }
                (ticks, from, shared_at) = (0, self.source.left().now, Instant::now());
            }
            if !moved {
                self.rest();
            }
        }
    }

    fn share(&self, ticks: u32, wall: Duration, span_s: f64, series: bool) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let wall_s = wall.as_secs_f64().max(1e-9);
        shared.pace = if ticks == 0 { 0.0 } else { 0.7 * shared.pace + 0.3 * span_s / wall_s };
        if ticks > 0 {
            shared.tick_ms = wall_s * 1e3 / f64::from(ticks);
        }
        let left = self.source.left();
        self.end.store(left.end.0, Ordering::Relaxed);
        shared.left.take_from(left);
        if series {
            let wanted = std::mem::take(&mut shared.wanted);
            shared.series = wanted.iter().map(|id| (*id, Arc::new(self.source.series(*id)))).collect();
            shared.wanted = wanted;
        }
    }

    /// Waits for more to do; now and then, series that are newly wanted are handed over.
    fn rest(&self) {
        // A live source has waited already, for what may come.
        if !self.live {
            let guard = self.woken.0.lock().unwrap_or_else(PoisonError::into_inner);
            drop(self.woken.1.wait_timeout(guard, Duration::from_millis(40)));
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.pace = 0.0;
        shared.left.note.clone_from(&self.source.left().note);
        let missing: Vec<SignalId> =
            shared.wanted.iter().filter(|id| !shared.series.contains_key(id)).copied().collect();
        for id in missing {
            let series = Arc::new(self.source.series(id));
            shared.series.insert(id, series);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{left::Left, player::Player};

    /// A run that breaks.
    struct Breaks(Player);

    impl Source for Breaks {
        fn left(&self) -> &Left {
            self.0.left()
        }

        fn tick(&mut self) -> bool {
            panic!("a bug of the test's own")
        }

        fn series(&self, id: SignalId) -> Vec<Bucket> {
            self.0.series(id)
        }
    }

    #[test]
    fn a_run_that_panics_is_told_and_goes_no_further() {
        let opened = Opened::file("swing-shake-drive", &[], None, &[]).unwrap();
        let source = Box::new(Breaks(Player::new(&opened, 1).unwrap()));
        let shared = Arc::new(Mutex::new(Shared::of(source.as_ref())));
        let end = Arc::new(AtomicI64::new(i64::MAX));
        let worker = Worker {
            source,
            live: false,
            shared: Arc::clone(&shared),
            end: Arc::clone(&end),
            goal: Arc::new(AtomicI64::new(1)),
            ended: Arc::default(),
            woken: Arc::default(),
        };
        worker.guarded();
        let failed = shared.lock().unwrap().failed().unwrap();
        assert!(failed.contains("a bug of the test's own"), "{failed}");
        assert_eq!(end.load(Ordering::Relaxed), 0);
    }
}
