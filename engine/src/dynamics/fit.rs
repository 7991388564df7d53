//! Calibration: bounded least squares of the open-loop simulation against recordings, with priors, from several starts.
//!
//! What is minimised is Σ(measured − simulated)²/σ² over all readings plus the priors' Σ(η − η₀)²/s². Each recording
//! keeps its own start and its own value of the parameters marked `per_recording`. Model error is not white: σ² is the
//! residuals' variance times (1 + ρ)/(1 − ρ), with ρ their correlation from row to row, so that the intervals do not
//! pretend that 3,600 rows are 3,600 independent facts. Solved by Levenberg–Marquardt with the integrator's own
//! sensitivities, from several starts or from where CMA-ES comes to; intervals are those of the profile likelihood, wider by
//! what residuals that are no noise say of it (`robust`). Where a recording does not tell its inputs for more than a few steps
//! it is cut, and begins anew from a start of its own (`pieces`).
//!
//! ```
//! # use twinfleet_engine::dynamics::{DynamicsDef, fit::{Dataset, Settings, fit}};
//! let def = DynamicsDef::from_ron(r#"(
//!     parameters: {"c": (value: 50.0, prior: Log(1.0)), "g": (value: 1.0)},
//!     inputs: [(signal: "heater.level", range: (0.0, 100.0))],
//!     boundaries: [(name: "room", at: Fixed(20.0))],
//!     storages: [(name: "box", capacity: "c")],
//!     conductances: [(between: ("box", "room"), value: "g")],
//!     sources: [(into: "box", gain: "0.3", input: "heater.level")],
//!     outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
//! )"#).unwrap();
//! let t_s: Vec<f64> = (0..600).map(f64::from).collect();
//! // A box of 100 J/K, heated by 30 W from the start.
//! let y = t_s.iter().map(|t| 50.0 - 30.0 * (-t / 100.0).exp()).collect();
//! let inputs = vec![vec![100.0; 600]];
//! let run = Dataset { name: "run".into(), t_s, inputs, outputs: vec![y], ..Default::default() };
//! let report = fit("box", &def, &[run], &[], &Settings::default()).unwrap();
//! assert!((report.params.parameters["c"].value - 100.0).abs() < 1.0);
//! ```

mod cma_es;
mod open_loop;
mod pieces;
mod pool;
mod problem;
mod profile;
mod robust;
mod solve;
mod tell;

pub use pool::pool;
pub use profile::Point;
pub use tell::Experiment;

use super::{
    definition::{DynamicsDef, PriorDef},
    model::DynamicsError,
    params::{Fitted, InputFigures, Params},
};
use crate::{
    predict::{Estimator, kalman::Filter},
    time::Span,
};
use problem::Problem;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A recording as a fit sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Name, for people.
    pub name: String,
    /// Times from the first row, [s], ascending.
    pub t_s: Vec<f64>,
    /// One column per input of the network, in its order; NaN: missing.
    pub inputs: Vec<Vec<f64>>,
    /// One column per output of the network, in its order; NaN: missing.
    pub outputs: Vec<Vec<f64>>,
    /// What the recording was taken with.
    pub covariates: BTreeMap<String, f64>,
}

/// How the valley is looked for that least squares then descend into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Global {
    /// From several starting points.
    #[default]
    Multistart,
    /// From where an evolution strategy comes to, and from those starting points.
    CmaEs,
}

/// How a fit is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Share of each recording's rows that is fitted, from its start; the rest is held out.
    pub train_fraction: f64,
    /// Starting points: the prior's middle, then draws from the prior.
    pub starts: usize,
    /// Seed of those draws.
    pub seed: u64,
    /// How much of a test recording its state is estimated from, [s].
    pub warmup_s: f64,
    /// Most iterations from one start.
    pub iterations: usize,
    /// How the valley is looked for.
    pub global: Global,
    /// Whether intervals are profiled and experiments planned; without it they are those of the Gauss–Newton matrix.
    pub profiled: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            train_fraction: 1.0,
            starts: 3,
            seed: 1,
            warmup_s: 60.0,
            iterations: 60,
            global: Global::Multistart,
            profiled: false,
        }
    }
}

