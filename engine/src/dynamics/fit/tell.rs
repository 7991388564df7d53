//! What the data cannot tell, and the experiment that would: which input to move, for how long.
//!
//! Data are weighed against the prior by their Fisher information (Gauss–Newton), the unknown start taken out of it. A
//! direction in which they weigh less than the prior is one that they do not tell. A planned experiment is simulated with the
//! fitted parameters and adds its own information to what is known (Ljung, *System Identification*, 2nd ed., ch. 13).

use super::{
    Dataset, Estimate,
    problem::Problem,
    solve::{Solution, deviations},
};
use crate::dynamics::{
    definition::{BoundaryAt, DynamicsDef},
    dense::{Mat, cholesky, cholesky_solve},
    model::Model,
};
use nalgebra::DMatrix;
use std::collections::BTreeMap;

/// Lengths that are tried, [s].
const LENGTHS_S: [f64; 9] = [60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 36_000.0, 86_400.0, 259_200.0];
/// How far surroundings that stood still in the recording are taken to swing in a day, [K].
const DAY_K: f64 = 10.0;
/// Rows of a planned experiment.
const ROWS: usize = 200;
/// Share of a weak direction from which on a parameter is named with it.
const NAMED: f64 = 0.35;
/// By what factor an experiment must narrow an interval to be worth proposing.
const WORTH: f64 = 0.7;

/// An experiment that would tell a parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// The parameter that it is for.
    pub parameter: String,
    /// Input to move; None: no experiment with these inputs would do.
    pub input: Option<String>,
    /// Whether the input can be set, or only be waited for (what surrounds the thing).
    pub settable: bool,
    /// First this value, for half of the time, then `low`.
    pub high: f64,
    /// The value in the second half.
    pub low: f64,
    /// Length of both halves together, [s].
    pub length_s: f64,
    /// Outputs that must be read.
    pub read: Vec<String>,
    /// Standard deviation in the prior's space, now and after it.
    pub sd: (f64, f64),
}

/// Parameters that the data tell only together: groups of names.
pub(super) fn confounded(problem: &Problem, best: &Solution) -> Vec<Vec<String>> {
    let Some((places, information)) = parameter_information(problem, &best.v) else { return Vec::new() };
    let n = places.len();
    if n == 0 {
        return Vec::new();
    }
    let scaled = DMatrix::from_fn(n, n, |a, b| {
        information[(a, b)] * problem.spread(places[a]) * problem.spread(places[b])
    });
    let eigen = scaled.symmetric_eigen();
    let mut out: Vec<Vec<String>> = Vec::new();
    for k in (0..n).filter(|k| eigen.eigenvalues[*k] < 1.0) {
        let mut names: Vec<String> = (0..n)
            .filter(|i| eigen.eigenvectors[(*i, k)].abs() > NAMED)
            .filter_map(|i| problem.meaning(places[i]))
            .map(|(q, _)| problem.parameters()[q].name.clone())
            .collect();
        names.sort();
        names.dedup();
        if names.len() > 1 && !out.contains(&names) {
            out.push(names);
        }
    }
    out.sort();
    out
}

/// What data alone say of the parameters, whatever the starts were.
fn parameter_information(problem: &Problem, v: &[f64]) -> Option<(Vec<usize>, Mat)> {
    let mut matrix = problem.normal(v).matrix;
    let (places, starts): (Vec<usize>, Vec<usize>) =
        (0..problem.len()).partition(|i| problem.meaning(*i).is_some());
    for i in &places {
        matrix[(*i, *i)] -= problem.spread(*i).powi(-2);
    }
    Some((places.clone(), without(&matrix, &places, &starts)?))
}

/// A precision matrix over `keep` once `lose` is marginalised.
fn without(matrix: &Mat, keep: &[usize], lose: &[usize]) -> Option<Mat> {
    let mut block = Mat::zeros(lose.len(), lose.len());
    for (a, i) in lose.iter().enumerate() {
        for (b, k) in lose.iter().enumerate() {
            block[(a, b)] = matrix[(*i, *k)];
        }
    }
    let l = cholesky(&block)?;
    let mut out = Mat::zeros(keep.len(), keep.len());
    for (b, k) in keep.iter().enumerate() {
        let column: Vec<f64> = lose.iter().map(|i| matrix[(*i, *k)]).collect();
        let solved = cholesky_solve(&l, &column);
        for (a, i) in keep.iter().enumerate() {
            let taken: f64 = lose.iter().zip(&solved).map(|(s, x)| matrix[(*i, *s)] * x).sum();
            out[(a, b)] = matrix[(*i, *k)] - taken;
        }
    }
    Some(out)
}

