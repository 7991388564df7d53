//! Recordings as a scenario names them; the tables themselves are tested beside their reader.

use super::*;

#[test]
fn recordings_of_a_scenario() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("run.csv"),
        "datetime,usage,temp\n2020-07-29 10:00:00,5,40.5\n2020-07-29 10:00:01,,41\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("bad.csv"),
        "datetime,usage,temp\n2020-07-29 10:00:00,5,40.5\n2020-07-29 10:00:00,x,41\n",
    )
    .unwrap();
    let rows = [0, 1, 2, 3, 40, 41].map(|s| format!("2020-07-29 10:00:{s:02},5,40.5\n")).concat();
    std::fs::write(dir.path().join("gap.csv"), format!("datetime,usage,temp\n{rows}")).unwrap();
    let good = r#"Scenario( format: 1, duration: "2s",
  physicals: [ (id: "pi", from: Recording(path: "run.csv", time: "datetime",
      map: {"cpu.load@reported": "usage %", "soc.temperature@reported": "temp C"}),
    publish: (topic: "f/{device}", payload: Template("{soc.temperature:.1}"))) ],
  mirror: [ (twin: "pi", thing: "node", bind: [ (topic: "f/{device}") ], params: "no.ron") ],
)"#;
    let show = |from: &str, to: &str| {
        let source = Source::embedded("a.ron", &good.replacen(from, to, 1));
        let scenario =
            crate::scenario::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
        let report = check::check(&scenario, catalog(), &source, &Files::at(dir.path()));
        report.to_string().replace(&format!("{}/", dir.path().display()), "")
    };
    expect![[r#"
        run.csv:3:20: warning: `cpu.load`: a cell is empty
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("", "")));
    expect![[r#"
        a.ron:2:49: error: there is no file `rum.csv`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "rum.csv")));
    expect![[r#"
        bad.csv:3:1: error: the time `2020-07-29 10:00:00` is given twice
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "bad.csv")));
    expect![[r#"
        gap.csv:6:1: error: 37.0 s without a row, where rows are 1.000 s apart
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv", "gap.csv")));
    expect![[r#"
        gap.csv:6:1: warning: one gap of 37.0 s, where rows are 1.000 s apart
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("run.csv\"", "gap.csv\", gaps: Offline")));
    expect![[r#"
        a.ron:3:73: error: `run.csv` has no column `tmp`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("temp C", "tmp C")));
    expect![[r#"
        a.ron:3:73: error: `soc.temperature` is a temperature, but `hPa` is a pressure
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("temp C", "temp hPa")));
    expect![[r#"
        a.ron:3:45: error: `soc_temperature` is no signal that a device reports
        a.ron:4:45: error: the payload has no `{soc.temperature}`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("soc.temperature@reported", "soc_temperature")));
    expect![[r#"
        a.ron:4:45: error: the payload has no `{soc.temprature}`
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show("{soc.temperature:.1}", "{soc.temprature:.1}")));
    expect![[r#"
        a.ron:2:33: error: neither `time` nor `period` is given
        a.ron:5:33: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:82: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show(r#"time: "datetime","#, "")));
    expect![[r#"
        run.csv:3:20: warning: `cpu.load`: a cell is empty
        a.ron:5:20: error: there is no device `pie` to follow
        a.ron:5:34: error: `node` has no dynamics: a twin cannot follow with it
        a.ron:5:83: error: there is no file `no.ron`"#]]
    .assert_eq(&dedented(show(r#"twin: "pi""#, r#"twin: "pie""#)));
}

/// What is said of a recording of five seconds that a twin follows.
fn followed(duration: &str, bind: &str, horizons: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.csv"), "t,temp\n0,20\n1,20.1\n2,20.2\n3,20.1\n4,20\n").unwrap();
    let text = format!(
        r#"Scenario(format: 1, duration: "{duration}",
  things: [(name: "room", source: "own", signals: [(signal: "air.temperature", unit: "degC", quantum: 0.01)])],
  physicals: [(id: "pi", publish: (topic: "f/{{device}}"),
    from: Recording(path: "r.csv", time: "t", map: {{"air.temperature@reported": "temp C"}}))],
  mirror: [(twin: "pi", thing: "room", bind: [{bind}],
    forecast: (horizons: [{horizons}]))],
)"#
    );
    let source = Source::embedded("a.ron", &text);
    let scenario = crate::scenario::read(&source).unwrap_or_else(|r| panic!("{}", r.render(Style::Plain)));
    check::check(&scenario, catalog(), &source, &Files::at(dir.path())).to_string()
}

const BIND: &str = r#"(topic: "f/{device}")"#;

#[test]
fn a_recording_that_ends_before_the_run_is_told() {
    assert_eq!(followed("5s", BIND, r#""1s""#), "");
    let said = followed("1h", BIND, r#""1s""#);
    assert!(said.contains("a.ron:4:27: warning: the recording ends at 4s, the run at 1h"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_horizon_beyond_the_run_is_told() {
    let said = followed("5s", BIND, r#""1s", "1min""#);
    let told = "a.ron:6:33: warning: no forecast so far ahead comes due before the end of the run, 5s";
    assert_eq!(said.trim(), told);
}

#[test]
fn a_bind_that_stands_twice_is_refused() {
    let twice = format!(r#"{BIND}, (topic: "f/pi")"#);
    let said = followed("5s", &twice, r#""1s""#);
    assert!(said.contains("a.ron:5:78: error: this stands twice"), "{said}");
}