/// Why a fit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The network.
    #[error(transparent)]
    Dynamics(#[from] DynamicsError),
    /// A recording.
    #[error("{name}: {why}")]
    Data {
        /// Its name.
        name: String,
        /// What is wrong with it, and what was expected.
        why: String,
    },
    /// The simulation gave no finite result from any start.
    #[error("the simulation diverges from every starting point; are the bounds of the parameters too wide?")]
    Diverged,
}

/// A parameter as the fit left it.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Parameter.
    pub name: String,
    /// Recording it belongs to; None: all of them.
    pub recording: Option<String>,
    /// Unit.
    pub unit: String,
    /// Value, in `unit`.
    pub value: f64,
    /// Bounds of the central 90 %.
    pub interval: (f64, f64),
    /// Standard deviation in the prior's space.
    pub sd: f64,
    /// Whether the data halved the prior's variance; where not, the value is mostly the prior's.
    pub identified: bool,
    /// Its profile, ascending; empty where the interval is that of the Gauss–Newton matrix.
    pub profile: Vec<Point>,
    /// What of it the readings say alone, without the priors.
    pub of_data: Vec<Point>,
    /// Rise of the profile at the interval's ends, [nat].
    pub rise_at_ends: f64,
}

/// A stretch of a recording over which nothing tells what drove the thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Unknown {
    /// Index of the recording, as in the trace.
    pub file: usize,
    /// Its first second, from the recording's first row.
    pub from_s: f64,
    /// The time of the row that it is over with; the recording's last where it does not end.
    pub until_s: f64,
}

/// Which part of a recording a figure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Fitted.
    Fit,
    /// Held out: simulated in open loop from the state at the end of the fitted part, or of the warm-up.
    Held,
}

impl Part {
    /// Its name in the trace.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fit => "fit",
            Self::Held => "held",
        }
    }
}

/// Error of one signal over one part of one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct PartScore {
    /// Recording.
    pub file: String,
    /// Signal.
    pub signal: String,
    /// Part.
    pub part: Part,
    /// Root mean square error, in the signal's unit.
    pub rmse: f64,
    /// Readings.
    pub n: usize,
}

/// One row of the trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceRow {
    /// Index of the recording: the fitted ones first, then the test ones.
    pub file: usize,
    /// Its row.
    pub row: usize,
    /// Time from its first row, [s].
    pub t_s: f64,
    /// Index of the output.
    pub output: usize,
    /// Reading.
    pub measured: f64,
    /// What the open loop gave.
    pub simulated: f64,
    /// Part.
    pub part: Part,
}

/// What a fit found.
#[derive(Clone, Debug)]
pub struct Report {
    /// To be written to a file.
    pub params: Params,
    /// Every estimate, shared ones first.
    pub estimates: Vec<Estimate>,
    /// Errors.
    pub scores: Vec<PartScore>,
    /// Measured and simulated, row by row; not where nothing told the inputs, nor where the state behind that was estimated.
    pub trace: Vec<TraceRow>,
    /// Where nothing told the inputs; behind each the state begins anew.
    pub unknown: Vec<Unknown>,
    /// Names of the recordings, by the trace's index.
    pub files: Vec<String>,
    /// Names of the outputs, by the trace's index.
    pub signals: Vec<String>,
    /// Whether the last start's iterations converged.
    pub converged: bool,
    /// Parameters that the data tell only together.
    pub confounded: Vec<Vec<String>>,
    /// What would tell those that are not identified.
    pub experiments: Vec<Experiment>,
    /// The shared parameters where the cost is about as low, behind a ridge: readings that another set of values explains as well.
    /// The profiled intervals span them.
    pub rivals: Vec<Vec<(String, f64)>>,
}

