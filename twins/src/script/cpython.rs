//! Scripts in Python processes: one that has Python and the shim loaded, and a child of it for each device.
//!
//! The interpreter is `TWINFLEET_PYTHON`, else `python3`. Whatever packages it has, a script finds; modules for hardware and
//! network are the shim's.

use super::{
    Options, card,
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
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
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
/// Longest question of a script, [bytes]: what it prints and sends goes in pieces.
const LINE_BYTES: usize = 1 << 20;
/// How often it is looked how much a card holds, in real time, while its script computes.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Python processes of a run; clones share them.
#[derive(Clone, Debug)]
pub struct Python {
    options: Options,
    shared: Arc<Mutex<Shared>>,
    /// Something to tell of the last start.
    note: Option<String>,
}

/// What all devices stand on.
#[derive(Debug, Default)]
struct Shared {
    zygote: Option<Zygote>,
    /// The folder of their cards; it outlives the process.
    cards: Option<TempDir>,
}

/// The process that all others are forked from.
#[derive(Debug)]
struct Zygote {
    control: UnixStream,
    child: Child,
    confinement: Value,
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
        Self { options: options.clone(), shared: Arc::default(), note: None }
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
    fn start(options: &Options, cards: &Path) -> Result<Self, HostError> {
        let python = interpreter();
        let wrong =
            |why: &dyn std::fmt::Display| HostError(format!("cannot run {}: {why}", python.display()));
        let missing = |e: std::io::Error| {
            HostError(format!(
                "cannot run {}: {e}\nscripts need Python 3.9 or later: install it, or name one in TWINFLEET_PYTHON",
                python.display()
            ))
        };
        let (own, theirs) = UnixStream::pair().map_err(|e| wrong(&e))?;
        let refused = |e: sandbox::SandboxError| match e {
            sandbox::SandboxError::Spawn(e) => missing(e),
            e => HostError(e.to_string()),
        };
        let found = sandbox::interpreter(&python).map_err(refused)?;
        let mut command = Command::new(&found.path);
        // Isolated mode (`-I`) would ignore the seed, and hashes would differ from run to run.
        command.args(["-s", "-c", text("zygote.py")]);
        command.env_clear().env("PYTHONHASHSEED", "0").env("LANG", "C.UTF-8").current_dir(cards);
        // An arena for each thread would take up a device's memory by its address space alone.
        command.env("MALLOC_ARENA_MAX", "1");
        command.stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let child = sandbox::spawn(command, &found, cards, options.trust).map_err(refused)?;
        let confinement = if options.trust { Value::Null } else { sandbox::of_a_child(&found) };
        let mut zygote = Self { control: own, child, confinement };
        zygote.control.set_read_timeout(Some(Duration::from_secs(60))).map_err(|e| wrong(&e))?;
        let bundle = json!({
            "kernel": text("kernel.py"),
            "base": modules("base"),
            "both": modules("both"),
            "circuit": modules("circuit"),
            "chip": modules("chip"),
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

impl Shared {
    /// A child for a device, from a process that is started anew where it has died. Also whether it had.
    fn fork(&mut self, options: &Options) -> Result<(UnixStream, Pid, bool), HostError> {
        let wrong = |e: std::io::Error| HostError(format!("its script cannot be started: {e}"));
        let cards = self.cards()?;
        let mut lost = false;
        loop {
            let zygote = match &mut self.zygote {
                Some(zygote) => zygote,
                none => none.insert(Zygote::start(options, &cards)?),
            };
            match zygote.fork() {
                Ok((line, pid)) => return Ok((line, pid, lost)),
                Err(_) if !lost && matches!(zygote.child.try_wait(), Ok(Some(_))) => {
                    lost = true;
                    self.zygote = None;
                }
                Err(e) => return Err(wrong(e)),
            }
        }
    }

    fn cards(&mut self) -> Result<PathBuf, HostError> {
        let cards = match &mut self.cards {
            Some(cards) => cards,
            none => {
                let made = tempfile::Builder::new().prefix("twinfleet-cards-").tempdir();
                none.insert(made.map_err(|e| HostError(format!("no folder for the devices' cards: {e}")))?)
            }
        };
        Ok(cards.path().to_owned())
    }
}

impl Host for Python {
    fn start(&mut self, life: &Life, now_ns: u64) -> Result<(Box<dyn Guest>, Went), HostError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let wrong = |e: std::io::Error| HostError(format!("its script cannot be started: {e}"));
        let folder = shared.cards()?.join(&life.device);
        // A reset leaves the card as it is.
        if !folder.exists() {
            life.card.copy_to(&folder).map_err(wrong)?;
        }
        let (mut line, pid, lost) = shared.fork(&self.options)?;
        let confinement = shared.zygote.as_ref().map_or(Value::Null, |z| z.confinement.clone());
        self.note =
            lost.then(|| "the process that scripts are forked from was gone: started anew".to_owned());
        // From here on devices start side by side.
        drop(shared);
        let small = life.script.runtime == Runtime::CircuitPython && life.clock_mhz < 500.0;
        let mut folders = runtimes::folders(life.script.runtime).to_vec();
        if life.script.runtime == Runtime::CircuitPython && !small {
            // Blinka stands on Linux, and its modules are there too, on a Pi its own as well.
            folders.insert(1, "linux");
            if life.board.starts_with("raspberry-pi") {
                folders.insert(2, "pi");
            }
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
            "clock_mhz": life.clock_mhz,
            "ram_kb": life.ram_kb,
            "confinement": confinement,
        });
        send(&mut line, &hello).map_err(wrong)?;
        let patience = self.options.patience;
        line.set_read_timeout(Some(patience.min(LOOK_EVERY))).map_err(wrong)?;
        line.set_write_timeout(Some(patience)).map_err(wrong)?;
        let reader = BufReader::with_capacity(4096, line.try_clone().map_err(wrong)?);
        let mut guest = Process { line, reader, pid, patience, folder, looked: Instant::now() };
        let went = guest.next();
        Ok((Box::new(guest), went))
    }

    fn note(&mut self) -> Option<String> {
        self.note.take()
    }
}

/// A device's process.
struct Process {
    line: UnixStream,
    reader: BufReader<UnixStream>,
    pid: Pid,
    patience: Duration,
    /// Its card.
    folder: PathBuf,
    /// When it was last looked at, in real time.
    looked: Instant,
}

const GONE: &str = "its process is gone without a word: killed, or for want of memory";

impl Process {
    /// Its next question. Nothing that it does makes this last longer than the run's patience or take more than its share.
    fn next(&mut self) -> Went {
        let (asked, mut line) = (Instant::now(), Vec::new());
        loop {
            match self.reader.fill_buf() {
                Ok([]) => return Went::Gone(GONE.to_owned()),
                Ok(bytes) => {
                    let end = bytes.iter().position(|b| *b == b'\n');
                    let taken = end.unwrap_or(bytes.len());
                    line.extend_from_slice(&bytes[..taken]);
                    self.reader.consume(taken + usize::from(end.is_some()));
                    if line.len() > LINE_BYTES {
                        return Went::Gone(format!(
                            "its script says more than {} MiB in one line: ended",
                            LINE_BYTES >> 20
                        ));
                    }
                    if end.is_some() {
                        break;
                    }
                }
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Went::Gone(format!("the line to its process is broken: {e}")),
            }
            if asked.elapsed() >= self.patience {
                return Went::Hung(self.patience);
            }
            if let Some(why) = self.overfull() {
                return Went::Gone(why);
            }
        }
        match self.overfull() {
            Some(why) => Went::Gone(why),
            None => String::from_utf8(line)
                .map_or_else(|_| Went::Gone("its script says what is no text".to_owned()), Went::Asked),
        }
    }

    /// Why its card holds no more, where it does not: looked at now and then.
    fn overfull(&mut self) -> Option<String> {
        if self.looked.elapsed() < LOOK_EVERY {
            return None;
        }
        self.looked = Instant::now();
        card::overfull(&self.folder, self.pid.as_raw())
    }
}

impl Guest for Process {
    fn resume(&mut self, answer: &str) -> Went {
        if self.line.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return Went::Gone(GONE.to_owned());
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
