//! Received power: from distance, walls, shadowing and slow fading, to the access point that a device is on.
//!
//! rssi = tx − (L₁ + 10·n·log₁₀ d) − walls + shadowing + fading (FACTS "Radio"). Shadowing is drawn once for each device and
//! access point, from the stream `link/place` for the first and `link/place/<n>` for the n-th; fading is a Gauss–Markov
//! process each, brought forward when the device sends.
//!
//! ```
//! use twinfleet_engine::link::field::{reception, path_loss_db};
//! assert!((path_loss_db(40.0, 3.0, 10.0) - 70.0).abs() < 1e-9);
//! assert_eq!(reception(-92.0, -92.0), 0.5);
//! ```

use super::Radio;
use crate::{
    rng::{Rng, stream},
    scenario::Scenario,
    time::SimTime,
};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::collections::VecDeque;

/// Chance that a packet arrives at this received power, 0–1: 1/(1 + e^(−(rssi − rssi50))) (FACTS "Radio", Cooja's model).
pub fn reception(rssi_dbm: f64, rssi50_dbm: f64) -> f64 {
    1.0 / (1.0 + (rssi50_dbm - rssi_dbm).exp())
}

/// Log-distance path loss, [dB]: `loss_1m_db` at one metre, ten times the exponent for each tenfold distance.
pub fn path_loss_db(loss_1m_db: f64, exponent: f64, distance_m: f64) -> f64 {
    loss_1m_db + 10.0 * exponent * distance_m.max(1e-3).log10()
}

/// Walls between zones, by their index; the last is the outside. Neighbours have one wall between them, and so have a zone
/// and what contains it. None: no way leads there.
pub fn walls(scenario: &Scenario, from: usize) -> Vec<Option<u32>> {
    let zones = &scenario.world.zones;
    let outside = zones.len();
    let at = |id: &String| zones.iter().position(|z| z.id == *id);
    let mut beside: Vec<Vec<usize>> = vec![Vec::new(); zones.len() + 1];
    for (z, zone) in zones.iter().enumerate() {
        let parent = zone.parent.as_ref().and_then(at).unwrap_or(outside);
        for other in zone.neighbours.iter().filter_map(|n| at(&n.zone)).chain([parent]) {
            beside[z].push(other);
            beside[other].push(z);
        }
    }
    let mut found = vec![None; zones.len() + 1];
    found[from] = Some(0);
    let mut next = VecDeque::from([from]);
    while let Some(z) = next.pop_front() {
        for other in &beside[z] {
            if found[*other].is_none() {
                found[*other] = found[z].map(|n: u32| n + 1);
                next.push_back(*other);
            }
        }
    }
    found
}

/// One access point as a device receives it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// Mean received power, [dBm].
    mean_dbm: f64,
    /// Fading, in its standard deviations.
    fading: f64,
}

/// A device's place in the field.
#[derive(Debug)]
struct Spot {
    heard: Vec<Heard>,
    on: u8,
    at: SimTime,
    rng: Rng,
}

/// The field of a cohort, where devices can hear several access points or fading is named.
#[derive(Debug, Default)]
pub(crate) struct Field(Vec<Spot>);

impl Field {
    /// Adds the next lane's device; `walls` counts those to each access point. Received power of the one that it is on, [dBm].
    pub fn add(&mut self, radio: &Radio, walls: &[u32], seed: u64, device: &str) -> f64 {
        let heard = heard(radio, walls, seed, device);
        let mut spot = Spot { heard, on: 0, at: SimTime::ZERO, rng: stream(seed, device, "link/fading") };
        let (best, dbm) = spot.best(radio);
        spot.on = best;
        self.0.push(spot);
        dbm
    }

    /// Other walls stand between a device and the access points; its fading goes on.
    pub fn carry(&mut self, lane: usize, radio: &Radio, walls: &[u32], seed: u64, device: &str) {
        let anew = heard(radio, walls, seed, device);
        for (heard, anew) in self.0[lane].heard.iter_mut().zip(anew) {
            heard.mean_dbm = anew.mean_dbm;
        }
    }

    /// Brings a device's field to `t`. Received power of its access point, [dBm], and whether it has gone over to another.
    pub fn look(&mut self, lane: usize, radio: &Radio, t: SimTime) -> (f64, bool) {
        let spot = &mut self.0[lane];
        let dt_s = (t - spot.at).as_secs_f64();
        if radio.fading_db > 0.0 && dt_s > 0.0 {
            let kept = (-dt_s / radio.fading_tau_s.max(1e-9)).exp();
            for heard in &mut spot.heard {
                let n: f64 = spot.rng.sample(StandardNormal);
                heard.fading = kept * heard.fading + (1.0 - kept * kept).sqrt() * n;
            }
            spot.at = t;
        }
        let (best, best_dbm) = spot.best(radio);
        let now_dbm = spot.dbm(radio, spot.on);
        if best != spot.on && best_dbm >= now_dbm + radio.hysteresis_db {
            spot.on = best;
            return (best_dbm, true);
        }
        (now_dbm, false)
    }

    /// The access point that a device is on.
    #[cfg(test)]
    pub fn on(&self, lane: usize) -> u8 {
        self.0[lane].on
    }

