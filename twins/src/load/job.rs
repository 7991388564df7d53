//! What a load is to do, resolved: every connection of this shard, where it goes, and what all shards agree on.

use super::{conn::Flight, secure::Wraps, socket::Dial};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64},
    },
};
use twinfleet_engine::{
    load::{self, Member, Stages},
    message::TopicFilter,
    scenario::load::{DeviceLoadDef, LoadDef, LoadFaultDef, LoadFaultKind, ScheduleDef},
};

/// Memory a connection is reckoned with, [bytes]; measured below 8 KiB with its share of the kernel's not counted.
const CONNECTION_BYTES: u64 = 8 << 10;
/// A payload of more has a buffer of its own to be reckoned with, [bytes].
const LARGE_BYTES: u32 = 4 << 10;
/// A worker's own: its stack, and what it reads into.
const WORKER_BYTES: u64 = (2 << 20) + (256 << 10);

/// What a subscriber's books take for each device that it hears, [bytes]: a receipt with its first interval in a table that is half
/// empty, and its copy as the books are closed.
const RECEIPT_BYTES: u64 = 256;
/// A message in the trace, [bytes]: in a list of the worker's, in the whole one, and as a line of text.
const TRACE_BYTES: u64 = 2 * 16 + 24;
/// What a worker takes for messages that simulated devices have planned ahead, [bytes].
const PLANNED_BYTES: u64 = 16 << 20;
/// Pairs of a filter and a device that are looked at one by one; of more, a part stands for all.
const MOST_PAIRS: usize = 1 << 20;

/// Quality of service of last wills.
pub const WILL_QOS: u8 = 1;

/// A device that publishes.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// Ordinal over all shards.
    pub ordinal: u32,
    /// Device id and client id.
    pub id: Box<str>,
    /// Topic; empty where the firmware chooses it.
    pub topic: Box<str>,
    /// Index of its group in `load.devices`.
    pub group: usize,
}

/// A connection that listens.
#[derive(Clone, Debug)]
pub struct SubscriberSpec {
    /// Ordinal over all shards.
    pub ordinal: u32,
    /// Client id.
    pub id: Box<str>,
    /// Filter as subscribed to.
    pub filter: Box<str>,
    /// Filter as it matches topics.
    pub matches: TopicFilter,
    /// Highest quality of service.
    pub qos: u8,
    /// Whether the broker keeps messages while it is away.
    pub persistent: bool,
    /// How long it is to keep them, if not for the whole run, [s].
    pub session_expiry_s: Option<u32>,
    /// With whom it shares messages: the ordinal of the first with the same name of a share and the same filter, of whichever
    /// group (MQTT 5 §4.8.2).
    pub share: Option<u32>,
}

/// A load, resolved.
#[derive(Clone, Debug)]
pub struct Job {
    /// The section of the scenario.
    pub load: Arc<LoadDef>,
    /// Its stages, at the rate of this run.
    pub stages: Arc<Stages>,
    /// Seed of every stream.
    pub seed: u64,
    /// Before every topic on the broker.
    pub prefix: Arc<str>,
    /// Shard `i` of `n`.
    pub shard: (u32, u32),
    /// Tells this run's messages from those of others; the same in all shards.
    pub run: u32,
    /// What marked those of the passes before, in a search: what the broker still works off of them is no other load's.
    pub earlier: Arc<[u32]>,
    /// All devices, of all shards.
    pub devices: Arc<Vec<DeviceSpec>>,
    /// All listeners, of all shards.
    pub subscribers: Arc<Vec<SubscriberSpec>>,
    /// How connections are opened.
    pub dial: Dial,
    /// TLS and WebSocket.
    pub wraps: Wraps,
    /// User name and password.
    pub login: Option<(String, String)>,
    /// Worker threads.
    pub workers: usize,
    /// When the first stage begins, Unix time [ns]; None: when all connections are up.
    pub start_at_unix_ns: Option<i64>,
    /// Whether every message sent is noted, for `--trace`.
    pub keep_trace: bool,
    /// When the first stage begins, Unix time [ns], once that is known; `i64::MAX` before.
    pub start_signal: Arc<AtomicI64>,
    /// Set when the load is over, for those who work beside it.
    pub stopped: Arc<AtomicBool>,
    /// Whether the broker is within this process, and takes its memory.
    pub embedded: bool,
}

