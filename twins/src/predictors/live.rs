//! A trained network within a running twin: the filter goes on estimating, the network says what comes.
//!
//! [`Learnt`] is an [`Estimator`] around another. It keeps the readings on the grid of the network's training and answers
//! for those horizons that the network was trained on; all else is the inner estimator's, and so are the horizons for which
//! there is not yet a window of readings.

use super::network::Network;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};
use twinfleet_engine::{
    predict::{Estimator, Gaussian, Innovation, Tangent},
    time::{SimTime, Span},
};

/// Why a network cannot serve a twin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unfit {
    /// A column has no signal.
    #[error("the network was trained on `{column}`, and `map` does not say which signal that is")]
    Unmapped {
        /// The column.
        column: String,
    },
    /// The twin has no such signal.
    #[error("`{signal}` is no signal of the thing; it has {known}")]
    Unknown {
        /// What was named.
        signal: String,
        /// What there is.
        known: String,
    },
    /// A target is an input of the thing.
    #[error("the network forecasts `{signal}`, which the thing does not measure but is driven by")]
    Driven {
        /// The signal.
        signal: String,
    },
    /// The network sees the hour, which a twin does not know.
    #[error("the network sees the hour of the day; a twin's network is trained with --no-calendar")]
    Calendar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Channel {
    Input(usize),
    Output(usize),
}

/// An estimator whose forecasts are a network's.
pub struct Learnt {
    inner: Box<dyn Estimator>,
    network: Arc<Network>,
    channels: Arc<[Channel]>,
    /// Readings on the grid, a list a channel.
    windows: Vec<VecDeque<f64>>,
    latest: Vec<f64>,
    now: SimTime,
    next: SimTime,
}

impl Learnt {
    /// Around an estimator; `map` gives the signal of each of the network's channels.
    pub fn new(
        inner: Box<dyn Estimator>,
        network: Arc<Network>,
        map: &BTreeMap<String, String>,
    ) -> Result<Self, Unfit> {
        if network.head.calendar {
            return Err(Unfit::Calendar);
        }
        let mut channels = Vec::new();
        for (i, column) in network.head.channels.iter().enumerate() {
            let signal = map.get(column).ok_or_else(|| Unfit::Unmapped { column: column.clone() })?;
            let of = |names: &[String]| names.iter().position(|n| n == signal);
            let channel = match (of(inner.outputs()), of(inner.inputs())) {
                (Some(o), _) => Channel::Output(o),
                (None, Some(_)) if i < network.head.targets => {
                    return Err(Unfit::Driven { signal: signal.clone() });
                }
                (None, Some(i)) => Channel::Input(i),
                (None, None) => {
                    let known: Vec<&str> =
                        inner.outputs().iter().chain(inner.inputs()).map(String::as_str).collect();
                    return Err(Unfit::Unknown { signal: signal.clone(), known: known.join(", ") });
                }
            };
            channels.push(channel);
        }
        let n = channels.len();
        Ok(Self {
            inner,
            network,
            channels: channels.into(),
            windows: vec![VecDeque::new(); n],
            latest: vec![f64::NAN; n],
            now: SimTime::ZERO,
            next: SimTime::ZERO,
        })
    }

    /// Puts the latest readings on the grid if a step has gone by.
    fn keep(&mut self) {
        let step = Span::from_secs_f64(self.network.head.step_s).0.max(1);
        // Half a step early is the same row: readings jitter.
        while self.now.0 + step / 2 >= self.next.0 {
            let ready = self.latest.iter().all(|v| v.is_finite());
            for (window, value) in self.windows.iter_mut().zip(&self.latest) {
                if ready {
                    window.push_back(*value);
                }
                while window.len() > self.network.head.look_back {
                    window.pop_front();
                }
            }
            // A device that was off for long is seen as it is now.
            let behind = (self.now.0 - self.next.0) / step;
            let skipped = (behind - self.network.head.look_back as i64).max(0);
            self.next = SimTime(self.next.0 + step * (1 + skipped));
        }
    }

    fn advance(&mut self, dt: Span, inputs: &[Option<f64>]) {
        // What came since the last step belongs to the time before this one.
        self.keep();
        self.now = self.now + dt;
        for (channel, latest) in self.channels.iter().zip(&mut self.latest) {
            if let Channel::Input(i) = channel
                && let Some(Some(v)) = inputs.get(*i)
            {
                *latest = *v;
            }
        }
    }

