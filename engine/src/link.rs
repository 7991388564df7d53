//! Links: latency, loss, radio, store-and-forward.
//!
//! A message is tried up to `attempts` times, with a pause that doubles; what still fails waits in the device's queue and
//! goes first at its next message. A device's messages never overtake one another, as in one TCP connection. All outcomes
//! of a hand-over are drawn at once from the device's own stream, so a link costs nothing between messages.
//!
//! ```
//! use twinfleet_engine::{link::Radio, scenario::RadioDef};
//! let radio: RadioDef = ron::from_str("(tx_dbm: Some(0.0), distance_m: (1.0, 1.0))").unwrap();
//! let radio = Radio::new(&radio, None);
//! assert!(radio.reception(1.0, 0.0) > 0.999, "-40 dBm is far above -92 dBm");
//! assert!((radio.reception(10f64.powf(52.0 / 30.0), 0.0) - 0.5).abs() < 1e-9, "40 + 30 lg d = 92 dB");
//! ```
//!
//! A link with a catalog [`profile`] also has its airtime and duty cycle ([`duty`]), its longest payload, the cost of
//! joining, and what its radio draws; with access points or fading, devices roam ([`field`]). What a script finds of its network is its [`availability`].
//!
//! A device that stays on has joined the network before the run. One that loses it (a reset, a message that failed, another
//! access point, a sleep without the radio where the profile says so) joins before it sends again: its radio listens for `join`, as often
//! as the firmware tries a message, and gets in as often as a packet arrives. The firmware waits for that, as sketches do
//! that begin with `WiFi.begin()`: the time comes on top of `awake`, and what could not be sent stays in the queue for the
//! next wake.

pub mod availability;
pub mod duty;
pub mod field;
pub mod lora;
pub mod profile;

use self::{
    duty::Budget,
    field::{Field, path_loss_db},
    profile::{Hears, LinkProfileDef},
};
use crate::{
    catalog::{BoardDef, Catalog},
    message::Message,
    rng::{Rng, stream},
    scenario::{LinkDef, RadioDef, Scenario},
    time::{SimTime, Span},
    world::StateHash,
};
use rand::RngExt;
use rand_distr::{Exp1, StandardNormal};
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    sync::Arc,
};

/// Pause before the second attempt, doubled before each further one.
pub const RETRY_PAUSE: Span = Span(100_000_000);
/// Bytes around a payload: MQTT, TCP, IP and 802.11 headers, and the acknowledgement.
const OVERHEAD_BYTES: usize = 120;
/// Air time of a byte at 1 Mbit/s, the lowest 802.11 rate, which a node at the edge of its cell falls back to, [ns].
const BYTE_NS: i64 = 8_000;

/// Received power at which half the packets arrive where neither link nor profile says, [dBm] (FACTS "Radio").
pub const RSSI50_DBM: f64 = -92.0;

/// A link's radio with everything known of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Radio {
    /// Transmit power, [dBm].
    pub tx_dbm: f64,
    /// Received power at which half the packets arrive, [dBm].
    pub rssi50_dbm: f64,
    /// Loss at one metre, [dB].
    pub loss_1m_db: f64,
    /// Path-loss exponent.
    pub exponent: f64,
    /// Standard deviation of the shadowing, [dB].
    pub shadowing_db: f64,
    /// Nearest and farthest device, [m].
    pub distance_m: (f64, f64),
    /// Loss of a wall, [dB].
    pub wall_db: f64,
    /// Way that a wall adds, [m].
    pub wall_m: f64,
    /// Standard deviation of the fading, [dB].
    pub fading_db: f64,
    /// Its correlation time, [s].
    pub fading_tau_s: f64,
    /// By how much another access point must be stronger, [dB].
    pub hysteresis_db: f64,
}

