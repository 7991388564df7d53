//! A simulation, tick by tick.

use super::{
    history::Pose,
    left::{Ledger, Left},
    open::Opened,
    source::Source,
};
use std::sync::Arc;
use twinfleet_engine::{
    expect::Expectations,
    firmware::{control::OPERATOR, program::Programs},
    message::Message,
    physics::plugin::SceneState,
    record::{Bucket, Sampled, Sampler},
    run::{Run, RunError},
    signal::SignalId,
    world::{Events, Inbox, Rows, Watch},
};
use twinfleet_twins::assemble::assemble_watching;

/// Signals whose every value counts in plots, and stretches of each; others are plotted from the frames.
pub const SAMPLED_SIGNALS: usize = 4_096;
/// See [`SAMPLED_SIGNALS`].
pub const SAMPLED_BUCKETS: usize = 512;

/// What is told of a scenario with a `load`.
const LOADED: &str =
    "its load's devices and their traffic are there only in `twinfleet load`: here they stand silent";

/// A run in progress.
pub struct Player {
    run: Run,
    inbox: Vec<Message>,
    ledger: Ledger,
}

impl Player {
    /// Sets up the run of a scenario; every signal is watched, which changes nothing.
    ///
    /// # Errors
    /// Bad input that only setting up can find, or threads that cannot be started.
    pub fn new(opened: &Opened, threads: usize) -> Result<Self, RunError> {
        let plan = &opened.plan;
        let sampled = Sampled::new(Sampler::new(SAMPLED_SIGNALS, SAMPLED_BUCKETS), 0);
        let watch = Watch(vec![true; plan.signals.len()]);
        let run = assemble_watching(&opened.loaded, plan, threads, None, sampled, watch)?;
        let ledger = Ledger::new(plan, run.end(), run.step().0);
        let mut player = Self { run, inbox: Vec::new(), ledger };
        player.ledger.left.note = plan.scenario.load.as_ref().map(|_| LOADED.to_owned());
        player.keep_frame();
        Ok(player)
    }

    fn keep_frame(&mut self) {
        let scene = self.run.world().get_resource::<SceneState>().map(|s| &s.scene);
        let pose = |i: usize| {
            let state = scene.map(|s| s.state(i))?;
            let rotation = state.rotation.map(|v| v as f32);
            Some(Pose { position_m: state.position_m.map(|v| v as f32), rotation })
        };
        let bodies: Arc<[Pose]> = (0..scene.map_or(0, |s| s.len())).filter_map(pose).collect();
        self.ledger.keep_frame(bodies);
    }
}

impl Source for Player {
    fn left(&self) -> &Left {
        &self.ledger.left
    }

    fn tick(&mut self) -> bool {
        if self.run.is_over() || self.ledger.left.failed.is_some() {
            return false;
        }
        let outbox = self.run.tick(std::mem::take(&mut self.inbox));
        self.ledger.left.now = self.run.now();
        let world = self.run.world();
        self.ledger.rows(&world.resource::<Rows>().0);
        self.ledger.events(&world.resource::<Events>().0);
        // What the timeline desires of devices arrives without having been sent by one.
        let said = world.resource::<Inbox>().0.iter().filter(|m| m.publisher == OPERATOR);
        let booked: Vec<Message> = said.chain(&outbox).cloned().collect();
        self.ledger.messages(&booked);
        let failed = world.get_resource::<Programs>().and_then(Programs::failed).map(str::to_owned);
        self.inbox = outbox;
        self.keep_frame();
        if failed.is_some() {
            // What came until then stays to be looked at; the run ends here, without a hash.
            (self.ledger.left.failed, self.ledger.left.end) = (failed, self.run.now());
            return true;
        }
        if self.run.is_over() {
            self.ledger.left.hash = Some(self.run.state_hash().0);
            let now = self.run.now();
            if let Some(expectations) = self.run.world().get_resource::<Expectations>() {
                self.ledger.left.outcomes = expectations.0.finish(now);
            }
        }
        true
    }

    fn series(&self, id: SignalId) -> Vec<Bucket> {
        let sampled = self.run.world().get_resource::<Sampled>();
        sampled.map_or_else(Vec::new, |s| s.sampler.series(id).copied().collect())
    }
}
