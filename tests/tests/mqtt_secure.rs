//! Every way to a broker: both versions of MQTT, TLS, our own certificate, WebSocket; and what is refused, with the
//! reason.

use crate::mqtt_outside::{certificates, openssl};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use twinfleet_tests::{Mosquitto, Nats, PATIENCE, free_port, tool};
use twinfleet_twins::wire::{
    WireError,
    client::{ConnectOptions, Connection, Version},
    tls::Identity,
    url::BrokerChoice,
};

fn options(url: &str) -> ConnectOptions {
    let Ok(BrokerChoice::Url(url)) = url.parse() else { panic!("{url} is no broker") };
    ConnectOptions::to(url)
}

/// Publishes at every quality, small and large, and wants each back once.
fn round_trip(options: &ConnectOptions) -> Result<(), WireError> {
    round_trip_of(options, &[b"", b"{}", &[7; 300_000]])
}

/// The same, one message at each quality from 0 on.
fn round_trip_of(options: &ConnectOptions, payloads: &[&[u8]]) -> Result<(), WireError> {
    let mut connection = Connection::connect(options)?;
    connection.subscribe(&[("r/#", payloads.len() as u8 - 1)], PATIENCE)?;
    for (qos, payload) in payloads.iter().enumerate() {
        connection.publish(&format!("r/{qos}"), payload, qos as u8, false)?;
    }
    let start = Instant::now();
    let mut back = Vec::new();
    while back.len() < payloads.len() || connection.unacknowledged() > 0 {
        assert!(start.elapsed() < PATIENCE, "{} came back", back.len());
        connection.pump(Some(Duration::from_millis(100)), |m| back.push(m))?;
    }
    back.sort_by_key(|m| m.qos);
    for (qos, payload) in payloads.iter().enumerate() {
        assert_eq!((back[qos].topic(), back[qos].qos), (format!("r/{qos}").as_str(), qos as u8));
        assert!(back[qos].payload[..] == **payload);
    }
    connection.disconnect(PATIENCE)
}

/// What the user reads.
fn refusal(options: &ConnectOptions) -> String {
    round_trip(options).expect_err("this must be refused").to_string()
}

