//! The twin's forecasts over the shipped recordings.

mod common;
use common::{Dataset, PISTRESS, pistress, root, tclab_a, tclab_b, thing, walk};
use twinfleet_engine::{dynamics::fit::{Settings, fit}, predict::kalman::Filter};

#[test]
#[ignore]
fn explore() {
    let def = thing("raspberry-pi-3b");
    for name in PISTRESS {
        let mut twin = Filter::new(&def, &[]).unwrap();
        let scores = walk(&mut twin, &pistress(name), 0, &[60, 300], 0.0);
        for s in &scores {
            print!(
                "{name} {:.3} / {:.3} cov {:.3} width {:.2}   ",
                s.rmse(),
                s.rmse_persistence(),
                s.coverage(),
                s.mean_width()
            );
        }
        println!();
    }
}

#[test]
#[ignore]
fn explore_fit() {
    let def = match std::env::var("THING") {
        Ok(p) => ron::from_str::<twinfleet_engine::catalog::ThingDef>(&std::fs::read_to_string(p).unwrap()).unwrap().dynamics.unwrap(),
        Err(_) => thing("raspberry-pi-3b"),
    };
    let data: Vec<_> = PISTRESS.iter().map(|n| pistress(n)).collect();
    let t = std::time::Instant::now();
    let report = fit("raspberry-pi-3b", &def, &data, &[], &Settings { starts: 1, ..Settings::default() }).unwrap();
    for n in PISTRESS {
        let r = fit("x", &def, &[pistress(n)], &[], &Settings { starts: 1, train_fraction: 0.6, ..Settings::default() }).unwrap();
        println!("OWN {n} fit {:.3} held {:.3} {}", r.scores[0].rmse, r.scores[1].rmse, r.converged);
    }
    println!("{:?} converged {}", t.elapsed(), report.converged);
    for e in &report.estimates {
        println!("{:10} {:?} {:.4} {} [{:.4}, {:.4}] {}", e.name, e.recording, e.value, e.unit, e.interval.0, e.interval.1, e.identified);
    }
    for s in &report.scores {
        println!("SCORE {} {} {:?} {:.3}", s.file, s.signal, s.part, s.rmse);
    }
    println!("{:?}", t.elapsed());
    std::fs::write("/tmp/params.ron", report.params.to_ron()).unwrap();
    println!("{}", report.params.to_ron());
    let def = report.params.applied_to(&def).unwrap();
    for name in PISTRESS {
        let mut twin = Filter::new(&def, &[]).unwrap();
        let scores = walk(&mut twin, &pistress(name), 0, &[60, 300], 0.0);
        for s in &scores {
            print!("{name} {:.3} / {:.3} cov {:.3} width {:.2}   ", s.rmse(), s.rmse_persistence(), s.coverage(), s.mean_width());
        }
        println!();
    }
}

#[test]
#[ignore]
fn explore_width() {
    use twinfleet_engine::{dynamics::params::Params, predict::Estimator, time::Span};
    let params = Params::from_ron(&std::fs::read_to_string("/tmp/params.ron").unwrap()).unwrap();
    let def = params.applied_to(&thing("raspberry-pi-3b")).unwrap();
    for name in ["1100000011", "1111100011"] {
        let d = pistress(name);
        let mut twin = Filter::new(&def, &[]).unwrap();
        let mut w = (0.0, 0.0);
        for k in 0..d.t_s.len() {
            let dt = if k == 0 { 0.0 } else { d.t_s[k] - d.t_s[k - 1] };
            twin.predict(Span::from_secs_f64(dt), &[Some(d.inputs[0][k])]);
            let i = twin.update(0, d.outputs[0][k]);
            if k > 10 { w.0 += i.whitened().powi(2); w.1 += 1.0; }
            if [1, 10, 60, 200, 500, 1000, 2000, 3000, 3500].contains(&k) {
                println!("{name} {k} w2 {:.2} 60: {:.2} 300: {:.2}", w.0 / w.1, twin.forecast(Span::from_secs(60))[0].var.sqrt(), twin.forecast(Span::from_secs(300))[0].var.sqrt());
                for (n, g) in twin.state() { print!("   {n} {:.3}±{:.3}", g.mean, g.var.sqrt()); }
                println!();
            }
        }
    }
}

