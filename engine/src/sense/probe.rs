//! One part's pipelines apart from its cohort: what stands before its converter at any instant that somebody asks about. A
//! register-level part quantises that by itself.
//!
//! The unit is the same as the device's own part: it drew the same gain, bias and drift, and the same faults befall it,
//! exchanged readings ([`crate::scenario::Action::Swap`]) among them. Its noise comes from streams of its own
//! (`probe/<part>/<quantity>`), so that asking changes nothing of the run; how much of it there is may be said with
//! [`Asking`]. Range, step and conversion time are the part's business, and so is what an analogue pin would do to it: they
//! are left out here, but for an input that ends at its supply; what faults do at that pin is told by [`Probe::at_pin`].
//!
//! [`Probe::look`] is called once a tick, when the world's truth is written; between two looks [`Probe::read`] answers for
//! any instant of that tick, and later ones with the tick's last truth. [`Probe::feed`] tells it of its device's supply,
//! where a part looks at that.
//!
//! ```
//! use std::{path::PathBuf, sync::Arc};
//! use twinfleet_engine::{catalog::Catalog, plan::Plan, scenario::Scenario, sense::probe::Probe, time::{SimTime, Span}, world::Truth};
//! let sensor = ron::from_str(r#"(format: 1, name: "s", source: "none", bus: I2c([8]), active_ma: 0, channels: [
//!     (quantity: "temperature", unit: "degC", range: (-40, 85), lsb: 1, tau_s: 10)])"#).unwrap();
//! let mut catalog = Catalog::default();
//! catalog.sensors.insert("s".to_owned(), sensor);
//! let scenario: Scenario = ron::from_str(
//!     r#"(format: 1, duration: "1h", fleet: [(id: "n", thing: "t")],
//!         things: [(name: "t", source: "none", parts: [(id: "p", model: "s", on: I2c(8))])])"#,
//! ).unwrap();
//! let plan = Plan::new(Arc::new(scenario), Arc::new(catalog), PathBuf::new(), 1, (0, 1)).unwrap();
//! let mut world = Truth::default();
//! let air = world.place("outside/temperature");
//! let mut probe = Probe::new(&plan, "n", "p").unwrap();
//! world.set(air, 20.25);
//! probe.look(&world, SimTime(0), Span::from_secs(60));
//! assert_eq!(probe.read("temperature", SimTime(0)), Some(20.25), "it has rested there, and nothing rounds it");
//! world.set(air, 30.25);
//! probe.look(&world, SimTime(60_000_000_000), Span::from_secs(60));
//! let lagged = probe.read("temperature", SimTime(10_000_000_000)).unwrap();
//! assert!((lagged - (30.25 - 10.0 * (-1.0f64).exp())).abs() < 1e-9, "after one time constant");
//! assert_eq!(probe.read("wind", SimTime(0)), None, "it measures no such thing");
//! ```

use super::{
    bank::{Bank, Batch, Scratch},
    cohort::{Cohort, Due, Group},
    decay::exp_neg,
    fault::{
        AtPin, FaultRun, Stream,
        reach::{self, TimelineFault, Wrong},
    },
    normal,
};
use crate::{
    physics::plugin::place_name,
    plan::Plan,
    rng::{Rng, stream},
    time::{SimTime, Span},
    world::{Truth, TruthId},
};
use bevy_ecs::prelude::Query;

/// A place of the world's truth as the probe keeps it.
#[derive(Debug)]
struct Copied {
    from: TruthId,
    to: TruthId,
}

/// The noise of a reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// How many times the white noise that the catalog states it has, in standard deviations.
    pub times: f64,
    /// How long it hangs together, [s], where a filter has narrowed its band; 0: not from reading to reading.
    pub tau_s: f64,
}

impl Noise {
    /// So many times the stated noise, anew with each reading.
    pub const fn white(times: f64) -> Self {
        Self { times, tau_s: 0.0 }
    }

