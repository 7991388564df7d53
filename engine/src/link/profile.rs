//! Link profiles of the catalog: what a radio technology does to a message, and what it costs.
//!
//! A link that names a profile takes from it what it does not say itself.

use super::lora::LoraDef;
use crate::{
    catalog::{BoardDef, Technology},
    time::Span,
};
use serde::Deserialize;

/// A link profile of the catalog.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkProfileDef {
    /// Version of the file format.
    pub format: u32,
    /// Catalog name.
    pub name: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Where each figure comes from.
    pub source: String,
    /// What the radio speaks. None: not stated, so no board is asked whether it has one.
    #[serde(default)]
    pub radio: Option<Technology>,
    /// Shortest latency from device to broker, [ms].
    pub latency_min_ms: f64,
    /// Mean of the exponential part on top, [ms].
    pub latency_jitter_ms: f64,
    /// Chance that one transmission is lost where the radio is well received, 0–1.
    #[serde(default)]
    pub loss: f64,
    /// How long a payload is on the air.
    pub air: AirDef,
    /// Bytes around a payload, headers and acknowledgement included.
    pub overhead_bytes: u32,
    /// Longest payload, [B]. None: no limit that matters.
    #[serde(default)]
    pub max_payload_bytes: Option<u32>,
    /// Share of any hour that a device may be on the air, 0–1. None: no limit.
    #[serde(default)]
    pub duty_cycle: Option<f64>,
    /// Transmit power, [dBm].
    pub tx_dbm: f64,
    /// Received power at which half the packets arrive, [dBm].
    pub rssi50_dbm: f64,
    /// Current of the radio while sending, on top of the running board's, [mA]. None: the board's own figure.
    #[serde(default)]
    pub tx_ma: Option<f64>,
    /// Current of the radio while listening, on top of the running board's, [mA].
    #[serde(default)]
    pub rx_ma: f64,
    /// How long it listens after a message: receive windows, the tail of a connection.
    #[serde(default)]
    pub listen: Span,
    /// How long joining or joining again takes, listening: association, attach, over-the-air activation.
    #[serde(default)]
    pub join: Span,
    /// Whether the network says what it has got. Without that a device sends a message once, and never learns what became of it.
    #[serde(default = "yes")]
    pub acknowledged: bool,
    /// When a device that is on can be told something.
    #[serde(default)]
    pub hears: Hears,
    /// Transmit power of the other side, the access point or base station, [dBm]: the power that a device receives goes by it.
    /// None: as the device's own.
    #[serde(default)]
    pub station_dbm: Option<f64>,
    /// Whether deep sleep ends it, so that each wake joins anew: an association of Wi-Fi does not outlast the radio's supply,
    /// a session of LoRaWAN or the attachment of a cellular modem is kept in memory.
    #[serde(default)]
    pub lost_asleep: bool,
}

fn yes() -> bool {
    true
}

/// When a device can be told something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Hears {
    /// While it is awake and has joined.
    #[default]
    Awake,
    /// Once after each message of its own that has got through, as a class A device of LoRaWAN; the network keeps what is
    /// for it.
    AfterSending,
    /// Never: it only broadcasts.
    Never,
}

/// How long bytes are on the air.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum AirDef {
    /// At a rate of bits, after a fixed time.
    Rate {
        /// Payload and overhead bits a second.
        bits_per_s: f64,
        /// Preamble, contention and such, each time.
        #[serde(default)]
        fixed: Span,
    },
    /// As LoRa does.
    Lora(LoraDef),
}

impl AirDef {
    /// Time on the air of so many bytes, all told.
    pub fn time(&self, bytes: usize) -> Span {
        match self {
            Self::Rate { bits_per_s, fixed } => {
                Span(fixed.0 + (bytes as f64 * 8.0 / bits_per_s * 1e9).round() as i64)
            }
            Self::Lora(lora) => lora.air_time(bytes),
        }
    }
}

impl LinkProfileDef {
    /// The profile as a board's own radio of its technology gives it; as it is where the board has none.
    #[must_use]
    pub fn on(&self, board: Option<&BoardDef>) -> Self {
        let Some(own) = board.and_then(|b| b.radio(self.radio?)) else { return self.clone() };
        Self {
            tx_dbm: own.tx_dbm,
            rssi50_dbm: own.rssi50_dbm,
            tx_ma: own.tx_ma,
            rx_ma: own.rx_ma,
            ..self.clone()
        }
    }

    /// What is wrong with its figures: field, and what was expected.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let mut want = |ok: bool, field, text| {
            if !ok {
                found.push((field, text));
            }
        };
        want(self.latency_min_ms >= 0.0, "latency_min_ms", "a latency is at least 0 ms");
        want(self.latency_jitter_ms >= 0.0, "latency_jitter_ms", "a latency is at least 0 ms");
        want((0.0..=1.0).contains(&self.loss), "loss", "a loss lies within 0 and 1");
        want(self.rx_ma >= 0.0, "rx_ma", "a current is at least 0 mA");
        want(self.tx_ma.is_none_or(|ma| ma >= 0.0), "tx_ma", "a current is at least 0 mA");
        want(
            self.duty_cycle.is_none_or(|d| d > 0.0 && d <= 1.0),
            "duty_cycle",
            "a share of an hour lies above 0 and up to 1: 1 % is written 0.01",
        );
        match self.air {
            AirDef::Rate { bits_per_s, .. } => {
                want(bits_per_s > 0.0, "air.bits_per_s", "a rate is above 0 bit/s")
            }
            AirDef::Lora(l) => {
                want((6..=12).contains(&l.sf), "air", "LoRa knows the spreading factors 6 to 12");
                want(l.bandwidth_hz > 0.0, "air", "a bandwidth is above 0 Hz");
                want((1..=4).contains(&l.coding), "air", "the coding rates 4/5 to 4/8 are written 1 to 4");
            }
        }
        found
    }
}
