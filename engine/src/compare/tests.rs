//! Real recordings, clean and corrupted, through the judge.

use super::{Judge, Reading};
use crate::{
    catalog::ThingDef,
    dynamics::params::Params,
    mirror::physical::StreamFault,
    predict::kalman::Filter,
    rng,
    scenario::{definition, source::Source},
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

fn twin(thing: &str, params: &str, learn: &[String]) -> Judge {
    let file = root().join(format!("twins/catalog/things/{thing}.ron"));
    let thing: ThingDef = definition::read(&Source::read(&file).unwrap()).unwrap();
    let text = std::fs::read_to_string(root().join(format!("assets/params/{params}.ron"))).unwrap();
    let dynamics = Params::from_ron(&text).unwrap().applied_to(&thing.dynamics.unwrap()).unwrap();
    Judge::new(Box::new(Filter::new(&dynamics, learn).unwrap()))
}

/// A recorded Raspberry Pi, and a twin that never saw it.
fn pi(name: &str) -> (Recording, Judge) {
    let path = root().join(format!("assets/recordings/pi3b/{name}.csv"));
    match name.strip_prefix("pistress_") {
        Some(digits) => {
            (read(&path, &[1], &[2]), twin("raspberry-pi-3b", &format!("pi3b-without-{digits}"), &[]))
        }
        // The fits used no minmax run at all.
        None => (read(&path, &[2], &[3]), twin("raspberry-pi-3b", "pi3b-without-1100000011", &[])),
    }
}

/// The recorded lab, and a twin fitted on another board that learns as it goes.
fn lab() -> (Recording, Judge) {
    let path = root().join("assets/recordings/tclab/run_a_mimo_600s.csv");
    (read(&path, &[1, 2], &[3, 4]), twin("tclab", "tclab-run-b", &["tau".to_owned()]))
}

/// Runs a recording with a fault on output 0 (or, for a clock, on the time stamps).
fn run_with(r: &Recording, judge: &mut Judge, kind: Option<FaultDef>, from_s: i64, until_s: i64, seed: u64) {
    run_on(r, judge, 0, kind, from_s, until_s, seed);
}

/// The same on any output.
fn run_on(
    r: &Recording,
    judge: &mut Judge,
    output: usize,
    kind: Option<FaultDef>,
    from_s: i64,
    until_s: i64,
    seed: u64,
) {
    let (from, until) = (SimTime::ZERO + Span::from_secs(from_s), SimTime::ZERO + Span::from_secs(until_s));
    let new = |kind| StreamFault::new(kind, from, until, rng::stream(seed, "test", "fault"));
    let mut fault = kind.map(new);
    let mut last = f64::NAN;
    for k in 0..r.t.len() {
        let arrived = r.t[k];
        let mut t = arrived;
        let mut outputs = r.outputs[k].clone();
        if let Some(fault) = fault.as_mut().filter(|f| f.active(arrived)) {
            match kind {
                Some(FaultDef::ClockSkew { ppm }) => {
                    t = SimTime(t.0 + ((t - from).0 as f64 * ppm * 1e-6) as i64)
                }
                _ => outputs[output] = fault.corrupt(t, outputs[output], last),
            }
        }
        last = if outputs[output].is_nan() { last } else { outputs[output] };
        let t = SimTime(t.0.div_euclid(1_000_000) * 1_000_000);
        judge.take(&Reading { t, arrived, inputs: &r.inputs[k], outputs: &outputs });
        judge.wait(arrived);
    }
}

fn clean(recording: Recording, mut judge: Judge, name: &str) {
    run_with(&recording, &mut judge, None, 0, 0, 0);
    assert!(judge.verdicts().is_empty(), "{name}: {:?}", judge.verdicts());
}

#[test]
fn clean_runs_get_no_verdict() {
    for name in ["pistress_1100000111", "pistress_1111001011"] {
        let (recording, judge) = pi(name);
        clean(recording, judge, name);
    }
    let (recording, judge) = lab();
    clean(recording, judge, "tclab");
}

#[test]
fn no_clean_run_at_all_gets_a_verdict() {
    for name in [
        "pistress_0000000011",
        "pistress_1100000011",
        "pistress_1100000111",
        "pistress_1100001011",
        "pistress_1101000011",
        "pistress_1101010011",
        "pistress_1110001011",
        "pistress_1111001011",
        "pistress_1111100011",
        "minmax_1111000011_w30",
        "minmax_1111100011_w30",
    ] {
        let (recording, judge) = pi(name);
        clean(recording, judge, name);
    }
}

/// How far the supposed onset may be off, [s]: the time a drift needs to leave the noise (three standard deviations of an
/// innovation of the Pi, 1.5 K), 30 s otherwise.
fn onset_tolerance_s(kind: FaultDef) -> f64 {
    match kind {
        FaultDef::Drift { per_h } => 1.5 / per_h.abs() * 3600.0,
        _ => 30.0,
    }
}

/// The first verdict, if it is of this kind and part and began where the fault did.
fn named(judge: &Judge, kind: FaultDef, from_s: i64, part: &str) -> Result<f64, String> {
    let Some(v) = judge.verdicts().first() else { return Err("none".to_owned()) };
    let off = v.onset.as_secs_f64() - from_s as f64;
    if v.kind == kind.name() && v.part == part && off.abs() <= onset_tolerance_s(kind) {
        Ok(v.decided_at.as_secs_f64() - from_s as f64)
    } else {
        Err(format!("{} {} {off:+.0} s", v.kind, v.part))
    }
}

fn whole_device(kind: FaultDef) -> bool {
    matches!(kind, FaultDef::ClockSkew { .. })
}

#[test]
fn each_fault_is_named_with_its_part_and_onset() {
    for (kind, within_s) in [
        (FaultDef::Stuck, 60.0),
        (FaultDef::Bias { by: -4.0 }, 60.0),
        (FaultDef::Spike { by: 8.0, every: Span::ZERO }, 10.0),
        (FaultDef::Dropout, 20.0),
        (FaultDef::Drift { per_h: 80.0 }, 400.0),
        (FaultDef::ClockSkew { ppm: 1000.0 }, 30.0),
    ] {
        let (recording, mut judge) = pi("pistress_1110001011");
        run_with(&recording, &mut judge, Some(kind), 900, 1500, 1);
        let part = if whole_device(kind) { "" } else { "soc.temperature" };
        let decided = named(&judge, kind, 900, part).unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        assert!(decided <= within_s, "{kind:?} took {decided} s");
        assert_eq!(judge.verdicts().len(), 1, "{kind:?}: {:?}", judge.verdicts());
        // It is over when the fault is (a spike at once).
        let end = judge.verdicts()[0].end.unwrap().as_secs_f64();
        assert!((900.0..910.0).contains(&end) || (1470.0..1530.0).contains(&end), "{kind:?} ended {end}");
    }
}

#[test]
fn the_labs_faults_are_named_too() {
    for kind in [
        FaultDef::Stuck,
        FaultDef::Bias { by: 4.0 },
        FaultDef::Spike { by: 4.0, every: Span::ZERO },
        FaultDef::Dropout,
        FaultDef::ClockSkew { ppm: 1000.0 },
    ] {
        let (recording, mut judge) = lab();
        run_with(&recording, &mut judge, Some(kind), 420, 520, 1);
        let part = if whole_device(kind) { "" } else { "sensor1.temperature" };
        let decided = named(&judge, kind, 420, part).unwrap_or_else(|e| panic!("{kind:?}: {e}"));
        assert!(decided <= 60.0, "{kind:?} took {decided} s");
    }
}

/// Kinds × recordings × sizes and onsets drawn from seeds; prints the confusion table.
#[test]
fn most_of_a_matrix_of_faults_is_named() {
    use rand::RngExt;
    let files = ["1100000011", "1100000111", "1101000011", "1110001011", "1111001011", "1111100011"];
    let (mut right, mut all) = (0, 0);
    for (n, file) in files.iter().enumerate() {
        let mut rng = rng::stream(n as u64, "matrix", file);
        let mut draw = |low: f64, high: f64| {
            let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
            sign * (low + (high - low) * rng.random::<f64>())
        };
        let kinds = [
            FaultDef::Stuck,
            FaultDef::Bias { by: draw(3.0, 8.0) },
            FaultDef::Drift { per_h: draw(60.0, 150.0) },
            FaultDef::Spike { by: draw(6.0, 15.0), every: Span::ZERO },
            FaultDef::Dropout,
            FaultDef::ClockSkew { ppm: draw(500.0, 5000.0) },
        ];
        for kind in kinds {
            let from = 600 + (draw(0.0, 2000.0).abs()) as i64;
            let (recording, mut judge) = pi(&format!("pistress_{file}"));
            run_with(&recording, &mut judge, Some(kind), from, from + 600, n as u64);
            let part = if whole_device(kind) { "" } else { "soc.temperature" };
            let said = named(&judge, kind, from, part);
            println!("{file} {kind:?} from {from} s: {said:?}, {} verdicts", judge.verdicts().len());
            all += 1;
            right += usize::from(said.is_ok());
        }
    }
    println!("{right} of {all}");
    assert!(right * 10 >= all * 9, "{right} of {all}");
}

#[test]
#[ignore = "explore"]
fn explore() {
    let which = std::env::var("WHICH").unwrap_or_default();
    let mut jobs: Vec<(String, FaultDef, i64, i64)> = vec![];
    if which.contains("pi") {
        for file in [
            "0000000011", "1100000011", "1100000111", "1100001011", "1101000011", "1101010011", "1110001011", "1111001011",
            "1111100011",
        ] {
            let name = format!("pistress_{file}");
            for by in [1.5, -2.0, 2.5, -3.0] {
                jobs.push((name.clone(), FaultDef::Bias { by }, 1300, 1900));
            }
            for per_h in [20.0, -20.0, 40.0, -40.0, 60.0, -60.0] {
                jobs.push((name.clone(), FaultDef::Drift { per_h }, 1500, 2100));
            }
        }
    }
    if which.contains("lab") {
        for o in ["0", "1"] {
            for from in [300, 420] {
                for by in [1.5, -2.0, 3.0, -3.0, 5.0] {
                    jobs.push((format!("lab{o}"), FaultDef::Bias { by }, from, from + 120));
                }
                for per_h in [100.0, -100.0, 200.0, -200.0] {
                    jobs.push((format!("lab{o}"), FaultDef::Drift { per_h }, from, from + 120));
                }
                for by in [4.0, -4.0] {
                    jobs.push((format!("lab{o}"), FaultDef::Spike { by, every: Span::ZERO }, from, from + 1));
                }
                jobs.push((format!("lab{o}"), FaultDef::Stuck, from, from + 120));
                jobs.push((format!("lab{o}"), FaultDef::Noise { std: 1.5 }, from, from + 120));
            }
        }
    }
    use rayon::prelude::*;
    let lines: Vec<String> = jobs
        .par_iter()
        .map(|(name, kind, from, until)| {
            let (recording, mut judge) =
                if name.starts_with("lab") { lab() } else { pi(name) };
            let output = usize::from(name == "lab1");
            run_on(&recording, &mut judge, output, Some(*kind), *from, *until, 1);
            let said: Vec<String> = judge
                .verdicts()
                .iter()
                .map(|v| {
                    format!(
                        "{} {} {:+.0}..{:.0} size {:.2} at {:.0}",
                        v.kind,
                        v.part,
                        v.onset.as_secs_f64() - *from as f64,
                        v.end.map_or(f64::NAN, |e| e.as_secs_f64() - *from as f64),
                        v.size,
                        v.decided_at.as_secs_f64() - *from as f64
                    )
                })
                .collect();
            let part = match name.as_str() {
                "lab0" => "sensor1.temperature",
                "lab1" => "sensor2.temperature",
                _ => "soc.temperature",
            };
            let ok = named(&judge, *kind, *from, part).is_ok();
            format!("{} {name} {kind:?}: {}", if ok { "ok " } else { "BAD" }, said.join(" | "))
        })
        .collect();
    for line in &lines {
        println!("{line}");
    }
    println!("{} of {}", lines.iter().filter(|l| l.starts_with("ok")).count(), lines.len());
}
