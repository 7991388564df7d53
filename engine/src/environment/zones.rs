//! Zones: rooms, houses, desks as a thermal network with moisture, soil and light.
//!
//! A zone's surroundings are the zone that contains it, or the outdoors. Heat and vapour of an island (zones joined by
//! walls or containment) are stepped exactly under inputs held over the step; islands are stepped one by one, so that a
//! zone's values have the same bits whatever else the run holds. Evaporation couples soil, vapour and heat: its rate is
//! held over a step, which is the one place where the length of the step matters.
//!
//! Left out: heat of condensation, stratification, wind on the ventilation.
//!
//! ```
//! use twinfleet_engine::environment::{weather::Outside, zones::{ZoneDef, ZoneInputs, ZoneModel}};
//! let room = ZoneDef { heat_capacity_j_k: Some(1e5), outside_w_k: 50.0, temperature_c: 20.0, ..ZoneDef::named("room") };
//! let mut model = ZoneModel::new(&[room], |_| true);
//! let mut inputs = ZoneInputs::new(1);
//! inputs.heat_w[0] = 500.0;
//! for _ in 0..100 {
//!     model.step(&Outside::default(), &inputs, 600.0);
//! }
//! // Steady: 500 W through 50 W/K above the 20 °C outside.
//! assert!((model.state(0).unwrap().temperature_c - 30.0).abs() < 1e-6);
//! ```

mod def;
mod soil;

pub use def::{
    ADD_CAPACITY, ADD_VOLUME, NeighbourDef, STAYS_DAMP, STAYS_WARM, SoilDef, ZoneDef, ZoneProblem, idle,
    islands, problems,
};

use super::{
    air::{self, AIR_J_M3_K, LATENT_J_KG},
    ambient::{AmbientDef, CARRIED, Carried, loudest_db},
    network::{LinkId, Network},
    weather::Outside,
};
use bevy_ecs::prelude::Resource;
use def::by_id;
use soil::water_soil;
use std::collections::HashMap;

/// What devices and events do to the zones over a step, by zone index.
#[derive(Resource, Clone, Debug, Default, PartialEq)]
pub struct ZoneInputs {
    /// Heat, [W].
    pub heat_w: Vec<f64>,
    /// Exchange of air with the surroundings on top of the leaks, [1/h].
    pub air_changes_per_h: Vec<f64>,
    /// Water given to the soil, [mm/h].
    pub water_mm_h: Vec<f64>,
    /// Light of lamps, [lx].
    pub light_lx: Vec<f64>,
    /// What is given off into the air, in the units of [`Carried`] times m³/s.
    pub emitted: Vec<Carried>,
    /// Power of what sounds, over that of 0 dB.
    pub sound: Vec<f64>,
    /// Magnetic field of what was brought near, [µT].
    pub magnetic_ut: Vec<[f64; 3]>,
}

impl ZoneInputs {
    /// Nothing, for `n` zones.
    pub fn new(n: usize) -> Self {
        let none = vec![0.0; n];
        Self {
            heat_w: none.clone(),
            air_changes_per_h: none.clone(),
            water_mm_h: none.clone(),
            sound: none.clone(),
            light_lx: none,
            emitted: vec![[0.0; CARRIED]; n],
            magnetic_ut: vec![[0.0; 3]; n],
        }
    }

    /// Sets everything to nothing.
    pub fn clear(&mut self) {
        let Self { heat_w, air_changes_per_h, water_mm_h, light_lx, emitted, sound, magnetic_ut } = self;
        for v in [heat_w, air_changes_per_h, water_mm_h, light_lx, sound] {
            v.fill(0.0);
        }
        emitted.fill([0.0; CARRIED]);
        magnetic_ut.fill([0.0; 3]);
    }
}

/// A zone's air, light and soil at an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZoneState {
    /// Air temperature, [°C].
    pub temperature_c: f64,
    /// Temperature of the slow mass, [°C]; the air's where there is none.
    pub mass_c: f64,
    /// Absolute humidity, [g/m³].
    pub vapour_g_m3: f64,
    /// Relative humidity, [percent].
    pub humidity_percent: f64,
    /// Volumetric water content of the soil, [percent]; 0 without soil.
    pub soil_percent: f64,
    /// What the air carries.
    pub carried: Carried,
}

/// The zones that a run simulates.
#[derive(Resource, Clone, Debug)]
pub struct ZoneModel {
    defs: Vec<ZoneDef>,
    parent: Vec<Option<usize>>,
    /// Light that comes in from outdoors through all containing zones, 0–1.
    transmission: Vec<f64>,
    islands: Vec<Island>,
    state: Vec<Option<ZoneState>>,
    /// The outdoors'.
    ambient: AmbientDef,
}

