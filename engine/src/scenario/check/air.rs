//! What devices speak through: a radio that they have, messages that it carries, and what it does to a converter's pins.

use super::Checker;
use crate::{
    catalog::{Technology, ThingDef},
    link::profile::Hears,
    scenario::{
        GroupDef, LinkDef, PayloadDef,
        definition::{sensor_signals, silenced_by_wifi},
    },
};

impl<'a> Checker<'a> {
    fn link_of(&self, group: &GroupDef) -> Option<&'a LinkDef> {
        let scenario = self.scenario;
        group.link.as_ref().and_then(|l| scenario.links.iter().find(|d| d.id == *l))
    }

    /// Whether a group's boards have the radio that its link speaks through.
    pub(super) fn has_radio(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let Some(board) = thing.board.as_ref().and_then(|b| self.catalog.boards.get(b)) else { return };
        let link = self.link_of(group);
        let Some(link) = link.filter(|l| l.module.is_none()) else { return };
        let Some(kind) = link.profile.as_ref().and_then(|p| self.catalog.links.get(p)?.radio) else { return };
        if board.radios.is_none() || board.radio(kind).is_some() {
            return;
        }
        let with: Vec<&str> = self
            .catalog
            .boards
            .values()
            .filter(|b| b.radio(kind).is_some())
            .map(|b| b.name.as_str())
            .collect();
        let boards = if with.is_empty() { String::new() } else { format!(", or use {}", with.join(", ")) };
        let text = format!("`{}` has no {} radio to speak over `{}`", board.name, kind.word(), link.id);
        let help = format!("say which module it carries, `module: \"…\"` of the link{boards}");
        self.report.push(self.place(format!("fleet[{i}]")).error("link", text).help(help));
    }

    /// Messages that a link's longest payload cannot hold.
    pub(super) fn fits_the_air(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let link = self.link_of(group);
        let profile = link.and_then(|l| self.catalog.links.get(l.profile.as_ref()?));
        let Some((profile, most)) = profile.and_then(|p| Some((p, p.max_payload_bytes?))) else { return };
        let Some(firmware) = group.firmware.as_ref().or(thing.firmware.as_ref()) else { return };
        let signals = sensor_signals(thing, self.catalog);
        // Each signal's name in quotes, a colon, a digit and a comma, and the time: what JSON takes at the very least.
        let least = 20 + signals.iter().map(|(name, _)| name.len() + 5).sum::<usize>();
        let json = firmware.publish.iter().any(|p| matches!(p.payload, PayloadDef::Json));
        if json && least > most as usize {
            let text = format!(
                "a message of {} signals in JSON takes {least} B and more, but `{}` carries {most} B: all are dropped",
                signals.len(),
                profile.name
            );
            let help = "write a short `payload: Template(\"{part.quantity:.1}\")`";
            self.report.push(self.place(format!("fleet[{i}]")).warning("link", text).help(help));
        }
    }

    /// What speaking takes: a way to do it, and of some boards the converter's pins.
    pub(super) fn over_the_air(&mut self, i: usize, group: &GroupDef, thing: &ThingDef) {
        let Some(board) = thing.board.as_ref().and_then(|b| self.catalog.boards.get(b)) else { return };
        let link = self.link_of(group);
        let firmware = group.firmware.as_ref().or(thing.firmware.as_ref().filter(|_| group.script.is_none()));
        let speaks = firmware
            .map(|f| !(f.publish.is_empty() && f.control.is_empty() && f.commands.is_empty()))
            .unwrap_or(group.script.is_some() || thing.script.is_some());
        // A script may never speak: one that has a link does.
        if !speaks || (firmware.is_none() && link.is_none()) || link.is_some_and(|l| l.module.is_some()) {
            return;
        }
        if let (Some(firmware), Some(profile)) =
            (firmware, link.and_then(|l| self.catalog.links.get(l.profile.as_ref()?)))
            && firmware.dozes(Some(board))
            && profile.lost_asleep
            && firmware.awake.0.saturating_add(profile.join.0) > firmware.period.0
        {
            let text = format!(
                "a wake of {} and {} to join `{}` are longer than the time between wakes, {}",
                firmware.awake, profile.join, profile.name, firmware.period
            );
            let help = "that sleep ends the association: wake more seldom, or rest in a state that keeps it";
            self.report.push(self.place(format!("fleet[{i}]")).warning("link", text).help(help));
        }
        let profile = link.and_then(|l| self.catalog.links.get(l.profile.as_ref()?));
        if let (Some(_), Some(profile)) = (
            firmware.filter(|f| f.script.is_none() && f.listens()),
            profile.filter(|p| p.hears == Hears::Never),
        ) {
            let text = format!(
                "`{}` only broadcasts: this firmware hears neither commands nor inputs",
                profile.name
            );
            let help = "speak over a link that devices hear something through, see `twinfleet list links`";
            self.report.push(self.place(format!("fleet[{i}]")).error("link", text).help(help));
        }
        let kind = profile.and_then(|p| p.radio);
        let mute = board.radios.as_ref().is_some_and(Vec::is_empty) && !board.ethernet;
        if mute && kind.is_none() {
            let text = format!("`{}` has neither radio nor Ethernet to speak over", board.name);
            let help = "say what it carries, `links: [(id: \"net\", module: \"W5500 on SPI\")]` and `link: \"net\"` of the group";
            let key = if link.is_some() { "link" } else { "thing" };
            self.report.push(self.place(format!("fleet[{i}]")).warning(key, text).help(help));
        }
        let wifi = kind.is_none_or(|k| k == Technology::Wifi)
            && (board.radios.is_none() || board.radio(Technology::Wifi).is_some());
        if !wifi {
            return;
        }
        let own = self.scenario.things.iter().position(|t| t.name == thing.name);
        for (k, text, help) in silenced_by_wifi(thing, self.catalog) {
            let (place, key) = match own {
                Some(t) => (self.place(format!("things[{t}].parts[{k}]")), "on"),
                None => (self.place(format!("fleet[{i}]")), "thing"),
            };
            let found = match firmware {
                Some(_) => place.error(key, format!("{text}, and its firmware speaks over that")),
                // When it turns its radio on is its own business.
                None => place.warning(key, format!("{text}, and its script has a link over that")),
            };
            let told = self.report.items().iter().any(|d| d.message() == found.message());
            if !told {
                self.report.push(found.help(help));
            }
        }
    }
}
