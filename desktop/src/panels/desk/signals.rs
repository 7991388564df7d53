//! Which signals are on which plot, by a click or by keys.

use super::Desk;
use crate::stage::show::Picked;
use twinfleet_engine::signal::SignalId;

/// What is said to who has selected nothing.
const SELECT_FIRST: &str = "select a device or a zone first";

impl Desk {
    /// The first signals to plot: of a twin's first pair, or of the first device that has the field.
    pub(super) fn first_plots(&mut self) {
        let Some(shown) = &self.shown else { return };
        let pair = shown.fleet.devices.iter().find_map(|d| shown.fleet.pairs(d.twin?).first().cloned());
        let first = match (pair, &shown.field) {
            (Some(pair), _) => vec![pair.reported, pair.estimate],
            (None, Some(field)) => field.devices.iter().flatten().take(3).copied().collect(),
            (None, None) => Vec::new(),
        };
        self.plots = vec![first];
    }

    /// Chooses the next signal of what is selected for keys to plot, or the one before.
    pub fn next_signal(&mut self, step: isize) {
        let Some(ids) = self.signals_of_selected() else {
            return self.tell(SELECT_FIRST.to_owned(), true);
        };
        let Some(shown) = &self.shown else { return };
        if ids.is_empty() {
            return;
        }
        let at = self.signal.and_then(|id| ids.iter().position(|i| *i == id));
        let next = match at {
            Some(at) => (at as isize + step).rem_euclid(ids.len() as isize) as usize,
            None => 0,
        };
        let name = shown.opened.plan.signals.name(ids[next]);
        self.signal = Some(ids[next]);
        self.tell(format!("{name}: I puts it on the last plot, or takes it off"), false);
    }

    /// Puts a signal of what is selected on the last plot, or takes it off: the one that was chosen; where that is another
    /// device's, the one of its name; else the first.
    pub fn plot_of_selected(&mut self) {
        let Some(ids) = self.signals_of_selected() else {
            return self.tell(SELECT_FIRST.to_owned(), true);
        };
        let own = self.signal.filter(|id| ids.contains(id)).or_else(|| self.namesake(&ids));
        if let Some(id) = own.or_else(|| ids.first().copied()) {
            self.plot_signal(id);
        }
    }

    /// Puts a signal on the last plot, or takes it off the one that it is on; from here on it is the chosen one.
    pub fn plot_signal(&mut self, id: SignalId) {
        self.signal = Some(id);
        let last = self.plots.len().saturating_sub(1);
        let plot = self.plots.iter().position(|p| p.contains(&id)).unwrap_or(last);
        self.plot(plot, id);
    }

    /// Puts a signal on a plot, or takes it off.
    pub fn plot(&mut self, plot: usize, signal: SignalId) {
        while self.plots.len() <= plot {
            self.plots.push(Vec::new());
        }
        let on = &mut self.plots[plot];
        match on.iter().position(|s| *s == signal) {
            Some(at) => drop(on.remove(at)),
            None => on.push(signal),
        }
    }

    /// The signals of the device or zone that is selected; none where nothing is.
    fn signals_of_selected(&self) -> Option<Vec<SignalId>> {
        let shown = self.shown.as_ref()?;
        let plan = &shown.opened.plan;
        Some(match shown.picked? {
            Picked::Device(device) => shown.fleet.signals(plan, device),
            Picked::Zone(zone) => crate::fleet::of_zone(plan, zone),
        })
    }

    /// Of these signals the one that is to its device what the chosen one is to its own.
    fn namesake(&self, ids: &[SignalId]) -> Option<SignalId> {
        let signals = &self.shown.as_ref()?.opened.plan.signals;
        let chosen = signals.channel(self.signal?);
        let same = |id: &SignalId| {
            let c = signals.channel(*id);
            c.name == chosen.name && c.kind == chosen.kind
        };
        ids.iter().copied().find(same)
    }
}
