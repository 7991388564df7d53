//! The datasheet laws: every model of the catalog on the bench, many units of it, against figures that were written down from
//! datasheets apart from the catalog's files (`tests/fixtures/datasheets/expected.csv`).
//!
//! A row's law names the measured figure, a factor and a relation: `offset_std x2 =` wants two standard deviations over
//! units to be the stated accuracy. A row that no law judges says why.

use std::{collections::BTreeMap, fs, path::Path};
use twinfleet_engine::{
    catalog::{BoardDef, Catalog, CrossLaw, SensorDef},
    units,
};
use twinfleet_twins::{
    catalog,
    datasheet::{self, Effort, Figure, allan::Noise},
};

/// How far a typical or nominal figure may be off, beside what chance allows; a limit has no such slack.
const TOLERANCE: f64 = 0.05;
/// Standard errors that chance is allowed, over some 300 judgements.
const CHANCE: f64 = 4.0;

struct Row {
    line: String,
    channel: String,
    value: f64,
    unit: String,
    law: String,
}

fn rows() -> BTreeMap<String, Vec<Row>> {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/datasheets/expected.csv");
    let text = fs::read_to_string(table).unwrap();
    let mut parts: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [part, channel, _, value, unit, .., law] = cells[..] else { panic!("{line}") };
        parts.entry(part.to_owned()).or_default().push(Row {
            line: line.to_owned(),
            channel: channel.to_owned(),
            value: value.parse().unwrap(),
            unit: unit.to_owned(),
            law: law.to_owned(),
        });
    }
    parts
}

/// The expected value in the unit that was measured in.
fn converted(row: &Row, found: &Figure) -> f64 {
    let (from, to) = (units::find(&row.unit).unwrap(), units::find(&found.unit).unwrap());
    // A temperature's limit is a temperature, its step a difference: they are measured so.
    from.convert(row.value, to).unwrap_or_else(|| panic!("{}: measured in {}", row.line, found.unit))
}

/// Share of its figure that a law may leave open: a model that is off by as much is told.
const BLUNT: f64 = 0.5;

/// What is wrong with a part, by the rows of the table: the laws that fail, and those that could hardly fail.
fn judge(rows: &[Row], found: &[Figure]) -> (usize, Vec<String>) {
    let (mut judged, mut wrong) = (0, Vec::new());
    for row in rows.iter().filter(|r| !r.law.starts_with('-')) {
        let words: Vec<&str> = row.law.split(' ').collect();
        let [name, factor, relation] = words[..] else { panic!("no law: {}", row.line) };
        // What the bench measures on its own, by `allan_of`.
        if name.starts_with("allan@") {
            continue;
        }
        let factor: f64 = factor.trim_start_matches('x').parse().unwrap();
        // A part's figure may be stated under one of its channels, such as a conversion.
        let figure = found.iter().find(|f| f.name == name && f.channel == row.channel);
        let Some(figure) = figure.or_else(|| found.iter().find(|f| f.name == name && f.channel == "part"))
        else {
            wrong.push(format!("{}: not measured", row.line));
            continue;
        };
        judged += 1;
        let (is, want) = (figure.value * factor, converted(row, figure));
        let chance = CHANCE * factor * figure.error + 1e-9 * want.abs() + 1e-12;
        let slack = if relation == "=" { TOLERANCE * want.abs() + chance } else { chance };
        // A figure of 0 has its step or its range as slack.
        if want != 0.0 && slack > BLUNT * want.abs() {
            wrong.push(format!(
                "{}: leaves {slack:.6} {} open, and would hold of most models",
                row.line, figure.unit
            ));
        }
        let holds = match relation {
            "=" => (is - want).abs() <= slack,
            "<=" => is <= want + slack,
            ">=" => is >= want - slack,
            _ => panic!("no relation: {}", row.line),
        };
        if !holds {
            wrong.push(format!(
                "{}: measured {is:.6} {} instead of {relation} {want:.6}",
                row.line, figure.unit
            ));
        }
    }
    (judged, wrong)
}

#[test]
fn every_model_gives_what_its_datasheet_says() {
    let all = catalog::builtin().unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for (part, rows) in rows() {
        let found = datasheet::measure(&all, &part, Effort { units: 300, seed: 11 });
        let (n, mut w) = judge(&rows, &found.unwrap_or_else(|e| panic!("{part}: {e}")));
        judged += n;
        wrong.append(&mut w);
    }
    assert!(wrong.is_empty(), "{} of {judged} judgements fail:\n{}", wrong.len(), wrong.join("\n"));
    assert!(judged >= 300, "{judged} rows are judged");
}

#[test]
fn a_row_that_no_law_judges_says_why() {
    for row in rows().values().flatten().filter(|r| r.law.starts_with('-')) {
        assert!(row.law.len() > 12, "{}", row.line);
    }
}