    /// White noise of the same density through a band of so many hertz, where the stated is through another.
    pub fn in_band(hz: f64, stated_hz: f64) -> Self {
        // A first-order process of this time constant has the density's value at low frequencies, and the band's variance.
        Self { times: (hz / stated_hz).sqrt(), tau_s: 0.25 / hz }
    }
}

/// How a part asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asking {
    /// The noise of the mode that it is in. None: as the catalog states it.
    pub noise: Option<Noise>,
    /// What is put on this input, where it is not the world's. NaN: nobody drives it.
    pub input: Option<f64>,
    /// Whether it is the part itself that asks, which measures on while a fault has its readings lost on their way.
    pub within: bool,
}

/// A time in which a channel's readings are another's.
#[derive(Debug)]
struct Swap {
    from: SimTime,
    until: SimTime,
    /// Index of the other's line.
    with: usize,
}

/// One channel: its pipeline, and what it gave last.
#[derive(Debug)]
struct Line {
    /// Index of the channel in its group.
    channel: usize,
    quantity: String,
    bank: Bank,
    last: Option<(SimTime, f64)>,
    noise_std: f64,
    /// Noise that hangs together, as it last was, and where it is drawn from.
    blur: f64,
    rng: Rng,
    swaps: Vec<Swap>,
    /// Faults that take its readings away.
    lost: Vec<FaultRun>,
}

impl Line {
    /// What it finds at an instant; one before the last has its answer.
    fn read(
        &mut self,
        t: SimTime,
        asking: Asking,
        supply: (f64, f64),
        truth: &Truth,
        scratch: &mut Scratch,
    ) -> f64 {
        if let Some((at, value)) = self.last
            && t <= at
        {
            return value;
        }
        let dt_s = self.last.map_or(f64::INFINITY, |(at, _)| (t - at).as_secs_f64());
        match asking.noise {
            Some(noise) => {
                let phi = if noise.tau_s > 0.0 { exp_neg(-dt_s / noise.tau_s) } else { 0.0 };
                let fresh = noise.times * self.noise_std * (1.0 - phi * phi).sqrt();
                self.blur = phi * self.blur + fresh * normal(&mut self.rng);
                self.bank.disturb_with(0.0, self.blur);
            }
            None => self.bank.disturb_with(self.noise_std, 0.0),
        }
        let due = [Due { t_ns: t.0, count: 0, lane: 0 }];
        let input = asking.input.as_slice();
        let batch = Batch { due: &due, dt_s: &[dt_s], place: &[0], supply: &[supply], input };
        let mut out = [0.0];
        scratch.decays.clear();
        self.bank.sample(batch, truth, scratch, &mut out);
        self.last = Some((t, out[0]));
        out[0]
    }
}

/// A part of a running device, asked at its own instants.
#[derive(Debug)]
pub struct Probe {
    plan: Plan,
    /// Index of the group in the plan, and of the device in the group.
    at: (usize, u32),
    device: String,
    part: String,
    /// The part's own channels, then those that theirs are exchanged with.
    lines: Vec<Line>,
    own: usize,
    /// Voltage and current of its device's supply, [V, mA].
    supply: (f64, f64),
    light: Option<TruthId>,
    copied: Vec<Copied>,
    truth: Truth,
    scratch: Scratch,
    faults: Vec<FaultRun>,
    /// Those that act on its voltage or on the reference that this is compared with, for an analogue part.
    at_pin: Vec<FaultRun>,
}

impl Probe {
    /// A probe of a device's part. None: there is no such device, or it has no such sensor.
    pub fn new(plan: &Plan, device: &str, part: &str) -> Option<Self> {
        let of_group = |g: &crate::plan::GroupPlan| plan.scenario.fleet[g.def].has(device);
        let g = plan.groups.iter().position(of_group)?;
        let group = &plan.groups[g];
        let i = (0..group.count).find(|i| plan.device_id(group, *i) == device)?;
        let model = &group.thing.parts.iter().find(|p| p.id == part)?.model;
        plan.catalog.sensors.get(model)?;
        Some(Self {
            plan: plan.clone(),
            at: (g, i),
            device: device.to_owned(),
            part: part.to_owned(),
            lines: Vec::new(),
            own: 0,
            supply: (0.0, 0.0),
            light: None,
            copied: Vec::new(),
            truth: Truth::default(),
            scratch: Scratch::default(),
            faults: Vec::new(),
            at_pin: Vec::new(),
        })
    }