#[test]
#[ignore]
fn explore_tclab() {
    let def = thing("tclab");
    let report = fit("tclab", &def, &[tclab_b()], &[tclab_a()], &Settings { starts: 1, ..Settings::default() }).unwrap();
    println!("converged {}", report.converged);
    for e in &report.estimates {
        println!("{:10} {:?} {:.4} {} [{:.4}, {:.4}] {}", e.name, e.recording, e.value, e.unit, e.interval.0, e.interval.1, e.identified);
    }
    for s in &report.scores {
        println!("SCORE {} {} {:?} {:.3}", s.file, s.signal, s.part, s.rmse);
    }
    std::fs::write("/tmp/tclab.ron", report.params.to_ron()).unwrap();
    println!("{}", report.params.to_ron());
    let def = report.params.applied_to(&def).unwrap();
    let learn: Vec<String> = ["tau"].iter().map(|s| s.to_string()).collect();
    {
        use twinfleet_engine::{predict::Estimator, time::Span};
        let d = tclab_a();
        let mut twin = Filter::new(&def, &learn).unwrap();
        for k in 0..d.t_s.len() {
            let dt = if k == 0 { 0.0 } else { d.t_s[k] - d.t_s[k - 1] };
            twin.predict(Span::from_secs_f64(dt), &[Some(d.inputs[0][k]), Some(d.inputs[1][k])]);
            let i = twin.update(0, d.outputs[0][k]);
            let j = twin.update(1, d.outputs[1][k]);
            if k % 40 == 10 {
                print!("{k} {:.2} {:.2} T {} {}", i.whitened(), j.whitened(), d.outputs[0][k], d.outputs[1][k]);
                for (n, g) in twin.state() { print!("   {n} {:.4}±{:.4}", g.mean, g.var.sqrt()); }
                println!();
            }
        }
    }
    for (from, o) in [(0.0, 0), (0.0, 1), (300.0, 0), (300.0, 1)] {
        let mut twin = Filter::new(&def, &learn).unwrap();
        let s = &walk(&mut twin, &tclab_a(), o, &[60], from)[0];
        println!("{from} {o} {:.3} / {:.3} cov {:.3} width {:.2} n {}", s.rmse(), s.rmse_persistence(), s.coverage(), s.mean_width(), s.n());
        for (n, g) in twinfleet_engine::predict::Estimator::state(&twin) { print!("   {n} {:.4}±{:.4}", g.mean, g.var.sqrt()); }
        println!();
    }
}

/// The parameter files under `assets/params`: for each recording of the Pi, what the other eight say of it; for the lab,
/// what run b says. By (file, thing, training recordings).
fn shipped() -> Vec<(String, &'static str, Vec<Dataset>)> {
    let others = |left_out: &str| PISTRESS.iter().filter(|n| **n != left_out).map(|n| pistress(n)).collect();
    let mut all: Vec<(String, &str, Vec<Dataset>)> = PISTRESS
        .iter()
        .map(|n| (format!("pi3b-without-{n}.ron"), "raspberry-pi-3b", others(n)))
        .collect();
    all.push(("tclab-run-b.ron".to_owned(), "tclab", vec![tclab_b()]));
    all
}

#[test]
#[ignore = "rewrites assets/params: cargo test -p twinfleet-engine --test recordings -- --ignored write_parameter_files"]
fn write_parameter_files() {
    for (file, name, data) in shipped() {
        let report = fit(name, &thing(name), &data, &[], &Settings::default()).unwrap();
        assert!(report.converged, "{file}");
        std::fs::write(root().join("assets/params").join(file), report.params.to_ron()).unwrap();
    }
}
