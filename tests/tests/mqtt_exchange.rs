//! A run's messages through no broker, the embedded one and mosquitto: the same messages in the same order.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};
use twinfleet_engine::{message::Message, time::SimTime};
use twinfleet_tests::{Mosquitto, PATIENCE, Process, tool, until};
use twinfleet_twins::wire::{
    WireError,
    client::{ConnectOptions, Connection},
    exchange::{Exchange, ExchangeOptions, FOREIGN},
    url::{BrokerChoice, BrokerUrl},
};

fn url(mosquitto: &Mosquitto) -> BrokerUrl {
    ConnectOptions::new(mosquitto.addr).url
}

fn options(prefix: &str) -> ExchangeOptions {
    ExchangeOptions { prefix: prefix.to_owned(), ..ExchangeOptions::default() }
}

fn message(tick: u64, publisher: u32, seq: u64, topic: &str, payload: &[u8]) -> Message {
    Message {
        sent: SimTime(tick as i64 * 1_000_000_000 + i64::from(publisher)),
        due: SimTime(tick as i64 * 1_000_000_000 + 17),
        publisher,
        seq,
        topic: topic.into(),
        payload: payload.into(),
        qos: ((tick + seq + u64::from(publisher)) % 3) as u8,
        retain: (tick + seq).is_multiple_of(5),
    }
}

/// Ticks of every kind: empty, one, many; the same topic from several devices, the same payload twice, an empty and a
/// large payload; and not in the order of publishers.
fn ticks() -> Vec<Vec<Message>> {
    let mut seq = 0;
    (0..40)
        .map(|tick: u64| {
            let count = [0, 1, 7, 35, 0, 200][tick as usize % 6];
            let mut messages: Vec<Message> = (0..count)
                .map(|i: u32| {
                    seq += 1;
                    let topic = if i.is_multiple_of(3) {
                        "shared".to_owned()
                    } else {
                        format!("dev/{}/state", i % 11)
                    };
                    let payload = match i % 5 {
                        0 => b"same".to_vec(),
                        1 => Vec::new(),
                        2 => vec![i as u8; 5_000],
                        _ => format!("{{\"tick\":{tick},\"i\":{i}}}").into_bytes(),
                    };
                    message(tick, i * 7 % 13, seq, &topic, &payload)
                })
                .collect();
            messages.reverse();
            messages
        })
        .collect()
}

fn through(choice: &BrokerChoice, prefix: &str) -> Vec<Vec<Message>> {
    let mut exchange = Exchange::connect(choice, options(prefix)).unwrap();
    let back = ticks().iter().map(|tick| exchange.round(tick, PATIENCE).unwrap()).collect();
    assert_eq!(exchange.foreign(), []);
    exchange.finish(true, PATIENCE).unwrap();
    back
}

#[test]
fn no_broker_the_embedded_one_and_mosquitto_give_the_same() {
    let direct = through(&BrokerChoice::None, "");
    for (sent, back) in ticks().iter().zip(&direct) {
        assert_eq!(sent.len(), back.len());
        assert!(back.is_sorted_by_key(|m| (m.publisher, m.seq)));
        assert!(sent.iter().all(|m| back.contains(m)));
    }
    assert_eq!(through(&BrokerChoice::Embedded, ""), direct);
    assert_eq!(through(&BrokerChoice::Embedded, "run-1/"), direct);
    let Some(mosquitto) = Mosquitto::start("the exchange through mosquitto") else { return };
    let choice = BrokerChoice::Url(url(&mosquitto));
    assert_eq!(through(&choice, "run-1/"), direct);
    // The run has left nothing retained behind, so a second one sees nothing foreign.
    assert_eq!(through(&choice, "run-1/"), direct);
}

#[test]
fn a_round_larger_than_any_queue_comes_back_whole() {
    let many: Vec<Message> =
        (0..5_000).map(|i| message(1, i % 50, u64::from(i), "t", &i.to_be_bytes())).collect();
    let large: Vec<Message> = (0..6).map(|i| message(2, i, 0, "t", &vec![i as u8; 3 << 20])).collect();
    let mosquitto = Mosquitto::start("large rounds through mosquitto");
    let mut choices = vec![BrokerChoice::Embedded];
    choices.extend(mosquitto.as_ref().map(|m| BrokerChoice::Url(url(m))));
    for choice in choices {
        let mut exchange = Exchange::connect(&choice, options("big/")).unwrap();
        for round in [&many, &large] {
            let mut sorted = round.clone();
            sorted.sort_by_key(|m| (m.publisher, m.seq));
            assert!(exchange.round(round, PATIENCE).unwrap() == sorted, "{choice}");
        }
    }
}

