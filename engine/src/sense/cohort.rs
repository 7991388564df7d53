//! A cohort: up to 1,024 devices of one group, their parts in structure-of-arrays banks.

mod faults;
mod group;
mod supply;

pub(crate) use group::Group;

use super::{
    bank::{Bank, Batch, Scratch, elapsed_s},
    convert::Converter,
    fault::reach::TimelineFault,
};
use crate::{
    actuate::{ActuatorBank, Drawn},
    carry::Moved,
    clock::Timekeepers,
    dialect::Speaker,
    firmware::program::Rests,
    firmware::{
        calendar::{Start, Wakes},
        outage::{Board, Feels, Outage},
    },
    link::{Radios, Tally},
    local::processor::Processors,
    message::Message,
    mirror::physical::voice,
    plan::{GroupPlan, Plan},
    power::{Batteries, bank::Packs, life::BATCHES, solar::Insolation},
    time::{SimTime, Span},
    world::{Clock, Event, Row, Truth, TruthId, Watch},
};
use bevy_ecs::prelude::*;
use faults::{Exchange, Hang};
use std::sync::Arc;

/// Devices of a cohort at most. Fixed, so that nothing depends on the thread count; a cohort's hot state fits into a
/// core's second-level cache.
pub const COHORT: usize = 1024;

/// Devices read together: their lines of all stages fit into a core's first-level cache.
pub(super) const BATCH: usize = 64;

/// Odd, with its bits spread evenly: mixes a reading into a trace.
const TRACE_FACTOR: u64 = 0x517c_c1b7_2722_0a95;

/// A wake that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub t_ns: i64,
    /// The device's wakes before this one.
    pub count: u32,
    pub lane: u16,
}

impl Due {
    /// Seconds since the start of the run.
    #[inline]
    pub fn t_s(self) -> f64 {
        self.t_ns as f64 * 1e-9
    }
}

/// What a cohort reads of the world when it wakes.
pub(super) struct Surroundings<'a> {
    pub clock: &'a Clock,
    pub truth: &'a Truth,
    pub watch: &'a Watch,
    pub banks: &'a [&'a ActuatorBank],
    pub light: Option<&'a Insolation>,
    pub processors: Option<&'a Processors>,
    pub rests: Option<&'a Rests>,
}

/// What a group's devices draw beside their board's stated currents: actuators, and a processor at work.
#[derive(Clone, Copy)]
struct Draws<'a> {
    bank: Option<&'a ActuatorBank>,
    processors: Option<&'a Processors>,
    rests: Option<&'a Rests>,
    group: usize,
}

impl Draws<'_> {
    fn any(&self) -> bool {
        self.bank.is_some() || self.processors.is_some() || self.rests.is_some()
    }

    /// Taken until an instant and being taken now; less what a script rested meanwhile.
    fn drawn(&self, index: u32, t: SimTime) -> Drawn {
        let mut drawn = self.bank.map_or_else(Drawn::default, |b| b.drawn(index));
        let (more_mah, more_ma) = self.processors.map_or((0.0, 0.0), |p| p.more(self.group, index));
        let saved_mah = self.rests.map_or(0.0, |r| r.saved_mah((self.group, index), t));
        drawn.rail = (drawn.rail.0 + more_mah - saved_mah, drawn.rail.1 + more_ma);
        drawn
    }
}

/// What a cohort is made from.
pub(super) struct Blueprint<'a> {
    pub plan: &'a Plan,
    pub planned: &'a GroupPlan,
    pub group: Arc<Group>,
    pub faults: &'a [TimelineFault],
}