/// Fits a network to recordings, and simulates what was held out.
///
/// # Errors
/// When the network does not compile, a recording is too short or of another shape, or no start gives a finite result.
pub fn fit(
    thing: &str,
    def: &DynamicsDef,
    train: &[Dataset],
    test: &[Dataset],
    settings: &Settings,
) -> Result<Report, FitError> {
    let heads: Vec<Dataset> = train.iter().map(|d| head(d, settings.train_fraction)).collect();
    for d in heads.iter().chain(test) {
        check(def, d)?;
    }
    let heads: Vec<Dataset> = heads.into_iter().map(pieces::on_grid).collect();
    let mut problem = Problem::new(def, &heads)?;
    let solution = solve::best_of(&mut problem, settings)?;
    let estimates = estimates(&problem, &solution, &heads, settings.profiled);
    let (confounded, experiments) = if settings.profiled {
        let weak = tell::experiments(def, &problem, &solution, &heads, &estimates);
        (tell::confounded(&problem, &solution), weak)
    } else {
        Default::default()
    };
    let mut params = collect(thing, def, &problem, &solution, &heads);
    tuned_noise(def, &mut params, &heads)?;

    let mut report = Report {
        params,
        estimates,
        scores: Vec::new(),
        trace: Vec::new(),
        unknown: (train.iter().chain(test).enumerate()).flat_map(|(file, d)| unknown(file, d)).collect(),
        files: train.iter().chain(test).map(|d| d.name.clone()).collect(),
        signals: def.outputs.iter().map(|o| o.signal.clone()).collect(),
        converged: solution.converged,
        confounded,
        experiments,
        rivals: solution.rivals.iter().map(|rival| shared(&problem, &rival.v)).collect(),
    };
    let fitted = report.params.applied_to(def)?;
    for (piece, (file, first, _)) in problem.pieces().enumerate() {
        let simulated = problem.simulated(piece, &solution.v);
        add_trace(&mut report.trace, file, &train[file], first, &simulated, Part::Fit);
    }
    for (k, d) in train.iter().enumerate() {
        let rows = heads[k].t_s.len();
        if rows < d.t_s.len() {
            let own = with_values(&fitted, &problem.theta(k, &solution.v));
            let held = open_loop::over(&own, d, rows, settings.warmup_s)?;
            add_trace(&mut report.trace, k, d, rows, &held, Part::Held);
        }
    }
    for (k, d) in test.iter().enumerate() {
        let rows = d.t_s.partition_point(|t| *t < settings.warmup_s).max(1);
        let held = open_loop::over(&fitted, d, rows, settings.warmup_s)?;
        add_trace(&mut report.trace, train.len() + k, d, rows, &held, Part::Held);
    }
    report.trace.sort_by_key(|r| (r.file, r.part == Part::Held, r.output, r.row));
    report.scores = scores(&report);
    Ok(report)
}

fn head(d: &Dataset, fraction: f64) -> Dataset {
    first_rows(d, (d.t_s.len() as f64 * fraction.clamp(0.0, 1.0)).round() as usize)
}

fn first_rows(d: &Dataset, rows: usize) -> Dataset {
    rows_of(d, 0..rows.min(d.t_s.len()))
}

/// Some of a recording's rows, at the times that they have in it.
fn rows_of(d: &Dataset, rows: std::ops::Range<usize>) -> Dataset {
    let cut = |columns: &[Vec<f64>]| {
        columns.iter().map(|c| c[rows.start.min(c.len())..rows.end.min(c.len())].to_vec()).collect()
    };
    Dataset {
        name: d.name.clone(),
        t_s: d.t_s[rows.clone()].to_vec(),
        inputs: cut(&d.inputs),
        outputs: cut(&d.outputs),
        covariates: d.covariates.clone(),
    }
}

