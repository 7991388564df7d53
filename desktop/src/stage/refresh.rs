//! Entities follow the frame that is shown: floors and pads take the field's colours, bodies move, ghosts part from their
//! physicals, actuators glow.

#![expect(clippy::type_complexity, reason = "a query's type says all that its system touches")]

use super::{
    build::{ActuatorOf, BoardOf, BodyOf, Column, Floor, GhostOf, Pads, Sun, Wall},
    camera::Eye,
    layout::{BOARD_SCALE, BODY_SCALE, from_world},
    palette,
    plain::Skin,
    show::{Field, Shown},
    side::{Kept, Of, RangesOf, Showing, Side, Worked},
};
use crate::{
    fleet::{Device, Look, Pair},
    sim::{
        history::{Frame, Pose},
        spell::Class,
    },
};
use bevy::prelude::*;
use std::sync::Arc;
use twinfleet_engine::environment::OUTSIDE_CHANNELS;

/// Highest column.
const COLUMN: f32 = 1.6;
/// A residual of so many standard deviations has the palette's last colour.
const SIGMAS: f32 = 5.0;
/// From here on a board is drawn from afar.
const FAR: f32 = 22.0;

/// What the colours and columns reach from and to.
#[derive(Default)]
pub struct Ranges {
    of: Option<(u64, i64, Option<Arc<Field>>)>,
    /// The field's.
    pub field: Option<(f32, f32)>,
    /// By twin and pair.
    pub pairs: Vec<Vec<(f32, f32)>>,
    /// Both as this side alone has them.
    own: Scales,
}

impl Ranges {
    /// Where a value is in the field's range, 0–1.
    pub fn share(&self, value: f32) -> f32 {
        let Some((low, high)) = self.field else { return 0.5 };
        if high > low { (value - low) / (high - low) } else { 0.5 }
    }
}

/// Takes ranges from the sample of frames.
pub fn ranges<S: Side>(shown: Option<Res<Showing<S>>>, mut ranges: ResMut<RangesOf<S>>) {
    let Some(shown) = shown else { return };
    let key = (shown.generation, shown.sampled_ns, shown.field.clone());
    if ranges.of.as_ref() == Some(&key) {
        if shown.is_changed()
            && let Some(wider) = widened(&ranges.own.0, &shown)
        {
            (ranges.0.field, ranges.0.own.0) = (Some(wider), Some(wider));
        }
        return;
    }
    let ranges = &mut ranges.0;
    ranges.of = Some(key);
    let over = |ids: &[twinfleet_engine::signal::SignalId], frames: &[Arc<Frame>]| {
        let values = frames.iter().flat_map(|f| ids.iter().filter_map(|id| f.value(*id)));
        values.fold(None, |range: Option<(f32, f32)>, v| {
            Some(range.map_or((v, v), |(low, high)| (low.min(v), high.max(v))))
        })
    };
    ranges.field = shown.field.as_ref().and_then(|field| {
        let ids: Vec<_> = field.devices.iter().chain(&field.zones).flatten().copied().collect();
        // Over the past too, so that colours do not jump as time goes on.
        let now = over(&ids, std::slice::from_ref(&shown.frame));
        let all = over(&ids, &shown.sample);
        let (low, high) = trimmed(&ids, &shown).or(all).or(now)?;
        Some(rounded(low, high))
    });
    let twins = shown.opened.plan.scenario.mirror.len();
    ranges.pairs = (0..twins)
        .map(|twin| {
            let of = |pair: &Pair| {
                let (low, high) = over(&[pair.reported, pair.estimate], &shown.sample).unwrap_or((0.0, 1.0));
                rounded(low, high)
            };
            shown.fleet.pairs(twin).iter().map(of).collect()
        })
        .collect();
    ranges.own = (ranges.field, ranges.pairs.clone());
}

type Scales = (Option<(f32, f32)>, Vec<Vec<(f32, f32)>>);