/// A part, one of its figures, and how to spoil it.
type Spoil = (&'static str, &'static str, fn(&mut Catalog));

fn sensor<'a>(all: &'a mut Catalog, name: &str) -> &'a mut SensorDef {
    all.sensors.get_mut(name).unwrap()
}

fn board<'a>(all: &'a mut Catalog, name: &str) -> &'a mut BoardDef {
    all.boards.get_mut(name).unwrap()
}

/// The laws can fail: a model that is off in one figure is told by that figure.
#[test]
fn a_model_that_is_off_is_told() {
    let table = rows();
    let spoil: [Spoil; 33] = [
        ("vl53l0x", "gain_accuracy", |c| sensor(c, "vl53l0x").channels[0].gain_std *= 1.5),
        ("vl53l0x", "noise_relative", |c| sensor(c, "vl53l0x").channels[0].noise_ratio *= 1.25),
        ("vl53l0x", "noise_relative", |c| {
            // As much at one metre, and as much everywhere.
            let channel = &mut sensor(c, "vl53l0x").channels[0];
            channel.noise_std = std::mem::take(&mut channel.noise_ratio);
            channel.noise_ratio = 1e-6;
        }),
        // As much as at one metre, whatever the distance.
        ("hc-sr04", "temperature_gain", |c| {
            let cross = &mut sensor(c, "hc-sr04").channels[0].cross[0];
            (cross.per_unit, cross.law) = (-0.0017, CrossLaw::Adds);
        }),
        ("hc-sr501", "hold", |c| sensor(c, "hc-sr501").channels[0].hold.0 *= 2),
        ("hc-sr501", "lock_out", |c| sensor(c, "hc-sr501").channels[0].block.0 /= 2),
        ("esp32-devkit", "range_max_6dB", |c| {
            let adc = board(c, "esp32-devkit").adc.as_mut().unwrap();
            adc.ranges.get_mut("6dB").unwrap().reference_v = 3.3;
        }),
        ("esp32-devkit", "lut_adc1_low", |c| {
            board(c, "esp32-devkit").adc.as_mut().unwrap().reference_v = 3.9
        }),
        ("sht31", "tau63", |c| sensor(c, "sht31").channels[1].tau_s *= 1.25),
        ("sht31", "repeatability_3sigma", |c| sensor(c, "sht31").channels[0].noise_std *= 1.4),
        ("sht31", "hysteresis", |c| sensor(c, "sht31").channels[1].hysteresis *= 0.75),
        ("sht31", "drift_per_year", |c| sensor(c, "sht31").channels[1].drift_per_year *= 1.4),
        ("sht31", "quantum", |c| sensor(c, "sht31").channels[0].lsb *= 2.0),
        ("sht31", "accuracy", |c| sensor(c, "sht31").channels[1].bias_std *= 1.3),
        ("sht31", "range_max", |c| sensor(c, "sht31").channels[0].range.1 = 100.0),
        ("sht31", "range_min", |c| sensor(c, "sht31").channels[0].range.0 = -20.0),
        ("sht31", "conversion", |c| sensor(c, "sht31").conversion.0 *= 2),
        ("sht31", "current_active", |c| sensor(c, "sht31").active_ma *= 1.25),
        ("sht31", "current_idle", |c| sensor(c, "sht31").idle_ma *= 1.25),
        ("bme280", "current_mean", |c| sensor(c, "bme280").active_ma *= 1.25),
        ("neo-6m", "cold_start", |c| sensor(c, "neo-6m").warm_up.0 /= 2),
        ("scd41", "min_interval", |c| sensor(c, "scd41").min_interval.0 /= 2),
        ("bh1750", "gain_accuracy", |c| sensor(c, "bh1750").channels[0].gain_std *= 1.4),
        ("bme280", "temperature_coefficient", |c| sensor(c, "bme280").channels[2].cross[0].per_unit *= 1.25),
        ("mpu6050", "noise_density", |c| sensor(c, "mpu6050").channels[3].noise_std *= 1.25),
        ("tmp36", "self_heating", |c| sensor(c, "tmp36").channels[0].self_heating *= 4.0),
        ("esp32-devkit", "brown_out", |c| board(c, "esp32-devkit").brown_out_v = 2.8),
        ("esp32-c3-devkit", "current_transmit", |c| board(c, "esp32-c3-devkit").current_ma.transmit *= 1.25),
        ("esp32-devkit", "current_light_sleep", |c| {
            *board(c, "esp32-devkit").rest_ma.get_mut("light_sleep").unwrap() *= 1.25;
        }),
        ("esp32-devkit", "quantum", |c| board(c, "esp32-devkit").adc.as_mut().unwrap().bits = 10),
        ("esp32-devkit", "60,mV", |c| board(c, "esp32-devkit").adc.as_mut().unwrap().reference_spread *= 2.0),
        ("esp32-devkit", "clock", |c| board(c, "esp32-devkit").clock_ppm *= 2.0),
        ("servo-sg90", "travel", |c| c.actuators.get_mut("servo-sg90").unwrap().travel_s *= 1.25),
    ];
    for (part, figure, act) in spoil {
        let mut all = catalog::builtin().unwrap();
        act(&mut all);
        let found = datasheet::measure(&all, part, Effort { units: 300, seed: 11 }).unwrap();
        let (_, wrong) = judge(&table[part], &found);
        assert!(
            wrong.iter().any(|w| w.contains(figure)),
            "{part}: nobody saw that {figure} was off: {wrong:?}"
        );
    }
}

