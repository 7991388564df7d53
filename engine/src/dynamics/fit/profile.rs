//! Intervals by profile likelihood: a parameter is moved away from its best value, all others are fitted anew, and the
//! interval ends where the cost has risen by half of χ²₁'s quantile (Venzon & Moolgavkar, Applied Statistics 37, 1988).
//!
//! The likelihood has the priors in it, and the residuals' own correlation (see [`super`]). A side that the physical bounds
//! cut off ends there.

use super::{
    problem::Problem,
    solve::{Solution, minimise_but},
};
use rayon::prelude::*;

/// Rise of the cost at the ends of a central 90 %: half the square of the normal's 95 % quantile.
const RISE: f64 = 0.5 * Z * Z;
/// The normal's 95 % quantile.
pub(super) const Z: f64 = 1.644_853_626_951_472_2;
/// Points of one side, the last of which is near enough.
const POINTS: usize = 6;
/// Steps of the others at each point; they start where they were at the point before.
const STEPS: usize = 4;

/// A point of a profile: the parameter in its unit, and by how much the cost has risen, [nat].
pub type Point = (f64, f64);

/// Ends of a parameter's interval in the prior's space, and the points that were walked through.
pub(super) struct Profile {
    pub(super) ends: (f64, f64),
    pub(super) points: Vec<(f64, f64)>,
}

/// Profiles of the unknowns at these places.
pub(super) fn profiles(problem: &Problem, best: &Solution, places: &[usize]) -> Vec<Profile> {
    places.par_iter().map(|place| profile(problem, best, *place)).collect()
}

fn profile(problem: &Problem, best: &Solution, place: usize) -> Profile {
    let mut points = vec![(best.v[place], 0.0)];
    let low = side(problem, best, place, -1.0, &mut points);
    let high = side(problem, best, place, 1.0, &mut points);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Profile { ends: (low, high), points }
}

/// Walks to one side; the end is looked for as if the root of the rise grew in proportion to the distance.
fn side(problem: &Problem, best: &Solution, place: usize, sign: f64, points: &mut Vec<(f64, f64)>) -> f64 {
    let sd = best.sd[place].min(problem.spread(place));
    let (mut inside, mut outside) = ((0.0, 0.0), None::<(f64, f64)>);
    let mut others = best.v.clone();
    let mut distance = Z * sd;
    for _ in 0..POINTS {
        let mut v = others.clone();
        v[place] = best.v[place] + sign * distance;
        problem.bounded(&mut v);
        let reached = (v[place] - best.v[place]).abs();
        let at_bound = reached < 0.999 * distance;
        let found = minimise_but(problem, v, STEPS, Some(place));
        let rise = (found.cost - best.cost).max(0.0);
        if !rise.is_finite() {
            break;
        }
        points.push((found.v[place], rise));
        if at_bound && rise < RISE {
            return found.v[place];
        }
        if (rise - RISE).abs() < 0.03 * RISE {
            return found.v[place];
        }
        if rise < RISE {
            inside = (reached, rise);
            others = found.v;
        } else {
            outside = Some((reached, rise));
        }
        distance = match outside {
            Some(o) => {
                let (a, b) = (inside.1.sqrt(), o.1.sqrt());
                inside.0 + (o.0 - inside.0) * ((RISE.sqrt() - a) / (b - a)).clamp(0.05, 0.95)
            }
            None => reached * (RISE / rise.max(1e-3)).sqrt().clamp(1.1, 2.5),
        };
    }
    best.v[place] + sign * distance
}
