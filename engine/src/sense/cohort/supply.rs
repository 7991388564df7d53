//! A cohort's batteries, clocks and radios, as its devices and its observers see them. What draws from a supply is summed in one
//! order, that in which the thing wires its parts: actuators one by one, then the processor.

use super::Cohort;
use crate::{
    power::life::Life,
    time::SimTime,
    world::{Event, Row, Watch},
};

impl Cohort {
    /// Takes from the battery what the time since the last wake and this wake need. Whether the device is still on.
    pub(super) fn drain(&mut self, lane: u16, t_ns: i64, dt_s: f64, watch: &Watch) -> bool {
        let (Some(batteries), Some(supply)) = (&mut self.batteries, &self.group.supply) else { return true };
        let rested_s = if dt_s.is_finite() { dt_s } else { t_ns as f64 * 1e-9 };
        batteries.take(lane, supply.rest_mah(rested_s) + supply.wake_mah());
        let t = SimTime(t_ns);
        batteries.gauge(lane, t);
        let voltage_v = batteries.voltage_v(lane, supply);
        let charge_percent = 100.0 * batteries.charge(lane, supply);
        let on = !batteries.browns_out(lane, supply);
        self.emit_supply(lane, t, voltage_v, charge_percent, watch);
        if !on {
            self.note_board(lane, Some(t));
            self.brown_outs += 1;
            self.events.push(Event {
                t,
                subject: self.group.device_id(self.index[lane as usize]),
                part: "power".to_owned(),
                kind: "brown_out".to_owned(),
                detail: "the battery no longer holds the board's supply voltage: the device is off"
                    .to_owned(),
                value: voltage_v,
                ..Event::default()
            });
        }
        on
    }

    /// Rows of a supply, where they are watched.
    pub(crate) fn emit_supply(&mut self, lane: u16, t: SimTime, voltage_v: f64, charge: f64, watch: &Watch) {
        if !self.watched {
            return;
        }
        let (index, channels) = (self.index[lane as usize], self.group.channels.len());
        for (c, value) in [voltage_v, charge].into_iter().enumerate() {
            let signal = self.group.signal(index, channels + c);
            if watch.wants(signal) {
                self.rows.push(Row { t, signal, value });
            }
        }
    }

    /// Voltage and current of a device's supply [V, mA], at its last wake, or before it has woken: as it stands. None: it is
    /// not of this cohort.
    pub(in crate::sense) fn supply_of(&self, group: usize, index: u32) -> Option<(f64, f64)> {
        let lane = self.index.iter().position(|i| *i == index).filter(|_| self.group.number == group)?;
        let seen = self.supply.get(lane).copied().filter(|s| s.0 > 0.0);
        Some(seen.unwrap_or_else(|| self.supply_now(lane as u16, 0.0)))
    }

    /// The same while the board and its parts are awake, and what else takes `more_ma` on the mains.
    pub(super) fn supply_now(&self, lane: u16, more_ma: f64) -> (f64, f64) {
        let awake_ma = self.group.awake_ma;
        match (&self.packs, &self.group.pack, &self.batteries, &self.group.supply) {
            (Some(packs), Some(plan), ..) => packs.terminals(lane, plan, awake_ma),
            (.., Some(batteries), Some(supply)) => batteries.terminals(lane, supply, awake_ma),
            _ => (self.group.mains_v, awake_ma + more_ma),
        }
    }

    /// A row of the received power, where it is watched.
    pub(super) fn emit_rssi(&mut self, lane: u16, t: SimTime, watch: &Watch) {
        let Some(value) = self.radios.as_ref().and_then(|r| r.rssi_dbm(lane)) else { return };
        let group = &self.group;
        let channel = group.channels.len() + 2 * usize::from(group.on_battery) + group.actuators;
        let signal = group.signal(self.index[lane as usize], channel);
        if group.tells_rssi && watch.wants(signal) {
            self.rows.push(Row { t, signal, value });
        }
    }

    /// The forecast of a lane's battery; none on the mains, or before its first wake. `warm`: were its cells never colder than
    /// their reference temperature.
    pub(crate) fn life(&self, lane: u16, warm: bool) -> Option<Life> {
        let (left_mah, gauge) = match (&self.batteries, &self.group.supply, &self.packs, &self.group.pack) {
            (Some(batteries), Some(supply), ..) => batteries.left(lane, supply),
            (_, _, Some(packs), Some(plan)) => packs.left(lane, plan, warm),
            _ => return None,
        };
        gauge.life(left_mah)
    }

    /// State of charge of a lane's battery, 0–1, and its voltage while the board runs, [V].
    pub(crate) fn battery_v(&self, lane: u16) -> Option<f64> {
        if let (Some(packs), Some(plan)) = (&self.packs, &self.group.pack) {
            return Some(packs.voltage_v(lane, plan));
        }
        Some(self.batteries.as_ref()?.voltage_v(lane, self.group.supply.as_ref()?))
    }

    /// What a battery gives the board while it runs, [V]. None: it is on the mains, or has not yet woken.
    pub(crate) fn board_v(&self, lane: u16) -> Option<f64> {
        if let (Some(packs), Some(plan)) = (&self.packs, &self.group.pack) {
            return packs.board_v(lane, plan);
        }
        Some(self.batteries.as_ref()?.voltage_v(lane, self.group.supply.as_ref()?))
    }

    /// How far the device's own clock is ahead of simulated time, [ns].
    pub(crate) fn ahead_ns(&self, lane: u16, t: SimTime) -> i64 {
        match &self.keepers {
            Some(keepers) => keepers.ahead_ns(lane, t) + self.wakes.skew_ns(lane, t) as i64,
            None => self.wakes.ahead_ns(lane, t),
        }
    }
}
