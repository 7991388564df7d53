//! The one kind of file a user writes: world, fleet, links, physicals, mirrors, timeline, expectations.
//!
//! This file is the shape, as serde sees it; `scenario/` holds the passes that read and check it.

pub mod calendar;
pub mod check;
pub mod definition;
pub mod diagnostic;
pub mod draw;
pub mod files;
pub mod load;
pub mod recording;
pub mod shape;
pub mod source;
pub mod tree;

use crate::{
    catalog::{Firmware, PowerDef, ScriptDef, ThingDef},
    environment::{AmbientDef, EmitDef, WeatherDef, ZoneDef},
    expect::Expectation,
    physics::SceneDef,
    sense::fault::FaultDef,
    signal::wildcard,
    time::Span,
};
use diagnostic::Report;
use serde::Deserialize;
use source::Source;
use std::collections::BTreeMap;

/// Reads a scenario's text: head and version, then the strict shape. Ids and references are [`check::check`]'s.
///
/// # Errors
/// What is wrong with brackets, version or the first field that does not fit.
pub fn read(source: &Source) -> Result<Scenario, Report> {
    source.parse("Scenario")
}

/// A scenario file, format 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the file format.
    pub format: u32,
    /// What the scenario shows, in a sentence.
    #[serde(default)]
    pub about: String,
    /// Seed of every random stream.
    #[serde(default)]
    pub seed: u64,
    /// Simulated length of the run.
    pub duration: Span,
    /// The fixed simulated step.
    #[serde(default = "one_second")]
    pub step: Span,
    /// Calendar time of the run's start, `YYYY-MM-DDTHH:MM:SSZ`; payload timestamps and the sun follow it.
    #[serde(default)]
    pub start: Option<String>,
    /// Zones, weather and rigid bodies.
    #[serde(default)]
    pub world: WorldDef,
    /// Simulated devices, in groups of the same thing.
    #[serde(default)]
    pub fleet: Vec<GroupDef>,
    /// Radio or wire links that groups name.
    #[serde(default)]
    pub links: Vec<LinkDef>,
    /// Real devices: recordings that are published as the device would.
    #[serde(default)]
    pub physicals: Vec<PhysicalDef>,
    /// Twins and what they follow.
    #[serde(default)]
    pub mirror: Vec<MirrorDef>,
    /// What happens when.
    #[serde(default)]
    pub timeline: Vec<EventDef>,
    /// Faults that the seed draws: one a device, added to the timeline.
    #[serde(default)]
    pub draw: Vec<draw::DrawDef>,
    /// What must hold.
    #[serde(default)]
    pub expect: Vec<Expectation>,
    /// What is written to the record.
    #[serde(default)]
    pub record: RecordDef,
    /// A load on a broker, for `twinfleet load`.
    #[serde(default)]
    pub load: Option<load::LoadDef>,
    /// Things defined next to the scenario rather than in the catalog.
    #[serde(default)]
    pub things: Vec<ThingDef>,
}

fn one_second() -> Span {
    Span::from_secs(1)
}

/// The world that devices live in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldDef {
    /// Outdoor weather; without it, outside is a constant 20 °C, 50 %RH, 1013.25 hPa, dark and still.
    #[serde(default)]
    pub weather: Option<WeatherDef>,
    /// What the air outdoors carries, its sound and magnetic field; zones that say nothing of their own have the same.
    #[serde(default)]
    pub ambient: AmbientDef,
    /// Zones: rooms, houses, desks.
    #[serde(default)]
    pub zones: Vec<ZoneDef>,
    /// Rigid bodies.
    #[serde(default)]
    pub scene: Option<SceneDef>,
}

