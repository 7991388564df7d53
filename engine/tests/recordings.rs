//! The twin's forecasts over the shipped recordings.

mod common;
use common::{PISTRESS, pistress, thing, walk};
use twinfleet_engine::predict::kalman::Filter;

#[test]
#[ignore]
fn explore() {
    let def = thing("raspberry-pi-3b");
    for name in PISTRESS {
        let mut twin = Filter::new(&def, &[]).unwrap();
        let scores = walk(&mut twin, &pistress(name), 0, &[60, 300], 0.0);
        for s in &scores {
            print!("{name} {:.3} / {:.3} cov {:.3} width {:.2}   ", s.rmse(), s.rmse_persistence(), s.coverage(), s.mean_width());
        }
        println!();
    }
}
