//! The shape of a scenario's `load:` section: who publishes what and when, who listens, stages, faults, thresholds.

use crate::time::Span;
use serde::{Deserialize, Serialize};

/// A load on a broker: every connection is a virtual device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadDef {
    /// Groups of devices that publish, each over a connection of its own.
    #[serde(default)]
    pub devices: Vec<DeviceLoadDef>,
    /// Groups of connections that listen.
    #[serde(default)]
    pub subscribers: Vec<SubscriberDef>,
    /// What the rate does over time, one after the other. Rates multiply the devices' own.
    pub stages: Vec<StageDef>,
    /// What goes wrong on our side of the wire, on purpose.
    #[serde(default)]
    pub faults: Vec<LoadFaultDef>,
    /// What decides the exit code, beside the guarantees of delivery, which always do.
    #[serde(default)]
    pub thresholds: Vec<ThresholdDef>,
    /// Search for the highest rate that meets the thresholds, in place of one pass through the stages.
    #[serde(default)]
    pub search: Option<SearchDef>,
    /// Devices of the scenario's `fleet` that are commanded, and how fast they report back.
    #[serde(default)]
    pub commands: Option<CommandsDef>,
    /// Version of MQTT.
    #[serde(default)]
    pub protocol: Protocol,
    /// Connections opened in a second before the load begins, all shards together.
    #[serde(default = "two_thousand")]
    pub connects_per_s: u32,
    /// How long to wait, after the last stage, for what is under way.
    #[serde(default = "five_seconds")]
    pub drain: Span,
    /// Longest silence that the broker is told to bear.
    #[serde(default = "one_minute")]
    pub keep_alive: Span,
    /// Messages of a connection are gathered for so long and leave in one write. 0: each leaves at its instant.
    #[serde(default)]
    pub batch: Span,
    /// TCP_NODELAY: a small packet does not wait for the acknowledgement of the one before.
    #[serde(default = "yes")]
    pub no_delay: bool,
    /// What the load generator may be short of before its measurement counts as invalid.
    #[serde(default)]
    pub limits: LimitsDef,
}

fn two_thousand() -> u32 {
    2_000
}
fn five_seconds() -> Span {
    Span::from_secs(5)
}
fn one_second() -> Span {
    Span::from_secs(1)
}
fn one_minute() -> Span {
    Span::from_secs(60)
}
fn yes() -> bool {
    true
}
fn one() -> u32 {
    1
}
fn one_f64() -> f64 {
    1.0
}

/// Version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Protocol {
    /// MQTT 3.1.1.
    #[default]
    V311,
    /// MQTT 5.
    V5,
}

/// A group of devices that publish.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceLoadDef {
    /// Device id and MQTT client id; with `count` it must hold `{}`, which becomes the index.
    pub id: String,
    /// Number of devices.
    #[serde(default = "one")]
    pub count: u32,
    /// Topic; `{device}` is replaced by the id. Devices with a `Firmware` schedule publish on their firmware's own.
    #[serde(default = "default_topic")]
    pub topic: String,
    /// MQTT quality of service.
    #[serde(default)]
    pub qos: u8,
    /// MQTT retain flag. After the run, a newcomer must be given each device's last message.
    #[serde(default)]
    pub retain: bool,
    /// Length of a payload, [bytes]; at least the stamp that travels in it.
    #[serde(default = "sixty_four")]
    pub payload_bytes: u32,
    /// When it publishes.
    pub schedule: ScheduleDef,
    /// Messages of QoS 1 and 2 that may wait for the broker's acknowledgement at a time.
    #[serde(default = "twenty")]
    pub in_flight: u16,
    /// Whether the broker keeps the session while the device is away.
    #[serde(default)]
    pub persistent: bool,
    /// Topic of a last will, which the broker must publish when a fault cuts the device off; `{device}` is replaced.
    #[serde(default)]
    pub will: Option<String>,
}

impl DeviceLoadDef {
    /// Whether its own firmware says when it publishes: then no rate does.
    pub fn is_firmware(&self) -> bool {
        matches!(self.schedule, ScheduleDef::Firmware { .. })
    }
}