/// A group of `count` devices of one thing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDef {
    /// Device id; with `count` it must hold `{}`, which becomes the index 0, 1, ….
    pub id: String,
    /// Number of devices.
    #[serde(default = "one")]
    pub count: u32,
    /// Name of the thing, from the catalog or the scenario's `things`.
    pub thing: String,
    /// Zones the devices live in, dealt out in turn. Empty: outside.
    #[serde(default, rename = "in")]
    pub zones: Vec<String>,
    /// Name of the link their messages take. None: a perfect one.
    #[serde(default)]
    pub link: Option<String>,
    /// Firmware in place of the thing's own.
    #[serde(default)]
    pub firmware: Option<Firmware>,
    /// A file of the user's own in place of the thing's firmware, written `firmware: Script(…)`.
    #[serde(default)]
    pub script: Option<ScriptDef>,
    /// Power supply in place of the thing's own.
    #[serde(default)]
    pub power: Option<PowerDef>,
    /// Rigid bodies that parts are fixed to.
    #[serde(default)]
    pub mounts: Vec<MountDef>,
    /// What parts find that neither their zone, nor a body, nor another part gives: `part.quantity` and its value, such as
    /// `"door.contact": 1` or `"gps.latitude": 48.1`. A `Set` event changes it.
    #[serde(default)]
    pub truths: BTreeMap<String, f64>,
}

impl GroupDef {
    /// Whether one of its devices is called so.
    pub fn has(&self, device: &str) -> bool {
        index_of(device, &self.id, self.count)
    }

    /// Whether a wildcard names one of its devices.
    pub fn any_is(&self, pattern: &str) -> bool {
        if !pattern.contains(['*', '?']) {
            return self.has(pattern);
        }
        let id = |i: u32| self.id.replace("{}", &i.to_string());
        (0..self.count).any(|i| wildcard(pattern.as_bytes(), id(i).as_bytes()))
    }
}

/// Whether a pattern of `count` devices makes this id.
pub(crate) fn index_of(id: &str, pattern: &str, count: u32) -> bool {
    let Some((head, tail)) = pattern.split_once("{}") else { return id == pattern };
    let Some(middle) = id.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)) else { return false };
    let plain = middle == "0" || !middle.starts_with(['0', '+']);
    plain && middle.parse::<u32>().is_ok_and(|i| i < count)
}

fn one() -> u32 {
    1
}

/// Where a part sits on a rigid body.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountDef {
    /// Part id within the thing.
    pub part: String,
    /// Body id within the scene; `{}` becomes the device's index, so that each device of a group rides its own body.
    pub body: String,
    /// Position in the body's frame, [m].
    #[serde(default)]
    pub at_m: (f64, f64, f64),
    /// Orientation in the body's frame, about the fixed x, then y, then z axis, [°]. Range and presence sensors look along
    /// their own +x; a load cell's platform faces its own +z.
    #[serde(default)]
    pub rotation_deg: (f64, f64, f64),
}

/// A link between devices and the broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkDef {
    /// Name that groups use.
    pub id: String,
    /// Name of a link profile of the catalog, see `twinfleet list links`: what the fields below leave open, its airtime, its
    /// limits and what its radio draws.
    #[serde(default)]
    pub profile: Option<String>,
    /// The radio module that devices have beside a board without such a radio, in words, such as "RFM95W on SPI". What it does
    /// and draws is the profile's.
    #[serde(default)]
    pub module: Option<String>,
    /// Shortest latency, [ms].
    #[serde(default)]
    pub latency_min_ms: Option<f64>,
    /// Mean of the exponential part on top, [ms].
    #[serde(default)]
    pub latency_jitter_ms: Option<f64>,
    /// Chance that one transmission is lost, 0–1.
    #[serde(default)]
    pub loss: Option<f64>,
    /// Log-distance radio model; its packet reception multiplies with `loss`.
    #[serde(default)]
    pub radio: Option<RadioDef>,
}

/// Log-distance path loss with shadowing; reception follows a logistic curve of the received power.
/// Figures: Cooja's and Gazebo's defaults, see FACTS "Radio".
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RadioDef {
    /// Transmit power, [dBm]; the profile's, where the link has one.
    #[serde(default)]
    pub tx_dbm: Option<f64>,
    /// Distances of the devices to the access point, drawn uniformly, [m].
    pub distance_m: (f64, f64),
    /// Loss at one metre, [dB].
    #[serde(default = "forty")]
    pub loss_1m_db: f64,
    /// Path-loss exponent.
    #[serde(default = "three")]
    pub exponent: f64,
    /// Standard deviation of the log-normal shadowing, drawn once a device, [dB].
    #[serde(default = "three")]
    pub shadowing_db: f64,
    /// Received power at which half the packets arrive, [dBm]; the profile's, where the link has one, else −92 dBm.
    #[serde(default)]
    pub rssi50_dbm: Option<f64>,
    /// Transmit power of the access point, [dBm], which what devices receive of it goes by; the profile's, where the link has one,
    /// else as theirs.
    #[serde(default)]
    pub station_dbm: Option<f64>,
    /// Zones that have an access point (`outside` for one in the open). Devices are on the one that they receive best, and
    /// go over to another that is better by `hysteresis_db`. Empty: one, at `distance_m` without a wall.
    #[serde(default)]
    pub access_points: Vec<String>,
    /// Loss of each wall between a device's zone and an access point's, [dB].
    #[serde(default = "five")]
    pub wall_db: f64,
    /// Way that each such wall adds to `distance_m`, [m].
    #[serde(default)]
    pub wall_m: f64,
    /// Standard deviation of the slow fading, [dB].
    #[serde(default)]
    pub fading_db: f64,
    /// Its correlation time.
    #[serde(default = "ten_minutes")]
    pub fading_tau: Span,
    /// By how much another access point must be received better before a device goes over, [dB].
    #[serde(default = "eight")]
    pub hysteresis_db: f64,
}

