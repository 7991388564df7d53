//! The shapes that a network can have: recurrent, convolutional, mixing. Each adds to a linear map of all that it sees.

use candle_core::{Module, Result, Tensor};
use candle_nn::{
    Conv1d, Conv1dConfig, Linear, VarBuilder, conv1d, linear,
    rnn::{GRU, GRUConfig, RNN, gru},
};
use serde::{Deserialize, Serialize};

/// A shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Gated recurrent units over the blocks, oldest first.
    Gru,
    /// Dilated causal convolutions with residuals.
    Tcn,
    /// Layers that mix over time, then over features.
    Mixer,
}

impl Kind {
    /// All of them, with what they are.
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Gru, "gated recurrent units over blocks that grow with age"),
        (Self::Tcn, "dilated causal convolutions with residuals over the same blocks"),
        (Self::Mixer, "layers that mix over time, then over features, of the same blocks"),
    ];

    /// As flags and files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gru => "gru",
            Self::Tcn => "tcn",
            Self::Mixer => "mixer",
        }
    }

    /// By its name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().map(|(kind, _)| *kind).find(|kind| kind.name() == name)
    }
}

enum Inner {
    Gru(Box<GRU>),
    Tcn(Vec<Conv1d>),
    Mixer(Vec<(Linear, Linear, Linear)>, Linear),
}

/// A network's layers.
pub(super) struct Body {
    inner: Inner,
    out: Linear,
    direct: Linear,
}

/// Dilations of the convolutions; with kernels of three they see 31 blocks.
const DILATIONS: [usize; 4] = [1, 2, 4, 8];
const KERNEL: usize = 3;
const MIXED: usize = 2;

impl Body {
    /// For so many blocks of so many features and so many values that come out.
    pub(super) fn new(
        kind: Kind,
        (blocks, features, outputs): (usize, usize, usize),
        hidden: usize,
        vb: VarBuilder<'_>,
    ) -> Result<Self> {
        let inner = match kind {
            Kind::Gru => Inner::Gru(Box::new(gru(features, hidden, GRUConfig::default(), vb.pp("gru"))?)),
            Kind::Tcn => {
                let layer = |(i, dilation): (usize, &usize)| {
                    let config = Conv1dConfig { dilation: *dilation, ..Conv1dConfig::default() };
                    let input = if i == 0 { features } else { hidden };
                    conv1d(input, hidden, KERNEL, config, vb.pp(format!("tcn{i}")))
                };
                Inner::Tcn(DILATIONS.iter().enumerate().map(layer).collect::<Result<_>>()?)
            }
            Kind::Mixer => {
                let layer = |i: usize| -> Result<(Linear, Linear, Linear)> {
                    let vb = vb.pp(format!("mixer{i}"));
                    Ok((
                        linear(blocks, blocks, vb.pp("time"))?,
                        linear(features, hidden, vb.pp("up"))?,
                        linear(hidden, features, vb.pp("down"))?,
                    ))
                };
                let layers = (0..MIXED).map(layer).collect::<Result<_>>()?;
                Inner::Mixer(layers, linear(blocks * features, hidden, vb.pp("gather"))?)
            }
        };
        let out = linear(hidden, outputs, vb.pp("out"))?;
        let direct = linear(blocks * features, outputs, vb.pp("direct"))?;
        Ok(Self { inner, out, direct })
    }

    /// From samples × blocks × features to samples × values.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let flat = x.flatten_from(1)?;
        let hidden = match &self.inner {
            Inner::Gru(gru) => {
                let states = gru.seq(x)?;
                match states.last() {
                    Some(state) => state.h().clone(),
                    None => gru.zero_state(x.dim(0)?)?.h().clone(),
                }
            }
            Inner::Tcn(layers) => {
                let mut at = x.transpose(1, 2)?.contiguous()?;
                for (i, (layer, dilation)) in layers.iter().zip(DILATIONS).enumerate() {
                    // Padded on the side of the past only: nothing is seen before its time.
                    let padded = at.pad_with_zeros(2, (KERNEL - 1) * dilation, 0)?;
                    let next = layer.forward(&padded)?.relu()?;
                    at = if i == 0 { next } else { (at + next)? };
                }
                let last = at.dim(2)? - 1;
                at.narrow(2, last, 1)?.squeeze(2)?.contiguous()?
            }
            Inner::Mixer(layers, gather) => {
                let mut at = x.clone();
                for (time, up, down) in layers {
                    let mixed = time.forward(&at.transpose(1, 2)?.contiguous()?)?.relu()?;
                    at = (&at + mixed.transpose(1, 2)?.contiguous()?)?;
                    at = (&at + down.forward(&up.forward(&at)?.relu()?)?)?;
                }
                gather.forward(&at.flatten_from(1)?)?.relu()?
            }
        };
        self.direct.forward(&flat)? + self.out.forward(&hidden)?
    }
}
