//! What a failing supply does to a device: it sags, browns out, starts again without its queue and its time, and is missed
//! until a message gets through. Each step leaves an event that names the one before it.
//!
//! | event | when | its cause |
//! |---|---|---|
//! | `battery_cold` | the cells get below their `cold_c` | the temperature of their place, a signal |
//! | `sag` | under the firmware's greatest load the supply is within 5 % of the board's brown-out level | `battery_cold` (or the temperature) where the cells would hold at their reference temperature; else their charge, a signal |
//! | `brown_out` | the supply falls below that level, or its cells are empty: the board is reset | `sag`; without one their charge, a signal |
//! | `gap` | the first message of an outage is lost | `brown_out` |
//! | `reboot` | the firmware runs again | `brown_out` |
//! | `clock_reset` | it finds its time lost | `reboot` |
//! | `gap_end` | a message gets through again | the last `reboot` |
//! | `clock_set` | the network tells the time again | `clock_reset`, where it was lost |
//!
//! Every brown-out of an outage is told, those of starts that do not get through among them, and so is every start and every
//! loss of the time: up to the thousandth ([`TOLD`]) of an outage, then the 1,024th, 2,048th …, whose `value` counts them all.
//! What follows at once is stamped a microsecond later, so that the order of a record is that of causes.

use crate::{
    actuate::Drawn,
    cause::id_of,
    power::{bank::Surrounded, solar::Insolation},
    sense::Cohort,
    time::{SimTime, Span},
    world::{Event, Truth, Watch},
};
use bevy_ecs::prelude::*;

/// Share above the brown-out level from which on the supply sags …
const SAGS: f64 = 1.05;
/// … and above which it has recovered.
const RECOVERED: f64 = 1.07;
/// Cells count as cold until they are warmer by so much, [K].
const WARMED_K: f64 = 2.0;
/// Between an event and what it leads to at once.
const AT_ONCE: Span = Span(1_000);

/// Brown-outs of one outage that are each told: a node that tries every minute is told of for most of a day.
const TOLD: u32 = 1000;

/// An event that others name as their cause: its part, kind and time.
type Step = (&'static str, &'static str, SimTime);

/// What has gone wrong with a device, as far as the record has told it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outage {
    cold: Option<Step>,
    sag: Option<Step>,
    brown_out: Option<Step>,
    reboot: Option<Step>,
    clock_reset: Option<Step>,
    gap: Option<Step>,
    /// Brown-outs since a message last got through.
    count: u32,
    /// The board is down until its next wake.
    down: bool,
}

impl Outage {
    pub fn hash_into(&self, bytes: &mut Vec<u8>) {
        bytes.push(u8::from(self.down));
        bytes.extend(self.count.to_le_bytes());
    }
}

/// A board that was reset, or runs again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Board {
    /// Its group's number, its index in it, and its ordinal.
    pub group: usize,
    pub index: u32,
    pub ordinal: u32,
    /// When it was reset. None: it runs again.
    pub reset: Option<SimTime>,
}

/// What has become of boards since their actuators and control loops were last told, in the order of the cohorts.
#[derive(Resource, Debug, Default)]
pub(crate) struct Boards(pub Vec<Board>);

/// What of the world a supply feels.
#[derive(Clone, Copy)]
pub(crate) struct Feels<'a> {
    pub truth: &'a Truth,
    pub watch: &'a Watch,
    pub light: Option<&'a Insolation>,
}

impl Cohort {
    /// Notes what has become of a lane's board, where that matters to others.
    pub(crate) fn note_board(&mut self, lane: u16, reset: Option<SimTime>) {
        if self.group.acts {
            let index = self.index[lane as usize];
            let (group, ordinal) = (self.group.number, self.group.first + index);
            self.boards.push(Board { group, index, ordinal, reset });
        }
    }