fn forty() -> f64 {
    40.0
}
fn three() -> f64 {
    3.0
}
/// A light wall: ITU-R P.1238-12 and COST 231's multi-wall model have 3.4 dB for a light one, 6.9 dB for a heavy one.
fn five() -> f64 {
    5.0
}
fn ten_minutes() -> Span {
    Span::from_secs(600)
}
/// As Apple documents for its devices while they transmit ("About wireless roaming for enterprise").
fn eight() -> f64 {
    8.0
}

/// A real device, replayed from a recording over MQTT.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhysicalDef {
    /// Device id.
    pub id: String,
    /// Zone it stands in.
    #[serde(default, rename = "in")]
    pub zone: Option<String>,
    /// Where its data come from.
    pub from: PhysicalSource,
    /// How it publishes.
    pub publish: PublishDef,
}

/// Where a physical's data come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PhysicalSource {
    /// A table of readings.
    Recording {
        /// Path, relative to the scenario's folder or, failing that, to the current folder.
        path: String,
        /// Column of time: a name or `#N`. Without it, `period`.
        #[serde(default)]
        time: Option<String>,
        /// Spacing of the rows where there is no time column.
        #[serde(default)]
        period: Option<Span>,
        /// Whether the first line holds names.
        #[serde(default = "yes")]
        header: bool,
        /// `part.quantity@reported` → column (`name` or `#N`) and, where it differs from the signal's, its unit,
        /// separated by a blank: `"temp C"`, `"#3 K"`.
        map: BTreeMap<String, String>,
        /// What a gap between rows is.
        #[serde(default)]
        gaps: Gaps,
    },
}

impl PhysicalSource {
    /// The signals that it reports, `part.quantity`, in the map's order.
    pub fn signals(&self) -> impl Iterator<Item = &str> {
        let Self::Recording { map, .. } = self;
        map.keys().map(|key| key.split_once('@').map_or(key.as_str(), |(signal, _)| signal))
    }
}

/// What a gap in a recording is: more than [`crate::mirror::physical::GAP_STEPS`] median steps without a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum Gaps {
    /// A mistake.
    #[default]
    Refuse,
    /// The device was off: `offline` is published, as a broker does with its last will, and `online` when rows go on.
    Offline,
}

fn yes() -> bool {
    true
}

/// How readings become a message.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishDef {
    /// Topic; `{device}` and `{zone}` are replaced.
    pub topic: String,
    /// Payload codec.
    #[serde(default)]
    pub payload: PayloadDef,
    /// MQTT quality of service.
    #[serde(default)]
    pub qos: u8,
    /// MQTT retain flag.
    #[serde(default)]
    pub retain: bool,
    /// Publish each n-th reading only.
    #[serde(default = "one")]
    pub every: u32,
}

/// Payload codec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum PayloadDef {
    /// One flat object: `{"ts": <Unix ms>, "part.quantity": value, …}`.
    #[default]
    Json,
    /// A text in which `{part.quantity}` (with `:.2` for decimals), `{device}`, `{zone}`, `{seq}`, `{ts}` (Unix ms), `{time}`
    /// (ISO 8601; both as the device believes them) and `{battery_v}` are replaced, and `{{`, `}}` stand for braces.
    Template(String),
    /// All that a device of this dialect says: births, discovery, states, last will. `topic` is its address there, and what
    /// is retained, at which quality of service, the dialect says; see `twinfleet list dialects`.
    Dialect {
        /// Name of the dialect.
        name: String,
        /// `part.quantity` → the dialect's own name of it.
        #[serde(default)]
        map: BTreeMap<String, String>,
        /// What else the dialect lets one choose.
        #[serde(default)]
        options: BTreeMap<String, String>,
    },
}

