//! Every shipped scenario is found by itself, is valid, runs, and holds what it expects.

use super::common::{command, scratch, twinfleet_command};
use std::path::Path;
use twinfleet_engine::{expect::EVENT_KINDS, record::Record};

fn shipped() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut found: Vec<String> = std::fs::read_dir(root.join("scenarios"))
        .expect("scenarios/")
        .map(|e| e.expect("readable").path().display().to_string())
        .filter(|p| p.ends_with(".ron"))
        .collect();
    found.sort();
    assert!(found.len() >= 4, "{found:?}");
    found
}

#[test]
fn every_scenario_is_valid() {
    for file in shipped() {
        let ran = command(&["check", &file]);
        assert_eq!(ran.code(), 0, "{file}:\n{}", ran.stderr());
    }
}

#[test]
fn every_scenario_holds_what_it_expects() {
    for file in shipped() {
        let dir = scratch();
        let to = dir.path().join("rec");
        let to = to.to_str().expect("text");
        let ran = command(&["run", &file, "--broker", "embedded:0", "--quiet", "--record", to]);
        assert_eq!(ran.code(), 0, "{file}:\n{}\n{}", ran.stdout(), ran.stderr());
        let record = Record::open(Path::new(to)).expect("a record");
        for event in record.events().map(|e| e.expect("events")) {
            let kind = event.kind.as_str();
            assert!(EVENT_KINDS.contains(&kind), "{file}: `{kind}` is recorded, but cannot be expected");
        }
    }
}

#[test]
fn a_folder_of_a_scenarios_name_does_not_hide_it() {
    let dir = scratch();
    std::fs::create_dir(dir.path().join("pi3b-mirror")).expect("a folder");
    let args = ["run", "pi3b-mirror", "--broker", "none", "--quiet"];
    let ran = twinfleet_command().current_dir(dir.path()).args(args).output().expect("the command starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn what_a_record_tells_can_be_expected() {
    for kind in ["script_crash", "moved", "weather_start", "set", "diagnosis", "unheard"] {
        let never = format!("expect=[Never(event: (kind: \"{kind}\"))]");
        let ran = command(&["run", "scripted", "--broker", "none", "--quiet", "--set", &never]);
        assert!(ran.code() <= 1, "{kind}: {}", ran.stderr());
    }
}

#[test]
fn an_embedded_name_and_its_file_are_one_scenario() {
    let hash = |file: &str| command(&["run", file, "--broker", "none", "--quiet"]).state_hash();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    assert_eq!(hash("pi3b-mirror"), hash(root.join("scenarios/pi3b-mirror.ron").to_str().expect("text")));
}

#[test]
fn a_twin_hears_its_inputs_in_the_unit_its_network_counts_in() {
    // The lab's heaters are in percent in the recording and in its network, and a ratio on the wire between them.
    let ran = command(&["run", "tclab-mirror", "--broker", "none", "--quiet"]);
    let twin = &ran.json()["twins"][0];
    let heater = &twin["inputs"][0];
    assert_eq!((heater["unit"].as_str(), heater["reported"]["max"].as_f64()), (Some("percent"), Some(100.0)));
    // With heaters a hundred times too weak, the forecast was no better than persistence.
    let score = &twin["scores"][0];
    let (rmse, persistence) = (score["rmse"].as_f64().unwrap(), score["rmse_persistence"].as_f64().unwrap());
    assert!(rmse < 0.5 * persistence, "{score}");
}

#[test]
fn a_fault_of_an_input_has_the_size_and_unit_that_its_twin_shows() {
    let dir = scratch();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let lab = std::fs::read_to_string(root.join("scenarios/tclab-mirror.ron")).expect("the lab");
    let at = lab.find("(at: \"7min\"").expect("its fault");
    let end = at + lab[at..].find('\n').expect("a line");
    let kind = "Bias(by: -30.0)";
    let off = format!("(at: \"250s\", do: Fault(target: \"lab-1/heater2.level\", kind: {kind})),");
    let text = format!("{}{off}{}", &lab[..at], &lab[end..]);
    std::os::unix::fs::symlink(root.join("assets"), dir.path().join("assets")).expect("a link");
    let (file, record) = (dir.path().join("lab.ron"), dir.path().join("rec"));
    std::fs::write(&file, text).expect("a file");
    let to = record.to_str().expect("text");
    let ran = command(&["run", file.to_str().expect("text"), "--broker", "none", "--quiet", "--record", to]);
    assert!([0, 1].contains(&ran.code()), "{}", ran.stderr());
    let record = Record::open(&record).expect("a record");
    let id = record.table.find("lab-1/heater2.level@reported").expect("the heater");
    let rows: Vec<_> = record.rows().map(Result::unwrap).filter(|row| row.signal == id).collect();
    let at = |s: f64| rows.iter().rfind(|row| row.t.as_secs_f64() < s).expect("a reading").value;
    // On the wire it is a ratio; the twin, and with it the fault's size, counts in percent. 50 % in the recording.
    assert_eq!((at(249.0), at(260.0)), (50.0, 20.0));
}

#[test]
fn what_the_help_of_run_shows_runs() {
    let help = command(&["run", "--help"]).stdout();
    let shown: Vec<&str> = help
        .lines()
        .filter_map(|l| l.trim().strip_prefix("twinfleet run "))
        .filter(|l| !l.contains("my.ron"))
        .collect();
    assert!(shown.len() >= 3, "{help}");
    for line in shown {
        let dir = scratch();
        let args = line.split_whitespace().filter(|a| *a != "…");
        let ran = twinfleet_command().current_dir(dir.path()).arg("run").args(args).output().unwrap();
        // A what-if may come out otherwise than the scenario expects.
        let code = ran.status.code();
        assert!(matches!(code, Some(0 | 1)), "{line}: {code:?}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
}
