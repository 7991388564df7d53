//! The embedded broker, by the bytes it takes and gives: redelivery, take-over, keep-alive, back-pressure, garbage.

use proptest::prelude::*;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use twinfleet_tests::{PATIENCE, until};
use twinfleet_twins::wire::{
    WireError,
    broker::{Broker, BrokerConfig},
    client::{ConnectOptions, Connection, Received},
    session::{Session, SessionOptions},
};

fn broker() -> Broker {
    Broker::start(BrokerConfig::default()).unwrap()
}

/// A client without a library between the test and the bytes.
struct Raw(TcpStream);

impl Raw {
    fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    /// Connects as MQTT 3.1.1.
    fn connect(addr: SocketAddr, id: &str, clean: bool, keep_alive_s: u16) -> Self {
        let mut raw = Self::open(addr);
        raw.send(&connect_bytes(id, clean, keep_alive_s));
        raw
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(got, bytes);
    }

    /// Reads until the broker ends the connection.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest,
            // Ending with bytes of ours unread is a reset.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => rest,
            Err(e) => panic!("the broker did not end the connection: {e}"),
        }
    }
}

fn connect_bytes(id: &str, clean: bool, keep_alive_s: u16) -> Vec<u8> {
    let mut bytes = vec![0x10, 12 + id.len() as u8, 0, 4];
    bytes.extend(b"MQTT\x04");
    bytes.push(u8::from(clean) << 1);
    bytes.extend(keep_alive_s.to_be_bytes());
    bytes.extend((id.len() as u16).to_be_bytes());
    bytes.extend(id.as_bytes());
    bytes
}

const SUBSCRIBE_A_QOS1: &[u8] = b"\x82\x06\x00\x09\x00\x01a\x01";
const SUBSCRIBE_A_QOS2: &[u8] = b"\x82\x06\x00\x09\x00\x01a\x02";

fn client(broker: &Broker) -> Connection {
    Connection::connect(&ConnectOptions::new(broker.addr())).unwrap()
}

fn publish(connection: &mut Connection, topic: &str, payload: &[u8], qos: u8) {
    connection.publish(topic, payload, qos, false).unwrap();
    connection.make_room(0, PATIENCE, |_| ()).unwrap();
    while connection.unacknowledged() > 0 {
        connection.pump(Some(PATIENCE), |_| ()).unwrap();
    }
}

/// The next message that comes.
fn next(connection: &mut Connection) -> Received {
    let mut got = Vec::new();
    until("a message", || {
        connection.pump(Some(Duration::from_secs(1)), |r| got.push(r)).unwrap();
        !got.is_empty()
    });
    assert_eq!(got.len(), 1);
    got.remove(0)
}

/// A broker without MQTT 5 says of its limit nothing but good-bye, and what it had kept comes at each connection.
#[test]
fn a_session_that_is_ended_for_each_message_backs_off_though_something_came() {
    let broker = Broker::start(BrokerConfig { max_packet_bytes: 200, ..BrokerConfig::default() }).unwrap();
    let mut publisher = client(&broker);
    publisher.publish("kept", b"1", 1, true).unwrap();
    while publisher.unacknowledged() > 0 {
        publisher.pump(Some(PATIENCE), |_| ()).unwrap();
    }
    let mut options = SessionOptions::new(ConnectOptions::new(broker.addr()));
    options.filters = vec![("kept".to_owned(), 1)];
    options.shortest = Duration::from_millis(200);
    let mut session = Session::start(options).unwrap();
    session.publish("large", &[b'x'; 1_000], 1, false).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        session.pump(Duration::from_millis(20), |_| ()).unwrap();
    }
    let connections = session.stats().connections;
    // Waits of at least 0.1 s, 0.2 s, … 1.6 s.
    assert!((2..=8).contains(&connections), "{connections} connections in 3 s");
}

