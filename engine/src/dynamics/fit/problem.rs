//! The least-squares problem: unknowns, simulation with sensitivities, normal equations.

use super::{Dataset, FitError, pieces, rows_of};
use crate::dynamics::{
    definition::{DynamicsDef, TimingDef},
    dense::Mat,
    model::{Model, Parameter},
    step::Stepper,
};
use rayon::prelude::*;

/// Model error as a share of an output's standard deviation, before residuals are known.
const SHARE: f64 = 0.08;
/// The most that is allowed for it, [K²].
const MOST: f64 = 0.25;

/// How far a state may be from the first reading behind a gap, at least, [K].
const BEHIND_GAP_K: f64 = 5.0;

/// What an unknown stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unknown {
    Shared(usize),
    Own { parameter: usize, file: usize },
    Start { state: usize, piece: usize },
}

/// Rows of a recording over which its inputs are known, simulated from a start of their own.
struct Piece {
    file: usize,
    /// Where they begin within the recording.
    first: usize,
    data: Dataset,
}

/// Unknowns: shared parameters; then, file by file, its own parameters and the start of each of its pieces.
pub(super) struct Problem {
    models: Vec<Model>,
    pieces: Vec<Piece>,
    unknowns: Vec<Unknown>,
    centre: Vec<f64>,
    spread: Vec<f64>,
    /// Variance of a reading about the simulation, by output.
    pub(super) var: Vec<f64>,
}

/// Normal equations at a point.
pub(super) struct Normal {
    pub(super) cost: f64,
    pub(super) gradient: Vec<f64>,
    pub(super) matrix: Mat,
}

/// One file's share of them, over the unknowns it knows.
struct Share {
    cost: f64,
    places: Vec<usize>,
    gradient: Vec<f64>,
    matrix: Mat,
}

impl Problem {
    pub(super) fn new(def: &DynamicsDef, data: &[Dataset]) -> Result<Self, FitError> {
        let models: Vec<Model> =
            data.iter().map(|d| Model::compile(def, &d.covariates)).collect::<Result<_, _>>()?;
        let Some(first) = models.first() else {
            return Err(FitError::Data { name: "data".to_owned(), why: "there is no recording".to_owned() });
        };
        let mut problem = Self {
            unknowns: Vec::new(),
            centre: Vec::new(),
            spread: Vec::new(),
            // Until residuals are known: a share of what each output does, so that one that swings widely, and is explained
            // badly, does not drown the others.
            var: first
                .outputs
                .iter()
                .enumerate()
                .map(|(o, output)| {
                    let readings = || data.iter().flat_map(|d| &d.outputs[o]).filter(|v| v.is_finite());
                    let n = readings().count().max(1) as f64;
                    let mean = readings().sum::<f64>() / n;
                    let square = readings().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
                    output.variance() + (SHARE * SHARE * square).clamp(0.01, MOST)
                })
                .collect(),
            models: Vec::new(),
            pieces: Vec::new(),
        };
        let free = || first.parameters.iter().enumerate().filter(|(_, p)| p.is_free());
        for (q, p) in free().filter(|(_, p)| !p.per_recording) {
            problem.push(Unknown::Shared(q), p.to_space(p.value), p.prior_sd());
        }
        for (file, d) in data.iter().enumerate() {
            for (q, p) in free().filter(|(_, p)| p.per_recording) {
                problem.push(Unknown::Own { parameter: q, file }, p.to_space(p.value), p.prior_sd());
            }
            for rows in pieces::pieces(d) {
                let (piece, begins) = (problem.pieces.len(), rows.start == 0);
                let data = rows_of(d, rows.clone());
                let reading = first_reading(&data);
                for (state, s) in first.starts.iter().enumerate() {
                    let unknown = Unknown::Start { state, piece };
                    // What a thing is put into service with says nothing of where it is behind a gap.
                    let said = s.initial_c.filter(|_| begins);
                    problem.push(
                        unknown,
                        said.unwrap_or(reading),
                        s.std_k.max(if begins { 1e-3 } else { BEHIND_GAP_K }),
                    );
                }
                problem.pieces.push(Piece { file, first: rows.start, data });
            }
        }
        problem.models = models;
        Ok(problem)
    }

    fn push(&mut self, unknown: Unknown, centre: f64, spread: f64) {
        self.unknowns.push(unknown);
        self.centre.push(centre);
        self.spread.push(spread);
    }

    pub(super) fn len(&self) -> usize {
        self.unknowns.len()
    }

    pub(super) fn centre(&self) -> &[f64] {
        &self.centre
    }

    pub(super) fn spread(&self, i: usize) -> f64 {
        self.spread[i]
    }

    pub(super) fn parameters(&self) -> &[Parameter] {
        &self.models[0].parameters
    }

    /// Parameter and file of an unknown; None where it is a start.
    pub(super) fn meaning(&self, i: usize) -> Option<(usize, Option<usize>)> {
        match self.unknowns[i] {
            Unknown::Shared(q) => Some((q, None)),
            Unknown::Own { parameter, file } => Some((parameter, Some(file))),
            Unknown::Start { .. } => None,
        }
    }

