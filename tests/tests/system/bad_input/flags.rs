//! Flags, files and folders that make no sense.

use super::*;

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
        `http://host` names no broker: the scheme `http` is unknown. Use `embedded`, `embedded:PORT`, `none`, `mqtt://[user:password@]host[:port]`, `mqtts://…`, `ws://…` or `wss://…`
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
