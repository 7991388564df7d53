//! Scripts in Python processes: one that has Python and the shim loaded, and a child of it for each device.
//!
//! The interpreter is `TWINFLEET_PYTHON`, else `python3`. Whatever packages it has, a script finds; modules for hardware and
//! network are the shim's.

use super::{
    Options,
    device::Life,
    guest::{Guest, Host, HostError, Went},
    runtimes, sandbox,
};
use include_dir::{Dir, include_dir};
use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{ControlMessage, MsgFlags, sendmsg},
    },
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, ErrorKind, IoSlice, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use twinfleet_engine::catalog::Runtime;

static PYTHON: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/python");

/// Clock cycles that a line of Python takes on a device, about: a Raspberry Pi 4 runs two million lines of a plain program a
/// second. Own estimate.
const CYCLES_PER_LINE: f64 = 700.0;
/// The same where a microcontroller interprets it.
const CYCLES_PER_LINE_SMALL: f64 = 2_000.0;
/// Most memory that a device's process may take, [KiB]: a script that takes more would take down the machine it stands for.
const MEMORY_KB: f64 = 512.0 * 1024.0;

/// Python processes of a run; clones share them.
#[derive(Clone, Debug)]
pub struct Python {
    options: Options,
    shared: Arc<Mutex<Option<Zygote>>>,
}

/// The process that all others are forked from, and the folder of the devices' cards.
#[derive(Debug)]
struct Zygote {
    control: UnixStream,
    child: Child,
    cards: TempDir,
    filter: String,
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // Its children go when their sockets close; it has nothing of its own to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter.
pub fn interpreter() -> PathBuf {
    std::env::var_os("TWINFLEET_PYTHON")
        .filter(|p| !p.is_empty())
        .map_or_else(|| "python3".into(), PathBuf::from)
}

impl Python {
    /// Processes to come; none is started before a script needs one.
    pub fn new(options: &Options) -> Self {
        Self { options: options.clone(), shared: Arc::default() }
    }
}

/// The modules of a folder of the shim, by their dotted names.
fn modules(folder: &str) -> Value {
    fn collect(dir: &Dir<'_>, base: &str, into: &mut serde_json::Map<String, Value>) {
        for file in dir.files() {
            let path = file.path().strip_prefix(base).unwrap_or(file.path());
            let name = path.with_extension("").to_string_lossy().replace('/', ".");
            if let Some(text) =
                file.contents_utf8().filter(|_| file.path().extension().is_some_and(|e| e == "py"))
            {
                into.insert(name, text.into());
            }
        }
        dir.dirs().for_each(|d| collect(d, base, into));
    }
    let mut map = serde_json::Map::new();
    if let Some(dir) = PYTHON.get_dir(folder) {
        collect(dir, folder, &mut map);
    }
    Value::Object(map)
}

/// The texts of a folder of the shim, by their path within it.
pub(super) fn folder(name: &str) -> Vec<(String, &'static str)> {
    fn collect(dir: &Dir<'static>, base: &str, into: &mut Vec<(String, &'static str)>) {
        for file in dir.files() {
            let path = file.path().strip_prefix(base).unwrap_or(file.path()).to_string_lossy().into_owned();
            into.extend(file.contents_utf8().map(|text| (path, text)));
        }
        dir.dirs().for_each(|d| collect(d, base, into));
    }
    let mut all = Vec::new();
    if let Some(dir) = PYTHON.get_dir(name) {
        collect(dir, name, &mut all);
    }
    all
}

/// A text of the shim.
pub(super) fn text(path: &str) -> &'static str {
    PYTHON.get_file(path).and_then(|f| f.contents_utf8()).unwrap_or_default()
}

fn send(to: &mut impl Write, value: &Value) -> std::io::Result<()> {
    let bytes = value.to_string().into_bytes();
    to.write_all(&(bytes.len() as u32).to_le_bytes())?;
    to.write_all(&bytes)
}

impl Zygote {
    fn start(options: &Options) -> Result<Self, HostError> {
        let python = interpreter();
        let wrong =
            |why: &dyn std::fmt::Display| HostError(format!("cannot run {}: {why}", python.display()));
        let missing = |e: std::io::Error| {
            HostError(format!(
                "cannot run {}: {e}\nscripts need Python 3.9 or later: install it, or name one in TWINFLEET_PYTHON",
                python.display()
            ))
        };
        let cards = tempfile::Builder::new().prefix("twinfleet-cards-").tempdir().map_err(|e| wrong(&e))?;
        let (own, theirs) = UnixStream::pair().map_err(|e| wrong(&e))?;
        let refused = |e: sandbox::SandboxError| match e {
            sandbox::SandboxError::Spawn(e) => missing(e),
            e => HostError(e.to_string()),
        };
        let found = sandbox::interpreter(&python).map_err(refused)?;
        let mut command = Command::new(&found.path);
        // Isolated mode (`-I`) would ignore the seed, and hashes would differ from run to run.
        command.args(["-s", "-c", text("zygote.py")]);
        command.env_clear().env("PYTHONHASHSEED", "0").env("LANG", "C.UTF-8").current_dir(cards.path());
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = sandbox::spawn(command, &found, cards.path(), options.trust).map_err(refused)?;
        let filter = if options.trust { String::new() } else { sandbox::child_filter() };
        let mut zygote = Self { control: own, child, cards, filter };
        zygote.control.set_read_timeout(Some(Duration::from_secs(60))).map_err(|e| wrong(&e))?;
        let bundle = json!({
            "kernel": text("kernel.py"),
            "both": modules("both"),
            "circuit": modules("circuit"),
            "linux": modules("linux"),
            "pi": modules("pi"),
            "bone": modules("bone"),
        });
        let mut ready = [0];
        let said = send(&mut zygote.control, &bundle).and_then(|()| zygote.control.read_exact(&mut ready));
        if let Err(e) = said {
            let mut told = String::new();
            let _ = zygote.child.kill();
            if let Some(stderr) = &mut zygote.child.stderr {
                let _ = stderr.take(65_536).read_to_string(&mut told);
            }
            return Err(HostError(format!("{} does not start: {e}\n{}", python.display(), told.trim_end())));
        }
        Ok(zygote)
    }

