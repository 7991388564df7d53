//! What a user sees of a file that is wrong: one error with its place, a caret and a suggestion, exit 2, and nothing written.
//!
//! Run with `UPDATE_EXPECT=1` to take what is said now, and read the difference.

use super::common::scratch;
use expect_test::{Expect, expect};
use std::{collections::BTreeSet, path::Path, process::Command};

/// A scenario that is right, of simulated devices and of a recorded one.
const GOOD: &str = r#"Scenario(
  format: 1,
  about: "a test",
  duration: "5min", step: "1s",
  world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
  links: [(id: "wifi", loss: 0.01)],
  fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
  physicals: [(
    id: "pi",
    from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
    publish: (topic: "lab/{device}"),
  )],
  expect: [
    Always(signal: "node-*/bme280.temperature@reading", between: (-40.0, 85.0)),
    Never(verdict: Any),
  ],
)
"#;
const TABLE: &str = "time,temp\n0,20.5\n1,20.6\n2,20.7\n3,20.8\n4,20.9\n";

/// Runs the command among `files`, and asserts that it refuses them, says so once, and leaves the folder as it was.
fn refused_among(files: &[(&str, &[u8])], args: &[&str], want: &Expect) {
    let dir = scratch();
    for (name, bytes) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let before = listing(dir.path());
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    want.assert_eq(&dedented(&said));
    assert_eq!(ran.status.code(), Some(2), "{said}");
    assert_eq!(listing(dir.path()), before, "something was written");
    assert!(ran.stdout.is_empty(), "{}", String::from_utf8_lossy(&ran.stdout));
}

/// Runs the good scenario with this table.
fn table(text: impl AsRef<[u8]>, want: Expect) {
    let files = [("a.ron", GOOD.as_bytes()), ("r.csv", text.as_ref())];
    refused_among(&files, &RUN, &want);
}

const RUN: [&str; 8] = ["run", "a.ron", "--quiet", "--broker", "none", "--record", "rec", "--report=out"];

/// Runs a scenario beside a good table.
fn scenario(text: impl AsRef<[u8]>, want: Expect) {
    refused_among(&[("a.ron", text.as_ref()), ("r.csv", TABLE.as_bytes())], &RUN, &want);
}

/// Runs the good scenario with a piece replaced.
fn bent(from: &str, to: &str, want: Expect) {
    assert!(GOOD.contains(from), "`{from}` is not in the good scenario");
    scenario(GOOD.replacen(from, to, 1), want);
}

/// Runs the good scenario with more flags, or other ones.
fn flags(more: &[&str], want: Expect) {
    let files = [("a.ron", GOOD.as_bytes()), ("r.csv", TABLE.as_bytes()), ("file", b"in the way")];
    refused_among(&files, &[&["run", "a.ron", "--quiet", "--broker=none"], more].concat(), &want);
}

fn listing(dir: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        all.insert(entry.path().display().to_string());
        if entry.path().is_dir() {
            all.extend(listing(&entry.path()));
        }
    }
    all
}

/// Without the indentation that all lines share: `expect!` takes it off its own text.
fn dedented(text: &str) -> String {
    let indent = |l: &str| l.len() - l.trim_start().len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.split_inclusive('\n').map(|l| l.get(shared..).unwrap_or(l.trim_start_matches(' '))).collect()
}