/// Up to [`COHORT`] devices of one group.
#[derive(Component, Debug)]
pub struct Cohort {
    /// Place in the run's order of cohorts.
    pub(crate) order: u32,
    /// Ordinal of its first device.
    pub(crate) first: u32,
    pub(crate) group: Arc<Group>,
    /// Index within the group, by lane; lanes are in the order of their devices' first wakes.
    pub(crate) index: Vec<u32>,
    /// Index into the group's zones, by lane.
    pub(crate) place: Vec<u16>,
    pub(crate) wakes: Wakes,
    pub(crate) banks: Vec<Bank>,
    /// Voltage and current of the devices' supplies at their last wake, [V, mA]; empty where no part looks at them.
    supply: Vec<(f64, f64)>,
    /// Readings that are exchanged, and buses that hang or will.
    exchanges: Vec<Exchange>,
    hangs: Vec<Hang>,
    pub(crate) batteries: Option<Batteries>,
    pub(crate) packs: Option<Packs>,
    /// What has gone wrong, by lane; empty where there are no packs.
    pub(crate) outages: Vec<Outage>,
    pub(crate) keepers: Option<Timekeepers>,
    /// Temperature by the group's zones, where packs or clocks feel it; light, where panels do.
    pub(crate) climate: Vec<TruthId>,
    pub(crate) sun: Vec<usize>,
    pub(crate) radios: Option<Radios>,
    /// Topics by publish and lane.
    pub(crate) topics: Vec<Vec<Arc<str>>>,
    /// Voices by publish and lane, where that publish is in a dialect; else the inner list is empty.
    pub(crate) speakers: Vec<Vec<Option<Speaker>>>,
    /// Wakes and readings of this tick, kept only where the firmware publishes them; `values[channel · due + k]`.
    pub(crate) due: Vec<Due>,
    pub(crate) values: Vec<f64>,
    /// Messages of this tick: composed, then with `due` set.
    pub(crate) composed: Vec<(u16, Message)>,
    pub(crate) leaving: Vec<Message>,
    /// Devices that met their network in this tick only to hear.
    pub(crate) listening: Vec<(u16, SimTime)>,
    pub(crate) tally: Tally,
    pub(crate) rows: Vec<Row>,
    pub(crate) events: Vec<Event>,
    pub(crate) readings: u64,
    pub(crate) brown_outs: u64,
    /// Boards that were reset or run again in this tick.
    pub(crate) boards: Vec<Board>,
    pub(crate) clock_sets: u64,
    pub(crate) watched: bool,
}

