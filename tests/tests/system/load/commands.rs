//! Closed loop: commands, what devices make of them, and what they report.

use super::*;

#[test]
fn commands_change_what_devices_report() {
    let ran = command(&["load", "load-commands", "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let result = ran.json();
    assert!(result["counters"]["commands"].as_u64() >= Some(20), "{result}");
    // All are followed but those that are still under way as the load ends: one a lamp at most.
    let count = |key: &str| result["counters"][key].as_u64().unwrap_or(0);
    assert!(count("commands_followed") + 4 >= count("commands"), "{result}");
    // A tick, the lamp, the light sensor's 120 ms and the rest of the 200 ms between reports.
    let took = row(&result, "command to reported", 1);
    assert!(ms(took, "p50_ms") > 20.0, "{took}");
}

#[test]
fn a_device_may_be_named_within_a_level_of_its_topic() {
    let dir = scratch();
    let text =
        std::fs::read_to_string(twinfleet_tests::root().join("scenarios/load-commands.ron")).expect("text");
    let path = dir.path().join("within.ron");
    std::fs::write(&path, text.replace("lamps/{device}/", "lamps/no-{device}/")).expect("a scenario");
    let ran = command(&["load", path.to_str().expect("text"), "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    assert!(ran.json()["counters"]["commands_followed"].as_u64() >= Some(12), "{}", ran.stdout());
}
