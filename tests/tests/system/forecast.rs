//! Forecasts of tables: scored walking forward, trained, saved, loaded, and live in a twin.

use super::common::{command, scratch, twinfleet_command};
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

const PI: &str = "assets/recordings/pi3b/pistress_1100000011.csv";

/// Numbers from 0 to 1, the same on every machine.
fn uniform(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    }
}

/// Hours of a made-up load with a day, a week and a wander, every 30 minutes.
fn load(rows: usize) -> Vec<(f64, f64)> {
    let mut random = uniform(7);
    let mut noise = move || random() - 0.5;
    let mut wander = 0.0;
    (0..rows)
        .map(|i| {
            let phase = std::f64::consts::TAU * i as f64 / 48.0;
            wander = 0.97 * wander + noise();
            let outside = 10.0 + 6.0 * (phase - 2.0).sin() + wander;
            (20.0 + 3.0 * phase.sin() + 0.5 * wander + 0.2 * noise(), outside)
        })
        .collect()
}

fn comma(path: &Path, rows: &[(f64, f64)]) {
    let mut text = String::from("date,room,outside\n");
    for (i, (room, outside)) in rows.iter().enumerate() {
        let (day, minute) = (1 + i / 48, i % 48 * 30);
        let (month, day) = if day > 31 { (4, day - 31) } else { (3, day) };
        writeln!(text, "2021-{month:02}-{day:02} {:02}:{:02}:00,{room},{outside}", minute / 60, minute % 60)
            .unwrap();
    }
    fs::write(path, text).unwrap();
}

/// `origin,channel,horizon` → forecast and bounds as they were written.
fn forecasts(path: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("origin,channel,horizon,time,target,forecast,lower,upper"));
    let split = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), 8, "{line}");
        (cells[..3].join(","), cells[5..].join(","))
    };
    lines.map(split).collect()
}

fn score(data: &Path, out: &Path, more: &[&str]) -> serde_json::Value {
    let mut args =
        vec!["score", "forecast", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()];
    args.extend(more);
    let ran = command(&args);
    assert_eq!(ran.code(), 0, "{more:?}: {}", ran.stderr());
    ran.json()
}

#[test]
fn nothing_after_an_origin_reaches_its_forecast() {
    let dir = scratch();
    let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
    let rows = load(1400);
    comma(&a, &rows);
    let mut other = rows.clone();
    for row in &mut other[1200..] {
        *row = (35.0 - row.0, -row.1);
    }
    comma(&b, &other);
    for model in ["blend", "mixer", "seasonal"] {
        let flags = ["--time", "date", "--target", "room", "--inputs", "outside", "--horizons", "1,12,48"];
        let flags = [&flags[..], &["--train-until", "1000", "--model", model]].concat();
        let outs = [dir.path().join("a.out"), dir.path().join("b.out")];
        score(&a, &outs[0], &flags);
        score(&b, &outs[1], &flags);
        let (first, second) = (forecasts(&outs[0]), forecasts(&outs[1]));
        // Row 1199 is the last that both have: the first of a day, 24 days after the first of March.
        let shared = |key: &&String| key.as_str() < "2021-03-25 23:45";
        let before: Vec<&String> = first.keys().filter(shared).collect();
        assert!(before.len() > 500, "{}", before.len());
        let differ = before.iter().filter(|k| first[**k] != second[**k]).count();
        assert_eq!(differ, 0, "{model} saw what had not come yet");
        assert!(first.iter().any(|(k, v)| second.get(k).is_some_and(|w| w != v)), "{model} never looks");
    }
}

#[test]
fn a_table_is_the_same_table_however_it_is_written() {
    let dir = scratch();
    let rows = load(900);
    let (plain, other) = (dir.path().join("plain.csv"), dir.path().join("other.txt"));
    comma(&plain, &rows);
    let mut text = String::new();
    for (i, (room, outside)) in rows.iter().enumerate() {
        writeln!(text, "{};{outside};{room}", 1_614_556_800_000u64 + i as u64 * 1_800_000).unwrap();
    }
    fs::write(&other, text).unwrap();
    let outs = [dir.path().join("a.out"), dir.path().join("b.out")];
    let flags = ["--horizons", "1..24", "--model", "ridge"];
    let first = score(
        &plain,
        &outs[0],
        &[&flags[..], &["--time", "date", "--target", "room", "--train-until", "2021-03-13"]].concat(),
    );
    let second = score(
        &other,
        &outs[1],
        &[&flags[..], &["--time", "#1", "--no-header", "--target", "#3", "--train-until", "576"]].concat(),
    );
    assert!(first["scaled_mse"].as_f64().unwrap() < 0.5, "{first}");
    assert_eq!(first["scaled_mse"], second["scaled_mse"]);
    let named = |m: BTreeMap<String, String>| m.into_values().collect::<Vec<_>>();
    assert_eq!(named(forecasts(&outs[0])), named(forecasts(&outs[1])));
}