impl Cohort {
    /// The cohort of these devices of a group. Labels of the faults that concern it go to `labels`.
    pub(super) fn new(
        order: u32,
        blueprint: Blueprint,
        index: &[u32],
        truth: &mut Truth,
        light: &mut Insolation,
        labels: &mut Vec<Event>,
    ) -> Self {
        let Blueprint { plan, planned, group, faults } = blueprint;
        let firmware = planned.firmware.as_ref();
        let jitter = firmware.map_or(Span::ZERO, |f| f.jitter);
        let mut banks = Vec::with_capacity(group.channels.len());
        for c in &group.channels {
            let cross = c.def.cross.iter().map(|x| group.places(truth, &x.quantity)).collect();
            let places = group.places(truth, &c.def.quantity);
            let rise = c.def.self_heating * group.duty;
            let bank = Bank::new(&c.def, c.min_interval, rise, places, cross);
            let analog = c.analog.as_ref();
            let converter = analog.map(|a| Converter::new(a.law, &a.adc, a.logic_v, a.share, a.own_supply));
            banks.push(bank.behind(converter).out_of(c.outlet).in_line(c.supply).warming(c.warm_up));
        }
        let feels = group.pack.is_some() || group.clock.is_some();
        let climate = if feels { group.places(truth, "temperature") } else { Vec::new() };
        let shines = group.pack.as_ref().is_some_and(|p| p.solar.is_some());
        let sun = if shines { group.places(truth, "illuminance") } else { Vec::new() };
        let sun = sun.into_iter().map(|id| light.place(id)).collect();
        let batch = Span(plan.scenario.duration.0 / BATCHES);
        let board = planned.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b));
        let clock_ppm = board.map_or(0.0, |b| b.clock_ppm);
        let start = |i: &u32| {
            let id = group.device_id(*i);
            let start = Start::draw(plan.seed, &id, clock_ppm);
            group.sleep_clock.map_or(start, |clock| start.asleep(plan.seed, &id, clock))
        };
        let mut starts: Vec<(Start, u32)> = index.iter().map(|i| (start(i), *i)).collect();
        // Devices that wake together lie together: what is due in a tick is then a run of lines, not a scatter of them.
        starts.sort_by(|(a, i), (b, j)| a.phase.total_cmp(&b.phase).then(i.cmp(j)));
        let index: Vec<u32> = starts.iter().map(|(_, i)| *i).collect();
        let mut cohort = Self {
            order,
            first: group.first + index.iter().min().copied().unwrap_or_default(),
            place: index.iter().map(|i| (*i as usize % group.homes) as u16).collect(),
            wakes: Wakes::new(index.len(), firmware.map(|f| f.period), jitter, plan.scenario.step),
            banks,
            supply: if group.looks_at_supply { vec![(0.0, 0.0); index.len()] } else { Vec::new() },
            exchanges: Vec::new(),
            hangs: Vec::new(),
            batteries: group.supply.is_some().then(|| Batteries::new(batch)),
            packs: group.pack.is_some().then(|| Packs::new(batch)),
            outages: Vec::new(),
            keepers: group.clock.is_some().then(Timekeepers::default),
            climate,
            sun,
            radios: group.has_radio.then(Radios::default),
            topics: vec![Vec::new(); group.publish.len()],
            speakers: group.publish.iter().map(|_| Vec::new()).collect(),
            due: Vec::new(),
            values: Vec::new(),
            composed: Vec::new(),
            leaving: Vec::new(),
            listening: Vec::new(),
            tally: Tally::default(),
            rows: Vec::new(),
            events: Vec::new(),
            readings: 0,
            brown_outs: 0,
            boards: Vec::new(),
            clock_sets: 0,
            watched: false,
            index,
            group,
        };
        for (lane, (start, i)) in starts.into_iter().enumerate() {
            let id = cohort.group.device_id(i);
            cohort.wakes.add(plan.seed, &id, start);
            if let (Some(keepers), Some(clock)) = (&mut cohort.keepers, &cohort.group.clock) {
                keepers.add(clock, plan.seed, &id, f64::from(start.ppm));
            }
            cohort.add_device(plan.seed, &id, lane as u16, truth);
            for fault in faults.iter().filter(|f| f.hits_device(&id)) {
                cohort.add_fault((plan.seed, &id), lane as u16, fault, truth, labels);
            }
        }
        cohort
    }

    fn add_device(&mut self, seed: u64, id: &str, lane: u16, truth: &Truth) {
        for (bank, c) in self.banks.iter_mut().zip(&self.group.channels) {
            let own = truth.find(&format!("part/{id}/{}/{}", c.part, c.def.quantity));
            bank.add(seed, id, &c.name.replacen('.', "/", 1), &c.def, own);
            if let Some(converter) = bank.converter() {
                converter.add(seed, id);
            }
        }
        if let (Some(batteries), Some(supply)) = (&mut self.batteries, &self.group.supply) {
            batteries.add(supply, seed, id);
        }
        if let (Some(packs), Some(pack)) = (&mut self.packs, &self.group.pack) {
            packs.add(pack, seed, id);
            self.outages.push(Outage::default());
        }
        if let Some(radios) = &mut self.radios {
            radios.add(&self.group.link, self.place[lane as usize], seed, id);
        }
        let zone = self.group.home(self.index[lane as usize]);
        for (p, (topics, publish)) in self.topics.iter_mut().zip(&self.group.publish).enumerate() {
            let topic = publish.def.topic.replace("{device}", id).replace("{zone}", zone);
            if let Some((dialects, signals)) = &publish.spoken {
                let voice = voice(&publish.def, &topic, id, signals, dialects);
                self.speakers[p].push(voice.and_then(Result::ok).map(Speaker::new));
            }
            topics.push(topic.into());
        }
    }

    /// A device of the cohort, if it is one, has been carried to another of the group's places.
    pub(super) fn carry(&mut self, moved: &Moved<'_>, light: Option<&Insolation>, now: SimTime) {
        let (group, index) = moved.at;
        let Some(lane) = self.index.iter().position(|i| *i == index).filter(|_| self.group.number == group)
        else {
            return;
        };
        let Some(to) = self.group.zones.iter().position(|z| z == moved.name) else { return };
        let from = usize::from(std::mem::replace(&mut self.place[lane], to as u16));
        if let (Some(packs), Some(light), Some((a, b))) =
            (&mut self.packs, light, self.sun.get(from).zip(self.sun.get(to)))
        {
            // Its panel has taken the one place's light until now, and takes the other's from now on.
            packs.shift_light(lane, light.fallen_j_m2(*b, now) - light.fallen_j_m2(*a, now));
        }
        if let Some(radios) = &mut self.radios {
            radios.carry(lane, &self.group.link, to, moved.seed, moved.device);
        }
    }

    /// Id and voice of the device with this ordinal, if it is one of the cohort's.
    pub(crate) fn speaker_of(&self, ordinal: u32) -> Option<(String, Option<&Speaker>)> {
        let lane = usize::from(self.lane_of(ordinal)?);
        let speaker = self.speakers.iter().find_map(|s| s.get(lane)?.as_ref());
        Some((self.group.device_id(self.index[lane]), speaker))
    }

    /// The voice of the device with this ordinal, if it is one of the cohort's and has one.
    pub(crate) fn speaker_mut(&mut self, ordinal: u32) -> Option<&mut Speaker> {
        let lane = usize::from(self.lane_of(ordinal)?);
        self.speakers.iter_mut().find_map(|s| s.get_mut(lane)?.as_mut())
    }

    /// Looks up whether any of its signals is watched.
    pub(crate) fn look_up(&mut self, watch: &Watch) {
        let wants =
            |i: &u32| (0..self.group.signal_stride as usize).any(|c| watch.wants(self.group.signal(*i, c)));
        self.watched = self.index.iter().any(wants);
    }

    /// Wakes the devices that are due, drains their batteries and reads their parts.
    pub(super) fn sample(&mut self, world: &Surroundings<'_>, scratch: &mut Scratch) {
        let Surroundings { truth, watch, .. } = *world;
        for bank in &mut self.banks {
            bank.follow(world.clock.now, &self.place, truth);
        }
        self.wake(world, scratch);
        if !self.hangs.is_empty() {
            self.end_hangs(world.clock.next);
        }
        scratch.values.clear();
        if scratch.due.is_empty() {
            self.due.clear();
            self.values.clear();
            return;
        }
        let due = std::mem::take(&mut scratch.due);
        let dt_s = std::mem::take(&mut scratch.dt_s);
        let mut values = std::mem::take(&mut scratch.values);
        values.resize(self.banks.len() * due.len(), 0.0);
        for start in (0..due.len()).step_by(BATCH) {
            let range = start..(start + BATCH).min(due.len());
            let some = &due[range.clone()];
            let batch =
                Batch { due: some, dt_s: &dt_s[range], place: &self.place, supply: &self.supply, input: &[] };
            scratch.decays.clear();
            let through = &self.group.through;
            for (c, bank) in self.banks.iter_mut().enumerate() {
                if through.iter().any(|(_, input)| *input == c) {
                    continue;
                }
                let first = c * due.len() + start;
                let out = &mut values[first..first + some.len()];
                bank.sample(batch, truth, scratch, out);
                for (v, d) in out.iter().zip(some) {
                    let trace = &mut self.wakes.clocks[d.lane as usize].trace;
                    *trace = (trace.rotate_left(5) ^ v.to_bits()).wrapping_mul(TRACE_FACTOR);
                }
            }
            for (part, input) in through {
                let [at, into] = [part, input].map(|c| c * due.len() + start);
                let mut put = [0.0; BATCH];
                put[..some.len()].copy_from_slice(&values[at..at + some.len()]);
                let driven = Batch { input: &put[..some.len()], ..batch };
                self.banks[*input].sample(driven, truth, scratch, &mut values[into..into + some.len()]);
                let mut read = [0.0; BATCH];
                read[..some.len()].copy_from_slice(&values[into..into + some.len()]);
                self.banks[*part].made_of(&read[..some.len()], &mut values[at..at + some.len()]);
                for (v, d) in read.iter().zip(some) {
                    let trace = &mut self.wakes.clocks[d.lane as usize].trace;
                    *trace = (trace.rotate_left(5) ^ v.to_bits()).wrapping_mul(TRACE_FACTOR);
                }
            }
            if !self.exchanges.is_empty() {
                self.exchange(some, start, due.len(), &mut values);
            }
        }
        self.readings += (due.len() * self.banks.len()) as u64;
        if self.watched {
            self.emit(&due, &values, watch);
        }
        if !self.group.publish.is_empty() {
            self.due.clone_from(&due);
            self.values.clone_from(&values);
        }
        scratch.values = values;
        scratch.due = due;
        scratch.dt_s = dt_s;
    }

    /// Fills `scratch.due` by lane, then time.
    fn wake(&mut self, world: &Surroundings<'_>, scratch: &mut Scratch) {
        let clock = world.clock;
        let bank = world.banks.iter().find(|b| b.group == self.group.number).copied();
        let draws =
            Draws { bank, processors: world.processors, rests: world.rests, group: self.group.number };
        let feels = Feels { truth: world.truth, watch: world.watch, light: world.light };
        scratch.due.clear();
        scratch.dt_s.clear();
        let mut marks = [0u64; COHORT / 64];
        self.wakes.drain(clock.next, &mut marks);
        for (word, mark) in marks.into_iter().enumerate() {
            let mut rest = mark;
            while rest != 0 {
                let lane = (word * 64) as u16 + rest.trailing_zeros() as u16;
                rest &= rest - 1;
                self.wake_device(lane, clock.next, feels, draws, scratch);
            }
        }
    }

    #[inline]
    fn wake_device(
        &mut self,
        lane: u16,
        until: SimTime,
        feels: Feels<'_>,
        draws: Draws<'_>,
        scratch: &mut Scratch,
    ) {
        let i = lane as usize;
        if let (Some(batteries), true) = (&mut self.batteries, draws.any()) {
            let t = SimTime(self.wakes.clocks[i].next_ns);
            batteries.take_actuators(lane, draws.drawn(self.index[i], t).rail);
        }
        while self.wakes.clocks[i].next_ns < until.0 {
            let clock = &self.wakes.clocks[i];
            let (t_ns, count) = (clock.next_ns, clock.count);
            let dt_s = elapsed_s(clock.last_ns, t_ns);
            if self.keepers.is_some() {
                self.keep_time(lane, SimTime(t_ns), feels.truth);
            }
            if self.batteries.is_some() && !self.drain(lane, t_ns, dt_s, feels.watch) {
                self.wakes.switch_off(lane);
                return;
            }
            if self.packs.is_some() {
                let drawn = draws.drawn(self.index[i], SimTime(t_ns));
                if let Err(next) = self.wake_pack(lane, SimTime(t_ns), feels, drawn) {
                    self.wakes.clocks[i].next_ns = next.0;
                    continue;
                }
            }
            self.look_at_supply(lane, draws);
            if self.watched {
                self.emit_rssi(lane, SimTime(t_ns), feels.watch);
            }
            if self.group.wakes_to_hear {
                self.listening.push((lane, SimTime(t_ns)));
            }
            scratch.due.push(Due { t_ns, count, lane });
            scratch.dt_s.push(dt_s);
            self.wakes.advance(lane);
        }
        self.wakes.schedule(lane);
    }

    /// Voltage and current of a device's supply, for the parts that look at it: both at one place, a battery's terminals, or
    /// the board's input on the mains.
    fn look_at_supply(&mut self, lane: u16, draws: Draws<'_>) {
        let i = lane as usize;
        if self.supply.is_empty() {
            return;
        }
        self.supply[i] = self.supply_now(lane, draws.drawn(self.index[i], SimTime::ZERO).rail.1);
    }

    /// Rows of the watched readings, stamped when their conversion is done.
    fn emit(&mut self, due: &[Due], values: &[f64], watch: &Watch) {
        for (k, d) in due.iter().enumerate() {
            let index = self.index[d.lane as usize];
            for (c, channel) in self.group.channels.iter().enumerate() {
                let (signal, value) = (self.group.signal(index, c), values[c * due.len() + k]);
                if watch.wants(signal) && !value.is_nan() {
                    self.rows.push(Row { t: SimTime(d.t_ns) + channel.conversion, signal, value });
                }
            }
        }
    }

    /// Whether what was sent to a device between `since` and now is heard.
    pub(crate) fn hears(&self, lane: u16, since: SimTime, now: SimTime) -> bool {
        let met = |r: &Radios| r.hears(lane, &self.group.link, since, now);
        self.wakes.is_on(lane) && !self.is_down(lane) && self.radios.as_ref().is_none_or(met)
    }

    /// Whether a message down to a device arrives, where its link does not say so.
    pub(crate) fn arrives(&mut self, lane: u16) -> bool {
        let group = &self.group;
        self.radios.as_mut().is_none_or(|r| r.arrives(lane, &group.link))
    }

    /// Lane of the device with this ordinal.
    pub(crate) fn lane_of(&self, ordinal: u32) -> Option<u16> {
        let index = ordinal.checked_sub(self.group.first)?;
        self.index.iter().position(|i| *i == index).map(|lane| lane as u16)
    }

    /// Everything of a lane that decides its future, and a trace of every reading it has given.
    pub(crate) fn hash_into(&self, lane: u16, bytes: &mut Vec<u8>) {
        self.wakes.hash_into(lane, bytes);
        for bank in &self.banks {
            bank.hash_into(lane, bytes);
        }
        if let Some(batteries) = &self.batteries {
            batteries.hash_into(lane, bytes);
        }
        if let Some(packs) = &self.packs {
            packs.hash_into(lane, bytes);
            self.outages[lane as usize].hash_into(bytes);
        }
        if let Some(keepers) = &self.keepers {
            keepers.hash_into(lane, bytes);
        }
        if let Some(radios) = &self.radios {
            radios.hash_into(lane, bytes);
        }
    }

    /// Number of devices.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether it has no device.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes held, [B]: states, calendars, queues and the tick's buffers.
    pub fn bytes(&self) -> usize {
        let lanes = self.index.capacity() * 4 + self.place.capacity() * 2;
        let buffers = self.due.capacity() * size_of::<Due>()
            + self.values.capacity() * 8
            + self.composed.capacity() * size_of::<(u16, Message)>()
            + self.leaving.capacity() * size_of::<Message>()
            + self.rows.capacity() * size_of::<Row>();
        let topics =
            self.topics.iter().flatten().map(|t| size_of::<Arc<str>>() + 16 + t.len()).sum::<usize>();
        size_of::<Self>()
            + lanes
            + buffers
            + topics
            + self.wakes.bytes()
            + self.banks.iter().map(Bank::bytes).sum::<usize>()
            + self.batteries.as_ref().map_or(0, Batteries::bytes)
            + self.radios.as_ref().map_or(0, Radios::bytes)
            + self.packs.as_ref().map_or(0, Packs::bytes)
            + self.outages.capacity() * size_of::<Outage>()
            + self.keepers.as_ref().map_or(0, Timekeepers::bytes)
    }
}
