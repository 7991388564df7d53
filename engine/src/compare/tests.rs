//! Real recordings, clean and corrupted, through the judge.

use super::{Judge, Reading, Verdict};
use crate::{
    catalog::ThingDef,
    predict::kalman::Filter,
    rng,
    sense::fault::FaultDef,
    time::{SimTime, Span},
};
use rand_distr::{Distribution, StandardNormal};
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

fn twin(thing: &str) -> Judge {
    let text = std::fs::read_to_string(root().join(format!("twins/catalog/things/{thing}.ron"))).unwrap();
    let thing: ThingDef = ron::Options::default().from_str(&text).unwrap();
    Judge::new(Box::new(Filter::new(&thing.dynamics.unwrap(), &learn()).unwrap()))
}

fn learn() -> Vec<String> {
    std::env::var("LEARN").map(|s| s.split(',').map(str::to_owned).collect()).unwrap_or_default()
}

fn explore(name: &str, thing: &str, r: &Recording) {
    let mut judge = twin(thing);
    let mut z2 = vec![];
    for k in 0..r.t.len() {
        let t = r.t[k];
        judge.take(&Reading { t, arrived: t, inputs: &r.inputs[k], outputs: &r.outputs[k] });
        z2.push(judge.view(0).whitened);
    }
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

#[test]
#[ignore = "prints"]
fn look_at_clean_runs() {
    let dir = PathBuf::from(std::env::var("DATA").unwrap());
    let mut files: Vec<_> = std::fs::read_dir(dir.join("pi3b-thermal")).unwrap().map(|f| f.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "csv")).collect();
    files.sort();
    for f in files {
        let minmax = f.file_name().unwrap().to_str().unwrap().starts_with("minmax");
        let r = if minmax { read(&f, &[2], &[3]) } else { read(&f, &[1], &[2]) };
        explore(f.file_name().unwrap().to_str().unwrap(), "raspberry-pi-3b", &r);
    }
    let r = read(&dir.join("tclab/run_a_mimo_600s.csv"), &[1, 2], &[3, 4]);
    explore("tclab", "tclab", &r);
}