impl Radio {
    /// The radio of a definition; what it leaves open comes from the link's profile.
    pub fn new(def: &RadioDef, profile: Option<&LinkProfileDef>) -> Self {
        let or = |own: Option<f64>, of: fn(&LinkProfileDef) -> f64, else_: f64| {
            own.or(profile.map(of)).unwrap_or(else_)
        };
        Self {
            // The checks want a power where there is no profile.
            tx_dbm: or(def.tx_dbm, |p| p.tx_dbm, 0.0),
            rssi50_dbm: or(def.rssi50_dbm, |p| p.rssi50_dbm, RSSI50_DBM),
            loss_1m_db: def.loss_1m_db,
            exponent: def.exponent,
            shadowing_db: def.shadowing_db,
            distance_m: def.distance_m,
            wall_db: def.wall_db,
            wall_m: def.wall_m,
            fading_db: def.fading_db,
            fading_tau_s: def.fading_tau.as_secs_f64(),
            hysteresis_db: def.hysteresis_db,
        }
    }

    /// Received power over `distance_m` with this much shadowing [dB], [dBm].
    pub fn rssi_dbm(&self, distance_m: f64, shadowing_db: f64) -> f64 {
        self.tx_dbm - path_loss_db(self.loss_1m_db, self.exponent, distance_m) + shadowing_db
    }

    /// Chance that a packet arrives over `distance_m` with this much shadowing [dB], 0–1.
    pub fn reception(&self, distance_m: f64, shadowing_db: f64) -> f64 {
        field::reception(self.rssi_dbm(distance_m, shadowing_db), self.rssi50_dbm)
    }
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
    radio: Option<Radio>,
    /// Walls to each access point, by the group's zones; empty where nothing fades and there is one access point.
    walls: Vec<Vec<u32>>,
    pub profile: Option<Arc<LinkProfileDef>>,
    down: Vec<(SimTime, SimTime)>,
    attempts: u32,
    capacity: usize,
    /// Of a device that loses its network as it falls asleep: how long it is awake.
    asleep: Option<Span>,
    /// Of a device whose radio sleeps between wakes: how long it is awake.
    dozes: Option<Span>,
    /// By how much the other side's transmit power is above the device's own, [dB].
    station_db: f64,
}

impl LinkPlan {
    /// The link with this definition (none: a perfect one) from devices with this board, and its outages in the timeline.
    pub fn new(
        scenario: &Scenario,
        catalog: &Catalog,
        link: Option<&LinkDef>,
        board: Option<&BoardDef>,
        zones: &[usize],
        (attempts, capacity): (u32, u32),
    ) -> Self {
        // A module beside the board is what the profile describes; else it is the board's own radio.
        let board = board.filter(|_| link.is_none_or(|l| l.module.is_none()));
        let profile = link.and_then(|l| catalog.links.get(l.profile.as_ref()?)).map(|p| p.on(board));
        let profile = profile.as_ref();
        let or = |own: Option<f64>, of: fn(&LinkProfileDef) -> f64| own.or(profile.map(of)).unwrap_or(0.0);
        let radio = link.and_then(|l| l.radio.as_ref());
        Self {
            latency_min_ns: or(link.and_then(|l| l.latency_min_ms), |p| p.latency_min_ms) * 1e6,
            latency_jitter_ns: or(link.and_then(|l| l.latency_jitter_ms), |p| p.latency_jitter_ms) * 1e6,
            arrival: 1.0 - or(link.and_then(|l| l.loss), |p| p.loss),
            radio: radio.map(|r| Radio::new(r, profile)),
            walls: radio.map_or_else(Vec::new, |r| walls_of(scenario, r, zones)),
            profile: profile.map(|p| Arc::new(p.clone())),
            down: availability::outages(scenario, link),
            attempts: attempts.max(1),
            capacity: capacity as usize,
            asleep: None,
            dozes: None,
            station_db: radio.map_or(0.0, |r| {
                let own_dbm = Radio::new(r, profile).tx_dbm;
                r.station_dbm.or(profile.and_then(|p| p.station_dbm)).map_or(0.0, |dbm| dbm - own_dbm)
            }),
        }
    }

