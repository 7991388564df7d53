//! What a scenario says of its zones, and what can be wrong with it.

use crate::environment::ambient::{AmbientDef, EmitDef};
use serde::Deserialize;
use std::collections::HashMap;

/// A zone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneDef {
    /// Id.
    pub id: String,
    /// Zone that contains it; none: it stands outdoors.
    #[serde(default, rename = "in")]
    pub parent: Option<String>,
    /// Temperature at the start, [°C]; it stays so unless `heat_capacity_j_k` is given.
    #[serde(default = "room_c")]
    pub temperature_c: f64,
    /// Relative humidity at the start, [percent]; it stays so unless `volume_m3` is given.
    #[serde(default = "room_percent")]
    pub humidity_percent: f64,
    /// Heat capacity of the air and what is as quick as it, [J/K].
    #[serde(default)]
    pub heat_capacity_j_k: Option<f64>,
    /// Heat capacity of the slow mass (floor, walls), [J/K]; 0: none.
    #[serde(default)]
    pub mass_j_k: f64,
    /// Conductance between air and mass, [W/K].
    #[serde(default)]
    pub mass_w_k: f64,
    /// Conductance to what surrounds the zone, [W/K].
    #[serde(default)]
    pub outside_w_k: f64,
    /// Walls to other zones.
    #[serde(default)]
    pub neighbours: Vec<NeighbourDef>,
    /// Effective solar aperture: outdoor global irradiance times this is heat inside, [m²].
    #[serde(default)]
    pub solar_m2: f64,
    /// Share of the solar heat that goes into the mass, 0–1.
    #[serde(default)]
    pub solar_to_mass: f64,
    /// Volume of air, [m³]; 0: no exchange of air and constant relative humidity.
    #[serde(default)]
    pub volume_m3: f64,
    /// Exchange of air with the surroundings through leaks, [1/h].
    #[serde(default)]
    pub air_changes_per_h: f64,
    /// Constant source of heat, [W].
    #[serde(default)]
    pub heat_w: f64,
    /// Constant source of water vapour, [g/h].
    #[serde(default)]
    pub vapour_g_h: f64,
    /// Share of the surroundings' light that comes in, 0–1.
    #[serde(default)]
    pub light_transmission: f64,
    /// Planted soil.
    #[serde(default)]
    pub soil: Option<SoilDef>,
    /// What its air carries at the start, and its sound and magnetic field. None: as outdoors.
    #[serde(default)]
    pub ambient: Option<AmbientDef>,
    /// What is given off into its air; needs `volume_m3`.
    #[serde(default)]
    pub emits: EmitDef,
}

/// A wall to another zone. It may be named on either side, or on both; conductances add up.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourDef {
    /// The other zone.
    pub zone: String,
    /// Conductance of the wall, [W/K].
    pub w_k: f64,
}

/// Planted soil: a bucket of water that plants draw from.
///
/// Potential evapotranspiration is λE = `radiation_share`·G + `vpd_w_m2_kpa`·VPD, the two-term form of M. Baille,
/// A. Baille and J. C. Laury (Scientia Horticulturae 59, 1994) with G the irradiance at the canopy; the soil gives that times its relative
/// available water.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoilDef {
    /// Planted area, [m²].
    pub area_m2: f64,
    /// Depth of the roots, [mm].
    #[serde(default = "root_mm")]
    pub root_mm: f64,
    /// Volumetric water content at the start, [percent].
    #[serde(default = "soil_percent")]
    pub moisture_percent: f64,
    /// Water content at which plants wilt, [percent] (FAO-56 table 19: 9–21 for silt loam).
    #[serde(default = "wilting_percent")]
    pub wilting_percent: f64,
    /// Water content above which water drains, [percent] (field capacity; FAO-56 table 19: 22–36 for silt loam).
    #[serde(default = "capacity_percent")]
    pub capacity_percent: f64,
    /// Share of the irradiance at the canopy that evaporates water.
    #[serde(default = "radiation_share")]
    pub radiation_share: f64,
    /// Evaporation per vapour-pressure deficit, [W/(m²·kPa)].
    #[serde(default = "vpd_w_m2_kpa")]
    pub vpd_w_m2_kpa: f64,
}

fn room_c() -> f64 {
    20.0
}
fn room_percent() -> f64 {
    50.0
}
fn root_mm() -> f64 {
    300.0
}
fn soil_percent() -> f64 {
    28.0
}
fn wilting_percent() -> f64 {
    12.0
}
fn capacity_percent() -> f64 {
    32.0
}
fn radiation_share() -> f64 {
    0.4
}
fn vpd_w_m2_kpa() -> f64 {
    15.0
}