fn check(def: &DynamicsDef, d: &Dataset) -> Result<(), FitError> {
    let bad = |why: String| Err(FitError::Data { name: d.name.clone(), why });
    let rows = d.t_s.len();
    if rows < 10 {
        return bad(format!("{rows} rows are too few to fit; at least 10 are needed"));
    }
    if !d.t_s.windows(2).all(|w| w[0] < w[1]) {
        return bad("its times must ascend".to_owned());
    }
    if d.inputs.len() != def.inputs.len() || d.outputs.len() != def.outputs.len() {
        return bad("it needs a column for every input and output of the thing".to_owned());
    }
    if d.inputs.iter().chain(&d.outputs).any(|c| c.len() != rows) {
        return bad("its columns differ in length".to_owned());
    }
    if !d.outputs.iter().flatten().any(|x| x.is_finite()) {
        return bad("it has no reading of any output".to_owned());
    }
    Ok(())
}

/// Unknowns of a fit from which on only the shared parameters are profiled: each profile fits all the others anew.
const PROFILED_AT_MOST: usize = 24;

fn estimates(
    problem: &Problem,
    solution: &solve::Solution,
    data: &[Dataset],
    profiled: bool,
) -> Vec<Estimate> {
    let all = problem.plain_len() <= PROFILED_AT_MOST;
    let widths = if profiled { robust::widths(problem, solution) } else { vec![1.0; problem.len()] };
    let places: Vec<usize> = (0..problem.len())
        .filter(|i| problem.meaning(*i).is_some_and(|(_, file)| profiled && (all || file.is_none())))
        .collect();
    let profiles = profile::profiles(problem, solution, &places, &widths);
    let mut out: Vec<Estimate> = (0..problem.len())
        .filter_map(|i| {
            let (q, file) = problem.meaning(i)?;
            let p = &problem.parameters()[q];
            let (eta, sd) = (solution.v[i], widths[i] * solution.sd[i]);
            let profile = places.iter().position(|place| *place == i).map(|at| &profiles[at]);
            let (low, high) = profile.map_or((eta - profile::Z * sd, eta + profile::Z * sd), |p| p.ends);
            Some(Estimate {
                name: p.name.clone(),
                recording: file.map(|f| data[f].name.clone()),
                unit: p.unit.clone(),
                value: p.from_space(eta),
                interval: (p.from_space(low), p.from_space(high)),
                sd,
                identified: sd * sd < 0.5 * p.prior_sd() * p.prior_sd(),
                profile: profile.map_or_else(Vec::new, |profile| {
                    profile.points.iter().map(|seen| (p.from_space(seen.at), seen.rise)).collect()
                }),
                of_data: profile.map_or_else(Vec::new, |profile| {
                    profile.points.iter().map(|seen| (p.from_space(seen.at), seen.data)).collect()
                }),
                rise_at_ends: profile::rise_at_ends(widths[i]),
            })
        })
        .collect();
    out.sort_by_key(|e| e.recording.is_some());
    out
}

/// The parameters at a point that all recordings have in common, each in its unit.
fn shared(problem: &Problem, v: &[f64]) -> Vec<(String, f64)> {
    let named = v.iter().enumerate().filter_map(|(i, at)| {
        let (q, _) = problem.meaning(i).filter(|(_, file)| file.is_none())?;
        let p = &problem.parameters()[q];
        Some((p.name.clone(), p.from_space(*at)))
    });
    named.collect()
}

