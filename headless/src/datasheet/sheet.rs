//! What datasheets say of the parts that ship, as written down apart from the catalog's files for the laws that judge them.

use serde::Serialize;
use twinfleet_engine::units;
use twinfleet_twins::datasheet::Compared;

/// The laws' own table.
const TABLE: &str = include_str!("../../../tests/fixtures/datasheets/expected.csv");

/// A datasheet's figure, in the terms in which the bench measures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// `=`, `<=` or `>=`.
    pub relation: String,
    /// How much.
    pub value: f64,
    /// Under which condition.
    pub condition: String,
    /// Datasheet, and section or page.
    pub source: String,
    /// `read`, `second-hand` or `recalled`.
    pub basis: String,
}

/// Standard errors of a measurement that chance is allowed where a datasheet states a limit.
const CHANCE: f64 = 4.0;

impl Said {
    /// Whether a measured figure is beyond this limit, by more than the measurement leaves open.
    pub fn is_broken_by(&self, line: &Compared) -> bool {
        let slack = CHANCE * line.error + 1e-9 * self.value.abs();
        match self.relation.as_str() {
            "<=" => line.measured > self.value + slack,
            ">=" => line.measured < self.value - slack,
            _ => false,
        }
    }

    /// As a cell of a table.
    pub fn short(&self) -> String {
        let value = super::short(self.value);
        match self.relation.as_str() {
            "<=" => format!("≤ {value}"),
            ">=" => format!("≥ {value}"),
            _ => value,
        }
    }
}

/// What is written down of a measured figure. A part's figure may be stated under one of its channels.
pub fn says(part: &str, line: &Compared) -> Vec<Said> {
    let row = |text: &str| {
        let cells: Vec<&str> = text.split(',').collect();
        let [of, channel, _, value, unit, _, condition, document, place, basis, law] = cells[..] else {
            return None;
        };
        let [name, factor, relation] = law.split(' ').collect::<Vec<_>>()[..] else { return None };
        let fits = channel == line.channel || line.channel == "part";
        if of != part || name != line.figure || !fits {
            return None;
        }
        let factor: f64 = factor.trim_start_matches('x').parse().ok()?;
        let value = units::find(unit)?.convert(value.parse().ok()?, units::find(&line.unit)?)?;
        Some(Said {
            relation: relation.to_owned(),
            value: value / factor,
            condition: condition.to_owned(),
            source: format!("{document}, {place}"),
            basis: basis.to_owned(),
        })
    };
    TABLE.lines().skip(1).filter_map(row).collect()
}
