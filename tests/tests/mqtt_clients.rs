//! The embedded broker against clients that others wrote: mosquitto's and paho's.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};
use twinfleet_tests::{Process, python, root, tool, until};
use twinfleet_twins::wire::broker::{Broker, BrokerConfig};

fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).unwrap()
}

fn command(program: &Path, broker: &Broker, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &broker.addr().port().to_string(), "-V", "311"]).args(args);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end; its output, and its exit code.
fn run(program: &Path, broker: &Broker, args: &[&str]) -> (String, i32) {
    let output = command(program, broker, args).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (text, output.status.code().unwrap_or(-1))
}

/// Starts a subscriber and waits until the broker has its subscriptions.
fn subscriber(program: &Path, broker: &Broker, filters: u64, args: &[&str]) -> Process {
    let before = broker.stats().subscriptions;
    let mut child: Child = command(program, broker, args).spawn().unwrap();
    // One that wants a retained message only may have it and be gone before it is seen here.
    until("the subscription", || {
        broker.stats().subscriptions == before + filters || matches!(child.try_wait(), Ok(Some(_)))
    });
    Process(child)
}

fn output(mut process: Process) -> String {
    let mut text = String::new();
    process.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    process.0.wait().unwrap();
    text
}

#[test]
fn mosquitto_clients_get_each_message_once_and_in_order_at_every_quality() {
    let name = "mosquitto clients at QoS 0, 1, 2";
    let (Some(publish), Some(subscribe)) = (tool("mosquitto_pub", name), tool("mosquitto_sub", name)) else {
        return;
    };
    let broker = broker();
    let lines: String = (0..500).map(|i| format!("line {i}\n")).collect();
    for (published, granted) in [(0, 0), (1, 1), (2, 2), (2, 1), (1, 2), (2, 0)] {
        let topic = format!("q/{published}/{granted}");
        let args = ["-t", &topic, "-q", &granted.to_string(), "-C", "500", "-F", "%q %p"];
        let reader = subscriber(&subscribe, &broker, 1, &args);
        let mut writer = command(&publish, &broker, &["-t", &topic, "-q", &published.to_string(), "-l"]);
        let mut writer = writer.stdin(Stdio::piped()).spawn().unwrap();
        writer.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        let quality = published.min(granted);
        let expected: String = (0..500).map(|i| format!("{quality} line {i}\n")).collect();
        assert_eq!(output(reader), expected);
        until("it to be gone", || broker.stats().connections == 0);
    }
    assert_eq!(broker.stats().malformed, 0);
}

#[test]
fn a_retained_message_is_kept_replaced_and_removed() {
    let name = "retained messages with mosquitto's clients";
    let (Some(publish), Some(subscribe)) = (tool("mosquitto_pub", name), tool("mosquitto_sub", name)) else {
        return;
    };
    let broker = broker();
    for payload in ["old", "new"] {
        assert_eq!(run(&publish, &broker, &["-t", "a/b", "-r", "-q", "1", "-m", payload]).1, 0);
    }
    run(&publish, &broker, &["-t", "a/c", "-q", "1", "-m", "passing"]);
    for filter in ["a/b", "a/+", "#"] {
        let (text, code) =
            run(&subscribe, &broker, &["-t", filter, "-q", "1", "-C", "1", "-F", "%t %r %p", "-W", "20"]);
        assert_eq!((text.as_str(), code), ("a/b 1 new\n", 0));
    }
    // To one who is there already it passes like any other. Those before must be gone, or they would be taken for it.
    until("those before to be gone", || broker.stats().subscriptions == 0);
    let there = subscriber(&subscribe, &broker, 1, &["-t", "a/b", "-C", "2", "-F", "%r %p"]);
    run(&publish, &broker, &["-t", "a/b", "-r", "-m", "third"]);
    assert_eq!(output(there), "1 new\n0 third\n");
    run(&publish, &broker, &["-t", "a/b", "-r", "-n", "-q", "1"]);
    run(&publish, &broker, &["-t", "b", "-r", "-m", "other", "-q", "1"]);
    let (text, _) = run(&subscribe, &broker, &["-t", "#", "-C", "1", "-F", "%t %p", "-W", "20"]);
    assert_eq!(text, "b other\n");
}