    pub fn hash_into(&self, lane: usize, bytes: &mut Vec<u8>) {
        let spot = &self.0[lane];
        bytes.push(spot.on);
        bytes.extend(spot.rng.clone().random::<u64>().to_le_bytes());
        for heard in &spot.heard {
            bytes.extend(heard.fading.to_bits().to_le_bytes());
        }
    }

    /// Bytes held, [B].
    pub fn bytes(&self) -> usize {
        let heard: usize = self.0.iter().map(|s| s.heard.capacity() * size_of::<Heard>()).sum();
        self.0.capacity() * size_of::<Spot>() + heard
    }
}

/// Each access point as a device hears it at the start, behind so many walls.
fn heard(radio: &Radio, walls: &[u32], seed: u64, device: &str) -> Vec<Heard> {
    let one = |(n, walls): (usize, &u32)| {
        let label = if n == 0 { "link/place".to_owned() } else { format!("link/place/{n}") };
        let mut place = stream(seed, device, &label);
        let u: f64 = place.random();
        let shadowing: f64 = place.sample(StandardNormal);
        let fading: f64 = place.sample(StandardNormal);
        let (near, far) = radio.distance_m;
        let distance_m = near + (far - near) * u + f64::from(*walls) * radio.wall_m;
        let mean_dbm =
            radio.rssi_dbm(distance_m, radio.shadowing_db * shadowing) - f64::from(*walls) * radio.wall_db;
        Heard { mean_dbm, fading }
    };
    walls.iter().enumerate().map(one).collect()
}

impl Spot {
    fn dbm(&self, radio: &Radio, n: u8) -> f64 {
        let heard = self.heard[n as usize];
        heard.mean_dbm + radio.fading_db * heard.fading
    }

    fn best(&self, radio: &Radio) -> (u8, f64) {
        let all = (0..self.heard.len() as u8).map(|n| (n, self.dbm(radio, n)));
        all.reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap_or((0, f64::NEG_INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn radio() -> Radio {
        Radio {
            tx_dbm: 17.0,
            rssi50_dbm: -92.0,
            loss_1m_db: 40.0,
            exponent: 3.0,
            shadowing_db: 4.0,
            distance_m: (5.0, 15.0),
            wall_db: 6.0,
            wall_m: 10.0,
            fading_db: 4.0,
            fading_tau_s: 60.0,
            hysteresis_db: 8.0,
        }
    }

    #[test]
    fn half_the_packets_arrive_at_rssi50_and_more_above() {
        assert_eq!(reception(-92.0, -92.0), 0.5);
        let curve: Vec<f64> = (-100..-84).map(|r| reception(f64::from(r), -92.0)).collect();
        assert!(curve.windows(2).all(|w| w[0] < w[1]) && curve[0] < 0.001 && curve[15] > 0.999);
    }

    /// Mean and spread over many devices are those of the path and of shadowing and fading together.
    #[test]
    fn received_power_follows_distance_walls_and_shadowing() {
        let radio = Radio { distance_m: (10.0, 10.0), ..radio() };
        let n = 4000;
        let mut field = Field::default();
        for i in 0..n {
            field.add(&radio, &[2], 7, &format!("d-{i}"));
        }
        let all: Vec<f64> = (0..n).map(|i| field.look(i, &radio, SimTime::ZERO).0).collect();
        let mean = all.iter().sum::<f64>() / n as f64;
        let std = (all.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        // 17 dBm − 40 dB − 30·lg 30 dB − two walls of 6 dB.
        let want = 17.0 - 40.0 - 30.0 * 30f64.log10() - 12.0;
        assert!((mean - want).abs() < 4.0 * 32f64.sqrt() / (n as f64).sqrt(), "{mean} {want}");
        assert!((std - 32f64.sqrt()).abs() < 0.3, "{std}");
    }

    #[test]
    fn a_device_goes_over_to_a_clearly_stronger_access_point_only() {
        let radio = radio();
        let mut field = Field::default();
        field.add(&radio, &[0, 0], 3, "d");
        let mut roams = 0;
        for k in 1..2000 {
            let before = field.on(0);
            let old = field.0[0].dbm(&radio, before);
            let (dbm, roamed) = field.look(0, &radio, SimTime::ZERO + Span::from_secs(60 * k));
            let stays = field.0[0].dbm(&radio, before);
            roams += u32::from(roamed);
            assert_eq!(roamed, field.on(0) != before);
            assert!(!roamed || dbm >= stays + 8.0, "{old} {dbm}");
        }
        assert!((5..1000).contains(&roams), "{roams}");
    }

    #[test]
    fn fading_is_stationary_whatever_the_pauses() {
        let radio = Radio { hysteresis_db: 1e9, ..radio() };
        for pause in [6i64, 60, 600] {
            let mut field = Field::default();
            field.add(&radio, &[0], 3, "d");
            let n = 20_000i64;
            let mean_dbm = field.0[0].heard[0].mean_dbm;
            let off = |k| field.look(0, &radio, SimTime::ZERO + Span::from_secs(pause * k)).0 - mean_dbm;
            let squares: f64 = (1..=n).map(off).map(|x| x * x).sum();
            let std = (squares / n as f64).sqrt();
            assert!((std / 4.0 - 1.0).abs() < 0.1, "{std} at {pause} s");
        }
    }
}
