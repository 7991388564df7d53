//! Real recordings, clean and corrupted, through the judge.

use super::{Judge, Reading};
use crate::{
    catalog::ThingDef,
    mirror::physical::StreamFault,
    dynamics::params::Params,
    predict::kalman::Filter,
    rng,
    sense::fault::FaultDef,
    time::{SimTime, Span},
};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

struct Recording {
    t: Vec<SimTime>,
    inputs: Vec<Vec<f64>>,
    outputs: Vec<Vec<f64>>,
}

/// Seconds of a date and time within its month; enough for differences.
fn seconds(cell: &str) -> f64 {
    if let Ok(s) = cell.parse() {
        return s;
    }
    let day: f64 = cell[8..10].parse().unwrap();
    let hour: f64 = cell[11..13].parse().unwrap();
    let minute: f64 = cell[14..16].parse().unwrap();
    let second: f64 = cell[17..].parse().unwrap();
    ((day * 24.0 + hour) * 60.0 + minute) * 60.0 + second
}

fn read(path: &Path, inputs: &[usize], outputs: &[usize]) -> Recording {
    let text = std::fs::read_to_string(path).unwrap();
    let mut r = Recording { t: vec![], inputs: vec![], outputs: vec![] };
    let mut first = None;
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let number = |c: &usize| cells[*c].parse().unwrap_or(f64::NAN);
        let s = seconds(cells[0]);
        let t = SimTime(Span::from_secs_f64(s - *first.get_or_insert(s)).0);
        if r.t.last().is_none_or(|last| t > *last) {
            r.t.push(t);
            r.inputs.push(inputs.iter().map(number).collect());
            r.outputs.push(outputs.iter().map(number).collect());
        }
    }
    r
}

fn twin(thing: &str, params: Option<&str>) -> Judge {
    let text = std::fs::read_to_string(root().join(format!("twins/catalog/things/{thing}.ron"))).unwrap();
    let thing: ThingDef = ron::Options::default().from_str(&text).unwrap();
    let mut dynamics = thing.dynamics.unwrap();
    if let Some(name) = params {
        let text = std::fs::read_to_string(root().join(format!("assets/params/{name}.ron"))).unwrap();
        dynamics = Params::from_ron(&text).unwrap().applied_to(&dynamics).unwrap();
    }
    Judge::new(Box::new(Filter::new(&dynamics, &learn()).unwrap()))
}

