//! Neural forecasters: what they see, how they are kept in files, and what they say.
//!
//! A network sees each channel in blocks that grow with age, the targets counted from their last reading, and says how far
//! each target will have moved. It is kept as two files: a head in JSON (channels, scales, shape) and its weights as
//! safetensors beside it. Initial weights and shuffles come from labelled streams, so that the same table, flags and seed
//! leave the same files.

mod body;
mod learn;

pub use body::Kind;
pub use learn::Settings;

use super::{Model, task::Task};
use body::Body;
use candle_core::{DType, Device, Tensor, safetensors};
use candle_nn::{VarBuilder, VarMap};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Origins that are asked about at once.
const BATCH: usize = 256;
/// Largest weights file that is read, [bytes].
pub const WEIGHTS_BYTES: u64 = 256 << 20;

/// Why a network cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The head is no head.
    #[error("not the head of a network: {0}")]
    Head(#[from] serde_json::Error),
    /// Of another version.
    #[error("the head is of format {0}; this version reads format 1")]
    Format(u32),
    /// Figures that no training leaves.
    #[error("the head is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// Weights that do not fit it, or a failure of the arithmetic.
    #[error("the weights do not fit: {0}")]
    Weights(#[from] candle_core::Error),
    /// Another table than the one it was trained on.
    #[error("{0}")]
    Other(String),
}

/// What a network was trained on, and how it sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Version of this file: 1.
    pub format: u32,
    /// Shape of the network.
    pub kind: Kind,
    /// Names of the channels: targets, inputs, those known ahead.
    pub channels: Vec<String>,
    /// How many of them are targets.
    pub targets: usize,
    /// Rows ahead, ascending.
    pub horizons: Vec<usize>,
    /// Spacing of the rows, [s].
    pub step_s: f64,
    /// Rows that it looks back.
    pub look_back: usize,
    /// Whether it sees the hour and the day of the week.
    pub calendar: bool,
    /// Width of its layers.
    pub hidden: usize,
    /// Mean of each channel's training rows.
    pub mean: Vec<f64>,
    /// Deviation of each channel's training rows.
    pub std: Vec<f64>,
    /// Mean size of the change of each target over each horizon.
    pub change: Vec<f64>,
    /// Root mean square error of each target at each horizon, on rows that it was not trained on.
    pub error: Vec<f64>,
    /// Seed of initial weights and shuffles.
    pub seed: u64,
    /// Rows that were trained on.
    pub rows: usize,
    /// File of the weights, beside this one.
    pub weights: String,
}

impl Head {
    fn check(&self) -> Result<(), NetworkError> {
        let (c, n) = (self.channels.len(), self.targets * self.horizons.len());
        let ascending = self.horizons.windows(2).all(|w| w[0] < w[1]) && self.horizons.first() > Some(&0);
        let figures = [&self.mean, &self.std, &self.change, &self.error];
        let wrong = if self.format != 1 {
            return Err(NetworkError::Format(self.format));
        } else if self.targets == 0 || self.targets > c || self.mean.len() != c || self.std.len() != c {
            "it needs a mean and a deviation for each channel, the targets first"
        } else if !ascending || self.change.len() != n || self.error.len() != n || n > 1 << 20 {
            "it needs ascending horizons, and a change and an error for each of them"
        } else if !(2..=1 << 16).contains(&self.look_back) || !(1..=4096).contains(&self.hidden) {
            "look-back or hidden is out of range"
        } else if !figures.iter().all(|f| f.iter().all(|v| v.is_finite()))
            || self.step_s <= 0.0
            || !self.step_s.is_finite()
        {
            "a figure is not finite"
        } else {
            return Ok(());
        };
        Err(NetworkError::Inconsistent(wrong))
    }

