//! How long an output stays up after it last saw something, and how long the part is blind after that.

use super::{
    Effort, Figure, Unmeasured,
    bench::{self, Setup},
    sensor::{Range, span, truths_at},
};
use twinfleet_engine::catalog::{Catalog, SensorDef};

/// Looks within hold and lock-out time.
const LOOKS: u32 = 500;
/// When something shows itself for one look.
const SHOWN: u32 = 10;

/// Shows the part something for one look, and again, for good, once its output has fallen.
pub(super) fn measure(
    catalog: &Catalog,
    sensor: &SensorDef,
    effort: Effort,
    found: &mut Vec<Figure>,
) -> Result<(), Unmeasured> {
    let Some(c) = sensor.channels.iter().find(|c| c.hold.0 > 0) else { return Ok(()) };
    let period_s = (c.hold.as_secs_f64() + c.block.as_secs_f64()) / f64::from(LOOKS);
    let held = (c.hold.as_secs_f64() / period_s).ceil() as u32;
    let mut setup = Setup::new(effort.units.min(5), effort.seed, span(period_s), LOOKS + 100);
    setup.truths = truths_at(sensor, Range::middle);
    for (look, there) in [(SHOWN, 1.0), (SHOWN + 1, 0.0), (SHOWN + held + 5, 1.0)] {
        setup.tells.push((look, c.quantity.clone(), there));
    }
    let measured = bench::run(catalog, &sensor.name, &setup)?;
    let (mut holds, mut locks) = (Vec::new(), Vec::new());
    for unit in measured.of(&c.quantity) {
        let turns: Vec<f64> =
            unit.windows(2).filter(|w| (w[0].1 > 0.5) != (w[1].1 > 0.5)).map(|w| w[1].0).collect();
        if let [up, down, again, ..] = turns[..] {
            holds.push(down - up);
            locks.push(again - down);
        }
    }
    let mean = |all: &[f64]| super::spread(all).0;
    // Each turn is known to a look.
    found.push(Figure::new("part", "hold", mean(&holds), "s", period_s));
    found.push(Figure::new("part", "lock_out", mean(&locks), "s", period_s));
    Ok(())
}
