//! What a step of ten thousand twins of one thing costs: `cargo bench -p twinfleet-engine --bench twins`.

use rayon::prelude::*;
use std::{path::PathBuf, time::Instant};
use twinfleet_engine::{
    catalog::ThingDef,
    predict::{Estimator, kalman::Filter},
    scenario::{definition, source::Source},
    time::Span,
};

const TWINS: usize = 10_000;
const STEPS: u32 = 40;

fn main() {
    println!("{TWINS} twins, one step each (prediction with its covariance, one reading per output)");
    for name in ["raspberry-pi-3b", "tclab", "room", "heated-box"] {
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../twins/catalog/things/{name}.ron"));
        let thing: ThingDef = definition::read(&Source::read(&path).expect("readable")).expect("a thing");
        let def = thing.dynamics.expect("dynamics");
        let filter = Filter::new(&def, &[]).expect("it compiles");
        let (inputs, outputs) = (def.inputs.len(), def.outputs.len());
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut twins = vec![filter.clone(); TWINS];
            let took = pool.install(|| {
                let mut run = |from: u32, steps: u32| {
                    let start = Instant::now();
                    for k in from..from + steps {
                        let wave = |i: usize| 30.0 + 10.0 * (f64::from(k) * 0.1 + i as f64).sin();
                        twins.par_iter_mut().with_min_len(128).enumerate().for_each_init(
                            Vec::new,
                            |u, (i, twin)| {
                                u.clear();
                                u.extend((0..inputs).map(|j| Some(wave(i * inputs + j))));
                                twin.predict(Span::from_secs(1), u);
                                for o in 0..outputs {
                                    twin.update(o, wave(i * outputs + o));
                                }
                            },
                        );
                    }
                    start.elapsed().as_secs_f64() / f64::from(steps)
                };
                run(0, 5);
                run(5, STEPS)
            });
            println!(
                "{name:<16} {threads} thread(s): {:>6.1} ms a step, {:.2} µs a twin",
                1e3 * took,
                1e6 * took / TWINS as f64
            );
        }
    }
}