    /// Keeps parameters within their bounds.
    pub(super) fn bounded(&self, v: &mut [f64]) {
        for (i, x) in v.iter_mut().enumerate() {
            if let Some((q, _)) = self.meaning(i) {
                let p = &self.parameters()[q];
                *x = p.to_space(p.from_space(*x));
            }
        }
    }

    /// Unknowns that are no starts behind gaps: what a recording without gaps would leave.
    pub(super) fn plain_len(&self) -> usize {
        let behind =
            |u: &&Unknown| matches!(u, Unknown::Start { piece, .. } if self.pieces[*piece].first > 0);
        self.len() - self.unknowns.iter().filter(behind).count()
    }

    /// Share of the cost that is the priors'.
    pub(super) fn prior(&self, v: &[f64]) -> f64 {
        0.5 * (0..v.len()).map(|i| ((v[i] - self.centre[i]) / self.spread[i]).powi(2)).sum::<f64>()
    }

    /// Of each piece the recording it is of, the row that it begins with, and how many it has.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        self.pieces.iter().map(|p| (p.file, p.first, p.data.t_s.len()))
    }

    /// All parameters of a file, in their units.
    pub(super) fn theta(&self, file: usize, v: &[f64]) -> Vec<f64> {
        let mut theta = self.models[file].values();
        for (i, x) in v.iter().enumerate() {
            match self.unknowns[i] {
                Unknown::Shared(q) => theta[q] = self.parameters()[q].from_space(*x),
                Unknown::Own { parameter: q, file: f } if f == file => {
                    theta[q] = self.parameters()[q].from_space(*x);
                }
                _ => {}
            }
        }
        theta
    }

    fn start(&self, piece: usize, v: &[f64]) -> Vec<f64> {
        let mut x = vec![0.0; self.models[self.pieces[piece].file].states()];
        for (unknown, value) in self.unknowns.iter().zip(v) {
            if let Unknown::Start { state, piece: p } = unknown
                && *p == piece
            {
                x[*state] = *value;
            }
        }
        x
    }

    /// Puts a piece's start into a point.
    pub(super) fn set_start(&self, piece: usize, x: &[f64], v: &mut [f64]) {
        for (unknown, value) in self.unknowns.iter().zip(v) {
            if let Unknown::Start { state, piece: p } = unknown
                && *p == piece
            {
                *value = x[*state];
            }
        }
    }

    /// Open loop over a piece, by output and row.
    pub(super) fn simulated(&self, piece: usize, v: &[f64]) -> Vec<Vec<f64>> {
        let mut x = self.start(piece, v);
        let Piece { file, data, .. } = &self.pieces[piece];
        simulate_from(&self.models[*file], &self.theta(*file, v), &mut x, data, 0)
    }

    /// Residuals of an output over a piece, missing readings left out.
    pub(super) fn residuals(&self, piece: usize, output: usize, v: &[f64]) -> Vec<f64> {
        let simulated = self.simulated(piece, v);
        let measured = &self.pieces[piece].data.outputs[output];
        measured.iter().zip(&simulated[output]).map(|(m, s)| m - s).filter(|r| r.is_finite()).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.pieces.len()
    }

    /// Half the weighted sum of squares.
    pub(super) fn cost(&self, v: &[f64]) -> f64 {
        let pieces: Vec<f64> = (0..self.count())
            .into_par_iter()
            .map(|f| {
                let simulated = self.simulated(f, v);
                let mut sum = 0.0;
                for (o, column) in simulated.iter().enumerate() {
                    for (m, s) in
                        self.pieces[f].data.outputs[o].iter().zip(column).filter(|(m, _)| m.is_finite())
                    {
                        sum += (m - s) * (m - s) / self.var[o];
                    }
                }
                sum
            })
            .collect();
        self.prior(v) + 0.5 * pieces.iter().sum::<f64>()
    }

    /// Cost, gradient and Gauss–Newton matrix.
    pub(super) fn normal(&self, v: &[f64]) -> Normal {
        let n = self.len();
        let mut out = Normal { cost: 0.0, gradient: vec![0.0; n], matrix: Mat::zeros(n, n) };
        for (i, x) in v.iter().enumerate() {
            let z = (x - self.centre[i]) / self.spread[i];
            out.cost += 0.5 * z * z;
            out.gradient[i] += z / self.spread[i];
            out.matrix[(i, i)] += 1.0 / (self.spread[i] * self.spread[i]);
        }
        let shares: Vec<Share> = (0..self.count()).into_par_iter().map(|p| self.share(p, v)).collect();
        for s in shares {
            out.cost += s.cost;
            for (a, i) in s.places.iter().enumerate() {
                out.gradient[*i] += s.gradient[a];
                for (b, k) in s.places.iter().enumerate() {
                    out.matrix[(*i, *k)] += s.matrix[(a, b)];
                }
            }
        }
        out
    }

    /// Places of the unknowns that a piece knows.
    pub(super) fn places(&self, piece: usize) -> Vec<usize> {
        let mine = |i: &usize| match self.unknowns[*i] {
            Unknown::Shared(_) => true,
            Unknown::Own { file, .. } => file == self.pieces[piece].file,
            Unknown::Start { piece: p, .. } => p == piece,
        };
        (0..self.len()).filter(mine).collect()
    }

    fn share(&self, piece: usize, v: &[f64]) -> Share {
        let places = self.places(piece);
        let wide = places.len();
        let mut out = Share { cost: 0.0, gradient: vec![0.0; wide], matrix: Mat::zeros(wide, wide), places };
        let places = out.places.clone();
        self.walk(piece, &places, v, |_, o, r, row| {
            let w = 1.0 / self.var[o];
            out.cost += 0.5 * r * r * w;
            for a in 0..wide {
                out.gradient[a] += w * r * row[a];
                for b in 0..=a {
                    out.matrix[(a, b)] += w * row[a] * row[b];
                }
            }
        });
        for a in 0..wide {
            for b in 0..a {
                out.matrix[(b, a)] = out.matrix[(a, b)];
            }
        }
        out
    }

    /// Walks through a piece with the sensitivities by its unknowns: for each reading its row, its output, what was simulated
    /// minus what was read, and the slope of that.
    pub(super) fn walk(
        &self,
        piece: usize,
        places: &[usize],
        v: &[f64],
        mut take: impl FnMut(usize, usize, f64, &[f64]),
    ) {
        let Piece { file, data, .. } = &self.pieces[piece];
        let model = &self.models[*file];
        let theta = self.theta(*file, v);
        let (n, wide) = (model.states(), places.len());
        let mut x = self.start(piece, v);
        // Sensitivity of every state by every unknown of this piece.
        let mut s = Mat::zeros(n, wide);
        for (a, i) in places.iter().enumerate() {
            if let Unknown::Start { state, .. } = self.unknowns[*i] {
                s[(state, a)] = 1.0;
            }
        }
        let mut held = Held::new(model, data);
        let mut stepper = Stepper::new(model, &theta);
        for k in 0..data.t_s.len() {
            if k > 0 {
                let u = held.over(k);
                let j = stepper.step_with_jacobians(&mut x, &u, data.t_s[k] - data.t_s[k - 1]);
                let mut next = Mat::zeros(n, wide);
                for i in 0..n {
                    for l in 0..n {
                        let f = j.y[(i, l)];
                        for a in 0..wide {
                            next[(i, a)] += f * s[(l, a)];
                        }
                    }
                    for (a, place) in places.iter().enumerate() {
                        let (Unknown::Shared(q) | Unknown::Own { parameter: q, .. }) = self.unknowns[*place]
                        else {
                            continue;
                        };
                        next[(i, a)] += j.theta[(i, q)] * model.parameters[q].slope(theta[q]);
                    }
                }
                s = next;
            }
            for (o, output) in model.outputs.iter().enumerate() {
                let measured = data.outputs[o][k];
                if measured.is_finite() {
                    take(k, o, x[output.state] - measured, s.row(output.state));
                }
            }
        }
    }
}

