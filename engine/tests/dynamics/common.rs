//! What the tests over recordings share: the shipped recordings as data sets, and the walk-forward score.

use rand_distr::{Distribution, StandardNormal};
use std::path::PathBuf;
use twinfleet_engine::{
    catalog::ThingDef,
    dynamics::DynamicsDef,
    predict::{Estimator, interval::Calibrator, score::Score},
    rng::Rng,
    scenario::{definition, source::Source},
    time::{SimTime, Span},
};

pub use twinfleet_engine::dynamics::fit::Dataset;

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub fn def(text: &str) -> DynamicsDef {
    DynamicsDef::from_ron(text).unwrap()
}

pub fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}

pub fn thing(name: &str) -> DynamicsDef {
    let path = root().join(format!("twins/catalog/things/{name}.ron"));
    let thing: ThingDef = definition::read(&Source::read(&path).unwrap()).unwrap();
    thing.dynamics.unwrap()
}

fn seconds(cell: &str) -> f64 {
    match cell.split_once(' ') {
        // Calendar time; no recording spans more than a few days of one month.
        Some((date, clock)) => {
            let day: f64 = date.rsplit('-').next().unwrap().parse().unwrap();
            let hms: Vec<f64> = clock.split(':').map(|x| x.parse().unwrap()).collect();
            day * 86_400.0 + hms[0] * 3600.0 + hms[1] * 60.0 + hms[2]
        }
        None => cell.parse().unwrap(),
    }
}

type Scale = fn(f64) -> f64;

/// Reads columns of a comma-separated file; inputs and outputs each as (column, conversion). None: a constant 0 for an
/// input, missing for an output.
pub fn read(
    path: &str,
    header: bool,
    inputs: &[Option<(usize, Scale)>],
    outputs: &[Option<(usize, Scale)>],
) -> Dataset {
    let text = std::fs::read_to_string(root().join("assets/recordings").join(path)).unwrap();
    let rows: Vec<Vec<&str>> =
        text.lines().skip(usize::from(header)).map(|l| l.split(',').collect()).collect();
    let column = |c: &Option<(usize, Scale)>, other: f64| -> Vec<f64> {
        rows.iter().map(|r| c.map_or(other, |(i, f)| r[i].parse().map_or(f64::NAN, f))).collect()
    };
    let start = seconds(rows[0][0]);
    Dataset {
        name: path.to_owned(),
        t_s: rows.iter().map(|r| seconds(r[0]) - start).collect(),
        inputs: inputs.iter().map(|c| column(c, 0.0)).collect(),
        outputs: outputs.iter().map(|c| column(c, f64::NAN)).collect(),
        ..Dataset::default()
    }
}

/// The recorded hours of a Raspberry Pi, by their digits, in order.
pub fn pistress_names() -> Vec<String> {
    let files = std::fs::read_dir(root().join("assets/recordings/pi3b")).unwrap();
    let names = files.map(|f| f.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> =
        names.filter_map(|f| Some(f.strip_prefix("pistress_")?.strip_suffix(".csv")?.to_owned())).collect();
    names.sort();
    assert!(!names.is_empty(), "no recordings are there");
    names
}

pub fn pistress(name: &str) -> Dataset {
    let same: Scale = |x| x;
    read(&format!("pi3b/pistress_{name}.csv"), true, &[Some((1, same))], &[Some((2, same))])
}

pub fn tclab_a() -> Dataset {
    let same: Scale = |x| x;
    read(
        "tclab/run_a_mimo_600s.csv",
        true,
        &[Some((1, same)), Some((2, same))],
        &[Some((3, same)), Some((4, same))],
    )
}

pub fn tclab_b() -> Dataset {
    read(
        "tclab/run_b_siso_step.csv",
        false,
        &[Some((1, |x| x / 2.55)), None],
        &[Some((2, |k| k - 273.15)), None],
    )
}

/// Walks an estimator over a recording and scores its forecasts of one output, issued at every row from `from_s` on.
pub fn walk(
    twin: &mut dyn Estimator,
    data: &Dataset,
    output: usize,
    horizons_s: &[i64],
    from_s: f64,
) -> Vec<Score> {
    let mut bands: Vec<Calibrator> =
        horizons_s.iter().map(|h| Calibrator::new(Span::from_secs(*h), 0.9)).collect();
    let mut scores = vec![Score::default(); horizons_s.len()];
    let at = |k: usize| SimTime((data.t_s[k] * 1e9) as i64);
    let mut last_at: Vec<(SimTime, f64)> = Vec::new();
    for k in 0..data.t_s.len() {
        let dt = if k == 0 { Span(0) } else { at(k) - at(k - 1) };
        let inputs: Vec<Option<f64>> =
            data.inputs.iter().map(|c| Some(c[k]).filter(|v| v.is_finite())).collect();
        twin.predict(dt, &inputs);
        for (o, column) in data.outputs.iter().enumerate() {
            if column[k].is_finite() {
                twin.update(o, column[k]);
            }
        }
        let reading = data.outputs[output][k];
        last_at.push((at(k), reading));
        for (h, band) in bands.iter_mut().enumerate() {
            for (b, came) in band.observe(at(k), reading) {
                let origin = SimTime(b.due.0 - horizons_s[h] * 1_000_000_000);
                let i = last_at.partition_point(|(t, _)| *t < origin);
                if origin.0 as f64 >= from_s * 1e9 {
                    scores[h].add(b.mean, (b.lower, b.upper), last_at[i].1, came);
                }
            }
            let forecast = twin.forecast(Span::from_secs(horizons_s[h]))[output];
            band.issue(at(k), forecast);
        }
    }
    scores
}