fn collect(
    thing: &str,
    def: &DynamicsDef,
    problem: &Problem,
    solution: &solve::Solution,
    data: &[Dataset],
) -> Params {
    let mut params = Params {
        format: 1,
        thing: thing.to_owned(),
        fitted_on: data.iter().map(|d| d.name.clone()).collect(),
        ..Params::default()
    };
    for (q, p) in problem.parameters().iter().enumerate().filter(|(_, p)| p.is_free()) {
        let places: Vec<usize> =
            (0..problem.len()).filter(|i| problem.meaning(*i).is_some_and(|m| m.0 == q)).collect();
        let n = places.len() as f64;
        let eta = places.iter().map(|i| solution.v[*i]).sum::<f64>() / n;
        let prior = p.prior_sd();
        let sd = if p.per_recording {
            // A recording not seen yet: the spread over those seen, with the prior counted as one of them, and the
            // error of their middle.
            let spread = places.iter().map(|i| (solution.v[*i] - eta).powi(2)).sum::<f64>();
            ((spread + prior * prior) / n * (1.0 + 1.0 / n)).sqrt().min(prior)
        } else {
            solution.sd[places[0]]
        };
        let identified = places.iter().all(|i| solution.sd[*i].powi(2) < 0.5 * prior * prior);
        let value = six_digits(p.from_space(eta));
        params.parameters.insert(p.name.clone(), Fitted { value, sd: six_digits(sd), identified });
    }
    for (k, input) in def.inputs.iter().enumerate() {
        if let Some(figures) = input_figures(data, k) {
            params.inputs.insert(input.signal.clone(), figures);
        }
    }
    params
}

/// Sums over the moves of an input.
#[derive(Clone, Copy, Default)]
struct Moves {
    squares: f64,
    steps: f64,
    time_s: f64,
}

impl Moves {
    fn add(&mut self, by: f64, within_s: f64) {
        self.squares += by * by;
        self.steps += 1.0;
        self.time_s += within_s;
    }
}