impl Job {
    /// Devices and listeners of a load. `firmware` gives the ids of a group of the fleet.
    pub fn members(
        load: &LoadDef,
        prefix: &str,
        firmware: impl Fn(&str) -> Vec<String>,
    ) -> (Vec<DeviceSpec>, Vec<SubscriberSpec>) {
        let own_ids: Vec<Option<Vec<String>>> = load
            .devices
            .iter()
            .map(|d| match &d.schedule {
                ScheduleDef::Firmware { fleet } => Some(firmware(fleet)),
                _ => None,
            })
            .collect();
        let device = |m: &Member| {
            let def = &load.devices[m.group];
            let id = match &own_ids[m.group] {
                Some(ids) => ids[m.index as usize].clone(),
                None => def.id.replace("{}", &m.index.to_string()),
            };
            let topic = match &own_ids[m.group] {
                Some(_) => String::new(),
                None => format!("{prefix}{}", def.topic.replace("{device}", &id)),
            };
            DeviceSpec { ordinal: m.ordinal, id: id.into(), topic: topic.into(), group: m.group }
        };
        let count = |fleet: &str| firmware(fleet).len() as u32;
        let devices = load::devices(load, count).iter().map(device).collect();
        let mut shares: HashMap<String, u32> = HashMap::new();
        let subscriber = |m: &Member| {
            let def = &load.subscribers[m.group];
            let index = m.index.to_string();
            let filter = format!("{prefix}{}", def.filter.replace("{}", &index));
            let shared = def.share.as_ref().map(|s| format!("$share/{s}/{filter}"));
            let matches = TopicFilter::new(&filter).ok()?;
            let share = shared.clone().map(|shared| *shares.entry(shared).or_insert(m.ordinal));
            Some(SubscriberSpec {
                ordinal: m.ordinal,
                id: def.id.replace("{}", &index).into(),
                filter: shared.unwrap_or(filter).into(),
                matches,
                qos: def.qos,
                persistent: def.persistent,
                session_expiry_s: def.session_expiry.map(|s| s.as_secs_f64() as u32),
                share,
            })
        };
        // The checks have refused filters that are none.
        let subscribers = load::subscribers(load).iter().filter_map(subscriber).collect();
        (devices, subscribers)
    }

    /// The topic of a device's last will, if it has one.
    pub fn will_topic(&self, device: &DeviceSpec) -> Option<String> {
        let will = self.load.devices[device.group].will.as_ref()?;
        Some(format!("{}{}", self.prefix, will.replace("{device}", &device.id)))
    }

    /// Whether this shard runs the member with this ordinal.
    pub fn owns(&self, ordinal: u32) -> bool {
        ordinal % self.shard.1 == self.shard.0
    }

    /// Memory that this shard is reckoned with, [bytes]: what each connection costs by itself, a large payload that waits to be
    /// written or has come in half, in a buffer that has grown to twice its length, and the same at the broker's end where that is
    /// within this process; and the books: messages in flight, receipts, the trace. Of what a broker loses or swaps, the books take
    /// eight bytes a gap, which nobody knows before.
    pub fn memory_bytes(&self) -> u64 {
        let large = |bytes: u32| if bytes > LARGE_BYTES { 2 * u64::from(bytes) } else { 0 };
        let payload = |d: &DeviceSpec| self.load.devices[d.group].payload_bytes;
        let devices: u64 =
            self.devices.iter().filter(|d| self.owns(d.ordinal)).map(|d| large(payload(d))).sum();
        let largest = self.devices.iter().map(payload).max().unwrap_or(0);
        let subscribers = self.subscribers.iter().filter(|s| self.owns(s.ordinal)).count() as u64;
        let workers = self.workers as u64 * (WORKER_BYTES + 2 * large(largest));
        let ends = 1 + u64::from(self.embedded);
        let books = self.flight_bytes() + self.receipts() * RECEIPT_BYTES + self.trace_bytes();
        self.connections() * CONNECTION_BYTES
            + ends * (devices + subscribers * large(largest))
            + workers
            + books
    }

