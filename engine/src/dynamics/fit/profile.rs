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
const STEPS: usize = 10;

/// A point of a profile: the parameter in its unit, and by how much the cost has risen, [nat].
pub type Point = (f64, f64);

/// A place in the prior's space, the rise of the cost there, and what of it is the readings', not the prior's.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) at: f64,
    pub(super) rise: f64,
    pub(super) data: f64,
}

/// Ends of a parameter's interval in the prior's space, and the points that were walked through.
pub(super) struct Profile {
    pub(super) ends: (f64, f64),
    pub(super) points: Vec<Seen>,
}

/// Shares of the way to an end at which the profile is looked at beside the points that led there.
const BETWEEN: [f64; 3] = [0.3, 0.65, 1.3];

/// Profiles of the unknowns at these places, of which each interval is to be so many times as wide as by the Gauss–Newton matrix
/// (see [`super::robust`]).
pub(super) fn profiles(problem: &Problem, best: &Solution, places: &[usize], widths: &[f64]) -> Vec<Profile> {
    places.par_iter().map(|place| Walk::new(problem, best, *place, widths[*place]).profile()).collect()
}

/// How far the cost rises at the ends of an interval so many times as wide.
pub(super) fn rise_at_ends(width: f64) -> f64 {
    RISE * width * width
}

/// A profile on its way.
struct Walk<'a> {
    problem: &'a Problem,
    best: &'a Solution,
    place: usize,
    width: f64,
    prior: f64,
    points: Vec<Seen>,
}

impl<'a> Walk<'a> {
    fn new(problem: &'a Problem, best: &'a Solution, place: usize, width: f64) -> Self {
        let points = vec![Seen { at: best.v[place], rise: 0.0, data: 0.0 }];
        Self { problem, best, place, width, prior: problem.prior(&best.v), points }
    }

    fn profile(mut self) -> Profile {
        let low = self.side(-1.0);
        let high = self.side(1.0);
        for end in [low, high] {
            for share in BETWEEN {
                let mut v = self.best.v.clone();
                v[self.place] += share * (end - v[self.place]);
                self.problem.bounded(&mut v);
                if v[self.place] != self.best.v[self.place] {
                    self.look(v);
                }
            }
        }
        self.points.sort_by(|a, b| a.at.total_cmp(&b.at));
        self.points.dedup_by(|a, b| a.at == b.at);
        Profile { ends: (low, high), points: self.points }
    }

    /// Fits the others anew from a point, and notes what that came to.
    fn look(&mut self, v: Vec<f64>) -> Option<(Vec<f64>, f64)> {
        let found = minimise_but(self.problem, v, STEPS, Some(self.place));
        let rise = (found.cost - self.best.cost).max(0.0);
        if !rise.is_finite() {
            return None;
        }
        let data = found.cost - self.best.cost - (self.problem.prior(&found.v) - self.prior);
        self.points.push(Seen { at: found.v[self.place], rise, data });
        Some((found.v, rise))
    }

    /// Walks to one side; the end is looked for as if the root of the rise grew in proportion to the distance.
    fn side(&mut self, sign: f64) -> f64 {
        let (problem, best, place) = (self.problem, self.best, self.place);
        let wanted = rise_at_ends(self.width);
        let sd = (self.width * best.sd[place]).min(problem.spread(place));
        let (mut inside, mut outside) = ((0.0, 0.0), None::<(f64, f64)>);
        let mut others = best.v.clone();
        let mut distance = Z * sd;
        for _ in 0..POINTS {
            let mut v = others.clone();
            v[place] = best.v[place] + sign * distance;
            problem.bounded(&mut v);
            let reached = (v[place] - best.v[place]).abs();
            let at_bound = reached < 0.999 * distance;
            let Some((found, rise)) = self.look(v) else { break };
            if at_bound && rise < wanted || (rise - wanted).abs() < 0.03 * wanted {
                return found[place];
            }
            if rise < wanted {
                inside = (reached, rise);
                others = found;
            } else {
                outside = Some((reached, rise));
            }
            distance = match outside {
                Some(o) => {
                    let (a, b) = (inside.1.sqrt(), o.1.sqrt());
                    inside.0 + (o.0 - inside.0) * ((wanted.sqrt() - a) / (b - a)).clamp(0.05, 0.95)
                }
                None => reached * (wanted / rise.max(1e-3)).sqrt().clamp(1.1, 2.5),
            };
        }
        best.v[place] + sign * distance
    }
}
