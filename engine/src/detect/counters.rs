//! Signals that count: an energy meter, an odometer, a running number. Such a one leaves what was learnt of it by itself, for
//! ever, and with it in sight nothing else is strange any more: its steps are looked at instead.

/// Steps that a counter must have made in the clean rows, each in the same direction.
const FEWEST_STEPS: usize = 30;
/// Parts of the clean rows in each of which it must have gone on, by this share of an even part.
const PARTS: usize = 4;
const EVEN_SHARE: f64 = 0.3;
/// A counter that turns back has begun again where it then stands below this share of its way over the clean rows.
const BEGUN_SHARE: f64 = 0.1;

/// Which signals count, and where they stand.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Of each signal: +1 for one that only rises, −1 for one that only falls; 0: no counter.
    direction: Vec<f64>,
    /// Of each: below what it has begun again, where it turns back.
    begun: Vec<f64>,
    last: Vec<f64>,
    /// Whether it has just begun again.
    again: Vec<bool>,
}

impl Counters {
    /// Looks for them in clean rows. Values that are missing are passed over.
    pub fn of(rows: &[Vec<f64>]) -> Self {
        let d = rows.first().map_or(0, Vec::len);
        let (direction, begun) = (0..d)
            .map(|k| {
                let column: Vec<f64> =
                    rows.iter().filter_map(|r| r.get(k)).copied().filter(|v| v.is_finite()).collect();
                (direction(&column), begun(&column))
            })
            .unzip();
        Self { direction, begun, last: vec![f64::NAN; d], again: vec![false; d] }
    }

    /// The next row follows upon none that was seen.
    pub fn forget(&mut self) {
        self.last.fill(f64::NAN);
        self.again.fill(false);
    }

    /// Places of the signals that count.
    pub fn places(&self) -> Vec<usize> {
        (0..self.direction.len()).filter(|k| self.direction[*k] != 0.0).collect()
    }

    /// A row with the steps of what counts in place of where it stands. Of the first row, after a missing value and where one
    /// begins again from below, no step is known: it is missing. One that turns back on its way, or goes on falling once it has
    /// begun again, does not count as it did: its step is told as it is.
    pub fn take(&mut self, row: &[f64]) -> Vec<f64> {
        let steps = row.iter().enumerate().map(|(k, v)| {
            let direction = self.direction.get(k).copied().unwrap_or(0.0);
            if direction == 0.0 {
                return *v;
            }
            let step = v - std::mem::replace(&mut self.last[k], *v);
            let begun = step * direction < 0.0 && !self.again[k] && (v - self.begun[k]) * direction <= 0.0;
            self.again[k] = begun;
            if begun { f64::NAN } else { step }
        });
        steps.collect()
    }
}

/// Below what a column that counts has begun again.
fn begun(column: &[f64]) -> f64 {
    match (column.first(), column.last()) {
        (Some(first), Some(last)) => first + BEGUN_SHARE * (last - first),
        _ => f64::NAN,
    }
}

fn direction(column: &[f64]) -> f64 {
    let (Some(first), Some(last)) = (column.first(), column.last()) else { return 0.0 };
    let direction = (last - first).signum();
    let steps = || column.windows(2).map(move |w| (w[1] - w[0]) * direction);
    if steps().any(|s| s < 0.0 || s.is_nan()) || steps().filter(|s| *s > 0.0).count() < FEWEST_STEPS {
        return 0.0;
    }
    let at = |part: usize| column[(part * (column.len() - 1)) / PARTS];
    let even = (last - first).abs() / PARTS as f64;
    let goes_on = |part: usize| (at(part + 1) - at(part)).abs() >= EVEN_SHARE * even;
    if (0..PARTS).all(goes_on) { direction } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_rises_counts_and_what_turns_does_not() {
        let rows =
            |f: &dyn Fn(usize) -> f64| (0..400).map(|t| vec![f(t), t as f64 % 7.0]).collect::<Vec<_>>();
        let counts = |f: &dyn Fn(usize) -> f64| Counters::of(&rows(f)).places();
        assert_eq!(counts(&|t| t as f64), [0]);
        assert_eq!(counts(&|t| 1e6 - (t / 5) as f64), [0]);
        assert!(counts(&|t| (t as f64 / 30.0).sin()).is_empty());
        assert!(counts(&|_| 3.3).is_empty());
        // Ten steps of a temperature, and one that has come to rest.
        assert!(counts(&|t| (t / 40) as f64).is_empty());
        assert!(counts(&|t| (t as f64).min(100.0)).is_empty());
        let mut counters = Counters::of(&rows(&|t| t as f64));
        assert!(counters.take(&[10.0, 1.0])[0].is_nan());
        assert_eq!(counters.take(&[12.0, 1.0]), [2.0, 1.0]);
        // It began again.
        assert!(counters.take(&[0.0, 1.0])[0].is_nan());
        assert_eq!(counters.take(&[1.0, 5.0]), [1.0, 5.0]);
        // One that turns back on its way has not, nor one that goes on falling.
        assert_eq!(counters.take(&[300.0, 5.0])[0], 299.0);
        assert_eq!(counters.take(&[290.0, 5.0])[0], -10.0);
        assert!(counters.take(&[20.0, 5.0])[0].is_nan());
        assert_eq!(counters.take(&[10.0, 5.0])[0], -10.0);
    }
}
