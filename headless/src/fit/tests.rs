use super::*;
use clap::Parser;
use std::fmt::Write as _;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(line: &str) -> Args {
    Line::parse_from(std::iter::once("fit").chain(line.split_whitespace())).args
}

const BOX: &str = r#"Thing(format: 1, name: "hot-box", source: "measured on the bench", dynamics: (
    parameters: {
        "c": (value: 50.0, unit: "J/K", prior: Log(1.0), bounds: (1.0, 1000.0)),
        "g": (value: 1.0), "lid": (value: 1.0, prior: Log(0.7), bounds: (0.01, 10.0)),
    },
    covariates: {"closed": 0.0},
    inputs: [(signal: "heater.level", range: (0.0, 100.0))],
    boundaries: [(name: "room", at: Fixed(20.0))],
    storages: [(name: "box", capacity: "c", initial_std_k: 0.1)],
    conductances: [(between: ("box", "room"), value: "g * lid^closed")],
    sources: [(into: "box", gain: "0.3", input: "heater.level")],
    outputs: [(signal: "probe.temperature", node: "box", noise_std: 0.1)],
))"#;

/// A box of 120 J/K, and one whose lid halves its loss; readings in kelvin, 20 ms jitter of nothing.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("box.ron"), BOX).unwrap();
    for (name, g) in [("open.csv", 1.0), ("closed.csv", 0.5), ("again.csv", 0.5)] {
        let mut text = String::from("t;heat;T\n");
        for k in 0..400 {
            let rise = 30.0 / g * (1.0 - (-g * f64::from(k) / 120.0f64).exp());
            writeln!(text, "{k};100;{:.3}", 293.15 + rise).unwrap();
        }
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn ran(dir: &Path, rest: &str) -> Result<String, String> {
    let line = rest.replace('@', &format!("{}/", dir.display()));
    let mut out = Vec::new();
    match run(&args(&line.replace(" --json", "")), line.ends_with("--json"), &mut out) {
        Ok(_) => Ok(String::from_utf8(out).unwrap()),
        Err(Failure::Input(r)) => Err(format!("input: {}", r.items()[0])),
        Err(Failure::Outside(r)) => Err(format!("outside: {}", r.items()[0])),
    }
}

const COLUMNS: &str = "--time t --map heater.level=heat probe.temperature=T:K";

#[test]
fn a_users_own_box_is_fitted_and_a_case_not_seen_is_predicted() {
    let dir = folder();
    let line = format!(
        "--thing @box.ron --data @open.csv @closed.csv --test @again.csv {COLUMNS} --const closed.csv:closed=1 again.csv:closed=1 --out @p.ron --trace @t.csv --json"
    );
    let figures: serde_json::Value = serde_json::from_str(&ran(dir.path(), &line).unwrap()).unwrap();
    let value = |name: &str| {
        let all = figures["parameters"].as_array().unwrap();
        all.iter().find(|p| p["name"] == name).unwrap()["value"].as_f64().unwrap()
    };
    assert!((value("c") / 120.0 - 1.0).abs() < 0.02, "{figures}");
    assert!((value("lid") / 0.5 - 1.0).abs() < 0.02, "{figures}");
    let held = figures["scores"].as_array().unwrap().iter().find(|s| s["part"] == "held").unwrap();
    assert!(held["rmse"].as_f64().unwrap() < 0.2 && held["rows"] == 340, "{held}");

    let trace = fs::read_to_string(dir.path().join("t.csv")).unwrap();
    assert!(trace.starts_with("file,time,signal,measured,simulated,part,written\n"));
    assert_eq!(trace.lines().count(), 1 + 400 + 400 + 340);
    let text = fs::read_to_string(dir.path().join("p.ron")).unwrap();
    let params = Params::from_ron(&text).unwrap();
    assert!((params.parameters["c"].value / 120.0 - 1.0).abs() < 0.02);
    assert!(!dir.path().join("p.ron.part").exists());
}

#[test]
fn what_cannot_be_used_is_said() {
    let dir = folder();
    let cases = [
        (format!("--thing raspbery-pi-3b --data @open.csv {COLUMNS}"), "there is no thing `raspbery-pi-3b`"),
        (format!("--thing @box.ron --data @none.csv {COLUMNS}"), "none.csv"),
        (
            "--thing @box.ron --data @open.csv --time t --map probe.temprature=T:K".to_owned(),
            "no signal `probe.temprature`",
        ),
        (
            "--thing @box.ron --data @open.csv --time t --map probe.temperature=T:K".to_owned(),
            "nothing says what the input `heater.level` was",
        ),
        (
            format!("--thing @box.ron --data @open.csv {COLUMNS} --const open.csv:lied=1"),
            "no covariate or input `lied`",
        ),
        (
            format!("--thing @box.ron --data @open.csv {COLUMNS} --const other.csv:closed=1"),
            "is about no recording given",
        ),
        (format!("--thing @box.ron --data @open.csv {COLUMNS} --const closed"), "is not understood"),
        (
            format!("--thing @box.ron --data @open.csv {COLUMNS} --train-fraction 0"),
            "--train-fraction must be above 0",
        ),
        (format!("--thing bh1750 --data @open.csv {COLUMNS}"), "there is no thing `bh1750`"),
        (format!("--thing @box.ron --data @open.csv @./open.csv {COLUMNS}"), "given twice to --data"),
        (
            format!("--thing @box.ron --data @open.csv --test @again.csv {COLUMNS} --warmup 1000"),
            "its 400 rows end within the first 1000 s",
        ),
        (format!("--thing @box.ron --data @open.csv {COLUMNS} --warmup nan"), "--warmup must be"),
    ];
    for (line, part) in cases {
        let message = ran(dir.path(), &line).unwrap_err();
        assert!(message.starts_with("input: ") && message.contains(part), "{line}: {message}");
    }
    let message = ran(dir.path(), &format!("--thing @box.ron --data @open.csv {COLUMNS} --out @no/p.ron"));
    assert!(message.unwrap_err().starts_with("outside: error: cannot write"));
}

/// It is simulated as it is.
#[test]
fn a_thing_without_a_free_parameter_is_fitted_all_the_same() {
    let dir = folder();
    let fixed = BOX.replace(", prior: Log(1.0), bounds: (1.0, 1000.0)", "");
    let fixed = fixed.replace(", prior: Log(0.7), bounds: (0.01, 10.0)", "");
    fs::write(dir.path().join("fixed.ron"), fixed).unwrap();
    let text = ran(dir.path(), &format!("--thing @fixed.ron --data @open.csv {COLUMNS}")).unwrap();
    assert!(text.contains("held at the thing's own value: c, g, lid"), "{text}");
}

#[test]
fn a_recording_that_was_fitted_is_no_test_of_it() {
    let dir = folder();
    let line = format!("--thing @box.ron --data @open.csv --test @open.csv {COLUMNS}");
    let line = line.replace('@', &format!("{}/", dir.path().display()));
    let warnings = run(&args(&line), false, &mut Vec::new()).unwrap();
    assert!(warnings.items().iter().any(|w| w.to_string().contains("tested on as well")));
}

#[test]
fn the_table_names_what_is_not_identified() {
    let dir = folder();
    let text = ran(dir.path(), &format!("--thing @box.ron --data @open.csv {COLUMNS}")).unwrap();
    let lid = text.lines().find(|l| l.starts_with("lid ")).unwrap();
    assert!(lid.contains("not identified"), "{text}");
    assert!(text.contains("held at the thing's own value: g"), "{text}");
}

#[test]
fn a_column_is_read_in_the_unit_that_its_name_says() {
    let dir = folder();
    let text = fs::read_to_string(dir.path().join("open.csv")).unwrap().replace("heat;T\n", "heat;T[K]\n");
    fs::write(dir.path().join("named.csv"), text).unwrap();
    let line =
        "--thing @box.ron --data @named.csv --time t --map heater.level=heat probe.temperature=T[K] --json";
    let figures: serde_json::Value = serde_json::from_str(&ran(dir.path(), line).unwrap()).unwrap();
    let c = figures["parameters"].as_array().unwrap().iter().find(|p| p["name"] == "c").unwrap();
    assert!((c["value"].as_f64().unwrap() / 120.0 - 1.0).abs() < 0.02, "{c}");
    assert_eq!(c["at_bound"], false);
}

#[test]
fn a_bound_that_was_reached_and_a_fit_that_explains_little_are_said() {
    let dir = folder();
    fs::write(dir.path().join("tight.ron"), BOX.replace("(1.0, 1000.0)", "(1.0, 100.0)")).unwrap();
    let text = ran(dir.path(), &format!("--thing @tight.ron --data @open.csv {COLUMNS}")).unwrap();
    let c = text.lines().find(|l| l.starts_with("c ")).unwrap();
    assert!(c.ends_with("(at its bound)") && text.contains("\nat a bound: c;"), "{text}");
    assert!(!text.contains("explains little"), "{text}");
    // A heater that is on, told as 1 percent.
    let share = fs::read_to_string(dir.path().join("open.csv")).unwrap().replace(";100;", ";1;");
    fs::write(dir.path().join("share.csv"), share).unwrap();
    let text = ran(dir.path(), &format!("--thing @box.ron --data @share.csv {COLUMNS}")).unwrap();
    assert!(text.contains("share.csv: probe.temperature swings by"), "{text}");
    assert!(text.contains("it explains little"), "{text}");
}

#[test]
fn a_gap_is_said_and_the_trace_has_the_tables_own_times() {
    let dir = folder();
    let mut text = String::from("when;heat;T\n");
    for k in 0..400 {
        let rise = 30.0 * (1.0 - (-f64::from(k) / 120.0f64).exp());
        let t = 8 * 3600 + if k < 200 { k } else { k + 1800 };
        let clock = format!("{:02}:{:02}:{:02}", t / 3600, t / 60 % 60, t % 60);
        writeln!(text, "05.03.2023 {clock};100;{:.3}", 293.15 + if k < 200 { rise } else { 30.0 }).unwrap();
    }
    fs::write(dir.path().join("gap.csv"), text).unwrap();
    let line = "--thing @box.ron --data @gap.csv --time when --map heater.level=heat probe.temperature=T:K --dates day-first \
                --trace @g.csv --report @page";
    let told = ran(dir.path(), line).unwrap();
    assert!(told.contains("the state behind it is estimated anew"), "{told}");
    let trace = fs::read_to_string(dir.path().join("g.csv")).unwrap();
    let last = trace.lines().last().unwrap();
    assert!(last.contains(",2199,") && last.ends_with(",05.03.2023 08:36:39"), "{last}");
    let page = fs::read_to_string(dir.path().join("page/fit.html")).unwrap();
    for part in ["<h2>Errors</h2>", "<h2>Parameters</h2>", "measured − simulated", "readings alone"] {
        assert!(page.contains(part), "no `{part}`");
    }
}
