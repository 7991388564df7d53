//! Catalog files of batteries, regulators and link profiles.

use super::Definition;
use crate::{
    link::profile::LinkProfileDef,
    power::{cell::BatteryDef, regulator::RegulatorDef},
    scenario::{check::Place, diagnostic::Report},
};

impl Definition for BatteryDef {
    const WORD: &'static str = "Battery";
    const FOLDER: &'static str = "batteries";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        place.above("capacity_mah", self.capacity_mah, 0.0, report);
        place.within("capacity_spread", self.capacity_spread, 0.0, 0.5, report);
        place.within("resistance_spread", self.resistance_spread, 0.0, 0.5, report);
        curve("ocv_v", &self.ocv_v, 2, "state of charge, volts", Some((0.0, 1.0)), place, report);
        if self.ocv_v.windows(2).any(|w| w[0].1 > w[1].1) {
            report.push(place.error("ocv_v", "the voltage falls as the cell is charged"));
        }
        curve("r0_ohm", &self.r0_ohm, 1, "state of charge, ohms", Some((0.0, 1.0)), place, report);
        curve("capacity_at", &self.capacity_at, 0, "°C, share", None, place, report);
        for (key, value) in [
            ("r1_ohm", self.r1_ohm),
            ("release_per_h", self.release_per_h),
            ("resistance_kj_mol", self.resistance_kj_mol),
            ("ageing.fade_first_year", self.ageing.fade_first_year),
            ("ageing.fade_per_cycle", self.ageing.fade_per_cycle),
            ("ageing.growth_first_year", self.ageing.growth_first_year),
            ("ageing.growth_per_cycle", self.ageing.growth_per_cycle),
        ] {
            place.at_least(key, value, 0.0, report);
        }
        place.above("tau_s", self.tau_s, 0.0, report);
        place.within("self_discharge_per_month", self.self_discharge_per_month, 0.0, 1.0, report);
        if !(self.available > 0.0 && self.available <= 1.0) {
            report.push(
                place.error("available", "the share that is available at once lies above 0 and up to 1"),
            );
        }
        if self.available < 1.0 && self.release_per_h <= 0.0 {
            let text = "charge that is bound would never become available";
            report
                .push(place.error("available", text).help("add `release_per_h`, or leave `available` at 1"));
        }
    }
}

/// A curve: enough points, ascending in the first number, nothing below zero in the second.
fn curve(
    key: &str,
    points: &[(f64, f64)],
    least: usize,
    what: &str,
    range: Option<(f64, f64)>,
    place: &Place<'_>,
    report: &mut Report,
) {
    if points.len() < least {
        report.push(place.error(key, format!("the curve needs {least} points or more: ({what})")));
    } else if points.windows(2).any(|w| w[0].0 >= w[1].0) {
        report.push(place.error(key, format!("the curve's points ascend in their first number: ({what})")));
    } else if points.iter().any(|p| p.1 < 0.0) {
        report.push(place.error(key, "the curve gets below zero"));
    } else if let Some((low, high)) = range
        && points.iter().any(|p| !(low..=high).contains(&p.0))
    {
        report.push(place.error(key, format!("states of charge lie within {low} and {high}")));
    }
}

impl Definition for RegulatorDef {
    const WORD: &'static str = "Regulator";
    const FOLDER: &'static str = "regulators";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        for (field, text) in self.kind.problems() {
            report.push(place.error(field, text));
        }
        for (key, value) in [("most_ma", self.most_ma), ("most_in_v", self.most_in_v)] {
            place.above(key, value.unwrap_or(1.0), 0.0, report);
        }
    }
}

impl Definition for LinkProfileDef {
    const WORD: &'static str = "LinkProfile";
    const FOLDER: &'static str = "links";

    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, place: &Place<'_>, report: &mut Report) {
        for (field, text) in self.problems() {
            report.push(place.error(field, text));
        }
    }
}