/// Beside those of [`certificates`]: one for us by the broker's authority, one by another, and a server's that has expired.
pub fn more_certificates(program: &Path, dir: &Path) {
    certificates(program, dir);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for (name, authority) in [("us", "ca"), ("stranger", "other")] {
        openssl(program, dir, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        openssl(
            program,
            dir,
            &format!(
                "x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -out {name}.pem -days 2 -extfile ext"
            ),
        );
    }
    std::fs::write(dir.join("index"), "").unwrap();
    std::fs::write(dir.join("serial"), "10\n").unwrap();
    std::fs::write(
        dir.join("old.cnf"),
        "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n\
         [p]\ncommonName=supplied\n[v]\nsubjectAltName=DNS:localhost\n",
    )
    .unwrap();
    openssl(
        program,
        dir,
        "ca -batch -config old.cnf -extensions v -cert ca.pem -keyfile ca.key -in server.csr -out old.pem -notext -startdate 20200101000000Z -enddate 20200201000000Z",
    );
}

#[test]
fn both_versions_over_tcp_tls_and_with_our_own_certificate() {
    let name = "MQTT 3.1.1 and 5 over TLS with mosquitto";
    let Some(program) = tool("openssl", name) else { return };
    let [tls, mutual, old] = [(); 3].map(|()| free_port());
    let mosquitto = Mosquitto::start_with(name, |dir| {
        more_certificates(&program, dir);
        let d = dir.display();
        let server = |port: u16, cert: &str| {
            format!(
                "listener {port} 127.0.0.1\ncafile {d}/ca.pem\ncertfile {d}/{cert}.pem\nkeyfile {d}/server.key\n"
            )
        };
        format!(
            "allow_anonymous true\n{}{}require_certificate true\n{}",
            server(tls, "server"),
            server(mutual, "server"),
            server(old, "old")
        )
    });
    let Some(mosquitto) = mosquitto else { return };
    let file = |name: &str| mosquitto.dir.path().join(name);
    let us = |name: &str| Identity {
        cert_file: file(&format!("{name}.pem")),
        key_file: file(&format!("{name}.key")),
    };
    let ca = Some(file("ca.pem"));
    for version in [Version::V4, Version::V5] {
        let plain = options(&format!("mqtt://{}", mosquitto.addr));
        round_trip(&ConnectOptions { version, ..plain }).unwrap();
        let over = |port: u16| ConnectOptions {
            version,
            ca_file: ca.clone(),
            ..options(&format!("mqtts://localhost:{port}"))
        };
        round_trip(&over(tls)).unwrap();
        round_trip(&ConnectOptions { identity: Some(us("us")), ..over(mutual) }).unwrap();

        let text = refusal(&over(mutual));
        assert!(text.contains("`--cert`"), "no certificate of ours: {text}");
        let text = refusal(&ConnectOptions { identity: Some(us("stranger")), ..over(mutual) });
        assert!(text.contains("does not trust our certificate"), "a stranger's: {text}");
        let text = refusal(&over(old));
        assert!(text.contains("has expired"), "{text}");
        let text = refusal(&ConnectOptions { ca_file: Some(file("other.pem")), ..over(tls) });
        assert!(text.contains("UnknownIssuer") && text.contains("`--ca-file`"), "{text}");
        let wrong_host = format!("mqtts://127.0.0.1:{tls}");
        let text = refusal(&ConnectOptions { ca_file: ca.clone(), ..options(&wrong_host) });
        assert!(text.contains("Use a host that the broker's certificate names"), "{text}");
    }
    let mixed = Identity { cert_file: file("us.pem"), key_file: file("stranger.key") };
    let error = round_trip(&ConnectOptions {
        ca_file: ca,
        identity: Some(mixed),
        ..options(&format!("mqtts://localhost:{mutual}"))
    })
    .expect_err("a key of another certificate");
    assert!(error.is_input() && error.to_string().contains("is not the key of"), "{error}");
}

#[test]
fn websocket_with_and_without_tls() {
    let name = "MQTT over WebSocket with nats-server";
    let Some(program) = tool("openssl", name) else { return };
    let Some(open) = Nats::start(name, |_| String::new()) else { return };
    // This broker has no QoS 2.
    let payloads: &[&[u8]] = &[b"{}", &[7; 300_000]];
    round_trip_of(&options(&format!("mqtt://{}", open.mqtt)), payloads).unwrap();
    round_trip_of(&options(&format!("ws://{}", open.websocket)), payloads).unwrap();
    let text = refusal(&options(&format!("ws://{}", open.mqtt)));
    assert!(text.contains("no WebSocket there") || text.contains("while the WebSocket was opened"), "{text}");

    let closed = Nats::start(name, |dir| {
        certificates(&program, dir);
        let d = dir.display();
        format!("cert_file: \"{d}/server.pem\", key_file: \"{d}/server.key\"")
    });
    let Some(closed) = closed else { return };
    let port = closed.websocket.port();
    let ca_file = Some(closed.dir.path().join("ca.pem"));
    let wss = options(&format!("wss://localhost:{port}/mqtt"));
    round_trip_of(&ConnectOptions { ca_file: ca_file.clone(), ..wss.clone() }, payloads).unwrap();
    let other = Some(closed.dir.path().join("other.pem"));
    let text = refusal(&ConnectOptions { ca_file: other, ..wss });
    assert!(text.contains("UnknownIssuer") && text.contains("`--ca-file`"), "{text}");
    let wrong_host = options(&format!("wss://127.0.0.1:{port}"));
    let text = refusal(&ConnectOptions { ca_file, ..wrong_host });
    assert!(text.contains("Use a host that the broker's certificate names"), "{text}");
}

#[test]
fn a_message_too_large_is_thrown_away_acknowledged_and_counted() {
    let name = "payload bombs through mosquitto";
    let Some(mosquitto) = Mosquitto::start(name) else { return };
    for version in [Version::V4, Version::V5] {
        let plain = ConnectOptions { version, ..options(&format!("mqtt://{}", mosquitto.addr)) };
        // In version 5 the broker would not even send it: say nothing of the limit, as 3.1.1 cannot.
        let mut reader = Connection::connect(&ConnectOptions {
            version: Version::V4,
            max_packet_bytes: 10_000,
            client_id: "reader".to_owned(),
            ..plain.clone()
        })
        .unwrap();
        reader.subscribe(&[("bomb/#", 2)], PATIENCE).unwrap();
        let mut writer = Connection::connect(&plain).unwrap();
        for qos in 0..=2 {
            writer.publish("bomb/large", &vec![b'['; 3_000_000], qos, false).unwrap();
            writer.publish("bomb/small", &[qos], qos, false).unwrap();
        }
        let start = Instant::now();
        let mut small = Vec::new();
        while small.len() < 3 {
            assert!(start.elapsed() < PATIENCE, "{small:?}");
            writer.pump(None, |_| ()).unwrap();
            reader.pump(Some(Duration::from_millis(5)), |m| small.push(m.payload.to_vec())).unwrap();
        }
        assert_eq!(small, [[0], [1], [2]]);
        assert_eq!(reader.oversized(), 3);
    }
}