    /// Messages of a group's device over the whole load, about; None: its firmware knows.
    fn messages(&self, group: usize) -> Option<u64> {
        let spacing_s = self.load.devices[group].schedule.spacing_s()?;
        Some((self.stages.passes_s() / spacing_s.max(1e-9)) as u64 + 1)
    }

    /// Messages of QoS 1 and 2 that may be on their way, and what is planned ahead, [bytes].
    fn flight_bytes(&self) -> u64 {
        let of_group = |(group, def): (usize, &DeviceLoadDef)| match (def.qos, self.messages(group)) {
            (0, Some(_)) => 0,
            (_, messages) => messages.unwrap_or(u64::MAX).min(def.in_flight.into()),
        };
        let windows: Vec<u64> = self.load.devices.iter().enumerate().map(of_group).collect();
        let own = self.devices.iter().filter(|d| self.owns(d.ordinal));
        // The list of them has grown to twice its length.
        let flights: u64 = own.map(|d| windows[d.group]).sum::<u64>() * 2 * size_of::<Flight>() as u64;
        let planned = if self.load.devices.iter().any(|d| d.is_firmware()) { PLANNED_BYTES } else { 0 };
        flights + planned * self.workers as u64
    }

    fn trace_bytes(&self) -> u64 {
        let own = self.devices.iter().filter(|d| self.keep_trace && self.owns(d.ordinal));
        own.map(|d| self.messages(d.group).unwrap_or(0)).sum::<u64>() * TRACE_BYTES
    }

    /// Pairs of an own subscriber and a device that it hears, about.
    fn receipts(&self) -> u64 {
        let mut filters: HashMap<&str, (&TopicFilter, u64)> = HashMap::new();
        for s in self.subscribers.iter().filter(|s| self.owns(s.ordinal)) {
            filters.entry(&s.filter).or_insert((&s.matches, 0)).1 += 1;
        }
        let step = (filters.len() * self.devices.len()).div_ceil(MOST_PAIRS).max(1);
        let mut pairs = 0;
        for d in self.devices.iter().step_by(step) {
            // What the firmware publishes to is not known: whoever listens may hear it.
            let hears = |filter: &TopicFilter| d.topic.is_empty() || filter.matches(&d.topic);
            pairs += filters.values().filter(|of| hears(of.0)).map(|of| of.1).sum::<u64>();
        }
        pairs * step as u64
    }

    /// Connections of this shard.
    pub fn connections(&self) -> u64 {
        let devices = self.devices.iter().filter(|d| self.owns(d.ordinal)).count();
        (devices + self.subscribers.iter().filter(|s| self.owns(s.ordinal)).count()) as u64
    }

    /// Strangers that are connected at a time, at least: those of the largest fault of their kind.
    pub fn strangers(&self) -> u64 {
        let of = |fault: &LoadFaultDef| match fault.action {
            LoadFaultKind::HalfOpen { connections } | LoadFaultKind::Malformed { connections } => connections,
            _ => 0,
        };
        let most = self.load.faults.iter().map(of).max().unwrap_or(0);
        u64::from(most / self.shard.1)
    }

    /// Faults that strike nobody, in words: of a few, a small share may be none.
    pub fn idle_faults(&self) -> Vec<String> {
        let idle = |(number, fault): (usize, &LoadFaultDef)| {
            let (share, of_devices) = match fault.action {
                LoadFaultKind::Storm { share, .. }
                | LoadFaultKind::Stall { share }
                | LoadFaultKind::Takeover { share } => (share, true),
                LoadFaultKind::SlowReader { share, .. }
                | LoadFaultKind::WithholdAcks { share }
                | LoadFaultKind::Away { share } => (share, false),
                LoadFaultKind::HalfOpen { .. }
                | LoadFaultKind::Malformed { .. }
                | LoadFaultKind::Restart { .. } => return None,
            };
            let hit = |id: &str| load::strikes(self.seed, number, id, share);
            let (struck, all, who) = if of_devices {
                (self.devices.iter().any(|d| hit(&d.id)), self.devices.len(), "devices")
            } else {
                (self.subscribers.iter().any(|s| hit(&s.id)), self.subscribers.len(), "subscribers")
            };
            let word = fault.action.word();
            (!struck).then(|| {
                format!("the fault at {} ({word}) struck nobody: a share of {share} of {all} {who}", fault.at)
            })
        };
        self.load.faults.iter().enumerate().filter_map(idle).collect()
    }