impl ZoneDef {
    /// A zone of this id in which everything stays at the defaults.
    pub fn named(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            parent: None,
            temperature_c: room_c(),
            humidity_percent: room_percent(),
            heat_capacity_j_k: None,
            mass_j_k: 0.0,
            mass_w_k: 0.0,
            outside_w_k: 0.0,
            neighbours: Vec::new(),
            solar_m2: 0.0,
            solar_to_mass: 0.0,
            volume_m3: 0.0,
            air_changes_per_h: 0.0,
            heat_w: 0.0,
            vapour_g_h: 0.0,
            light_transmission: 0.0,
            soil: None,
            ambient: None,
            emits: EmitDef::default(),
        }
    }
}

/// Indices of zones by id; of two with one id (the scenario's check refuses them first), the first.
pub(super) fn by_id(zones: &[ZoneDef]) -> HashMap<&str, usize> {
    zones.iter().enumerate().rev().map(|(i, z)| (z.id.as_str(), i)).collect()
}

/// The island of each zone, by zone index: zones joined by walls or containment share one. Islands are numbered in the
/// order of their first zones. Names that no zone bears are skipped: the scenario's check refuses them first.
pub fn islands(zones: &[ZoneDef]) -> Vec<usize> {
    let ids = by_id(zones);
    let mut joined: Vec<Vec<usize>> = vec![Vec::new(); zones.len()];
    for (i, zone) in zones.iter().enumerate() {
        let others = zone.parent.iter().chain(zone.neighbours.iter().map(|n| &n.zone));
        for other in others.filter_map(|id| ids.get(id.as_str())) {
            joined[i].push(*other);
            joined[*other].push(i);
        }
    }
    let mut island = vec![usize::MAX; zones.len()];
    let mut count = 0;
    for first in 0..zones.len() {
        if island[first] != usize::MAX {
            continue;
        }
        let mut reached = vec![first];
        while let Some(zone) = reached.pop() {
            if island[zone] == usize::MAX {
                island[zone] = count;
                reached.extend(&joined[zone]);
            }
        }
        count += 1;
    }
    island
}

/// What is wrong with a zone's definition.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneProblem {
    /// Index of the zone.
    pub zone: usize,
    /// The field within it, such as `volume_m3` or `neighbours[1].zone`.
    pub field: String,
    /// What was expected, and what was found.
    pub message: String,
    /// What to try.
    pub help: &'static str,
}

/// What is wrong with the definitions beyond ids, references and the ranges that a key's unit implies (which the
/// scenario's check knows), in their order.
pub fn problems(zones: &[ZoneDef]) -> Vec<ZoneProblem> {
    let mut found = Vec::new();
    for (zone, z) in zones.iter().enumerate() {
        let mut wrong = |field: &str, what: String, help: &'static str| {
            let message = format!("`{field}` {what}");
            found.push(ZoneProblem { zone, field: field.to_owned(), message, help });
        };
        const OR_MORE: &str = "write 0 or more";
        const ABOVE: &str = "write a number above 0";
        for (field, value) in [("air_changes_per_h", z.air_changes_per_h), ("vapour_g_h", z.vapour_g_h)] {
            if value < 0.0 {
                wrong(field, format!("must be at least 0, but is {value}"), OR_MORE);
            }
        }
        for (field, value) in
            [("solar_to_mass", z.solar_to_mass), ("light_transmission", z.light_transmission)]
        {
            if !(0.0..=1.0).contains(&value) {
                wrong(field, format!("is a share, from 0 to 1, but is {value}"), "70 % is written 0.7");
            }
        }
        if z.heat_capacity_j_k.is_some_and(|c| c <= 0.0) {
            wrong(
                "heat_capacity_j_k",
                "must be above 0".to_owned(),
                "leave it out for a constant temperature",
            );
        }
        if z.volume_m3 == 0.0 && z.air_changes_per_h > 0.0 {
            wrong(
                "air_changes_per_h",
                "needs `volume_m3`, of which it is a multiple".to_owned(),
                "add the zone's volume, such as `volume_m3: 300.0`",
            );
        }
        if z.volume_m3 == 0.0 && !z.emits.is_none() {
            wrong(
                "emits",
                "needs `volume_m3`: what is given off is spread over the zone's air".to_owned(),
                "give the zone its volume of air",
            );
        }
        for (field, what) in z.ambient.iter().flat_map(AmbientDef::problems) {
            wrong(&format!("ambient.{field}"), what, "leave it out for what the air outdoors usually holds");
        }
        for (k, n) in z.neighbours.iter().enumerate() {
            if n.zone == z.id {
                wrong(
                    &format!("neighbours[{k}].zone"),
                    "is the zone itself, to which it has no wall".to_owned(),
                    "name another zone; what goes outdoors is `outside_w_k`",
                );
            }
            if n.w_k < 0.0 {
                wrong(
                    &format!("neighbours[{k}].w_k"),
                    format!("must be at least 0, but is {}", n.w_k),
                    OR_MORE,
                );
            }
        }
        if let Some(s) = &z.soil {
            if s.area_m2 <= 0.0 {
                wrong("soil.area_m2", format!("must be above 0, but is {}", s.area_m2), ABOVE);
            }
            if s.root_mm <= 0.0 {
                wrong("soil.root_mm", format!("must be above 0, but is {}", s.root_mm), ABOVE);
            }
            if !(0.0 <= s.wilting_percent
                && s.wilting_percent < s.capacity_percent
                && s.capacity_percent <= 100.0)
            {
                wrong(
                    "soil.capacity_percent",
                    format!(
                        "lies above `wilting_percent`, {}, and is at most 100, but is {}",
                        s.wilting_percent, s.capacity_percent
                    ),
                    "leave both out for the figures of a common soil",
                );
            }
        }
    }
    found
}