#[test]
fn the_good_scenario_runs() {
    let dir = scratch();
    std::fs::write(dir.path().join("a.ron"), GOOD).unwrap();
    std::fs::write(dir.path().join("r.csv"), TABLE).unwrap();
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(RUN).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn ron_syntax() {
    bent(
        "duration: \"5min\", step",
        "duration: \"5min\" step",
        expect![[r#"
             x expected `,` before this
              ,-[a.ron:4:20]
            3 |   about: "a test",
            4 |   duration: "5min" step: "1s",
              :                    ^^^^
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
              `----
             help: is a comma missing at the end of the value before?
        "#]],
    );
    bent(
        "links: [",
        "links: [[",
        expect![[r#"
         x `)` does not close the `[` that is still open
          ,-[a.ron:6:10]
        5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
        6 |   links: [[(id: "wifi", loss: 0.01)],
          :          |
          :          `-- opened here
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          `----
           ,-[a.ron:17:1]
        16 |   ],
        17 | )
           : |
           : `-- closes something else
           `----
         help: close it with `]` before, or take it away
    "#]],
    );
}

#[test]
fn an_unknown_field() {
    bent(
        "count: 3",
        "cuont: 3",
        expect![[r#"
         x there is no field `cuont` in a Group
          ,-[a.ron:7:27]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", cuont: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          :                           ^^|^^
          :                             `-- unknown field
        8 |   physicals: [(
          `----
         help: did you mean `count`?
    "#]],
    );
}

#[test]
fn a_value_of_another_kind() {
    bent(
        "temperature_c: 20.0",
        "temperature_c: \"20 F\"",
        expect![[r#"
             x `temperature_c` must be a number, not "20 F"
              ,-[a.ron:5:48]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: "20 F"), (id: "room", in: "house")]),
              :                                                ^^^^^^
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: write temperature_c: 20, if that is in the unit that its name says
        "#]],
    );
}

#[test]
fn a_figure_out_of_its_units_range() {
    bent(
        "temperature_c: 20.0",
        "temperature_c: -300",
        expect![[r#"
             x -300 is out of range: a temperature in °C lies within -273.15 and 2000
              ,-[a.ron:5:48]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: -300), (id: "room", in: "house")]),
              :                                                ^^|^
              :                                                  `-- `temperature_c`
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: nothing is colder than -273.15 °C
        "#]],
    );
    bent(
        "loss: 0.01",
        "loss: 1.5",
        expect![[r#"
         x `loss` must lie within 0 and 1, but is 1.5
          ,-[a.ron:6:30]
        5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house")]),
        6 |   links: [(id: "wifi", loss: 1.5)],
          :                              ^^^
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi")],
          `----
         help: if that is a percentage: 1.5 % is written 0.015
    "#]],
    );
}

#[test]
fn a_dangling_reference() {
    bent(
        "in: [\"room\"]",
        "in: [\"rom\"]",
        expect![[r#"
         x there is no zone `rom`
          ,-[a.ron:7:71]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["rom"], link: "wifi")],
          :                                                                       ^^^^^
        8 |   physicals: [(
          `----
         help: did you mean `room`?
    "#]],
    );
    bent(
        "thing: \"esp32-weather-node\"",
        "thing: \"esp32-wether-node\"",
        expect![[r#"
         x there is no thing `esp32-wether-node`
          ,-[a.ron:7:44]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-wether-node", in: ["room"], link: "wifi")],
          :                                            ^^^^^^^^^^^^^^^^^^^
        8 |   physicals: [(
          `----
         help: did you mean `esp32-weather-node`?
    "#]],
    );
}

#[test]
fn a_duplicate_id() {
    bent(
        "(id: \"room\", in: \"house\")",
        "(id: \"room\", in: \"house\"), (id: \"room\")",
        expect![[r#"
             x two zones have the id `room`
              ,-[a.ron:5:87]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", temperature_c: 20.0), (id: "room", in: "house"), (id: "room")]),
              :                                                            ^^^|^^                     ^^^^^^
              :                                                               `-- first here
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: give each zone an id of its own: rename one of the two, or take it away
        "#]],
    );
}

#[test]
fn zones_that_contain_each_other() {
    bent(
        "(id: \"house\", ",
        "(id: \"house\", in: \"room\", ",
        expect![[r#"
             x zones contain each other in a circle: house in room in house
              ,-[a.ron:5:37]
            4 |   duration: "5min", step: "1s",
            5 |   world: (zones: [(id: "house", in: "room", temperature_c: 20.0), (id: "room", in: "house")]),
              :                                     ^^^^^^                                         ^^^^^^^
            6 |   links: [(id: "wifi", loss: 0.01)],
              `----
             help: take `in` away from the outermost zone
        "#]],
    );
}

#[test]
fn two_parts_at_one_address() {
    let thing = r#"Thing(
  format: 1, name: "twice", source: "a test", board: "esp32-devkit",
  parts: [(id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76))],
)"#;
    let files = [("a.ron", GOOD.as_bytes()), ("catalog/things/twice.ron", thing.as_bytes())];
    refused_among(
        &files,
        &RUN,
        &expect![[r#"
         x two parts share the address 0x76 of one I2C bus
          ,-[catalog/things/twice.ron:3:85]
        2 |   format: 1, name: "twice", source: "a test", board: "esp32-devkit",
        3 |   parts: [(id: "a", model: "bme280", on: I2c(0x76)), (id: "b", model: "bme280", on: I2c(0x76))],
          :                                          ^^^^|^^^^                                  ^^^^^^^^^
          :                                              `-- first here
        4 | )
          `----
         help: `bme280` also answers to 0x77
    "#]],
    );
}

#[test]
fn an_expectation_of_no_signal() {
    bent(
        "bme280.temperature@reading",
        "bme280.temprature@reading",
        expect![[r#"
         x no signal of this run fits `node-*/bme280.temprature@reading`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "node-*/bme280.temprature@reading", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: did you mean `node-*/bme280.temperature@reading`, `node-*/bme280.pressure@reading` or `node-*/
               bme280.humidity@reading`?
    "#]],
    );
    bent(
        "bme280.temperature@reading",
        "bme280.temperature@truth",
        expect![[r#"
         x no signal of this run fits `node-*/bme280.temperature@truth`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "node-*/bme280.temperature@truth", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: it has: `node-*/bme280.temperature@reading`
    "#]],
    );
    bent(
        "node-*/",
        "nod-*/",
        expect![[r#"
         x no signal of this run fits `nod-*/bme280.temperature@reading`
           ,-[a.ron:14:20]
        13 |   expect: [
        14 |     Always(signal: "nod-*/bme280.temperature@reading", between: (-40.0, 85.0)),
           :                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        15 |     Never(verdict: Any),
           `----
         help: known: `house`, `node-0`, `outside`, `room`
    "#]],
    );
}

#[test]
fn deep_nesting() {
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    bent(
        "about: \"a test\"",
        &format!("about: {open}{close}"),
        expect![[r#"
         x brackets are nested more than 48 deep
          ,-[a.ron:3:57]
        3 |   about: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
          :                                                         |
          :                                                         `-- this one is too deep
          `----
         help: no scenario or catalog file needs so much; was a value repeated by mistake?
    "#]],
    );
}

#[test]
fn scenarios_that_are_no_text() {
    scenario(
        "",
        expect![[r#"
        x `a.ron` is empty
         ,-[a.ron:1:1]
         `----
        help: a file starts with `Scenario(format: 1, …)`
    "#]],
    );
    scenario(
        b"\x7fELF\x02\x01\x01\0\0\0\0".as_slice(),
        expect![[r#"
        x `a.ron` is a binary file, a text was expected
         ,-[a.ron:1:1]
         `----
        help: definition files are RON texts in UTF-8; see `twinfleet list scenarios` for examples
    "#]],
    );
    scenario(
        b"Scenario(about: \"20 \xb0C\")".as_slice(),
        expect![[r#"
         x the text is not UTF-8
          ,-[a.ron:1:21]
        1 | Scenario(about: "20 �C")
          :                     |
          :                     `-- this byte belongs to no UTF-8 character
          `----
         help: save the file in UTF-8
    "#]],
    );
    scenario(
        " ".repeat(17 << 20),
        expect![[r#"
        x `a.ron` is larger than 16 MiB
         ,-[a.ron:1:1]
         `----
        help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]],
    );
}

#[test]
fn a_scenario_of_one_line_of_a_gigabyte() {
    let dir = scratch();
    let path = dir.path().join("a.ron");
    // Its length is what counts; a file with a hole is made at once.
    std::fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let ran = Command::new(twinfleet_tests::twinfleet()).current_dir(dir.path()).args(RUN).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    expect![[r#"
        x `a.ron` is larger than 16 MiB
         ,-[a.ron:1:1]
         `----
        help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]]
    .assert_eq(&dedented(&String::from_utf8_lossy(&ran.stderr)));
}

#[test]
fn cells_that_hold_no_reading() {
    table(
        TABLE.replace("20.7", "warm"),
        expect![[r#"
         x `warm` is no number, but `soc.temperature` wants one
          ,-[r.csv:4:3]
        4 | 2,warm
          :   ^^^^
          `----
         help: leave the cell empty where there is no reading
    "#]],
    );
    table(
        TABLE.replace("20.7", "NaN"),
        expect![[r#"
         x `NaN` is no reading of `soc.temperature`
          ,-[r.csv:4:3]
        4 | 2,NaN
          :   ^^^
          `----
         help: leave the cell empty where there is no reading
    "#]],
    );
    table(
        TABLE.replace("20.7", "-400"),
        expect![[r#"
         x `-400` is no reading of `soc.temperature`: it is below absolute zero in degC
          ,-[r.csv:4:3]
        4 | 2,-400
          :   ^^^^
          `----
         help: is the column in another unit, or is this a sensor's sign for an error? leave the cell empty where
               there is no reading
    "#]],
    );
    table(
        TABLE.replace(',', ";").replace('.', ","),
        expect![[r#"
         x `20,5` is no number, but `soc.temperature` wants one, and so in 4 more rows
          ,-[r.csv:2:3]
        2 | 0;20,5
          :   ^^^^
          `----
         help: write a point for the comma: 20.5
    "#]],
    );
    table(
        TABLE.replace("2,20.7", "2,20.7,3"),
        expect![[r#"
             x 2 cells were expected in this row, and 3 found
              ,-[r.csv:4:8]
            4 | 2,20.7,3
              :        ^
              `----
             help: does a delimiter stand in a text (put it into quotes), or for a decimal point (write a point)?
        "#]],
    );
    table(
        TABLE.replace("2,20.7", "2"),
        expect![[r#"
             x 2 cells were expected in this row, and 1 found
              ,-[r.csv:4:1]
            4 | 2
              : ^
              `----
             help: was it cut short? complete it, or take it away; an empty cell keeps its delimiter
        "#]],
    );
}

#[test]
fn times_that_do_not_ascend() {
    table(
        TABLE.replace("\n2,", "\n1,"),
        expect![[r#"
         x the time `1` is given twice
          ,-[r.csv:4:1]
        4 | 1,20.7
          : ^
          `----
         help: line 3 has it too; each row needs a time of its own
    "#]],
    );
    table(
        TABLE.replace("\n2,", "\n0.5,"),
        expect![[r#"
         x the time `0.5` lies before that of line 3
          ,-[r.csv:4:1]
        4 | 0.5,20.7
          : ^^^
          `----
         help: rows must ascend in time: sort the file, or look for a clock that was set back
    "#]],
    );
    table(
        TABLE.replace("\n2,", "\nnoon,"),
        expect![[r#"
         x `noon` is no time
          ,-[r.csv:4:1]
        4 | noon,20.7
          : ^^^^
          `----
         help: times are written 2020-07-29T16:59:35Z, 2020-07-29 16:59:35.5, as seconds from the start, or as Unix
               time
    "#]],
    );
    table(
        TABLE.replace("\n4,", "\n40,"),
        expect![[r#"
         x 37.0 s without a row, where rows are 1.000 s apart
          ,-[r.csv:6:1]
        6 | 40,20.9
          : ^^^|^^^
          :    `-- the first row after the gap
          `----
         help: if the device was off, say so: `gaps: Offline` publishes that it was; else close the gap
    "#]],
    );
}

#[test]
fn tables_that_are_none() {
    table(
        "",
        expect![[r#"
        x `r.csv` is empty
         ,-[r.csv:1:1]
         `----
        help: a recording holds a line of names and rows of readings
    "#]],
    );
    table(
        "time,temp\n",
        expect![[r#"
         x `r.csv` has a header but no rows
          ,-[r.csv:1:1]
        1 | time,temp
          : ^^^^|^^^^
          :     `-- the only line
          `----
         help: put rows of readings below it; if it is one, say `header: false` (in a flag: `--no-header`)
    "#]],
    );
    table(
        b"time,temp\n0,\0\0\n".as_slice(),
        expect![[r#"
        x `r.csv` is a binary file, a table in text was expected
         ,-[r.csv:2:1]
         `----
        help: export it as CSV in UTF-8
    "#]],
    );
    table(
        format!("time,temp\n0,{}\n", "7".repeat(2 << 20)),
        expect![[r#"
         x line 2 is longer than 1024 KiB
          ,-[r.csv:2:1]
        2 | 0,7777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777
          : ^^^^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^^^
          :                     `-- the line starts here
          `----
         help: is this a table of readings, with a line break after each row?
    "#]],
    );
}

#[test]
fn columns_and_units() {
    bent(
        "temp C",
        "tmp C",
        expect![[r#"
         x `r.csv` has no column `tmp`
           ,-[a.ron:10:84]
         9 |     id: "pi",
        10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "tmp C"}),
           :                                                                                    ^^^^^^^
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: did you mean `temp`?
    "#]],
    );
    bent(
        "temp C",
        "temp furlong",
        expect![[r#"
         x `furlong` is no known unit
           ,-[a.ron:10:84]
         9 |     id: "pi",
        10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp furlong"}),
           :                                                                                    ^^^^^^^^^^^^^^
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: units that fit: `degC`, `K`, `degF`
    "#]],
    );
    bent(
        "r.csv",
        "q.csv",
        expect![[r#"
         x there is no file `q.csv`
           ,-[a.ron:10:27]
         9 |     id: "pi",
        10 |     from: Recording(path: "q.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
           :                           ^^^|^^^
           :                              `-- named here
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: did you mean `r.csv`?
    "#]],
    );
}

#[test]
fn flags_that_make_no_sense() {
    flags(
        &["--set", "fleet[0].cuont=5"],
        expect![[r#"
         x there is no field `cuont` in a Group
          ,-[a.ron:7:94]
        6 |   links: [(id: "wifi", loss: 0.01)],
        7 |   fleet: [(id: "node-{}", count: 3, thing: "esp32-weather-node", in: ["room"], link: "wifi", cuont: 5)],
          :                                                                                              ^^|^^
          :                                                                                                `-- unknown field, set by `--set fleet[0].cuont=5`
        8 |   physicals: [(
          `----
         help: did you mean `count`?
    "#]],
    );
    flags(
        &["--set", "links[wfi].loss=0"],
        expect![[r#"
         x `a.ron` has no `wfi` to set
          ,-[--set:1:7]
        1 | links[wfi].loss=0
          :       ^^^
          `----
         help: did you mean `wifi`?
    "#]],
    );
    flags(
        &["--shard", "2/2"],
        expect![[r#"
        error: invalid value '2/2' for '--shard <I/N>': `2/2` is no shard: write I/N, such as 0/2 for the first of two

        For more information, try '--help'.
    "#]],
    );
    flags(
        &["--speed", "-1x"],
        expect![[r#"
        error: invalid value '-1x' for '--speed <SPEED>': write `max`, or a multiple of real time such as `1x`, `60x` or `0.5x`

        For more information, try '--help'.
    "#]],
    );
    flags(
        &["--seed", "lucky"],
        expect![[r#"
        error: invalid value 'lucky' for '--seed <SEED>': write a whole number from 0 to 18446744073709551615

        For more information, try '--help'.
    "#]],
    );
    flags(
        &["--record", "file"],
        expect![[r#"
        record: file is a file, a folder was expected: name one that is empty or does not exist yet
    "#]],
    );
    flags(
        &["--report", "file"],
        expect![[r#"
        --report file: this is a file, a folder was expected
        name a folder; it is made where it does not exist
    "#]],
    );
    flags(
        &["--catalog", "nowhere"],
        expect![[r#"
        x there is no folder `nowhere`
        help: it holds boards/, sensors/, actuators/, batteries/, regulators/, links/ or things/ with .ron files
    "#]],
    );
    let files = [("a.ron", GOOD.as_bytes()), ("r.csv", TABLE.as_bytes())];
    let broker = ["run", "a.ron", "--quiet", "--broker", "http://host"];
    refused_among(
        &files,
        &broker,
        &expect![[r#"
        `http://host` names no broker: the scheme `http` is unknown. Use `embedded`, `embedded:PORT`, `none`, `mqtt://[user:password@]host[:port]` or `mqtts://…`
    "#]],
    );
}

#[test]
fn flags_of_replay_that_make_no_sense() {
    let replay = |more: &[&str], want: Expect| {
        let args = [&["replay", "r.csv", "--broker=none", "--speed=max"], more].concat();
        refused_among(&[("r.csv", TABLE.as_bytes())], &args, &want);
    };
    replay(
        &["--time", "time", "--map", "temp"],
        expect![[r#"
         x a signal and its column are joined by `=`
          ,-[--map:1:1]
        1 | temp
          : ^^^^
          `----
         help: write SIGNAL=COL, such as soc.temperature=temp
    "#]],
    );
    replay(
        &["--time", "time", "--map", "soc=temp"],
        expect![[r#"
         x this is no signal that a device reports
          ,-[--map:1:1]
        1 | soc=temp
          : ^^^
          `----
         help: write `part.quantity`, such as soc.temperature=temp
    "#]],
    );
    replay(
        &["--time", "tme", "--map", "soc.temperature=temp"],
        expect![[r#"
         x `r.csv` has no column `tme`
          ,-[r.csv:1:1]
        1 | time,temp
          : ^^^^^^^^^
          `----
         help: did you mean `time`?
    "#]],
    );
    replay(
        &["--map", "soc.temperature=temp"],
        expect![[r#"
        name the column of time (--time COL), or the spacing of the rows (--period 1s)
    "#]],
    );
    replay(
        &["--period", "soon", "--map", "soc.temperature=temp"],
        expect![[r#"
        error: invalid value 'soon' for '--period <SPAN>': `soon` is no duration: write a number and a unit, such as "90s", "1h30min", "250ms" or "2d"

        For more information, try '--help'.
    "#]],
    );
    replay(
        &["--time", "time", "--map", "soc.temperature=temp", "--topic", "lab/#"],
        expect![[r#"
         x a topic that is published to holds no wildcards
           ,-[replay:10:12]
         9 |   publish: (
        10 |     topic: "lab/#",
           :            ^^^^^^^
        11 |     qos: 0,
           `----
         help: write the topic out; `{device}` stands for the device's id
    "#]],
    );
}
