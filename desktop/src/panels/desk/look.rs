//! What is looked at, from where, and how it looks: what is picked, the camera, the theme, and when the window has to be drawn.

use super::Desk;
use crate::{
    sim::session::Session,
    stage::{
        camera::View,
        show::{Picked, Shown},
    },
};
use std::{
    f32::consts::{PI, TAU},
    sync::Arc,
};
use twinfleet_engine::record::manifest::Blocks;

/// How long the window is drawn after it was touched, [s].
const STIR_S: f64 = 1.5;

impl Desk {
    /// Picks something.
    pub fn pick(&mut self, picked: Option<Picked>) {
        self.of_beside = false;
        if let Some(shown) = &mut self.shown {
            shown.picked = picked;
            self.touched = true;
        }
    }

    /// Picks the next device, or the one before.
    pub fn pick_next(&mut self, step: isize) {
        let Some(shown) = &self.shown else { return };
        let count = shown.fleet.devices.len() as isize;
        if count == 0 {
            return;
        }
        let at = match shown.picked {
            Some(Picked::Device(device)) => (device as isize + step).rem_euclid(count),
            _ => {
                if step > 0 {
                    0
                } else {
                    count - 1
                }
            }
        };
        self.pick(Some(Picked::Device(at as usize)));
    }

    /// Looks at something close by.
    pub fn frame(&mut self, picked: Option<Picked>) {
        if let Some(shown) = &self.shown {
            self.go = Some(match picked {
                Some(picked) => View::picked(picked, shown),
                None => View::overview(&shown.layout),
            });
        }
    }

    /// Looks from a view by its name.
    pub fn view(&mut self, name: &str) {
        if let Some(shown) = &self.shown {
            match View::named(name, shown) {
                Ok(view) => self.go = Some(view),
                Err(no) => self.tell(no.0, true),
            }
        }
    }

    /// The camera goes on towards the view that it was sent to.
    pub fn glide(&mut self, dt_s: f32) {
        let Some(goal) = self.go else { return };
        let part = 1.0 - (-dt_s.min(0.1) * 9.0).exp();
        let eye = &mut self.eye;
        let turn = (goal.yaw - eye.yaw + PI).rem_euclid(TAU) - PI;
        eye.target = eye.target.lerp(goal.target, part);
        eye.distance += (goal.distance - eye.distance) * part;
        eye.yaw += turn * part;
        eye.pitch += (goal.pitch - eye.pitch) * part;
        let left = eye.target.distance(goal.target) + (goal.distance - eye.distance).abs();
        if left < goal.distance * 2e-3 && turn.abs() < 2e-3 {
            (self.eye, self.go) = (goal, None);
        }
    }

    /// Dark or light.
    pub fn is_dark(&self) -> bool {
        self.dark.unwrap_or(self.settings.dark)
    }

    /// Dark or light from now on.
    pub fn set_dark(&mut self, dark: bool) {
        (self.dark, self.settings.dark) = (None, dark);
    }

    /// What is shown follows the settings.
    pub fn apply_settings(&mut self) {
        let (dark, fine) = (self.is_dark(), self.fine());
        if let Some(shown) = &mut self.shown {
            (shown.units, shown.palette) = (self.settings.units.clone(), self.settings.palette);
            (shown.dark, shown.fine) = (dark, fine);
            self.touched = true;
        }
    }

    /// Whether to draw shadows: as the user likes, else where a graphics card draws.
    pub fn fine(&self) -> bool {
        self.settings.fine.unwrap_or(!self.adapter.ends_with("(Cpu)"))
    }

    /// What draws is known.
    pub fn drawn_by(&mut self, adapter: &str) {
        adapter.clone_into(&mut self.adapter);
        let fine = self.fine();
        if let Some(shown) = &mut self.shown {
            shown.fine = fine;
            self.touched = true;
        }
    }

    /// Something was touched: the window is drawn for a while.
    pub fn stir(&mut self) {
        self.stirred_s = self.up_s();
    }

    /// Whether something moves that has to be drawn again at once.
    pub fn is_busy(&self) -> bool {
        let behind = |s: &Arc<Session>| s.shared().left.now < self.now().min(s.end());
        let simulating = self.session.as_ref().is_some_and(behind)
            || self.beside.as_ref().is_some_and(|b| behind(&b.session));
        self.playing
            || self.go.is_some()
            || self.touched
            || simulating
            || self.up_s() - self.stirred_s < STIR_S
    }
}

/// What the user chose stays as the run is made anew.
pub(super) fn keep(before: &Shown, shown: &mut Shown) {
    // The file may have changed meanwhile, or a record was of a shard: what was selected is found again by its name, if at all.
    shown.picked = before.same(shown, before.picked);
    (shown.arcs, shown.ghosts) = (before.arcs, before.ghosts);
    (shown.labels, shown.legend) = (before.labels, before.legend);
    // What was there stays to be seen only where its values are of the same signals.
    if Blocks::of(&before.opened.plan.signals) == Blocks::of(&shown.opened.plan.signals) {
        (shown.t, shown.frame, shown.spells) = (before.t, before.frame.clone(), before.spells.clone());
        (shown.sample, shown.sampled_ns) = (before.sample.clone(), before.sampled_ns);
    }
    match &before.field {
        Some(field) => {
            let first = shown.field.take();
            if !shown.colour_by(&field.quantity) {
                shown.field = first;
            }
        }
        None => shown.field = None,
    }
}
