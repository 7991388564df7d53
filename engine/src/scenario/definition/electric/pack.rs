//! What a battery or a pack gives: whether it feeds its board, and how far down.

use super::{Electric, tenths};
use crate::{
    catalog::{BoardDef, Catalog, FedDef, Firmware, PowerDef, SensorDef, ThingDef},
    power::{
        along,
        bank::PackPlan,
        pack::PackState,
        regulator::{Regulator, RegulatorDef},
    },
    scenario::{check::Place, definition::wiring::Part, diagnostic::Report},
};

/// A board as a power feeds it: at the input that stands a full pack.
pub(crate) fn fed_by(board: &BoardDef, power: &PowerDef, catalog: &Catalog) -> BoardDef {
    match pack_v(power, catalog) {
        Some((cells, regulator)) => board.fed_with(regulator.map_or(cells, |r| r.kind.rail_v(cells, 0.0))),
        None => board.clone(),
    }
}

/// What a pack's cells give when full and at rest, [V], and its regulator. None: there are no such cells.
pub(super) fn pack_v<'a>(power: &PowerDef, catalog: &'a Catalog) -> Option<(f64, Option<&'a RegulatorDef>)> {
    pack_at_v(power, catalog, 1.0)
}

/// The same at a state of charge, 0–1.
pub(super) fn pack_at_v<'a>(
    power: &PowerDef,
    catalog: &'a Catalog,
    charge: f64,
) -> Option<(f64, Option<&'a RegulatorDef>)> {
    let PowerDef::Pack { cell, series, regulator, .. } = power else { return None };
    let volts = along(&catalog.batteries.get(cell)?.ocv_v, charge) * f64::from(*series);
    Some((volts, regulator.as_ref().and_then(|r| catalog.regulators.get(r))))
}

/// Whether a pack can feed its board at all, and within what both and a regulator stand. `place` is the thing or group whose
/// `power` it is; `transmits` asks for the current of sending too, at the radio's own where a link says it.
pub(in crate::scenario) fn check_pack_feeds(
    board: &BoardDef,
    thing: &ThingDef,
    power: &PowerDef,
    transmits: Option<(&Firmware, Option<f64>)>,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    let board = &fed_by(board, power, catalog);
    if let PowerDef::Battery { ocv_v, r0_ohm, .. } = power {
        let ma = board
            .current_ma
            .active
            .max(transmits.map_or(0.0, |(_, ma)| ma.unwrap_or(board.current_ma.transmit)));
        check_battery_feeds(board, ocv_v, 1e-3 * ma * r0_ohm, place, report);
    }
    let Some((cells_v, regulator)) = pack_v(power, catalog) else { return };
    let sensors: Vec<&SensorDef> = thing.parts.iter().filter_map(|p| catalog.sensors.get(&p.model)).collect();
    let firmware = transmits.map(|(f, _)| f);
    let Some(plan) = PackPlan::new(power, catalog, Some(board), firmware, &sensors) else { return };
    let plan = plan.with_radio(transmits.and_then(|(_, ma)| ma));
    let regulators = "see `twinfleet list regulators`";
    if let Some((r, most)) =
        regulator.and_then(|r| Some((r, r.most_in_v?))).filter(|(_, most)| cells_v > *most)
    {
        let text = format!("`{}` stands {most} V, but its cells give {} V when full", r.name, cells_v as f32);
        let help = format!("choose another regulator, {regulators}, or fewer cells in series");
        report.push(place.error("power", text).help(help));
        return;
    }
    let given = regulator.map_or(cells_v, |r| r.kind.rail_v(cells_v, 0.0));
    if let Some(most) = board.fed.map(FedDef::most_v).filter(|most| given > *most) {
        let text =
            format!("`{}` stands {most} V, but this pack gives {} V when full", board.name, given as f32);
        let help = format!("put a regulator between them, {regulators}, or fewer cells in series");
        report.push(place.error("power", text).help(help));
        return;
    }
    check_clock(board, power, regulator, catalog, place, report);
    let worst_ma = plan.worst_ma + parts_ma(board, thing, power, given, catalog, place);
    if let Some((r, most)) =
        regulator.and_then(|r| Some((r, r.most_ma?))).filter(|(_, most)| worst_ma > *most)
    {
        let with = if worst_ma > plan.worst_ma { " with its parts" } else { "" };
        let text =
            format!("`{}` gives {most} mA, but `{}` takes {} mA{with}", r.name, board.name, tenths(worst_ma));
        report.push(place.error("power", text).help(format!("choose a stronger regulator, {regulators}")));
        return;
    }
    check_busy(board, regulator, worst_ma - plan.worst_ma, place, report);
    let full = PackState::new(&plan.pack, 1.0, 1.0, 1.0, 0.0, 0.0);
    let rail_v = plan.pack.rail_v(&full, worst_ma, 0.0);
    if rail_v < board.brown_out_v {
        let text = format!(
            "`{}` is reset below {} V, but this pack gives it {:.2} V under its {} mA even when full and warm",
            board.name,
            board.brown_out_v,
            rail_v.max(0.0),
            tenths(worst_ma)
        );
        let up = matches!(plan.pack.regulator, Regulator::Switching { boost: true, .. });
        let help = match (given < board.brown_out_v, up) {
            (true, false) => format!("more cells in series, or a regulator that steps up, {regulators}"),
            (true, true) => format!("a regulator of another output, {regulators}"),
            (false, _) => "cells of less resistance, or more of them in parallel".to_owned(),
        };
        report.push(place.error("power", text).help(help));
        return;
    }
    // With the radio's current, at the temperature of the cells' figures.
    let capacity_mah = plan.pack.capacity_mah(&full);
    let reference_c = plan.pack.cell.reference_c;
    let unusable_mah = plan.pack.unusable_mah(&full, worst_ma, board.brown_out_v, reference_c);
    let share = unusable_mah / capacity_mah.max(f64::MIN_POSITIVE);
    let least = if let PowerDef::Pack { charge, .. } = power { charge.0 } else { 1.0 };
    if transmits.is_some() && least > 0.0 && (share > MOST_UNUSED || share > least) {
        let text = format!(
            "`{}` is reset under its {} mA as soon as this pack has less than {:.0} % of its charge, even when warm",
            board.name,
            tenths(worst_ma),
            100.0 * share
        );
        let help = format!("more cells in series or in parallel, or a regulator that steps up, {regulators}");
        report.push(place.warning("power", text).help(help));
    }
}

