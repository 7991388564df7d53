//! Whether the load generator itself was the limit. A measurement that it spoiled is no measurement of the broker.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::{fmt, fs, io};

/// What the load generator was short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shortage {
    /// File descriptors of the process.
    FileDescriptors,
    /// Local ports towards the broker.
    Ports,
    /// Memory.
    Memory,
    /// Buffers of sockets, or the kernel's memory for them.
    SocketBuffers,
    /// A core: worker threads were busy all the time.
    Cpu,
    /// A core: others had it.
    BusyMachine,
    /// Time: messages that nothing held back left late.
    SchedulerLag,
    /// Client ids: another load had the same.
    ClientIds,
    /// One time for all shards: their clocks differ.
    Clocks,
    /// The generator's own doing in another way.
    Other,
}

/// Why a measurement is invalid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accusation {
    /// What was short.
    pub of: Shortage,
    /// What was seen, and what to do.
    pub text: String,
}

impl fmt::Display for Accusation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Accusation {
    /// With what was seen and what to do about it.
    pub fn new(of: Shortage, text: impl Into<String>) -> Self {
        Self { of, text: text.into() }
    }

    /// If it is ours that a connection could not be made.
    pub fn of_socket(error: &io::Error) -> Option<Self> {
        use nix::errno::Errno;
        let errno = Errno::from_raw(error.raw_os_error()?);
        Some(match errno {
            Errno::EMFILE | Errno::ENFILE => Self::new(
                Shortage::FileDescriptors,
                format!(
                    "no file descriptor was left for a connection ({error}); raise `ulimit -n`, or use more shards"
                ),
            ),
            Errno::EADDRNOTAVAIL | Errno::EADDRINUSE => Self::new(
                Shortage::Ports,
                format!(
                    "no local port was left towards the broker ({error}); add source addresses (`--source 127.0.0.2-127.0.0.9`)"
                ),
            ),
            Errno::ENOBUFS => Self::new(
                Shortage::SocketBuffers,
                format!(
                    "the kernel had no buffer left for a socket ({error}); raise net.ipv4.tcp_mem, or use more machines"
                ),
            ),
            Errno::ENOMEM => Self::new(
                Shortage::Memory,
                format!("the kernel had no memory left for a socket ({error}); use fewer connections"),
            ),
            _ => return None,
        })
    }
}

/// File descriptors beside those of connections: standard streams, polls, timers, files of the report.
const SPARE_DESCRIPTORS: u64 = 64;
/// More file descriptors than these are taken only if so many are needed.
const MOST_DESCRIPTORS: u64 = 1 << 20;
/// With less than this left of a limit, the next buffer that grows may end the process, [bytes].
const SPARE_BYTES: u64 = 24 << 20;

/// Raises the limit of file descriptors to what is allowed, and says if so many connections find no room: in descriptors,
/// ports or memory, of which they are reckoned with `wanted` bytes. `strangers` come beside them; `ends`: how many of each are in this
/// process, two where the broker is.
pub fn before(
    connections: u64,
    strangers: u64,
    ends: u64,
    ports: Option<u64>,
    wanted: u64,
) -> Vec<Accusation> {
    let mut all = Vec::new();
    let at_a_time = connections + strangers;
    let needed = at_a_time * ends + SPARE_DESCRIPTORS;
    let beside = if strangers > 0 { format!(" and {strangers} strangers of a fault") } else { String::new() };
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Strangers of several faults come on top, and whoever comes again before the broker has seen the last connection end.
        let room = hard.min(MOST_DESCRIPTORS.max(needed));
        if soft < room {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, room, hard);
        }
        if hard.max(soft) < needed {
            let both = if ends > 1 { " (the embedded broker's ends are in this process, too)" } else { "" };
            all.push(Accusation::new(
                Shortage::FileDescriptors,
                format!(
                    "{connections} connections{beside} need {needed} file descriptors{both}, and this process may have {}; raise `ulimit -n`, or use more shards (`--shard i/N`)",
                    hard.max(soft)
                ),
            ));
        }
    }
    if let Some(room) = ports.filter(|room| *room < at_a_time) {
        all.push(Accusation::new(
            Shortage::Ports,
            format!(
                "{connections} connections{beside} find {room} local ports towards the broker; add source addresses (`--source 127.0.0.2-127.0.0.9`)"
            ),
        ));
    }
    if let Some((free, whose)) = free_memory().filter(|(free, _)| *free < wanted) {
        all.push(Accusation::new(
            Shortage::Memory,
            format!(
                "{connections} connections, the books of their messages and their payloads take about {} MiB, and {whose} leaves \
                 {} MiB; use fewer, smaller payloads, or more machines",
                wanted >> 20,
                free >> 20
            ),
        ));
    }
    all
}