/// The topic of a device that says nothing of its own.
fn default_topic() -> String {
    "load/{device}".to_owned()
}
fn sixty_four() -> u32 {
    64
}
fn twenty() -> u16 {
    20
}

/// When a device publishes, at a stage's rate of 1.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ScheduleDef {
    /// Every so often, from a phase of the device's own.
    Constant(
        /// Spacing.
        Span,
    ),
    /// A Poisson process: exponential gaps.
    Poisson(
        /// Mean spacing.
        Span,
    ),
    /// Bursts, from a phase of the device's own.
    Bursty {
        /// Spacing of the bursts.
        every: Span,
        /// Messages in each.
        messages: u32,
        /// Spacing of the messages within a burst.
        #[serde(default)]
        gap: Span,
    },
    /// A Poisson process whose rate swings like a day.
    Diurnal {
        /// Mean spacing over a day.
        mean: Span,
        /// Length of a day.
        day: Span,
        /// Swing of the rate around its mean, 0–1.
        swing: f64,
        /// Where in the day the run begins, 0–1; the rate peaks at a quarter.
        #[serde(default)]
        from: f64,
    },
    /// As the firmware of this group of the scenario's `fleet` publishes, topics and payloads included.
    Firmware {
        /// Id of the group.
        fleet: String,
    },
}

impl ScheduleDef {
    /// Mean spacing of the messages, [s]; None: the firmware knows it.
    pub fn spacing_s(&self) -> Option<f64> {
        match self {
            Self::Constant(spacing) | Self::Poisson(spacing) | Self::Diurnal { mean: spacing, .. } => {
                Some(spacing.as_secs_f64())
            }
            Self::Bursty { every, messages, .. } => Some(every.as_secs_f64() / f64::from(*messages).max(1.0)),
            Self::Firmware { .. } => None,
        }
    }
}

/// A group of connections that listen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriberDef {
    /// Client id; with `count` it must hold `{}`, which becomes the index.
    pub id: String,
    /// Number of connections.
    #[serde(default = "one")]
    pub count: u32,
    /// Topic filter; `{}` is replaced by the index.
    pub filter: String,
    /// Highest quality of service it takes.
    #[serde(default)]
    pub qos: u8,
    /// Name of a shared subscription: each message goes to one of the group.
    #[serde(default)]
    pub share: Option<String>,
    /// Whether the broker keeps messages while it is away.
    #[serde(default)]
    pub persistent: bool,
    /// How long the broker keeps them (MQTT 5), in whole seconds. None: for longer than any run.
    #[serde(default)]
    pub session_expiry: Option<Span>,
}

/// A stretch of the run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum StageDef {
    /// The rate goes from one to another, linearly.
    Ramp {
        /// Length.
        #[serde(rename = "for")]
        length: Span,
        /// Rate at its start.
        #[serde(default)]
        from: f64,
        /// Rate at its end.
        #[serde(default = "one_f64")]
        to: f64,
    },
    /// A constant rate.
    Hold {
        /// Length.
        #[serde(rename = "for")]
        length: Span,
        /// Rate.
        #[serde(default = "one_f64")]
        rate: f64,
    },
    /// A short, high rate.
    Spike {
        /// Length.
        #[serde(rename = "for")]
        length: Span,
        /// Rate.
        rate: f64,
    },
    /// A constant rate over a long time.
    Soak {
        /// Length.
        #[serde(rename = "for")]
        length: Span,
        /// Rate.
        #[serde(default = "one_f64")]
        rate: f64,
    },
}

impl StageDef {
    /// Its length.
    pub fn length(&self) -> Span {
        match self {
            Self::Ramp { length, .. }
            | Self::Hold { length, .. }
            | Self::Spike { length, .. }
            | Self::Soak { length, .. } => *length,
        }
    }

    /// Rates at its start and end.
    pub fn rates(&self) -> (f64, f64) {
        match self {
            Self::Ramp { from, to, .. } => (*from, *to),
            Self::Hold { rate, .. } | Self::Spike { rate, .. } | Self::Soak { rate, .. } => (*rate, *rate),
        }
    }

    /// What it is called in files and reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ramp { .. } => "ramp",
            Self::Hold { .. } => "hold",
            Self::Spike { .. } => "spike",
            Self::Soak { .. } => "soak",
        }
    }
}