/// A regulator that feeds a board's processor idle, but not at work.
fn check_busy(
    board: &BoardDef,
    regulator: Option<&RegulatorDef>,
    parts_ma: f64,
    place: &Place<'_>,
    report: &mut Report,
) {
    let (Some(heat), Some(regulator)) = (board.thermal.as_ref().filter(|t| t.drawn), regulator) else {
        return;
    };
    let busy_ma = 1e3 * heat.full_w / board.supply_v + parts_ma;
    let Some(most) = regulator.most_ma.filter(|most| busy_ma > *most) else { return };
    let with = if parts_ma > 0.0 { " and its parts at work" } else { "" };
    let text = format!(
        "`{}` gives {most} mA, but `{}` takes {} mA with all cores busy{with}",
        regulator.name,
        board.name,
        tenths(busy_ma)
    );
    let help =
        "choose a stronger regulator, see `twinfleet list regulators`, unless it never has that much to do";
    report.push(place.warning("power", text).help(help));
}

/// Share of its charge at which a pack that feeds pins and processor has to hold the processor's clock still.
const NEARLY_EMPTY: f64 = 0.2;

/// A pack on the rail itself that is too low for the processor's clock long before it is empty.
fn check_clock(
    board: &BoardDef,
    power: &PowerDef,
    regulator: Option<&RegulatorDef>,
    catalog: &Catalog,
    place: &Place<'_>,
    report: &mut Report,
) {
    let (Some(FedDef::Rail(_)), Some(least)) = (board.fed, board.clock_v) else { return };
    let Some((cells_v, _)) = pack_at_v(power, catalog, NEARLY_EMPTY) else { return };
    let given = regulator.map_or(cells_v, |r| r.kind.rail_v(cells_v, 0.0));
    if given >= least {
        return;
    }
    let clock = board.cpu.map_or(String::new(), |c| format!(" of {} MHz", c.clock_mhz));
    let text = format!(
        "the clock{clock} of `{}` wants {least} V at its pins' supply, but this pack gives {given:.2} V with {:.0} % left",
        board.name,
        100.0 * NEARLY_EMPTY
    );
    let help = match board.regulated {
        Some((low, high, _)) => format!(
            "a regulator that steps up, see `twinfleet list regulators`, or {low} to {high} V at its input"
        ),
        None => "a regulator that steps up, see `twinfleet list regulators`".to_owned(),
    };
    report.push(place.warning("power", text).help(help));
}

/// The same of a battery that is given by its figures: `drop_v` is what its resistance takes under the largest current.
fn check_battery_feeds(
    board: &BoardDef,
    ocv_v: &[(f64, f64)],
    drop_v: f64,
    place: &Place<'_>,
    report: &mut Report,
) {
    let Some(full) = ocv_v.iter().map(|p| p.1).reduce(f64::max) else { return };
    if let Some(most) = board.fed.map(FedDef::most_v).filter(|most| full > *most) {
        let text =
            format!("`{}` stands {most} V, but this battery gives {} V when full", board.name, full as f32);
        let help = "a cell of less voltage, such as lithium iron phosphate, or `power: Pack(…)` with a regulator: see `twinfleet list regulators`";
        // It may hang on the board's own charger and regulator.
        report.push(place.warning("power", text).help(help));
    } else if full - drop_v < board.brown_out_v {
        let text = format!(
            "`{}` is reset below {} V, but this battery gives it {:.2} V even when full",
            board.name,
            board.brown_out_v,
            full - drop_v
        );
        let help = "more cells in series, or `power: Pack(…)` with a regulator that steps up, see `twinfleet list regulators`";
        report.push(place.error("power", text).help(help));
    }
}

/// Share of a pack's charge that a circuit may leave in it before a reader is told.
const MOST_UNUSED: f64 = 0.5;

/// What all parts of a thing at work take from its pack's output beside the board, [mA]. Where that is overdrawn by parts past
/// the board's own regulator, each of them has been told of: nothing then.
fn parts_ma(
    board: &BoardDef,
    thing: &ThingDef,
    power: &PowerDef,
    given_v: f64,
    catalog: &Catalog,
    place: &Place<'_>,
) -> f64 {
    let mut electric = Electric::new(Some(board), Some(power), catalog);
    // What is wrong with any of them is told elsewhere.
    let mut found = Report::default();
    for part in thing.parts.iter().filter_map(|def| Part::find(def, thing, catalog)) {
        electric.check(&part, place, &mut found);
    }
    let (rail_ma, supply_ma) = electric.drawn_ma;
    match board.fed {
        Some(FedDef::Rail(_)) if electric.rail_ma.is_none() => 0.0,
        Some(FedDef::Rail(_)) => rail_ma + supply_ma,
        // Its own regulator stands between. A linear one takes as much as it gives, a switching one less: which it is, its
        // file does not say, and so the least is taken.
        _ => supply_ma + rail_ma * (board.logic_v / given_v.max(board.logic_v)),
    }
}