    /// Takes over the world's truth of the tick that starts at `now`.
    pub fn look(&mut self, world: &Truth, now: SimTime, step: Span) {
        if self.lines.is_empty() {
            self.build(world);
        }
        for c in &self.copied {
            world.copy(c.from, &mut self.truth, c.to, now, step);
        }
        for line in &mut self.lines {
            line.bank.follow(now, &[0], &self.truth);
        }
    }

    /// Takes over what its device's supply has, where its part looks at that.
    pub fn feed(&mut self, cohorts: &Query<&Cohort>) {
        if self.lines.iter().any(|l| l.bank.is_in_line()) {
            let device = (self.plan.groups[self.at.0].def, self.at.1);
            self.supply = super::supply_of(cohorts, device).unwrap_or(self.supply);
        }
    }

    /// What the part finds of a quantity at an instant, in the catalog's unit, with everything but its rounding. NaN: a fault
    /// has taken it away. None: it does not measure that. An instant before the last one asked about has its answer.
    pub fn read(&mut self, quantity: &str, t: SimTime) -> Option<f64> {
        self.read_as(quantity, t, Asking::default())
    }

    /// The same for a part that is in a mode of its own, or an input that is driven.
    pub fn read_as(&mut self, quantity: &str, t: SimTime, asking: Asking) -> Option<f64> {
        let own = self.lines[..self.own].iter().find(|l| l.quantity == quantity)?;
        let swap = own.swaps.iter().find(|s| s.from <= t && t < s.until);
        let with =
            swap.map_or_else(|| self.lines.iter().position(|l| l.quantity == quantity), |s| Some(s.with))?;
        let line = &mut self.lines[with];
        let value = line.read(t, asking, self.supply, &self.truth, &mut self.scratch);
        let heard = asking.within || line.lost.iter_mut().all(|f| f.apply(t, 0.0).is_some());
        Some(if heard { value } else { f64::NAN })
    }

    /// The light at its place at an instant, [lx]; dark where nothing tells of any.
    pub fn light_lx(&self, t: SimTime) -> f64 {
        self.light.map_or(0.0, |id| self.truth.at(id, t))
    }

    /// Whether the part answers its bus at an instant: not while a fault takes its readings away.
    pub fn answers(&mut self, t: SimTime) -> bool {
        self.faults.iter_mut().all(|f| f.apply(t, 0.0).is_some())
    }

    /// Its board is reset for lack of power: a bus that hangs is free again.
    pub fn board_reset(&mut self, t: SimTime) {
        let lost = self.lines.iter_mut().flat_map(|l| &mut l.lost);
        self.faults.iter_mut().chain(lost).for_each(|f| f.reset(t));
    }

    /// What faults do at the pin of an analogue part at an instant: what they leave of its voltage, and how many times its stated
    /// value the reference has that a converter compares it with. What takes the reading away is [`Self::read`]'s.
    pub fn at_pin(&mut self, t: SimTime) -> (f64, f64) {
        let pin = self.at_pin.iter_mut().fold(AtPin::SOUND, |pin, f| pin.and(f.at_pin(t)));
        (pin.share, pin.reference)
    }