/// A search for the highest rate at which every threshold holds: doubling, then halving the interval, then a confirmation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchDef {
    /// Rate to begin with.
    #[serde(default = "one_f64")]
    pub from: f64,
    /// Rate beyond which nobody looks.
    pub to: f64,
    /// Length of a trial.
    #[serde(rename = "for")]
    pub length: Span,
    /// Length of the confirmation at the rate found.
    pub confirm: Span,
    /// The answer is known to within this share.
    #[serde(default = "tenth")]
    pub within: f64,
}

fn tenth() -> f64 {
    0.1
}

/// Closed loop: an operator commands devices of the fleet and waits for what they report.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandsDef {
    /// Id of the group of the scenario's `fleet`.
    pub fleet: String,
    /// Topic of a command; `{device}` is replaced.
    pub topic: String,
    /// Payloads, sent in turn.
    pub payloads: Vec<String>,
    /// Topic on which the device reports; `{device}` is replaced.
    pub reported: String,
    /// JSON Pointer of the field that follows the command.
    pub field: String,
    /// What that field becomes at each of the payloads.
    pub becomes: Vec<f64>,
    /// How near it has to come.
    #[serde(default)]
    pub within: f64,
    /// Spacing of the commands to one device, and how long each has to be followed: the last are sent so long before the end.
    pub every: Span,
}

impl CommandsDef {
    /// Time between two commands to so many devices, and the instant from which on none is sent in a load of this length, [ns].
    pub fn pace_ns(&self, count: usize, length_ns: i64) -> (i64, i64) {
        // The last have the time to be followed that all have, as long as the load has it.
        let last_ns = length_ns.saturating_sub(self.every.0).max(length_ns / 2);
        ((self.every.0 / count.max(1) as i64).max(1), last_ns)
    }
}

/// Something that goes wrong on our side, on purpose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadFaultDef {
    /// When it begins, since the start of the first stage.
    pub at: Span,
    /// When it ends. None: at once, or never, as the kind has it. See [`LoadFaultKind::lasts`].
    #[serde(default)]
    pub until: Option<Span>,
    /// What it is.
    #[serde(rename = "do")]
    pub action: LoadFaultKind,
}

/// Kinds of faults. A `share` of the connections is drawn by the seed.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LoadFaultKind {
    /// Devices lose their connection and come back, all at once or spread over `jitter`.
    Storm {
        /// Share of the devices, 0–1.
        share: f64,
        /// Time over which they come back.
        #[serde(default)]
        jitter: Span,
    },
    /// Devices neither read nor write until it ends; their connections stay open.
    Stall {
        /// Share of the devices, 0–1.
        share: f64,
    },
    /// Subscribers read slowly until it ends.
    SlowReader {
        /// Share of the subscribers, 0–1.
        share: f64,
        /// What each takes, [bytes/s].
        bytes_per_s: u32,
    },
    /// Subscribers do not acknowledge until it ends.
    WithholdAcks {
        /// Share of the subscribers, 0–1.
        share: f64,
    },
    /// Subscribers are away until it ends, without a word. A session that lasts is there when they come back, with what was
    /// published meanwhile; one that has expired is not.
    Away {
        /// Share of the subscribers, 0–1.
        share: f64,
    },
    /// Strangers open a connection, send half a CONNECT and fall silent.
    HalfOpen {
        /// How many.
        connections: u32,
    },
    /// Strangers send packets that are none.
    Malformed {
        /// How many.
        connections: u32,
    },
    /// Devices are taken over by a second connection with their client id; the first must be closed.
    Takeover {
        /// Share of the devices, 0–1.
        share: f64,
    },
    /// The broker is stopped and started again: the embedded one by the generator itself, another by the program that
    /// `--restart-broker` names.
    Restart {
        /// How long the embedded one is down.
        #[serde(default = "one_second")]
        down: Span,
    },
}

impl LoadFaultKind {
    /// Whether it goes on until its `until`; others happen at once.
    pub fn lasts(&self) -> bool {
        matches!(
            self,
            Self::Stall { .. }
                | Self::SlowReader { .. }
                | Self::WithholdAcks { .. }
                | Self::Away { .. }
                | Self::HalfOpen { .. }
        )
    }

