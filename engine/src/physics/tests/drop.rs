//! The shipped scenario `parcel-drop`, with parts that read the truth.

use super::{
    run::{Run, resolve, sensor},
    *,
};
use crate::{
    catalog::{Catalog, ThingDef},
    expect::{Evaluator, Status},
    plan::Plan,
    scenario::Scenario,
    time::SimTime,
    world::{Row, Rows},
};

fn parcel_drop() -> Plan {
    let mut catalog = Catalog::default();
    for text in [
        include_str!("../../../../twins/catalog/things/parcel-logger.ron"),
        include_str!("../../../../twins/catalog/things/chute-gate.ron"),
        include_str!("../../../../twins/catalog/things/scale.ron"),
    ] {
        let thing: ThingDef = from_ron(text);
        catalog.things.insert(thing.name.clone(), thing);
    }
    let imu = ["accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z"];
    for (name, quantities) in [
        ("mpu6050", &imu[..]),
        ("hc-sr04", &["distance"]),
        ("hc-sr501", &["presence"]),
        ("hx711-load-cell", &["force"]),
    ] {
        catalog.sensors.insert(name.to_owned(), sensor(name, quantities));
    }
    let scenario: Scenario = from_ron(include_str!("../../../../scenarios/parcel-drop.ron"));
    resolve(scenario, catalog, (0, 1))
}

/// What every part would read at its firmware's wakes within the tick, had it no error.
fn ideal_readings(plan: &Plan, run: &Run, start: SimTime, rows: &mut Vec<Row>) {
    let step = plan.scenario.step;
    for group in &plan.groups {
        let period = group.thing.firmware.as_ref().unwrap().period.0;
        let first = (start.0 + period - 1) / period * period;
        for i in 0..group.count {
            let device = plan.device_id(group, i);
            for t in (first..start.0 + step.0).step_by(period as usize) {
                let sensors = group.thing.parts.iter().map(|p| (p, &plan.catalog.sensors[&p.model]));
                let channels = sensors.flat_map(|(p, s)| s.channels.iter().map(move |c| (p, c)));
                rows.extend(channels.enumerate().map(|(at, (part, channel))| {
                    let place = format!("part/{device}/{}/{}", part.id, channel.quantity);
                    let signal = plan.signals.id(group.block, i, at as u32);
                    Row { t: SimTime(t), signal, value: run.truth(&place, SimTime(t)) }
                }));
            }
        }
    }
}

#[test]
fn every_expectation_of_the_shipped_scenario_holds_with_ideal_parts() {
    let plan = parcel_drop();
    let mut run = Run::new(&plan, true);
    let mut evaluator = Evaluator::new(&plan.scenario.expect, &plan.signals);
    let ticks = plan.scenario.duration.0 / plan.scenario.step.0;
    for tick in 0..ticks {
        run.tick();
        let mut rows = std::mem::take(&mut run.world.resource_mut::<Rows>().0);
        ideal_readings(&plan, &run, SimTime(tick * plan.scenario.step.0), &mut rows);
        rows.sort_by_key(|r| (r.t, r.signal));
        evaluator.observe(&rows, &[]);
    }
    let outcomes = evaluator.finish(SimTime(plan.scenario.duration.0));
    assert!(outcomes.len() >= 10);
    for outcome in outcomes {
        println!("{}: {}", outcome.name, outcome.sentence);
        assert_eq!(outcome.status, Status::Held, "{}: {}", outcome.name, outcome.sentence);
    }
}

#[test]
fn on_the_shipped_chute_the_closed_forms_hold() {
    let plan = parcel_drop();
    let mut scene = Scene::new(plan.scenario.world.scene.as_ref().unwrap()).unwrap();
    let parcel = scene.find("parcel-0").unwrap();
    let felt = ride(&mut scene, Mount::new(parcel, (0.05, 0.0, 0.0), (0.0, 0.0, 0.0)), 8.0);
    assert!(worst(&felt[500..1000], Vector3::new(0.0, 0.0, G)) < 0.01, "waiting");
    let cos = 30f64.to_radians().cos();
    assert!(worst(&felt[2700..3200], Vector3::new(-0.25 * G * cos, 0.0, G * cos)) < 0.05, "sliding");
    for f in &felt[3400..3500] {
        // What it feels in the air is the centripetal force of its arm alone.
        let omega = Vector3::from(f.rate_rad_s);
        let arm = Vector3::new(0.05, 0.0, 0.0);
        assert!((force(f) - omega.cross(&omega.cross(&arm))).norm() < 0.02, "falling");
    }
    for f in &felt[7000..] {
        assert!((force(f).norm() - G).abs() < 0.01, "at rest again");
    }
    assert!(felt[3500..4000].iter().any(|f| force(f).norm() > 20.0 * G), "landing");
}
