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
        "#]],
    );
    check(
        "count: 20",
        "count: -1",
        expect![[r#"
              x the number does not fit: it is too large, or negative where that makes no sense
               ,-[a.ron:8:28]
             7 |   fleet: [
             8 |     (id: "node-{}", count: -1, thing: "node", in: ["house", "room"], link: "wifi"),
               :                            ^^
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        "count: 20",
        r#"count: "many""#,
        expect![[r#"
              x expected a whole number
               ,-[a.ron:8:5]
             7 |   fleet: [
             8 |     (id: "node-{}", count: "many", thing: "node", in: ["house", "room"], link: "wifi"),
               :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
        "#]],
    );
    check(
        r#"duration: "1h""#,
        r#"duration: "1 fortnight""#,
        expect![[r#"
              x `1 fortnight` is no duration: write a number and a unit, such as "90s", "1h30min", "250ms" or "2d"
               ,-[a.ron:4:22]
             3 |   about: "a test",
             4 |   seed: 3, duration: "1 fortnight", step: "1s", start: "2026-06-21T00:00:00Z",
               :                      ^^^^^^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
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
        "#]],
    );
    check(
        r#"in: ["house", "room"]"#,
        r#"in: "house""#,
        expect![[r#"
              x expected a list
               ,-[a.ron:8:5]
             7 |   fleet: [
             8 |     (id: "node-{}", count: 20, thing: "node", in: "house", link: "wifi"),
               :     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
             9 |     (id: "box", thing: "hot-box"),
               `----
              help: lists are written [a, b]
        "#]],
    );
}
