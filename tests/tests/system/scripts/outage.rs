//! What scripts find of their network where the timeline cuts their link.

use super::{ESP, PI, Stage, suite::package};
use twinfleet_tests::python_of;

/// Its first device behind a link that is down from second 40 to second 70; the second has none.
fn cut(stage: Stage) -> Stage {
    stage
        .with(
            r#"fleet: [(id: "d-{}", count: 2, thing: "t", in: ["room"])])"#,
            r#"fleet: [(id: "d-0", thing: "t", in: ["room"], link: "air"), (id: "d-1", thing: "t", in: ["room"])])"#,
        )
        .with(
            "things: [",
            r#"links: [(id: "air")], timeline: [(at: "40s", until: "70s", do: LinkDown(link: "air"))], things: ["#,
        )
}

#[test]
fn micropythons_own_robust_client_comes_back_after_an_outage() {
    let test = "micropythons_own_robust_client_comes_back_after_an_outage";
    let (Some(simple), Some(robust)) =
        (package("umqtt.simple", "umqtt/simple.py", test), package("umqtt.robust", "umqtt/robust.py", test))
    else {
        return;
    };
    let script = "import network, time\n\
        from umqtt import robust\n\
        class Client(robust.MQTTClient):\n    DEBUG = True\n\
        w = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('a', 'b')\n\
        while not w.isconnected():\n    pass\n\
        name = network.hostname()\n\
        c = Client(name, 'broker', keepalive=20)\n\
        c.set_last_will(b'gone', name.encode())\n\
        c.connect()\n\
        if name == 'd-1':\n\
        \x20   c.set_callback(lambda t, m: print(time.ticks_ms() // 1000, t.decode(), m.decode()))\n    c.subscribe(b'#')\n\
        \x20   while True:\n        c.check_msg()\n        c.ping()\n        time.sleep_ms(100)\n\
        for n in range(20):\n\
        \x20   time.sleep(max(0, 5 * n + 5 - time.ticks_ms() / 1000))\n\
        \x20   print(time.ticks_ms() // 1000, w.isconnected(), w.status() == network.STAT_GOT_IP)\n\
        \x20   c.publish(b'n', str(n).encode(), qos=1)\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).beside("umqtt/simple.py", &simple);
    let stage = cut(stage.beside("umqtt/robust.py", &robust));
    let ran = stage.run(&[]);
    assert!(stage.told(&ran, "script_crash").is_empty(), "{:?}", stage.told(&ran, "script_crash"));
    let said = stage.told(&ran, "script_says");
    let status: Vec<&String> = said.iter().filter(|l| !l.starts_with("mqtt")).collect();
    assert!(status[6].starts_with("35 True True") && status[7].starts_with("40 False False"), "{said:?}");
    // What fell due meanwhile is told at once when it is back, which is not before it has joined again; then it is on time.
    assert!(status[8..14].iter().all(|l| l.starts_with("7") && l.ends_with("True True")), "{said:?}");
    assert!(status[14] == "75 True True", "{said:?}");
    // What its own debugging tells: the stream is lost, then no host is reached, then all is well.
    let errors: Vec<&str> = said.iter().filter(|l| l.starts_with("mqtt")).map(String::as_str).collect();
    assert!(errors[0].contains("OSError(103"), "ECONNABORTED: {errors:?}");
    assert!(errors.len() > 10 && errors[1..].iter().all(|e| e.contains("OSError(-2")), "{errors:?}");
    let heard = stage.told_of("d-1", &ran, "script_says");
    let at = |what: &str| {
        let line = heard.iter().find(|l| l.ends_with(what)).unwrap_or_else(|| panic!("{what}: {heard:?}"));
        line.split(' ').next().unwrap().parse::<i64>().unwrap()
    };
    // Each reading comes, those of the outage after it; and the broker tells of it one and a half times 20 s after the last.
    assert!((0..18).all(|n| at(&format!(" n {n}")) > 0), "{heard:?}");
    assert!((71..=74).contains(&at(" n 7")), "{heard:?}");
    assert!((65..=67).contains(&at(" gone d-0")), "{heard:?}");
}