    /// What it is called in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Storm { .. } => "storm",
            Self::Stall { .. } => "stall",
            Self::SlowReader { .. } => "slow reader",
            Self::WithholdAcks { .. } => "acknowledgements withheld",
            Self::Away { .. } => "away",
            Self::HalfOpen { .. } => "half open",
            Self::Malformed { .. } => "malformed",
            Self::Takeover { .. } => "takeover",
            Self::Restart { .. } => "broker restart",
        }
    }
}

/// What must hold for exit code 0.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub enum ThresholdDef {
    /// A percentile of a measured time stays below a bound.
    Below {
        /// What was measured.
        of: Metric,
        /// Percentile, 0–100; 100 is the largest.
        percentile: f64,
        /// The bound.
        bound: Span,
        /// Only messages that were meant for the stage with this number, from 0.
        #[serde(default)]
        stage: Option<u32>,
        /// Only messages of this quality of service.
        #[serde(default)]
        qos: Option<u8>,
    },
    /// A counter ends at no more than a bound.
    AtMost {
        /// What is counted.
        of: Counter,
        /// The bound.
        bound: u64,
    },
    /// A counter ends at no less than a bound.
    AtLeast {
        /// What is counted.
        of: Counter,
        /// The bound.
        bound: u64,
    },
    /// Messages acknowledged (QoS 1 and 2) or written (QoS 0) by the end of the stages, or within a second of the instants they
    /// were meant for, as a share of those planned.
    Kept {
        /// The bound, 0–1.
        share: f64,
    },
}

/// A measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Metric {
    /// From the intended instant to the arrival at a subscriber.
    Latency,
    /// From the write to the arrival at a subscriber.
    Service,
    /// From the intended instant to the write.
    PublishDelay,
    /// From the first write to the broker's acknowledgement, however often the message has to be sent once more.
    Acknowledge,
    /// From the first byte of a connection to the broker's welcome.
    Connect,
    /// From a command's intended instant to the report that it was followed.
    Command,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Latency, Self::Service, Self::PublishDelay, Self::Acknowledge, Self::Connect, Self::Command];

    /// What it is called in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Service => "service time",
            Self::PublishDelay => "publish delay",
            Self::Acknowledge => "acknowledgement",
            Self::Connect => "connect",
            Self::Command => "command to reported",
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Counter {
    /// Messages written.
    Sent,
    /// Messages that the broker acknowledged.
    Acknowledged,
    /// Deliveries to subscribers.
    Received,
    /// Deliveries that never came.
    Lost,
    /// Deliveries that came again.
    Duplicated,
    /// First deliveries that came behind later ones.
    Reordered,
    /// Deliveries of what nobody sent.
    Invented,
    /// Breaches of what MQTT promises.
    Violations,
    /// Connections that broke by themselves.
    Disconnected,
    /// Connections that could not be made.
    Refused,
    /// Commands that no report of the device followed, before the next one or the end.
    CommandsFailed,
}

/// What the load generator may be short of before its measurement counts as invalid (exit code 4).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsDef {
    /// The 99th percentile of how late the generator itself came to a message that nothing held back. Of fewer than a hundred
    /// messages, the largest, against five times this, or a lower bound of a threshold of latency.
    #[serde(default = "twenty_ms")]
    pub lag: Span,
    /// Share of a core that a worker thread may be busy over the run, 0–1.
    #[serde(default = "ninety_five")]
    pub cpu: f64,
    /// Share of the run that a worker may have waited for a core, 0–1. Times that the rarest such share of the messages took
    /// are the generator's own rather than the broker's: at 0.1, percentiles above the 90th may be.
    #[serde(default = "tenth")]
    pub waited_for_cpu: f64,
}

fn twenty_ms() -> Span {
    Span(20_000_000)
}
fn ninety_five() -> f64 {
    0.95
}

impl Default for LimitsDef {
    fn default() -> Self {
        Self { lag: twenty_ms(), cpu: ninety_five(), waited_for_cpu: tenth() }
    }
}
