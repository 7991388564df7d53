//! A thing's dynamics: names, figures, units.

use super::*;

const NETWORK: &str = r#"Scenario(
  format: 1, duration: "1h",
  things: [ (name: "hot-box", source: "own", dynamics: (
    parameters: {
      "m": (value: 0.5, unit: "kg"),
      "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
      "u": (value: 8.0, unit: "W/(m²·K)"),
      "area": (value: 0.1, unit: "m2"),
      "power": (value: 40.0, unit: "W"),
      "alpha": (value: 0.4, unit: "W/percent"),
      "tau": (value: 20.0, unit: "s"),
      "room": (value: 21.0, unit: "degC"),
      "plain": (value: 1.0),
    },
    inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
    boundaries: [(name: "air", at: Parameter("room"))],
    storages: [
      (name: "box", capacity: "m * cp"),
      (name: "lid", capacity: "0.1 * m * cp"),
    ],
    conductances: [
      (between: ("box", "air"), value: "u * area"),
      (between: ("box", "lid"), value: "plain"),
      (between: ("lid", "air"), value: "u * area", exponent: 1.25),
    ],
    radiation: [(between: ("lid", "air"), area_m2: "0.9 * area")],
    sources: [
      (into: "box", gain: "alpha", input: "heater.level"),
      (into: "box", gain: "0.01 * power", input: "heater.level"),
      (into: "lid", gain: "power"),
    ],
    outputs: [(signal: "probe.temperature", node: "box", lag_s: "tau")],
  )) ],
)
"#;

/// Replaces a piece of the network and shows what is said about it.
fn network(from: &str, to: &str, want: Expect) {
    assert!(NETWORK.contains(from), "`{from}` is not in the network");
    want.assert_eq(&dedented(report(&NETWORK.replacen(from, to, 1)).render(Style::Plain)));
}