#[derive(Clone, Debug)]
struct Island {
    zones: Vec<usize>,
    heat: Network,
    vapour: Network,
    /// Links of each zone's air exchange with its parent, in heat and vapour.
    exchange: Vec<Option<(LinkId, LinkId)>>,
    /// Node of each zone's mass.
    mass: Vec<Option<usize>>,
}

impl Island {
    fn new(
        defs: &[ZoneDef],
        ids: &HashMap<&str, usize>,
        parent: &[Option<usize>],
        zones: Vec<usize>,
    ) -> Self {
        let places: HashMap<usize, usize> = zones.iter().enumerate().map(|(i, z)| (*z, i)).collect();
        let local = |z: usize| places.get(&z).copied();
        let mut capacity: Vec<_> = zones.iter().map(|z| defs[*z].heat_capacity_j_k).collect();
        let mut mass = vec![None; zones.len()];
        for (i, z) in zones.iter().enumerate() {
            if defs[*z].mass_j_k > 0.0 {
                mass[i] = Some(capacity.len());
                capacity.push(Some(defs[*z].mass_j_k));
            }
        }
        let mut heat = Network::new(capacity);
        let volume = |z: &usize| (defs[*z].volume_m3 > 0.0).then_some(defs[*z].volume_m3);
        let mut vapour = Network::new(zones.iter().map(volume).collect());
        let mut exchange = vec![None; zones.len()];
        for (i, z) in zones.iter().enumerate() {
            let def = &defs[*z];
            if let Some(m) = mass[i] {
                heat.link(i, m, def.mass_w_k);
            }
            if let Some(p) = parent[*z].and_then(local) {
                heat.link(i, p, def.outside_w_k);
                exchange[i] = Some((heat.link(i, p, 0.0), vapour.link(i, p, 0.0)));
            }
            for wall in &def.neighbours {
                if let Some(other) = ids.get(wall.zone.as_str()).copied().and_then(local) {
                    heat.link(i, other, wall.w_k);
                }
            }
        }
        Self { zones, heat, vapour, exchange, mass }
    }
}

impl ZoneModel {
    /// A model of these zones, of which those are stepped that `owned` names by index; it must name whole islands.
    pub fn new(defs: &[ZoneDef], owned: impl Fn(usize) -> bool) -> Self {
        let ids = by_id(defs);
        let find = |id: &String| ids.get(id.as_str()).copied();
        let parent: Vec<_> = defs.iter().map(|z| z.parent.as_ref().and_then(find)).collect();
        let of = islands(defs);
        let count = of.iter().max().map_or(0, |m| m + 1);
        let mut members = vec![Vec::new(); count];
        for z in (0..defs.len()).filter(|z| owned(*z)) {
            members[of[z]].push(z);
        }
        let islands: Vec<Island> = members
            .into_iter()
            .filter(|zones| !zones.is_empty())
            .map(|zones| Island::new(defs, &ids, &parent, zones))
            .collect();
        let mut state = vec![None; defs.len()];
        for z in islands.iter().flat_map(|i| &i.zones) {
            let def = &defs[*z];
            state[*z] = Some(ZoneState {
                temperature_c: def.temperature_c,
                mass_c: def.temperature_c,
                vapour_g_m3: air::absolute_humidity_g_m3(def.temperature_c, def.humidity_percent),
                humidity_percent: def.humidity_percent,
                soil_percent: def.soil.as_ref().map_or(0.0, |s| s.moisture_percent),
                carried: def.ambient.unwrap_or_default().carried(),
            });
        }
        let transmission = (0..defs.len()).map(|z| through(defs, &parent, z)).collect();
        Self { defs: defs.to_vec(), parent, transmission, islands, state, ambient: AmbientDef::default() }
    }

    /// The same zones, those that say nothing of it with the outdoors' air.
    #[must_use]
    pub fn amid(mut self, outdoors: AmbientDef) -> Self {
        self.ambient = outdoors;
        for (def, state) in self.defs.iter().zip(&mut self.state) {
            if let (None, Some(state)) = (&def.ambient, state) {
                state.carried = outdoors.carried();
            }
        }
        self
    }