fn first_reading(d: &Dataset) -> f64 {
    let mut columns = d.outputs.iter().filter_map(|c| c.iter().find(|x| x.is_finite()));
    columns.next().copied().unwrap_or(20.0)
}

/// The inputs over each step, a missing one held at its last value.
struct Held<'a> {
    model: &'a Model,
    data: &'a Dataset,
    last: Vec<f64>,
}

impl<'a> Held<'a> {
    fn new(model: &'a Model, data: &'a Dataset) -> Self {
        let first = |c: &Vec<f64>, mean: f64| c.first().copied().filter(|v| v.is_finite()).unwrap_or(mean);
        let last = data.inputs.iter().zip(&model.inputs).map(|(c, i)| first(c, i.mean)).collect();
        Self { model, data, last }
    }

    /// Over the step that ends at row `k`; rows must be asked for in order.
    fn over(&mut self, k: usize) -> Vec<f64> {
        let mut u = self.last.clone();
        for (i, input) in self.model.inputs.iter().enumerate() {
            let v = self.data.inputs[i][k];
            if v.is_finite() {
                self.last[i] = v;
                if input.timing == TimingDef::Averaged {
                    u[i] = v;
                }
            }
        }
        u
    }
}

/// Open loop from a state: that at row 0, or that after row `from − 1`. By output and row, from row `from` on.
pub(super) fn simulate_from(
    model: &Model,
    theta: &[f64],
    x: &mut [f64],
    data: &Dataset,
    from: usize,
) -> Vec<Vec<f64>> {
    let mut out = vec![Vec::with_capacity(data.t_s.len() - from); model.outputs.len()];
    let mut held = Held::new(model, data);
    let mut stepper = Stepper::new(model, theta);
    for k in 1..from {
        held.over(k);
    }
    for k in from..data.t_s.len() {
        if k > 0 {
            let u = held.over(k);
            stepper.step(x, &u, data.t_s[k] - data.t_s[k - 1]);
        }
        for (column, o) in out.iter_mut().zip(&model.outputs) {
            column.push(x[o.state]);
        }
    }
    out
}