/// For each parameter that is not identified, the shortest experiment that would do, or that there is none. Parameters of
/// which each recording has its own are looked at in the first recording.
pub(super) fn experiments(
    def: &DynamicsDef,
    problem: &Problem,
    best: &Solution,
    data: &[Dataset],
    estimates: &[Estimate],
) -> Vec<Experiment> {
    let (Some(first), Some(plan)) = (data.first(), Plan::new(def, problem, best, data)) else {
        return Vec::new();
    };
    let mut weak: Vec<&Estimate> = estimates
        .iter()
        .filter(|e| !e.identified && e.recording.as_ref().is_none_or(|r| *r == first.name))
        .collect();
    weak.dedup_by(|a, b| a.name == b.name);
    weak.iter().filter_map(|e| plan.best_for(&e.name)).collect()
}

/// What all planned experiments start from.
struct Plan<'a> {
    def: DynamicsDef,
    problem: &'a Problem,
    first: &'a Dataset,
    /// Places of the parameters that the first recording knows.
    places: Vec<usize>,
    /// Precision of these now.
    known: Mat,
    /// Information that one second of readings carries, by output: 1/[K²s].
    rate: Vec<f64>,
    recorded: Vec<bool>,
}

impl<'a> Plan<'a> {
    fn new(def: &DynamicsDef, problem: &'a Problem, best: &Solution, data: &'a [Dataset]) -> Option<Self> {
        let first = data.first()?;
        let theta = problem.theta(0, &best.v);
        let mut def = def.clone();
        for (p, value) in def.parameters.values_mut().zip(&theta) {
            p.value = *value;
        }
        let (places, rest): (Vec<usize>, Vec<usize>) = (0..problem.len())
            .partition(|i| problem.meaning(*i).is_some_and(|(_, file)| file.is_none_or(|f| f == 0)));
        let known = without(&problem.normal(&best.v).matrix, &places, &rest)?;
        let rows = first.t_s.len().max(2);
        let dt_s = (first.t_s[rows - 1] - first.t_s[0]) / (rows - 1) as f64;
        Some(Self {
            rate: problem.var.iter().map(|v| 1.0 / (v * dt_s)).collect(),
            recorded: first.outputs.iter().map(|c| c.iter().any(|v| v.is_finite())).collect(),
            def,
            problem,
            first,
            places,
            known,
        })
    }

    fn best_for(&self, parameter: &str) -> Option<Experiment> {
        let at = self.places.iter().position(|i| {
            self.problem.meaning(*i).is_some_and(|(q, _)| self.problem.parameters()[q].name == parameter)
        })?;
        let now = deviations(&self.known)[at];
        let prior = self.problem.spread(self.places[at]);
        let all = vec![true; self.recorded.len()];
        for read in [&self.recorded, &all] {
            for length_s in LENGTHS_S {
                let mut found: Option<(usize, f64)> = None;
                for input in 0..self.def.inputs.len() {
                    let Some(after) = self.after(input, length_s, read, at) else { continue };
                    if after < WORTH * now
                        && 2.0 * after * after < prior * prior
                        && found.is_none_or(|f| after < f.1)
                    {
                        found = Some((input, after));
                    }
                }
                if let Some((input, after)) = found {
                    return Some(self.experiment(parameter, Some(input), length_s, read, (now, after)));
                }
            }
        }
        Some(self.experiment(parameter, None, 0.0, &self.recorded, (now, now)))
    }

    fn experiment(
        &self,
        parameter: &str,
        input: Option<usize>,
        length_s: f64,
        read: &[bool],
        sd: (f64, f64),
    ) -> Experiment {
        let (low, high) = input.map_or((0.0, 0.0), |k| self.levels(k));
        let name = input.map(|k| self.def.inputs[k].signal.clone());
        let outputs = self.def.outputs.iter().zip(read).filter(|(_, r)| **r);
        Experiment {
            parameter: parameter.to_owned(),
            settable: input.is_none_or(|input| !self.surrounds(input)),
            input: name,
            high,
            low,
            length_s,
            read: outputs.map(|(o, _)| o.signal.clone()).collect(),
            sd,
        }
    }