/// Both sides of a split scene have one scale, so that a colour and a height mean the same on either.
pub fn join(
    mut worked: ResMut<RangesOf<Worked>>,
    mut kept: ResMut<RangesOf<Kept>>,
    shown: Res<Showing<Worked>>,
    beside: Option<Res<Showing<Kept>>>,
    mut was_split: Local<bool>,
) {
    let split = beside.is_some();
    let parted = std::mem::replace(&mut *was_split, split) != split;
    let changed = worked.is_changed() || kept.is_changed() || shown.is_changed();
    if !(parted || changed || beside.as_ref().is_some_and(|b| b.is_changed())) {
        return;
    }
    let both = |(a, b): (&(f32, f32), &(f32, f32))| rounded(a.0.min(b.0), a.1.max(b.1));
    let same = beside.is_some_and(|b| quantity(&b) == quantity(&shown));
    let (a, b) = (&worked.0.own, &kept.0.own);
    let field = a.0.as_ref().zip(b.0.as_ref()).filter(|_| same).map(both);
    let alike = a.1.len() == b.1.len() && a.1.iter().zip(&b.1).all(|(a, b)| a.len() == b.len());
    let pairs = (split && alike).then(|| -> Vec<Vec<(f32, f32)>> {
        a.1.iter().zip(&b.1).map(|(a, b)| a.iter().zip(b).map(both).collect()).collect()
    });
    scale(&mut worked, field, pairs.as_ref());
    scale(&mut kept, field, pairs.as_ref());
}

/// What a side is coloured by.
fn quantity(shown: &Shown) -> Option<&str> {
    shown.field.as_ref().map(|f| f.quantity.as_str())
}

/// Gives a side the scales of both, or its own. Only what changes is written, for whoever looks at changes.
fn scale<S: Side>(
    ranges: &mut ResMut<RangesOf<S>>,
    field: Option<(f32, f32)>,
    pairs: Option<&Vec<Vec<(f32, f32)>>>,
) {
    let field = field.or(ranges.0.own.0);
    if ranges.0.field != field {
        ranges.0.field = field;
    }
    let pairs = pairs.unwrap_or(&ranges.0.own.1);
    if ranges.0.pairs != *pairs {
        let pairs = pairs.clone();
        ranges.0.pairs = pairs;
    }
}

/// The field's range with what has left it: where more than one value of twenty lies beyond, which no faulty sensor alone is.
fn widened(range: &Option<(f32, f32)>, shown: &Shown) -> Option<(f32, f32)> {
    let ((low, high), field) = (*range).zip(shown.field.as_ref())?;
    let mut values: Vec<f32> = field.values(&shown.frame).collect();
    let beyond = values.iter().filter(|v| !(low..=high).contains(v)).count();
    if beyond * 20 <= values.len() {
        return None;
    }
    values.sort_by(f32::total_cmp);
    let at = |share: f32| values[((values.len() - 1) as f32 * share).round() as usize];
    Some(rounded(low.min(at(0.01)), high.max(at(0.99)))).filter(|wider| *wider != (low, high))
}

/// Without the hundredth at either end, so that one faulty sensor does not wash out all others.
fn trimmed(ids: &[twinfleet_engine::signal::SignalId], shown: &Shown) -> Option<(f32, f32)> {
    let mut values: Vec<f32> =
        shown.sample.iter().flat_map(|f| ids.iter().filter_map(|id| f.value(*id))).collect();
    if values.len() < 50 {
        return None;
    }
    values.sort_by(f32::total_cmp);
    let at = |share: f32| values[((values.len() - 1) as f32 * share) as usize];
    Some((at(0.01), at(0.99)))
}

/// To round figures, which a legend can bear.
pub fn rounded(low: f32, high: f32) -> (f32, f32) {
    let span = (high - low).max(high.abs().max(low.abs()) * 1e-3).max(1e-6);
    let ten = 10f32.powf(span.log10().floor());
    let step = [0.1, 0.2, 0.5, 1.0].into_iter().map(|k| k * ten).find(|s| span / s <= 12.0).unwrap_or(ten);
    ((low / step).floor() * step, (high / step).ceil() * step)
}

/// How much a zone's own value counts against a reading at no distance: away from devices, the floor is the zone's.
const OWN_WEIGHT: f32 = 3.0;

