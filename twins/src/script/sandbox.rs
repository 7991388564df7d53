//! What keeps a script's process from the machine it runs on: Landlock for files and the network, seccomp for system calls.
//!
//! Landlock lets it read Python and its packages and the system's libraries, and write to the devices' cards alone; it can run
//! no program but Python itself. Seccomp refuses sockets, other processes' memory, kernel interfaces; the child of each device
//! closes a second filter behind itself that also refuses new processes and programs. Both are inherited by whatever a script
//! starts, so `ctypes` and `subprocess` get no further.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use std::{
    collections::BTreeMap,
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

/// System calls that no script's process needs.
const REFUSED: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_userfaultfd,
    libc::SYS_quotactl,
    libc::SYS_open_by_handle_at,
    libc::SYS_memfd_create,
];

/// What a device's own process needs no more, once it runs the script. `clone` stays: threads are made with it, and it is
/// refused by its flags.
const REFUSED_LATER: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_clone3,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setrlimit,
    libc::SYS_prlimit64,
    libc::SYS_setpriority,
    libc::SYS_setuid,
    libc::SYS_setgid,
];

fn arch() -> Option<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).ok()
}

fn program(later: bool) -> Result<BpfProgram, String> {
    use seccompiler::{SeccompCmpArgLen, SeccompCmpOp, SeccompCondition};
    let arch = arch().ok_or_else(|| format!("no seccomp for {}", std::env::consts::ARCH))?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|c| (*c, Vec::new())).collect();
    if later {
        rules.extend(REFUSED_LATER.iter().map(|c| (*c, Vec::new())));
        #[cfg(target_arch = "x86_64")]
        rules.extend([libc::SYS_fork, libc::SYS_vfork].map(|c| (c, Vec::new())));
        // A clone that is no thread.
        let thread = libc::CLONE_THREAD as u64;
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)
            .map_err(|e| e.to_string())?;
        let rule = SeccompRule::new(vec![condition]).map_err(|e| e.to_string())?;
        rules.insert(libc::SYS_clone, vec![rule]);
    }
    // clone3 hides its flags: glibc falls back to clone where it is not there.
    let refused = SeccompAction::Errno(if later { libc::ENOSYS as u32 } else { libc::EPERM as u32 });
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).map_err(|e| e.to_string())?;
    filter.try_into().map_err(|e: seccompiler::BackendError| e.to_string())
}

/// The second filter, as the bytes of a `sock_filter` array in hexadecimal; empty where there is none.
pub fn child_filter() -> String {
    let Ok(program) = program(true) else { return String::new() };
    let mut text = String::new();
    for i in program {
        let mut bytes = Vec::from(i.code.to_ne_bytes());
        bytes.extend([i.jt, i.jf]);
        bytes.extend(i.k.to_ne_bytes());
        text += &super::machine::hex(bytes);
    }
    text
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
    let readable = python.folders.clone();
    let first = program(false).map_err(SandboxError::Missing)?;
    let cards = cards.to_owned();
    let thread = std::thread::spawn(move || {
        restrict(&readable, &cards)?;
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

fn restrict(readable: &[PathBuf], cards: &Path) -> Result<(), SandboxError> {
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
    let system = [
        "/lib",
        "/lib64",
        "/usr/lib",
        "/usr/lib64",
        "/usr/local/lib",
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/etc/localtime",
    ];
    let system = system.iter().map(PathBuf::from);
    for path in readable.iter().cloned().chain(system) {
        // What is not there needs no leave.
        let Ok(fd) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { read } else { AccessFs::ReadFile.into() };
        rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(|e| missing(&e))?;
    }
    // The interpreter and the loader are run, and nothing else.
    for path in readable.iter().rev().take(2) {
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
    let own = AccessFs::from_all(abi) & !AccessFs::Execute & !AccessFs::IoctlDev;
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