/// Memory that this process may still take, [bytes], and who says so.
fn free_memory() -> Option<(u64, &'static str)> {
    let own = || {
        let (soft, _) = getrlimit(Resource::RLIMIT_AS).ok().filter(|(soft, _)| *soft < u64::MAX / 2)?;
        let used = status_kib("VmSize:").unwrap_or(0) << 10;
        Some((soft.saturating_sub(used), "`ulimit -v`"))
    };
    let group = || {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        groups_free(&own, |path| fs::read_to_string(path).ok())
    };
    let machine = || {
        let text = fs::read_to_string("/proc/meminfo").ok()?;
        Some((field_kib(&text, "MemAvailable:")? << 10, "the machine"))
    };
    [own(), group(), machine()].into_iter().flatten().min_by_key(|(free, _)| *free)
}

/// What the control groups leave of which a process is a member, [bytes], and whose limit that is: its own, as a task of Slurm or a
/// unit of systemd has one, and each around it, of either version of them. `own` is its /proc/self/cgroup.
fn groups_free(own: &str, read: impl Fn(&str) -> Option<String>) -> Option<(u64, &'static str)> {
    let number = |path: String| read(&path)?.trim().parse::<u64>().ok();
    let mut least: Option<(u64, &'static str)> = None;
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (root, most, used, whose) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max", "memory.current", "the control group's memory.max"),
            c if c.split(',').any(|c| c == "memory") => (
                "/sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "the control group's memory.limit_in_bytes",
            ),
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            let dir = format!("{root}{path}");
            // One without a limit says `max`, or has no file of it.
            if let (Some(most), Some(used)) =
                (number(format!("{dir}/{most}")), number(format!("{dir}/{used}")))
            {
                let stat = read(&format!("{dir}/memory.stat")).unwrap_or_default();
                let free = (group_free(most, used, &stat), whose);
                least = Some(least.map_or(free, |l| l.min(free)));
            }
            let Some(up) = path.rfind('/') else { break };
            path = &path[..up];
        }
    }
    least
}

/// What a control group leaves, [bytes]: files that the kernel only caches are no use of memory, it gives them back. The first
/// version of control groups counts those of the groups within by another name.
fn group_free(most: u64, used: u64, stat: &str) -> u64 {
    let of = |name: &str| stat.lines().find_map(|l| l.strip_prefix(name)?.trim().parse::<u64>().ok());
    let cached = of("total_inactive_file ").or_else(|| of("inactive_file "));
    most.saturating_sub(used.saturating_sub(cached.unwrap_or(0)))
}

/// Whether the process is about to reach a limit of memory, its own, its control group's or the machine's: the allocation after
/// next might end it without a word.
pub fn short_of_memory() -> Option<Accusation> {
    let (free, whose) = free_memory().filter(|(free, _)| *free < SPARE_BYTES)?;
    Some(Accusation::new(
        Shortage::Memory,
        format!(
            "{whose} leaves {} MiB: stopped before the process would be ended; raise it, or use fewer connections or smaller \
             payloads",
            free >> 20
        ),
    ))
}

fn status_kib(name: &str) -> Option<u64> {
    field_kib(&fs::read_to_string("/proc/self/status").ok()?, name)
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Resident memory of this process, [bytes].
pub fn resident_bytes() -> u64 {
    // The kernel's quick figure is off by up to some hundred pages; this one is counted.
    let counted = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    field_kib(&counted, "Rss:").or_else(|| status_kib("VmRSS:")).unwrap_or(0) << 10
}

/// A thread's use of the cores, [ns]: had one, waited for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTime {
    /// Ran.
    pub ran_ns: u64,
    /// Was ready to run and did not.
    pub waited_ns: u64,
    /// Of so much time in all.
    pub wall_ns: u64,
}