/// Colours the floors by the field: the zone's own value, and around each device that reads it, its reading; where the zone
/// has no value, what lies between the readings.
pub fn floors<S: Side>(
    shown: Res<Showing<S>>,
    ranges: Res<RangesOf<S>>,
    floors: Query<(&Floor, &Mesh3d), With<Of<S>>>,
    mut meshes: ResMut<Assets<Mesh>>,
) {
    if !shown.is_changed() && !ranges.is_changed() {
        return;
    }
    for (floor, mesh) in &floors {
        let room = &shown.layout.rooms[floor.room];
        // What was carried elsewhere measures another air.
        let here = |d: &usize| {
            shown.fleet.devices[*d].zone == Some(room.zone)
                && shown.hidden != Some(*d)
                && !shown.carried.contains_key(d)
        };
        let heard: Vec<(Vec3, f32)> = (0..shown.fleet.devices.len())
            .filter(here)
            .filter_map(|d| Some((shown.layout.devices[d], shown.value(d)?)))
            .collect();
        let own =
            shown.field.as_ref().and_then(|f| shown.frame.value(f.zones.get(room.zone).copied().flatten()?));
        let base = if room.planted { [0.145, 0.105, 0.075, 1.0] } else { [0.22, 0.23, 0.25, 1.0] };
        let color = |point: &Vec3| {
            let Some(value) = between(point, &heard, own).filter(|_| shown.field.is_some()) else {
                return base;
            };
            palette::linear(palette::color(shown.palette, ranges.share(value)))
        };
        let colors: Vec<[f32; 4]> = floor.points.iter().map(color).collect();
        if let Some(mut mesh) = meshes.get_mut(&mesh.0) {
            mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, colors);
        }
    }
}

