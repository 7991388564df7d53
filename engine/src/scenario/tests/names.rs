//! Ids and what refers to them.

use super::*;
use crate::scenario::diagnostic::Diagnostic;

#[test]
fn ids() {
    check(
        r#"id: "room", in"#,
        r#"id: "house", in"#,
        expect![[r#"
              x two zones have the id `house`
               ,-[a.ron:5:62]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "house", in: "house") ] ),
               :                          ^^^|^^^                             ^^^^^^^
               :                             `-- first here
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: give each zone an id of its own: rename one of the two, or take it away
              x there is no zone `room`
               ,-[a.ron:8:61]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
               :                                                             ^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: known: `house`
              x there is no zone `room`
                ,-[a.ron:16:37]
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
             16 |     (at: "40min", do: Disturb(zone: "room", sound_db: 100.0)),
                :                                     ^^^^^^
             17 |   ],
                `----
              help: known: `house`
            3 errors
        "#]],
    );
    check(
        r#"id: "box""#,
        r#"id: "node-7""#,
        expect![[r#"
             x two devices have the id `node-7`
               ,-[a.ron:9:10]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
               :          ^^^^|^^^^
               :              `-- first here
             9 |     (id: "node-7", thing: "hot-box"),
               :          ^^^^^^^^
            10 |   ],
               `----
             help: give each device an id of its own
        "#]],
    );
    check(
        r#"id: "node-{}""#,
        r#"id: "node""#,
        expect![[r#"
             x 20 devices cannot share the id `node`
              ,-[a.ron:8:10]
            7 |   fleet: [
            8 |     (id: "node", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
              :          ^^^^^^
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: write `node-{}`: `{}` becomes 0, 1, …
        "#]],
    );
    check(
        r#"id: "box""#,
        r#"id: "a/b""#,
        expect![[r#"
              x `a/b` is no name for a device: it holds `/`
                ,-[a.ron:9:10]
              8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
              9 |     (id: "a/b", thing: "hot-box"),
                :          ^^^^^
             10 |   ],
                `----
              help: names are parts of signals and topics: use letters, digits, `-` and `_`
        "#]],
    );
}

#[test]
fn dangling_references_are_reported_together() {
    let text = GOOD
        .replace(r#"thing: "node""#, r#"thing: "nod""#)
        .replace(r#"in: ["house", "room"]"#, r#"in: ["hose"]"#)
        .replace(r#"link: "wifi""#, r#"link: "wlan""#)
        .replace(r#"model: "soil""#, r#"model: "sol""#)
        .replace(r#"board: "devkit""#, r#"board: "devkti""#)
        .replace(r#"Disturb(zone: "room""#, r#"Disturb(zone: "attic""#);
    expect![[r#"
        a.ron:8:39: error: there is no thing `nod`
        a.ron:8:51: error: there is no zone `hose`
        a.ron:8:66: error: there is no link `wlan`
        a.ron:11:53: error: there is no board `devkti`
        a.ron:11:92: error: there is no sensor or actuator `sol`
        a.ron:15:54: error: there is no link `wlan`
        a.ron:16:37: error: there is no zone `attic`"#]]
    .assert_eq(&dedented(report(&text).to_string()));
}

#[test]
fn targets() {
    check(
        "node-*/air.temperature",
        "nod-*/air.temperature",
        expect![[r#"
              x there is no device `nod-*`
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "nod-*/air.temperature", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^^^^^^^^^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: known: `box`, `node-0 … node-19`
        "#]],
    );
    check(
        "node-*/air.temperature",
        "node-*/air.temperatur",
        expect![[r#"
              x `node-{}` measures no `air.temperatur`
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperatur", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^^^^^^^^^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: did you mean `air.temperature`?
        "#]],
    );
    check(
        "node-*/air.temperature",
        "node-3",
        expect![[r#"
              x `node-3` names no signal
                ,-[a.ron:13:53]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-3", kind: Bias(by: 3.0))),
                :                                                     ^^^^^^^^
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: write `device/part.quantity`; only Dropout, ClockSkew, AdcReference and Condensation befall a whole
                    device
        "#]],
    );
    check(
        "node-3/warm",
        "node-3/air",
        expect![[r#"
              x there is no actuator `air`
                ,-[a.ron:14:39]
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
             14 |     (at: "30min", do: Command(target: "node-3/air", level: 0.5)),
                :                                       ^^^^^^^^^^^^
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
                `----
              help: known: `warm`
        "#]],
    );
    check(
        "node-3/warm",
        "node-20/warm",
        expect![[r#"
             x there is no device `node-20`
               ,-[a.ron:14:39]
            13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
            14 |     (at: "30min", do: Command(target: "node-20/warm", level: 0.5)),
               :                                       ^^^^^^^^^^^^^^
            15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
               `----
             help: known: `box`, `node-0 … node-19`
        "#]],
    );
    check(
        "node-*/air.*@reading",
        "node-*/air.*@raeding",
        expect![[r#"
             x `raeding` is no kind of signal
               ,-[a.ron:18:23]
            17 |   ],
            18 |   record: ( signals: ["node-*/air.*@raeding"], segment: "10min" ),
               :                       ^^^^^^^^^^^^^^^^^^^^^^
            19 | )
               `----
             help: did you mean `reading`?
        "#]],
    );
    check(
        "node-*/air.*@reading",
        "knot-*/air.*@reading",
        expect![[r#"
              ! `knot-*/air.*@reading` names no signal of this scenario
                ,-[a.ron:18:23]
             17 |   ],
             18 |   record: ( signals: ["knot-*/air.*@reading"], segment: "10min" ),
                :                       ^^^^^^^^^^^^^^^^^^^^^^
             19 | )
                `----
              help: known: `box`, `house`, `node-0 … node-19`, `outside`, `room`
        "#]],
    );
}

#[test]
fn cyclic_zones() {
    check(
        r#"(id: "house","#,
        r#"(id: "house", in: "room","#,
        expect![[r#"
              x zones contain each other in a circle: house in room in house
               ,-[a.ron:5:39]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", in: "room", temperature_c: 20.0), (id: "room", in: "house") ] ),
               :                                       ^^^^^^                                         ^^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: take `in` away from the outermost zone
        "#]],
    );
    check(
        r#"(id: "house","#,
        r#"(id: "house", in: "house","#,
        expect![[r#"
              x zones contain each other in a circle: house in house
               ,-[a.ron:5:39]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", in: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               :                                       ^^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: take `in` away from the outermost zone
        "#]],
    );
}

#[test]
fn a_group_whose_own_id_is_wrong_is_told_alone() {
    // What the timeline calls `node-3` may well be one of them.
    check(
        "node-{}",
        "node",
        expect![[r#"
         x 20 devices cannot share the id `node`
          ,-[a.ron:8:10]
        7 |   fleet: [
        8 |     (id: "node", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
          :          ^^^^^^
        9 |     (id: "box", thing: "hot-box"),
          `----
         help: write `node-{}`: `{}` becomes 0, 1, …
    "#]],
    );
    check(
        "node-{}",
        "",
        expect![[r#"
         x a device needs a name
          ,-[a.ron:8:10]
        7 |   fleet: [
        8 |     (id: "", count: 20, thing: "node", in: ["house", "room"], link: "wifi"),
          :          ^^
        9 |     (id: "box", thing: "hot-box"),
          `----
         help: write one of letters, digits, `-` and `_`
    "#]],
    );
    check(
        "count: 20",
        "count: 0",
        expect![[r#"
         x a group has at least one device
          ,-[a.ron:8:28]
        7 |   fleet: [
        8 |     (id: "node-{}", count: 0, thing: "node", in: ["house", "room"], link: "wifi"),
          :                            ^
        9 |     (id: "box", thing: "hot-box"),
          `----
         help: write 1 or more, or take the group away
    "#]],
    );
}

#[test]
fn a_zone_twice_is_told_once() {
    check(
        r#"(id: "room", in: "house")"#,
        r#"(id: "room"), (id: "house", in: "house")"#,
        expect![[r#"
             x two zones have the id `house`
              ,-[a.ron:5:76]
            4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room"), (id: "house", in: "house") ] ),
              :                          ^^^|^^^                                           ^^^^^^^
              :                             `-- first here
            6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
              `----
             help: give each zone an id of its own: rename one of the two, or take it away
        "#]],
    );
}

#[test]
fn what_is_wrong_with_a_desired_state_is_told_where_it_stands() {
    let at = |from: &str, to: &str| {
        let text = GOOD.replacen(
            r#"Command(target: "node-3/warm", level: 0.5)"#,
            r#"Desire(target: "node-3/warm", level: 0.5)"#,
            1,
        );
        assert!(text.contains(from), "{from}");
        let report = report(&text.replacen(from, to, 1));
        let told = |d: &Diagnostic| {
            let (file, line, column) = d.place().unwrap();
            format!("{file}:{line}:{column} {}", d.message())
        };
        report.items().iter().map(told).collect::<Vec<_>>()
    };
    let takes_none = "the firmware of `node-3` takes no command for `warm`";
    assert_eq!(at("node-3/warm", "node-3/warm"), [format!("a.ron:14:38 {takes_none}")]);
    assert_eq!(at("node-3/warm", "node-3/wram"), ["a.ron:14:38 there is no actuator `wram`"]);
    assert_eq!(at("node-3/warm", "node-77/warm"), ["a.ron:14:38 there is no device `node-77`"]);
    let both = at("level: 0.5", "level: 1.5");
    assert!(both.len() == 2 && both.iter().all(|told| told.starts_with("a.ron:14:")), "{both:?}");
    assert!(both.iter().any(|told| told.starts_with("a.ron:14:60 ")), "its level: {both:?}");
    let until = at("(at: \"30min\", do: Desire", "(at: \"30min\", until: \"40min\", do: Desire");
    assert!(until.iter().any(|told| told.contains("said once, and nothing takes it back")), "{until:?}");
    // Where it stands further down, so is its error.
    let down = at("(at: \"30min\", do: Desire", "\n    // Later.\n    (at: \"30min\", do: Desire");
    assert_eq!(down, [format!("a.ron:16:38 {takes_none}")]);
}

#[test]
fn a_zone_and_a_device_of_one_id_are_a_mistake() {
    let said = report(&GOOD.replacen("id: \"room\"", "id: \"node-3\"", 1)).render(Style::Plain);
    assert!(said.contains("a zone and a device have the id `node-3`"), "{said}");
}