#[test]
fn an_unacknowledged_message_is_sent_again_under_the_same_id() {
    let broker = broker();
    let mut first = Raw::connect(broker.addr(), "sleeper", false, 0);
    first.expect(b"\x20\x02\x00\x00");
    first.send(SUBSCRIBE_A_QOS1);
    first.expect(b"\x90\x03\x00\x09\x01");
    let mut publisher = client(&broker);
    publish(&mut publisher, "a", b"1", 1);
    first.expect(b"\x32\x06\x00\x01a\x00\x011");
    drop(first);
    until("the broker to see it go", || broker.stats().connections == 1);
    publish(&mut publisher, "a", b"2", 1);
    publish(&mut publisher, "a", b"lost on purpose: QoS 0 is not kept", 0);
    let mut second = Raw::connect(broker.addr(), "sleeper", false, 0);
    // The session is present; the first comes again with DUP, then what came meanwhile.
    second.expect(b"\x20\x02\x01\x00\x3a\x06\x00\x01a\x00\x011\x32\x06\x00\x01a\x00\x022");
    second.send(b"\x40\x02\x00\x01\x40\x02\x00\x02");
    second.send(b"\xc0\x00");
    second.expect(b"\xd0\x00");
    drop(second);
    let mut third = Raw::connect(broker.addr(), "sleeper", false, 0);
    third.send(b"\xc0\x00");
    // Acknowledged messages are gone.
    third.expect(b"\x20\x02\x01\x00\xd0\x00");
    drop(third);
    let mut clean = Raw::connect(broker.addr(), "sleeper", true, 0);
    clean.expect(b"\x20\x02\x00\x00");
    publish(&mut publisher, "a", b"3", 1);
    clean.send(b"\xc0\x00");
    // A clean session has forgotten the subscription.
    clean.expect(b"\xd0\x00");
}

#[test]
fn quality_2_resumes_where_it_stopped_and_delivers_once() {
    let broker = broker();
    let mut receiver = Raw::connect(broker.addr(), "receiver", false, 0);
    receiver.send(SUBSCRIBE_A_QOS2);
    receiver.expect(b"\x20\x02\x00\x00\x90\x03\x00\x09\x02");
    let mut sender = Raw::connect(broker.addr(), "sender", false, 0);
    sender.expect(b"\x20\x02\x00\x00");
    // The sender repeats the message, as after a lost PUBREC.
    sender.send(b"\x34\x06\x00\x01a\x00\x07x\x3c\x06\x00\x01a\x00\x07x");
    sender.expect(b"\x50\x02\x00\x07\x50\x02\x00\x07");
    sender.send(b"\x62\x02\x00\x07");
    sender.expect(b"\x70\x02\x00\x07");
    receiver.expect(b"\x34\x06\x00\x01a\x00\x01x");
    // PUBREC, and away before PUBREL comes back.
    receiver.send(b"\x50\x02\x00\x01");
    receiver.expect(b"\x62\x02\x00\x01");
    drop(receiver);
    let mut receiver = Raw::connect(broker.addr(), "receiver", false, 0);
    // The release is repeated, the message is not; and the sender's repetition went nowhere.
    receiver.expect(b"\x20\x02\x01\x00\x62\x02\x00\x01");
    receiver.send(b"\x70\x02\x00\x01\xc0\x00");
    receiver.expect(b"\xd0\x00");
    // Once released, the id is a new message's.
    sender.send(b"\x34\x06\x00\x01a\x00\x07y");
    receiver.expect(b"\x34\x06\x00\x01a\x00\x02y");
}

#[test]
fn a_second_connection_takes_the_place_of_the_first() {
    let broker = broker();
    let mut first = Raw::connect(broker.addr(), "same", false, 0);
    first.send(SUBSCRIBE_A_QOS1);
    first.expect(b"\x20\x02\x00\x00\x90\x03\x00\x09\x01");
    let mut second = Raw::connect(broker.addr(), "same", false, 0);
    second.expect(b"\x20\x02\x01\x00");
    assert_eq!(first.rest(), b"");
    publish(&mut client(&broker), "a", b"1", 1);
    second.expect(b"\x32\x06\x00\x01a\x00\x011");
}

