//! Figures out of their range, and times that do not fit each other.

use super::*;

#[test]
fn ranges() {
    check(
        "loss: 0.01",
        "loss: 1.5",
        expect![[r#"
             x `loss` must lie within 0 and 1, but is 1.5
              ,-[a.ron:6:52]
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
            6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 1.5) ],
              :                                                    ^^^
            7 |   fleet: [
              `----
             help: if that is a percentage: 1.5 % is written 0.015
        "#]],
    );
    check(
        "temperature_c: 20.0",
        "temperature_c: -300.0",
        expect![[r#"
             x -300.0 is out of range: a temperature in °C lies within -273.15 and 2000
              ,-[a.ron:5:50]
            4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
            5 |   world: ( zones: [ (id: "house", temperature_c: -300.0), (id: "room", in: "house") ] ),
              :                                                  ^^^|^^
              :                                                     `-- `temperature_c`
            6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
              `----
             help: nothing is colder than -273.15 °C
        "#]],
    );
    check(
        "temperature_c: 20.0",
        "temperature_c: 293.15",
        expect![[r#"
              ! 293.15 °C is hot for a place where devices live
               ,-[a.ron:5:50]
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
             5 |   world: ( zones: [ (id: "house", temperature_c: 293.15), (id: "room", in: "house") ] ),
               :                                                  ^^^^^^
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
               `----
              help: is it in kelvin?
        "#]],
    );
    check(
        "sound_db: 100.0",
        "sound_db: NaN",
        expect![[r#"
              x `NaN` is no figure a simulation can use
                ,-[a.ron:16:55]
             15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
             16 |     (at: "40min", do: Disturb(zone: "room", sound_db: NaN)),
                :                                                       ^^^
             17 |   ],
                `----
              help: write a finite number
        "#]],
    );
    check(
        "level: 0.5",
        "level: 50.0",
        expect![[r#"
             x `level` must lie within 0 and 1, but is 50
               ,-[a.ron:14:61]
            13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
            14 |     (at: "30min", do: Command(target: "node-3/warm", level: 50.0)),
               :                                                             ^^^^
            15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
               `----
             help: if that is a percentage: 50 % is written 0.5
        "#]],
    );
    check(
        r#"step: "1s""#,
        r#"step: "0s""#,
        expect![[r#"
             x the step must be above 0 s
              ,-[a.ron:4:34]
            3 |   about: "a test",
            4 |   seed: 3, duration: "1h", step: "0s", start: "2026-06-21T00:00:00Z",
              :                                  ^^^^
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
              `----
             help: leave it out for "1s"
        "#]],
    );
    check(
        "count: 20",
        "count: 4000000000",
        expect![[r#"
              x the fleet has 28000000000 signals up to here; a run holds 4294967295 at most
               ,-[a.ron:8:28]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 4000000000, thing: "node", in: ["house", "room"], link: "wifi"),
               :                            ^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: split the fleet over several scenarios, or over shards
        "#]],
    );
    check(
        r#"until: "20min""#,
        r#"until: "5min""#,
        expect![[r#"
             x the event ends before it begins
               ,-[a.ron:13:26]
            12 |   timeline: [
            13 |     (at: "10min", until: "5min", do: Fault(target: "node-*/air.temperature", kind: Bias(by: 3.0))),
               :          ^^^|^^^         ^^^^^^
               :             `-- begins here
            14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
               `----
             help: exchange the two; both count from the start of the run
        "#]],
    );
    check(
        r#"at: "40min""#,
        r#"at: "2h""#,
        expect![[r#"
             ! this lies beyond the end of the run, 1h
               ,-[a.ron:16:10]
            15 |     (at: "30min", until: "31min", do: LinkDown(link: "wifi")),
            16 |     (at: "2h", do: Disturb(zone: "room", sound_db: 100.0)),
               :          ^^^^
            17 |   ],
               `----
             help: it will not happen; times count from the start of the run
        "#]],
    );
    check(
        "2026-06-21T",
        "2026-06-31T",
        expect![[r#"
              x `2026-06-31T00:00:00Z` is no time
               ,-[a.ron:4:47]
             3 |   about: "a test",
             4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-31T00:00:00Z",
               :                                               ^^^^^^^^^^^^^^^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: write YYYY-MM-DDTHH:MM:SSZ, such as "2026-06-21T00:00:00Z"
        "#]],
    );
}

#[test]
fn a_run_is_whole_steps_long() {
    check(
        r#"step: "1s""#,
        r#"step: "7s""#,
        expect![[r#"
         x the run is no whole number of steps of 7s
          ,-[a.ron:4:22]
        3 |   about: "a test",
        4 |   seed: 3, duration: "1h", step: "7s", start: "2026-06-21T00:00:00Z",
          :                      ^^^^
        5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
          `----
         help: write duration: "59min58s" or "1h5s"
    "#]],
    );
}

#[test]
fn a_clock_that_runs_backwards() {
    check(
        "kind: Bias(by: 3.0)",
        "kind: ClockSkew(ppm: -2e6)",
        expect![[r#"
         x a clock that is slow by 1000000 ppm stands still, by more runs backwards
           ,-[a.ron:13:100]
        12 |   timeline: [
        13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: ClockSkew(ppm: -2e6))),
           :                                                                                                    ^^^^
        14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
           `----
         help: a crystal is off by 10 to 100 ppm, a bad one by 10000
    "#]],
    );
    check(
        "kind: Bias(by: 3.0)",
        "kind: ClockSkew(ppm: inf)",
        expect![[r#"
         x `inf` is no figure a simulation can use
           ,-[a.ron:13:100]
        12 |   timeline: [
        13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: ClockSkew(ppm: inf))),
           :                                                                                                    ^^^
        14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
           `----
         help: write a finite number
    "#]],
    );
    check("kind: Bias(by: 3.0)", "kind: ClockSkew(ppm: -999999)", expect![[""]]);
}

#[test]
fn rigid_bodies_are_checked_before_they_are_built() {
    let scene = |body: &str, want: Expect| {
        check("world: (", &format!("world: ( scene: ( bodies: [ (id: \"box\", {body}) ] ),"), want);
    };
    scene(
        "kind: Dynamic, shape: Sphere(radius_m: 0.1)",
        expect![[r#"
         x a Dynamic body needs its mass
          ,-[a.ron:5:31]
        5 |   world: ( scene: ( bodies: [ (id: "box", kind: Dynamic, shape: Sphere(radius_m: 0.1)) ] ), zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] )
          :                               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          `----
         help: add it, such as `mass_kg: 1.2`
    "#]],
    );
    scene(
        "kind: Fixed, shape: Sphere(radius_m: -1)",
        expect![[r#"
         x every size must lie within 1 mm and 1 km
          ,-[a.ron:5:63]
        5 |   world: ( scene: ( bodies: [ (id: "box", kind: Fixed, shape: Sphere(radius_m: -1)) ] ), zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ]
          :                                                               ^^^^^^^^^^^^^^^^^^^^
          `----
         help: sizes are in metres: 20 cm are written 0.2
    "#]],
    );
    scene(
        "kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: 0",
        expect![[r#"
         x 0 is out of range: a mass is above 0
          ,-[a.ron:5:97]
        5 | : ( bodies: [ (id: "box", kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: 0) ] ), zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ]
          :                                                                                 |
          :                                                                                 `-- `mass_kg`
          `----
         help: write a number above 0
    "#]],
    );
}

#[test]
fn joints_are_checked_where_they_stand() {
    let scene = |joint: &str, want: Expect| {
        let bodies = r#"(id: "hook", kind: Fixed, shape: Sphere(radius_m: 0.1)),
          (id: "bob", kind: Dynamic, shape: Sphere(radius_m: 0.1), mass_kg: 1)"#;
        let text = format!("world: (\n    scene: ( bodies: [ {bodies} ],\n      {joint} ),");
        check("world: (", &text, want);
    };
    scene(
        r#"joints: [ (id: "pivot", between: ("hook", "bub"), at_m: (0, 0, 1), axis: (0, 1, 0)) ]"#,
        expect![[r#"
             x the scene has no body `bub`
              ,-[a.ron:8:49]
            8 |       joints: [ (id: "pivot", between: ("hook", "bub"), at_m: (0, 0, 1), axis: (0, 1, 0)) ] ), zones: [ (id: "house", temperature_c:
              :                                                 ^^^^^
              `----
             help: did you mean `bob`?
        "#]],
    );
    scene(
        r#"joints: [ (id: "pivot", between: ("hook", "bob"), at_m: (0, 0, 1), axis: (0, 0, 0)) ]"#,
        expect![[r#"
             x an axis needs a direction
              ,-[a.ron:8:80]
            8 |       joints: [ (id: "pivot", between: ("hook", "bob"), at_m: (0, 0, 1), axis: (0, 0, 0)) ] ), zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ]
              :                                                                                ^^^^^^^^^
              `----
             help: such as (0, 1, 0), along y; its length does not matter
        "#]],
    );
    scene(
        r#"rotors: [ (id: "bob", body: "bob", axis: (0, 0, 1), unbalance_g_mm: 10, drive: (speeds: [(rpm: 30000)])) ]"#,
        expect![[r#"
              x the scene has a `bob` already: bodies[1]
               ,-[a.ron:8:22]
             8 |       rotors: [ (id: "bob", body: "bob", axis: (0, 0, 1), unbalance_g_mm: 10, drive: (speeds: [(rpm: 30000
               :                      ^^^^^
               `----
              help: give it an id of its own
              x sub-steps of 1ms follow no more than 20000 turns a minute
               ,-[a.ron:8:102]
             8 | "bob", body: "bob", axis: (0, 0, 1), unbalance_g_mm: 10, drive: (speeds: [(rpm: 30000)])) ] ), zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house")
               :                                                                                 ^^^^^
               `----
              help: slow it down, or shorten the scene's `substep`
            2 errors
        "#]],
    );
}

#[test]
fn what_changes_nothing_is_told() {
    let said = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        report(&GOOD.replacen(from, to, 1)).to_string()
    };
    let event = "sound_db: 100.0";
    for (from, to, want) in [
        (
            event,
            "heat_w: 500.0",
            "a.ron:16:53: warning: `heat_w` changes nothing: without `heat_capacity_j_k`",
        ),
        (event, "air_changes_per_h: 9.0", "`air_changes_per_h` changes nothing: without `volume_m3`"),
        (event, "heat_w: 0.0", "warning: this disturbs nothing"),
        (r#"in: "house") ]"#, r#"in: "house", solar_m2: 9.0) ]"#, "`solar_m2` changes nothing"),
        (r#"in: "house") ]"#, r#"in: "house", outside_w_k: 9.0) ]"#, "`outside_w_k` changes nothing"),
        (r#"in: "house") ]"#, r#"in: "house", vapour_g_h: 9.0) ]"#, "`vapour_g_h` changes nothing"),
        (r#"at: "40min""#, r#"at: "1h""#, "warning: this lies at the end of the run, 1h"),
    ] {
        let report = said(from, to);
        assert!(report.contains(want) && report.lines().count() == 1, "{to}: {report}");
    }
    // What has a capacity and a volume is moved by both, and what ends with the run is in time.
    let zone = r#"in: "house", heat_capacity_j_k: 1e5, volume_m3: 30.0, heat_w: 9.0, vapour_g_h: 9.0) ]"#;
    let text = GOOD.replacen(r#"in: "house") ]"#, zone, 1);
    let text = text.replacen(event, "heat_w: 500.0, air_changes_per_h: 9.0", 1);
    assert_eq!(report(&text.replacen(r#"at: "40min""#, r#"at: "40min", until: "1h""#, 1)).to_string(), "");
}
