//! Helpers shared by the system tests: the built command, tools that may be missing, free ports, a real broker.
//!
//! A test that needs a tool asks for it by [`tool`], [`python`] or [`Mosquitto::start`] and returns when it is not there;
//! these write the skip down (see [`skip`]), so that a skip is never silent.
//!
//! ```
//! let port = twinfleet_tests::free_port();
//! assert!(port > 0);
//! ```

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Read, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a test waits for what must happen. It is a guard against hanging, not a measurement.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Writes down that a test did not run and why: to the file that `TWINFLEET_SKIPS` names (`tests/run.sh` lists it at its
/// end), and to the test's own output.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
    if let Some(path) = std::env::var_os("TWINFLEET_SKIPS") {
        let written = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(format!("{test}: {reason}\n").as_bytes()));
        assert!(written.is_ok(), "the skip of {test} cannot be written to {}: {written:?}", path.display());
    }
}

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

/// The folder of the profile that this test was built in, such as `target/debug`.
pub fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap_or_default();
    // A test lies in `deps` of it.
    exe.ancestors().nth(2).map(Path::to_owned).unwrap_or_default()
}

/// Path of the built command, brought up to date once per test process, or of the one that `TWINFLEET_COMMAND` names:
/// `tests/run.sh` has built it already, together with the tests.
///
/// # Panics
/// If it does not build.
pub fn twinfleet() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        if let Some(named) = std::env::var_os("TWINFLEET_COMMAND") {
            return named.into();
        }
        let dir = profile_dir();
        let profile = match dir.file_name().and_then(|n| n.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "-p", "twinfleet", "--profile", profile])
            .arg("--target-dir")
            .arg(dir.parent().unwrap_or(&dir))
            .current_dir(root())
            .status();
        assert!(status.as_ref().is_ok_and(|s| s.success()), "the command does not build: {status:?}");
        dir.join("twinfleet")
    })
}

/// A program's path, found in `PATH` or in the folders for system programs; if there is none, the skip is written down.
pub fn tool(name: &str, test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(system).map(|dir| dir.join(name)).find(|p| p.is_file());
    if found.is_none() {
        skip(test, &format!("`{name}` is not installed"));
    }
    found
}

/// The Python of the tests' virtual environment (`tests/run.sh` makes it) or the one that `TWINFLEET_PYTHON` names, if it
/// has this module; else the skip is written down.
pub fn python(module: &str, test: &str) -> Option<PathBuf> {
    python_of("venv", module, test)
}

/// The same of another virtual environment, where modules want others beside them than the first one has; `modules` are
/// parted by commas.
pub fn python_of(environment: &str, modules: &str, test: &str) -> Option<PathBuf> {
    let venv = || {
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        [target, root().join("target")]
            .map(|t| t.join(environment).join("bin/python"))
            .into_iter()
            .find(|p| p.exists())
    };
    let python = std::env::var_os("TWINFLEET_PYTHON")
        .map(PathBuf::from)
        .or_else(venv)
        .unwrap_or_else(|| PathBuf::from("python3"));
    let has = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !has {
        skip(test, &format!("Python's module `{modules}` is not installed"));
    }
    has.then_some(python)
}

/// A port of the loopback address that was free a moment ago.
///
/// # Panics
/// If the system has none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    listener.map_or_else(|e| panic!("no free port: {e}"), |addr| addr.port())
}

/// Waits until a condition holds.
///
/// # Panics
/// If it does not within [`PATIENCE`].
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain for: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A child process that ends with its handle.
#[derive(Debug)]
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A Python script of `tests/python` that has said that it is ready. It listens until its standard input ends, and then tells
/// what it heard, as JSON.
#[derive(Debug)]
pub struct Script {
    process: Process,
    out: BufReader<ChildStdout>,
}

impl Script {
    /// Starts it.
    ///
    /// # Panics
    /// If it does not say that it is ready.
    pub fn start(python: &Path, file: &str, args: &[&str]) -> Self {
        let mut child = Command::new(python)
            .arg(root().join("tests/python").join(file))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{file}: {e}"));
        let Some(out) = child.stdout.take() else { panic!("{file} has no standard output") };
        let (process, mut out) = (Process(child), BufReader::new(out));
        let mut line = String::new();
        let read = out.read_line(&mut line);
        assert!(read.is_ok() && line.trim() == "ready", "{file} {args:?} did not start: {line}");
        Self { process, out }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.0.kill().ok();
    }