#[test]
fn a_will_is_published_for_the_killed_and_not_for_the_polite() {
    let name = "wills with mosquitto's clients";
    let (Some(publish), Some(subscribe)) = (tool("mosquitto_pub", name), tool("mosquitto_sub", name)) else {
        return;
    };
    let broker = broker();
    let heir = subscriber(&subscribe, &broker, 1, &["-t", "will/#", "-C", "2", "-F", "%t %p"]);
    let will =
        |t: &'static str| ["-t", "nothing", "--will-topic", t, "--will-payload", "gone", "--will-qos", "1"];
    // `-E` ends after the subscription, politely.
    let polite: Vec<&str> = will("will/polite").into_iter().chain(["-E"]).collect();
    assert_eq!(run(&subscribe, &broker, &polite).1, 0);
    until("its end at the broker", || broker.stats().subscriptions == 1);
    drop(subscriber(&subscribe, &broker, 1, &will("will/killed")));
    until("the will", || broker.stats().messages_out == 1);
    run(&publish, &broker, &["-t", "will/end", "-m", "end"]);
    assert_eq!(output(heir), "will/killed gone\nwill/end end\n");
}

#[test]
fn wildcards_choose_as_the_standard_says() {
    let name = "wildcards with mosquitto's clients";
    let (Some(publish), Some(subscribe)) = (tool("mosquitto_pub", name), tool("mosquitto_sub", name)) else {
        return;
    };
    let broker = broker();
    let topics = ["a", "a/b", "a/b/c", "/a", "b/x/c", "b//c", "end"];
    for (filter, wanted) in [
        ("a/#", vec!["a", "a/b", "a/b/c"]),
        ("+", vec!["a"]),
        ("+/b", vec!["a/b"]),
        ("+/+", vec!["a/b", "/a"]),
        ("b/+/c", vec!["b/x/c", "b//c"]),
        ("#", vec!["a", "a/b", "a/b/c", "/a", "b/x/c", "b//c"]),
        ("a/b", vec!["a/b"]),
    ] {
        let filters = if filter == "#" || filter == "+" { vec![filter] } else { vec![filter, "end"] };
        let mut args = vec!["-F", "%t"];
        for filter in &filters {
            args.extend(["-t", filter]);
        }
        let count = (wanted.len() + 1).to_string();
        args.extend(["-C", &count]);
        let reader = subscriber(&subscribe, &broker, filters.len() as u64, &args);
        for topic in topics {
            assert_eq!(run(&publish, &broker, &["-t", topic, "-m", "x"]).1, 0);
        }
        let expected: String = wanted.iter().chain(&["end"]).map(|t| format!("{t}\n")).collect();
        assert_eq!(output(reader), expected, "{filter}");
        until("it to be gone", || broker.stats().subscriptions == 0);
    }
}

#[test]
fn a_persistent_session_keeps_what_comes_while_its_client_is_away() {
    let name = "persistent sessions with mosquitto's clients";
    let (Some(publish), Some(subscribe)) = (tool("mosquitto_pub", name), tool("mosquitto_sub", name)) else {
        return;
    };
    let broker = broker();
    let session = ["-i", "away", "-c", "-q", "2", "-t", "a"];
    let first: Vec<&str> = session.into_iter().chain(["-E"]).collect();
    assert_eq!(run(&subscribe, &broker, &first).1, 0);
    until("it to be gone", || broker.stats().connections == 0);
    // Order is promised within one quality of service: a client hands out QoS 2 only when it is released.
    for i in 0..30 {
        let quality = if i < 15 { "2" } else { "1" };
        run(&publish, &broker, &["-t", "a", "-q", quality, "-m", &format!("{quality}-{i}")]);
    }
    let again: Vec<&str> = session.into_iter().chain(["-C", "30", "-W", "30"]).collect();
    let (text, _) = run(&subscribe, &broker, &again);
    for (quality, range) in [("2", 0..15), ("1", 15..30)] {
        let got: Vec<&str> = text.lines().filter(|l| l.starts_with(quality)).collect();
        let expected: Vec<String> = range.map(|i| format!("{quality}-{i}")).collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn a_client_of_mqtt_5_is_told_that_this_is_3() {
    let Some(publish) = tool("mosquitto_pub", "an MQTT 5 client is refused") else { return };
    let broker = broker();
    let (text, code) = run(&publish, &broker, &["-V", "5", "-t", "a", "-m", "x"]);
    assert_ne!(code, 0);
    assert!(text.to_lowercase().contains("protocol version"), "{text}");
    assert!(broker.is_running());
}

#[test]
fn paho_finds_nothing_amiss() {
    let Some(python) = python("paho.mqtt.client", "paho against the embedded broker") else { return };
    let broker = broker();
    let script = root().join("tests/python/mqtt_paho.py");
    let output = Command::new(python).arg(script).arg(broker.addr().port().to_string()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(broker.stats().malformed, 0);
}