    /// Blocks of lags that are seen as one, from the latest.
    fn blocks(&self) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        let (mut at, mut width) = (0usize, 1.0f64);
        while at < self.look_back {
            let next = (at + width as usize).min(self.look_back);
            all.push((at, next));
            at = next;
            width *= 1.12;
        }
        all
    }

    /// Values that each block is seen as.
    fn features(&self) -> usize {
        self.channels.len() + self.targets + if self.calendar { 4 } else { 0 }
    }

    /// What is seen of windows that end at the origin, one a channel, oldest first. `phases` are those of the day and the
    /// week, 0–1.
    fn see(&self, blocks: &[(usize, usize)], windows: &[&[f64]], phases: (f64, f64), out: &mut Vec<f32>) {
        let last = |c: usize| windows[c].last().copied().unwrap_or(f64::NAN);
        let scaled = |v: f64| if v.is_finite() { v.clamp(-12.0, 12.0) as f32 } else { 0.0 };
        // Oldest first: what comes last is remembered best.
        for (from, to) in blocks.iter().rev() {
            for (c, window) in windows.iter().enumerate() {
                let n = window.len();
                let part = &window[n.saturating_sub(*to)..n.saturating_sub(*from)];
                let mean = part.iter().sum::<f64>() / part.len().max(1) as f64;
                let centre = if c < self.targets { last(c) } else { self.mean[c] };
                out.push(scaled((mean - centre) / self.std[c]));
            }
            for c in 0..self.targets {
                out.push(scaled((last(c) - self.mean[c]) / self.std[c]));
            }
            if self.calendar {
                for phase in [phases.0, phases.1] {
                    let angle = std::f64::consts::TAU * phase;
                    out.extend([angle.sin() as f32, angle.cos() as f32]);
                }
            }
        }
    }
}

/// A trained network.
pub struct Network {
    /// What it was trained on.
    pub head: Head,
    vars: VarMap,
    body: Body,
    blocks: Vec<(usize, usize)>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("head", &self.head).finish_non_exhaustive()
    }
}

/// Where networks are computed: a GPU where the feature `cuda` is on and there is one, else here.
pub fn device() -> Device {
    Device::cuda_if_available(0).unwrap_or(Device::Cpu)
}

impl Network {
    /// Untrained, its weights from the stream of the head's seed.
    fn new(head: Head, device: &Device) -> Result<Self, NetworkError> {
        head.check()?;
        let vars = VarMap::new();
        let blocks = head.blocks();
        let builder = VarBuilder::from_varmap(&vars, DType::F32, device);
        let shape = (blocks.len(), head.features(), head.targets * head.horizons.len());
        let body = Body::new(head.kind, shape, head.hidden, builder)?;
        learn::initialise(&vars, head.seed)?;
        Ok(Self { head, vars, body, blocks })
    }

