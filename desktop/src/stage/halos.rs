//! Halos over what is wrong: where they lie, and in which colour.

use super::{
    build::Built,
    palette,
    plain::Skin,
    refresh::device_place,
    show::Shown,
    side::{Of, Showing, Side, of},
};
use crate::sim::spell::{ALARM, Class, LINK_DOWN, Spell};
use bevy::prelude::*;
use std::collections::BTreeMap;

/// A halo over something that is wrong.
#[derive(Component)]
pub struct Halo;

/// The most grave spell of each device and zone.
pub fn gravest(shown: &Shown) -> BTreeMap<Spot, &Spell> {
    let mut by: BTreeMap<Spot, &Spell> = BTreeMap::new();
    for spell in shown.spells.iter() {
        let Some(at) = spot(shown, spell) else { continue };
        let entry = by.entry(at).or_insert(spell);
        if gravity(spell) > gravity(entry) {
            *entry = spell;
        }
    }
    by
}

/// A verdict that names what is wrong says more than a detector's alarm.
fn gravity(spell: &Spell) -> (Class, bool) {
    (spell.class, spell.what != ALARM)
}

/// Where something is wrong. A link is nowhere, though a device may bear its name.
pub fn spot(shown: &Shown, spell: &Spell) -> Option<Spot> {
    if spell.what == LINK_DOWN {
        return None;
    }
    let zone = || shown.opened.plan.scenario.world.zones.iter().position(|z| z.id == spell.subject);
    shown.fleet.find(&spell.subject).map(Spot::Device).or_else(|| zone().map(Spot::Zone))
}

/// A device or zone, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// A device by its index.
    Device(usize),
    /// A zone by its index.
    Zone(usize),
}

/// The colour of a class.
pub const fn class_color(class: Class) -> [u8; 3] {
    match class {
        Class::Alarm => palette::ALARM,
        Class::Injected => palette::INJECTED,
        Class::Outage => palette::OUTAGE,
    }
}

/// What all halos share.
pub struct HaloParts {
    ring: Handle<Mesh>,
    thin: Handle<Mesh>,
    wide: Handle<Mesh>,
    beam: Handle<Mesh>,
    solid: [Handle<StandardMaterial>; 3],
    sheer: [Handle<StandardMaterial>; 3],
}

impl FromWorld for HaloParts {
    fn from_world(world: &mut World) -> Self {
        let mut meshes = world.resource_mut::<Assets<Mesh>>();
        let ring = meshes.add(Torus { minor_radius: 0.042, major_radius: 0.56 });
        let thin = meshes.add(Torus { minor_radius: 0.022, major_radius: 0.56 });
        let wide = meshes.add(Torus { minor_radius: 0.006, major_radius: 0.56 });
        let beam = meshes.add(Cylinder::new(0.035, 1.0));
        let mut all = world.resource_mut::<Assets<StandardMaterial>>();
        let mut of = |class: Class, alpha: f32| {
            all.add(StandardMaterial {
                base_color: palette::srgb(class_color(class)).with_alpha(alpha),
                alpha_mode: if alpha < 1.0 { AlphaMode::Blend } else { AlphaMode::Opaque },
                unlit: true,
                ..default()
            })
        };
        let classes = [Class::Injected, Class::Outage, Class::Alarm];
        Self {
            ring,
            thin,
            wide,
            beam,
            solid: classes.map(|c| of(c, 1.0)),
            sheer: classes.map(|c| of(c, 0.35)),
        }
    }
}

/// Where a halo lies, of which class, and how wide it is.
type Laid = (Spot, Class, Vec3, f32);

/// Puts halos where they belong: only as they change, for of a fleet's many devices all may be wrong for long.
pub fn halos<S: Side>(
    mut commands: Commands,
    shown: Res<Showing<S>>,
    parts: Local<HaloParts>,
    mut before: Local<Option<(u64, Vec<Laid>)>>,
    old: Query<Entity, (With<Halo>, With<Of<S>>)>,
) {
    if !shown.is_changed() {
        return;
    }
    let wanted = (shown.generation, laid(&shown));
    if before.as_ref() == Some(&wanted) {
        return;
    }
    for entity in &old {
        commands.entity(entity).despawn();
    }
    for (at, class, place, size) in &wanted.1 {
        let (place, size) = (*place, *size);
        let grave = *class == Class::Alarm;
        let class = *class as usize;
        let mesh = match (at, grave) {
            (Spot::Zone(_), _) => &parts.wide,
            (_, true) => &parts.ring,
            (_, false) => &parts.thin,
        };
        let transform =
            Transform::from_translation(place + Vec3::Y * 0.08).with_scale(Vec3::new(size, 1.0, size));
        let still = (of::<S>(), Built, Halo, bevy::light::NotShadowCaster);
        commands.spawn((still, Mesh3d(mesh.clone()), Skin(parts.solid[class].clone()), transform));
        let tall = if grave { 3.2 } else { 1.7 };
        let beam =
            Transform::from_translation(place + Vec3::Y * tall / 2.0).with_scale(Vec3::new(1.0, tall, 1.0));
        let still = (of::<S>(), Built, Halo, bevy::light::NotShadowCaster);
        commands.spawn((still, Mesh3d(parts.beam.clone()), Skin(parts.sheer[class].clone()), beam));
    }
    *before = Some(wanted);
}

/// Where halos belong.
fn laid(shown: &Shown) -> Vec<Laid> {
    let mut all = Vec::new();
    for (at, spell) in gravest(shown) {
        let (place, size) = match at {
            Spot::Device(d) if shown.hidden == Some(d) => continue,
            Spot::Device(d) => {
                let size = if shown.fleet.devices[d].twin.is_some() { 1.5 } else { 1.0 };
                (device_place(shown, d), size)
            }
            Spot::Zone(z) => match shown.layout.rooms.iter().find(|r| r.zone == z) {
                Some(room) => (room.center, room.size.min_element() * 0.8),
                None => continue,
            },
        };
        all.push((at, spell.class, place, size));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sim::{open::Opened, player::Player, source::Source},
        stage::side::Worked,
    };
    use twinfleet_engine::time::SimTime;

    #[test]
    fn halos_are_made_anew_only_as_they_change() {
        let opened = Opened::file("parcel-drop", &[], None, &[]).unwrap();
        let player = Player::new(&opened, 1).unwrap();
        let mut shown = Shown::new(opened, player.left().history.last().unwrap().clone(), 1);
        let mut world = World::new();
        world.init_resource::<Assets<Mesh>>();
        world.init_resource::<Assets<StandardMaterial>>();
        let system = world.register_system(halos::<Worked>);
        let mut told = |shown: &Shown| -> Vec<Entity> {
            world.insert_resource(Showing::<Worked>::new(shown.clone()));
            world.run_system(system).unwrap();
            let mut halos = world.query_filtered::<Entity, With<Halo>>();
            halos.iter(&world).collect()
        };
        assert!(told(&shown).is_empty());
        let spell = |class: Class| Spell::open(class, "parcel-0", "stuck");
        shown.spells = [spell(Class::Injected)].into();
        let first = told(&shown);
        assert_eq!(first.len(), 2, "a ring and a beam");
        shown.t = SimTime(1);
        assert_eq!(told(&shown), first, "they stay");
        shown.spells = [spell(Class::Alarm)].into();
        assert!(told(&shown).iter().all(|halo| !first.contains(halo)), "an alarm's are others");
        shown.spells = [].into();
        assert!(told(&shown).is_empty());
    }
}
