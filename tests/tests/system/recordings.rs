//! The nine recorded hours of a Raspberry Pi 3B through the whole command, each with parameters that were fitted on the
//! other eight: forecasts beat persistence, intervals hold, and nothing is wrong on a clean run.

use super::common::{command, scratch};
use std::path::Path;
use twinfleet_engine::record::Record;

fn recordings() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut digits: Vec<String> = std::fs::read_dir(root.join("assets/recordings/pi3b"))
        .expect("the recordings")
        .filter_map(|e| {
            e.ok()?.file_name().to_str()?.strip_prefix("pistress_")?.strip_suffix(".csv").map(str::to_owned)
        })
        .collect();
    digits.sort();
    assert_eq!(digits.len(), 9);
    digits
}

/// Figures of one horizon of one hour.
struct Told {
    horizon_s: u64,
    n: f64,
    rmse: f64,
    persistence: f64,
    coverage: f64,
}

/// One hour, clean, in which no verdict may be told.
fn hour(digits: &str, more: &[&str]) -> Vec<Told> {
    let path = format!("physicals[0].from.path=\"assets/recordings/pi3b/pistress_{digits}.csv\"");
    let params = format!("mirror[0].params=\"assets/params/pi3b-without-{digits}.ron\"");
    let mut args = vec!["run", "pi3b-mirror", "--quiet", "--broker", "embedded:0"];
    for set in
        [path.as_str(), params.as_str(), "timeline=[]", "expect=[Never(verdict: Any)]"].iter().chain(more)
    {
        args.extend(["--set", *set]);
    }
    let ran = command(&args);
    assert_eq!(ran.code(), 0, "{digits}: {}\n{}", ran.stdout(), ran.stderr());
    let json = ran.json();
    let scores = json["twins"][0]["scores"].as_array().expect("scores");
    assert_eq!(scores.len(), 2);
    let told = |s: &serde_json::Value| {
        let figure = |name: &str| s[name].as_f64().expect(name);
        Told {
            horizon_s: figure("horizon_s") as u64,
            n: figure("n"),
            rmse: figure("rmse"),
            persistence: figure("rmse_persistence"),
            coverage: figure("coverage"),
        }
    };
    scores.iter().map(told).collect()
}

#[test]
fn all_nine_hours_are_forecast_better_than_by_persistence_and_raise_no_verdict() {
    let (mut held, mut all) = (0.0, 0.0);
    for digits in recordings() {
        for t in hour(&digits, &[]) {
            println!(
                "{digits} {:>4} s: RMSE {:.3}, persistence {:.3}, coverage {:.3}",
                t.horizon_s, t.rmse, t.persistence, t.coverage
            );
            assert!(t.n > 2_000.0, "{digits}: {}", t.n);
            assert!(t.rmse < t.persistence, "{digits}: {} {}", t.rmse, t.persistence);
            held += t.coverage * t.n;
            all += t.n;
        }
    }
    let coverage = held / all;
    println!("coverage overall {coverage:.3}");
    assert!((0.85..=0.95).contains(&coverage), "coverage {coverage}");
}

/// Physics alone beside physics and what it leaves over, learnt within the hour: where the parameters are right and the load is
/// chance, there is nothing to learn, and hardly anything is lost by trying.
#[test]
fn what_physics_leaves_over_does_no_harm_where_physics_is_right() {
    let (mut physics, mut both, mut held, mut all) = ([0.0; 2], [0.0; 2], 0.0, 0.0);
    for digits in recordings() {
        let (alone, learnt) = (hour(&digits, &[]), hour(&digits, &["mirror[0].forecast.residual=true"]));
        for (k, (a, b)) in alone.iter().zip(&learnt).enumerate() {
            println!(
                "{digits} {:>4} s: RMSE {:.3} by physics, {:.3} with the rest",
                a.horizon_s, a.rmse, b.rmse
            );
            assert!(b.rmse < 1.05 * a.rmse, "{digits}: {} {}", a.rmse, b.rmse);
            physics[k] += a.rmse / 9.0;
            both[k] += b.rmse / 9.0;
            held += b.coverage * b.n;
            all += b.n;
        }
    }
    println!("means: physics {physics:.3?}, with the rest {both:.3?}, held {:.3}", held / all);
    assert!(both.iter().zip(&physics).all(|(b, p)| *b < 1.01 * p), "{both:?} {physics:?}");
    assert!((0.85..=0.95).contains(&(held / all)), "{}", held / all);
}

#[test]
fn the_labs_forecasts_beat_persistence_over_the_second_half_fault_or_not() {
    let dir = scratch();
    let path = dir.path().join("r");
    let ran =
        command(&["run", "tclab-mirror", "--quiet", "--broker", "none", "--record", path.to_str().unwrap()]);
    assert_eq!(ran.code(), 0, "{}", ran.stdout());
    let record = Record::open(&path).expect("the record");
    let column = |name: String| -> Vec<(f64, f64)> {
        let id = record.table.find(&name).unwrap_or_else(|| panic!("{name}"));
        let rows = record.rows().map(|r| r.expect("readable")).filter(|r| r.signal == id);
        rows.map(|r| (r.t.as_secs_f64(), r.value)).collect()
    };
    for sensor in ["sensor1", "sensor2"] {
        let came = column(format!("lab-1/{sensor}.temperature@reported"));
        let told = column(format!("lab-1/{sensor}.temperature.60s@forecast"));
        let at = |t: f64| {
            let near = came.iter().min_by(|a, b| (a.0 - t).abs().total_cmp(&(b.0 - t).abs()))?;
            ((near.0 - t).abs() < 0.6).then_some(near.1)
        };
        let (mut n, mut missed, mut persisted) = (0, 0.0, 0.0);
        for (t, forecast) in told.iter().filter(|f| (240.0..540.0).contains(&f.0)) {
            let (Some(now), Some(then)) = (at(*t), at(t + 60.0)) else { continue };
            n += 1;
            missed += (forecast - then).powi(2);
            persisted += (now - then).powi(2);
        }
        let rmse = |sum: f64| (sum / f64::from(n)).sqrt();
        println!("{sensor}: {n} forecasts, RMSE {:.2} K, persistence {:.2} K", rmse(missed), rmse(persisted));
        assert!(n > 250 && missed < persisted, "{sensor}: {n}, {} {}", rmse(missed), rmse(persisted));
    }
}