    /// Puts a step into the record: what it says and its figure, and what led to it.
    fn told(&mut self, lane: u16, step: Step, (detail, value): (String, f64), cause: String) -> Step {
        let (part, kind, t) = step;
        let (subject, part, kind) = (self.device(lane), part.to_owned(), kind.to_owned());
        self.events.push(Event { t, subject, part, kind, detail, value, cause, ..Event::default() });
        step
    }

    fn device(&self, lane: u16) -> String {
        self.group.device_id(self.index[lane as usize])
    }

    /// What a lane's joining the network again is because of.
    pub(crate) fn cause_of_joining(&self, lane: u16) -> String {
        self.cause(lane, self.outages.get(lane as usize).and_then(|o| o.reboot))
    }

    fn cause(&self, lane: u16, step: Option<Step>) -> String {
        step.map_or_else(String::new, |(part, kind, t)| id_of(&self.device(lane), part, kind, t))
    }

    /// Temperature of a lane's place at an instant, where its firmware's clock or its cells feel it, [°C].
    fn climate_c(&self, lane: u16, t: SimTime, truth: &Truth) -> Option<f64> {
        let id = *self.climate.get(self.place[lane as usize] as usize)?;
        Some(truth.at(id, t))
    }

    /// Name of the signal that holds the temperature of a lane's place.
    fn climate_signal(&self, lane: u16) -> String {
        format!("{}/air.temperature@truth", self.group.zones[self.place[lane as usize] as usize])
    }

    /// Brings a lane's clock to its wake.
    pub(crate) fn keep_time(&mut self, lane: u16, t: SimTime, truth: &Truth) {
        let temperature_c = self.climate_c(lane, t, truth);
        let group = &self.group;
        if let (Some(keepers), Some(plan), Some(c)) = (&mut self.keepers, &group.clock, temperature_c) {
            let ppm = keepers.run(lane, plan, t, c);
            self.wakes.set_ppm(lane, ppm);
        }
    }

    /// Takes from a lane's pack what the time since its last wake and this wake need. An error: the board does not even run,
    /// is reset, and wakes next at this time.
    pub(crate) fn wake_pack(
        &mut self,
        lane: u16,
        t: SimTime,
        feels: Feels<'_>,
        drawn: Drawn,
    ) -> Result<(), SimTime> {
        let Some(temperature_c) = self.climate_c(lane, t, feels.truth) else { return Ok(()) };
        let sun = self.sun.get(self.place[lane as usize] as usize);
        let fallen_j_m2 = match (feels.light, sun) {
            (Some(light), Some(place)) => light.fallen_j_m2(*place, t),
            _ => 0.0,
        };
        let group = std::sync::Arc::clone(&self.group);
        let down = self.is_down(lane);
        let (Some(packs), Some(plan)) = (&mut self.packs, &group.pack) else { return Ok(()) };
        packs.rest(lane, plan, &Surrounded { t, temperature_c, fallen_j_m2, drawn });
        let falls = packs.falls_asleep_s(lane, plan);
        let (voltage_v, charge) = (packs.voltage_v(lane, plan), packs.charge(lane, plan));
        if let Some(after_s) = falls.filter(|s| down && *s < group.boot.as_secs_f64()) {
            // It does not get through its start: the same outage goes on, and it tries again a period later.
            packs.spend(lane, plan, plan.active_ma(), after_s);
            self.emit_supply(lane, t, voltage_v, 100.0 * charge, feels.watch);
            let at = t + Span::from_secs_f64(after_s);
            self.browns_out(lane, at, "starting");
            return Err(self.after_reset(at).max(t + group.period));
        }
        self.starts_again(lane, t);
        self.watch_supply(lane, t, plan);
        self.emit_supply(lane, t, voltage_v, 100.0 * charge, feels.watch);
        match falls {
            Some(after_s) => {
                if let Some(packs) = &mut self.packs {
                    packs.spend(lane, plan, plan.active_ma(), after_s);
                }
                let at = t + Span::from_secs_f64(after_s);
                self.browns_out(lane, at, "waking");
                Err(self.after_reset(at))
            }
            None => {
                if let Some(packs) = &mut self.packs {
                    packs.awake(lane, plan);
                }
                Ok(())
            }
        }
    }