    /// What the network says of each target at each of its horizons; nothing without a whole window.
    fn say(&self) -> Option<Vec<f64>> {
        let whole: Vec<Vec<f64>> = (self.windows.iter().zip(&self.latest))
            .map(|(window, latest)| {
                // The last row is what is known now.
                let mut all: Vec<f64> = window.iter().copied().collect();
                if all.len() == self.network.head.look_back {
                    all.remove(0);
                }
                all.push(*latest);
                all
            })
            .collect();
        if whole.iter().any(|w| w.len() < self.network.head.look_back || w.iter().any(|v| !v.is_finite())) {
            return None;
        }
        let windows: Vec<&[f64]> = whole.iter().map(Vec::as_slice).collect();
        self.network.say(&windows, (0.0, 0.0)).ok()
    }

    /// Where a horizon is among the network's, if it is.
    fn place(&self, horizon: Span) -> Option<usize> {
        let rows = horizon.as_secs_f64() / self.network.head.step_s;
        // A recording's rows are seldom exactly their nominal time apart.
        let near = (rows - rows.round()).abs() <= 0.02 * rows.round().max(1.0);
        near.then(|| self.network.horizon(rows.round() as usize)).flatten()
    }

    fn target(&self, output: usize) -> Option<usize> {
        self.channels[..self.network.head.targets].iter().position(|c| *c == Channel::Output(output))
    }
}

impl Estimator for Learnt {
    fn outputs(&self) -> &[String] {
        self.inner.outputs()
    }
    fn inputs(&self) -> &[String] {
        self.inner.inputs()
    }
    fn input_range(&self, input: usize) -> (f64, f64) {
        self.inner.input_range(input)
    }
    fn quantum(&self, output: usize) -> f64 {
        self.inner.quantum(output)
    }
    fn noise_std(&self, output: usize) -> f64 {
        self.inner.noise_std(output)
    }
    fn predict(&mut self, dt: Span, inputs: &[Option<f64>]) {
        self.advance(dt, inputs);
        self.inner.predict(dt, inputs);
    }
    fn predict_traced(&mut self, dt: Span, inputs: &[Option<f64>], tangent: &mut Tangent) {
        self.advance(dt, inputs);
        self.inner.predict_traced(dt, inputs, tangent);
    }
    fn restless(&self) -> f64 {
        self.inner.restless()
    }

    fn set_restless(&mut self, factor: f64) {
        self.inner.set_restless(factor);
    }

    fn learns(&self) -> bool {
        self.inner.learns()
    }

    fn entries(&self) -> (usize, usize) {
        self.inner.entries()
    }
    fn leads(&self, input: usize) -> bool {
        self.inner.leads(input)
    }
    fn reads(&self, output: usize) -> usize {
        self.inner.reads(output)
    }
    fn gain(&self, output: usize, gain: &mut [f64]) {
        self.inner.gain(output, gain);
    }
    fn expected(&self, output: usize) -> Gaussian {
        self.inner.expected(output)
    }
    fn update(&mut self, output: usize, value: f64) -> Innovation {
        for (channel, latest) in self.channels.iter().zip(&mut self.latest) {
            if *channel == Channel::Output(output) {
                *latest = value;
            }
        }
        self.inner.update(output, value)
    }
    fn forecast(&self, horizon: Span) -> Vec<Gaussian> {
        let mut all = vec![Gaussian { mean: f64::NAN, var: f64::NAN }; self.outputs().len()];
        self.forecasts(&[horizon], &mut |_, output, g| all[output] = g);
        all
    }
    fn forecasts(&self, horizons: &[Span], told: &mut dyn FnMut(usize, usize, Gaussian)) {
        let said = horizons.iter().any(|h| self.place(*h).is_some()).then(|| self.say()).flatten();
        let n = self.network.head.horizons.len();
        self.inner.forecasts(horizons, &mut |h, output, g| {
            let place = self.place(horizons[h]).zip(self.target(output)).map(|(k, c)| c * n + k);
            match (&said, place) {
                (Some(said), Some(at)) => {
                    told(h, output, Gaussian { mean: said[at], var: self.network.head.error[at].powi(2) });
                }
                _ => told(h, output, g),
            }
        });
    }
    fn state(&self) -> Vec<(String, Gaussian)> {
        self.inner.state()
    }
    fn fork(&self) -> Box<dyn Estimator> {
        Box::new(Self {
            inner: self.inner.fork(),
            network: Arc::clone(&self.network),
            channels: Arc::clone(&self.channels),
            windows: self.windows.clone(),
            latest: self.latest.clone(),
            now: self.now,
            next: self.next,
        })
    }
    fn state_bytes(&self) -> Vec<u8> {
        let mut bytes = self.inner.state_bytes();
        let kept = self.windows.iter().flatten().chain(&self.latest);
        bytes.extend(kept.flat_map(|v| v.to_bits().to_le_bytes()));
        bytes.extend(self.next.0.to_le_bytes());
        bytes
    }
}