#[test]
fn an_attached_subscriber_sees_every_message_of_a_run() {
    let Some(subscribe) = tool("mosquitto_sub", "a subscriber attached to a run") else { return };
    let mut exchange = Exchange::connect(&BrokerChoice::Embedded, options("")).unwrap();
    let port = exchange.embedded_addr().unwrap().port().to_string();
    let child = Command::new(subscribe)
        .args(["-h", "127.0.0.1", "-p", &port, "-t", "#", "-F", "%p"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut attached = Process(child);
    // The run itself subscribes twice: to everything, and to the shadows below `$aws/`.
    until("the subscription", || exchange.embedded_stats().unwrap().subscriptions == 3);
    let mut lines = BufReader::new(attached.0.stdout.take().unwrap()).lines();
    for tick in 0..200 {
        let payload = |i: u32| format!("{tick}/{i}");
        let round: Vec<Message> =
            (0..50).map(|i| message(tick, i, tick, &format!("d/{i}"), payload(i).as_bytes())).collect();
        exchange.round(&round, PATIENCE).unwrap();
        for i in 0..50 {
            assert_eq!(lines.next().unwrap().unwrap(), payload(i));
        }
    }
}

#[test]
fn what_others_publish_is_kept_apart() {
    let mut exchange = Exchange::connect(&BrokerChoice::Embedded, options("run/")).unwrap();
    let mut other = Connection::connect(&ConnectOptions::new(exchange.embedded_addr().unwrap())).unwrap();
    other.publish("elsewhere", b"unheard", 1, false).unwrap();
    other.publish("run/cmd", b"open", 1, false).unwrap();
    other.publish("run/cmd", b"close", 2, true).unwrap();
    while other.unacknowledged() > 0 {
        other.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    let own = message(1, 3, 1, "cmd", b"own");
    assert_eq!(exchange.round(std::slice::from_ref(&own), PATIENCE).unwrap(), [own]);
    let foreign = exchange.foreign();
    let seen: Vec<_> =
        foreign.iter().map(|m| (m.publisher, m.seq, &*m.topic, &m.payload[..], m.qos)).collect();
    assert_eq!(seen, [(FOREIGN, 0, "cmd", &b"open"[..], 1), (FOREIGN, 1, "cmd", &b"close"[..], 2)]);
    assert_eq!(exchange.foreign(), []);
}

#[test]
fn idle_rounds_still_take_in_what_others_send() {
    let mut exchange = Exchange::connect(&BrokerChoice::Embedded, options("")).unwrap();
    let mut other = Connection::connect(&ConnectOptions::new(exchange.embedded_addr().unwrap())).unwrap();
    other.publish("cmd", b"open", 0, false).unwrap();
    other.pump(None, |_| ()).unwrap();
    until("the command", || {
        assert_eq!(exchange.round(&[], PATIENCE).unwrap(), []);
        !exchange.foreign().is_empty()
    });
}

#[test]
fn at_real_time_pace_messages_come_back_when_they_come() {
    for choice in [BrokerChoice::None, BrokerChoice::Embedded] {
        let mut exchange = Exchange::connect(&choice, options("")).unwrap();
        let mut sent: Vec<Message> = ticks().concat();
        let mut back = Vec::new();
        for chunk in sent.chunks(50) {
            exchange.send(chunk).unwrap();
            back.extend(exchange.drain().unwrap());
        }
        until("all of them", || {
            exchange.wait(Duration::from_millis(50)).unwrap();
            back.extend(exchange.drain().unwrap());
            back.len() == sent.len()
        });
        let key = |m: &Message| (m.publisher, m.seq);
        sent.sort_by_key(key);
        back.sort_by_key(key);
        assert!(sent == back);
    }
}

#[test]
fn a_broker_that_lets_nothing_be_read_times_out_with_advice() {
    let deny = Mosquitto::start_with("a broker that forbids reading", |dir| {
        let acl = dir.join("acl");
        std::fs::write(&acl, "topic write #\n").unwrap();
        format!("allow_anonymous true\nacl_file {}\n", acl.display())
    });
    let Some(mosquitto) = deny else { return };
    let mut exchange = Exchange::connect(&BrokerChoice::Url(url(&mosquitto)), options("run-7/")).unwrap();
    let error = exchange.round(&[message(0, 1, 1, "a", b"x")], Duration::from_millis(300)).unwrap_err();
    assert!(!error.is_input());
    let text = error.to_string().replace(&mosquitto.addr.port().to_string(), "PORT");
    expect_test::expect!["1 of 1 messages did not come back from the broker 127.0.0.1:PORT within 0.3 s; the first is on `run-7/a`. The broker may be overloaded, may drop messages (raise its queue limits, or its limit on their size), or may forbid the login to write or read `run-7/#`"].assert_eq(&text);
}

#[test]
fn a_broker_that_dies_is_an_error_and_not_a_wait() {
    let Some(mut mosquitto) = Mosquitto::start("a broker that dies") else { return };
    let mut exchange = Exchange::connect(&BrokerChoice::Url(url(&mosquitto)), options("")).unwrap();
    let round = [message(0, 1, 1, "a", b"x")];
    exchange.round(&round, PATIENCE).unwrap();
    mosquitto.kill();
    assert!(matches!(exchange.round(&round, PATIENCE), Err(WireError::Lost { .. })));
}

#[test]
fn names_that_no_echo_can_have_are_refused_at_once() {
    let mut exchange = Exchange::connect(&BrokerChoice::Embedded, options("")).unwrap();
    for topic in ["", "a/+", "#", "$SYS/x", "a\0b"] {
        let error = exchange.round(&[message(0, 1, 1, topic, b"x")], PATIENCE).unwrap_err();
        assert!(matches!(error, WireError::BadMessage { .. }), "{topic:?}: {error}");
    }
    for prefix in ["no-slash", "a/+/", "#/"] {
        assert!(matches!(
            Exchange::connect(&BrokerChoice::Embedded, options(prefix)),
            Err(WireError::BadMessage { .. })
        ));
    }
}
