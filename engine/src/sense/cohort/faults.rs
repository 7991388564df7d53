//! What the timeline does wrong with a cohort's devices: which banks a fault goes to, exchanged readings, hanging buses.

use super::{Cohort, TRACE_FACTOR};
use crate::{
    firmware::calendar::Skew,
    sense::{
        Due,
        fault::{
            FaultDef, FaultRun,
            reach::{self, Says, TimelineFault, Wired, Wrong},
        },
    },
    time::SimTime,
    world::{Event, Truth},
};

/// Two channels of a lane whose readings are exchanged for a while.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    lane: u16,
    channels: (usize, usize),
    from: SimTime,
    until: SimTime,
}

/// A bus of a lane that hangs for a while, unless the board is reset before.
#[derive(Clone, Debug)]
pub(crate) struct Hang {
    lane: u16,
    from: SimTime,
    until: SimTime,
    channels: Vec<usize>,
    /// Those that hang with them: parts at a converter's inputs.
    beside: Vec<usize>,
}

impl Cohort {
    pub(super) fn add_fault(
        &mut self,
        (seed, id): (u64, &str),
        lane: u16,
        fault: &TimelineFault,
        truth: &mut Truth,
        labels: &mut Vec<Event>,
    ) {
        let group = std::sync::Arc::clone(&self.group);
        let (from, until) = (fault.from, fault.until);
        let kind = match &fault.what {
            Wrong::Fault(kind) => *kind,
            Wrong::Swap(with) => {
                let channel = fault.channel.as_deref().unwrap_or_default();
                if let Some((a, b)) = reach::swapped(channel, with, &group.wired) {
                    self.exchanges.push(Exchange { lane, channels: (a, b), from, until });
                    for (c, other) in [(a, b), (b, a)] {
                        let with = &group.wired[other].name;
                        fault.labels(id, Some(&group.wired[c]), with, labels);
                    }
                }
                return;
            }
        };
        if let FaultDef::ClockSkew { ppm } = kind {
            self.wakes.skews.push(Skew { lane, from, until, ppm });
        }
        let reached = reach::reached(&kind, fault.channel.as_deref(), &group.wired);
        let of_device = kind.is_of_device() || (kind == FaultDef::Dropout && fault.channel.is_none());
        if of_device {
            fault.labels(id, None, "", labels);
        }
        // What its own heat does to a part's humidity depends on the air around it.
        let heats = matches!(kind, FaultDef::SelfHeating { .. });
        let air = heats.then(|| group.places(truth, "temperature")[self.place[lane as usize] as usize]);
        for c in &reached {
            let wired = &group.wired[*c];
            let label = reach::draws_as(&kind, fault.index, wired);
            let run = FaultRun::new(kind, from, until, seed, id, &label).on(wired.stream);
            self.banks[*c].add_fault(lane, run, air);
            if !of_device {
                fault.labels(id, Some(wired), "", labels);
            }
        }
        let coupled = group.coupled(&reached);
        for (other, own) in coupled.iter().filter(|_| !of_device) {
            // In the unit of the stream that the fault is put on.
            let unit = group.wired[*own].unit.clone();
            fault.labels(id, Some(&Wired { unit, ..group.wired[*other].clone() }), "", labels);
        }
        if kind == FaultDef::BusLockUp {
            let beside = coupled.into_iter().map(|(other, _)| other).collect();
            self.hangs.push(Hang { lane, from, until, channels: reached, beside });
        }
    }

    /// Exchanges the readings of a batch that are swapped, after all parts have been read: `values[c · all + first + k]` is
    /// channel c's of `some[k]`.
    pub(super) fn exchange(&mut self, some: &[Due], first: usize, all: usize, values: &mut [f64]) {
        for e in &self.exchanges {
            let (a, b) = e.channels;
            for (k, d) in some.iter().enumerate() {
                let t = SimTime(d.t_ns);
                if d.lane == e.lane && e.from <= t && t < e.until {
                    values.swap(a * all + first + k, b * all + first + k);
                    let trace = &mut self.wakes.clocks[d.lane as usize].trace;
                    let bits = values[a * all + first + k].to_bits();
                    *trace = (trace.rotate_left(5) ^ bits).wrapping_mul(TRACE_FACTOR);
                }
            }
        }
    }

    /// Labels the buses that hang no more before `until`, as the timeline says.
    pub(super) fn end_hangs(&mut self, until: SimTime) {
        let ended: Vec<Hang> = self.hangs.extract_if(.., |h| h.until < until).collect();
        for hang in ended {
            self.tell_end(&hang, hang.until, "");
        }
    }

    /// A board's reset at `t` sets its buses free.
    pub(crate) fn free_buses(&mut self, lane: u16, t: SimTime, cause: &str) {
        let free: Vec<Hang> =
            self.hangs.extract_if(.., |h| h.lane == lane && h.from <= t && t < h.until).collect();
        for hang in free {
            for c in &hang.channels {
                self.banks[*c].free(lane, t);
            }
            self.tell_end(&hang, t, cause);
        }
    }

    fn tell_end(&mut self, hang: &Hang, t: SimTime, cause: &str) {
        let device = self.group.device_id(self.index[hang.lane as usize]);
        for c in hang.channels.iter().chain(&hang.beside) {
            let wired = &self.group.wired[*c];
            let says = Says::fault(&FaultDef::BusLockUp, &wired.unit);
            let event = says.at(t, &device, &wired.name, "fault_end");
            self.events.push(Event { cause: cause.to_owned(), ..event });
        }
    }
}