#[test]
fn what_is_wrong_within_a_network_is_shown_where_it_stands() {
    network(
        r#"("box", "air"), value"#,
        r#"("box", "aair"), value"#,
        expect![[r#"
             x conductance `box`–`aair`: there is no node `aair` (did you mean `air`?)
               ,-[a.ron:22:25]
            21 |     conductances: [
            22 |       (between: ("box", "aair"), value: "u * area"),
               :                         ^^^^^^
            23 |       (between: ("box", "lid"), value: "plain"),
               `----
             help: write `air`
        "#]],
    );
    network(
        r#"("lid", "air"), value: "u * area""#,
        r#"("lid", "air"), value: "u * aera""#,
        expect![[r#"
             x conductance `lid`–`air`: there is no parameter `aera` (did you mean `area`?)
               ,-[a.ron:24:40]
            23 |       (between: ("box", "lid"), value: "plain"),
            24 |       (between: ("lid", "air"), value: "u * aera", exponent: 1.25),
               :                                        ^^^^^^^^^^
            25 |     ],
               `----
             help: write `area`
        "#]],
    );
    network(
        r#"("box", "lid"), value: "plain""#,
        r#"("box", "lid"), value: "plain + 1""#,
        expect![[r#"
             x conductance `box`–`lid`: there is no parameter `plain + 1` (did you mean `plain`?)
               ,-[a.ron:23:40]
            22 |       (between: ("box", "air"), value: "u * area"),
            23 |       (between: ("box", "lid"), value: "plain + 1"),
               :                                        ^^^^^^^^^^^
            24 |       (between: ("lid", "air"), value: "u * area", exponent: 1.25),
               `----
             help: write `plain`
        "#]],
    );
    network(
        "exponent: 1.25",
        "exponent: 7",
        expect![[r#"
             x conductance `lid`–`air`: its exponent must be between 1 and 4
               ,-[a.ron:24:62]
            23 |       (between: ("box", "lid"), value: "plain"),
            24 |       (between: ("lid", "air"), value: "u * area", exponent: 7),
               :                                                              ^
            25 |     ],
               `----
             help: README, "How to add", tells what a network is made of; `tclab` and `raspberry-pi-3b` are examples
        "#]],
    );
    network(
        "bounds: (100.0, 5000.0)",
        "bounds: (1000.0, 5000.0)",
        expect![[r#"
             x parameter `cp`: its value must be a number within its bounds
              ,-[a.ron:6:21]
            5 |       "m": (value: 0.5, unit: "kg"),
            6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (1000.0, 5000.0), prior: Log(0.3)),
              :                     ^^^^^
            7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
              `----
             help: README, "How to add", tells what a network is made of; `tclab` and `raspberry-pi-3b` are examples
        "#]],
    );
    network(
        r#"node: "box""#,
        r#"node: "bx""#,
        expect![[r#"
             x output `probe.temperature`: there is no storage `bx`
               ,-[a.ron:32:51]
            31 |     ],
            32 |     outputs: [(signal: "probe.temperature", node: "bx", lag_s: "tau")],
               :                                                   ^^^^
            33 |   )) ],
               `----
             help: it has box, lid, air
        "#]],
    );
    network(
        r#"(name: "lid""#,
        r#"(name: "box""#,
        expect![[r#"
             x `box` is defined twice
               ,-[a.ron:19:14]
            18 |       (name: "box", capacity: "m * cp"),
            19 |       (name: "box", capacity: "0.1 * m * cp"),
               :              ^^^^^
            20 |     ],
               `----
             help: give each node, input and output a name of its own
        "#]],
    );
    network(
        r#"Parameter("room")"#,
        r#"Parameter("rom")"#,
        expect![[r#"
             x boundaries: there is no parameter `rom` (did you mean `room`?)
               ,-[a.ron:16:46]
            15 |     inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
            16 |     boundaries: [(name: "air", at: Parameter("rom"))],
               :                                              ^^^^^
            17 |     storages: [
               `----
             help: write `room`
        "#]],
    );
    network(
        "range: (0.0, 100.0)",
        "range: (100.0, 0.0)",
        expect![[r#"
             x input `heater.level`: its range must ascend and its correlation be above 0 s
               ,-[a.ron:15:63]
            14 |     },
            15 |     inputs: [(signal: "heater.level", unit: "percent", range: (100.0, 0.0))],
               :                                                               ^^^^^^^^^^^^
            16 |     boundaries: [(name: "air", at: Parameter("room"))],
               `----
             help: README, "How to add", tells what a network is made of; `tclab` and `raspberry-pi-3b` are examples
        "#]],
    );
}

#[test]
fn units_of_a_network_that_do_not_fit() {
    expect![[""]].assert_eq(&dedented(report(NETWORK).render(Style::Plain)));
    // One parameter of the wrong kind, and a product that comes to nothing of the sort.
    network(
        r#"value: "plain""#,
        r#"value: "cp""#,
        expect![[r#"
         x a conductance is in W/K, and `cp` is in J/kgK
          ,-[a.ron:6:34]
        5 |       "m": (value: 0.5, unit: "kg"),
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
          :                                  ^^^|^^^
          :                                     `-- `cp` is in J/kgK
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          `----
           ,-[a.ron:23:40]
        22 |       (between: ("box", "air"), value: "u * area"),
        23 |       (between: ("box", "lid"), value: "cp"),
           :                                        ^^^^
        24 |       (between: ("lid", "air"), value: "u * area", exponent: 1.25),
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in W/K
    "#]],
    );
    network(
        r#"capacity: "m * cp""#,
        r#"capacity: "alpha""#,
        expect![[r#"
         x a capacity is in J/K, and `alpha` is in W/percent
           ,-[a.ron:10:35]
         9 |       "power": (value: 40.0, unit: "W"),
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
           :                                   ^^^^^|^^^^^
           :                                        `-- `alpha` is in W/percent
        11 |       "tau": (value: 20.0, unit: "s"),
           `----
           ,-[a.ron:18:31]
        17 |     storages: [
        18 |       (name: "box", capacity: "alpha"),
           :                               ^^^^^^^
        19 |       (name: "lid", capacity: "0.1 * m * cp"),
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in J/K
    "#]],
    );
    network(
        r#"value: "u * area""#,
        r#"value: "u * m""#,
        expect![[r#"
         x a conductance is in W/K, and `u * m` does not come to that
          ,-[a.ron:5:31]
        4 |     parameters: {
        5 |       "m": (value: 0.5, unit: "kg"),
          :                               ^^|^
          :                                 `-- `m` is in kg
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          :                               ^^^^^|^^^^
          :                                    `-- `u` is in W/(m²·K)
        8 |       "area": (value: 0.1, unit: "m2"),
          `----
           ,-[a.ron:22:40]
        21 |     conductances: [
        22 |       (between: ("box", "air"), value: "u * m"),
           :                                        ^^^^^^^
        23 |       (between: ("box", "lid"), value: "plain"),
           `----
         help: check which parameters are multiplied, and each one's unit
    "#]],
    );
    // The right kind, but nothing converts it.
    network(
        r#"unit: "J/kgK""#,
        r#"unit: "kJ/kgK""#,
        expect![[r#"
         x a capacity is in J/K, and `m * cp` comes to 1000 times that
          ,-[a.ron:5:31]
        4 |     parameters: {
        5 |       "m": (value: 0.5, unit: "kg"),
          :                               ^^|^
          :                                 `-- `m` is in kg
        6 |       "cp": (value: 900.0, unit: "kJ/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
          :                                  ^^^^|^^^
          :                                      `-- `cp` is in kJ/kgK
        7 |       "u": (value: 8.0, unit: "W/(m²·K)"),
          `----
           ,-[a.ron:18:31]
        17 |     storages: [
        18 |       (name: "box", capacity: "m * cp"),
           :                               ^^^^^^^^
        19 |       (name: "lid", capacity: "0.1 * m * cp"),
           `----
         help: units are not converted: write the values in J/K or put the factor "1000 * …" before it
    "#]],
    );
    network(
        r#"unit: "s""#,
        r#"unit: "min""#,
        expect![[r#"
         x a lag is in s, and `tau` comes to 60 times that
           ,-[a.ron:11:34]
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
        11 |       "tau": (value: 20.0, unit: "min"),
           :                                  ^^|^^
           :                                    `-- `tau` is in min
        12 |       "room": (value: 21.0, unit: "degC"),
           `----
           ,-[a.ron:32:65]
        31 |     ],
        32 |     outputs: [(signal: "probe.temperature", node: "box", lag_s: "tau")],
           :                                                                 ^^^^^
        33 |   )) ],
           `----
         help: units are not converted: write the values in s or put the factor "60 * …" before it
    "#]],
    );
    network(
        r#"gain: "alpha", input"#,
        r#"gain: "power", input"#,
        expect![[r#"
         x this gain is in W/percent, and `power` comes to 0.01 times that
           ,-[a.ron:9:36]
         8 |       "area": (value: 0.1, unit: "m2"),
         9 |       "power": (value: 40.0, unit: "W"),
           :                                    ^|^
           :                                     `-- `power` is in W
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
           `----
           ,-[a.ron:28:27]
        27 |     sources: [
        28 |       (into: "box", gain: "power", input: "heater.level"),
           :                           ^^^^^^^
        29 |       (into: "box", gain: "0.01 * power", input: "heater.level"),
           `----
         help: units are not converted: write the values in W/percent or put the factor "0.01 * …" before it
    "#]],
    );
    network(
        r#"area_m2: "0.9 * area""#,
        r#"area_m2: "tau""#,
        expect![[r#"
         x an area is in m2, and `tau` is in s
           ,-[a.ron:11:34]
        10 |       "alpha": (value: 0.4, unit: "W/percent"),
        11 |       "tau": (value: 20.0, unit: "s"),
           :                                  ^|^
           :                                   `-- `tau` is in s
        12 |       "room": (value: 21.0, unit: "degC"),
           `----
           ,-[a.ron:26:52]
        25 |     ],
        26 |     radiation: [(between: ("lid", "air"), area_m2: "tau")],
           :                                                    ^^^^^
        27 |     sources: [
           `----
         help: was another parameter meant? if it is the right one, state its value and unit in m2
    "#]],
    );
    network(
        r#"value: 21.0, unit: "degC""#,
        r#"value: 294.0, unit: "K""#,
        expect![[r#"
         x the temperature of a boundary is in degC, and `room` is in `K`
           ,-[a.ron:12:36]
        11 |       "tau": (value: 20.0, unit: "s"),
        12 |       "room": (value: 294.0, unit: "K"),
           :                                    ^|^
           :                                     `-- stated here
        13 |       "plain": (value: 1.0),
           `----
           ,-[a.ron:16:36]
        15 |     inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
        16 |     boundaries: [(name: "air", at: Parameter("room"))],
           :                                    ^^^^^^^^^^^^^^^^^
        17 |     storages: [
           `----
         help: write `room`, its bounds too, in degC
    "#]],
    );
    network(
        r#"unit: "percent", range"#,
        r#"unit: "degC", range"#,
        expect![[r#"
             x `level` is a ratio, and `degC` is a temperature
               ,-[a.ron:15:45]
            14 |     },
            15 |     inputs: [(signal: "heater.level", unit: "degC", range: (0.0, 100.0))],
               :                                             ^^^^^^
            16 |     boundaries: [(name: "air", at: Parameter("room"))],
               `----
             help: write the unit of `heater.level` as `ratio`
        "#]],
    );
    // No unit is stated, or none of those that anything is reckoned from: nothing is said.
    for unit in ["", "BTU/h", "W/(l/min)", "mol/s", "W/lx^0.5", "kN·m"] {
        network(r#"unit: "W/percent""#, &format!("unit: \"{unit}\""), expect![[""]]);
    }
}

#[test]
fn units_of_a_network_that_are_none() {
    network(
        r#"unit: "kg""#,
        r#"unit: "furlong""#,
        expect![[r#"
         x `furlong` is no known unit
          ,-[a.ron:5:31]
        4 |     parameters: {
        5 |       "m": (value: 0.5, unit: "furlong"),
          :                               ^^^^^^^^^
        6 |       "cp": (value: 900.0, unit: "J/kgK", bounds: (100.0, 5000.0), prior: Log(0.3)),
          `----
         help: write it of units such as `W/K`, `J/(kg·K)`, `percent`, or leave `unit` out
    "#]],
    );
    // Once, where it stands, and not again where it is used.
    for (from, to, word) in [
        (r#"unit: "W/percent""#, r#"unit: "wat/percent""#, "wat"),
        (r#"value: 21.0, unit: "degC""#, r#"value: 21.0, unit: "degrees""#, "degrees"),
        (r#"unit: "percent", range"#, r#"unit: "parsnip", range"#, "parsnip"),
    ] {
        let said = report(&NETWORK.replacen(from, to, 1)).render(Style::Plain);
        assert!(said.contains(&format!("`{word}` is no known unit")), "{said}");
        assert_eq!(said.matches("a.ron:").count(), 1, "{said}");
    }
}

#[test]
fn what_drives_a_simulated_network_has_to_be_there() {
    let fleet = NETWORK.replace("  things:", "  fleet: [(id: \"box\", thing: \"hot-box\")],\n  things:");
    let said = |text: &str| dedented(report(text).render(Style::Plain));
    expect![[r#"
         x nothing drives the input `heater.level` of a simulated `hot-box`
           ,-[a.ron:16:23]
        15 |     },
        16 |     inputs: [(signal: "heater.level", unit: "percent", range: (0.0, 100.0))],
           :                       ^^^^^^^^^^^^^^
        17 |     boundaries: [(name: "air", at: Parameter("room"))],
           `----
         help: an input is `zone.<quantity>`, `outside.<quantity>` or `<actuator part>.level`
    "#]]
    .assert_eq(&said(&fleet));
    expect![[r#"
         x there is no quantity of `outside` called `wnd`
           ,-[a.ron:16:23]
        15 |     },
        16 |     inputs: [(signal: "outside.wnd", unit: "percent", range: (0.0, 100.0))],
           :                       ^^^^^^^^^^^^^
        17 |     boundaries: [(name: "air", at: Parameter("room"))],
           `----
         help: did you mean `wind`?
    "#]]
    .assert_eq(&said(&fleet.replace("heater.level", "outside.wnd")));
}

#[test]
fn heat_that_flows_from_a_node_to_itself_is_a_mistake() {
    let text = NETWORK.replacen(r#"("box", "lid")"#, r#"("box", "box")"#, 1);
    let said = report(&text).render(Style::Plain);
    assert!(said.contains("leads from `box` to itself") && said.contains("a.ron:"), "{said}");
}
