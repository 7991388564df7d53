//! A cold night's chain of causes, read out of the record: from the temperature to the twin's alarm, and none of it when the
//! night is warm.

use super::common::{command, run_scenario, scratch};
use std::collections::BTreeMap;
use std::path::Path;
use twinfleet_engine::{cause, record::Record, world::Event};

/// Steps of the chain from its end to its beginning: an event's kind, and what it has to be because of.
const CHAIN: [(&str, &str); 5] = [
    ("verdict", "gap"),
    ("gap", "brown_out"),
    ("clock_reset", "reboot"),
    ("reboot", "brown_out"),
    ("brown_out", "sag"),
];
const OF_THE_COLD: [&str; 9] =
    ["battery_cold", "sag", "brown_out", "reboot", "clock_reset", "gap", "gap_end", "clock_set", "verdict"];

fn events(extra: &[&str], dir: &Path) -> (i32, Vec<Event>) {
    let at = dir.to_str().expect("text");
    let ran =
        command(&[&["run", "cold-night", "--quiet", "--broker", "none", "--record", at], extra].concat());
    let record = Record::open(dir).unwrap_or_else(|e| panic!("{e}\n{}", ran.stderr()));
    let all = record.events().map(|e| e.expect("events"));
    (ran.code(), all.collect())
}

/// The event that a cause names, which has to be in the record and before what it led to.
fn behind<'a>(effect: &Event, by_id: &'a BTreeMap<String, Event>) -> &'a Event {
    let found = by_id.get(&effect.cause);
    let found = found.unwrap_or_else(|| panic!("{effect:?} names a cause that is not in the record"));
    assert!(found.t < effect.t, "{found:?} is not before {effect:?}");
    assert_eq!(found.subject, effect.subject);
    found
}

#[test]
fn from_the_nights_cold_to_the_alarm_every_step_names_the_one_before() {
    let dir = scratch();
    let (code, all) = events(&[], &dir.path().join("cold"));
    assert_eq!(code, 0, "the chain is what the scenario expects");
    let by_id: BTreeMap<String, Event> = all.iter().map(|e| (cause::id(e), e.clone())).collect();
    assert_eq!(by_id.len(), all.len(), "ids are unique");
    for (kind, because) in CHAIN {
        let of_kind: Vec<&Event> = all.iter().filter(|e| e.kind == kind).collect();
        assert!(!of_kind.is_empty(), "no {kind}");
        for e in of_kind {
            assert_eq!(behind(e, &by_id).kind, because, "{e:?}");
        }
    }
    // The alarm, read backwards.
    let alarm = all.iter().find(|e| e.kind == "verdict").expect("an alarm");
    assert_eq!(alarm.detail, "dropout");
    let (mut at, mut path) = (alarm, vec![alarm.kind.as_str()]);
    while at.cause.rsplit_once('@').is_some_and(|(_, end)| end.parse::<i64>().is_ok()) {
        at = behind(at, &by_id);
        path.push(at.kind.as_str());
    }
    assert_eq!(path, ["verdict", "gap", "brown_out", "sag", "battery_cold"]);
    assert_eq!(at.cause, "outside/air.temperature@truth", "it begins with the weather");
    // What the cold ends with: the gap closes, and the clock is told the time by as much as it had lost.
    let set = all.iter().find(|e| e.kind == "clock_set" && cause::kind_of(&e.cause) == Some("clock_reset"));
    let set = set.expect("a clock is set");
    let years = set.value / (365.25 * 86_400.0);
    assert!((56.0..57.0).contains(&years), "moved from 1970 to 2026, not by {years} years");
}