fn learn() -> Vec<String> {
    std::env::var("LEARN").map(|s| s.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

fn explore(name: &str, thing: &str, params: Option<&str>, r: &Recording) {
    let mut judge = twin(thing, params);
    let mut z2 = vec![];
    let start = std::time::Instant::now();
    for k in 0..r.t.len() {
        let t = r.t[k];
        judge.take(&Reading { t, arrived: t, inputs: &r.inputs[k], outputs: &r.outputs[k] });
        z2.push(judge.view(0).whitened);
    }
    println!("{:.0} us a sample; {:?}", start.elapsed().as_secs_f64() * 1e6 / r.t.len() as f64, judge.estimator().state().iter().map(|(n, g)| format!("{n} {:.3}", g.mean)).collect::<Vec<_>>());
    z2.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let q = |p: f64| z2[(p * (z2.len() - 1) as f64) as usize].abs();
    println!(
        "{name}: scale {:.2} rho {:.2} |z| 50% {:.2} 95% {:.2} 99% {:.2} 99.9% {:.2} max {:.2}",
        judge.noise[0].scale(), judge.noise[0].correlation(), q(0.5), q(0.95), q(0.99), q(0.999), q(1.0)
    );
    for v in judge.verdicts() {
        println!("   {} {} onset {:.0} end {:?} size {:.2} p {:.3} at {:.0}", v.kind, v.part, v.onset.as_secs_f64(), v.end.map(SimTime::as_secs_f64), v.size, v.posterior, v.decided_at.as_secs_f64());
    }
}

/// Runs a recording with a fault on output 0 (or, for a clock, on the time stamps).
fn run_with(r: &Recording, judge: &mut Judge, kind: FaultDef, from_s: i64, until_s: i64, seed: u64) {
    let (from, until) = (SimTime::ZERO + Span::from_secs(from_s), SimTime::ZERO + Span::from_secs(until_s));
    let mut fault = StreamFault::new(kind, from, until, rng::stream(seed, "test", "fault"));
    let mut last = f64::NAN;
    for k in 0..r.t.len() {
        let arrived = r.t[k];
        let mut t = arrived;
        let mut outputs = r.outputs[k].clone();
        if fault.active(t) {
            match kind {
                FaultDef::ClockSkew { ppm } => t = SimTime(t.0 + ((t - from).0 as f64 * ppm * 1e-6) as i64),
                _ => outputs[0] = fault.corrupt(t, outputs[0], last),
            }
        }
        last = if outputs[0].is_nan() { last } else { outputs[0] };
        let t = SimTime(t.0.div_euclid(1_000_000) * 1_000_000);
        judge.take(&Reading { t, arrived, inputs: &r.inputs[k], outputs: &outputs });
        judge.wait(arrived);
    }
}

#[test]
#[ignore = "prints"]
fn look_at_matrix() {
    let kinds = [
        FaultDef::Stuck,
        FaultDef::Bias { by: 2.0 },
        FaultDef::Bias { by: -3.0 },
        FaultDef::Bias { by: 5.0 },
        FaultDef::Drift { per_h: 60.0 },
        FaultDef::Drift { per_h: -30.0 },
        FaultDef::Gain { factor: 1.1 },
        FaultDef::Spike { by: 6.0, every: Span::from_secs(60) },
        FaultDef::Spike { by: -10.0, every: Span::ZERO },
        FaultDef::Noise { std: 2.0 },
        FaultDef::Dropout,
        FaultDef::ClockSkew { ppm: 500.0 },
        FaultDef::ClockSkew { ppm: -3000.0 },
    ];
    let files = ["1100000011", "1101000011", "1110001011", "1111100011"];
    let only = std::env::var("KIND").unwrap_or_default();
    for kind in kinds.into_iter().filter(|k| k.name().contains(&only)) {
        for (n, f) in files.iter().enumerate() {
            let r = read(&root().join(format!("assets/recordings/pi3b/pistress_{f}.csv")), &[1], &[2]);
            let mut judge = twin("raspberry-pi-3b", Some("pi3b-without-1100000011"));
            let from = 900 + 317 * n as i64;
            let start = std::time::Instant::now();
            run_with(&r, &mut judge, kind, from, from + 600, n as u64);
            let all: Vec<String> = judge.verdicts().iter().take(6).map(|v| format!("{} {:+.0} (at {:+.0}) end {:+.0} size {:.2} p {:.3}", v.kind, v.onset.as_secs_f64() - from as f64, v.decided_at.as_secs_f64() - from as f64, v.end.map_or(f64::NAN, |e| e.as_secs_f64() - from as f64 - 600.0), v.size, v.posterior)).collect();
            println!("{kind:?} {f} ({} verdicts, {:.0} ms): {}", judge.verdicts().len(), start.elapsed().as_secs_f64() * 1e3, all.join("; "));
        }
    }
}

#[test]
#[ignore = "prints"]
fn look_at_clean_runs() {
    let dir = PathBuf::from(std::env::var("DATA").unwrap());
    let mut files: Vec<_> = std::fs::read_dir(dir.join("pi3b-thermal")).unwrap().map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "csv")).collect();
    files.sort();
    let only = std::env::var("ONLY").unwrap_or_default();
    for f in files.iter().filter(|f| f.to_str().unwrap().contains(&only)) {
        let minmax = f.file_name().unwrap().to_str().unwrap().starts_with("minmax");
        let r = if minmax { read(f, &[2], &[3]) } else { read(f, &[1], &[2]) };
        explore(f.file_name().unwrap().to_str().unwrap(), "raspberry-pi-3b", Some("pi3b-without-1100000011"), &r);
    }
    let r = read(&dir.join("tclab/run_a_mimo_600s.csv"), &[1, 2], &[3, 4]);
    explore("tclab", "tclab", None, &r);
}
