//! Fields and variants: unknown, missing, given twice, of another kind.

use super::*;

#[test]
fn shape() {
    check(
        "duration:",
        "duratoin:",
        expect![[r#"
              x there is no field `duratoin` in a Scenario
               ,-[a.ron:4:12]
             3 |   about: "a test",
             4 |   seed: 3, duratoin: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               :            ^^^^|^^^
               :                `-- unknown field
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: did you mean `duration`?
        "#]],
    );
    check(
        "count: 20",
        "cuont: 20",
        expect![[r#"
              x there is no field `cuont` in a Group
               ,-[a.ron:8:21]
             7 |   fleet: [
             8 |     (id: "node-{}", cuont: 20, thing: "node", in: ["house", "room"], link: "wifi"),
               :                     ^^|^^
               :                       `-- unknown field
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: did you mean `count`?
        "#]],
    );
    check(
        "kind: Bias(by: 3.0)",
        "kind: Bais(by: 3.0)",
        expect![[r#"
              x there is no variant `Bais` in a Fault
                ,-[a.ron:13:85]
             12 |   timeline: [
             13 |     (at: "10min", until: "20min", do: Fault(target: "node-*/air.temperature", kind: Bais(by: 3.0))),
                :                                                                                     ^^|^
                :                                                                                       `-- unknown variant
             14 |     (at: "30min", do: Command(target: "node-3/warm", level: 0.5)),
                `----
              help: did you mean `Bias`?
        "#]],
    );
    check(
        r#"thing: "node", in"#,
        "in",
        expect![[r#"
             x the field `thing` is missing in a Group
              ,-[a.ron:8:5]
            7 |   fleet: [
            8 |     (id: "node-{}", count: 20, in: ["house", "room"], link: "wifi"),
              :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              :                                   `-- needs `thing: …`
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: add `thing: …` within these brackets
        "#]],
    );
    check(
        "count: 20",
        "count: -1",
        expect![[r#"
             x `count` cannot be -1
              ,-[a.ron:8:28]
            7 |   fleet: [
            8 |     (id: "node-{}", count: -1, thing: "node", in: ["house", "room"], link: "wifi"),
              :                            ^^
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: it is too large, or negative where that makes no sense
        "#]],
    );
    check(
        "count: 20",
        r#"count: "many""#,
        expect![[r#"
             x `count` must be a whole number, not "many"
              ,-[a.ron:8:28]
            7 |   fleet: [
            8 |     (id: "node-{}", count: "many", thing: "node", in: ["house", "room"], link: "wifi"),
              :                            ^^^^^^
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: write count: 20
        "#]],
    );
    check(
        r#"duration: "1h""#,
        r#"duration: "1 fortnight""#,
        expect![[r#"
             x `1 fortnight` is no duration
              ,-[a.ron:4:22]
            3 |   about: "a test",
            4 |   seed: 3, duration: "1 fortnight", step: "1s", start: "2026-06-21T00:00:00Z",
              :                      ^^^^^^^^^^^^^
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
              `----
             help: write a number and a unit, such as "90s", "1h30min", "250ms" or "2d"
        "#]],
    );
    check(
        "seed: 3,",
        "seed: 3, seed: 4,",
        expect![[r#"
             x the field `seed` is given twice in a Scenario
              ,-[a.ron:4:12]
            3 |   about: "a test",
            4 |   seed: 3, seed: 4, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
              :            ^^|^
              :              `-- given again
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
              `----
             help: take one of the two away
        "#]],
    );
    check(
        r#"in: ["house", "room"]"#,
        r#"in: "house""#,
        expect![[r#"
             x `in` must be a list, not "house"
              ,-[a.ron:8:51]
            7 |   fleet: [
            8 |     (id: "node-{}", count: 20, thing: "node", in: "house", link: "wifi"),
              :                                                   ^^^^^^^
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: write in: ["house"]
        "#]],
    );
}

#[test]
fn a_value_of_another_kind_is_named_with_its_field() {
    check(
        "temperature_c: 20.0",
        "temperature_c: \"20 F\"",
        expect![[r#"
         x `temperature_c` must be a number, not "20 F"
          ,-[a.ron:5:50]
        4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
        5 |   world: ( zones: [ (id: "house", temperature_c: "20 F"), (id: "room", in: "house") ] ),
          :                                                  ^^^^^^
        6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
          `----
         help: write temperature_c: 20, if that is in the unit that its name says
    "#]],
    );
    check(
        "count: 20",
        "count: 2.5",
        expect![[r#"
             x `count` must be a whole number, not 2.5
              ,-[a.ron:8:28]
            7 |   fleet: [
            8 |     (id: "node-{}", count: 2.5, thing: "node", in: ["house", "room"], link: "wifi"),
              :                            ^^^
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: write count: 2, or the next one
        "#]],
    );
    check(
        "about: \"a test\"",
        "about: 7",
        expect![[r#"
         x `about` must be a text in quotes, not 7
          ,-[a.ron:3:10]
        2 |   format: 1,
        3 |   about: 7,
          :          ^
        4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
          `----
         help: write about: "7"
    "#]],
    );
    check(
        "world: (",
        "world: 7, x: (",
        expect![[r#"
         x `world` must be a struct, not 7
          ,-[a.ron:5:10]
        4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
        5 |   world: 7, x: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
          :          ^
        6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
          `----
         help: structs are written world: (name: value, …)
    "#]],
    );
    check(
        "links: [",
        "links: [ (id: \"air\", radio: (tx_dbm: 17.0, distance_m: [3.0, 60.0])), ",
        expect![[r#"
             x `distance_m` must be in round brackets, not [3.0, 60.0]
              ,-[a.ron:6:58]
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
            6 |   links: [ (id: "air", radio: (tx_dbm: 17.0, distance_m: [3.0, 60.0])),  (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
              :                                                          ^^^^^^^^^^^
            7 |   fleet: [
              `----
             help: write distance_m: (3.0, 60.0)
        "#]],
    );
    check(
        "links: [",
        "links: [ (id: \"air\", radio: (tx_dbm: 17.0, distance_m: (3.0,))), ",
        expect![[r#"
             x `distance_m` has 1 value, a tuple of size 2 was expected
              ,-[a.ron:6:58]
            5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
            6 |   links: [ (id: "air", radio: (tx_dbm: 17.0, distance_m: (3.0,))),  (id: "wifi", latency_min_ms: 3.0, loss: 0.01) ],
              :                                                          ^^^^^^
            7 |   fleet: [
              `----
             help: write 2 values: (a, b)
        "#]],
    );
}

#[test]
fn an_expectation_is_shown_where_it_is_wrong() {
    let expect =
        |to: &str, want: Expect| check("  record: (", &format!("  expect: [{to}],\n  record: ("), want);
    expect(
        r#"Always(name: "cold", signal: "house/air.temperature@trth", below: 3)"#,
        expect![[r#"
         x `trth` is no kind of signal
           ,-[a.ron:18:64]
        17 |   ],
        18 |   expect: [Always(name: "cold", signal: "house/air.temperature@trth", below: 3)],
           :                                                                ^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: use one of truth, reading, reported, estimate, forecast, residual, verdict
    "#]],
    );
    expect(
        r#"Always(name: "cold", signal: "house", below: 3)"#,
        expect![[r#"
         x `house` names no part
           ,-[a.ron:18:41]
        17 |   ],
        18 |   expect: [Always(name: "cold", signal: "house", below: 3)],
           :                                         ^^^^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: signals are written `device/part.quantity@kind`, such as "node-*/bme280.temperature@reading"
    "#]],
    );
    expect(
        r#"Always(name: "cold", signal: "house/air.*", between: (9, 3))"#,
        expect![[r#"
         x the bounds 9 and 3 hold no value
           ,-[a.ron:18:65]
        17 |   ],
        18 |   expect: [Always(name: "cold", signal: "house/air.*", between: (9, 3))],
           :                                                                 ^^^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: write the lower one first
    "#]],
    );
    expect(
        r#"Always(name: "cold", signal: "house/air.*")"#,
        expect![[r#"
         x Always needs exactly one of above, below, between
           ,-[a.ron:18:12]
        17 |   ],
        18 |   expect: [Always(name: "cold", signal: "house/air.*")],
           :            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: write `between: (low, high)`, say, and take the others away
    "#]],
    );
    expect(
        r#"Never(name: "cold")"#,
        expect![[r#"
         x Never needs exactly one of signal, verdict, event
           ,-[a.ron:18:12]
        17 |   ],
        18 |   expect: [Never(name: "cold")],
           :            ^^^^^^^^^^^^^^^^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: write `signal: "device/part.quantity@kind"`, `verdict: Any` or `event: (kind: "brown_out")`
    "#]],
    );
    expect(
        r#"Never(name: "cold", verdict: Any, after: "2h", before: "1h")"#,
        expect![[r#"
         x Never looks at no time: `before` (1h) is not after `after` (2h)
           ,-[a.ron:18:53]
        17 |   ],
        18 |   expect: [Never(name: "cold", verdict: Any, after: "2h", before: "1h")],
           :                                                     ^^^^
        19 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
           `----
         help: write a later `before`
    "#]],
    );
}
