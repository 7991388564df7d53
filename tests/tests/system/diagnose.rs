//! `twinfleet score diagnose`: what twins said of a run against what its scenario put wrong, and verdicts on a recording.

use super::common::{command, twinfleet_command};
use std::fs;

const PI: &str = "assets/recordings/pi3b/pistress_1100000011.csv";
const PARAMS: &str = "assets/params/pi3b-without-1100000011.ron";

fn root() -> String {
    format!("{}/..", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_runs_twins_are_judged_by_the_faults_its_scenario_put_in() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("rec").display().to_string();
    let ran = command(&["run", "pi3b-mirror", "--broker", "none", "--quiet", "--record", &record]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let judged = command(&["score", "diagnose", "--record", &record]);
    assert_eq!(judged.code(), 0, "{}", judged.stderr());
    let figures = judged.json();
    assert_eq!(figures["macro_f1"].as_f64(), Some(1.0), "{figures}");
    assert_eq!(figures["false_alarms"].as_u64(), Some(0));
    assert!(figures["onset_error_s"]["median"].as_f64().unwrap() < 10.0, "{figures}");
    assert!(figures["size_error"]["median"].as_f64().unwrap() < 0.3, "{figures}");
    let table = twinfleet_command().args(["score", "diagnose", "--record", &record]).output().unwrap();
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("macro-F1 1.000 over 5 faults"), "{table}");
}

#[test]
fn a_fault_that_changes_nothing_is_warned_of_and_not_missed() {
    let dir = tempfile::tempdir().unwrap();
    let record = dir.path().join("rec").display().to_string();
    let idle = |at: u32, kind: &str| {
        format!(
            "(at: \"{at}min\", until: \"{}min\", do: Fault(target: \"pi-1/soc.temperature\", kind: {kind}))",
            at + 5
        )
    };
    let timeline = format!("timeline=[{}, {}]", idle(20, "Bias(by: 0)"), idle(30, "Gain(factor: 1)"));
    let mut line = vec!["run", "pi3b-mirror", "--broker", "none", "--record", &record];
    line.extend(["--set", &timeline, "--set", "expect=[]"]);
    let ran = command(&line);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    assert!(ran.stderr().contains("a fault whose `by` is 0 does nothing"), "{}", ran.stderr());
    assert!(ran.stderr().contains("a fault whose `factor` is 1 does nothing"), "{}", ran.stderr());
    let judged = command(&["score", "diagnose", "--record", &record]);
    assert_eq!(judged.code(), 0, "{}", judged.stderr());
    assert_eq!(judged.json()["kinds"].as_object().map(serde_json::Map::len), Some(0), "{}", judged.stdout());
}

#[test]
fn a_bench_draws_its_faults_from_the_seed_and_each_kind_is_among_them() {
    let dir = tempfile::tempdir().unwrap();
    let labels = |seed: &str, name: &str| {
        let record = dir.path().join(name).display().to_string();
        let run =
            ["run", "diagnose-bench", "--broker", "none", "--quiet", "--seed", seed, "--record", &record];
        let ran = command(&run);
        assert!(ran.code() <= 1, "{}", ran.stderr());
        command(&["score", "diagnose", "--record", &record]).json()
    };
    let (one, again, other) = (labels("5", "a"), labels("5", "b"), labels("6", "c"));
    assert_eq!(one, again);
    assert_ne!(one, other);
    let kinds: Vec<&String> = one["kinds"].as_object().unwrap().keys().collect();
    assert_eq!(kinds, ["bias", "clock_skew", "drift", "dropout", "gain", "noise", "spike", "stuck"]);
    let f1 = one["macro_f1"].as_f64().unwrap();
    assert!(f1 > 0.6, "{one}");
}

/// A heater that gives a hundredth of its heat: the box cools, and the change is a label.
#[test]
fn a_simulated_things_physics_can_change_and_the_label_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let own = format!("{}/tests/fixtures/own", root());
    let text = fs::read_to_string(format!("{own}/heated-box.ron")).unwrap();
    let (head, _) = text.split_once("    expect: [").unwrap();
    let change = r#"    timeline: [(at: "80min", until: "110min", do: Change(target: "box", parameter: "p_heater", factor: 0.01, kind: "heater_weak"))],
    expect: [Always(signal: "box/probe.temperature@truth", below: 35.0, after: "95min", before: "110min")],
)"#;
    let file = dir.path().join("weak.ron");
    let put = |text: String| fs::write(&file, text).unwrap();
    put(format!("{head}{change}"));
    let record = dir.path().join("rec").display().to_string();
    let catalog = format!("{own}/catalog");
    let run = [
        "run",
        file.to_str().unwrap(),
        "--catalog",
        &catalog,
        "--broker",
        "none",
        "--quiet",
        "--record",
        &record,
    ];
    let ran = command(&run);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let judged = command(&["score", "diagnose", "--record", &record]).json();
    assert_eq!(judged["kinds"].as_object().unwrap().keys().collect::<Vec<_>>(), ["heater_weak"]);
    for (wrong, said) in [("p_heater", "p_heatr"), ("\"box\", parameter", "\"bok\", parameter")] {
        put(format!("{head}{change}").replace(wrong, said));
        let refused = command(&["check", file.to_str().unwrap(), "--catalog", &catalog]);
        assert_eq!(refused.code(), 2, "{}", refused.stderr());
    }
}