    /// Cold and sag, as the record tells them.
    fn watch_supply(&mut self, lane: u16, t: SimTime, plan: &crate::power::bank::PackPlan) {
        let Some(packs) = &self.packs else { return };
        let (cells_c, cold_c) = (packs.temperature_c(lane), plan.pack.cell.cold_c);
        let (worst_v, at_reference_v) = packs.worst_v(lane, plan);
        let level_v = plan.brown_out_v;
        let o = &mut self.outages[lane as usize];
        if cells_c > cold_c + WARMED_K {
            o.cold = None;
        }
        if worst_v > RECOVERED * level_v {
            o.sag = None;
        }
        let (cold, sag) = (o.cold, o.sag);
        if cold.is_none() && cells_c < cold_c {
            let cause = self.climate_signal(lane);
            let text = format!("the cells are below {cold_c} °C: they give less, behind more resistance");
            let step = self.told(lane, ("power", "battery_cold", t), (text, cells_c), cause);
            self.outages[lane as usize].cold = Some(step);
        }
        if sag.is_none() && worst_v < SAGS * level_v {
            let cause = if at_reference_v < SAGS * level_v {
                format!("{}/power.charge@truth", self.device(lane))
            } else if self.outages[lane as usize].cold.is_some() {
                self.cause(lane, self.outages[lane as usize].cold)
            } else {
                self.climate_signal(lane)
            };
            let text =
                format!("under its greatest load the supply comes near the board's brown-out at {level_v} V");
            let step = self.told(lane, ("power", "sag", t + AT_ONCE), (text, worst_v), cause);
            self.outages[lane as usize].sag = Some(step);
        }
    }

    /// The board is reset at `t`. What it does next is its next wake, after the firmware's pause and start.
    fn browns_out(&mut self, lane: u16, t: SimTime, doing: &str) {
        self.brown_outs += 1;
        let lost = self.radios.as_mut().map_or(0, |r| r.reset(lane));
        let boot = self.group.boot;
        if let Some(packs) = &mut self.packs {
            packs.boots(lane, boot);
        }
        let o = &mut self.outages[lane as usize];
        o.down = true;
        o.count += 1;
        let (count, sag, gap) = (o.count, o.sag, o.gap);
        let t = t + AT_ONCE + AT_ONCE;
        self.note_board(lane, Some(t));
        if count <= TOLD || count.is_power_of_two() {
            // A supply that held until its cells were empty has not sagged before.
            let emptied = || format!("{}/power.charge@truth", self.device(lane));
            let cause = if sag.is_some() { self.cause(lane, sag) } else { emptied() };
            let text = format!(
                "the supply gave way while {doing}: the board is reset; so often since a message got through"
            );
            let step = self.told(lane, ("power", "brown_out", t), (text, f64::from(count)), cause);
            self.outages[lane as usize].brown_out = Some(step);
        } else {
            self.outages[lane as usize].brown_out = None;
        }
        let cause = self.cause(lane, self.outages[lane as usize].brown_out);
        self.free_buses(lane, t + AT_ONCE, &cause);
        if gap.is_none() && self.radios.is_some() {
            let cause = self.cause(lane, self.outages[lane as usize].brown_out);
            let text =
                "no message of this device reaches the broker from here on; so many waited and are lost";
            let step = self.told(lane, ("", "gap", t + AT_ONCE), (text.to_owned(), lost as f64), cause);
            self.outages[lane as usize].gap = Some(step);
        }
        if let (Some(keepers), Some(plan)) = (&mut self.keepers, &self.group.clock) {
            keepers.reset(lane, plan, t);
        }
    }