/// Every brown-out is in the record, with its reboot and the loss of its time; only a device that is still down has none of it.
#[test]
fn every_brown_out_reboot_and_loss_of_the_time_is_told() {
    let dir = scratch();
    let at = dir.path().join("cold");
    let args = ["run", "cold-night", "--quiet", "--broker", "none", "--record", at.to_str().expect("text")];
    let report = run_scenario(&args).json();
    let record = Record::open(&at).expect("a record");
    let all: Vec<Event> = record.events().map(|e| e.expect("events")).collect();
    let by_id: BTreeMap<String, Event> = all.iter().map(|e| (cause::id(e), e.clone())).collect();
    let of = |kind: &str| all.iter().filter(|e| e.kind == kind).collect::<Vec<_>>();
    let (falls, starts, losses) = (of("brown_out"), of("reboot"), of("clock_reset"));
    assert_eq!(falls.len() as f64, report["counters"]["brown_outs"].as_f64().expect("counted"));
    assert!(falls.len() > 100, "{} is no night of them", falls.len());
    for (effects, because) in [(&starts, "brown_out"), (&losses, "reboot"), (&falls, "sag")] {
        for e in effects {
            assert_eq!(behind(e, &by_id).kind, because, "{e:?}");
        }
    }
    assert_eq!(starts.len(), losses.len());
    // A start that does not get through is no reboot; each other is, but for one that the night's end cut off.
    let got_up = falls.iter().filter(|e| !e.detail.contains("while starting")).count();
    assert!((got_up - 6..=got_up).contains(&starts.len()), "{} starts after {got_up} falls", starts.len());
    // What is left of a battery that comes back in the morning is no 0 h.
    let life = &report["batteries"][0];
    assert_eq!(life["gave_way_in_the_cold"], true, "{life}");
    assert!(life["warm_h"].as_f64().expect("it ends") > 24.0, "{life}");
}

/// Seeds that the README speaks of.
const SEEDS: [u32; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 42];

#[test]
fn it_holds_over_seeds() {
    for seed in SEEDS {
        let seed = seed.to_string();
        let ran = command(&["run", "cold-night", "--quiet", "--broker", "none", "--seed", &seed]);
        assert_eq!(ran.code(), 0, "seed {seed}: {}\n{}", ran.stdout(), ran.stderr());
    }
}

#[test]
fn a_warm_night_has_none_of_it() {
    for seed in SEEDS {
        let dir = scratch();
        let seed = seed.to_string();
        let set = ["--set", "world.weather.mean_c=14", "--seed", &seed];
        let (code, all) = events(&set, &dir.path().join("warm"));
        assert_eq!(code, 1, "the scenario expects the chain");
        // That the network sets a clock which its crystal moved is the day's business; one that a reset lost is the cold's.
        let of_the_cold = |e: &&Event| {
            OF_THE_COLD.contains(&e.kind.as_str())
                && (e.kind != "clock_set" || cause::kind_of(&e.cause) == Some("clock_reset"))
        };
        let none: Vec<&Event> = all.iter().filter(of_the_cold).collect();
        assert!(none.is_empty(), "seed {seed}: {none:?}");
    }
}

#[test]
fn it_is_the_same_night_on_any_threads_and_in_shards() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name).to_str().expect("text").to_owned();
    let run = |extra: &[&str]| {
        run_scenario(&[&["run", "cold-night", "--quiet", "--broker", "none"], extra].concat()).state_hash()
    };
    let one = run(&["--threads", "1", "--record", &at("whole")]);
    assert_eq!(one, run(&["--threads", "2"]));
    assert_eq!(one, run(&["--set", "expect=[]", "--set", "record=(signals:[])"]), "watching changes nothing");
    for i in ["0", "1"] {
        run(&["--shard", &format!("{i}/2"), "--record", &at(i)]);
    }
    run_scenario(&["merge", &at("0"), &at("1"), "--out", &at("merged")]);
    super::common::assert_same_record(&dir.path().join("whole"), &dir.path().join("merged"));
}

#[test]
fn the_report_says_how_long_the_batteries_will_last() {
    let ran = run_scenario(&[
        "run",
        "cold-night",
        "--quiet",
        "--broker",
        "none",
        "--set",
        "world.weather.mean_c=14",
    ]);
    let life = &ran.json()["batteries"][0];
    let (hours, from, to) =
        (life["expected_h"].as_f64(), life["earliest_h"].as_f64(), life["latest_h"].as_f64());
    let (hours, from, to) = (hours.expect("ends"), from.expect("ends"), to.expect("ends"));
    assert!(from < hours && hours < to, "{life}");
    // By hand: 0.4 s of 50 mA and 2 s of joining at 100 a minute, a few ms of sending, 10 µA asleep.
    let by_hand_ma = (0.4 * 50.0 + 2.02 * 100.0) / 60.0 + 0.01;
    let mean_ma = life["mean_ma"].as_f64().expect("a current");
    assert!((by_hand_ma..1.1 * by_hand_ma).contains(&mean_ma), "{mean_ma} mA against {by_hand_ma}");
}