/// What a zone says that changes nothing, since it lacks what that would change: the first such figure of heat, and of vapour.
pub fn idle(zones: &[ZoneDef]) -> Vec<ZoneProblem> {
    let mut found = Vec::new();
    for (zone, z) in zones.iter().enumerate() {
        let heat = [
            ("mass_j_k", z.mass_j_k),
            ("outside_w_k", z.outside_w_k),
            ("solar_m2", z.solar_m2),
            ("heat_w", z.heat_w),
        ];
        let warm = heat.iter().find(|(_, value)| z.heat_capacity_j_k.is_none() && *value != 0.0);
        let damp = z.volume_m3 == 0.0 && z.vapour_g_h != 0.0;
        for (field, message, help) in [
            warm.map(|(field, _)| (*field, STAYS_WARM, ADD_CAPACITY)),
            damp.then_some(("vapour_g_h", STAYS_DAMP, ADD_VOLUME)),
        ]
        .into_iter()
        .flatten()
        {
            let message = format!("`{field}` changes nothing: {message}");
            found.push(ZoneProblem { zone, field: field.to_owned(), message, help });
        }
    }
    found
}

/// Why heat does nothing in a zone without `heat_capacity_j_k`.
pub const STAYS_WARM: &str = "without `heat_capacity_j_k` this zone's temperature stays as it is";
/// What to do about it.
pub const ADD_CAPACITY: &str =
    "give the zone the capacity of its air and of what is as quick, such as `heat_capacity_j_k: 1.1e6`";
/// Why air does nothing in a zone without `volume_m3`.
pub const STAYS_DAMP: &str =
    "without `volume_m3` this zone's humidity stays as it is, and it exchanges no air";
/// What to do about it.
pub const ADD_VOLUME: &str = "give the zone its volume of air, such as `volume_m3: 300.0`";

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn house(id: &str, parent: Option<&str>, neighbours: &[(&str, f64)]) -> ZoneDef {
        ZoneDef {
            parent: parent.map(str::to_owned),
            heat_capacity_j_k: Some(8e5),
            mass_j_k: 5e6,
            mass_w_k: 300.0,
            outside_w_k: 120.0,
            neighbours: neighbours
                .iter()
                .map(|(z, g)| NeighbourDef { zone: (*z).to_owned(), w_k: *g })
                .collect(),
            solar_m2: 9.0,
            solar_to_mass: 0.4,
            volume_m3: 200.0,
            air_changes_per_h: 0.7,
            light_transmission: 0.6,
            soil: Some(SoilDef {
                area_m2: 50.0,
                root_mm: root_mm(),
                moisture_percent: 25.0,
                wilting_percent: 12.0,
                capacity_percent: 32.0,
                radiation_share: 0.4,
                vpd_w_m2_kpa: 15.0,
            }),
            ..ZoneDef::named(id)
        }
    }

    #[test]
    fn islands_follow_walls_and_containment() {
        let zones = [
            house("a", None, &[]),
            house("b", None, &[("d", 5.0)]),
            house("c", Some("a"), &[]),
            house("d", None, &[]),
            house("e", None, &[]),
        ];
        assert_eq!(islands(&zones), [0, 1, 0, 1, 2]);
        assert!(islands(&[]).is_empty());
    }

    #[test]
    fn problems_are_all_found() {
        let mut zone = house("a", None, &[("a", -1.0)]);
        zone.light_transmission = 1.5;
        zone.volume_m3 = 0.0;
        zone.heat_capacity_j_k = Some(0.0);
        zone.vapour_g_h = -1.0;
        zone.soil.as_mut().unwrap().wilting_percent = 50.0;
        let fields: Vec<_> =
            problems(&[house("ok", None, &[]), zone]).into_iter().map(|p| (p.zone, p.field)).collect();
        let expected = [
            "vapour_g_h",
            "light_transmission",
            "heat_capacity_j_k",
            "air_changes_per_h",
            "neighbours[0].zone",
            "neighbours[0].w_k",
            "soil.capacity_percent",
        ];
        assert_eq!(fields, expected.map(|f| (1, f.to_owned())));
    }
}
