//! A run: scenario, catalog and seed in; ticks out. A pure function of its inputs, whatever the thread count.

use crate::{
    cause::Causes,
    message::Message,
    plan::Plan,
    record::sort_tick,
    scenario::{
        calendar,
        diagnostic::{Report, Style},
    },
    time::{SimTime, Span},
    world::{
        Clock, Counters, Events, Inbox, Outbox, Rows, StateHash, StateHashers, TickSystems, Truth, Watch,
    },
};
use bevy_ecs::{
    prelude::*,
    schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor},
};
use std::sync::Arc;

/// Why a run could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The threads could not be started.
    #[error("cannot start {threads} threads: {why}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system said.
        why: String,
    },
    /// Bad input in files, each mistake with its place.
    #[error("{}", .0.render(Style::Plain))]
    Refused(Report),
    /// Bad input that only setting up could find.
    #[error("{0}")]
    Input(String),
}

/// Unix time of runs whose scenario names no start: 2026-01-01T00:00:00Z, [ms].
pub const DEFAULT_EPOCH_UNIX_MS: i64 = 1_767_225_600_000;

/// Unix time of a run's start, [ms].
pub fn epoch_unix_ms(plan: &Plan) -> i64 {
    let start = plan.scenario.start.as_deref().and_then(calendar::unix_ns);
    start.map_or(DEFAULT_EPOCH_UNIX_MS, |ns| ns / 1_000_000)
}

/// A run in progress.
pub struct Run {
    world: World,
    schedule: Schedule,
    pool: Arc<rayon::ThreadPool>,
}

impl Run {
    /// Sets up the empty world of a plan, for plugins to install themselves in. `watch` names the signals whose rows are
    /// wanted.
    ///
    /// # Errors
    /// When the threads cannot be started.
    pub fn new(plan: &Plan, threads: usize, watch: Watch) -> Result<Self, RunError> {
        let builder = || {
            let named = rayon::ThreadPoolBuilder::new().thread_name(|i| format!("twinfleet-{i}"));
            named.num_threads(threads)
        };
        // The calling thread works too: otherwise every tick would cost two thread switches. A thread can do so for one pool
        // only; a second run in the same thread gets workers of its own.
        let pool = builder()
            .use_current_thread()
            .build()
            .or_else(|_| builder().build())
            .map_err(|e| RunError::Threads { threads, why: e.to_string() })?;
        let mut world = World::new();
        let step = plan.scenario.step;
        world.insert_resource(Clock {
            now: SimTime::ZERO,
            next: SimTime::ZERO + step,
            step,
            tick: 0,
            epoch_unix_ms: epoch_unix_ms(plan),
            end: SimTime::ZERO + plan.scenario.duration,
        });
        world.insert_resource(watch);
        world.init_resource::<Truth>();
        world.init_resource::<Rows>();
        world.init_resource::<Events>();
        world.init_resource::<Inbox>();
        world.init_resource::<Outbox>();
        world.init_resource::<Counters>();
        world.init_resource::<Causes>();
        world.init_resource::<StateHashers>();
        Ok(Self { world, schedule: tick_schedule(), pool: Arc::new(pool) })
    }

    /// The world and the schedule, for plugins to install themselves in.
    pub fn parts(&mut self) -> (&mut World, &mut Schedule) {
        (&mut self.world, &mut self.schedule)
    }

    /// Simulated time reached.
    pub fn now(&self) -> SimTime {
        self.world.resource::<Clock>().now
    }

    /// Simulated time at which it ends.
    pub fn end(&self) -> SimTime {
        self.world.resource::<Clock>().end
    }

    /// Whether the duration is over.
    pub fn is_over(&self) -> bool {
        let clock = self.world.resource::<Clock>();
        clock.now >= clock.end
    }

    /// Simulated length of a tick.
    pub fn step(&self) -> Span {
        self.world.resource::<Clock>().step
    }

    /// Advances one tick: `inbox` is what arrived since the last one, the result what reaches the broker in this one, both
    /// ordered by (publisher, sequence).
    pub fn tick(&mut self, mut inbox: Vec<Message>) -> Vec<Message> {
        inbox.sort_by_key(|m| (m.publisher, m.seq));
        self.world.resource_mut::<Rows>().0.clear();
        self.world.resource_mut::<Events>().0.clear();
        self.world.resource_mut::<Inbox>().0 = inbox;
        let pool = Arc::clone(&self.pool);
        pool.install(|| self.schedule.run(&mut self.world));
        let mut outbox = std::mem::take(&mut self.world.resource_mut::<Outbox>().0);
        outbox.sort_by_key(|m| (m.publisher, m.seq));
        let mut clock = self.world.resource_mut::<Clock>();
        clock.now = clock.next;
        clock.next = clock.next + clock.step;
        clock.tick += 1;
        outbox
    }

    /// Advances one tick that ends at `until`, however far that is: for a driver that follows real devices, whose messages
    /// and clock come as they come. Where `until` is not ahead, the tick takes no time.
    pub fn tick_until(&mut self, until: SimTime, inbox: Vec<Message>) -> Vec<Message> {
        let step = self.step();
        let mut clock = self.world.resource_mut::<Clock>();
        clock.next = until.max(clock.now);
        clock.step = clock.next - clock.now;
        let outbox = self.tick(inbox);
        let mut clock = self.world.resource_mut::<Clock>();
        clock.step = step;
        clock.next = clock.now + step;
        outbox
    }

    /// The hash of everything that has a state.
    pub fn state_hash(&mut self) -> StateHash {
        let hashers = self.world.resource::<StateHashers>().0.clone();
        let mut hash = StateHash::default();
        for add in hashers {
            add(&mut self.world, &mut hash);
        }
        hash
    }

    /// The world, to read results from.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The world, to take results out of.
    pub fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

/// The empty schedule of a tick: sets chained, ambiguities refused.
///
/// Systems run one after the other; parallel work happens inside them, over cohorts, on the run's own pool. Small fleets
/// are faster so, and `--threads` bounds everything.
fn tick_schedule() -> Schedule {
    use TickSystems::*;
    let mut schedule = Schedule::default();
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..Default::default()
    });
    schedule.configure_sets(
        (
            Input,
            Environment,
            Physics,
            Dynamics,
            Power,
            Sense,
            Firmware,
            Publish,
            Mirror,
            Predict,
            Compare,
            Gather,
            Expect,
            Record,
        )
            .chain(),
    );
    schedule.add_systems(gather.in_set(Gather));
    schedule
}

fn gather(mut rows: ResMut<Rows>, mut events: ResMut<Events>, mut causes: ResMut<Causes>) {
    sort_tick(&mut rows.0, &mut events.0);
    causes.link(&mut events.0);
}
