//! Intervals by profile likelihood: a parameter is moved away from its best value, all others are fitted anew, and the
//! interval ends where the cost has risen by half of χ²₁'s quantile (Venzon & Moolgavkar, Applied Statistics 37, 1988).
//!
//! The likelihood has the priors in it, and the residuals' own correlation (see [`super`]). A side that the physical bounds
//! cut off ends there.
//!
//! Where parameters are told only together, the others have far to go as one is moved. They are taken along as the Gauss–Newton
//! matrix says they go, by steps that are short beside the prior, and a place from which they have not come down to the valley's
//! floor is no end of an interval.

use super::{
    problem::Problem,
    solve::{Solution, minimise_but},
};
use crate::dynamics::dense::{cholesky, cholesky_solve};
use rayon::prelude::*;

/// Rise of the cost at the ends of a central 90 %: half the square of the normal's 95 % quantile.
const RISE: f64 = 0.5 * Z * Z;
/// The normal's 95 % quantile.
pub(super) const Z: f64 = 1.644_853_626_951_472_2;
/// Points of one side, the last of which is near enough.
const POINTS: usize = 12;
/// Steps of the others at each point at most, and what another one would gain where they are taken to be fitted, [nat].
const STEPS: usize = 16;
const ENOUGH_NATS: f64 = 0.01;
/// How far one point is from the one before at most, in the prior's spreads: where the others go bends on the way.
const JUMP: f64 = 0.5;

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

/// A place of all unknowns, and what it costs.
struct Found {
    v: Vec<f64>,
    cost: f64,
}

/// A profile on its way.
struct Walk<'a> {
    problem: &'a Problem,
    best: &'a Solution,
    place: usize,
    width: f64,
    /// The first is the best.
    points: Vec<Found>,
}

impl<'a> Walk<'a> {
    fn new(problem: &'a Problem, best: &'a Solution, place: usize, width: f64) -> Self {
        let points = vec![Found { v: best.v.clone(), cost: best.cost }];
        Self { problem, best, place, width, points }
    }

    fn profile(mut self) -> Profile {
        let low = self.side(-1.0);
        let high = self.side(1.0);
        let middle = self.best.v[self.place];
        for end in [low, high] {
            for share in BETWEEN {
                let mut v = self.best.v.clone();
                v[self.place] = middle + share * (end - middle);
                self.problem.bounded(&mut v);
                let to = v[self.place];
                if to != middle && matches!(self.look(self.nearest(to), to), Some((_, false))) {
                    self.points.pop();
                }
            }
        }
        let floor = self.floor();
        let prior = self.problem.prior(&self.best.v);
        let seen = |f: &Found| {
            let data = f.cost - self.best.cost - (self.problem.prior(&f.v) - prior);
            Seen { at: f.v[self.place], rise: (f.cost - floor).max(0.0), data }
        };
        let mut points: Vec<Seen> = self.points.iter().map(seen).collect();
        points.sort_by(|a, b| a.at.total_cmp(&b.at));
        points.dedup_by(|a, b| a.at == b.at);
        Profile { ends: (low, high), points }
    }

    /// The lowest cost so far: the others may come lower than the best was.
    fn floor(&self) -> f64 {
        self.points.iter().map(|p| p.cost).fold(f64::INFINITY, f64::min)
    }

    fn rise(&self, point: usize) -> f64 {
        (self.points[point].cost - self.floor()).max(0.0)
    }

    /// How far a point is from the best.
    fn reach(&self, point: usize) -> f64 {
        (self.points[point].v[self.place] - self.best.v[self.place]).abs()
    }

    fn nearest(&self, to: f64) -> usize {
        let far = |k: &usize| (self.points[*k].v[self.place] - to).abs();
        (0..self.points.len()).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0)
    }

    /// How far each unknown goes as this one is moved by one.
    fn along(&self, v: &[f64]) -> Option<Vec<f64>> {
        let l = cholesky(&self.problem.normal(v).matrix)?;
        let mut unit = vec![0.0; v.len()];
        unit[self.place] = 1.0;
        let column = cholesky_solve(&l, &unit);
        let along: Vec<f64> = column.iter().map(|x| x / column[self.place]).collect();
        along.iter().all(|x| x.is_finite()).then_some(along)
    }

    /// Takes the others along from a point, fits them anew, and notes what that came to: its number, and whether they are there.
    fn look(&mut self, from: usize, to: f64) -> Option<(usize, bool)> {
        let base = &self.points[from].v;
        let far = to - base[self.place];
        let mut left = base.clone();
        left[self.place] = to;
        self.problem.bounded(&mut left);
        let taken = self.along(base).map(|along| {
            let mut v: Vec<f64> = base.iter().zip(&along).map(|(x, a)| x + far * a).collect();
            v[self.place] = to;
            self.problem.bounded(&mut v);
            v
        });
        let start = match taken {
            Some(v) if self.problem.cost(&v) < self.problem.cost(&left) => v,
            _ => left,
        };
        let found = minimise_but(self.problem, start, STEPS, Some(self.place), ENOUGH_NATS);
        if !found.cost.is_finite() {
            return None;
        }
        self.points.push(Found { v: found.v, cost: found.cost });
        Some((self.points.len() - 1, found.converged))
    }

    /// Walks to one side; the end is looked for as if the root of the rise grew in proportion to the distance.
    fn side(&mut self, sign: f64) -> f64 {
        let (problem, best, place) = (self.problem, self.best, self.place);
        let wanted = rise_at_ends(self.width);
        let sd = (self.width * best.sd[place]).min(problem.spread(place));
        let mut jump = JUMP * problem.spread(place);
        let (mut inside, mut outside) = (0, None::<usize>);
        let mut distance = (Z * sd).min(jump);
        for _ in 0..POINTS {
            let looked = self.look(inside, best.v[place] + sign * distance);
            let (reached, rise) =
                looked.map_or((distance, f64::INFINITY), |(k, _)| (self.reach(k), self.rise(k)));
            let within = self.reach(inside);
            let Some((k, _)) = looked.filter(|(_, there)| *there || rise < wanted) else {
                // What the others come to there is not known yet: from nearer by.
                self.points.truncate(looked.map_or(self.points.len(), |(k, _)| k));
                jump = 0.5 * (reached - within);
                distance = within + jump;
                continue;
            };
            let at_bound = reached < 0.999 * distance;
            if at_bound && rise < wanted || (rise - wanted).abs() < 0.03 * wanted {
                return self.points[k].v[place];
            }
            if rise < wanted {
                inside = k;
            } else {
                outside = Some(k);
            }
            let within = self.reach(inside);
            distance = match outside {
                Some(o) => {
                    let (a, b) = (self.rise(inside).sqrt(), self.rise(o).sqrt());
                    within + (self.reach(o) - within) * ((wanted.sqrt() - a) / (b - a)).clamp(0.05, 0.95)
                }
                None => {
                    let farther = (wanted / rise.max(1e-3)).sqrt().clamp(1.1, 2.5);
                    (reached * farther).min(reached + jump)
                }
            };
        }
        // Where no end was found, it is not nearer than the Gauss–Newton matrix says.
        best.v[place] + sign * if outside.is_some() { distance } else { distance.max(Z * sd) }
    }
}