/// A twin and what it follows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MirrorDef {
    /// Id of the physical device it follows.
    pub twin: String,
    /// Thing whose dynamics it carries.
    pub thing: String,
    /// Calibrated parameters, a file that `fit` wrote.
    #[serde(default)]
    pub params: Option<String>,
    /// Parameters that the filter goes on learning as the run goes (joint estimation). Names of the thing's parameters.
    #[serde(default)]
    pub learn: Box<[String]>,
    /// A network that forecasts in the filter's place, for the horizons that it was trained on.
    #[serde(default)]
    pub predictor: Option<Box<PredictorDef>>,
    /// Topics that carry its signals.
    pub bind: Box<[BindDef]>,
    /// How far ahead it looks.
    #[serde(default)]
    pub forecast: Option<Box<ForecastDef>>,
    /// Whether a detector watches its residuals, and how often it may be wrong. It tells `alarm` events.
    #[serde(default)]
    pub watch: Option<WatchDef>,
    /// How its device is commanded, where a mirror follows a real one.
    #[serde(default)]
    pub command: Option<Box<CommandDef>>,
}

/// A detector over a twin's residuals.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchDef {
    /// Readings to a false alarm, on average.
    pub readings_per_alarm: f64,
}

/// How a device is commanded: what is desired of it and not yet reported goes out in its dialect, or as a JSON object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandDef {
    /// MQTT topic that takes a JSON object of what is desired; `{device}` is the twin's id. None: as its dialect has it.
    #[serde(default)]
    pub topic: Option<String>,
    /// How long the device may take to report what was desired. Then it is told again, and given twice as long each time.
    #[serde(default = "half_a_minute")]
    pub within: Span,
    /// How often it is told before the command counts as unanswered.
    #[serde(default = "four_times")]
    pub tries: u32,
}

impl Default for CommandDef {
    fn default() -> Self {
        Self { topic: None, within: half_a_minute(), tries: four_times() }
    }
}

fn half_a_minute() -> Span {
    Span::from_secs(30)
}

fn four_times() -> u32 {
    4
}

/// A trained network and the signals of its columns.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorDef {
    /// Its head, a file that `train` wrote.
    pub file: String,
    /// Column that it was trained on → `part.quantity`.
    pub map: BTreeMap<String, String>,
}

/// A topic and how its payload becomes signals.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindDef {
    /// MQTT topic; `{device}` is the twin's id.
    pub topic: String,
    /// How to read the payload.
    #[serde(default)]
    pub decode: DecodeDef,
}

/// How a payload becomes signals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum DecodeDef {
    /// A flat object as `Payload::Json` writes it.
    #[default]
    Json,
    /// `part.quantity` → JSON Pointer; and the pointer of the device's own time stamp (Unix ms).
    Pointers {
        /// `part.quantity` → JSON Pointer.
        map: BTreeMap<String, String>,
        /// Pointer of the time stamp.
        #[serde(default)]
        time: Option<String>,
    },
    /// All that a device of this dialect says. `topic` is its address there; see `twinfleet list dialects`.
    Dialect {
        /// Name of the dialect.
        name: String,
        /// `part.quantity` → the dialect's own name of it, where that is not the one that the dialect gives by itself.
        #[serde(default)]
        map: BTreeMap<String, String>,
    },
}

/// Forecasts of a twin.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastDef {
    /// Horizons.
    pub horizons: Vec<Span>,
    /// Probability that the interval holds, 0–1.
    #[serde(default = "ninety")]
    pub interval: f64,
    /// A forecast is issued every so often.
    #[serde(default = "one_second")]
    pub every: Span,
    /// Whether what the filter's forecasts mostly miss by is learnt as the run goes, and added.
    #[serde(default)]
    pub residual: bool,
}

fn ninety() -> f64 {
    0.9
}

/// Something that happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventDef {
    /// When it begins.
    pub at: Span,
    /// When it ends. None: never.
    #[serde(default)]
    pub until: Option<Span>,
    /// What it is.
    #[serde(rename = "do")]
    pub action: Action,
}