#[test]
fn a_blend_beats_persistence_and_its_intervals_hold() {
    let dir = scratch();
    let data = dir.path().join("a.csv");
    comma(&data, &load(2400));
    let out = dir.path().join("out.csv");
    let figures = score(
        &data,
        &out,
        &[
            "--time",
            "date",
            "--target",
            "room",
            "--inputs",
            "outside",
            "--horizons",
            "1,12,48",
            "--train-until",
            "1500",
        ],
    );
    for h in figures["horizons"].as_array().unwrap() {
        let (mae, naive) = (h["mae"].as_f64().unwrap(), h["persistence_mae"].as_f64().unwrap());
        assert!(mae < naive, "{h}");
        assert!((0.8..=0.97).contains(&h["coverage"].as_f64().unwrap()), "{h}");
    }
    assert!((figures["coverage"].as_f64().unwrap() - 0.9).abs() < 0.04, "{figures}");
}

#[test]
fn gaps_and_text_are_told_and_nothing_is_scored_there() {
    let dir = scratch();
    let data = dir.path().join("a.csv");
    comma(&data, &load(900));
    let text = fs::read_to_string(&data).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.drain(801..820);
    lines[860] = lines[860].replacen(',', ",broken ", 1);
    fs::write(&data, lines.join("\n")).unwrap();
    let out = dir.path().join("out.csv");
    let flags =
        ["--time", "date", "--target", "room", "--horizons", "1", "--train-until", "600", "--model", "own"];
    let ran = command(
        &[
            &["score", "forecast", "--data", data.to_str().unwrap(), "--out", out.to_str().unwrap()][..],
            &flags,
        ]
        .concat(),
    );
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert!(ran.stderr().contains("one gap"), "{}", ran.stderr());
    assert!(ran.stderr().contains("holds text"), "{}", ran.stderr());
    // 281 rows are left behind the first 600; the first after the gap has no origin a row before it, and one is no number.
    assert_eq!(ran.json()["horizons"][0]["n"], 281 - 2);
}

