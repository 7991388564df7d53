//! What a load is to do, resolved: every connection of this shard, where it goes, and what all shards agree on.

use super::{secure::Wraps, socket::Dial};
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
    scenario::load::{LoadDef, ScheduleDef},
};

/// Memory a connection is reckoned with, [bytes]; measured below 8 KiB with its share of the kernel's not counted.
const CONNECTION_BYTES: u64 = 8 << 10;
/// A payload of more has a buffer of its own to be reckoned with, [bytes].
const LARGE_BYTES: u32 = 4 << 10;
/// A worker's own: its stack, and what it reads into.
const WORKER_BYTES: u64 = (2 << 20) + (256 << 10);

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

    /// Memory that the connections of this shard are reckoned with, [bytes]: what each costs by itself, a large payload that
    /// waits to be written or has come in half, in a buffer that has grown to twice its length, and the same at the broker's end
    /// where that is within this process.
    pub fn memory_bytes(&self) -> u64 {
        let large = |bytes: u32| if bytes > LARGE_BYTES { 2 * u64::from(bytes) } else { 0 };
        let payload = |d: &DeviceSpec| self.load.devices[d.group].payload_bytes;
        let devices: u64 =
            self.devices.iter().filter(|d| self.owns(d.ordinal)).map(|d| large(payload(d))).sum();
        let largest = self.devices.iter().map(payload).max().unwrap_or(0);
        let subscribers = self.subscribers.iter().filter(|s| self.owns(s.ordinal)).count() as u64;
        let workers = self.workers as u64 * (WORKER_BYTES + 2 * large(largest));
        let ends = 1 + u64::from(self.embedded);
        self.connections() * CONNECTION_BYTES + ends * (devices + subscribers * large(largest)) + workers
    }

    /// Connections of this shard.
    pub fn connections(&self) -> u64 {
        let devices = self.devices.iter().filter(|d| self.owns(d.ordinal)).count();
        (devices + self.subscribers.iter().filter(|s| self.owns(s.ordinal)).count()) as u64
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
