//! Streams between devices: servers that others call, by name and by address.

use super::{ESP, JOINED, PI, Stage, suite::example};

/// Two ESP32 `d-0` and `d-1`, which have joined a network, and a Raspberry Pi `p-0`, each with its script, by steps of 100 ms.
fn three(esp: &str, pi: &str) -> Stage {
    let things = format!(
        r#"things: [(name: "p", source: "a test", {PI}, firmware: Script(path: "code/pi.py", runtime: RaspberryPi)),"#
    );
    let fleet = r#"count: 2, thing: "t", in: ["room"]), (id: "p-0", thing: "p", in: ["room"])])"#;
    Stage::new(ESP, "MicroPython", "", &format!("{JOINED}{esp}"))
        .beside("pi.py", pi)
        .with("things: [", &things)
        .with(r#"count: 2, thing: "t", in: ["room"])])"#, fleet)
        .with("step: \"1s\"", "step: \"100ms\"")
}

#[test]
fn micropythons_http_servers_are_called_from_other_devices() {
    for (name, hellos) in [("http_server.py", 3), ("http_server_simplistic.py", 3)] {
        let Some(server) = example("network", name, name) else { continue };
        // Python's own client, three times, by the device's name and by its address.
        let client = "import socket, urllib.request\n\
            for host in ('d-0', socket.gethostbyname('d-0'), 'd-0'):\n\
            \x20   with urllib.request.urlopen('http://%s:8080/' % host, timeout=30) as answer:\n\
            \x20       print(answer.status, answer.read().decode().strip())\n";
        let stage = three(&server, client);
        let ran = stage.run(&[]);
        let wanted: Vec<String> = (0..hellos).map(|n| format!("200 Hello #{n} from MicroPython!")).collect();
        assert_eq!(stage.told_of("p-0", &ran, "script_says"), wanted, "{name}");
        let said = stage.told(&ran, "script_says");
        assert!(said.iter().any(|l| l.contains("b'GET / HTTP/1.1\\r\\n")), "{name}: {said:?}");
        assert!(stage.told(&ran, "script_crash").is_empty(), "{name}");
        // The same file under CPython, called by nobody here, serves as well: it is started on the Raspberry Pi.
        let ask = "import socket, time\n\
            time.sleep(1)\n\
            for i in range(2):\n\
            \x20   s = socket.socket()\n\
            \x20   s.connect(socket.getaddrinfo('p-0', 8080)[0][-1])\n\
            \x20   s.write(b'GET / HTTP/1.0\\r\\n\\r\\n')\n\
            \x20   print(s.read())\n\
            \x20   s.close()\n\
            \x20   time.sleep(5)\n";
        let stage = three(ask, &server);
        let ran = stage.run(&[]);
        let said = stage.told(&ran, "script_says");
        assert!(said.len() == 2 && said.iter().all(|l| l.contains("from MicroPython!")), "{name}: {said:?}");
        assert!(stage.told_of("p-0", &ran, "script_crash").is_empty(), "{name}");
    }
}

#[test]
fn a_stream_carries_what_is_written_over_a_link_that_loses() {
    // Each way 60,000 bytes, over links that lose a third; the hash of all is the same at both ends.
    let esp = "import asyncio, hashlib, network\n\
        async def main():\n\
        \x20   if network.hostname() != 'd-0':\n        return\n\
        \x20   await asyncio.sleep(2)\n\
        \x20   reader, writer = await asyncio.open_connection('p-0', 7000)\n\
        \x20   data, h = bytes(range(250)) * 8, hashlib.sha256()\n\
        \x20   for i in range(30):\n\
        \x20       writer.write(data)\n        await writer.drain()\n        h.update(await reader.readexactly(2000))\n\
        \x20   writer.close()\n    await writer.wait_closed()\n\
        \x20   print('back', h.digest().hex())\n\
        asyncio.run(main())\n";
    let pi = "import asyncio, hashlib\n\
        async def serve(reader, writer):\n\
        \x20   h, n = hashlib.sha256(), 0\n\
        \x20   while True:\n\
        \x20       data = await reader.read(4096)\n\
        \x20       if not data:\n            break\n\
        \x20       h.update(data)\n        n += len(data)\n        writer.write(data)\n        await writer.drain()\n\
        \x20   writer.close()\n\
        \x20   print(writer.get_extra_info('peername')[0], n, h.hexdigest())\n\
        async def main():\n\
        \x20   server = await asyncio.start_server(serve, '0.0.0.0', 7000)\n\
        \x20   await server.serve_forever()\n\
        asyncio.run(main())\n";
    let stage = three(esp, pi)
        .with("count: 2, thing: \"t\"", "count: 2, link: \"air\", thing: \"t\"")
        .with("thing: \"p\", in", "link: \"air\", thing: \"p\", in")
        .with(
            "things: [",
            "links: [(id: \"air\", latency_min_ms: 5.0, latency_jitter_ms: 5.0, loss: 0.33)], things: [",
        )
        .with("duration: \"2min\"", "duration: \"20min\"");
    let ran = stage.run(&[]);
    let (back, there) = (stage.told(&ran, "script_says"), stage.told_of("p-0", &ran, "script_says"));
    let hash = back[0].strip_prefix("back ").unwrap_or_else(|| panic!("{back:?}"));
    assert_eq!(there, [format!("10.1.0.1 60000 {hash}")]);
    let hash = |threads: &str| stage.run(&["--threads", threads]).state_hash();
    assert_eq!(hash("1"), hash("2"));
}

#[test]
fn where_nobody_listens_a_call_is_refused_and_where_nobody_is_it_times_out() {
    let esp = "import socket, machine, network, errno\n\
        if network.hostname() == 'd-1':\n    machine.deepsleep(3600000)\n\
        for host, port in (('p-0', 81), ('d-0', 81), ('127.0.0.1', 81), ('d-1', 80), ('elsewhere', 80)):\n\
        \x20   s = socket.socket()\n    s.settimeout(20)\n\
        \x20   try:\n        s.connect(socket.getaddrinfo(host, port)[0][-1])\n        print(host, 'there')\n\
        \x20   except OSError as e:\n        print(host, errno.errorcode[e.errno])\n\
        \x20   s.close()\n";
    let pi = "import socket, errno\n\
        for host, port in (('d-0', 81), ('p-0', 81), ('localhost', 81), ('d-1', 80), ('elsewhere', 80)):\n\
        \x20   try:\n        socket.create_connection((host, port), timeout=20)\n        print(host, 'there')\n\
        \x20   except OSError as e:\n        print(host, type(e).__name__)\n";
    let stage = three(esp, pi);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let all = [
        "p-0 ECONNREFUSED",
        "d-0 ECONNREFUSED",
        "127.0.0.1 ECONNREFUSED",
        "d-1 ETIMEDOUT",
        "elsewhere ECONNREFUSED",
    ];
    assert_eq!(said, all);
    let said = stage.told_of("p-0", &ran, "script_says");
    let refused = "ConnectionRefusedError";
    let all = ["d-0", "p-0", "localhost", "d-1", "elsewhere"];
    let all: Vec<String> =
        all.iter().map(|h| format!("{h} {}", if *h == "d-1" { "TimeoutError" } else { refused })).collect();
    assert_eq!(said, all);
}

#[test]
fn a_server_that_dies_ends_its_streams() {
    let esp = "import socket, network, time\n\
        s = socket.socket()\n\
        if network.hostname() == 'd-0':\n\
        \x20   s.bind(('', 5000))\n    s.listen(1)\n    c, a = s.accept()\n    print(a[0], c.recv(10))\n    c.send(b'last')\n    time.sleep(3)\n    1 // 0\n\
        time.sleep(1)\n\
        s.connect(('10.1.0.1', 5000))\n\
        s.send(b'first')\n\
        print(s.recv(10))\n\
        try:\n    print(s.recv(10))\nexcept OSError as e:\n    print(e.errno)\n";
    let pi = "import http.server, threading, urllib.request\n\
        class Page(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self):\n\
        \x20       body = ('x' * int(self.path[1:])).encode()\n\
        \x20       self.send_response(200)\n        self.send_header('Content-Length', str(len(body)))\n        self.end_headers()\n        self.wfile.write(body)\n\
        \x20   def log_message(self, *_):\n        pass\n\
        server = http.server.ThreadingHTTPServer(('', 8000), Page)\n\
        threading.Thread(target=server.serve_forever, daemon=True).start()\n\
        print(len(urllib.request.urlopen('http://localhost:8000/70000').read()))\n\
        print(len(urllib.request.urlopen('http://p-0:8000/10').read()))\n";
    let stage = three(esp, pi);
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["10.1.0.2 b'first'"]);
    assert_eq!(stage.told_of("d-1", &ran, "script_says"), ["b'last'", "b''"]);
    assert_eq!(stage.told_of("p-0", &ran, "script_says"), ["70000", "10"], "within one device too");
}
