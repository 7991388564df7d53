//! Links: latency, loss, radio, store-and-forward.
//!
//! A message is tried up to `attempts` times, with a pause that doubles; what still fails waits in the device's queue and
//! goes first at its next message. A device's messages never overtake one another, as in one TCP connection. All outcomes
//! of a hand-over are drawn at once from the device's own stream, so a link costs nothing between messages.
//!
//! ```
//! use twinfleet_engine::{link::reception, scenario::RadioDef};
//! let radio: RadioDef = ron::from_str("(tx_dbm: 0.0, distance_m: (1.0, 1.0))").unwrap();
//! assert!(reception(&radio, 1.0, 0.0) > 0.999, "-40 dBm is far above -92 dBm");
//! assert!((reception(&radio, 10f64.powf(52.0 / 30.0), 0.0) - 0.5).abs() < 1e-9, "40 + 30 lg d = 92 dB");
//! ```

use crate::{
    message::Message,
    rng::{Rng, stream},
    scenario::{Action, LinkDef, RadioDef, Scenario},
    time::{SimTime, Span},
    world::StateHash,
};
use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
};

/// Pause before the second attempt, doubled before each further one.
pub const RETRY_PAUSE: Span = Span(100_000_000);
/// Bytes around a payload: MQTT, TCP, IP and 802.11 headers, and the acknowledgement.
const OVERHEAD_BYTES: usize = 120;
/// Air time of a byte at 1 Mbit/s, the lowest 802.11 rate, which a node at the edge of its cell falls back to, [ns].
const BYTE_NS: i64 = 8_000;

/// Chance that a packet arrives over `distance_m` [m] with this much shadowing [dB], 0–1:
/// 1/(1 + e^(−(rssi − rssi50))), rssi = tx − (L₁ + 10·n·log₁₀ d) + shadowing (FACTS "Radio", Cooja's model).
pub fn reception(radio: &RadioDef, distance_m: f64, shadowing_db: f64) -> f64 {
    let loss_db = radio.loss_1m_db + 10.0 * radio.exponent * distance_m.max(1e-3).log10();
    let rssi_dbm = radio.tx_dbm - loss_db + shadowing_db;
    1.0 / (1.0 + (radio.rssi50_dbm - rssi_dbm).exp())
}

/// Time that a payload is on the air.
pub fn air_time(payload_bytes: usize) -> Span {
    Span((payload_bytes + OVERHEAD_BYTES) as i64 * BYTE_NS)
}

/// A group's link and its firmware's way with it.
#[derive(Clone, Debug)]
pub(crate) struct LinkPlan {
    latency_min_ns: f64,
    latency_jitter_ns: f64,
    arrival: f64,
    radio: Option<RadioDef>,
    down: Vec<(SimTime, SimTime)>,
    attempts: u32,
    capacity: usize,
}

impl LinkPlan {
    /// The link with this definition (none: a perfect one) and its outages in the timeline.
    pub fn new(scenario: &Scenario, link: Option<&LinkDef>, attempts: u32, capacity: u32) -> Self {
        let down = scenario.timeline.iter().filter_map(|event| match &event.action {
            Action::LinkDown { link: id } if link.is_some_and(|l| l.id == *id) => {
                Some((SimTime::ZERO + event.at, event.until.map_or(SimTime::NEVER, |u| SimTime::ZERO + u)))
            }
            _ => None,
        });
        Self {
            latency_min_ns: link.map_or(0.0, |l| l.latency_min_ms * 1e6),
            latency_jitter_ns: link.map_or(0.0, |l| l.latency_jitter_ms * 1e6),
            arrival: link.map_or(1.0, |l| 1.0 - l.loss),
            radio: link.and_then(|l| l.radio.clone()),
            down: down.collect(),
            attempts: attempts.max(1),
            capacity: capacity as usize,
        }
    }

    fn is_down(&self, t: SimTime) -> bool {
        self.down.iter().any(|(from, until)| *from <= t && t < *until)
    }
}

/// What a hand-over came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub sent: u64,
    pub dropped: u64,
    pub transmissions: u64,
    pub air_ns: i64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.transmissions += other.transmissions;
        self.air_ns += other.air_ns;
    }
}

/// The radios of a cohort.
#[derive(Debug, Default)]
pub(crate) struct Radios {
    rng: Vec<Rng>,
    arrival: Vec<f32>,
    /// The device's next sequence number.
    pub seq: Vec<u64>,
    last_due: Vec<SimTime>,
    queue: Vec<VecDeque<Message>>,
    /// Messages dropped since the queue was last empty.
    dropping: Vec<u32>,
}