    /// Level of sound in a zone, [dB], and its magnetic field, [µT].
    pub fn sound_and_field(&self, zone: usize, inputs: &ZoneInputs) -> (f64, [f64; 3]) {
        let own = self.defs[zone].ambient.as_ref().unwrap_or(&self.ambient);
        let (x, y, z) = own.magnetic_ut;
        let near = inputs.magnetic_ut[zone];
        let sound = match inputs.sound[zone] {
            power if power > 0.0 => loudest_db(own.sound_db, 10.0 * power.log10()),
            _ => own.sound_db,
        };
        (sound, [x + near[0], y + near[1], z + near[2]])
    }

    /// The definitions.
    pub fn defs(&self) -> &[ZoneDef] {
        &self.defs
    }

    /// A zone's state; none where this run does not simulate it.
    pub fn state(&self, zone: usize) -> Option<&ZoneState> {
        self.state.get(zone)?.as_ref()
    }

    /// Illuminance in a zone under this sky with these lamps, [lx].
    pub fn illuminance_lx(&self, zone: usize, outside: &Outside, inputs: &ZoneInputs) -> f64 {
        outside.illuminance_lx * self.transmission[zone] + inputs.light_lx[zone]
    }

    /// Steps every zone over `dt_s` seconds with the outside and the inputs held.
    pub fn step(&mut self, outside: &Outside, inputs: &ZoneInputs, dt_s: f64) {
        for k in 0..self.islands.len() {
            self.step_island(k, outside, inputs, dt_s);
        }
    }

    fn step_island(&mut self, k: usize, outside: &Outside, inputs: &ZoneInputs, dt_s: f64) {
        let Self { defs, parent, transmission, islands, state, .. } = self;
        let Island { zones, heat, vapour, exchange, mass } = &mut islands[k];
        let outside_g_m3 = air::absolute_humidity_g_m3(outside.temperature_c, outside.humidity_percent);
        let (mut temperatures, mut vapours) = (vec![0.0; heat.len()], vec![0.0; zones.len()]);
        let (mut watts, mut grams_s) = (vec![0.0; heat.len()], vec![0.0; zones.len()]);
        for (i, &z) in zones.iter().enumerate() {
            let (def, Some(now)) = (&defs[z], &mut state[z]) else { continue };
            temperatures[i] = now.temperature_c;
            vapours[i] = now.vapour_g_m3;

            let flow_m3_s = def.volume_m3 * (def.air_changes_per_h + inputs.air_changes_per_h[z]) / 3600.0;
            match (parent[z], exchange[i]) {
                (Some(_), Some((h, v))) => {
                    heat.set_link(h, flow_m3_s * AIR_J_M3_K);
                    vapour.set_link(v, flow_m3_s);
                }
                _ => {
                    heat.set_boundary(i, def.outside_w_k + flow_m3_s * AIR_J_M3_K);
                    vapour.set_boundary(i, flow_m3_s);
                }
            }

            let solar_w = outside.irradiance_w_m2 * def.solar_m2;
            let to_mass = if mass[i].is_some() { def.solar_to_mass } else { 0.0 };
            if let Some(m) = mass[i] {
                temperatures[m] = now.mass_c;
                watts[m] = solar_w * to_mass;
            }
            watts[i] = solar_w * (1.0 - to_mass) + def.heat_w + inputs.heat_w[z];
            grams_s[i] = def.vapour_g_h / 3600.0;
            if let Some(soil) = &def.soil {
                let canopy_w_m2 = outside.irradiance_w_m2 * transmission[z];
                let evaporated_kg = water_soil(soil, now, canopy_w_m2, inputs.water_mm_h[z], dt_s);
                grams_s[i] += 1000.0 * evaporated_kg / dt_s;
                watts[i] -= LATENT_J_KG * evaporated_kg / dt_s;
            }
        }
        heat.advance(&mut temperatures, outside.temperature_c, &watts, dt_s);
        vapour.advance(&mut vapours, outside_g_m3, &grams_s, dt_s);
        for (i, &z) in zones.iter().enumerate() {
            let (def, Some(now)) = (&defs[z], &mut state[z]) else { continue };
            now.temperature_c = temperatures[i];
            now.mass_c = temperatures[mass[i].unwrap_or(i)];
            let saturated = air::absolute_humidity_g_m3(now.temperature_c, 100.0);
            if def.volume_m3 > 0.0 {
                // What the air cannot hold condenses and runs off.
                now.vapour_g_m3 = vapours[i].min(saturated);
                now.humidity_percent = (100.0 * now.vapour_g_m3 / saturated).min(100.0);
            } else {
                now.vapour_g_m3 = saturated * now.humidity_percent / 100.0;
            }
        }
        self.carry(k, inputs, dt_s);
    }