#[test]
fn a_recording_is_watched_causally_and_a_fault_in_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // A bias of 5 °C from row 2000 on.
    let text = fs::read_to_string(format!("{}/{PI}", root())).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for line in &mut lines[2001..2400] {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        cells[2] = format!("{:.3}", cells[2].parse::<f64>().unwrap() + 5.0);
        *line = cells.join(",");
    }
    let put = |name: &str, lines: &[String]| {
        let path = dir.path().join(name);
        fs::write(&path, lines.join("\n")).unwrap();
        path.display().to_string()
    };
    let (whole, begun) = (put("whole.csv", &lines), put("begun.csv", &lines[..2200]));
    let labels = put(
        "labels.csv",
        &["onset,end,part,kind,size".to_owned(), "2005,2406,soc.temperature,bias,5".to_owned()],
    );
    let out = dir.path().join("out.csv");
    let params = format!("{}/{PARAMS}", root());
    let watch = |data: &str, rest: &[&str]| {
        let mut line = vec![
            "score",
            "diagnose",
            "--thing",
            "raspberry-pi-3b",
            "--data",
            data,
            "--time",
            "datetime",
            "--map",
            "cpu.load=usage",
            "soc.temperature=temp",
            "--params",
            &params,
            "--out",
            out.to_str().unwrap(),
        ];
        line.extend(rest);
        let ran = command(&line);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        (fs::read_to_string(&out).unwrap(), ran)
    };
    let (told, ran) = watch(&whole, &["--labels", &labels]);
    let rows: Vec<Vec<&str>> = told.lines().map(|l| l.split(',').collect()).collect();
    let names = ["onset", "end", "part", "kind", "size", "posterior", "decided_at"];
    assert_eq!(rows[0][..7], names);
    assert_eq!(rows[0][7..], ["onset_written", "decided_written"]);
    // The times join with the table's own.
    let own = |n: usize| lines.iter().any(|line| line.split(',').next() == Some(rows[1][n]));
    assert!(own(7) && own(8), "{told}");
    assert_eq!((rows[1][2], rows[1][3]), ("soc.temperature", "bias"), "{told}");
    assert_eq!(ran.json()["macro_f1"].as_f64(), Some(1.0));
    // The same labels by the clock, as a spreadsheet writes a table.
    let clock = |row: usize| lines[row].split(',').next().unwrap().to_owned();
    let iso = put(
        "iso.csv",
        &[
            "onset;end;part;kind;size".to_owned(),
            format!("{};{};soc.temperature;bias;5,0", clock(2001), clock(2401)),
        ],
    );
    let (_, ran) = watch(&whole, &["--labels", &iso]);
    assert_eq!(ran.json()["macro_f1"].as_f64(), Some(1.0), "{}", ran.stdout());
    // A quoted cell may hold what parts the others.
    let row = r#""2005","2406","soc.temperature","bias","5,0""#;
    let quoted = put("quoted.csv", &["onset,end,part,kind,size".to_owned(), row.to_owned()]);
    let (_, ran) = watch(&whole, &["--labels", &quoted]);
    assert_eq!(ran.json()["macro_f1"].as_f64(), Some(1.0), "{}", ran.stdout());
    // A kind may be spelled as a scenario does.
    let kind = "2005,2406,soc.temperature,Bias,5".to_owned();
    let spelled = put("spelled.csv", &["onset,end,part,kind,size".to_owned(), kind]);
    let (_, ran) = watch(&whole, &["--labels", &spelled]);
    assert_eq!(ran.json()["macro_f1"].as_f64(), Some(1.0), "{}", ran.stdout());
    // Of two recordings each verdict names its own, though only one has any.
    let clean: Vec<String> = text.lines().map(str::to_owned).collect();
    let (both, _) = watch(&put("clean.csv", &clean), &["--data", &whole]);
    let first: Vec<&str> = both.lines().take(2).map(|l| l.split(',').nth(7).unwrap()).collect();
    assert!(first[0] == "file" && first[1].ends_with("whole.csv"), "{both}");
    for (cells, said) in
        [("2005,soon,soc,bias,5", "`soon` is no end"), ("2005,2406,soc,bias,much", "`much` is no size")]
    {
        let wrong = put("wrong.csv", &["onset,end,part,kind,size".to_owned(), cells.to_owned()]);
        let ran = command(&[
            "score",
            "diagnose",
            "--thing",
            "raspberry-pi-3b",
            "--data",
            &begun,
            "--time",
            "datetime",
            "--map",
            "cpu.load=usage",
            "soc.temperature=temp",
            "--params",
            &params,
            "--labels",
            &wrong,
        ]);
        assert!(ran.code() == 2 && ran.stderr().contains(said), "{}", ran.stderr());
    }
    // A label that no verdict can meet is asked about.
    for (cells, said) in [
        ("2005,2406,soc.temperature,biass,5", "did you mean `bias`?"),
        ("2406,2005,soc.temperature,bias,5", "ends before it begins"),
        ("20050000,,soc.temperature,bias,5", "behind the last row"),
    ] {
        let odd = put("odd.csv", &["onset,end,part,kind,size".to_owned(), cells.to_owned()]);
        let (_, ran) = watch(&whole, &["--labels", &odd]);
        assert!(ran.stderr().contains(said), "{}", ran.stderr());
    }
    assert!(!watch(&whole, &["--labels", &labels]).1.stderr().contains("label"));
    // What was said by then does not depend on what came after.
    let (early, _) = watch(&begun, &[]);
    let early: Vec<Vec<&str>> = early.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!((early[1][3], early[1][6]), (rows[1][3], rows[1][6]), "{early:?}");
    let report = dir.path().join("page");
    watch(&whole, &["--report", report.to_str().unwrap()]);
    assert!(fs::read_to_string(report.join("diagnose.html")).unwrap().contains("bias"));
}

