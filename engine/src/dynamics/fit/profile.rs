//! Intervals by profile likelihood: a parameter is moved away from its best value, all others are fitted anew, and the
//! interval ends where the cost has risen by half of χ²₁'s quantile (Venzon & Moolgavkar, Applied Statistics 37, 1988).
//!
//! The likelihood has the priors in it, and the residuals' own correlation (see [`super`]). A side that the physical bounds
//! cut off ends there.
//!
//! Where parameters are told only together, the others have far to go as one is moved. They are taken along as the Gauss–Newton
//! matrix says they go, by steps that are short beside the prior, and a place from which they have not come down to the valley's
//! floor is no end of an interval.
//!
//! Where the cost has other valleys about as deep (two parts that can change places), a profile is the lowest of them all at each
//! place: it is walked from each floor, and the interval spans what lies low enough in any.

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
pub(super) const ENOUGH_NATS: f64 = 0.01;
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

/// A place of all unknowns, what it costs, and the floor from which it was come to.
struct Found {
    v: Vec<f64>,
    cost: f64,
    valley: usize,
}

/// A profile on its way.
struct Walk<'a> {
    problem: &'a Problem,
    best: &'a Solution,
    place: usize,
    width: f64,
    /// The first is the best, behind it the other valleys' floors.
    points: Vec<Found>,
}

impl<'a> Walk<'a> {
    fn new(problem: &'a Problem, best: &'a Solution, place: usize, width: f64) -> Self {
        let rivals = best.rivals.iter().map(|r| (r.v.clone(), problem.cost(&r.v)));
        let floors = std::iter::once((best.v.clone(), best.cost)).chain(rivals);
        let points = floors.enumerate().map(|(valley, (v, cost))| Found { v, cost, valley }).collect();
        Self { problem, best, place, width, points }
    }

    fn profile(mut self) -> Profile {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for valley in 0..=self.best.rivals.len() {
            if valley > 0 && self.rise(valley) >= rise_at_ends(self.width) {
                continue;
            }
            let mine = (self.side(valley, -1.0), self.side(valley, 1.0));
            self.look_between(valley, mine);
            (low, high) = (low.min(mine.0), high.max(mine.1));
        }
        let floor = self.floor();
        let prior = self.problem.prior(&self.best.v);
        let seen = |f: &Found| {
            let data = f.cost - self.best.cost - (self.problem.prior(&f.v) - prior);
            Seen { at: f.v[self.place], rise: (f.cost - floor).max(0.0), data }
        };
        let mut points: Vec<Seen> =
            (0..self.points.len()).filter(|k| !self.is_above(*k)).map(|k| seen(&self.points[k])).collect();
        points.sort_by(|a, b| a.at.total_cmp(&b.at));
        points.dedup_by(|a, b| a.at == b.at);
        Profile { ends: (low, high), points }
    }

    /// Looks at the profile of a valley beside the points that led to its ends.
    fn look_between(&mut self, valley: usize, ends: (f64, f64)) {
        let middle = self.points[valley].v[self.place];
        for end in [ends.0, ends.1] {
            for share in BETWEEN {
                let mut v = self.points[valley].v.clone();
                v[self.place] = middle + share * (end - middle);
                self.problem.bounded(&mut v);
                let to = v[self.place];
                if to != middle && matches!(self.look(self.nearest(valley, to), to), Some((_, false))) {
                    self.points.pop();
                }
            }
        }
    }

    /// Whether another valley is lower where a point is: the profile is the lowest of them.
    fn is_above(&self, point: usize) -> bool {
        let (here, cost) = (self.points[point].v[self.place], self.points[point].cost);
        (0..=self.best.rivals.len()).filter(|valley| *valley != self.points[point].valley).any(|valley| {
            let of = || {
                let mine = self.points.iter().filter(move |p| p.valley == valley);
                mine.map(|p| (p.v[self.place], p.cost))
            };
            let left = of().filter(|p| p.0 <= here).max_by(|a, b| a.0.total_cmp(&b.0));
            let right = of().filter(|p| p.0 >= here).min_by(|a, b| a.0.total_cmp(&b.0));
            left.zip(right).is_some_and(|(l, r)| {
                let share = if r.0 > l.0 { (here - l.0) / (r.0 - l.0) } else { 0.0 };
                l.1 + share * (r.1 - l.1) < cost
            })
        })
    }

    /// The lowest cost so far: the others may come lower than the best was.
    fn floor(&self) -> f64 {
        self.points.iter().map(|p| p.cost).fold(f64::INFINITY, f64::min)
    }

    fn rise(&self, point: usize) -> f64 {
        (self.points[point].cost - self.floor()).max(0.0)
    }

    /// How far a point is from its valley's floor.
    fn reach(&self, point: usize) -> f64 {
        let found = &self.points[point];
        (found.v[self.place] - self.points[found.valley].v[self.place]).abs()
    }

    /// The point of a valley that is nearest to a place.
    fn nearest(&self, valley: usize, to: f64) -> usize {
        let far = |k: &usize| (self.points[*k].v[self.place] - to).abs();
        let mine = (0..self.points.len()).filter(|k| self.points[*k].valley == valley);
        mine.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(valley)
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
        let valley = self.points[from].valley;
        self.points.push(Found { v: found.v, cost: found.cost, valley });
        Some((self.points.len() - 1, found.converged))
    }

    /// Walks from a valley's floor to one side; the end is looked for as if the root of the rise grew in proportion to the distance.
    fn side(&mut self, valley: usize, sign: f64) -> f64 {
        let (problem, best, place) = (self.problem, self.best, self.place);
        let wanted = rise_at_ends(self.width);
        let (floor, sds) = match valley.checked_sub(1) {
            None => (&best.v, &best.sd),
            Some(rival) => (&best.rivals[rival].v, &best.rivals[rival].sd),
        };
        let sd = (self.width * sds[place]).min(problem.spread(place));
        let mut jump = JUMP * problem.spread(place);
        let (mut inside, mut outside) = (valley, None::<usize>);
        let mut distance = (Z * sd).min(jump);
        for _ in 0..POINTS {
            let looked = self.look(inside, floor[place] + sign * distance);
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
        floor[place] + sign * if outside.is_some() { distance } else { distance.max(Z * sd) }
    }
}
