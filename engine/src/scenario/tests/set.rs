//! `--set`: what it changes, and what it cannot.

use super::*;

#[test]
fn set_replaces_and_inserts() {
    let source = Source::embedded("a.ron", GOOD);
    let set = |assignment: &str| source.set(assignment).unwrap_or_else(|r| panic!("{r}"));
    let read = |source: &Source| crate::scenario::read(source).unwrap_or_else(|r| panic!("{r}"));
    assert_eq!(read(&set("fleet[0].count=50")).fleet[0].count, 50);
    assert_eq!(read(&set("duration=10min")).duration, "10min".parse().unwrap());
    assert_eq!(read(&set("about=hello world")).about, "hello world");
    assert_eq!(read(&set("links[wifi].loss = 0.5")).links[0].loss, Some(0.5));
    assert_eq!(
        read(&set("links[0].radio=(tx_dbm: 20, distance_m: (1, 9))")).links[0].radio.as_ref().unwrap().tx_dbm,
        Some(20.0)
    );
    assert_eq!(read(&set("fleet[box].in=[\"room\"]")).fleet[1].zones, ["room"]);
    assert_eq!(read(&set("timeline[0].do.kind.by=7")).timeline.len(), 4);
    let twice = set("seed=9").set("fleet[1].count=1").unwrap().set("step=2s").unwrap();
    assert_eq!((read(&twice).seed, read(&twice).step), (9, "2s".parse().unwrap()));
    let bare =
        Source::embedded("a.ron", r#"(format: 1, duration: "1h")"#).set("record.segment=5min").unwrap();
    assert_eq!(read(&bare).record.segment, "5min".parse().unwrap());
}

#[test]
fn set_that_does_not_fit() {
    let source = Source::embedded("a.ron", GOOD);
    let show = |assignment: &str| match source.set(assignment) {
        Ok(source) => report_of(&source).render(Style::Plain),
        Err(report) => report.render(Style::Plain),
    };
    expect![[r#"
          x a value to set is written `path=value`
           ,-[--set:1:1]
         1 | fleet[0].count
           : ^^^^^^^|^^^^^^
           :        `-- there is no `=`
           `----
          help: such as `--set fleet[0].count=50` or `--set duration=10min`
    "#]]
    .assert_eq(&dedented(show("fleet[0].count")));
    expect![[r#"
          x `a.ron` has no element 7 to set
           ,-[--set:1:7]
         1 | fleet[7].count=1
           :       ^
           `----
          help: the list has 2 elements, counted from 0
    "#]]
    .assert_eq(&dedented(show("fleet[7].count=1")));
    expect![[r#"
          x this is no path to a field
           ,-[--set:1:10]
         1 | fleet[0]..count=1
           :          ^
           `----
          help: paths are written `fleet[0].count`, `links[wifi].loss` or `map["a key"]`
    "#]]
    .assert_eq(&dedented(show("fleet[0]..count=1")));
    expect![[r#"
          x there is no link `(a`
           ,-[a.ron:8:76]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "(a"),
           :                                                                            ^^|^
           :                                                                              `-- set by `--set fleet[0].link=(a`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: known: `wifi`
    "#]].assert_eq(&dedented(show("fleet[0].link=(a")));
    expect![[r#"
          x there is no thing `nodes`
           ,-[a.ron:8:39]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "nodes", in: ["house", "room"], link: "wifi"),
           :                                       ^^^|^^^
           :                                          `-- set by `--set fleet[0].thing=nodes`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: did you mean `node`?
    "#]]
    .assert_eq(&dedented(show("fleet[0].thing=nodes")));
    expect![[r#"
          x there is no field `colour` in a Group
           ,-[a.ron:8:84]
         7 |   fleet: [
         8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi", colour: red),
           :                                                                                    ^^^|^^
           :                                                                                       `-- unknown field, set by `--set fleet[0].colour=red`
         9 |     (id: "box", thing: "hot-box"),
           `----
          help: known: `count`, `firmware`, `id`, `in`, `link`, `mounts`, `power`, `script`, `thing`, `truths`
    "#]].assert_eq(&dedented(show("fleet[0].colour=red")));
}