    /// The range that an input was seen to move over, as far as the thing says that it can be set; where it never moved there, all
    /// of that, or what surroundings that nobody sets go through in a day.
    fn levels(&self, input: usize) -> (f64, f64) {
        let def = &self.def.inputs[input];
        let (least, most) = def.declared.unwrap_or(def.range);
        let seen = || self.first.inputs[input].iter().copied().filter(|v| v.is_finite());
        let (low, high) = seen().fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
        let within = (low.max(least), high.min(most));
        if within.1 > within.0 {
            within
        } else if self.surrounds(input) && low <= high {
            let day = |side: f64| (low + side * DAY_K).clamp(least.min(low), most.max(low));
            (day(-0.5), day(0.5))
        } else {
            (least, most)
        }
    }

    /// Whether an input is what surrounds the thing.
    fn surrounds(&self, input: usize) -> bool {
        let name = &self.def.inputs[input].signal;
        self.def.boundaries.iter().any(|b| matches!(&b.at, BoundaryAt::Input(i) if i == name))
    }

    /// What an input was in the mean.
    fn usual(&self, input: usize) -> f64 {
        let seen: Vec<f64> = self.first.inputs[input].iter().copied().filter(|v| v.is_finite()).collect();
        if seen.is_empty() { self.levels(input).0 } else { seen.iter().sum::<f64>() / seen.len() as f64 }
    }

    /// A parameter's standard deviation once an input was high for half of the time and low for the other.
    fn after(&self, input: usize, length_s: f64, read: &[bool], at: usize) -> Option<f64> {
        let dt_s = length_s / ROWS as f64;
        let (low, high) = self.levels(input);
        let column = |k: usize| -> Vec<f64> {
            let level = |row| if row < ROWS / 2 { high } else { low };
            if k == input { (0..ROWS).map(level).collect() } else { vec![self.usual(k); ROWS] }
        };
        let planned = Dataset {
            name: "planned".to_owned(),
            t_s: (0..ROWS).map(|k| k as f64 * dt_s).collect(),
            inputs: (0..self.def.inputs.len()).map(column).collect(),
            outputs: read.iter().map(|r| vec![if *r { 20.0 } else { f64::NAN }; ROWS]).collect(),
            covariates: self.first.covariates.clone(),
        };
        let mut problem = Problem::new(&self.def, std::slice::from_ref(&planned)).ok()?;
        for (o, var) in problem.var.iter_mut().enumerate() {
            *var = (1.0 / (self.rate[o] * dt_s)).max(1e-6);
        }
        let mut v = problem.centre().to_vec();
        problem.set_start(0, &self.at_rest(input)?, &mut v);
        let (places, information) = parameter_information(&problem, &v)?;
        let mut together = self.known.clone();
        let mine: BTreeMap<usize, usize> =
            places.iter().enumerate().filter_map(|(a, i)| Some((problem.meaning(*i)?.0, a))).collect();
        for (a, i) in self.places.iter().enumerate() {
            for (b, k) in self.places.iter().enumerate() {
                let (qa, qb) = (self.problem.meaning(*i)?.0, self.problem.meaning(*k)?.0);
                together[(a, b)] += information[(*mine.get(&qa)?, *mine.get(&qb)?)];
            }
        }
        Some(deviations(&together)[at])
    }

    /// The states that the thing comes to with the input low and the others as they mostly were.
    fn at_rest(&self, input: usize) -> Option<Vec<f64>> {
        let model = Model::compile(&self.def, &self.first.covariates).ok()?;
        let (theta, low) = (model.values(), self.levels(input).0);
        // The others stay through the experiment what they are here: else their own step would tell what is said of the input's.
        let u: Vec<f64> =
            (0..model.inputs.len()).map(|k| if k == input { low } else { self.usual(k) }).collect();
        let mut x = vec![model.resting_c(&theta, &u); model.states()];
        for _ in 0..48 {
            model.step(&mut x, &theta, &u, 1800.0);
        }
        x.iter().all(|x| x.is_finite()).then_some(x)
    }
}