    /// Lays out the pipelines, once the world has all its places.
    fn build(&mut self, world: &Truth) {
        let (plan, (g, i)) = (self.plan.clone(), self.at);
        let planned = &plan.groups[g];
        let group = Group::new(&plan, planned);
        let around = match planned.zone(i) {
            Some(z) => format!("zone/{}", plan.scenario.world.zones[z].id),
            None => "outside".to_owned(),
        };
        let faults: Vec<TimelineFault> =
            TimelineFault::all(&plan).into_iter().filter(|f| f.hits_device(&self.device)).collect();
        let swaps: Vec<(usize, usize, SimTime, SimTime)> = faults
            .iter()
            .filter_map(|f| match (&f.what, f.channel.as_deref()) {
                (Wrong::Swap(with), Some(channel)) => {
                    let (a, b) = reach::swapped(channel, with, &group.wired)?;
                    Some([(a, b, f.from, f.until), (b, a, f.from, f.until)])
                }
                _ => None,
            })
            .flatten()
            .collect();
        let mut channels: Vec<usize> =
            (0..group.channels.len()).filter(|c| group.channels[*c].part == self.part).collect();
        self.own = channels.len();
        for (_, with, ..) in swaps.iter().filter(|s| group.channels[s.0].part == self.part) {
            if !channels.contains(with) {
                channels.push(*with);
            }
        }
        for c in &channels {
            self.lay(world, &group, *c, &around, &faults);
        }
        for line in &mut self.lines[..self.own] {
            let of_line = swaps.iter().filter(|s| s.0 == line.channel);
            line.swaps.extend(of_line.filter_map(|(_, with, from, until)| {
                let with = channels.iter().position(|c| c == with)?;
                Some(Swap { from: *from, until: *until, with })
            }));
        }
        self.light = world
            .find(&format!("{around}/illuminance"))
            .map(|_| self.place(world, &format!("{around}/illuminance")));
    }

    /// A place of the world's truth, as the probe keeps it.
    fn place(&mut self, world: &Truth, name: &str) -> TruthId {
        let to = self.truth.place(name);
        if let Some(from) = world.find(name) {
            self.copied.push(Copied { from, to });
        }
        to
    }

    /// Lays out the pipeline of one channel of the device.
    fn lay(&mut self, world: &Truth, group: &Group, c: usize, around: &str, faults: &[TimelineFault]) {
        let (channel, seed) = (&group.channels[c], self.plan.seed);
        let (part, quantity) = (&channel.part, &channel.def.quantity);
        let mut def = channel.def.clone();
        (def.lsb, def.range) = (0.0, channel.reach_v);
        let cross =
            def.cross.iter().map(|x| vec![self.place(world, &format!("{around}/{}", x.quantity))]).collect();
        let outer = vec![self.place(world, &format!("{around}/{quantity}"))];
        let mut bank = Bank::new(&def, Span::ZERO, def.self_heating * group.duty, outer, cross)
            .in_line(channel.supply)
            .warming(channel.warm_up);
        let own = place_name(&self.device, part, quantity);
        let own = world.find(&own).map(|_| self.place(world, &own));
        bank.add(seed, &self.device, &channel.name.replacen('.', "/", 1), &def, own);
        bank.draw_from(stream(seed, &self.device, &format!("probe/{part}/{quantity}")));
        let mut lost = Vec::new();
        for fault in faults {
            let Wrong::Fault(kind) = &fault.what else { continue };
            if !reach::reached(kind, fault.channel.as_deref(), &group.wired).contains(&c) {
                continue;
            }
            let wired = &group.wired[c];
            let label = reach::draws_as(kind, fault.index, wired);
            let run = FaultRun::new(*kind, fault.from, fault.until, seed, &self.device, &label)
                .on(Stream { analog: false, ..wired.stream });
            if kind.takes_away() {
                if *part == self.part {
                    self.faults.push(run.clone());
                }
                lost.push(run);
                continue;
            }
            if wired.stream.analog && *part == self.part {
                self.at_pin.push(run.clone());
            }
            let air = self.place(world, &format!("{around}/temperature"));
            bank.add_fault(0, run, Some(air));
        }
        self.lines.push(Line {
            channel: c,
            quantity: quantity.clone(),
            bank,
            last: None,
            noise_std: def.noise_std,
            blur: 0.0,
            rng: stream(seed, &self.device, &format!("probe/{part}/{quantity}/noise")),
            swaps: Vec::new(),
            lost,
        });
    }
}
