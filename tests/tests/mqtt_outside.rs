//! Brokers that are not there, do not let us in, or cannot be trusted: one clear message each, with what to do.

use expect_test::{Expect, expect};
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use twinfleet_engine::{message::Message, time::SimTime};
use twinfleet_tests::{Mosquitto, PATIENCE, free_port, tool};
use twinfleet_twins::wire::{
    broker::{Broker, BrokerConfig},
    exchange::{Exchange, ExchangeOptions},
    url::BrokerChoice,
};

/// What a user reads who names this broker, with the port written as PORT.
fn error(url: &str, port: u16, ca_file: Option<PathBuf>) -> String {
    let choice: BrokerChoice = url.replace("PORT", &port.to_string()).parse().unwrap();
    let options = ExchangeOptions { ca_file, ..ExchangeOptions::default() };
    match Exchange::connect(&choice, options) {
        Ok(_) => "connected".to_owned(),
        Err(error) => error.to_string().replace(&port.to_string(), "PORT"),
    }
}

fn check(url: &str, port: u16, ca_file: Option<PathBuf>, expected: &Expect) {
    expected.assert_eq(&error(url, port, ca_file));
}

#[test]
fn nobody_listens() {
    check(
        "mqtt://127.0.0.1:PORT",
        free_port(),
        None,
        &expect![
            "cannot reach the broker 127.0.0.1:PORT: Connection refused (os error 111). Check host and port, and that it runs"
        ],
    );
    let text = error("mqtt://no-such-host.invalid", 1, None);
    assert!(text.contains("the name cannot be resolved"), "{text}");
}

#[test]
fn the_login_is_refused() {
    let name = "a login refused by mosquitto";
    let Some(passwd) = tool("mosquitto_passwd", name) else { return };
    let mosquitto = Mosquitto::start_with(name, |dir| {
        let file = dir.join("passwd");
        let made =
            Command::new(passwd).args(["-b", "-c"]).arg(&file).args(["lab", "right"]).status().unwrap();
        assert!(made.success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    let Some(mosquitto) = mosquitto else { return };
    let port = mosquitto.addr.port();
    check(
        "mqtt://lab:geheim@127.0.0.1:PORT",
        port,
        None,
        &expect![
            "the broker 127.0.0.1:PORT refused the connection: not authorised. Check user name and password in the URL"
        ],
    );
    check(
        "mqtt://127.0.0.1:PORT",
        port,
        None,
        &expect![
            "the broker 127.0.0.1:PORT refused the connection: not authorised. It may want a login: `mqtt://user:password@host`"
        ],
    );
    check("mqtt://lab:right@127.0.0.1:PORT", port, None, &expect!["connected"]);
}

#[test]
fn the_embedded_broker_refuses_a_wrong_login_too() {
    let login = Some(("lab".to_owned(), "right".to_owned()));
    let broker = Broker::start(BrokerConfig { login, ..BrokerConfig::default() }).unwrap();
    let port = broker.addr().port();
    check(
        "mqtt://lab:geheim@127.0.0.1:PORT",
        port,
        None,
        &expect![
            "the broker 127.0.0.1:PORT refused the connection: wrong user name or password. Check user name and password in the URL"
        ],
    );
    check("mqtt://lab:right@127.0.0.1:PORT", port, None, &expect!["connected"]);
    check(
        "embedded:PORT",
        port,
        None,
        &expect![
            "cannot listen on 127.0.0.1:PORT: Address already in use (os error 98). Another program may use this port: name a free one (`embedded:PORT`), or `embedded` to have one chosen"
        ],
    );
}

pub fn openssl(program: &Path, dir: &Path, args: &str) {
    let status = Command::new(program)
        .args(args.split(' '))
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "openssl {args}");
}

/// Makes a certificate authority and a certificate for `localhost`, and an authority that signed nothing.
pub fn certificates(program: &Path, dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(program, dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Lab"));
    openssl(program, dir, &format!("req {key} -keyout server.key -out server.csr -subj /CN=broker"));
    std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(
        program,
        dir,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile ext",
    );
    openssl(
        program,
        dir,
        &format!("req -x509 {key} -keyout other.key -out other.pem -days 2 -subj /CN=Other"),
    );
}

#[test]
fn tls_with_a_certificate_authority_of_ones_own() {
    let name = "TLS with mosquitto";
    let Some(program) = tool("openssl", name) else { return };
    let plain_port = free_port();
    let mosquitto = Mosquitto::start_with(name, |dir| {
        certificates(&program, dir);
        let d = dir.display();
        format!(
            "cafile {d}/ca.pem\ncertfile {d}/server.pem\nkeyfile {d}/server.key\nlistener {plain_port} 127.0.0.1\nallow_anonymous true\n"
        )
    });
    let Some(mosquitto) = mosquitto else { return };
    let port = mosquitto.addr.port();
    let file = |name: &str| Some(mosquitto.dir.path().join(name));
    {
        let choice: BrokerChoice = format!("mqtts://localhost:{port}").parse().unwrap();
        let options = ExchangeOptions { ca_file: file("ca.pem"), ..ExchangeOptions::default() };
        let mut exchange = Exchange::connect(&choice, options).unwrap();
        // Larger than a TLS record and than the sockets' buffers.
        let round: Vec<Message> = (0..20)
            .map(|i| Message {
                sent: SimTime(0),
                due: SimTime(0),
                publisher: i,
                seq: 0,
                topic: "tls".into(),
                payload: vec![i as u8; 400_000].into(),
                qos: (i % 3) as u8,
                retain: false,
            })
            .collect();
        assert!(exchange.round(&round, PATIENCE).unwrap() == round);
        exchange.finish(true, PATIENCE).unwrap();
    }
    // The reasons are the TLS library's and mosquitto's words; the advice is ours.
    for (url, port, ca, said) in [
        ("mqtts://localhost:PORT", port, file("other.pem"), ["UnknownIssuer", "`--ca-file`"]),
        (
            "mqtts://127.0.0.1:PORT",
            port,
            file("ca.pem"),
            ["127.0.0.1", "Use a host that the broker's certificate names"],
        ),
        ("mqtts://localhost:PORT", plain_port, file("ca.pem"), ["cannot reach", "it may not speak TLS"]),
        ("mqtt://localhost:PORT", port, None, ["cannot reach", "it may want TLS (`mqtts://`)"]),
    ] {
        let text = error(url, port, ca);
        assert!(said.iter().all(|part| text.contains(part)), "{url}: {text}");
    }
    let no_file = error("mqtts://localhost:PORT", port, file("none.pem"));
    assert!(
        no_file.contains("cannot read certificates from") && no_file.contains("No such file"),
        "{no_file}"
    );
    let no_pem = error("mqtts://localhost:PORT", port, file("ext"));
    assert!(no_pem.contains("it holds no PEM certificate"), "{no_pem}");
}