/// Allan deviations of the datasheets: a row `allan@TAU/RATE` is held at averages of TAU seconds, read RATE times a second, and
/// on the slope of −½ of white noise down from there. What is wrong.
fn judge_allan(all: &Catalog, part: &str, rows: &[Row]) -> (usize, Vec<String>) {
    let (mut judged, mut wrong) = (0, Vec::new());
    for row in rows {
        let Some((tau_s, rate)) =
            row.law.split(' ').next().and_then(|n| n.strip_prefix("allan@")?.split_once('/'))
        else {
            continue;
        };
        let (tau_s, rate): (f64, f64) = (tau_s.parse().unwrap(), rate.parse().unwrap());
        let found =
            datasheet::allan_of(all, part, &row.channel, 1.0 / rate, Effort { units: 8, seed: 3 }).unwrap();
        let unit = &all.sensors[part].channels.iter().find(|c| c.quantity == row.channel).unwrap().unit;
        let at_tau = units::find(&row.unit).unwrap().convert(row.value, units::find(unit).unwrap()).unwrap();
        for (t, deviation) in found.iter().filter(|(t, _)| *t < 2.0 * tau_s) {
            judged += 1;
            let want = at_tau * (tau_s / t).sqrt();
            if (deviation / want - 1.0).abs() > 0.06 {
                wrong.push(format!("{}: {deviation} at {t} s instead of {want}", row.line));
            }
        }
    }
    (judged, wrong)
}

#[test]
fn allan_deviations_are_the_datasheets() {
    let all = catalog::builtin().unwrap();
    let (mut judged, mut wrong) = (0, Vec::new());
    for (part, rows) in rows() {
        let (n, mut w) = judge_allan(&all, &part, &rows);
        judged += n;
        wrong.append(&mut w);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged >= 10, "{judged} points are judged");
    // They can fail.
    let mut off = catalog::builtin().unwrap();
    sensor(&mut off, "mpu6050").channels[0].noise_std *= 1.2;
    assert!(!judge_allan(&off, "mpu6050", &rows()["mpu6050"]).1.is_empty(), "a noise of 1.2 times is told");
}

/// The bench's own method: what it measures is the closed form of what a file states, noise and wander. It holds models against
/// their files, and no file against a datasheet.
#[test]
fn allan_deviations_follow_the_closed_form() {
    let all = catalog::builtin().unwrap();
    let effort = Effort { units: 8, seed: 3 };
    for (part, quantity, period_s) in
        [("mpu6050", "gyro_z", 0.05), ("neo-6m", "altitude", 1.01), ("hx711-load-cell", "force", 0.11)]
    {
        let c = all.sensors[part].channels.iter().find(|c| c.quantity == quantity).unwrap();
        let model = Noise {
            white_std: c.noise_std.hypot(c.lsb / 12f64.sqrt()),
            period_s,
            wander_std: c.wander_std,
            wander_tau_s: c.wander_tau_s,
        };
        let found = datasheet::allan_of(&all, part, quantity, period_s, effort).unwrap();
        // A series ninety times as long as τ knows its deviation to some 5 % with eight units.
        for (tau_s, deviation) in found.iter().filter(|(t, _)| *t < 180.0 * period_s) {
            let want = model.deviation(*tau_s);
            assert!(
                (deviation / want - 1.0).abs() < 0.12,
                "{part}: {deviation} at {tau_s} s instead of {want}"
            );
        }
    }
}

/// What the files state is what comes out, for every figure of every part, whether a datasheet was found for it or not.
#[test]
fn every_figure_of_every_file_is_what_the_bench_measures() {
    let all = catalog::builtin().unwrap();
    let (mut held, mut wrong) = (0, Vec::new());
    for part in all.sensors.keys().chain(all.boards.keys()).chain(all.actuators.keys()) {
        let found = datasheet::measure(&all, part, Effort { units: 200, seed: 5 }).unwrap();
        for c in datasheet::compare(&datasheet::stated(&all, part), &found) {
            held += usize::from(c.agrees == Some(true));
            if c.agrees == Some(false) {
                wrong.push(format!("{part}: {c:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(held > 600, "{held} figures were held against their files");
}