    /// From its files: the head's text, and the bytes of the weights that it names.
    pub fn read(
        head: &str,
        weights: impl FnOnce(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, NetworkError> {
        let head: Head = serde_json::from_str(head)?;
        head.check()?;
        let device = device();
        let bytes = weights(&head.weights).map_err(NetworkError::Other)?;
        let network = Self::new(head, &device)?;
        let loaded = safetensors::load_buffer(&bytes, &device)?;
        {
            let vars = network.vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            for (name, var) in vars.iter() {
                let found = loaded.get(name);
                let tensor =
                    found.ok_or_else(|| NetworkError::Other(format!("the weights lack `{name}`")))?;
                var.set(tensor)?;
            }
        }
        Ok(network)
    }

    /// Its weights as a safetensors file holds them, sorted by name.
    pub fn weights(&self) -> Result<Vec<u8>, NetworkError> {
        let vars = self.vars.data().lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let sorted: BTreeMap<&String, &candle_core::Var> = vars.iter().collect();
        let mut header = serde_json::Map::new();
        let mut data: Vec<u8> = Vec::new();
        for (name, var) in sorted {
            let start = data.len();
            let values = var.as_tensor().to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
            data.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            let entry = serde_json::json!({ "dtype": "F32", "shape": var.dims(), "data_offsets": [start, data.len()] });
            header.insert(name.clone(), entry);
        }
        let mut text = serde_json::Value::Object(header).to_string();
        while !text.len().is_multiple_of(8) {
            text.push(' ');
        }
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(&data);
        Ok(bytes)
    }

    /// Its head as text.
    pub fn head_text(&self) -> Result<String, NetworkError> {
        Ok(serde_json::to_string_pretty(&self.head)? + "\n")
    }

    /// Where the horizon of so many rows is among its own.
    pub fn horizon(&self, ahead: usize) -> Option<usize> {
        self.head.horizons.binary_search(&ahead).ok()
    }

    /// What each target will be at each of its horizons, after windows that end now.
    pub fn say(&self, windows: &[&[f64]], phases: (f64, f64)) -> Result<Vec<f64>, NetworkError> {
        let mut seen = Vec::new();
        self.head.see(&self.blocks, windows, phases, &mut seen);
        let mut out = self.forward(seen, 1)?;
        let h = self.head.horizons.len();
        for (i, v) in out.iter_mut().enumerate() {
            *v = windows[i / h].last().copied().unwrap_or(f64::NAN) + *v * self.head.change[i];
        }
        Ok(out)
    }

    /// How far the targets move, in units of their mean change, for so many samples.
    fn forward(&self, seen: Vec<f32>, samples: usize) -> Result<Vec<f64>, NetworkError> {
        let device = self.vars.all_vars().first().map_or(Device::Cpu, |v| v.device().clone());
        let x = Tensor::from_vec(seen, (samples, self.blocks.len(), self.head.features()), &device)?;
        let y = self.body.forward(&x)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(y.into_iter().map(f64::from).collect())
    }

    /// What is seen at an origin of a task.
    fn see_task(&self, task: &Task, order: &[usize], origin: usize, out: &mut Vec<f32>) {
        let l = self.head.look_back;
        let short: Vec<Vec<f64>>;
        let windows: Vec<&[f64]> = if origin + 1 >= l {
            order.iter().map(|c| &task.series.held(*c)[origin + 1 - l..=origin]).collect()
        } else {
            short = order.iter().map(|c| task.series.held(*c)[..=origin].to_vec()).collect();
            short.iter().map(Vec::as_slice).collect()
        };
        let phases = (task.series.phase(origin, 86_400.0), task.series.phase(origin, 7.0 * 86_400.0));
        self.head.see(&self.blocks, &windows, phases, out);
    }
}

/// The channels of a task in the order of a network.
fn order(task: &Task) -> Vec<usize> {
    task.targets.iter().chain(&task.inputs).chain(&task.known).copied().collect()
}

/// A network as a forecaster: from a file, or trained on what it is given to learn from first.
#[derive(Debug)]
pub struct Forecaster {
    settings: Option<Settings>,
    network: Option<Network>,
    failed: Option<String>,
}

impl Forecaster {
    /// One that was trained before.
    pub fn trained(network: Network) -> Self {
        Self { settings: None, network: Some(network), failed: None }
    }

    /// One that trains when it is first told to learn; later it keeps what it learnt.
    pub fn untrained(settings: Settings) -> Self {
        Self { settings: Some(settings), network: None, failed: None }
    }

    /// The network, once there is one.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// The same, to give it the name of its weights.
    pub fn network_mut(&mut self) -> Option<&mut Network> {
        self.network.as_mut()
    }
}

impl Model for Forecaster {
    fn fit(&mut self, task: &Task, until: usize) {
        if let (Some(settings), None) = (&self.settings, &self.network) {
            match learn::learn(task, until, settings) {
                Ok(network) => self.network = Some(network),
                Err(e) => self.failed = Some(e.to_string()),
            }
        }
    }

    fn forecast(&mut self, task: &Task, origins: &[usize], out: &mut [f64]) {
        out.fill(f64::NAN);
        let Some(network) = &self.network else { return };
        let order = order(task);
        let (h, width) = (network.head.horizons.len(), task.width());
        let places: Vec<Option<usize>> = task.horizons.iter().map(|a| network.horizon(*a)).collect();
        for (block, out) in origins.chunks(BATCH).zip(out.chunks_mut(BATCH * width)) {
            let mut seen = Vec::new();
            block.iter().for_each(|o| network.see_task(task, &order, *o, &mut seen));
            let told = match network.forward(seen, block.len()) {
                Ok(told) => told,
                Err(e) => {
                    self.failed = Some(e.to_string());
                    return;
                }
            };
            for (i, origin) in block.iter().enumerate() {
                for (c, target) in task.targets.iter().enumerate() {
                    let last = task.series.held(*target)[*origin];
                    for (k, place) in places.iter().enumerate() {
                        let Some(place) = place else { continue };
                        let moved = told[(i * task.targets.len() + c) * h + place];
                        out[i * width + c * task.horizons.len() + k] =
                            last + moved * network.head.change[c * h + place];
                    }
                }
            }
        }
    }

    fn about(&self) -> String {
        match (&self.network, &self.failed) {
            (_, Some(why)) => format!("it failed: {why}"),
            (Some(n), _) => {
                let kind = n.head.kind.name();
                format!(
                    "{kind} of width {}, trained on {} rows, look-back {}",
                    n.head.hidden, n.head.rows, n.head.look_back
                )
            }
            _ => String::new(),
        }
    }
}