#[test]
fn a_network_is_trained_saved_loaded_and_live() {
    let dir = scratch();
    let file = |name: &str| dir.path().join(name);
    let train = |out: &Path, seed: &str| {
        let ran = command(&[
            "train",
            "--data",
            PI,
            "--time",
            "datetime",
            "--target",
            "temp",
            "--inputs",
            "usage",
            "--horizons",
            "60,300",
            "--train-until",
            "2400",
            "--arch",
            "gru",
            "--look-back",
            "90",
            "--hidden",
            "8",
            "--epochs",
            "3",
            "--seed",
            seed,
            "--no-calendar",
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran.json()
    };
    let figures = train(&file("pi.json"), "5");
    assert!(
        figures["mae"]["gru"][0]["mae"].as_f64().unwrap()
            < figures["mae"]["persistence"][0]["mae"].as_f64().unwrap()
    );
    // A table that calls its columns otherwise is told which they are.
    let renamed = file("renamed.csv");
    let text = fs::read_to_string(format!("{}/{PI}", twinfleet_tests::root().display())).unwrap();
    let (names, rows) = text.split_once('\n').unwrap();
    let names = names.replace("usage", "cpu %").replace("temp", "T");
    fs::write(&renamed, format!("{names}\n{rows}")).unwrap();
    let flags =
        ["--time", "datetime", "--horizons", "60,300", "--train-until", "2400", "--every", "20", "--frozen"];
    let json = file("pi.json").display().to_string();
    let flags = [&flags[..], &["--model", &json]].concat();
    let own = score(
        Path::new(PI),
        &file("own.out"),
        &[&flags[..], &["--target", "temp", "--inputs", "usage"]].concat(),
    );
    let map = ["--target", "T", "--inputs", "cpu %", "--map", "temp=T", "usage=cpu %"];
    let other = score(&renamed, &file("renamed.out"), &[&flags[..], &map].concat());
    let maes = |v: &serde_json::Value| {
        v["horizons"].as_array().unwrap().iter().map(|h| h["mae"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(maes(&own), maes(&other));
    // The same seed leaves the same weights, another seed others.
    train(&file("again.json"), "5");
    train(&file("other.json"), "6");
    let weights = |name: &str| fs::read(file(name)).unwrap();
    assert!(weights("pi.safetensors") == weights("again.safetensors"));
    assert!(weights("pi.safetensors") != weights("other.safetensors"));

    // Loaded, it says of another recording what it says.
    let other =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/recordings/pi3b/pistress_1101000011.csv");
    let scored = score(
        &other,
        &file("out.csv"),
        &[
            "--time",
            "datetime",
            "--target",
            "temp",
            "--inputs",
            "usage",
            "--horizons",
            "60,300",
            "--train-until",
            "600",
            "--every",
            "5",
            "--model",
            file("pi.json").to_str().unwrap(),
        ],
    );
    let first = &scored["horizons"][0];
    assert!(first["mae"].as_f64().unwrap() < first["persistence_mae"].as_f64().unwrap(), "{first}");

    // Live, a twin forecasts with it, and the run is the same at any thread count.
    let scenario = |predictor: &str| {
        format!(
            r#"Scenario(format: 1, duration: "20min", step: "1s", start: "2020-07-29T16:59:35Z",
    physicals: [(id: "pi-1", from: Recording(path: "assets/recordings/pi3b/pistress_1101000011.csv", time: "datetime",
        map: {{"cpu.load@reported": "usage %", "soc.temperature@reported": "temp C"}}, gaps: Offline),
        publish: (topic: "fleet/{{device}}/state", payload: Json))],
    mirror: [(twin: "pi-1", thing: "raspberry-pi-3b", params: "assets/params/pi3b-without-1101000011.ron", {predictor}
        bind: [(topic: "fleet/{{device}}/state", decode: Json)], forecast: (horizons: ["60s", "300s"]))],
    expect: [Always(signal: "pi-1/soc.temperature.60s@forecast", between: (20.0, 100.0), after: "3min")])"#
        )
    };
    let with = r#"predictor: (file: "pi.json", map: {"temp": "soc.temperature", "usage": "cpu.load"}),"#;
    fs::write(file("with.ron"), scenario(with)).unwrap();
    fs::write(file("without.ron"), scenario("")).unwrap();
    let run = |name: &str, threads: &str| {
        let ran = command(&[
            "run",
            file(name).to_str().unwrap(),
            "--broker",
            "none",
            "--quiet",
            "--threads",
            threads,
        ]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran
    };
    let (one, two, none) = (run("with.ron", "1"), run("with.ron", "2"), run("without.ron", "1"));
    assert_eq!(one.state_hash(), two.state_hash());
    assert_ne!(one.state_hash(), none.state_hash());

    // What does not fit is refused, and says what would.
    fs::write(file("bad.ron"), scenario(&with.replace("cpu.load", "cpu.laod"))).unwrap();
    let ran = command(&["run", file("bad.ron").to_str().unwrap(), "--broker", "none", "--quiet"]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("`cpu.laod` is no signal of the thing; it has"), "{}", ran.stderr());
    fs::write(file("bad.ron"), scenario(&with.replace("pi.json", "nothing.json"))).unwrap();
    let ran = command(&["check", file("bad.ron").to_str().unwrap()]);
    assert_eq!(ran.code(), 2);
    assert!(ran.stderr().contains("nothing.json"), "{}", ran.stderr());
}

/// A current in amperes that is some micro; and a horizon that no reading of the table lies at.
#[test]
fn small_errors_keep_their_digits_and_a_horizon_beyond_the_table_is_no_number() {
    let dir = scratch();
    let data = dir.path().join("small.csv");
    let rows: Vec<(f64, f64)> = load(400).iter().map(|(room, outside)| (1e-6 * room, *outside)).collect();
    comma(&data, &rows);
    let page = dir.path().join("page");
    let ran = twinfleet_command()
        .args(["score", "forecast", "--data", data.to_str().unwrap(), "--time", "date", "--target", "room"])
        .args(["--horizons", "1,390", "--train-until", "300", "--model", "ridge"])
        .args(["--report", page.to_str().unwrap()])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    assert!(told.contains("e-7") && !told.contains("0.000000") && !told.contains("NaN"), "{told}");
    assert!(told.contains("no reading lies 390 rows behind a forecast"), "{told}");
    let html = fs::read_to_string(page.join("report.html")).unwrap();
    assert!(html.contains("no reading lies 390 rows") && !html.contains(">NaN"), "{html}");
}

#[test]
fn flags_that_make_no_sense_are_answered() {
    let dir = scratch();
    let data = dir.path().join("a.csv");
    comma(&data, &load(300));
    let base = ["score", "forecast", "--data", data.to_str().unwrap(), "--time", "date"];
    for (flags, code, said) in [
        (&["--target", "rom", "--horizons", "1", "--train-until", "100"][..], 2, "did you mean `room`?"),
        (&["--target", "room", "--horizons", "1", "--train-until", "299"], 0, ""),
        (&["--target", "room", "--horizons", "1", "--train-until", "300"], 2, "none is left to judge"),
        (&["--target", "room", "--horizons", "1", "--train-until", "5"], 2, "at least 10 are needed"),
        (&["--target", "room", "--horizons", "0", "--train-until", "100"], 2, "write 1 to"),
        (&["--target", "room", "--horizons", "1", "--train-until", "soon"], 2, "write a number of rows"),
        (
            &["--target", "room", "--known", "room", "--horizons", "1", "--train-until", "100"],
            2,
            "known over the horizon",
        ),
        (
            &["--target", "room", "--horizons", "1", "--train-until", "100", "--model", "ridgee"],
            2,
            "did you mean `ridge`?",
        ),
        (
            &["--target", "room", "--horizons", "1", "--train-until", "100", "--model", "no.json"],
            2,
            "no.json",
        ),
        (
            &["--target", "room", "--horizons", "1", "--train-until", "100", "--out", "/nowhere/x.csv"],
            3,
            "/nowhere/x.csv",
        ),
    ] {
        let ran = command(&[&base[..], flags].concat());
        assert_eq!(ran.code(), code, "{flags:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(said), "{flags:?}: {}", ran.stderr());
    }
}

/// The same days with rows that come late now and then: the clock tells the hour, not their number. Which rows will be late nobody
/// knows; whoever knows the days exactly, and how long a row takes in the mean, is the measure.
#[test]
fn rows_that_come_late_keep_their_hour() {
    let dir = scratch();
    let mut random = uniform(11);
    let level = |t: f64| {
        let phase = std::f64::consts::TAU * t / 86_400.0;
        20.0 + 3.0 * phase.sin() + (3.0 * phase).cos()
    };
    for late in [0.0, 0.05, 0.2] {
        let path = dir.path().join("late.csv");
        let mut text = String::from("t,room\n");
        let mut rows = Vec::new();
        let mut t = 1_614_556_800.0;
        for _ in 0..2600 {
            let value = level(t) + 0.4 * (random() - 0.5);
            writeln!(text, "{t},{value:.3}").unwrap();
            rows.push((t, value));
            t += 1800.0 + if random() < late { 600.0 } else { 0.0 };
        }
        fs::write(&path, text).unwrap();
        let flags = ["--time", "t", "--target", "room", "--horizons", "6,24", "--train-until", "2000"];
        let told = score(&path, &dir.path().join("late.out"), &[&flags[..], &["--model", "phases"]].concat());
        for (h, ahead) in told["horizons"].as_array().unwrap().iter().zip([6, 24]) {
            let due = |origin: usize| rows[origin].0 + ahead as f64 * (1800.0 + 600.0 * late);
            let missed = (1999..2600 - ahead).map(|o| (rows[o + ahead].1 - level(due(o))).abs());
            let (known, mae) = (missed.sum::<f64>() / (601 - ahead) as f64, h["mae"].as_f64().unwrap());
            assert!(mae < 1.2 * known + 0.01, "{late} late, {ahead} ahead: {mae}, at best {known}");
        }
    }
}
