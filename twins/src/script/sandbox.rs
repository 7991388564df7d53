//! What keeps a script's process from the machine it runs on: Landlock for files and the network, seccomp for system calls.
//!
//! Landlock lets it read Python and its packages and the system's libraries, and write to the devices' cards alone; it can run
//! no program but Python itself. The child of each device closes two more doors behind itself: a Landlock domain of its own,
//! in which it reaches no card but its own and signals nobody outside, and a list of the system calls that are left to it
//! ([`calls`]). `ctypes` and `subprocess` get no further. What neither can forbid is to ask whether a path exists.

mod calls;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// Why a process cannot be confined.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It does not start.
    #[error("{0}")]
    Spawn(std::io::Error),
    /// The system lacks what confines.
    #[error(
        "this system cannot confine scripts ({0}): they could read and write your files\nif you trust them, run with --trust-scripts"
    )]
    Missing(String),
}

/// What the child of a device closes behind itself: `filter`, the bytes of a `sock_filter` array in hexadecimal, and the
/// paths that it may go on reading. Null where this processor has no seccomp.
pub fn of_a_child(python: &Interpreter) -> Value {
    let Ok(program) = calls::of_a_script() else { return Value::Null };
    let mut text = String::new();
    for i in program {
        let mut bytes = Vec::from(i.code.to_ne_bytes());
        bytes.extend([i.jt, i.jf]);
        bytes.extend(i.k.to_ne_bytes());
        text += &super::machine::hex(bytes);
    }
    let mut paths: Vec<PathBuf> = readable(python).filter(|p| p.exists()).collect();
    paths.sort();
    // What lies within another comes with it.
    paths.dedup_by(|inner, outer| inner.starts_with(outer));
    json!({ "filter": text, "readable": paths })
}

/// A Python on this machine.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// The program itself: what the user names may be a script that looks for it.
    pub path: PathBuf,
    /// Where it, its packages and what it links to lie.
    folders: Vec<PathBuf>,
}

/// Asks an interpreter where it and its packages lie, before any script is near.
///
/// # Errors
/// Where it does not run.
pub fn interpreter(python: &Path) -> Result<Interpreter, SandboxError> {
    const ASK: &str = "import sys, os\n\
        paths = [sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.realpath(sys.executable)), *sys.path]\n\
        print('\\n'.join(dict.fromkeys(p for p in paths if p and os.path.exists(p))))\n\
        print(os.path.realpath(sys.executable))\nprint(sys.executable)";
    let output = Command::new(python).args(["-I", "-c", ASK]).output().map_err(SandboxError::Spawn)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let folders: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    match folders.last() {
        Some(path) if output.status.success() => Ok(Interpreter { path: path.clone(), folders }),
        _ => {
            let why = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            Err(SandboxError::Spawn(std::io::Error::other(why)))
        }
    }
}

/// Starts a command confined, from a thread of its own that is confined first.
///
/// # Errors
/// Where it does not start, or where the system cannot confine it and it is not trusted.
pub fn spawn(
    mut command: Command,
    python: &Interpreter,
    cards: &Path,
    trust: bool,
) -> Result<Child, SandboxError> {
    if trust {
        return with_steady_addresses(&mut command);
    }
    let first = calls::of_the_first().map_err(SandboxError::Missing)?;
    let (python, cards) = (python.clone(), cards.to_owned());
    let thread = std::thread::spawn(move || {
        restrict(&python, &cards)?;
        seccompiler::apply_filter(&first).map_err(|e| SandboxError::Missing(e.to_string()))?;
        with_steady_addresses(&mut command)
    });
    thread.join().unwrap_or_else(|_| Err(SandboxError::Missing("its thread failed".to_owned())))
}

/// Objects are hashed by their address: with addresses drawn anew, sets would be in another order each time.
fn with_steady_addresses(command: &mut Command) -> Result<Child, SandboxError> {
    use nix::sys::personality::{self, Persona};
    let before = personality::get().ok();
    if let Some(before) = before {
        let _ = personality::set(before | Persona::ADDR_NO_RANDOMIZE);
    }
    let child = command.spawn().map_err(SandboxError::Spawn);
    if let Some(before) = before {
        let _ = personality::set(before);
    }
    child
}

/// Where the system's own libraries lie.
const SYSTEM: [&str; 8] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/etc/ld.so.cache",
    "/etc/localtime",
];

fn readable(python: &Interpreter) -> impl Iterator<Item = PathBuf> {
    python.folders.iter().cloned().chain(SYSTEM.iter().map(PathBuf::from))
}

fn restrict(python: &Interpreter, cards: &Path) -> Result<(), SandboxError> {
    let missing = |e: &dyn std::fmt::Display| SandboxError::Missing(e.to_string());
    let abi = ABI::V6;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.handle_access(AccessNet::from_all(abi)))
        .and_then(|r| r.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .map_err(|e| missing(&e))?;
    for path in readable(python) {
        // What is not there needs no leave.
        let Ok(fd) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
        rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(|e| missing(&e))?;
    }
    // The interpreter and the loader are run, and nothing else.
    for path in python.folders.iter().rev().take(2) {
        if let Ok(fd) = PathFd::new(path) {
            let access = AccessFs::ReadFile | AccessFs::Execute;
            rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(|e| missing(&e))?;
        }
    }
    for loader in ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1"] {
        if let Ok(fd) = PathFd::new(loader) {
            let access = AccessFs::ReadFile | AccessFs::Execute;
            rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(|e| missing(&e))?;
        }
    }
    for (path, access) in
        [("/dev/null", AccessFs::ReadFile | AccessFs::WriteFile), ("/dev/urandom", AccessFs::ReadFile.into())]
    {
        if let Ok(fd) = PathFd::new(path) {
            rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(|e| missing(&e))?;
        }
    }
    let never = AccessFs::Execute
        | AccessFs::IoctlDev
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeSock
        | AccessFs::MakeFifo;
    let own = AccessFs::from_all(abi) & !never;
    let fd = PathFd::new(cards).map_err(|e| missing(&e))?;
    let status: RestrictionStatus = rules
        .add_rule(PathBeneath::new(fd, own))
        .and_then(landlock::RulesetCreated::restrict_self)
        .map_err(|e| missing(&e))?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(SandboxError::Missing("it has no Landlock".to_owned())),
        _ => Ok(()),
    }
}
