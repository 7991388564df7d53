//! `--source`: the addresses and ports that connections come from.

use super::*;

#[test]
fn connections_made_again_pass_over_ports_in_use() {
    let (dir, sink) = (scratch(), NullSink::start());
    // Eight connections, and with those made again more than there are ports: the turn comes to ports that others still have.
    let load = r#"
        devices: [(id: "d-{}", count: 8, topic: "t/{device}", schedule: Constant("100ms"))],
        stages: [Hold(for: "5s")], drain: "100ms",
        faults: [
            (at: "500ms", do: Storm(share: 0.6)),
            (at: "2s", do: Storm(share: 0.6)),
            (at: "3500ms", do: Storm(share: 0.6)),
        ]"#;
    let file = scenario(dir.path(), "again.ron", load);
    let broker = format!("mqtt://{}", sink.addr);
    let args = [
        "load",
        &file,
        "--broker",
        &broker,
        "--source",
        "127.0.0.5:41100-41113",
        "--set",
        PATIENT,
        "--quiet",
    ];
    let ran = command(&args);
    let result = ran.json();
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    let n = |key: &str| result["counters"][key].as_u64().expect("a number");
    assert!(n("cut") > 8, "{result}");
    assert_eq!((n("refused"), n("reconnected")), (0, n("cut")), "{result}");
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let (dir, sink) = (scratch(), NullSink::start());
    let file = scenario(dir.path(), "foreign.ron", BUSY);
    let broker = format!("mqtt://{}", sink.addr);
    let ran = command(&["load", &file, "--broker", &broker, "--source", "203.0.113.7", "--quiet"]);
    assert_eq!(ran.code(), 2, "{}", ran.stderr());
    assert!(ran.stderr().contains("no address 203.0.113.7"), "{}", ran.stderr());
}
