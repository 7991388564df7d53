//! Priors pooled over a fleet: how much a parameter differs from unit to unit, from recordings of several devices.
//!
//! Each recording is fitted by itself, with every parameter its own. What they found are draws of a normal distribution in
//! the prior's space, each seen with its own error; its mean and spread follow by expectation and maximisation (Dempster,
//! Laird & Rubin, *Maximum Likelihood from Incomplete Data*, 1977), and become the prior under which each is fitted once
//! more, so that a unit that says little of a parameter borrows it from the others.

use super::{Dataset, FitError, Settings, collect, problem::Problem, solve, tuned_noise};
use crate::dynamics::{
    definition::{DynamicsDef, PriorDef},
    params::{Fitted, Params},
};
use rayon::prelude::*;

/// Rounds of fitting under the pooled prior.
const ROUNDS: usize = 3;
/// Steps of expectation and maximisation.
const STEPS: usize = 50;
/// Least spread between units, as a share of the stated prior's: few units alike do not make all units alike.
const LEAST: f64 = 0.1;

/// The prior of a unit not seen yet: of each free parameter the mean over the units, and the spread between them with what is
/// not known of the mean.
///
/// # Errors
/// As [`super::fit`].
pub fn pool(
    thing: &str,
    def: &DynamicsDef,
    data: &[Dataset],
    settings: &Settings,
) -> Result<Params, FitError> {
    for d in data {
        super::check(def, d)?;
    }
    let stated = Problem::new(def, data)?.parameters().to_vec();
    let mut current = def.clone();
    for p in current.parameters.values_mut() {
        p.per_recording = p.prior != PriorDef::Fixed;
    }
    let units = |def: &DynamicsDef| -> Result<Vec<Vec<(f64, f64)>>, FitError> {
        data.par_iter()
            .map(|d| {
                let mut problem = Problem::new(def, std::slice::from_ref(d))?;
                let best = solve::best_of(&mut problem, settings)?;
                let mut found = vec![(f64::NAN, f64::INFINITY); problem.parameters().len()];
                for i in 0..problem.len() {
                    if let Some((q, _)) = problem.meaning(i) {
                        // What this unit's data say without the prior.
                        let (own, prior) = (best.sd[i].powi(-2), problem.spread(i).powi(-2));
                        let data = (own - prior).max(1e-9 * prior);
                        let mean = (own * best.v[i] - prior * problem.centre()[i]) / data;
                        found[q] = (mean, data.powf(-0.5));
                    }
                }
                Ok(found)
            })
            .collect()
    };
    let mut pooled: Vec<(f64, f64, f64)> = Vec::new();
    for _ in 0..ROUNDS {
        let found = units(&current)?;
        pooled = stated
            .iter()
            .enumerate()
            .map(|(q, p)| {
                let seen: Vec<(f64, f64)> = found.iter().map(|f| f[q]).collect();
                if p.is_free() {
                    pooled_normal(&seen, p.to_space(p.value), p.prior_sd())
                } else {
                    (0.0, 0.0, 0.0)
                }
            })
            .collect();
        for ((q, p), own) in stated.iter().enumerate().zip(current.parameters.values_mut()) {
            let (mean, spread, _) = pooled[q];
            own.prior = match own.prior {
                PriorDef::Fixed => continue,
                PriorDef::Log(_) => PriorDef::Log(spread),
                PriorDef::Linear(_) => PriorDef::Linear(spread),
            };
            own.value = p.from_space(mean);
        }
    }
    let mut problem = Problem::new(&current, data)?;
    let best = solve::best_of(&mut problem, settings)?;
    let mut params = collect(thing, &current, &problem, &best, data);
    for (q, p) in stated.iter().enumerate().filter(|(_, p)| p.is_free()) {
        let (mean, spread, error) = pooled[q];
        let sd = spread.hypot(error);
        let fitted = Fitted {
            value: super::six_digits(p.from_space(mean)),
            sd: super::six_digits(sd),
            identified: sd * sd < 0.5 * p.prior_sd() * p.prior_sd(),
        };
        params.parameters.insert(p.name.clone(), fitted);
    }
    tuned_noise(&current, &mut params, data)?;
    Ok(params)
}

/// Mean, spread and error of the mean of a normal distribution of which draws were seen, each with its own error; what was
/// believed before counts as one draw of a unit seen without error, so that one unit does not say what units are like.
fn pooled_normal(seen: &[(f64, f64)], centre: f64, prior: f64) -> (f64, f64, f64) {
    let (mut mean, mut spread) = (centre, prior);
    for _ in 0..STEPS {
        let (mut weights, mut sum) = (prior.powi(-2), centre * prior.powi(-2));
        for (value, sd) in seen.iter().filter(|s| s.0.is_finite() && s.1.is_finite()) {
            let weight = 1.0 / (sd * sd + spread * spread);
            weights += weight;
            sum += weight * value;
        }
        mean = sum / weights;
        let (mut squares, mut n) = (prior * prior, 1.0);
        for (value, sd) in seen.iter().filter(|s| s.0.is_finite() && s.1.is_finite()) {
            let own = (sd.powi(-2) + spread.powi(-2)).recip();
            let drawn = own * (value / (sd * sd) + mean / (spread * spread));
            squares += (drawn - mean).powi(2) + own;
            n += 1.0;
        }
        spread = (squares / n).sqrt().max(LEAST * prior).min(prior);
    }
    let weights: f64 = prior.powi(-2)
        + seen.iter().map(|(_, sd)| 1.0 / (sd * sd + spread * spread)).filter(|w| w.is_finite()).sum::<f64>();
    (mean, spread, weights.powf(-0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_units_tell_their_spread_and_one_does_not() {
        let seen: Vec<(f64, f64)> =
            (0..400).map(|k| (2.0 + 0.3 * (f64::from(k) * 1.7).sin(), 0.05)).collect();
        let (mean, spread, error) = pooled_normal(&seen, 0.0, 1.0);
        assert!((mean - 2.0).abs() < 0.05 && error < 0.05, "{mean} {error}");
        assert!((spread - 0.3 / 2f64.sqrt()).abs() < 0.06, "{spread}");
        let (_, one, _) = pooled_normal(&seen[..1], 2.0, 1.0);
        assert!(one > 0.6, "{one}");
    }
}