    /// The same link of devices whose radio sleeps while they do, and that are awake for so long; none: they stay on.
    pub fn asleep(mut self, awake: Option<Span>) -> Self {
        self.dozes = awake;
        let lost = self.profile.as_ref().is_some_and(|p| p.lost_asleep && p.join.0 > 0);
        self.asleep = awake.filter(|_| lost);
        self
    }

    /// Time that a payload of so many bytes is on the air.
    pub fn air_time(&self, payload_bytes: usize) -> Span {
        match &self.profile {
            Some(p) => p.air.time(payload_bytes + p.overhead_bytes as usize),
            None => air_time(payload_bytes),
        }
    }

    /// Current of the radio while sending, on top of the running board's, where a profile says, [mA].
    pub fn tx_ma(&self) -> Option<f64> {
        self.profile.as_ref()?.tx_ma
    }

    /// Current of the radio while listening, on top of the running board's, [mA].
    pub fn rx_ma(&self) -> f64 {
        self.profile.as_ref().map_or(0.0, |p| p.rx_ma)
    }

    /// Whether the network tells the device what it has got.
    fn acknowledged(&self) -> bool {
        self.profile.as_ref().is_none_or(|p| p.acknowledged)
    }

    /// When a device that is on can be told something.
    pub fn hears(&self) -> Hears {
        self.profile.as_ref().map_or(Hears::Awake, |p| p.hears)
    }

    fn is_down(&self, t: SimTime) -> bool {
        self.down.iter().any(|(from, until)| *from <= t && t < *until)
    }
}

/// Walls from each of a group's zones to each access point of a radio that has several, or fades.
fn walls_of(scenario: &Scenario, radio: &RadioDef, zones: &[usize]) -> Vec<Vec<u32>> {
    if radio.access_points.is_empty() && radio.fading_db == 0.0 {
        return Vec::new();
    }
    let outside = scenario.world.zones.len();
    let at = |id: &String| scenario.world.zones.iter().position(|z| z.id == *id);
    let points: Vec<Vec<Option<u32>>> =
        radio.access_points.iter().map(|id| field::walls(scenario, at(id).unwrap_or(outside))).collect();
    let places = if zones.is_empty() { &[outside][..] } else { zones };
    let to_each = |zone: &usize| match points.as_slice() {
        [] => vec![0],
        // Where no way leads, the walls of the whole world are between.
        points => points.iter().map(|p| p[*zone].unwrap_or(outside as u32)).collect(),
    };
    places.iter().map(to_each).collect()
}

/// What a hand-over came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub sent: u64,
    pub dropped: u64,
    /// Sent into the air, and never received, of which the device knows nothing.
    pub lost: u64,
    pub transmissions: u64,
    pub air_ns: i64,
    /// Time that the radio listened: receive windows, joining.
    pub listen_ns: i64,
    /// Messages that the duty cycle has held back, and messages too long for the link.
    pub held_back: u64,
    pub too_long: u64,
    /// Joined, those that had lost the network otherwise than by falling asleep, and gone over to another access point.
    pub joins: u64,
    pub rejoins: u64,
    pub roams: u64,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.dropped += other.dropped;
        self.lost += other.lost;
        self.transmissions += other.transmissions;
        self.air_ns += other.air_ns;
        self.listen_ns += other.listen_ns;
        self.held_back += other.held_back;
        self.too_long += other.too_long;
        self.joins += other.joins;
        self.rejoins += other.rejoins;
        self.roams += other.roams;
    }
}

/// What became of a message that was tried.
enum Sent {
    /// It arrived, then.
    Arrived(SimTime),
    /// It did not, and nobody has told the device.
    Lost,
    /// The device has to try it again.
    Kept,
}

/// The radios of a cohort.
#[derive(Debug, Default)]
pub(crate) struct Radios {
    rng: Vec<Rng>,
    arrival: Vec<f32>,
    /// Received power as of the device's last transmission, [dBm]; empty where the link is no radio.
    rssi_dbm: Vec<f32>,
    /// The device's next sequence number.
    pub seq: Vec<u64>,
    last_due: Vec<SimTime>,
    queue: Vec<VecDeque<Message>>,
    /// Messages dropped since the queue was last empty.
    dropping: Vec<u32>,
    /// Received power, where it varies.
    field: Option<Field>,
    /// What only links with a profile have; empty without.
    modems: Vec<Modem>,
    /// When a device and its network last met.
    met: Vec<SimTime>,
}

