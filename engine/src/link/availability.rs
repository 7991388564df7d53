//! When a link carries messages at all: what a device's own code finds of its network.
//!
//! ```
//! use twinfleet_engine::{link::availability::Availability, time::SimTime};
//! let at = |s: i64| SimTime(s * 1_000_000_000);
//! let link = Availability::new(vec![(at(10), at(20)), (at(15), at(30))], 1.0);
//! assert_eq!(link.up_since(at(5)), Some(at(0)));
//! assert_eq!((link.up_since(at(20)), link.up_since(at(30))), (None, Some(at(30))));
//! assert!(link.was_down(at(5), at(12)) && !link.was_down(at(30), at(40)));
//! ```

use crate::{
    catalog::Catalog,
    scenario::{Action, LinkDef, Scenario},
    time::SimTime,
};

/// A link's outages, and how often it carries a transmission otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Availability {
    /// In order, none touching another.
    down: Vec<(SimTime, SimTime)>,
    arrival: f64,
}

impl Default for Availability {
    fn default() -> Self {
        Self::new(Vec::new(), 1.0)
    }
}

impl Availability {
    /// A link with these outages, from and until, in any order; `arrival` is the chance that a transmission arrives. Where none
    /// ever does, it is down for ever.
    pub fn new(mut down: Vec<(SimTime, SimTime)>, arrival: f64) -> Self {
        if arrival <= 0.0 {
            down = vec![(SimTime::ZERO, SimTime::NEVER)];
        }
        down.sort();
        down.dedup_by(|next, before| {
            let touches = next.0 <= before.1;
            if touches {
                before.1 = before.1.max(next.1);
            }
            touches
        });
        Self { down, arrival }
    }

    /// That of a scenario's link; none is always there.
    pub fn of(scenario: &Scenario, catalog: &Catalog, link: Option<&LinkDef>) -> Self {
        let profile = link.and_then(|l| catalog.links.get(l.profile.as_ref()?));
        let loss = link.and_then(|l| l.loss).or(profile.map(|p| p.loss)).unwrap_or(0.0);
        Self::new(outages(scenario, link), 1.0 - loss)
    }

    /// Since when it has been up; None: it is down.
    pub fn up_since(&self, t: SimTime) -> Option<SimTime> {
        let before = self.down.iter().rev().find(|(from, _)| *from <= t);
        match before {
            Some((_, until)) => (*until <= t).then_some(*until),
            None => Some(SimTime::ZERO),
        }
    }

    /// Whether it was down at any instant from one to another.
    pub fn was_down(&self, from: SimTime, to: SimTime) -> bool {
        self.down.iter().any(|(since, until)| *since <= to && from < *until)
    }

    /// When it comes or goes next, after an instant.
    pub fn next_change(&self, t: SimTime) -> SimTime {
        let changes = self.down.iter().flat_map(|(from, until)| [*from, *until]);
        changes.filter(|at| *at > t).min().unwrap_or(SimTime::NEVER)
    }

    /// Chance that a transmission arrives while it is up, 0–1.
    pub fn arrival(&self) -> f64 {
        self.arrival
    }
}

/// The outages that a timeline has for a link.
pub(super) fn outages(scenario: &Scenario, link: Option<&LinkDef>) -> Vec<(SimTime, SimTime)> {
    let down = scenario.timeline.iter().filter_map(|event| match &event.action {
        Action::LinkDown { link: id } if link.is_some_and(|l| l.id == *id) => {
            Some((SimTime::ZERO + event.at, event.until.map_or(SimTime::NEVER, |u| SimTime::ZERO + u)))
        }
        _ => None,
    });
    down.collect()
}
