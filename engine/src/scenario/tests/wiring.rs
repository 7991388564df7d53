//! Parts on boards: pins, buses, addresses.

use super::*;

#[test]
fn wiring() {
    let soil = r#"(id: "soil", model: "soil", on: Pin("A1"))"#;
    let air = |id: &str, address: u8| format!(r#"(id: "{id}", model: "bme280", on: I2c({address:#04x}))"#);
    check(
        soil,
        &format!("{}, {}", air("a", 0x76), air("b", 0x76)),
        expect![[r#"
              x two parts share the address 0x76 of one I2C bus
                ,-[a.ron:11:146]
             11 | t-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76)) ]) ],
                :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^
                :                                                                                     `-- first here
                `----
              help: `bme280` also answers to 0x77
        "#]],
    );
    check(
        soil,
        &air("a", 0x40),
        expect![[r#"
              x `bme280` does not answer to 0x40
                ,-[a.ron:11:103]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x40)) ]) ],
                :                                                                                                       ^^^^^^^^^
             12 |   timeline: [
                `----
              help: its addresses: 0x76, 0x77
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: Pin("D2"))"#,
        expect![[r#"
              x pin `D2` of `devkit` is not Analog
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("D2")) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: pins that fit: A1
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: Pin("A7"))"#,
        expect![[r#"
              x `devkit` has no pin `A7`
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("A7")) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: did you mean `A1`?
        "#]],
    );
    check(
        soil,
        r#"(id: "soil", model: "soil", on: I2c(0x20))"#,
        expect![[r#"
              x `soil` cannot be wired like this
                ,-[a.ron:11:104]
             10 |   ],
             11 |   things: [ (name: "hot-box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: I2c(0x20)) ]) ],
                :                                                                                                        ^^^^^^^^^
             12 |   timeline: [
                `----
              help: write `on: Pin("…")`
        "#]],
    );
    check(
        soil,
        &format!("{soil}, {}", soil.replace(r#"id: "soil""#, r#"id: "wet""#)),
        expect![[r#"
             x two parts use pin `A1`
               ,-[a.ron:11:147]
            11 | -box", source: "own", board: "devkit", parts: [ (id: "soil", model: "soil", on: Pin("A1")), (id: "wet", model: "soil", on: Pin("A1")) ]) ],
               :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^
               :                                                                                     `-- first here
               `----
             help: `A1` cannot be shared: use another board, or leave a part out
        "#]],
    );
    let sda = r#"(id: "h", model: "heater", on: Pin("D21"))"#;
    check(
        soil,
        &format!("{}, {sda}", air("a", 0x76)),
        expect![[r#"
             x two parts use pin `D21`
               ,-[a.ron:11:146]
            11 | t-box", source: "own", board: "devkit", parts: [ (id: "a", model: "bme280", on: I2c(0x76)), (id: "h", model: "heater", on: Pin("D21")) ]) ],
               :                                                                                 ^^^^|^^^^                                  ^^^^^^^^^^
               :                                                                                     `-- first here
               `----
             help: pins that are free: A1, D1, D2
        "#]],
    );
    check(
        &format!(r#"board: "devkit", parts: [ {soil}"#),
        &format!(r#"board: "bare", parts: [ {soil}"#),
        expect![[r#"
             x `soil` gives a voltage, but `bare` has no ADC
               ,-[a.ron:11:102]
            10 |   ],
            11 |   things: [ (name: "hot-box", source: "own", board: "bare", parts: [ (id: "soil", model: "soil", on: Pin("A1")) ]) ],
               :                                                                                                      ^^^^^^^^^
            12 |   timeline: [
               `----
             help: a board with analogue inputs (`twinfleet list boards`), a converter beside it (`ads1115`, `mcp3008`:
                   see `Pin("adc.0")`), or a part with a digital bus, would do
        "#]],
    );
}
