//! What the world was like when: frames of all signals and bodies, within a bounded memory.
//!
//! Each tick leaves a frame among the latest; older ones are kept at an interval that doubles whenever they are too many, so
//! that the whole of a run of any length can be gone through.
//!
//! ```
//! use twinfleet_desktop::sim::history::{Frame, History};
//! use twinfleet_engine::time::SimTime;
//! let mut history = History::new(1 << 20);
//! for s in 0..10_000i64 {
//!     history.push(Frame { t: SimTime(s), ..Frame::empty(100) });
//! }
//! assert!(history.len() * 100 * 4 <= 1 << 20);
//! assert_eq!(history.at(SimTime(9_999)).unwrap().t, SimTime(9_999));
//! assert!(history.at(SimTime(5_000)).unwrap().t <= SimTime(5_000));
//! ```

use std::{collections::VecDeque, sync::Arc};
use twinfleet_engine::{signal::SignalId, time::SimTime};

/// Frames kept at most, however small.
const MOST: usize = 20_000;
/// Frames kept one by one at the end.
const LATEST: usize = 240;

/// Where a body is, in the simulated world's frame (z up).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Its centre, [m].
    pub position_m: [f32; 3],
    /// Unit quaternion (x, y, z, w).
    pub rotation: [f32; 4],
}

/// The world at an instant.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When.
    pub t: SimTime,
    /// The latest value of every signal by its id; not a number where there was none yet.
    pub values: Arc<[f32]>,
    /// The scene's bodies, in their order.
    pub bodies: Arc<[Pose]>,
    /// When each device last published, by its ordinal; [`SimTime::NEVER`] where it has not.
    pub sent: Arc<[SimTime]>,
    /// Messages until then.
    pub messages: u64,
}

impl Frame {
    /// A frame in which nothing has happened yet.
    pub fn empty(signals: usize) -> Self {
        Self {
            t: SimTime::ZERO,
            values: vec![f32::NAN; signals].into(),
            bodies: Arc::default(),
            sent: Arc::default(),
            messages: 0,
        }
    }

    /// The latest value of a signal.
    pub fn value(&self, id: SignalId) -> Option<f32> {
        self.values.get(id.0 as usize).copied().filter(|v| !v.is_nan())
    }

    fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
            + self.bodies.len() * size_of::<Pose>()
            + self.sent.len() * size_of::<SimTime>()
            + size_of::<Self>()
    }
}

/// Frames in order of time.
#[derive(Clone, Debug)]
pub struct History {
    old: Vec<Arc<Frame>>,
    latest: VecDeque<Arc<Frame>>,
    /// Every how many frames one is kept for good.
    stride: usize,
    seen: usize,
    budget_bytes: usize,
}

impl History {
    /// An empty history that keeps within about this memory.
    pub const fn new(budget_bytes: usize) -> Self {
        Self { old: Vec::new(), latest: VecDeque::new(), stride: 1, seen: 0, budget_bytes }
    }

    /// Adds the latest frame.
    pub fn push(&mut self, frame: Frame) {
        let most = (self.budget_bytes / frame.bytes().max(1)).clamp(8, MOST);
        let latest = LATEST.min(most / 2);
        self.latest.push_back(Arc::new(frame));
        while self.latest.len() > latest {
            let Some(frame) = self.latest.pop_front() else { break };
            if self.seen.is_multiple_of(self.stride) {
                self.old.push(frame);
            }
            self.seen += 1;
        }
        if self.old.len() > most - latest {
            let mut at = 0;
            self.old.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride *= 2;
        }
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.old.len() + self.latest.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last frame.
    pub fn last(&self) -> Option<&Arc<Frame>> {
        self.latest.back().or_else(|| self.old.last())
    }

    /// The frame that holds at an instant: the last one that is not after it, or the first of all.
    pub fn at(&self, t: SimTime) -> Option<&Arc<Frame>> {
        if self.latest.front().is_some_and(|f| f.t <= t) {
            let after = self.latest.partition_point(|f| f.t <= t);
            return self.latest.get(after - 1);
        }
        let after = self.old.partition_point(|f| f.t <= t);
        self.old.get(after.saturating_sub(1)).or_else(|| self.latest.front())
    }

    /// All frames, the oldest first.
    pub fn frames(&self) -> impl Iterator<Item = &Arc<Frame>> {
        self.old.iter().chain(&self.latest)
    }
}