    /// At the first wake after a reset: the firmware runs again, and looks at its clock.
    fn starts_again(&mut self, lane: u16, t: SimTime) {
        let o = &mut self.outages[lane as usize];
        if !std::mem::take(&mut o.down) {
            return;
        }
        let brown_out = o.brown_out;
        self.note_board(lane, None);
        let Some(brown_out) = brown_out else { return };
        // The firmware looks around before it measures: its first lines are just before this wake.
        let at = t + Span(-2 * AT_ONCE.0);
        let cause = self.cause(lane, Some(brown_out));
        let step = self.told(lane, ("", "reboot", at), ("the firmware starts anew".to_owned(), 0.0), cause);
        self.outages[lane as usize].reboot = Some(step);
        let forgets = self.group.clock.as_ref().is_some_and(|c| !c.def.backed_up);
        if forgets {
            let cause = self.cause(lane, Some(step));
            let text = "the clock starts at 1970-01-01 again, until the network tells the time".to_owned();
            let step = self.told(lane, ("", "clock_reset", at + AT_ONCE), (text, 0.0), cause);
            self.outages[lane as usize].clock_reset = Some(step);
        }
    }

    /// Whether a lane is down after a reset in this tick, so that nothing it still meant to do comes about.
    pub(crate) fn is_down(&self, lane: u16) -> bool {
        self.outages.get(lane as usize).is_some_and(|o| o.down)
    }

    /// Whether drawing so much for so long from an instant, [mA], resets a lane's board. If it does, its next wake is not before
    /// `until`.
    pub(crate) fn falls(
        &mut self,
        (lane, t): (u16, SimTime),
        ma: f64,
        lasts: Span,
        doing: &str,
        until: SimTime,
    ) -> bool {
        let group = std::sync::Arc::clone(&self.group);
        let (Some(packs), Some(plan)) = (&mut self.packs, &group.pack) else { return false };
        let Some(after_s) = packs.gives_way_s(lane, plan, ma, lasts.as_secs_f64()) else {
            return false;
        };
        packs.spend(lane, plan, ma, after_s);
        let at = t + Span::from_secs_f64(after_s);
        self.browns_out(lane, at, doing);
        // Its first lines are told just before.
        let next = self.after_reset(at).max(until + AT_ONCE + AT_ONCE);
        self.wakes.move_to(lane, next);
        true
    }

    /// When a board that is reset at `t` has started again.
    pub(crate) fn after_reset(&self, t: SimTime) -> SimTime {
        t + self.group.pause + self.group.boot.max(Span(1_000_000))
    }

    /// Messages of a lane got through at `t`: what was missed is back.
    pub(crate) fn got_through(&mut self, lane: u16, t: SimTime) {
        if let Some(o) = self.outages.get_mut(lane as usize) {
            o.count = 0;
            let (gap, reboot) = (o.gap.take(), o.reboot.take());
            if let Some((.., since)) = gap {
                let cause = self.cause(lane, reboot);
                let text = "messages of this device reach the broker again, after so many seconds".to_owned();
                self.told(lane, ("", "gap_end", t + AT_ONCE), (text, (t - since).as_secs_f64()), cause);
            }
        }
        let group = std::sync::Arc::clone(&self.group);
        let (Some(keepers), Some(plan)) = (&mut self.keepers, &group.clock) else { return };
        let Some((step, lost)) = keepers.heard(lane, plan, t) else { return };
        self.clock_sets += 1;
        if lost || step.0.abs() >= crate::clock::STEP_TOLD.0 {
            let before = self.outages.get_mut(lane as usize).and_then(|o| o.clock_reset.take());
            let cause = self.cause(lane, before);
            let text = "the network has told the time: the clock is moved by so many seconds".to_owned();
            self.told(lane, ("", "clock_set", t + Span(2 * AT_ONCE.0)), (text, step.as_secs_f64()), cause);
        }
    }
}