/// Shepard's interpolation, over a value that holds everywhere where there is one.
fn between(point: &Vec3, heard: &[(Vec3, f32)], own: Option<f32>) -> Option<f32> {
    let (mut sum, mut weights) = own.map_or((0.0, 0.0), |own| (OWN_WEIGHT * own, OWN_WEIGHT));
    for (at, value) in heard {
        let near = 1.0 / (point.distance_squared(*at) + 0.05);
        let weight = near * near;
        sum += weight * value;
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

/// Colours the pads of devices outside rooms.
pub fn pads<S: Side>(
    shown: Res<Showing<S>>,
    ranges: Res<RangesOf<S>>,
    pads: Query<(&Pads, &Mesh3d), With<Of<S>>>,
    mut meshes: ResMut<Assets<Mesh>>,
) {
    if !shown.is_changed() && !ranges.is_changed() {
        return;
    }
    for (pads, mesh) in &pads {
        // What was carried elsewhere measures another air: its pad stays, and says nothing; nor does that of one left out.
        let is = |device: usize| !shown.carried.contains_key(&device) && shown.hidden != Some(device);
        let here = |device: usize| shown.value(device).filter(|_| is(device));
        let color = |device: &usize| match here(*device) {
            Some(value) => palette::linear(palette::color(shown.palette, ranges.share(value))),
            None => [0.08, 0.09, 0.10, 1.0],
        };
        let colors: Vec<[f32; 4]> = pads.0.iter().flat_map(|d| [color(d); 4]).collect();
        if let Some(mut mesh) = meshes.get_mut(&mesh.0) {
            mesh.insert_attribute(Mesh::ATTRIBUTE_COLOR, colors);
        }
    }
}

/// A body's place in the scene.
pub fn placed(pose: &Pose, origin: Vec3) -> Transform {
    let up = Quat::from_rotation_x(-std::f32::consts::FRAC_PI_2);
    let rotation = up * Quat::from_array(pose.rotation).normalize() * up.inverse();
    Transform { translation: origin + from_world(pose.position_m), rotation, scale: Vec3::ONE }
}

/// A device's place, which moves if it rides on a body.
pub fn device_place(shown: &Shown, device: usize) -> Vec3 {
    if let Some(carried) = shown.carried.get(&device) {
        return carried.place;
    }
    let body = shown.fleet.devices[device].body.as_ref();
    let pose = body.and_then(|(b, _)| shown.frame.bodies.get(*b));
    pose.map_or(shown.layout.devices[device], |p| shown.layout.bodies + from_world(p.position_m))
}

/// Moves bodies and the boards that ride on them; hides what is hidden.
pub fn bodies<S: Side>(
    shown: Res<Showing<S>>,
    mut bodies: Query<(&BodyOf, &mut Transform), (With<Of<S>>, Without<BoardOf>)>,
    mut boards: Query<(&BoardOf, &mut Transform, &mut Visibility), (With<Of<S>>, Without<BodyOf>)>,
) {
    if !shown.is_changed() {
        return;
    }
    for (body, mut transform) in &mut bodies {
        if let Some(pose) = shown.frame.bodies.get(body.0) {
            *transform = placed(pose, shown.layout.bodies);
        }
    }
    for (board, mut transform, mut visibility) in &mut boards {
        let hidden = shown.hidden == Some(board.device);
        visibility.set_if_neq(if hidden { Visibility::Hidden } else { Visibility::Inherited });
        match (riding(&shown, board.device), &shown.fleet.devices[board.device].body) {
            (Some(place), _) => {
                (transform.translation, transform.rotation) = (place.translation, place.rotation);
            }
            // Its body is yet to have a place.
            (None, Some(_)) => {}
            // It stands where it was put, unless it was carried elsewhere; 0.02 keeps it off the floor.
            (None, None) => {
                let place = device_place(&shown, board.device) + Vec3::Y * 0.02;
                if transform.translation != place {
                    transform.translation = place;
                }
            }
        }
    }
}

/// Where a board stands that rides on a body, and how it is turned: on its top.
pub fn riding(shown: &Shown, device: usize) -> Option<Transform> {
    let (body, mount) = shown.fleet.devices[device].body.as_ref()?;
    let def = shown.opened.plan.scenario.world.scene.as_ref()?.bodies.get(*body)?;
    let place = placed(shown.frame.bodies.get(*body)?, shown.layout.bodies);
    let (x, y, _) = mount.at_m;
    let top = half_height(&def.shape) * BODY_SCALE + 0.004;
    let across = from_world([x as f32, y as f32, 0.0]);
    let translation = place.transform_point(across + Vec3::Y * top);
    Some(Transform { translation, rotation: place.rotation, scale: Vec3::ONE })
}

fn half_height(shape: &twinfleet_engine::physics::ShapeDef) -> f32 {
    use twinfleet_engine::physics::ShapeDef as S;
    let half = match *shape {
        S::Box { size_m: (_, _, z) } => z / 2.0,
        S::Sphere { radius_m } => radius_m,
        S::Cylinder { length_m, .. } => length_m / 2.0,
        S::Capsule { radius_m, length_m } => radius_m + length_m / 2.0,
    };
    half as f32
}

/// How far a twin and its physical are apart: the largest residual over the pairs, in standard deviations, and its share of
/// what the colours reach.
pub fn parted(shown: &Shown, device: &Device) -> f32 {
    let Some(twin) = device.twin else { return 0.0 };
    let share = |pair: &Pair| shown.frame.value(pair.whitened).map(|sigmas| sigmas / SIGMAS);
    let all = shown.fleet.pairs(twin).iter().filter_map(share);
    all.fold(0.0, |most: f32, s| if s.abs() > most.abs() { s } else { most }).clamp(-1.0, 1.0)
}

/// Raises and colours ghosts, sets the columns of both sides.
pub fn twins<S: Side>(
    shown: Res<Showing<S>>,
    ranges: Res<RangesOf<S>>,
    mut ghosts: Query<(&GhostOf, &mut Transform, &mut Visibility, &Skin), (With<Of<S>>, Without<Column>)>,
    mut columns: Query<(&Column, &mut Transform, &mut Visibility, &Skin), (With<Of<S>>, Without<GhostOf>)>,
    mut all: ResMut<Assets<StandardMaterial>>,
) {
    if !shown.is_changed() && !ranges.is_changed() {
        return;
    }
    // A device that is left out is left out with its twin.
    let seen = |device: usize| {
        let is = shown.ghosts && shown.hidden != Some(device);
        if is { Visibility::Inherited } else { Visibility::Hidden }
    };
    for (ghost, mut transform, mut visibility, material) in &mut ghosts {
        visibility.set_if_neq(seen(ghost.device));
        let device = &shown.fleet.devices[ghost.device];
        let apart = parted(&shown, device);
        let wrong = shown.spells.iter().any(|s| s.class == Class::Alarm && s.subject == device.id);
        let apart_y = 0.34 + 0.55 * apart.abs().max(if wrong { 0.8 } else { 0.0 });
        transform.translation = device_place(&shown, ghost.device) + Vec3::Y * apart_y;
        let color = if wrong { palette::ALARM } else { palette::residual(apart) };
        if let Some(mut material) = all.get_mut(&material.0) {
            material.base_color = palette::srgb(color).with_alpha(0.42);
        }
    }
    for (column, mut transform, mut visibility, material) in &mut columns {
        visibility.set_if_neq(seen(column.device));
        let device = &shown.fleet.devices[column.device];
        let Some((twin, pair)) = device.twin.and_then(|t| Some((t, shown.fleet.pairs(t).get(column.pair)?)))
        else {
            continue;
        };
        let range = ranges.pairs.get(twin).and_then(|p| p.get(column.pair)).copied().unwrap_or((0.0, 1.0));
        let value = shown.frame.value(if column.twin { pair.estimate } else { pair.reported });
        let share = value.map_or(0.0, |v| ((v - range.0) / (range.1 - range.0).max(1e-6)).clamp(0.0, 1.3));
        let height = (0.03 + share * COLUMN).max(0.03);
        transform.scale.y = height;
        let place = device_place(&shown, column.device) + column.offset;
        transform.translation = place.with_y(place.y + height / 2.0);
        let color = if column.twin {
            let sigmas = shown.frame.value(pair.whitened).unwrap_or(0.0);
            palette::srgb(palette::residual(sigmas / SIGMAS)).with_alpha(0.55)
        } else {
            // The legend's colours are the field's; what is of another quantity has none of them.
            let quantity = pair.name.rsplit_once('.').map(|(_, quantity)| quantity);
            let of_field = shown.field.as_ref().is_some_and(|f| Some(f.quantity.as_str()) == quantity);
            match value.filter(|_| of_field) {
                Some(value) => palette::srgb(palette::color(shown.palette, ranges.share(value))),
                None => palette::srgb(palette::NEUTRAL),
            }
        };
        if let Some(mut material) = all.get_mut(&material.0) {
            material.base_color = color;
        }
    }
}

/// Actuators glow by their level; fans and vents turn and open.
pub fn actuators<S: Side>(
    shown: Res<Showing<S>>,
    mut actuators: Query<(&ActuatorOf, &mut Transform, &mut Visibility, &Skin), With<Of<S>>>,
    mut all: ResMut<Assets<StandardMaterial>>,
) {
    if !shown.is_changed() {
        return;
    }
    for (actuator, mut transform, mut visibility, material) in &mut actuators {
        let hidden = shown.hidden == Some(actuator.device);
        visibility.set_if_neq(if hidden { Visibility::Hidden } else { Visibility::Inherited });
        let part = &shown.fleet.devices[actuator.device].parts[actuator.part];
        let level = part.level.and_then(|id| shown.frame.value(id)).unwrap_or(0.0).clamp(0.0, 1.0);
        let glow = match actuator.look {
            Look::Heater => LinearRgba::rgb(1.0, 0.22, 0.04),
            Look::Lamp => LinearRgba::rgb(0.9, 0.75, 0.3),
            Look::Valve => LinearRgba::rgb(0.05, 0.3, 0.8),
            _ => LinearRgba::rgb(0.1, 0.45, 0.5),
        };
        if let Some(mut material) = all.get_mut(&material.0) {
            material.emissive = glow * (level * 0.9);
        }
        transform.rotation = stance(actuator.look, level, shown.t.as_secs_f64());
        let place = device_place(&shown, actuator.device) + actuator.offset;
        if transform.translation != place {
            transform.translation = place;
        }
    }
}

/// How an actuator is turned at a level: a fan that is off stands, a vent is as open as its level.
fn stance(look: Look, level: f32, t_s: f64) -> Quat {
    match look {
        Look::Fan if level > 0.0 => {
            Quat::from_rotation_y((t_s * 2.3).rem_euclid(std::f64::consts::TAU) as f32)
        }
        Look::Vent => Quat::from_rotation_x(-0.9 * level),
        _ => Quat::IDENTITY,
    }
}

/// Cuts away the walls that stand between the camera and their room.
pub fn walls<S: Side>(
    camera: Query<&GlobalTransform, (With<Eye>, With<Of<S>>)>,
    mut walls: Query<(&Wall, &Transform, &mut Visibility), With<Of<S>>>,
) {
    let Some(eye) = camera.iter().next() else { return };
    for (wall, place, mut visibility) in &mut walls {
        let before = wall.outward.dot(eye.translation() - place.translation) > 0.0;
        let seen = if before == wall.sill { Visibility::Inherited } else { Visibility::Hidden };
        visibility.set_if_neq(seen);
    }
}

/// Boards far away have fewer triangles: judged anew as the camera moves, and of each board as it is made or moves.
pub fn detail<S: Side>(
    camera: Query<Ref<GlobalTransform>, (With<Eye>, With<Of<S>>)>,
    mut boards: Query<(&BoardOf, Ref<Transform>, &mut Mesh3d), With<Of<S>>>,
) {
    let Some(eye) = camera.iter().next() else { return };
    for (board, place, mut mesh) in &mut boards {
        if !eye.is_changed() && !place.is_changed() {
            continue;
        }
        let far = eye.translation().distance_squared(place.translation) > FAR * FAR;
        let wanted = if far { &board.far } else { &board.full };
        if mesh.0 != *wanted {
            mesh.0 = wanted.clone();
        }
    }
}

/// The sun of the scenario's day dims ours a little.
pub fn daylight<S: Side>(
    shown: Res<Showing<S>>,
    mut sun: Query<&mut DirectionalLight, (With<Sun>, With<Of<S>>)>,
) {
    if !shown.is_changed() {
        return;
    }
    let plan = &shown.opened.plan;
    let day = plan.scenario.world.weather.as_ref().and_then(|_| {
        let at = OUTSIDE_CHANNELS.iter().position(|(q, _)| *q == "irradiance")?;
        shown.frame.value(plan.signals.id(plan.outside_block, 0, at as u32))
    });
    let share = day.map_or(1.0, |w_m2| 0.62 + 0.38 * (w_m2 / 500.0).clamp(0.0, 1.0));
    for mut sun in &mut sun {
        sun.shadow_maps_enabled = shown.fine;
        sun.illuminance = 2_700.0 * share;
        sun.color = if share < 0.7 { Color::srgb(0.80, 0.87, 1.0) } else { Color::srgb(1.0, 0.98, 0.94) };
    }
}

/// Size of a board in the scene, for picking and framing.
pub const BOARD_REACH: f32 = 0.05 * BOARD_SCALE;

/// Ground, sky and haze are of one colour, so that the ground has no end.
pub fn tones(
    shown: Res<Showing<Worked>>,
    materials: Res<super::build::Materials>,
    mut all: ResMut<Assets<StandardMaterial>>,
    mut clear: ResMut<ClearColor>,
    mut eyes: Query<&mut DistanceFog, With<Eye>>,
) {
    if !shown.is_changed() {
        return;
    }
    let back = crate::picture::back(shown.dark);
    let radius = shown.layout.radius();
    if clear.0 != back {
        clear.0 = back;
    }
    let ground = if shown.dark { Color::srgb(0.15, 0.17, 0.20) } else { Color::srgb(0.74, 0.78, 0.82) };
    if all.get(&materials.ground).is_some_and(|m| m.base_color != ground)
        && let Some(mut material) = all.get_mut(&materials.ground)
    {
        material.base_color = ground;
    }
    for mut fog in &mut eyes {
        fog.color = back;
        fog.falloff = FogFalloff::Linear { start: radius * 3.4, end: radius * 9.0 + 20.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::{super::side::of, *};

    #[test]
    fn a_board_that_is_made_or_moves_is_judged_though_the_camera_stands() {
        let (mut world, mut meshes) = (World::new(), Assets::<Mesh>::default());
        let (full, far) = (meshes.add(Cuboid::default()), meshes.add(Sphere::default()));
        let board = |z: f32| {
            let made = BoardOf { device: 0, full: full.clone(), far: far.clone() };
            (of::<Worked>(), made, Mesh3d(full.clone()), Transform::from_xyz(0.0, 0.0, z))
        };
        world.spawn((of::<Worked>(), Eye, GlobalTransform::IDENTITY));
        let first = world.spawn(board(-100.0)).id();
        let system = world.register_system(detail::<Worked>);
        world.run_system(system).unwrap();
        let [second, near] = [-100.0, -1.0].map(|z| world.spawn(board(z)).id());
        world.run_system(system).unwrap();
        let is_far = |world: &World, board: Entity| world.get::<Mesh3d>(board).unwrap().0 == far;
        assert_eq!([first, second, near].map(|b| is_far(&world, b)), [true, true, false]);
        world.get_mut::<Transform>(near).unwrap().translation.z = -100.0;
        world.run_system(system).unwrap();
        assert!(is_far(&world, near));
    }

    #[test]
    fn a_fan_turns_only_while_it_is_on() {
        assert_eq!(stance(Look::Fan, 0.0, 0.0), stance(Look::Fan, 0.0, 0.7));
        assert_ne!(stance(Look::Fan, 0.3, 0.0), stance(Look::Fan, 0.3, 0.7));
        assert_ne!(stance(Look::Vent, 0.0, 0.0), stance(Look::Vent, 1.0, 0.0));
    }

    #[test]
    fn a_floor_is_its_zones_and_around_a_device_its_readings() {
        let heard = [(Vec3::ZERO, 30.0)];
        let at = |x: f32, own| between(&Vec3::new(x, 0.0, 0.0), &heard, own).unwrap();
        assert!(at(0.0, Some(20.0)) > 29.5 && at(6.0, Some(20.0)) < 20.1);
        assert_eq!(at(6.0, None), 30.0);
        assert_eq!(between(&Vec3::ZERO, &[], Some(20.0)), Some(20.0));
    }
}