    /// A child for a device, and the socket to it.
    fn fork(&mut self) -> std::io::Result<(UnixStream, Pid)> {
        let (own, theirs) = UnixStream::pair()?;
        let fds = [theirs.as_raw_fd()];
        let message = [ControlMessage::ScmRights(&fds)];
        sendmsg::<()>(self.control.as_raw_fd(), &[IoSlice::new(b"f")], &message, MsgFlags::empty(), None)?;
        let mut pid = [0; 4];
        self.control.read_exact(&mut pid)?;
        Ok((own, Pid::from_raw(i32::from_le_bytes(pid))))
    }
}

impl Host for Python {
    fn start(&mut self, life: &Life, now_ns: u64) -> Result<(Box<dyn Guest>, Went), HostError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some(Zygote::start(&self.options)?);
        }
        let Some(zygote) = shared.as_mut() else { unreachable!("started above") };
        let wrong = |e: std::io::Error| HostError(format!("its script cannot be started: {e}"));
        let folder = zygote.cards.path().join(&life.device);
        // A reset leaves the card as it is.
        if !folder.exists() {
            life.card.copy_to(&folder).map_err(wrong)?;
        }
        let (mut line, pid) = zygote.fork().map_err(wrong)?;
        let filter = zygote.filter.clone();
        // From here on devices start side by side.
        drop(shared);
        let small = life.script.runtime == Runtime::CircuitPython && life.clock_mhz < 500.0;
        let mut folders = runtimes::folders(life.script.runtime).to_vec();
        if life.script.runtime == Runtime::CircuitPython && !small {
            // Blinka stands on Linux, and its modules are there too.
            folders.insert(1, "linux");
        }
        let cycles = if small { CYCLES_PER_LINE_SMALL } else { CYCLES_PER_LINE };
        let memory_kb = if life.script.heap_kb.is_some() { life.ram_kb } else { life.ram_kb.min(MEMORY_KB) };
        // Less than this, and Python itself cannot work; a microcontroller's own memory is MicroPython's to keep.
        let memory_kb = memory_kb.max(16.0 * 1024.0);
        let mac: Vec<String> = life.mac.iter().map(|b| format!("{b:02x}")).collect();
        let hello = json!({
            "path": life.card.main,
            "folder": folder,
            "modules": folders,
            "args": life.args,
            "env": life.env,
            "seed": life.seed,
            "mac": mac.join(":"),
            "board": life.board,
            "device": life.device,
            "now_ns": now_ns,
            "epoch_ns": life.epoch_ns,
            "line_ns": (cycles * 1e3 / life.clock_mhz).round().max(1.0) as u64,
            "memory_bytes": (memory_kb * 1024.0) as u64,
            "reset_cause": life.reset_cause,
            "filter": filter,
        });
        send(&mut line, &hello).map_err(wrong)?;
        line.set_read_timeout(Some(self.options.patience)).map_err(wrong)?;
        let patience = self.options.patience;
        let reader = BufReader::with_capacity(4096, line.try_clone().map_err(wrong)?);
        let mut guest = Process { line, reader, pid, patience };
        let went = guest.next();
        Ok((Box::new(guest), went))
    }
}

/// A device's process.
struct Process {
    line: UnixStream,
    reader: BufReader<UnixStream>,
    pid: Pid,
    patience: Duration,
}

impl Process {
    fn next(&mut self) -> Went {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => {
                Went::Gone("its process is gone without a word: killed, or for want of memory".to_owned())
            }
            Ok(_) => Went::Asked(line.trim_end_matches('\n').to_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Went::Hung(self.patience)
            }
            Err(e) => Went::Gone(format!("the line to its process is broken: {e}")),
        }
    }
}

impl Guest for Process {
    fn resume(&mut self, answer: &str) -> Went {
        if self.line.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return Went::Gone(
                "its process is gone without a word: killed, or for want of memory".to_owned(),
            );
        }
        self.next()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be in the middle of something. The zygote reaps it.
        let _ = kill(self.pid, Signal::SIGKILL);
    }
}