impl Radios {
    /// Adds the next lane's device; where it stands comes from the stream `link/place`, what befalls its messages from
    /// `link/channel`.
    pub fn add(&mut self, plan: &LinkPlan, seed: u64, device: &str) {
        let mut arrival = plan.arrival;
        if let Some(radio) = &plan.radio {
            let mut place = stream(seed, device, "link/place");
            let u: f64 = place.random();
            let shadowing: f64 = place.sample(StandardNormal);
            let distance_m = radio.distance_m.0 + (radio.distance_m.1 - radio.distance_m.0) * u;
            arrival *= reception(radio, distance_m, radio.shadowing_db * shadowing);
        }
        self.rng.push(stream(seed, device, "link/channel"));
        self.arrival.push(arrival as f32);
        self.seq.push(0);
        self.last_due.push(SimTime::ZERO);
        self.queue.push(VecDeque::new());
        self.dropping.push(0);
    }

    /// Takes a message and sends what can be sent, the oldest first, into `out` with `due` set. Tells whether this was the
    /// first drop of an outage.
    pub fn hand_over(
        &mut self,
        lane: u16,
        message: Message,
        plan: &LinkPlan,
        out: &mut Vec<Message>,
        tally: &mut Tally,
    ) -> bool {
        let i = lane as usize;
        let mut at = message.sent;
        tally.sent += 1;
        self.queue[i].push_back(message);
        while let Some(first) = self.queue[i].front() {
            let air = air_time(first.payload.len());
            let Some(arrived) = self.transmit(i, plan, &mut at, air, tally) else { break };
            let due = arrived.max(self.last_due[i]);
            self.last_due[i] = due;
            if let Some(mut message) = self.queue[i].pop_front() {
                message.due = due;
                out.push(message);
            }
        }
        let before = self.dropping[i];
        if self.queue[i].is_empty() {
            self.dropping[i] = 0;
        }
        while self.queue[i].len() > plan.capacity {
            self.queue[i].pop_front();
            tally.dropped += 1;
            self.dropping[i] += 1;
        }
        before == 0 && self.dropping[i] > 0
    }

    /// Tries one message from `at` on, which moves past the tries. When it arrived, or none.
    fn transmit(
        &mut self,
        i: usize,
        plan: &LinkPlan,
        at: &mut SimTime,
        air: Span,
        tally: &mut Tally,
    ) -> Option<SimTime> {
        let mut pause = RETRY_PAUSE;
        for _ in 0..plan.attempts {
            let rng = &mut self.rng[i];
            // Two draws a try, whatever comes of it.
            let luck: f64 = rng.random();
            let late: f64 = rng.sample(Exp1);
            tally.transmissions += 1;
            tally.air_ns += air.0;
            let ok = luck < f64::from(self.arrival[i]) && !plan.is_down(*at);
            if ok {
                let latency_ns = plan.latency_min_ns + plan.latency_jitter_ns * late;
                let arrived = *at + Span(latency_ns as i64);
                *at = *at + air;
                return Some(arrived);
            }
            *at = *at + air + pause;
            pause = Span(pause.0.saturating_mul(2));
        }
        None
    }

    /// Messages waiting in all queues.
    pub fn queued(&self) -> u64 {
        self.queue.iter().map(|q| q.len() as u64).sum()
    }

    pub fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        let i = lane as usize;
        bytes.extend(self.rng[i].clone().random::<u64>().to_le_bytes());
        bytes.extend(self.seq[i].to_le_bytes());
        bytes.extend(self.last_due[i].0.to_le_bytes());
        for m in &self.queue[i] {
            bytes.extend(m.seq.to_le_bytes());
            bytes.extend(&*m.payload);
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let lanes = size_of::<Rng>() + 4 + 8 + 8 + size_of::<VecDeque<Message>>() + 4;
        let queued: usize = self.queue.iter().map(|q| q.capacity() * size_of::<Message>()).sum();
        self.rng.capacity() * lanes + queued
    }
}

/// A message under way, ordered by (due, publisher, sequence).
#[derive(Debug, PartialEq, Eq)]
struct Flight(Message);

impl Flight {
    fn key(&self) -> (SimTime, u32, u64) {
        (self.0.due, self.0.publisher, self.0.seq)
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Messages between device and broker.
#[derive(bevy_ecs::prelude::Resource, Debug, Default)]
pub struct Air(BinaryHeap<Reverse<Flight>>);

impl Air {
    pub(crate) fn launch(&mut self, messages: impl IntoIterator<Item = Message>) {
        self.0.extend(messages.into_iter().map(|m| Reverse(Flight(m))));
    }

    /// Takes out what arrives before `until`.
    pub(crate) fn land(&mut self, until: SimTime, into: &mut Vec<Message>) {
        while self.0.peek().is_some_and(|Reverse(f)| f.0.due < until) {
            into.extend(self.0.pop().map(|Reverse(f)| f.0));
        }
    }

    pub(crate) fn hash(&self, hash: &mut StateHash) {
        for Reverse(Flight(m)) in &self.0 {
            let id = format!("air/{}/{}", m.publisher, m.seq);
            hash.add(&id, &[&m.due.0.to_le_bytes(), m.topic.as_bytes(), &m.payload].concat());
        }
    }

    /// Messages under way.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
