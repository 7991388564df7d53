//! Rows and events of each tick go in, outcomes come out at the end.

use super::{Claim, Condition, Expectation, Outcome, judge::Judge};
use crate::{
    plan::Plan,
    signal::{SignalId, SignalTable},
    time::SimTime,
    world::{Event, Events, Row, Rows, TickSystems},
};
use bevy_ecs::prelude::*;
use std::collections::HashMap;

/// Which side of an operator a signal is on: an `Implies` has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The signal that is judged, or the premise of an `Implies`.
    First,
    /// What an `Implies` waits for.
    Then,
}

/// Where the rows of one signal go.
#[derive(Clone, Copy, Debug)]
struct Place {
    judge: u32,
    slot: u32,
    side: Side,
}

/// Judges a run's expectations as its rows come in.
#[derive(Debug)]
pub struct Evaluator {
    judges: Vec<Judge>,
    places: HashMap<SignalId, Vec<Place>>,
    table: SignalTable,
}

/// Why an expectation cannot be judged in this run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExpectError {
    /// The glob names no signal of the run.
    #[error("expect[{index}]: no signal of this run is called `{glob}`")]
    NoSignal {
        /// Index into the scenario's `expect`.
        index: usize,
        /// The glob.
        glob: String,
    },
}

impl Evaluator {
    /// An evaluator of these expectations over the run's signals.
    pub fn new(expectations: &[Expectation], table: &SignalTable) -> Self {
        let mut places: HashMap<SignalId, Vec<Place>> = HashMap::new();
        let mut judges = Vec::new();
        for (at, e) in expectations.iter().enumerate() {
            let (first, then) = sides(&e.claim);
            let find =
                |c: Option<&super::SignalPattern>| c.map(|p| table.matches(&p.glob)).unwrap_or_default();
            let (first, then) = (find(first), find(then));
            for (ids, side) in [(&first, Side::First), (&then, Side::Then)] {
                for (slot, id) in ids.iter().enumerate() {
                    let place = Place { judge: at as u32, slot: slot as u32, side };
                    places.entry(*id).or_default().push(place);
                }
            }
            judges.push(Judge::new(e.clone(), first, then, table));
        }
        Self { judges, places, table: table.clone() }
    }

    /// Expectations whose globs match no signal of the run, all of them; `check` reports these before the run starts.
    pub fn unmatched(expectations: &[Expectation], table: &SignalTable) -> Vec<ExpectError> {
        let mut errors = Vec::new();
        for (index, e) in expectations.iter().enumerate() {
            for glob in e.signals() {
                let hits = crate::signal::Glob::new(glob).map(|g| table.matches(&g)).unwrap_or_default();
                if hits.is_empty() {
                    errors.push(ExpectError::NoSignal { index, glob: glob.to_owned() });
                }
            }
        }
        errors
    }

    /// Takes in the rows and events of a tick, each sorted by time. Events come before rows of the same instant.
    pub fn observe(&mut self, rows: &[Row], events: &[Event]) {
        if self.judges.is_empty() {
            return;
        }
        let mut instants = rows.chunk_by(|a, b| a.t == b.t).peekable();
        for event in events {
            while let Some(rows) = instants.next_if(|rows| rows[0].t < event.t) {
                self.instant(rows);
            }
            for judge in &mut self.judges {
                judge.event(event);
            }
        }
        for rows in instants {
            self.instant(rows);
        }
    }

    /// Takes in all rows of one instant. What an `Implies` waits for comes first: a premise is met by how things stand then,
    /// not by how they stood a moment before.
    fn instant(&mut self, rows: &[Row]) {
        for side in [Side::Then, Side::First] {
            for row in rows {
                let Some(places) = self.places.get(&row.signal) else { continue };
                for place in places.iter().filter(|p| p.side == side) {
                    let judge = &mut self.judges[place.judge as usize];
                    judge.row(row, place.slot as usize, side, &self.table);
                }
            }
        }
    }

    /// The outcomes, in the scenario's order, if the run ends here.
    pub fn finish(&self, end: SimTime) -> Vec<Outcome> {
        self.judges.iter().map(|j| j.outcome(end, &self.table)).collect()
    }
}

/// The signals of both sides of an operator.
fn sides(claim: &Claim) -> (Option<&super::SignalPattern>, Option<&super::SignalPattern>) {
    match claim {
        Claim::Always(signal, _)
        | Claim::Settles { signal, .. }
        | Claim::Eventually { signal, .. }
        | Claim::Rate { signal, .. } => (Some(signal), None),
        Claim::Never(c) | Claim::Within(c) | Claim::Count(c, _) => (Condition::signal(c), None),
        Claim::Implies { premise, then, .. } => (premise.signal(), then.signal()),
    }
}

/// The run's evaluator, fed in [`TickSystems::Expect`].
#[derive(Resource, Debug)]
pub struct Expectations(pub Evaluator);

/// Adds the evaluator and the system that feeds it. Resource: [`Expectations`]. It expects [`Rows`] and [`Events`] sorted
/// (see [`crate::record::sort_tick`]).
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan) {
    world.insert_resource(Expectations(Evaluator::new(&plan.scenario.expect, &plan.signals)));
    schedule.add_systems(judge_tick.in_set(TickSystems::Expect));
}

fn judge_tick(rows: Res<Rows>, events: Res<Events>, mut expectations: ResMut<Expectations>) {
    expectations.0.observe(&rows.0, &events.0);
}