    /// Steps what the air of an island carries, with the exchange that its vapour has.
    fn carry(&mut self, k: usize, inputs: &ZoneInputs, dt_s: f64) {
        let Self { defs, islands, state, ambient, .. } = self;
        let Island { zones, vapour, .. } = &mut islands[k];
        let outside = ambient.carried();
        let sources: Vec<Carried> = zones.iter().map(|z| defs[*z].emits.per_s()).collect();
        let (mut now, mut from) = (vec![0.0; zones.len()], vec![0.0; zones.len()]);
        for q in 0..CARRIED {
            for (i, z) in zones.iter().enumerate() {
                now[i] = state[*z].map_or(0.0, |s| s.carried[q]);
                from[i] = sources[i][q] + inputs.emitted[*z][q];
            }
            vapour.advance(&mut now, outside[q], &from, dt_s);
            for (x, z) in now.iter().zip(zones.iter()) {
                if let Some(s) = &mut state[*z] {
                    s.carried[q] = *x;
                }
            }
        }
    }
}

/// Light through a zone and all that contain it. Containment may be written as a cycle in a file that was never checked:
/// no more steps are taken than there are zones.
fn through(defs: &[ZoneDef], parent: &[Option<usize>], zone: usize) -> f64 {
    let mut share = 1.0;
    let mut at = Some(zone);
    for _ in 0..defs.len() {
        let Some(z) = at else { break };
        share *= defs[z].light_transmission;
        at = parent[z];
    }
    share
}

#[cfg(test)]
mod tests {
    use super::{def::tests::house, *};

    fn sky(k: u32) -> Outside {
        let x = f64::from(k);
        Outside {
            temperature_c: 10.0 + 5.0 * (0.01 * x).sin(),
            humidity_percent: 70.0,
            irradiance_w_m2: 300.0 * (1.0 + (0.02 * x).sin()),
            illuminance_lx: 36_000.0,
            ..Outside::default()
        }
    }

    #[test]
    fn an_island_alone_has_the_same_bits() {
        let zones = [
            house("a", None, &[("b", 40.0)]),
            house("x", None, &[]),
            house("b", None, &[]),
            house("in-a", Some("a"), &[]),
        ];
        let mut whole = ZoneModel::new(&zones, |_| true);
        let mut alone = ZoneModel::new(&zones, |z| islands(&zones)[z] == 0);
        let mut inputs = ZoneInputs::new(4);
        for k in 0..500 {
            inputs.heat_w[0] = f64::from(k % 7) * 100.0;
            inputs.heat_w[1] = 77.0;
            inputs.air_changes_per_h[3] = f64::from(k % 11);
            whole.step(&sky(k), &inputs, 10.0);
            alone.step(&sky(k), &inputs, 10.0);
        }
        assert!(alone.state(1).is_none());
        for z in [0, 2, 3] {
            assert_eq!(whole.state(z), alone.state(z));
        }
        assert_ne!(whole.state(0), whole.state(1));
    }

    #[test]
    fn the_steady_state_is_the_closed_form() {
        // Sun and heater against wall and ventilation, without soil: T = T_out + Q/(UA + n·V·ρc).
        let mut zone = house("a", None, &[]);
        zone.soil = None;
        zone.vapour_g_h = 700.0;
        let mut model = ZoneModel::new(&[zone], |_| true);
        let mut inputs = ZoneInputs::new(1);
        inputs.heat_w[0] = 1500.0;
        inputs.air_changes_per_h[0] = 4.3;
        let outside = Outside { temperature_c: 8.0, irradiance_w_m2: 250.0, ..Outside::default() };
        for _ in 0..2000 {
            model.step(&outside, &inputs, 600.0);
        }
        let state = model.state(0).unwrap();
        let flow = 200.0 * 5.0 / 3600.0;
        let expected = 8.0 + (1500.0 + 250.0 * 9.0) / (120.0 + flow * AIR_J_M3_K);
        // The share of the sun that enters the mass makes the mass warmer than the air, not the air itself.
        assert!((state.temperature_c - expected).abs() < 1e-8, "{state:?}, expected {expected}");
        assert!((state.mass_c - (expected + 250.0 * 9.0 * 0.4 / 300.0)).abs() < 1e-8);
        let vapour = air::absolute_humidity_g_m3(8.0, 50.0) + 700.0 / 3600.0 / flow;
        assert!((state.vapour_g_m3 - vapour).abs() < 1e-9);
        assert!(
            (state.humidity_percent - 100.0 * vapour / air::absolute_humidity_g_m3(expected, 100.0)).abs()
                < 1e-6
        );
    }