/// A device's modem: its airtime, and whether it has joined the network.
#[derive(Debug)]
struct Modem {
    budget: Budget,
    joined: bool,
    /// Whether it has lost the network otherwise than by falling asleep, and has not joined since.
    lost: bool,
    /// It is awake until then, where sleep ends what it has joined.
    awake_until: SimTime,
    /// When it last tried in vain.
    failed: SimTime,
    /// Its last transmission and listening are over.
    free: SimTime,
    /// Whether the last message was held back by the duty cycle.
    holds_back: bool,
    /// Whether a message has been too long.
    told_long: bool,
}

impl Modem {
    /// The network is gone while it was awake.
    fn lose(&mut self) {
        (self.joined, self.lost) = (false, true);
    }
}

impl Radios {
    /// Adds the next lane's device; where it stands comes from the stream `link/place`, what befalls its messages from
    /// `link/channel`.
    pub fn add(&mut self, plan: &LinkPlan, zone: u16, seed: u64, device: &str) {
        let mut arrival = plan.arrival;
        if let (Some(radio), Some(walls)) = (&plan.radio, plan.walls.get(zone as usize)) {
            let rssi_dbm = self.field.get_or_insert_default().add(radio, walls, seed, device);
            self.rssi_dbm.push((rssi_dbm + plan.station_db) as f32);
        } else if let Some(radio) = &plan.radio {
            let mut place = stream(seed, device, "link/place");
            let u: f64 = place.random();
            let shadowing: f64 = place.sample(StandardNormal);
            let distance_m = radio.distance_m.0 + (radio.distance_m.1 - radio.distance_m.0) * u;
            arrival *= radio.reception(distance_m, radio.shadowing_db * shadowing);
            let rssi_dbm = radio.rssi_dbm(distance_m, radio.shadowing_db * shadowing);
            self.rssi_dbm.push((rssi_dbm + plan.station_db) as f32);
        }
        self.rng.push(stream(seed, device, "link/channel"));
        self.arrival.push(arrival as f32);
        self.seq.push(0);
        self.last_due.push(SimTime::ZERO);
        self.queue.push(VecDeque::new());
        self.dropping.push(0);
        self.met.push(SimTime(i64::MIN));
        if plan.profile.is_some() {
            let modem = Modem {
                budget: Budget::default(),
                joined: plan.asleep.is_none(),
                lost: false,
                awake_until: SimTime::ZERO,
                failed: SimTime(i64::MIN),
                free: SimTime::ZERO,
                holds_back: false,
                told_long: false,
            };
            self.modems.push(modem);
        }
    }

    /// A device has been carried to another of its group's places: it stands as far from that one's access points as it stood from
    /// the old one's, behind other walls.
    pub fn carry(&mut self, lane: usize, plan: &LinkPlan, place: usize, seed: u64, device: &str) {
        if let (Some(field), Some(radio), Some(walls)) = (&mut self.field, &plan.radio, plan.walls.get(place))
        {
            field.carry(lane, radio, walls, seed, device);
        }
    }

    /// The board was reset: what waits is lost, and so is the network. How many messages that were.
    pub fn reset(&mut self, lane: u16) -> u64 {
        let i = lane as usize;
        let lost = self.queue[i].len() as u64;
        self.queue[i].clear();
        self.dropping[i] = 0;
        if let Some(modem) = self.modems.get_mut(i) {
            modem.lose();
        }
        lost
    }

    /// A device is awake for what its network has for it.
    pub fn meet(&mut self, lane: u16, t: SimTime, plan: &LinkPlan) {
        if !plan.is_down(t) && self.has_joined(lane) {
            self.met[lane as usize] = self.modems.get(lane as usize).map_or(t, |m| m.free.max(t));
        }
    }

