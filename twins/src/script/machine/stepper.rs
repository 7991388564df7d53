//! A stepping motor on four pins of a board, one a coil: where it turns its shaft to.
//!
//! A shaft goes to where its coils pull it, by the shorter way. Coils that pull against each other, straight away from it or not
//! at all leave it where it is. How fast it can follow is the actuator's business.

use std::collections::BTreeMap;

/// How four coils pull in each of eight half steps: the first against the third, the second against the fourth.
const HALF_STEPS: [(i64, i64); 8] = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)];

/// A motor with its shaft.
#[derive(Clone, Debug)]
pub(super) struct Stepper {
    pub part: String,
    pub pins: [String; 4],
    /// Half steps from level 0 to 1.
    steps: u32,
    /// Half steps from where it was at first.
    at: i64,
}

impl Stepper {
    /// A part at its level 0, on the pins of its four coils.
    pub fn new(part: &str, pins: [String; 4], steps: u32) -> Self {
        Self { part: part.to_owned(), pins, steps, at: 0 }
    }

    /// Looks at what its pins are set to. The level that it has turned to, 0–1; none: it has not moved.
    pub fn turn(&mut self, set: &BTreeMap<String, bool>) -> Option<f64> {
        let [a, b, c, d] = self.pins.each_ref().map(|pin| i64::from(set.get(pin) == Some(&true)));
        let to = HALF_STEPS.iter().position(|pull| *pull == (a - c, b - d))?;
        let ahead = (to as i64 - self.at).rem_euclid(8);
        let by = match ahead {
            0..4 => ahead,
            4 => 0,
            _ => ahead - 8,
        };
        self.at += by;
        (by != 0).then(|| (self.at as f64 / f64::from(self.steps)).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a motor stands after its coils were fed like this, one after the other, in half steps.
    fn after(fed: &[[u8; 4]]) -> i64 {
        let mut motor = Stepper::new("m", ["0", "1", "2", "3"].map(str::to_owned), 4096);
        let mut set = BTreeMap::new();
        for coils in fed {
            // One pin after the other, as a program sets them.
            for (pin, on) in coils.iter().enumerate() {
                set.insert(pin.to_string(), *on == 1);
                motor.turn(&set);
            }
        }
        motor.at
    }

    #[test]
    fn it_goes_by_half_and_whole_steps_both_ways() {
        assert_eq!(after(&[[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0]]), 3);
        assert_eq!(after(&[[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]]), 9);
        assert_eq!(after(&[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), 6);
        assert_eq!(after(&[[1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 1]]), -3);
    }

    #[test]
    fn what_pulls_both_ways_or_not_at_all_leaves_it() {
        assert_eq!(after(&[[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]]), 2);
        assert_eq!(after(&[[0, 0, 1, 0]]), 0, "straight away from it");
    }
}