impl CpuTime {
    /// That of the calling thread so far; zero where the kernel does not tell.
    pub fn of_thread() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|n| n.parse().unwrap_or(0));
        Self { ran_ns: numbers.next().unwrap_or(0), waited_ns: numbers.next().unwrap_or(0), wall_ns: 0 }
    }

    /// What was added since.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            ran_ns: self.ran_ns.saturating_sub(earlier.ran_ns),
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
            wall_ns: 0,
        }
    }

    /// Share of the time that it ran, and that it waited for a core; none of a load that never began.
    pub fn shares(self) -> (f64, f64) {
        let of = |ns: u64| if self.wall_ns == 0 { 0.0 } else { ns as f64 / self.wall_ns as f64 };
        (of(self.ran_ns), of(self.waited_ns))
    }
}

/// The kernel's own counts of a shortage of buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    pressures: u64,
    pruned: u64,
}

impl Kernel {
    /// As they are now; zero where the kernel does not tell.
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
        let mut lines = text.lines();
        let mut all = Self::default();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
                let value = value.parse().unwrap_or(0);
                match name {
                    "TCPMemoryPressures" => all.pressures = value,
                    "RcvPruned" | "PruneCalled" => all.pruned += value,
                    _ => {}
                }
            }
        }
        all
    }

    /// What was short since.
    pub fn since(self, earlier: Self) -> Option<Accusation> {
        let pressures = self.pressures.saturating_sub(earlier.pressures);
        // Queues that were pruned are no proof by themselves: whoever reads slowly has them, a broker that stands still too.
        let pruned = match self.pruned.saturating_sub(earlier.pruned) {
            0 => String::new(),
            n => format!(" and pruned {n} queues of what had come"),
        };
        (pressures > 0).then(|| {
            Accusation::new(
                Shortage::SocketBuffers,
                format!(
                    "the kernel ran short of memory for sockets {pressures} times{pruned}; raise net.ipv4.tcp_mem"
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_never_began_took_no_share_of_a_core() {
        let of = |wall_ns| CpuTime { ran_ns: 300_000, waited_ns: 100_000, wall_ns }.shares();
        assert_eq!((of(0), of(1_000_000)), ((0.0, 0.0), (0.3, 0.1)));
    }

    #[test]
    fn what_a_control_group_caches_is_free() {
        let stat = "anon 700\nfile 250\ninactive_file 200\nactive_file 50\n";
        assert_eq!(group_free(1_000, 950, stat), 250);
        assert_eq!(group_free(1_000, 950, ""), 50);
        assert_eq!(group_free(1_000, 100, stat), 1_000);
        assert_eq!(group_free(1_000, 950, &format!("{stat}total_inactive_file 300\n")), 350);
    }

    #[test]
    fn the_tightest_control_group_counts_wherever_it_is() {
        let files = [
            ("/sys/fs/cgroup/memory.current", "10"),
            ("/sys/fs/cgroup/slurm/memory.max", "5000\n"),
            ("/sys/fs/cgroup/slurm/memory.current", "1000\n"),
            ("/sys/fs/cgroup/slurm/job_7/memory.max", "max\n"),
            ("/sys/fs/cgroup/slurm/job_7/memory.current", "900\n"),
            ("/sys/fs/cgroup/slurm/job_7/task_0/memory.max", "2000\n"),
            ("/sys/fs/cgroup/slurm/job_7/task_0/memory.current", "800\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5\n"),
            ("/sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "700\n"),
            ("/sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "600\n"),
            ("/sys/fs/cgroup/memory/pod/memory.stat", "inactive_file 1\ntotal_inactive_file 200\n"),
        ];
        let read = |path: &str| files.iter().find(|(p, _)| *p == path).map(|(_, text)| (*text).to_owned());
        let second = "the control group's memory.max";
        assert_eq!(groups_free("0::/slurm/job_7/task_0\n", read), Some((1_200, second)));
        assert_eq!(groups_free("0::/slurm\n", read), Some((4_000, second)));
        let first = "the control group's memory.limit_in_bytes";
        assert_eq!(groups_free("5:cpu:/x\n4:memory:/pod\n0::/\n", read), Some((300, first)));
        assert_eq!(groups_free("0::/\n", read), None);
    }
}
