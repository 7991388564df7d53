//! One part's pipelines apart from its cohort: what stands before its converter at any instant that somebody asks about. A
//! register-level part quantises that by itself.
//!
//! The unit is the same as the device's own part: it drew the same gain, bias and drift, and the same faults befall it. Its
//! noise comes from streams of its own (`probe/<part>/<quantity>`), so that asking changes nothing of the run. Range, step
//! and conversion time are the part's business, and so is what an analogue pin would do to it: they are left out here, and
//! so are exchanged sensors ([`crate::scenario::Action::Swap`]) and what an INA219 in the device's own supply finds.
//!
//! [`Probe::look`] is called once a tick, when the world's truth is written; between two looks [`Probe::read`] answers for
//! any instant of that tick, and later ones with the tick's last truth.
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
    cohort::{Due, Group},
    fault::{
        FaultRun, Stream,
        reach::{self, TimelineFault, Wrong},
    },
};
use crate::{
    physics::plugin::place_name,
    plan::Plan,
    rng::stream,
    time::{SimTime, Span},
    world::{Truth, TruthId},
};

/// A place of the world's truth as the probe keeps it.
#[derive(Debug)]
struct Copied {
    from: TruthId,
    to: TruthId,
}

/// One channel: its pipeline, and what it gave last.
#[derive(Debug)]
struct Line {
    quantity: String,
    bank: Bank,
    last: Option<(SimTime, f64)>,
}

/// A part of a running device, asked at its own instants.
#[derive(Debug)]
pub struct Probe {
    plan: Plan,
    /// Index of the group in the plan, and of the device in the group.
    at: (usize, u32),
    device: String,
    part: String,
    lines: Vec<Line>,
    copied: Vec<Copied>,
    truth: Truth,
    scratch: Scratch,
    faults: Vec<FaultRun>,
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
            copied: Vec::new(),
            truth: Truth::default(),
            scratch: Scratch::default(),
            faults: Vec::new(),
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

    /// What the part finds of a quantity at an instant, in the catalog's unit, with everything but its rounding. NaN: a fault
    /// has taken it away. None: it does not measure that. An instant before the last one asked about has its answer.
    pub fn read(&mut self, quantity: &str, t: SimTime) -> Option<f64> {
        let line = self.lines.iter_mut().find(|l| l.quantity == quantity)?;
        if let Some((at, value)) = line.last
            && t <= at
        {
            return Some(value);
        }
        let dt_s = line.last.map_or(f64::INFINITY, |(at, _)| (t - at).as_secs_f64());
        let due = [Due { t_ns: t.0, count: 0, lane: 0 }];
        let batch = Batch { due: &due, dt_s: &[dt_s], place: &[0], supply: &[], input: &[] };
        let mut out = [0.0];
        self.scratch.decays.clear();
        line.bank.sample(batch, &self.truth, &mut self.scratch, &mut out);
        line.last = Some((t, out[0]));
        Some(out[0])
    }

    /// Whether the part answers its bus at an instant: not while a fault takes its readings away.
    pub fn answers(&mut self, t: SimTime) -> bool {
        self.faults.iter_mut().all(|f| f.apply(t, 0.0).is_some())
    }

    /// Lays out the pipelines, once the world has all its places.
    fn build(&mut self, world: &Truth) {
        let (plan, (g, i)) = (&self.plan, self.at);
        let planned = &plan.groups[g];
        let group = Group::new(plan, planned);
        let around = match planned.zone(i) {
            Some(z) => format!("zone/{}", plan.scenario.world.zones[z].id),
            None => "outside".to_owned(),
        };
        let (truth, copied) = (&mut self.truth, &mut self.copied);
        let mut place = |name: &str| {
            let to = truth.place(name);
            if let Some(from) = world.find(name) {
                copied.push(Copied { from, to });
            }
            to
        };
        let faults: Vec<TimelineFault> =
            TimelineFault::all(plan).into_iter().filter(|f| f.hits_device(&self.device)).collect();
        for (c, channel) in group.channels.iter().enumerate().filter(|(_, c)| c.part == self.part) {
            let quantity = &channel.def.quantity;
            let mut def = channel.def.clone();
            (def.lsb, def.range) = (0.0, (f64::NEG_INFINITY, f64::INFINITY));
            let cross = def.cross.iter().map(|x| vec![place(&format!("{around}/{}", x.quantity))]).collect();
            let outer = vec![place(&format!("{around}/{quantity}"))];
            let mut bank = Bank::new(&def, Span::ZERO, def.self_heating * group.duty, outer, cross);
            let own = place_name(&self.device, &self.part, quantity);
            let own = world.find(&own).map(|_| place(&own));
            bank.add(plan.seed, &self.device, &channel.name.replacen('.', "/", 1), &def, own);
            bank.draw_from(stream(plan.seed, &self.device, &format!("probe/{}/{quantity}", self.part)));
            for fault in &faults {
                let Wrong::Fault(kind) = &fault.what else { continue };
                if !reach::reached(kind, fault.channel.as_deref(), &group.wired).contains(&c) {
                    continue;
                }
                let wired = &group.wired[c];
                let label = reach::draws_as(kind, fault.index, wired);
                let run = FaultRun::new(*kind, fault.from, fault.until, plan.seed, &self.device, &label)
                    .on(Stream { analog: false, ..wired.stream });
                if kind.takes_away() {
                    self.faults.push(run.clone());
                }
                bank.add_fault(0, run, Some(place(&format!("{around}/temperature"))));
            }
            self.lines.push(Line { quantity: quantity.clone(), bank, last: None });
        }
    }
}