    /// Lets it come to its end.
    ///
    /// # Panics
    /// If it fails, or tells no JSON.
    pub fn finish(mut self) -> serde_json::Value {
        drop(self.process.0.stdin.take());
        let mut text = String::new();
        let read = self.out.read_to_string(&mut text);
        let ended = self.process.0.wait();
        assert!(read.is_ok() && ended.is_ok_and(|status| status.success()), "{text}");
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

/// A mosquitto of the test's own, on a free loopback port; it stops when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Folder of its configuration, for a test's own files.
    pub dir: TempDir,
    process: Process,
}

impl Mosquitto {
    /// Starts it, open to everyone.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, |_| "allow_anonymous true\n".to_owned())
    }

    /// Starts it with further lines of configuration, which may name files that `configure` makes in the folder it is
    /// given.
    ///
    /// # Panics
    /// If it is installed and does not start.
    pub fn start_with(test: &str, configure: impl FnOnce(&Path) -> String) -> Option<Self> {
        let program = tool("mosquitto", test)?;
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        // As root it would change to a user who cannot read the folder. Without TCP_NODELAY, acknowledgements wait.
        let head = format!(
            "user root\nset_tcp_nodelay true\nper_listener_settings false\nlistener {} 127.0.0.1\n",
            addr.port()
        );
        let config = dir.path().join("mosquitto.conf");
        let text = head + &configure(dir.path());
        std::fs::write(&config, text).unwrap_or_else(|e| panic!("no configuration: {e}"));
        let log = std::fs::File::create(dir.path().join("log")).unwrap_or_else(|e| panic!("no log: {e}"));
        let child = Command::new(program).arg("-c").arg(&config).stdout(Stdio::null()).stderr(log).spawn();
        let mut process = Process(child.unwrap_or_else(|e| panic!("mosquitto does not start: {e}")));
        until("mosquitto to listen", || {
            if let Ok(Some(status)) = process.0.try_wait() {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
                panic!("mosquitto ended with {status}: {log}");
            }
            TcpStream::connect(addr).is_ok()
        });
        Some(Self { addr, dir, process })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Kills it and starts it again at the same address, without what it remembered.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let program = tool("mosquitto", "a restart").unwrap_or_else(|| panic!("mosquitto is gone"));
        let config = self.dir.path().join("mosquitto.conf");
        let child =
            Command::new(program).arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.process = Process(child.unwrap_or_else(|e| panic!("mosquitto does not start: {e}")));
        until("mosquitto to listen again", || TcpStream::connect(self.addr).is_ok());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.0.kill().ok();
        self.process.0.wait().ok();
    }
}

/// A nats-server of the test's own with MQTT over TCP and over WebSocket, on free loopback ports: the second broker.
#[derive(Debug)]
pub struct Nats {
    /// Where it speaks MQTT over TCP.
    pub mqtt: SocketAddr,
    /// Where it speaks MQTT over WebSocket, at the path `/mqtt`.
    pub websocket: SocketAddr,
    /// Folder of its configuration and store.
    pub dir: TempDir,
    _process: Process,
}

impl Nats {
    /// Starts it; `tls` are the lines of the `tls` block of its WebSocket, from files that it makes in the folder it is
    /// given, or empty for none.
    ///
    /// # Panics
    /// If it is installed and does not start.
    pub fn start(test: &str, tls: impl FnOnce(&Path) -> String) -> Option<Self> {
        let program = tool("nats-server", test)?;
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        let [client, mqtt, websocket] = [0; 3].map(|_| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let tls = tls(dir.path());
        let tls = if tls.is_empty() { "no_tls: true".to_owned() } else { format!("tls {{ {tls} }}") };
        let text = format!(
            "server_name: lab\nlisten: \"{client}\"\njetstream {{ store_dir: \"{}\" }}\nmqtt {{ listen: \"{mqtt}\" }}\nwebsocket {{ listen: \"{websocket}\"\n {tls} }}\n",
            dir.path().join("store").display()
        );
        let config = dir.path().join("nats.conf");
        std::fs::write(&config, text).unwrap_or_else(|e| panic!("no configuration: {e}"));
        let log = std::fs::File::create(dir.path().join("log")).unwrap_or_else(|e| panic!("no log: {e}"));
        let child = Command::new(program).arg("-c").arg(&config).stdout(Stdio::null()).stderr(log).spawn();
        let mut process = Process(child.unwrap_or_else(|e| panic!("nats-server does not start: {e}")));
        until("nats-server to listen", || {
            if let Ok(Some(status)) = process.0.try_wait() {
                let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
                panic!("nats-server ended with {status}: {log}");
            }
            [mqtt, websocket].iter().all(|at| TcpStream::connect(at).is_ok())
        });
        Some(Self { mqtt, websocket, dir, _process: process })
    }
}
