//! Batteries.

use crate::common::{one, scenario};
use crate::fixture::{Sim, plan};
use twinfleet_engine::plan::Plan;

const BATTERY: &str = r#"power: Battery(capacity_mah: 100.0, charge: (0.9, 0.9), ocv_v: [(0.0, 3.0), (1.0, 4.2)], r0_ohm: 0.2)"#;

fn battery_plan(capacity: &str, firmware: &str) -> Plan {
    let text = scenario(3, firmware, "")
        .replace("count: 3,", &format!("count: 3, {},", BATTERY.replace("100.0", capacity)));
    plan(&text, &[one("noise_std: 0.0", r#"conversion: "200ms","#)])
}

#[test]
fn a_battery_loses_exactly_the_charge_that_its_device_draws() {
    let p = battery_plan("100.0", r#"period: "10s", awake: "500ms", deep_sleep: true"#);
    let mut sim = Sim::new(&p, true);
    sim.run(1000);
    for i in 0..3 {
        let charge = sim.series(&p, &format!("n-{i}/power.charge@truth"));
        for (wakes, (t, percent)) in charge.iter().enumerate() {
            // Figures of the fixture's ESP32 and sensor: sleep 5 µA all the time, 50 mA − 5 µA for 0.5 s and 10 mA for 0.2 s a wake.
            let mas = 0.005 * t.as_secs_f64() + (wakes + 1) as f64 * ((50.0 - 0.005) * 0.5 + 10.0 * 0.2);
            let expected = 90.0 - 100.0 * mas / 3600.0 / 100.0;
            assert!((percent - expected).abs() < 1e-9, "{percent} for {expected}");
        }
        let (_, v) = sim.series(&p, &format!("n-{i}/power.voltage@truth"))[0];
        assert!((v - (3.0 + 1.2 * charge[0].1 / 100.0 - 0.2 * 0.05)).abs() < 1e-12);
    }
}

#[test]
fn an_empty_battery_ends_the_device_with_one_event() {
    let p = battery_plan("0.1", r#"period: "1s", awake: "500ms", publish: [(topic: "t/{device}")]"#);
    let mut sim = Sim::new(&p, true);
    sim.run(30);
    let readings = sim.rows.len();
    let out = sim.out.len();
    sim.run(10);
    assert_eq!((sim.rows.len(), sim.out.len()), (readings, out), "what is off stays off");
    assert_eq!(sim.events.iter().filter(|e| e.kind == "brown_out").count(), 3);
    assert_eq!(sim.counter("brown_outs"), 3);
}
