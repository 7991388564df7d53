//! The same scenario and seed leave the same record: at any thread count, recorded or not, whatever carries the messages,
//! whole or in shards.

use super::common::{Ran, assert_same_record, run_scenario, scratch};

const GREENHOUSE: &[&str] = &["run", "greenhouse", "--set", "duration=\"2h\"", "--quiet"];

fn greenhouse(extra: &[&str]) -> Ran {
    run_scenario(&[GREENHOUSE, extra].concat())
}

#[test]
fn threads_leave_no_trace() {
    let dir = scratch();
    let record = |name: &str, threads: &str| {
        let path = dir.path().join(name);
        let ran = greenhouse(&["--broker", "none", "--threads", threads, "--record", path.to_str().unwrap()]);
        (path, ran.state_hash())
    };
    let (first, hash) = record("one", "1");
    for (name, threads) in [("again", "1"), ("two", "2"), ("four", "4")] {
        let (other, other_hash) = record(name, threads);
        assert_eq!(hash, other_hash, "{threads} threads");
        assert_same_record(&first, &other);
    }
}

#[test]
fn watching_changes_nothing() {
    let dir = scratch();
    let path = dir.path().join("r");
    let recorded = greenhouse(&["--broker", "none", "--record", path.to_str().unwrap()]);
    let unseen = greenhouse(&["--broker", "none", "--set", "expect=[]", "--set", "record=(signals:[])"]);
    assert_eq!(recorded.state_hash(), unseen.state_hash());
}

#[test]
fn no_broker_and_the_embedded_one_give_one_hash() {
    assert_same_through("embedded:0");
}

/// Whatever carries the messages, state and record are those without a broker.
fn assert_same_through(broker: &str) {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let free = greenhouse(&["--broker", "none", "--record", &at("free")]);
    let carried = greenhouse(&["--broker", broker, "--record", &at("carried")]);
    assert_eq!(free.state_hash(), carried.state_hash(), "{broker}");
    assert_same_record(&dir.path().join("free"), &dir.path().join("carried"));
}

#[test]
fn mosquitto_in_between_changes_nothing() {
    let Some(broker) = twinfleet_tests::Mosquitto::start("mosquitto_in_between_changes_nothing") else {
        return;
    };
    assert_same_through(&format!("mqtt://{}", broker.addr));
}

#[test]
fn a_run_at_a_pace_is_the_run_at_full_speed() {
    let Some(broker) = twinfleet_tests::Mosquitto::start("a_run_at_a_pace_is_the_run_at_full_speed") else {
        return;
    };
    let pi = |extra: &[&str]| run_scenario(&[&["run", "pi3b-mirror", "--quiet"], extra].concat());
    let free = pi(&["--broker", "none"]);
    for (broker, speed) in
        [("embedded:0", "3000x"), ("embedded:0", "400x"), (&*format!("mqtt://{}", broker.addr), "1000x")]
    {
        let paced = pi(&["--broker", broker, "--speed", speed]);
        assert_eq!(free.state_hash(), paced.state_hash(), "{broker} at {speed}");
        // Its expectations are on verdicts: no device fell silent because the machine was busy.
        assert_eq!(paced.code(), 0, "{}", paced.stdout());
    }
}

#[test]
fn another_seed_is_another_run() {
    assert_ne!(
        greenhouse(&["--broker", "none"]).state_hash(),
        greenhouse(&["--broker", "none", "--seed", "7"]).state_hash()
    );
}

#[test]
fn two_shards_merged_equal_the_whole() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let whole = greenhouse(&["--broker", "none", "--record", &at("whole")]);
    for i in ["0", "1"] {
        greenhouse(&["--broker", "none", "--shard", &format!("{i}/2"), "--record", &at(i)]);
    }
    let merged = run_scenario(&["merge", &at("0"), &at("1"), "--out", &at("merged")]);
    assert_same_record(&dir.path().join("whole"), &dir.path().join("merged"));
    // Two hours are too short for most of what a day is expected to bring: some hold, some fail, some saw nothing.
    assert_eq!(whole.code(), merged.code());
    for what in ["expectations", "headline", "held", "state_hash"] {
        assert!(!whole.json()[what].is_null());
        assert_eq!(whole.json()[what], merged.json()[what], "{what}");
    }
}