#[test]
fn what_cannot_be_judged_is_said() {
    for (line, part) in [
        (vec!["--record", "/nonexistent"], "manifest"),
        (
            vec!["--thing", "no-such-thing", "--data", "x.csv", "--period", "1s"],
            "there is no thing `no-such-thing`",
        ),
        (
            vec![
                "--thing",
                "raspberry-pi-3b",
                "--data",
                "none.csv",
                "--period",
                "1s",
                "--map",
                "soc.temperature=#2",
            ],
            "none.csv",
        ),
        (vec![], "--thing"),
    ] {
        let mut all = vec!["score", "diagnose"];
        all.extend(line);
        let ran = command(&all);
        assert_eq!(ran.code(), 2, "{all:?}: {}", ran.stderr());
        assert!(ran.stderr().contains(part), "{all:?}: {}", ran.stderr());
    }
}

/// A box whose heater a timer switches, each row 30 s, under sensors of half a degree: what they say comes again and again.
#[test]
fn a_timer_under_coarse_sensors_is_no_recording_that_someone_plays() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 77u64;
    let mut noise = || {
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 24)
        };
        0.03 * ((0..12).map(|_| uniform()).sum::<f64>() - 6.0)
    };
    let (mut element, mut air, mut wall) = (22.0, 22.0, 22.0);
    let mut rows: Vec<(f64, f64, f64)> = Vec::new();
    for k in 0..900 {
        let level = if k % 20 < 7 { 60.0 } else { 0.0 };
        for _ in 0..30 {
            let (heat, taken) = (0.5 * (element - air), 1.5 * (air - wall));
            element += (0.2 * level - heat) / 30.0;
            air += (heat - taken - 0.1 * (air - 22.0)) / 60.0;
            wall += (taken - 0.8 * (wall - 22.0)) / 800.0;
        }
        let coarse = |t: f64| (2.0 * t).round() / 2.0;
        rows.push((level, coarse(air + noise()), coarse(wall + noise())));
    }
    let path = dir.path().join("timer.csv");
    let line = |(k, r): (usize, &(f64, f64, f64))| format!("{},{},{},{}\n", 30 * k, r.0, r.1, r.2);
    let table: String = rows.iter().enumerate().map(line).collect();
    fs::write(&path, format!("t,heat,air,wall\n{table}")).unwrap();
    let ran = command(&[
        "score",
        "diagnose",
        "--thing",
        "heated-box",
        "--data",
        path.to_str().unwrap(),
        "--time",
        "t",
        "--map",
        "heater.level=heat:percent",
        "air.temperature=air",
        "wall.temperature=wall",
    ]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr());
    let all = ran.json();
    let verdicts = all["verdicts"].as_array().unwrap();
    assert!(verdicts.iter().all(|v| v["kind"] != "spoofed"), "{all}");
}