#[test]
fn a_silent_client_is_let_go_and_its_will_is_published() {
    let broker = broker();
    let mut heir = client(&broker);
    heir.subscribe(&[("last/words", 1)], PATIENCE).unwrap();
    let mut options = ConnectOptions::new(broker.addr());
    options.keep_alive_s = 1;
    options.will = Some(("last/words".to_owned(), b"gone".to_vec(), 1, true));
    // It never pumps, so it never pings.
    let _silent = Connection::connect(&options).unwrap();
    let will = next(&mut heir);
    assert_eq!((will.topic(), &will.payload[..]), ("last/words", &b"gone"[..]));
    // A will may be retained, and one that says good-bye leaves none.
    let mut later = client(&broker);
    later.subscribe(&[("last/#", 0)], PATIENCE).unwrap();
    assert!(next(&mut later).retain);
    options.will = Some(("last/words".to_owned(), b"never said".to_vec(), 1, false));
    Connection::connect(&options).unwrap().disconnect(PATIENCE).unwrap();
    publish(&mut client(&broker), "last/words", b"end", 1);
    assert_eq!(&next(&mut heir).payload[..], b"end");
}

#[test]
fn who_breaks_the_rules_is_answered_or_let_go() {
    let broker = Broker::start(BrokerConfig {
        login: Some(("lab".to_owned(), "right".to_owned())),
        ..BrokerConfig::default()
    })
    .unwrap();
    let with_login = |id: &str, clean: u8, password: &str| {
        let mut bytes = vec![0x10, (10 + 2 + id.len() + 5 + 2 + password.len()) as u8, 0, 4];
        bytes.extend(b"MQTT\x04");
        bytes.extend([0xc0 | clean << 1, 0, 0, 0, id.len() as u8]);
        bytes.extend(id.as_bytes());
        bytes.extend(b"\x00\x03lab\x00");
        bytes.push(password.len() as u8);
        bytes.extend(password.as_bytes());
        bytes
    };
    let cases: [(&str, Vec<u8>, &[u8]); 8] = [
        ("a wrong password", with_login("x", 1, "wrong"), b"\x20\x02\x00\x04"),
        ("no login", connect_bytes("x", true, 0), b"\x20\x02\x00\x04"),
        ("no name for a session that is to last", with_login("", 0, "right"), b"\x20\x02\x00\x02"),
        ("MQTT 5", b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00".to_vec(), b"\x20\x02\x00\x01"),
        ("MQTT 3.1", b"\x10\x0f\x00\x06MQIsdp\x03\x02\x00\x00\x00\x01x".to_vec(), b"\x20\x02\x00\x01"),
        ("no CONNECT first", b"\xc0\x00".to_vec(), b""),
        (
            "CONNECT twice",
            [with_login("x", 1, "right"), with_login("x", 1, "right")].concat(),
            b"\x20\x02\x00\x00",
        ),
        (
            "a topic with a wildcard",
            [with_login("x", 1, "right"), b"\x30\x03\x00\x01#".to_vec()].concat(),
            b"\x20\x02\x00\x00",
        ),
    ];
    for (what, bytes, answer) in cases {
        let mut raw = Raw::open(broker.addr());
        raw.send(&bytes);
        assert_eq!(raw.rest(), answer, "{what}");
    }
    // A name that is missing is given, when the session is a clean one.
    let mut unnamed = Raw::open(broker.addr());
    unnamed.send(&with_login("", 1, "right"));
    unnamed.expect(b"\x20\x02\x00\x00");
    // A filter that is none is refused by itself.
    unnamed.send(b"\x82\x0c\x00\x01\x00\x02a#\x00\x00\x02ok\x00");
    unnamed.expect(b"\x90\x04\x00\x01\x80\x00");
}

/// A payload that counts, padded to a size that fills buffers.
fn numbered(i: u32) -> Vec<u8> {
    let mut payload = i.to_be_bytes().to_vec();
    payload.resize(256, 0);
    payload
}

/// Publishes numbered messages on `a` until it is told to stop; how many there were.
fn flood(broker: &Broker, qos: u8, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<u32> {
    let (mut publisher, stop) = (client(broker), Arc::clone(stop));
    std::thread::spawn(move || {
        let mut count = 0;
        while !stop.load(Relaxed) {
            publisher.publish("a", &numbered(count), qos, false).unwrap();
            count += 1;
            if publisher.waiting_bytes() > 64 << 10 {
                publisher.make_room(0, PATIENCE, |_| ()).unwrap();
            }
            while publisher.unacknowledged() > 1_000 {
                publisher.pump(Some(PATIENCE), |_| ()).unwrap();
            }
        }
        publisher.disconnect(PATIENCE).unwrap();
        count
    })
}

/// Reads numbered messages until the flood has ended and all of it was seen, without a gap.
fn read_flood(reader: &mut Connection, sender: std::thread::JoinHandle<u32>) {
    let (mut next, mut total, mut sender) = (0, None, Some(sender));
    until("the flood's end", || {
        reader
            .pump(Some(Duration::from_millis(10)), |r| {
                assert_eq!(r.payload[..], numbered(next)[..]);
                next += 1;
            })
            .unwrap();
        if let Some(sender) = sender.take_if(|s| s.is_finished()) {
            total = Some(sender.join().unwrap());
        }
        total == Some(next)
    });
}

#[test]
fn a_slow_subscriber_loses_nothing_and_publishers_wait() {
    for qos in [0, 1] {
        // At QoS 0 the bytes that wait are at their limit first, at QoS 1 the messages.
        let config = BrokerConfig { max_queued: 2_000, ..BrokerConfig::default() };
        let broker = Broker::start(config).unwrap();
        let mut slow = client(&broker);
        slow.subscribe(&[("a", qos)], PATIENCE).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let sender = flood(&broker, qos, &stop);
        // It reads only once a publisher has to wait.
        until("a publisher to wait", || broker.stats().waits > 0);
        stop.store(true, Relaxed);
        read_flood(&mut slow, sender);
        assert_eq!((broker.stats().dropped_away, broker.stats().slow_disconnected), (0, 0));
    }
}

#[test]
fn a_subscriber_that_never_reads_is_let_go_by_name() {
    let slow_after = Duration::from_millis(300);
    let broker = Broker::start(BrokerConfig { slow_after, ..BrokerConfig::default() }).unwrap();
    let mut stuck = ConnectOptions::new(broker.addr());
    stuck.client_id = "stuck".to_owned();
    let mut stuck = Connection::connect(&stuck).unwrap();
    stuck.subscribe(&[("a", 0)], PATIENCE).unwrap();
    let mut reader = client(&broker);
    reader.subscribe(&[("a", 0)], PATIENCE).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let sender = flood(&broker, 0, &stop);
    let stopper = std::thread::spawn(move || {
        until("it to be let go", || broker.stats().slow_disconnected > 0);
        stop.store(true, Relaxed);
        broker
    });
    read_flood(&mut reader, sender);
    let stats = stopper.join().unwrap().stats();
    assert_eq!((stats.slow_disconnected, stats.slow_clients), (1, vec!["stuck".to_owned()]));
}

#[test]
fn two_clients_that_flood_each_other_do_not_lock_up() {
    let broker =
        Broker::start(BrokerConfig { max_in_flight: 10, max_queued: 100, ..BrokerConfig::default() })
            .unwrap();
    let flood = |own: &'static str, other: &'static str, addr| {
        std::thread::spawn(move || {
            let mut c = Connection::connect(&ConnectOptions::new(addr)).unwrap();
            let (mut met, mut got) = (false, 0);
            c.subscribe(&[(own, 1)], PATIENCE).unwrap();
            // What the other says first shows that it is there; it is said until both are.
            until("the other", || {
                c.publish(other, b"hello", 0, false).unwrap();
                c.pump(Some(Duration::from_millis(10)), |r| {
                    met = true;
                    got += i32::from(r.qos > 0);
                })
                .unwrap();
                met
            });
            c.publish(other, b"hello", 0, false).unwrap();
            for i in 0..2_500 {
                c.publish(other, &numbered(i), 1 + (i % 2) as u8, false).unwrap();
                c.pump(None, |r| got += i32::from(r.qos > 0)).unwrap();
            }
            until("all of them", || {
                c.pump(Some(Duration::from_millis(100)), |r| got += i32::from(r.qos > 0)).unwrap();
                got == 2_500 && c.unacknowledged() == 0
            });
            c
        })
    };
    let (a, b) = (flood("a", "b", broker.addr()), flood("b", "a", broker.addr()));
    // Neither leaves before both are done.
    let _both = (a.join().unwrap(), b.join().unwrap());
    assert_eq!(broker.stats().slow_disconnected, 0);
}

#[test]
fn a_client_away_for_long_misses_what_is_beyond_its_queue_and_it_is_counted() {
    let broker = Broker::start(BrokerConfig { max_queued: 10, ..BrokerConfig::default() }).unwrap();
    let mut away = Raw::connect(broker.addr(), "away", false, 0);
    away.send(SUBSCRIBE_A_QOS1);
    away.expect(b"\x20\x02\x00\x00\x90\x03\x00\x09\x01");
    drop(away);
    until("the broker to see it go", || broker.stats().connections == 0);
    let mut publisher = client(&broker);
    for i in 0..15 {
        publish(&mut publisher, "a", &[i], 1);
    }
    assert_eq!(broker.stats().dropped_away, 5);
    let mut away = Raw::connect(broker.addr(), "away", false, 0);
    away.expect(b"\x20\x02\x01\x00");
    for i in 0..10 {
        away.expect(&[0x32, 6, 0, 1, b'a', 0, i + 1, i]);
    }
}

#[test]
fn a_packet_that_is_too_large_ends_its_connection_only() {
    let broker = Broker::start(BrokerConfig { max_packet_bytes: 1000, ..BrokerConfig::default() }).unwrap();
    let mut good = client(&broker);
    good.subscribe(&[("#", 0)], PATIENCE).unwrap();
    let mut raw = Raw::connect(broker.addr(), "big", true, 0);
    raw.expect(b"\x20\x02\x00\x00");
    raw.send(b"\x30\xff\xff\xff\x7f\x00\x01a");
    assert_eq!(raw.rest(), b"");
    assert_eq!(broker.stats().malformed, 1);
    publish(&mut client(&broker), "still", b"here", 1);
    assert_eq!(&next(&mut good).payload[..], b"here");
}

#[test]
fn the_wrong_end_of_a_shutdown_is_an_error_and_a_port_in_use_too() {
    let broker = broker();
    let mut connection = client(&broker);
    let taken = Broker::start(BrokerConfig { listen: broker.addr(), ..BrokerConfig::default() });
    assert!(matches!(taken, Err(WireError::Listen { .. })));
    broker.shutdown();
    let mut ended = Ok(0);
    until("the end", || {
        ended = connection.pump(Some(Duration::from_millis(10)), |_| ());
        ended.is_err()
    });
    assert!(matches!(ended, Err(WireError::Lost { .. })));
}

/// Packets that begin well and may end badly.
fn almost_packets() -> impl Strategy<Value = Vec<u8>> {
    let body = prop::collection::vec(any::<u8>(), 0..40);
    let framed = (any::<u8>(), body.clone()).prop_map(|(first, body)| {
        let mut packet = vec![first, body.len() as u8];
        packet.extend(body);
        packet
    });
    let fine = prop::sample::select(vec![
        SUBSCRIBE_A_QOS1.to_vec(),
        SUBSCRIBE_A_QOS2.to_vec(),
        b"\x34\x06\x00\x01a\x00\x07x".to_vec(),
        b"\x62\x02\x00\x07".to_vec(),
        b"\x40\x02\x00\x01".to_vec(),
        b"\x50\x02\x00\x01".to_vec(),
        b"\x70\x02\x00\x01".to_vec(),
        b"\xa2\x05\x00\x01\x00\x01a".to_vec(),
        b"\xc0\x00".to_vec(),
        b"\xe0\x00".to_vec(),
    ]);
    let packets = prop::collection::vec(prop_oneof![framed, fine, body], 1..12).prop_map(|p| p.concat());
    (any::<bool>(), any::<bool>(), packets).prop_map(|(connected, clean, packets)| {
        let mut bytes = if connected { connect_bytes("fuzz", clean, 0) } else { Vec::new() };
        bytes.extend(packets);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_stop_the_broker(bytes in almost_packets(), split in any::<prop::sample::Index>()) {
        static BROKER: OnceLock<Broker> = OnceLock::new();
        let broker = BROKER.get_or_init(broker);
        let mut raw = Raw::open(broker.addr());
        let (head, tail) = bytes.split_at(split.index(bytes.len() + 1));
        // The broker may have ended the connection before the second part.
        for part in [head, tail] {
            raw.0.write_all(part).ok();
        }
        drop(raw);
        let mut sound = Connection::connect(&ConnectOptions::new(broker.addr())).unwrap();
        sound.subscribe(&[("sound", 2)], PATIENCE).unwrap();
        sound.publish("sound", b"and whole", 2, false).unwrap();
        prop_assert_eq!(&next(&mut sound).payload[..], b"and whole");
        prop_assert!(broker.is_running());
    }
}