#[test]
fn two_shards_of_the_whole_day_merged_equal_it() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let day = |extra: &[&str]| {
        run_scenario(&[&["run", "greenhouse", "--quiet", "--broker", "none"], extra].concat())
    };
    let whole = day(&["--record", &at("whole")]);
    assert_eq!(whole.code(), 0, "{}", whole.stdout());
    for i in ["0", "1"] {
        day(&["--shard", &format!("{i}/2"), "--record", &at(i)]);
    }
    assert_eq!(run_scenario(&["merge", &at("0"), &at("1"), "--out", &at("merged")]).code(), 0);
    assert_same_record(&dir.path().join("whole"), &dir.path().join("merged"));
}

#[test]
fn a_merge_does_not_judge_what_was_not_recorded() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let set = ["--set", "expect=[Always(signal: \"z1/air.temperature@truth\", above: 0)]", "--set"];
    let sets = [&set[..], &["record=(signals: [\"z2/**\"])"]].concat();
    assert_eq!(greenhouse(&[&["--broker", "none"], &sets[..]].concat()).code(), 0);
    for i in ["0", "1"] {
        let shard = format!("{i}/2");
        greenhouse(&[&["--broker", "none", "--shard", &shard, "--record", &at(i)], &sets[..]].concat());
    }
    let merged = run_scenario(&["merge", &at("0"), &at("1"), "--out", &at("merged")]);
    let judged = &merged.json()["expectations"][0];
    assert_eq!((merged.code(), judged["status"].as_str()), (1, Some("no_data")), "{judged}");
    assert!(judged["sentence"].as_str().unwrap().contains("add it to `record.signals`"), "{judged}");
}

/// Two zones that share nothing but words: in one a station speaks Tasmota, in the other its readings drive a heater.
const SPOKEN: &str = r#"Scenario(
    format: 1, seed: 3, duration: "2h", step: "10s",
    world: (zones: [
        (id: "a", temperature_c: 12.0, heat_capacity_j_k: 1e6, outside_w_k: 100.0, volume_m3: 100.0),
        (id: "b", temperature_c: 12.0, heat_capacity_j_k: 1e6, outside_w_k: 100.0, volume_m3: 100.0),
    ]),
    things: [
        (name: "station", source: "this test", board: "esp32-devkit", parts: [(id: "bme280", model: "bme280", on: I2c(0x76))],
            firmware: (period: "30s", publish: [(topic: "{device}", payload: Dialect(name: "tasmota"))]), power: Mains),
        (name: "heating", source: "this test", board: "esp32-devkit", parts: [(id: "heater", model: "heater", on: Pin("GPIO25"))],
            firmware: (
                period: "30s",
                control: [(
                    input: "tele/st-0/SENSOR", pointer: "/BME280/Temperature", stale: "5min", output: "b/heater/set",
                    law: OnBelow(on_below: 15.0, off_above: 17.0), fallback: 0.0,
                )],
                commands: [(topic: "b/heater/set", part: "heater")],
            ), power: Mains),
    ],
    fleet: [
        (id: "st-{}", count: 1, thing: "station", in: ["a"]),
        (id: "heating-{}", count: 1, thing: "heating", in: ["b"]),
    ],
    expect: [Eventually(signal: "heating-0/heater.level@truth", above: 0.5, within: "1h")],
)
"#;

#[test]
fn zones_that_are_coupled_by_a_dialect_alone_stay_together_in_shards() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("spoken.ron"), SPOKEN).unwrap();
    let run = |extra: &[&str]| {
        run_scenario(&[&["run", &at("spoken.ron"), "--quiet", "--broker", "none"], extra].concat())
    };
    let whole = run(&["--record", &at("whole")]);
    assert_eq!(whole.code(), 0, "the heater never heard the station: {}", whole.stdout());
    for i in ["0", "1"] {
        run(&["--shard", &format!("{i}/2"), "--record", &at(i)]);
    }
    let merged = run_scenario(&["merge", &at("0"), &at("1"), "--out", &at("merged")]);
    assert_eq!(merged.code(), 0, "{}", merged.stdout());
    assert_same_record(&dir.path().join("whole"), &dir.path().join("merged"));
}