/// What a fit of a box wrote.
const BOX: &str = r#"(format: 1, thing: "heated-box", parameters: {
    "c_air": (value: 23.3433, sd: 0.614482, identified: true),
    "c_content": (value: 31.1769, sd: 0.434435, identified: true),
    "c_heater": (value: 30.6222, sd: 0.536388, identified: true),
    "c_wall": (value: 807.24, sd: 0.0658236, identified: true),
    "g_content": (value: 7.93477, sd: 0.684102, identified: true),
    "g_heater": (value: 0.512532, sd: 0.850079, identified: false),
    "g_leak": (value: 0.0900267, sd: 0.389656, identified: true),
    "g_out": (value: 0.815945, sd: 0.0659686, identified: true),
    "g_wall": (value: 1.52771, sd: 0.0659164, identified: true),
    "tau": (value: 2.63086, sd: 0.216015, identified: true)},
    noise_k_per_sqrt_s: {"air": 0.000625, "content": 0.000125, "element": 0.000625, "wall": 0.000125},
    noise_std: {"air.temperature": 0.05, "wall.temperature": 0.05})"#;

/// No mass of 10^112 kg was put into the box.
#[test]
fn kelvin_taken_for_degrees_are_asked_about_and_no_event_of_any_size_explains_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (data, params) = (at("kelvin.csv"), at("box.ron"));
    let line = |k: usize| {
        let (heat, x) = (if k % 90 < 40 { 50 } else { 0 }, k as f64 / 14.0);
        format!("{},{heat},{:.2},{:.2},22\n", 3 * k, 298.0 + 6.0 * x.sin(), 296.0 + (x - 1.0).sin())
    };
    fs::write(&data, format!("t,heat,air,wall,room\n{}", (0..400).map(line).collect::<String>())).unwrap();
    fs::write(&params, BOX).unwrap();
    let watch = |air: &str, wall: &str| {
        let ran = command(&[
            "score",
            "diagnose",
            "--thing",
            "heated-box",
            "--params",
            &params,
            "--data",
            &data,
            "--time",
            "t",
            "--map",
            "heater.level=heat:percent",
            "room.temperature=room",
            air,
            wall,
        ]);
        assert_eq!(ran.code(), 0, "{}", ran.stderr());
        ran
    };
    let ran = watch("air.temperature=air", "wall.temperature=wall");
    assert!(ran.stderr().contains("are these kelvin?"), "{}", ran.stderr());
    let all = ran.json();
    let far = |v: &serde_json::Value| v["size"].as_f64().is_none_or(|size| size.abs() > 1e6);
    assert!(!all["verdicts"].as_array().unwrap().iter().any(far), "{all}");
    let ran = watch("air.temperature=air:K", "wall.temperature=wall:K");
    assert!(!ran.stderr().contains("are these kelvin?"), "{}", ran.stderr());
}