/// What can happen.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Action {
    /// A signal goes wrong: a simulated part's reading, or a physical's stream before it is published. It leaves a label.
    Fault {
        /// `device/part.quantity`, a glob over devices and parts allowed; `device` alone for Dropout, ClockSkew, AdcReference
        /// and Condensation. A loose contact reaches all of the named part, a hanging bus all parts on it.
        target: String,
        /// What goes wrong.
        kind: FaultDef,
    },
    /// A fault, too, labelled `swap`: somebody has exchanged two sensors, and each is taken for the other.
    Swap {
        /// `device/part.quantity`, a glob over devices allowed.
        target: String,
        /// `part.quantity` of the same device.
        with: String,
    },
    /// An actuator is commanded as if by hand.
    Command {
        /// `device/part`.
        target: String,
        /// Level, 0–1.
        level: f64,
    },
    /// A desired state is sent to devices whose firmware takes commands, on the command's topic: it is heard as any message is,
    /// by a device that can hear.
    Desire {
        /// `device/part`, wildcards allowed.
        target: String,
        /// Level, 0–1.
        level: f64,
    },
    /// A zone is disturbed, by a door left open, say.
    Disturb {
        /// Zone id.
        zone: String,
        /// Extra heat, [W].
        #[serde(default)]
        heat_w: f64,
        /// Extra air exchange with the outside, [1/h].
        #[serde(default)]
        air_changes_per_h: f64,
        /// What is given off into its air.
        #[serde(default)]
        emits: EmitDef,
        /// A sound on top of its own, [dB]; 0: none.
        #[serde(default)]
        sound_db: f64,
        /// A magnetic field on top of its own, [µT].
        #[serde(default)]
        magnetic_ut: (f64, f64, f64),
    },
    /// What a part finds becomes another: a door opens, a vehicle has moved. With `until`, what was before comes back.
    Set {
        /// `device/part.quantity`, a glob over devices and parts allowed.
        target: String,
        /// The value, in the quantity's unit.
        to: f64,
    },
    /// Simulated devices are carried to another zone. With `until`, they come back then.
    Move {
        /// Device id, a glob allowed.
        target: String,
        /// Zone id, or `outside`.
        to: String,
    },
    /// The weather is another while the event lasts; what is not named stays as it would be.
    Weather {
        /// On top of the temperature outdoors, [K].
        #[serde(default)]
        warmer_c: f64,
        /// Temperature outdoors, [°C].
        #[serde(default)]
        temperature_c: Option<f64>,
        /// Dew point outdoors, [°C].
        #[serde(default)]
        dew_point_c: Option<f64>,
        /// Pressure at sea level, [hPa].
        #[serde(default)]
        pressure_hpa: Option<f64>,
        /// Wind speed, [m/s].
        #[serde(default)]
        wind_m_s: Option<f64>,
        /// Cloud cover, 0–1: light and, where `rain_mm_h` is not named, rain follow it.
        #[serde(default)]
        cloud: Option<f64>,
        /// Rain, [mm/h].
        #[serde(default)]
        rain_mm_h: Option<f64>,
    },
    /// A simulated device's physics change while the event lasts: a lid stands open, a fan is blocked. It leaves a label.
    Change {
        /// Device id, a glob allowed.
        target: String,
        /// Parameter of the dynamics of its thing.
        parameter: String,
        /// What it is multiplied with.
        factor: f64,
        /// What the label calls it, such as `lid_open`.
        kind: String,
    },
    /// A link loses every message while the event lasts.
    LinkDown {
        /// Link id.
        link: String,
    },
}

/// What is outside every zone, by the name that no zone may have.
pub const OUTDOORS: &str = "outside";

/// What is written to the record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDef {
    /// Globs of the signals to keep.
    #[serde(default = "everything")]
    pub signals: Vec<String>,
    /// Simulated time that one segment file covers.
    #[serde(default = "one_hour")]
    pub segment: Span,
}

fn everything() -> Vec<String> {
    vec!["**".to_owned()]
}
fn one_hour() -> Span {
    Span::from_secs(3600)
}

impl Default for RecordDef {
    fn default() -> Self {
        Self { signals: everything(), segment: one_hour() }
    }
}

#[cfg(test)]
mod tests;