#[test]
fn paho_outlasts_an_outage_on_linux() {
    let test = "paho_outlasts_an_outage_on_linux";
    let Some(python) = python_of("venv-scripts", "paho.mqtt.client", test) else { return };
    // With a sign of life each minute the stream outlasts half a minute, with one each 8 s the broker gives it up.
    let script = |keepalive: u32| {
        format!(
            "import time, socket, paho.mqtt.client as m\n\
            name = socket.gethostname()\n\
            t = lambda: int(time.monotonic() - 1)\n\
            c = m.Client(m.CallbackAPIVersion.VERSION2, name)\n\
            c.will_set('gone', name)\n\
            c.reconnect_delay_set(1, 1)\n\
            def came(c, *_):\n    print('on', t())\n    c.subscribe('#' if name == 'd-1' else 'own')\n\
            c.on_connect = came\n\
            c.on_disconnect = lambda c, u, f, reason, p: print('off', t(), reason)\n\
            c.on_message = lambda c, u, x: print('got', t(), x.topic, x.payload.decode())\n\
            c.connect('broker', 1883, keepalive={keepalive})\n\
            c.loop_start()\n\
            time.sleep(45 - time.monotonic() + 1)\n\
            if name == 'd-0':\n    c.publish('n', '45', qos=1)\n\
            try:\n    socket.create_connection(('d-1', 80), 5)\nexcept OSError as e:\n    print('call', type(e).__name__, e.errno)\n\
            time.sleep(70)\n"
        )
    };
    let run = |keepalive| {
        let stage = cut(Stage::new(PI, "RaspberryPi", "", &script(keepalive)).python(python.clone()));
        let ran = stage.run(&[]);
        (stage.told(&ran, "script_says"), stage.told_of("d-1", &ran, "script_says"))
    };
    let (said, heard) = run(60);
    assert_eq!(said, ["on 0", "call gaierror -3"], "the stream outlasts it");
    assert_eq!(
        heard,
        ["on 0", "call ConnectionRefusedError 111", "got 71 n 45"],
        "what was sent waits for the network"
    );
    let (said, heard) = run(8);
    assert!(
        said[1] == "call gaierror -3" && said[2].starts_with("off ") && said[3].starts_with("on 7"),
        "{said:?}"
    );
    let gone = heard.iter().find(|l| l.contains("gone d-0")).unwrap_or_else(|| panic!("{heard:?}"));
    let at: i64 = gone.split(' ').nth(1).unwrap().parse().unwrap();
    assert!((45..=53).contains(&at), "within 12 s of its last sign of life: {gone}");
    assert!(heard.iter().any(|l| l.starts_with("got 7") && l.ends_with("n 45")), "{heard:?}");
}

#[test]
fn without_a_network_no_name_is_known_and_no_address_reached() {
    let script = "import time, socket, network, ntptime, errno\n\
        w = network.WLAN(network.STA_IF)\nw.active(True)\n\
        if network.hostname() == 'd-1':\n    w.connect('a', 'b')\n    time.sleep(110)\n\
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
        def tried(what):\n    try:\n        return what()\n    except OSError as e:\n        return errno.errorcode.get(e.errno, e.errno)\n\
        def calls():\n    socket.socket().connect(('10.1.0.2', 80))\n\
        def tells():\n    return u.sendto(b'x', ('10.1.0.2', 9))\n\
        def seen():\n    print(len(w.scan()), tried(calls), tried(tells), tried(lambda: socket.getaddrinfo('d-1', 1)[0][-1][0]), tried(ntptime.time))\n\
        ntptime.time = lambda was=ntptime.time: was() > 0\n\
        time.sleep(42 - time.ticks_ms() / 1000)\n\
        w.connect('a', 'b')\n\
        seen()\n\
        for _ in range(3):\n    time.sleep(2)\n    print(w.status())\n\
        time.sleep(30)\n\
        print(w.isconnected())\n\
        seen()\n";
    let stage = cut(Stage::new(ESP, "MicroPython", "", script));
    let said = stage.told(&stage.run(&[]), "script_says");
    let all =
        ["0 EHOSTUNREACH EHOSTUNREACH -2 -2", "1001", "201", "201", "True", "1 ECONNREFUSED 1 10.1.0.2 True"];
    assert_eq!(said, all);
    // A link that loses everything is none.
    let stage = stage.with(r#"(id: "air")"#, r#"(id: "air", loss: 1.0)"#);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(
        said,
        [
            "0 EHOSTUNREACH EHOSTUNREACH -2 -2",
            "1001",
            "201",
            "201",
            "False",
            "0 EHOSTUNREACH EHOSTUNREACH -2 -2"
        ]
    );
}

#[test]
fn who_has_not_joined_wifi_reaches_nobody() {
    let script = "import network, ntptime\n\
        from umqtt.simple import MQTTClient\n\
        def tried(what):\n    try:\n        return what()\n    except OSError as e:\n        return e\n\
        def says():\n    return c.publish('a', '1', qos=1)\n\
        print(tried(ntptime.settime))\n\
        c = MQTTClient('x', '192.168.1.9')\n\
        print(tried(c.connect))\n\
        w = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('home', 'secret')\n\
        print(tried(c.connect).errno)\n\
        while not w.isconnected():\n    pass\n\
        print(tried(c.connect), tried(says))\n\
        w.disconnect()\n\
        print(tried(says).errno, tried(c.connect).errno, w.isconnected())\n\
        w.connect('home', 'secret')\nwhile not w.isconnected():\n    pass\n\
        print(tried(c.connect), tried(says))\n\
        w.active(False)\n\
        print(tried(says).errno, w.isconnected())\n";
    let stage = Stage::new(ESP, "MicroPython", "", script).with("count: 2", "count: 1");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert_eq!(said.len(), 7, "{said:?} {:?}", stage.told(&ran, "script_crash"));
    // Whose boot.py did it finds what is missing.
    assert!(said[0].starts_with("(-2, 'no network:") && said[0].contains("boot.py"), "{said:?}");
    assert!(said[1].starts_with("[Errno 113] EHOSTUNREACH: no network:"), "{said:?}");
    assert_eq!(said[2..], ["113", "0 None", "103 113 False", "0 None", "103 False"]);
}