/// Mean, deviation and correlation time of an input over recordings; None where it never moves.
fn input_figures(data: &[Dataset], k: usize) -> Option<InputFigures> {
    let values = || data.iter().flat_map(|d| &d.inputs[k]).filter(|v| v.is_finite());
    let n = values().count() as f64;
    let mean = values().sum::<f64>() / n;
    let std = (values().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
    if std.is_nan() || std <= 0.0 {
        return None;
    }
    // E[(Δu)²] = 2σ²(1 − e^(−Δt/τ)), as the filter takes it too; from row to row, or of an input that comes seldom from reading to
    // reading.
    let (mut next, mut seldom) = (Moves::default(), Moves::default());
    for d in data {
        let rows = d.t_s.iter().zip(&d.inputs[k]).enumerate();
        let known: Vec<(usize, f64, f64)> =
            rows.filter(|(_, (_, u))| u.is_finite()).map(|(row, (t, u))| (row, *t, *u)).collect();
        for w in known.windows(2) {
            seldom.add(w[1].2 - w[0].2, w[1].1 - w[0].1);
            if w[1].0 == w[0].0 + 1 {
                next.add(w[1].2 - w[0].2, w[1].1 - w[0].1);
            }
        }
    }
    let Moves { squares, steps, time_s } = if next.steps > 0.0 { next } else { seldom };
    let share = (squares / steps / (2.0 * std * std)).clamp(1e-6, 0.999);
    let correlation = -time_s / steps / (-share).ln_1p();
    let (mean, std, correlation_s) = (six_digits(mean), six_digits(std), six_digits(correlation));
    (correlation_s > 0.0).then_some(InputFigures { mean, std, correlation_s })
}

/// More digits than these say nothing, and make the file hard to read.
fn six_digits(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

/// The network with these values, none of them free.
fn with_values(def: &DynamicsDef, theta: &[f64]) -> DynamicsDef {
    let mut def = def.clone();
    for (p, value) in def.parameters.values_mut().zip(theta) {
        p.value = *value;
        p.prior = PriorDef::Fixed;
    }
    def
}

/// The stretches of a recording over which nothing tells its inputs.
fn unknown(file: usize, d: &Dataset) -> Vec<Unknown> {
    let n = d.t_s.len();
    let mut all = Vec::new();
    let mut before = None;
    for rows in pieces::pieces(d).into_iter().chain(std::iter::once(n..n)) {
        let from_s = before.map_or(d.t_s[0], |last: usize| d.t_s[last]);
        let until_s = d.t_s[rows.start.min(n - 1)];
        if until_s > from_s {
            all.push(Unknown { file, from_s, until_s });
        }
        before = rows.end.checked_sub(1);
    }
    all
}

/// Carries a filter to a row and shows it that; `behind_gap` says that nothing tells what the inputs did since the row before.
fn follow_row(
    twin: &mut Filter,
    d: &Dataset,
    k: usize,
    behind_gap: bool,
    seen: &mut dyn FnMut(crate::predict::Innovation),
) {
    carry_to(twin, d, k, behind_gap);
    for (o, c) in d.outputs.iter().enumerate() {
        if c[k].is_finite() {
            seen(twin.update(o, c[k]));
        }
    }
}

fn carry_to(twin: &mut Filter, d: &Dataset, k: usize, behind_gap: bool) {
    let dt = Span::from_secs_f64(if k == 0 { 0.0 } else { d.t_s[k] - d.t_s[k - 1] });
    let inputs: Vec<Option<f64>> = d.inputs.iter().map(|c| Some(c[k]).filter(|v| v.is_finite())).collect();
    if behind_gap && k > 0 {
        twin.predict(dt, &vec![None; inputs.len()]);
        twin.predict(Span::ZERO, &inputs);
    } else {
        twin.predict(dt, &inputs);
    }
}

/// Noise of each storage and each output: the network's own times a power of two, under which the recordings' innovations
/// are likeliest. Outputs without a reading keep theirs.
fn tuned_noise(def: &DynamicsDef, params: &mut Params, data: &[Dataset]) -> Result<(), FitError> {
    let own = def;
    let mut def = params.applied_to(own)?;
    let mut costs = innovation_costs(&def, data)?;
    let (outputs, storages) = (def.outputs.len(), def.storages.len());
    for factor in [4.0, 0.25, 2.0, 0.5] {
        // The outputs, then all storages together (so that one that no reading tells of takes the others' factor), then
        // each by itself: a die's fast errors are no reason to doubt the board.
        for k in 0..outputs + storages + 1 {
            for _ in 0..4 {
                let mut tried = def.clone();
                match tried.outputs.get_mut(k) {
                    Some(o) => o.noise_std *= factor,
                    None if k == outputs => {
                        tried.storages.iter_mut().for_each(|s| s.noise_k_per_sqrt_s *= factor);
                    }
                    None => tried.storages[k - outputs - 1].noise_k_per_sqrt_s *= factor,
                }
                let c = innovation_costs(&tried, data)?;
                if !likelier(&costs, &c) {
                    break;
                }
                (def, costs) = (tried, c);
            }
        }
    }
    // The stiffest of the models that the recordings do not tell apart: what is loose explains every fault away.
    let floors: Vec<f64> = params.applied_to(own)?.storages.iter().map(|s| s.noise_k_per_sqrt_s).collect();
    // One that only an output without a reading would tell of keeps what it has.
    let told = |k: usize| {
        let name = &own.storages[k].name;
        let readings = own.outputs.iter().enumerate().filter(|(_, o)| o.node == *name);
        let mut read = readings.map(|(o, _)| data.iter().any(|d| d.outputs[o].iter().any(|v| v.is_finite())));
        read.next().is_none_or(|first| first || read.any(|r| r))
    };
    for k in (0..storages).filter(|k| told(*k)) {
        while 0.5 * def.storages[k].noise_k_per_sqrt_s >= 0.999 * floors[k] {
            let mut tried = def.clone();
            tried.storages[k].noise_k_per_sqrt_s *= 0.5;
            if likelier(&innovation_costs(&tried, data)?, &costs) {
                break;
            }
            def = tried;
        }
    }
    let noise = def.storages.into_iter().map(|s| (s.name, s.noise_k_per_sqrt_s));
    params.noise_k_per_sqrt_s = noise.collect();
    params.noise_std = def.outputs.into_iter().map(|o| (o.signal, o.noise_std)).collect();
    Ok(())
}

/// What one of several recordings may add to a choice of noise, [nat]: they vote, so that a single odd run does not make
/// the model of all devices so loose that it would explain a fault away.
const VOTE_NATS: f64 = 3.0;

/// Whether other noise explains the recordings better; less than one nat is no reason to move.
fn likelier(now: &[f64], tried: &[f64]) -> bool {
    let most = if now.len() > 1 { 2.0 * VOTE_NATS } else { f64::INFINITY };
    let gain: f64 = now.iter().zip(tried).map(|(a, b)| (a - b).clamp(-most, most)).sum();
    gain > 2.0
}

/// −2 · log-likelihood of the readings of each recording, up to a constant.
fn innovation_costs(def: &DynamicsDef, data: &[Dataset]) -> Result<Vec<f64>, FitError> {
    data.par_iter()
        .map(|d| {
            let mut twin = Filter::with_covariates(&at_its_resolution(def, d), &[], &d.covariates)?;
            let mut cost = 0.0;
            let begins: Vec<usize> = pieces::pieces(d).iter().map(|rows| rows.start).collect();
            for k in 0..d.t_s.len() {
                let behind_gap = begins.binary_search(&k).is_ok();
                let mut add =
                    |i: crate::predict::Innovation| cost += i.var.ln() + i.residual * i.residual / i.var;
                follow_row(&mut twin, d, k, behind_gap, &mut add);
            }
            Ok(cost)
        })
        .collect()
}

/// The network with the steps in which this recording's readings come, where they are coarser than the part's own: a
/// recorder's rounding is no noise of the device.
pub fn at_its_resolution(def: &DynamicsDef, d: &Dataset) -> DynamicsDef {
    let mut def = def.clone();
    for (o, column) in def.outputs.iter_mut().zip(&d.outputs) {
        o.quantum = o.quantum.max(resolution(column));
    }
    def
}

/// Median distance between neighbouring values of a column that was rounded, so that its values recur; 0 for another.
fn resolution(column: &[f64]) -> f64 {
    let mut values: Vec<f64> = column.iter().copied().filter(|v| v.is_finite()).collect();
    let n = values.len();
    values.sort_by(f64::total_cmp);
    values.dedup();
    if 2 * values.len() > n {
        return 0.0;
    }
    let mut gaps: Vec<f64> = values.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len() / 2).copied().unwrap_or(0.0)
}

fn add_trace(
    trace: &mut Vec<TraceRow>,
    file: usize,
    d: &Dataset,
    first: usize,
    simulated: &[Vec<f64>],
    part: Part,
) {
    for (output, column) in simulated.iter().enumerate() {
        for (k, s) in column.iter().enumerate().filter(|(_, s)| s.is_finite()) {
            let row = first + k;
            let measured = d.outputs[output][row];
            trace.push(TraceRow { file, row, t_s: d.t_s[row], output, measured, simulated: *s, part });
        }
    }
}

fn scores(report: &Report) -> Vec<PartScore> {
    let mut out = Vec::new();
    for (file, name) in report.files.iter().enumerate() {
        for (output, signal) in report.signals.iter().enumerate() {
            for part in [Part::Fit, Part::Held] {
                let rows = report.trace.iter();
                let errors: Vec<f64> = rows
                    .filter(|r| r.file == file && r.output == output && r.part == part)
                    .map(|r| r.measured - r.simulated)
                    .filter(|e| e.is_finite())
                    .collect();
                let n = errors.len();
                if n > 0 {
                    let rmse = (errors.iter().map(|e| e * e).sum::<f64>() / n as f64).sqrt();
                    out.push(PartScore { file: name.clone(), signal: signal.clone(), part, rmse, n });
                }
            }
        }
    }
    out
}
