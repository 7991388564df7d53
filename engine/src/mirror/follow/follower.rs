//! What follows a twin's device: a judge of its stream alone, or one with a watch on the thing itself beside it.
//!
//! The watch is there where the thing's dynamics say what may happen to it (`events`). It remembers the filter's states along the
//! last readings and what the stream said before, up to 2 MB in all, which a twin without one has not to carry.

use crate::{
    compare::{Judge, Layout, News, Reading, Verdict},
    diagnose::{doctor::Doctor, world::World},
    predict::Estimator,
    time::{SimTime, Span},
};
use std::sync::Arc;

/// What a mirror section's device is followed with.
pub struct Followed {
    /// Estimates its state.
    pub estimator: Box<dyn Estimator>,
    /// Watches the thing itself, with the same filter.
    pub world: Option<World>,
}

impl From<Box<dyn Estimator>> for Followed {
    fn from(estimator: Box<dyn Estimator>) -> Self {
        Self { estimator, world: None }
    }
}

/// Follows a device.
#[expect(clippy::large_enum_variant, reason = "most twins have a judge alone, and it need not lie elsewhere")]
pub(super) enum Follower {
    Judge(Judge),
    Doctor(Box<Doctor>),
}

impl Follower {
    /// Follows from the beginning, `index` among many, sharing what it can with a twin before it.
    pub fn new(with: Followed, index: usize, before: Option<&Arc<Layout>>) -> Self {
        let judge = Judge::like(with.estimator, before).one_of_many(index);
        match with.world {
            None => Self::Judge(judge),
            Some(world) => Self::Doctor(Box::new(Doctor::following(judge, world))),
        }
    }

    /// The judge of its stream.
    pub fn judge(&self) -> &Judge {
        match self {
            Self::Judge(judge) => judge,
            Self::Doctor(doctor) => doctor.judge(),
        }
    }

    /// Takes a reading in. Times of readings must ascend; equal times are parts of one reading.
    pub fn take(&mut self, r: &Reading<'_>) {
        match self {
            Self::Judge(judge) => judge.take(r),
            Self::Doctor(doctor) => doctor.take(r),
        }
    }

    /// Simulated time has come to `now`: tells whether the silence became, or is, a verdict.
    pub fn wait(&mut self, now: SimTime) -> bool {
        match self {
            Self::Judge(judge) => judge.wait(now),
            Self::Doctor(doctor) => doctor.wait(now),
        }
    }

    /// Silence up to this is declared to be usual, for as long as the device's rhythm is not learnt.
    pub fn allow_silence(&mut self, silence: Span) {
        match self {
            Self::Judge(judge) => judge.allow_silence(silence),
            Self::Doctor(doctor) => doctor.allow_silence(silence),
        }
    }

    /// The broker says that the device is gone (`false`) or back.
    pub fn presence(&mut self, t: SimTime, here: bool) {
        match self {
            Self::Judge(judge) => judge.presence(t, here),
            Self::Doctor(doctor) => doctor.presence(t, here),
        }
    }

    /// The device's clock was set to a time before its last reading.
    pub fn clock_set(&mut self, t: SimTime) {
        match self {
            Self::Judge(judge) => judge.clock_set(t),
            Self::Doctor(doctor) => doctor.clock_set(t),
        }
    }

    /// All verdicts, oldest first.
    pub fn verdicts(&self) -> &[Verdict] {
        match self {
            Self::Judge(judge) => judge.verdicts(),
            Self::Doctor(doctor) => doctor.verdicts(),
        }
    }

    /// What began or ended since [`Self::news`] was last called.
    pub fn fresh(&self) -> &[News] {
        match self {
            Self::Judge(judge) => judge.fresh(),
            Self::Doctor(doctor) => doctor.fresh(),
        }
    }

    /// What began or ended since the last call.
    pub fn news(&mut self) -> Vec<News> {
        match self {
            Self::Judge(judge) => judge.news(),
            Self::Doctor(doctor) => doctor.news(),
        }
    }

    /// Whether a verdict on a signal (inputs first, then outputs) holds.
    pub fn holds(&self, signal: usize) -> bool {
        match self {
            Self::Judge(judge) => judge.holds(signal),
            Self::Doctor(doctor) => doctor.judge().names().get(signal).is_some_and(|n| doctor.holds(n)),
        }
    }

    /// Whether a verdict on the device as a whole holds, or on the thing itself.
    pub fn device_holds(&self) -> bool {
        match self {
            Self::Judge(judge) => judge.device_holds(),
            Self::Doctor(doctor) => doctor.device_holds(),
        }
    }

    /// Whether what is heard of a signal may be taken to judge forecasts by: an event is part of the world, a stream that repeats
    /// itself is not.
    pub fn trusts(&self, signal: usize) -> bool {
        let judge = self.judge();
        let spoofed = matches!(self, Self::Doctor(doctor) if doctor.spoofed());
        !judge.holds(signal) && !judge.device_holds() && !spoofed
    }

    /// Whether the last reading showed that the thing is another than forecasts in flight took it for.
    pub fn turned(&self) -> bool {
        matches!(self, Self::Doctor(doctor) if doctor.turned())
    }

    /// Its state, for the run's hash.
    pub fn state_bytes(&self) -> Vec<u8> {
        match self {
            Self::Judge(judge) => judge.state_bytes(),
            Self::Doctor(doctor) => doctor.state_bytes(),
        }
    }
}