    fn has_joined(&self, lane: u16) -> bool {
        self.modems.get(lane as usize).is_none_or(|m| m.joined)
    }

    /// Whether a device that is on hears what was sent to it between `since` and now. Of one that is told things only after
    /// its own messages: whether it may be told one.
    pub fn hears(&self, lane: u16, plan: &LinkPlan, since: SimTime, now: SimTime) -> bool {
        let met = self.met[lane as usize];
        match (plan.hears(), plan.dozes) {
            (Hears::Never, _) => false,
            (Hears::AfterSending, _) => since <= met && met < now,
            (Hears::Awake, None) => !plan.is_down(now) && self.has_joined(lane),
            (Hears::Awake, Some(awake)) => SimTime::ZERO <= met && met < now && since <= met + awake,
        }
    }

    /// Whether a message down to a device arrives, where nobody would say so.
    pub fn arrives(&mut self, lane: u16, plan: &LinkPlan) -> bool {
        let i = lane as usize;
        plan.acknowledged() || self.rng[i].random::<f64>() < f64::from(self.arrival[i])
    }

    /// Before sending what is handed over at `sent`: the received power as it is then, and the network joined where it is not,
    /// which takes its time.
    pub fn join(&mut self, lane: u16, sent: SimTime, plan: &LinkPlan, tally: &mut Tally) {
        let i = lane as usize;
        self.look_around(i, plan, sent, tally);
        let (Some(modem), Some(profile)) = (self.modems.get_mut(i), &plan.profile) else { return };
        if plan.asleep.is_some() && sent > modem.awake_until {
            modem.joined = false;
        }
        if modem.failed == sent {
            return;
        }
        let mut at = sent.max(modem.free);
        for _ in 0..plan.attempts {
            if modem.joined {
                break;
            }
            // It listens as long for a network that is not there. Its frames are sent again like any: it gets in as often
            // as a packet does.
            let there = !plan.is_down(at);
            tally.listen_ns += profile.join.0;
            at = at + profile.join;
            let free = profile.join.0 == 0;
            modem.joined = there && (free || self.rng[i].random::<f64>() < f64::from(self.arrival[i]));
            if modem.joined {
                tally.joins += 1;
                tally.rejoins += u64::from(std::mem::take(&mut modem.lost));
            }
        }
        if !modem.joined {
            modem.failed = sent;
        }
        modem.free = at;
        modem.awake_until = modem.awake_until.max(at).max(sent + plan.asleep.unwrap_or_default());
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
        if self.refuses(i, &message, plan, tally) {
            return false;
        }
        self.queue[i].push_back(message);
        self.join(lane, at, plan, tally);
        // What needs no joining is sent into the air, whoever listens.
        let free = plan.profile.as_ref().is_none_or(|p| p.join.0 == 0);
        let joined = free || self.modems.get(i).is_none_or(|m| m.joined);
        at = self.modems.get(i).map_or(at, |m| m.free.max(at));
        while let Some(first) = self.queue[i].front().filter(|_| joined) {
            let air = plan.air_time(first.payload.len());
            let from = at;
            let due = match self.transmit(i, plan, &mut at, air, tally) {
                Sent::Arrived(arrived) => Some(arrived.max(self.last_due[i])),
                Sent::Lost => None,
                Sent::Kept => break,
            };
            let Some(mut message) = self.queue[i].pop_front() else { break };
            let Some(due) = due else { continue };
            self.last_due[i] = due;
            self.met[i] = from;
            message.due = due;
            out.push(message);
        }
        if let Some(modem) = self.modems.get_mut(i) {
            modem.free = at;
            modem.awake_until = modem.awake_until.max(at);
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

    /// Tries one message from `at` on, which moves past the tries.
    fn transmit(
        &mut self,
        i: usize,
        plan: &LinkPlan,
        at: &mut SimTime,
        air: Span,
        tally: &mut Tally,
    ) -> Sent {
        let mut pause = RETRY_PAUSE;
        for _ in 0..plan.attempts {
            if !self.may_send(i, plan, *at, air, tally) {
                return Sent::Kept;
            }
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
                self.listen(plan, at, tally);
                return Sent::Arrived(arrived);
            }
            if !plan.acknowledged() {
                *at = *at + air;
                self.listen(plan, at, tally);
                tally.lost += 1;
                return Sent::Lost;
            }
            *at = *at + air + pause;
            self.listen(plan, at, tally);
            pause = Span(pause.0.saturating_mul(2));
        }
        // A connection that fails is built anew.
        if let Some(modem) = self.modems.get_mut(i) {
            modem.lose();
        }
        Sent::Kept
    }

    /// Whether a message is too long for the link; it is dropped then.
    fn refuses(&mut self, i: usize, message: &Message, plan: &LinkPlan, tally: &mut Tally) -> bool {
        let most = plan.profile.as_ref().and_then(|p| p.max_payload_bytes);
        let long = most.is_some_and(|most| message.payload.len() > most as usize);
        if let (true, Some(modem)) = (long, self.modems.get_mut(i)) {
            tally.dropped += 1;
            tally.too_long += u64::from(!std::mem::replace(&mut modem.told_long, true));
        }
        long
    }

    /// The received power as it is now; a stronger access point has to be joined.
    fn look_around(&mut self, i: usize, plan: &LinkPlan, at: SimTime, tally: &mut Tally) {
        let (Some(field), Some(radio)) = (&mut self.field, &plan.radio) else { return };
        let (rssi_dbm, roamed) = field.look(i, radio, at);
        self.rssi_dbm[i] = (rssi_dbm + plan.station_db) as f32;
        self.arrival[i] = (plan.arrival * field::reception(rssi_dbm, radio.rssi50_dbm)) as f32;
        if roamed {
            tally.roams += 1;
            self.modems.iter_mut().skip(i).take(1).for_each(Modem::lose);
        }
    }

    /// Whether the duty cycle allows a transmission now.
    fn may_send(&mut self, i: usize, plan: &LinkPlan, at: SimTime, air: Span, tally: &mut Tally) -> bool {
        let share = plan.profile.as_ref().and_then(|p| p.duty_cycle);
        let (Some(share), Some(modem)) = (share, self.modems.get_mut(i)) else { return true };
        let may = modem.budget.take(at, air, share);
        tally.held_back += u64::from(!may && !modem.holds_back);
        modem.holds_back = !may;
        may
    }

    /// After a transmission the radio listens.
    fn listen(&self, plan: &LinkPlan, at: &mut SimTime, tally: &mut Tally) {
        if let Some(profile) = &plan.profile {
            tally.listen_ns += profile.listen.0;
            *at = *at + profile.listen;
        }
    }

    /// Power that a device receives as of its last transmission, [dBm]: what its modem would say. None: the link is no radio.
    pub fn rssi_dbm(&self, lane: u16) -> Option<f64> {
        self.rssi_dbm.get(lane as usize).copied().map(f64::from)
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
        bytes.extend(self.met[i].0.to_le_bytes());
        for m in &self.queue[i] {
            bytes.extend(m.seq.to_le_bytes());
            bytes.extend(&*m.payload);
        }
        if let Some(field) = &self.field {
            field.hash_into(i, bytes);
        }
        if let Some(modem) = self.modems.get(i) {
            bytes.push(u8::from(modem.joined));
            bytes.extend(modem.awake_until.0.to_le_bytes());
            bytes.extend(modem.free.0.to_le_bytes());
            bytes.extend(modem.budget.used().0.to_le_bytes());
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let modems: usize = self.modems.iter().map(|m| size_of::<Modem>() + m.budget.bytes()).sum();
        let field = self.field.as_ref().map_or(0, Field::bytes);
        let lanes = size_of::<Rng>() + 4 + 4 + 8 + 8 + size_of::<VecDeque<Message>>() + 4;
        let queued: usize = self.queue.iter().map(|q| q.capacity() * size_of::<Message>()).sum();
        self.rng.capacity() * lanes + queued + modems + field
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

#[cfg(test)]
mod tests;