    #[test]
    fn a_closed_set_of_zones_keeps_its_heat_and_its_vapour() {
        // Nothing to the outside: `b` exchanges heat and air with `a` that contains it, `c` shares a wall with `b`.
        let mut zones = [house("a", None, &[]), house("b", Some("a"), &[]), house("c", None, &[("b", 55.0)])];
        for (k, zone) in zones.iter_mut().enumerate() {
            zone.soil = None;
            zone.solar_m2 = 0.0;
            zone.temperature_c = 15.0 + 10.0 * k as f64;
            zone.humidity_percent = 30.0;
        }
        for k in [0, 2] {
            zones[k].outside_w_k = 0.0;
            zones[k].air_changes_per_h = 0.0;
        }
        let mut model = ZoneModel::new(&zones, |_| true);
        let totals = |model: &ZoneModel| {
            (0..3).map(|z| model.state(z).unwrap()).fold((0.0, 0.0), |(heat, vapour), s| {
                let joules = 8e5 * (s.temperature_c + 273.15) + 5e6 * (s.mass_c + 273.15);
                (heat + joules, vapour + 200.0 * s.vapour_g_m3)
            })
        };
        let (start, first) = (totals(&model), *model.state(1).unwrap());
        for k in 0..5000 {
            let inputs =
                ZoneInputs { air_changes_per_h: vec![0.0, f64::from(k % 5), 0.0], ..ZoneInputs::new(3) };
            model.step(&sky(k), &inputs, 10.0);
        }
        let end = totals(&model);
        assert!((end.0 / start.0 - 1.0).abs() < 1e-9, "heat {start:?} became {end:?}");
        assert!((end.1 / start.1 - 1.0).abs() < 1e-9, "vapour {start:?} became {end:?}");
        assert!(
            (model.state(1).unwrap().temperature_c - first.temperature_c).abs() > 0.5,
            "something did flow"
        );
    }

    #[test]
    fn halving_the_step_changes_nothing_without_soil_and_little_with_it() {
        for (soil, tolerance) in [(false, 1e-9), (true, 0.02)] {
            let mut zones = [house("a", None, &[("b", 40.0)]), house("b", None, &[])];
            if !soil {
                zones.iter_mut().for_each(|z| z.soil = None);
            }
            let mut coarse = ZoneModel::new(&zones, |_| true);
            let mut fine = coarse.clone();
            let inputs = ZoneInputs { heat_w: vec![800.0, 0.0], ..ZoneInputs::new(2) };
            for k in 0..600 {
                coarse.step(&sky(k), &inputs, 20.0);
                fine.step(&sky(k), &inputs, 10.0);
                fine.step(&sky(k), &inputs, 10.0);
            }
            for z in 0..2 {
                let (a, b) = (coarse.state(z).unwrap(), fine.state(z).unwrap());
                assert!((a.temperature_c - b.temperature_c).abs() < tolerance, "{a:?} {b:?}");
                assert!((a.humidity_percent - b.humidity_percent).abs() < 10.0 * tolerance, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn light_passes_every_shell() {
        let zones = [house("a", None, &[]), house("b", Some("a"), &[]), house("c", Some("b"), &[])];
        let model = ZoneModel::new(&zones, |_| true);
        let mut inputs = ZoneInputs::new(3);
        inputs.light_lx[2] = 500.0;
        let lx = model.illuminance_lx(2, &sky(0), &inputs);
        assert!((lx - (36_000.0 * 0.6 * 0.6 * 0.6 + 500.0)).abs() < 1e-9);
        // A file that was never checked may contain itself.
        let cycle = [house("a", Some("b"), &[]), house("b", Some("a"), &[])];
        ZoneModel::new(&cycle, |_| true).step(&sky(0), &ZoneInputs::new(2), 10.0);
    }

    #[test]
    fn air_never_holds_more_than_it_can() {
        let zone = ZoneDef {
            volume_m3: 50.0,
            heat_capacity_j_k: Some(1e5),
            outside_w_k: 200.0,
            vapour_g_h: 2000.0,
            temperature_c: 30.0,
            humidity_percent: 90.0,
            ..ZoneDef::named("bath")
        };
        let mut model = ZoneModel::new(&[zone], |_| true);
        for _ in 0..100 {
            model.step(&Outside { temperature_c: 2.0, ..Outside::default() }, &ZoneInputs::new(1), 60.0);
            assert!(model.state(0).unwrap().humidity_percent <= 100.0);
        }
        assert!(model.state(0).unwrap().humidity_percent > 99.999);
    }
}
