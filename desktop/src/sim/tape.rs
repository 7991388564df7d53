//! A record, read again tick by tick. It holds what the scenario had recorded: signals that were not are not to be seen, and
//! neither are messages, of which a record has none; that one was sent shows where a twin has heard it.

use super::{
    history::Pose,
    left::{Ledger, Left},
    open::Opened,
    player::{SAMPLED_BUCKETS, SAMPLED_SIGNALS},
    source::Source,
};
use crate::fleet::Fleet;
use bevy::math::Quat;
use std::{collections::VecDeque, iter::Peekable, sync::Arc};
use twinfleet_engine::{
    record::{Bucket, Record, RecordError, Sampler, manifest::Blocks},
    signal::SignalId,
    time::{SimTime, Span},
    world::{Event, Row},
};

/// Rows of a record, in order.
type Rows = Peekable<Box<dyn Iterator<Item = Result<Row, RecordError>>>>;

/// Where a rigid body is by its signals: its centre, and its orientation as a quaternion.
type Body = ([SignalId; 3], [SignalId; 4]);

/// A record under way.
pub struct Tape {
    record: Arc<Record>,
    rows: Rows,
    /// The plan's id of each of the record's signals, where they are numbered otherwise.
    ids: Option<Vec<Option<SignalId>>>,
    /// Events of the segments that were begun, and the next segment.
    events: VecDeque<Event>,
    segment: usize,
    sampler: Sampler,
    /// Signals of each rigid body, its place and how it is turned; and how it is turned at the start, which holds where the
    /// record does not say how it turns.
    bodies: Vec<(Body, [f32; 4])>,
    ledger: Ledger,
}

impl Tape {
    /// A record at its start.
    pub fn new(opened: &Opened, record: Arc<Record>) -> Self {
        let plan = &opened.plan;
        let scene = plan.scenario.world.scene.iter().flat_map(|s| &s.bodies);
        let bodies = plan.body_blocks.iter().zip(scene).map(|(block, def)| {
            let of = |c: u32| plan.signals.id(*block, 0, c);
            (([0, 1, 2].map(of), [4, 5, 6, 7].map(of)), turned(def.rotation_deg))
        });
        let bodies = bodies.collect();
        // Another version may have numbered its signals in another way; names stay.
        let same = Blocks::of(&record.table) == Blocks::of(&plan.signals);
        let named = |id: u32| plan.signals.find(&record.table.name(SignalId(id)));
        let ids = (!same).then(|| (0..record.table.len() as u32).map(named).collect());
        let mut ledger = Ledger::new(plan, record.manifest.end(), plan.scenario.step.0.max(1));
        ledger.hear_by_reports(plan, &Fleet::of(plan));
        if !record.manifest.finished {
            let end = record.manifest.end();
            ledger.left.note = Some(format!("the run was cut short: the record ends at {end}"));
        }
        // Marks stand over the whole record from the first. A segment that cannot be read is told when it is reached.
        let segments = 0..record.manifest.segments.len();
        segments.map_while(|at| record.segment_events(at).ok()).for_each(|events| ledger.foresee(&events));
        let rows: Box<dyn Iterator<Item = _>> = Box::new(Arc::clone(&record).into_rows());
        let mut tape = Self {
            rows: rows.peekable(),
            record,
            ids,
            events: VecDeque::new(),
            segment: 0,
            sampler: Sampler::new(SAMPLED_SIGNALS, SAMPLED_BUCKETS),
            bodies,
            ledger,
        };
        tape.keep_frame();
        tape
    }

    fn keep_frame(&mut self) {
        let pose = |((place, turn), start): &(Body, [f32; 4])| {
            let position_m = place.map(|id| self.ledger.latest(id).unwrap_or(0.0));
            let now = turn.map(|id| self.ledger.latest(id));
            let rotation = if let [Some(x), Some(y), Some(z), Some(w)] = now { [x, y, z, w] } else { *start };
            Pose { position_m, rotation }
        };
        let bodies: Arc<[Pose]> = self.bodies.iter().map(pose).collect();
        self.ledger.keep_frame(bodies);
    }

    /// Books what happened before an instant.
    fn book(&mut self, until: SimTime) -> Result<(), RecordError> {
        let mut some = Vec::new();
        while self.rows.peek().is_some_and(|r| r.as_ref().is_ok_and(|row| row.t < until) || r.is_err()) {
            let Some(row) = self.rows.next() else { break };
            let mut row = row?;
            if let Some(ids) = &self.ids {
                let Some(id) = ids.get(row.signal.0 as usize).copied().flatten() else { continue };
                row.signal = id;
            }
            self.sampler.add(&row);
            some.push(row);
        }
        self.ledger.rows(&some);
        // A segment holds the events of its ticks, so those of an earlier one come first.
        while self.record.manifest.segments.get(self.segment).is_some_and(|s| s.from_ns < until.0) {
            self.events.extend(self.record.segment_events(self.segment)?);
            self.segment += 1;
        }
        let due = self.events.iter().take_while(|e| e.t < until).count();
        let due: Vec<Event> = self.events.drain(..due).collect();
        self.ledger.events(&due);
        Ok(())
    }
}

/// As a scenario writes it, about the fixed x, then y, then z axis, as a quaternion.
fn turned((x, y, z): (f64, f64, f64)) -> [f32; 4] {
    let [x, y, z] = [x, y, z].map(|deg| (deg as f32).to_radians());
    (Quat::from_rotation_z(z) * Quat::from_rotation_y(y) * Quat::from_rotation_x(x)).to_array()
}

impl Source for Tape {
    fn left(&self) -> &Left {
        &self.ledger.left
    }

    fn tick(&mut self) -> bool {
        let left = &self.ledger.left;
        if left.now >= left.end {
            return false;
        }
        let next = (left.now + Span(left.step_ns)).min(left.end);
        let last = next == left.end;
        // What bears the very time of the end belongs to it.
        let until = if last { SimTime(next.0.saturating_add(1)) } else { next };
        let booked = self.book(until);
        self.ledger.left.now = next;
        if let Err(error) = booked {
            // What was read until then stays; the record ends here.
            self.ledger.left.note = Some(format!("the record cannot be read beyond {next}: {error}"));
            self.ledger.left.end = next;
        } else if last {
            self.ledger.left.hash = self.record.manifest.state().map(|h| h.0);
        }
        self.keep_frame();
        true
    }

    fn series(&self, id: SignalId) -> Vec<Bucket> {
        self.sampler.series(id).copied().collect()
    }
}
