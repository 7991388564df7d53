//! TLS, a certificate for each device, and WebSocket.

use super::*;

const LOAD: &str = r#"
    devices: [(id: "d-{}", count: 5, topic: "t/{device}", qos: 1, schedule: Constant("20ms"), payload_bytes: 2000)],
    subscribers: [(id: "s", filter: "t/#", qos: 1)],
    stages: [Hold(for: "1s")], thresholds: [AtMost(of: Lost, bound: 0), Kept(share: 1)]"#;

fn openssl(program: &Path, dir: &Path, args: &str) {
    let status = Command::new(program)
        .args(args.split(' '))
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("openssl");
    assert!(status.success(), "openssl {args}");
}

/// An authority, a certificate for `localhost`, and one for each client.
fn certificates(program: &Path, dir: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(program, dir, &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=Lab"));
    std::fs::write(dir.join("ext"), "subjectAltName=DNS:localhost\n").expect("a file");
    std::fs::write(dir.join("client"), "extendedKeyUsage=clientAuth\n").expect("a file");
    for name in ["localhost", "d-0", "d-1", "d-2", "d-3", "d-4", "s"] {
        openssl(program, dir, &format!("req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        // Without an extension, openssl makes certificates of a version that TLS libraries refuse.
        let ext = if name == "localhost" { " -extfile ext" } else { " -extfile client" };
        let sign = format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem -days 2{ext}"
        );
        openssl(program, dir, &sign);
    }
}

#[test]
fn each_device_has_a_certificate_of_its_own() {
    let test = "each_device_has_a_certificate_of_its_own";
    let Some(program) = twinfleet_tests::tool("openssl", test) else { return };
    let mosquitto = Mosquitto::start_with(test, |dir| {
        certificates(&program, dir);
        let d = dir.display();
        // The name in the certificate becomes the user, and only its own topic is a device's to write.
        std::fs::write(dir.join("acl"), "pattern write t/%u\nuser s\ntopic read t/#\n").expect("a file");
        format!(
            "cafile {d}/ca.pem\ncertfile {d}/localhost.pem\nkeyfile {d}/localhost.key\nrequire_certificate true\n\
             use_identity_as_username true\nacl_file {d}/acl\n"
        )
    });
    let Some(mosquitto) = mosquitto else { return };
    let dir = scratch();
    let file = scenario(dir.path(), "tls.ron", LOAD);
    let url = format!("mqtts://localhost:{}", mosquitto.addr.port());
    let at = |name: &str| mosquitto.dir.path().join(name).display().to_string();
    let (ca, cert, key) = (at("ca.pem"), at("{device}.pem"), at("{device}.key"));
    let base = ["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"];
    let own = command(&[&base[..], &["--ca-file", &ca, "--cert", &cert, "--key", &key]].concat());
    assert_eq!(own.code(), 0, "{}\n{}", own.stdout(), own.stderr());
    // What goes wrong on purpose has a certificate, too: who takes a device over its own.
    let faults = r#"load.faults=[(at: "200ms", do: Takeover(share: 1)), (at: "300ms", do: Malformed(connections: 6))]"#;
    let args = ["--ca-file", &ca, "--cert", &cert, "--key", &key, "--set", faults];
    let struck = command(&[&base[..], &args].concat()).json();
    let n = |key: &str| struck["counters"][key].as_u64().expect("a number");
    assert_eq!((n("taken_over"), n("strangers_closed"), n("strangers_unopened")), (5, 6, 0), "{struck}");
    // A newcomer looks at what was retained over TLS as well.
    let out = dir.path().join("out");
    let args =
        ["--ca-file", &ca, "--cert", &cert, "--key", &key, "--set", "load.devices[0].retain=true", "--out"];
    let kept = command(&[&base[..], &args, &[out.to_str().expect("text")]].concat());
    assert_eq!(kept.code(), 0, "{}\n{}", kept.stdout(), kept.stderr());
    let part = std::fs::read(out.join("load.json")).expect("load.json");
    let part: Value = serde_json::from_slice(&part).expect("JSON");
    assert_eq!(part["retained"], serde_json::json!([]), "nobody looked");
    // With somebody else's certificate, a device may not write: its messages come to nobody.
    let (one, its_key) = (at("d-0.pem"), at("d-0.key"));
    let shared = command(&[&base[..], &["--ca-file", &ca, "--cert", &one, "--key", &its_key]].concat());
    assert_eq!(shared.code(), 1, "{}", shared.stdout());
    let none = command(&[&base[..], &["--ca-file", &ca]].concat());
    assert_eq!(none.code(), 3, "{}", none.stderr());
    let unknown = command(&base);
    assert!(matches!(unknown.code(), 2 | 3), "{}", unknown.stderr());
    let absent = command(&[&base[..], &["--ca-file", "/nowhere.pem"]].concat());
    assert_eq!(absent.code(), 2, "{}", absent.stderr());
    assert!(absent.stderr().contains("/nowhere.pem"), "{}", absent.stderr());
}

#[test]
fn websockets_carry_a_load() {
    let test = "websockets_carry_a_load";
    let Some(nats) = twinfleet_tests::Nats::start(test, |_| String::new()) else { return };
    let dir = scratch();
    let file = scenario(dir.path(), "ws.ron", LOAD);
    let url = format!("ws://{}/mqtt", nats.websocket);
    let ran = command(&["load", &file, "--broker", &url, "--set", PATIENT, "--quiet"]);
    assert_eq!(ran.code(), 0, "{}\n{}", ran.stdout(), ran.stderr());
    assert_eq!(ran.json()["verdict"]["received"], ran.json()["verdict"]["expected"]);
}

#[test]
fn commands_go_over_tls_as_the_devices_do() {
    let test = "commands_go_over_tls_as_the_devices_do";
    let Some(program) = twinfleet_tests::tool("openssl", test) else { return };
    let mosquitto = Mosquitto::start_with(test, |dir| {
        certificates(&program, dir);
        let d = dir.display();
        format!(
            "allow_anonymous true\ncafile {d}/ca.pem\ncertfile {d}/localhost.pem\nkeyfile {d}/localhost.key\n"
        )
    });
    let Some(mosquitto) = mosquitto else { return };
    let url = format!("mqtts://localhost:{}", mosquitto.addr.port());
    let ca = mosquitto.dir.path().join("ca.pem").display().to_string();
    for protocol in ["load.protocol=V311", "load.protocol=V5"] {
        let args = [
            "load",
            "load-commands",
            "--broker",
            &url,
            "--ca-file",
            &ca,
            "--set",
            PATIENT,
            "--set",
            protocol,
        ];
        let ran = command(&[&args[..], &["--quiet"]].concat());
        assert_eq!(ran.code(), 0, "{protocol}: {}\n{}", ran.stdout(), ran.stderr());
        assert!(ran.json()["counters"]["commands_followed"].as_u64() >= Some(12), "{}", ran.stdout());
    }
}