    /// Subscriptions that each message of a device reaches: sessions of their own, and shared ones once.
    pub fn fan_out(&self, topic: &str) -> u32 {
        let mut shares = Vec::new();
        let mut all = 0;
        for s in self.subscribers.iter().filter(|s| s.matches.matches(topic)) {
            match s.share {
                Some(share) if shares.contains(&share) => {}
                Some(share) => {
                    shares.push(share);
                    all += 1;
                }
                None => all += 1,
            }
        }
        all
    }
}

#[cfg(test)]
impl Job {
    /// One process's job of a scenario's `load:` section.
    pub(super) fn of_text(load: &str) -> Self {
        use twinfleet_engine::scenario::{self, source::Source};
        let text = format!("Scenario(format: 1, seed: 3, duration: \"10s\", load: ({load}))");
        let read = scenario::read(&Source::embedded("load.ron", &text)).expect("a scenario");
        let load = Arc::new(read.load.expect("a load"));
        let (devices, subscribers) = Self::members(&load, "", |_| Vec::new());
        Self {
            stages: Arc::new(Stages::new(&load.stages)),
            load,
            seed: 3,
            prefix: "".into(),
            shard: (0, 1),
            run: 1,
            earlier: Arc::default(),
            devices: Arc::new(devices),
            subscribers: Arc::new(subscribers),
            dial: Dial { to: ([127, 0, 0, 1], 1883).into(), sources: Default::default(), no_delay: true },
            wraps: Wraps::default(),
            login: None,
            workers: 1,
            start_at_unix_ns: None,
            keep_trace: false,
            start_signal: Arc::new(i64::MAX.into()),
            stopped: Arc::default(),
            embedded: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(devices: u32, subscribers: u32, filter: &str, qos: u8, in_flight: u16) -> Job {
        Job::of_text(&format!(
            r#"devices: [(id: "d-{{}}", count: {devices}, topic: "t/{{device}}", qos: {qos}, in_flight: {in_flight},
                schedule: Constant("1s"))],
            subscribers: [(id: "s-{{}}", count: {subscribers}, filter: "{filter}")], stages: [Hold(for: "10s")]"#
        ))
    }

    #[test]
    fn the_memory_of_the_books_is_reckoned_with() {
        let bytes = |of: &Job| of.memory_bytes();
        let deaf = bytes(&job(1_000, 200, "u/#", 0, 20));
        let all = bytes(&job(1_000, 200, "t/#", 0, 20));
        assert_eq!(all - deaf, 1_000 * 200 * RECEIPT_BYTES);
        // A filter each: every subscriber hears one device.
        assert_eq!(bytes(&job(1_000, 200, "t/d-{}", 0, 20)) - deaf, 200 * RECEIPT_BYTES);
        // Of too many pairs, some stand for all.
        let many = job(30_000, 200, "t/#", 0, 20);
        assert_eq!(many.receipts(), 30_000 * 200);
        let each = job(30_000, 100, "t/d-{}", 0, 20);
        assert!((50..=200).contains(&each.receipts()), "{}", each.receipts());
        // What is in flight is bounded by the window and by the plan: eleven messages at most.
        let flight = 2 * size_of::<Flight>() as u64;
        assert_eq!(bytes(&job(1_000, 200, "u/#", 1, 5)) - deaf, 1_000 * 5 * flight);
        assert_eq!(bytes(&job(1_000, 200, "u/#", 1, 60_000)) - deaf, 1_000 * 11 * flight);
        let traced = Job { keep_trace: true, ..job(1_000, 200, "u/#", 0, 20) };
        assert_eq!(bytes(&traced) - deaf, 11_000 * TRACE_BYTES);
    }
}
