//! What any model has to beat: nothing changes, or what was a season ago comes again.

use super::{
    Model,
    series::{Series, period},
    task::Task,
};

/// The last reading stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Persistence;

impl Model for Persistence {
    fn fit(&mut self, _task: &Task, _until: usize) {}

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        for (origin, out) in origins.iter().zip(out.chunks_mut(task.width())) {
            for (target, out) in task.targets.iter().zip(out.chunks_mut(task.horizons.len())) {
                out.fill(task.series.held(*target)[*origin]);
            }
        }
    }
}

/// What was read one season before comes again. The season of each target is that of a day, a week and the period found in
/// the series which was best in the past; without any it is persistence.
#[derive(Clone, Debug, Default)]
pub struct Seasonal {
    seasons: Vec<Option<usize>>,
}

/// The seasons that may be in a series, [slots].
pub fn seasons(series: &Series, channel: usize, until: usize) -> Vec<usize> {
    let mut found: Vec<usize> =
        [86_400.0, 7.0 * 86_400.0].iter().filter_map(|s| series.slots_in(*s)).collect();
    let past = &series.held(channel)[..until];
    // A long past is looked at where it is recent.
    let recent = &past[past.len().saturating_sub(20_000)..];
    found.extend(period(recent, 2_000));
    found.retain(|s| 2 * s <= until && *s >= 2);
    found.sort_unstable();
    found.dedup();
    found
}

impl Model for Seasonal {
    fn fit(&mut self, task: &Task, until: usize) {
        self.seasons.clear();
        for target in &task.targets {
            let (held, read) = (task.series.held(*target), task.series.channel(*target));
            let longest = task.longest();
            let error = |season: &usize| -> f64 {
                let mut sum = (0.0, 0);
                for origin in (*season..until.saturating_sub(longest)).step_by(7) {
                    let Some(at) = task.series.before(origin, longest, *season) else { continue };
                    let e = (read[origin + longest] - held[at]).abs();
                    if e.is_finite() {
                        sum = (sum.0 + e, sum.1 + 1);
                    }
                }
                sum.0 / f64::from(sum.1.max(1))
            };
            let found = seasons(&task.series, *target, until);
            self.seasons.push(found.into_iter().min_by(|a, b| error(a).total_cmp(&error(b))));
        }
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        for (origin, out) in origins.iter().zip(out.chunks_mut(task.width())) {
            for (i, target) in task.targets.iter().enumerate() {
                let held = task.series.held(*target);
                for (k, ahead) in task.horizons.iter().enumerate() {
                    let at = self
                        .seasons
                        .get(i)
                        .copied()
                        .flatten()
                        .and_then(|s| task.series.before(*origin, *ahead, s));
                    out[i * task.horizons.len() + k] = held[at.unwrap_or(*origin)];
                }
            }
        }
    }

    fn about(&self) -> String {
        let each = self.seasons.iter().map(|s| s.map_or("none".to_owned(), |s| s.to_string()));
        format!("season of each target, in rows: {}", each.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(values: Vec<f64>, horizons: Vec<usize>) -> Task {
        let t_s: Vec<f64> = (0..values.len()).map(|i| i as f64 * 60.0).collect();
        Task::new(Series::new(&t_s, None, vec![values]), vec![0], vec![], vec![], horizons)
    }

    #[test]
    fn a_season_is_found_and_repeated() {
        let task = task((0..400).map(|i| f64::from(i % 24)).collect(), vec![1, 5, 30]);
        let mut model = Seasonal::default();
        model.fit(&task, 300);
        let mut out = [0.0; 3];
        model.forecast(&task, &[310], &mut out);
        assert_eq!(out, [311.0 % 24.0, 315.0 % 24.0, 340.0 % 24.0]);
    }

    #[test]
    fn noise_has_no_season() {
        let mut x = 1u32;
        let noise = (0..2000).map(|_| {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(x >> 8)
        });
        assert_eq!(period(&noise.collect::<Vec<_>>(), 500), None);
    }
}
