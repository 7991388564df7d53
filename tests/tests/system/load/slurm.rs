//! A real Slurm of one node, started by its test: a load and a sweep as arrays of the shipped scripts.

use super::*;
use std::path::PathBuf;

/// munged, slurmctld and slurmd on free ports, in a folder of their own; they end with their handle.
struct Slurm {
    dir: tempfile::TempDir,
    sbatch: PathBuf,
    _processes: Vec<Process>,
}

impl Slurm {
    fn start(test: &str) -> Option<Self> {
        let tool = |name: &str| twinfleet_tests::tool(name, test);
        let [munged, slurmctld, slurmd, sbatch, sinfo] =
            [tool("munged")?, tool("slurmctld")?, tool("slurmd")?, tool("sbatch")?, tool("sinfo")?];
        if !is_root() {
            twinfleet_tests::skip(test, "Slurm's daemons want to be started by root");
            return None;
        }
        let dir = scratch();
        let d = dir.path().display().to_string();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host name");
        let host = host.trim().split('.').next().unwrap_or("localhost").to_owned();
        let key: Vec<u8> = (0..128u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(dir.path().join("munge.key"), key).expect("a key");
        for (name, mode) in [("munge.key", 0o600), (".", 0o755)] {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(dir.path().join(name), mode).expect("permissions");
        }
        let (control, node) = (twinfleet_tests::free_port(), twinfleet_tests::free_port());
        let conf = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={d}/munge.socket\nCredType=cred/munge\nSlurmctldPort={control}\nSlurmdPort={node}\n\
             StateSaveLocation={d}/state\nSlurmdSpoolDir={d}/spool\nSlurmctldPidFile={d}/slurmctld.pid\n\
             SlurmdPidFile={d}/slurmd.pid\nSlurmctldLogFile={d}/slurmctld.log\nSlurmdLogFile={d}/slurmd.log\n\
             ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_CPU\nMpiDefault=none\nReturnToService=2\nSlurmdParameters=config_overrides\n\
             NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN\n\
             PartitionName=test Nodes={host} Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES\n"
        );
        std::fs::write(dir.path().join("slurm.conf"), conf).expect("a configuration");
        for folder in ["state", "spool"] {
            std::fs::create_dir(dir.path().join(folder)).expect("a folder");
        }
        let start = |program: &Path, args: &[String]| {
            let log = std::fs::File::create(dir.path().join("started.log")).expect("a log");
            let child = Command::new(program).args(args).stdout(Stdio::null()).stderr(log).spawn();
            Process(child.expect("it starts"))
        };
        let munge =
            ["socket=munge.socket", "key-file=munge.key", "pid-file=munged.pid", "log-file=munged.log"]
                .iter()
                .chain(["seed-file=munged.seed"].iter())
                .map(|pair| {
                    let (key, file) = pair.split_once('=').expect("a pair");
                    format!("--{key}={d}/{file}")
                });
        let munge: Vec<String> = ["-F".to_owned(), "-f".to_owned()].into_iter().chain(munge).collect();
        let mut processes = vec![start(&munged, &munge)];
        until("munged to listen", || dir.path().join("munge.socket").exists());
        let file = format!("{d}/slurm.conf");
        let args = |more: &[&str]| -> Vec<String> {
            ["-D", "-f", &file].iter().chain(more).map(|s| (*s).to_owned()).collect()
        };
        processes.push(start(&slurmctld, &args(&[])));
        processes.push(start(&slurmd, &args(&["-N", &host])));
        until("the node to be idle", || {
            let output = Command::new(&sinfo).args(["-h", "-o", "%t"]).env("SLURM_CONF", &file).output();
            output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).trim() == "idle")
        });
        // slurmd before slurmctld before munged.
        processes.reverse();
        Some(Self { dir, sbatch, _processes: processes })
    }

    /// Submits a shipped script and waits until all its tasks have ended well.
    fn run(&self, script: &str, more: &[&str], variables: &[(&str, &str)]) {
        let bin = self.dir.path().join("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).expect("a folder");
            std::os::unix::fs::symlink(twinfleet(), bin.join("twinfleet")).expect("a link");
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new(&self.sbatch)
            .args(["--wait", "--chdir"])
            .arg(self.dir.path())
            .args(more)
            .arg(twinfleet_tests::root().join("deploy").join(script))
            .env("SLURM_CONF", self.dir.path().join("slurm.conf"))
            .env("PATH", path)
            .envs(variables.iter().copied())
            .output()
            .expect("sbatch");
        let logs = std::fs::read_dir(self.dir.path()).expect("a folder").flatten().map(|e| e.path());
        let logs = logs.filter(|p| p.extension().is_some_and(|e| e == "out"));
        let said: Vec<String> = logs.filter_map(|p| std::fs::read_to_string(p).ok()).collect();
        assert!(output.status.success(), "{script}: {}\n{said:?}", String::from_utf8_lossy(&output.stderr));
    }

    fn at(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .unwrap_or_default()
        .lines()
        .any(|l| l.strip_prefix("Uid:").is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0")))
}

#[test]
fn slurm_runs_a_load_and_a_sweep_as_arrays() {
    let test = "slurm_runs_a_load_and_a_sweep_as_arrays";
    let Some(slurm) = Slurm::start(test) else { return };
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let start = (twinfleet_twins::load::unix_ns() / 1_000_000_000 + 6).to_string();
    let url = format!("mqtt://{}", mosquitto.addr);
    let file = scenario(
        slurm.dir.path(),
        "array.ron",
        r#"devices: [(id: "d-{}", count: 20, topic: "t/{device}", qos: 1, schedule: Poisson("20ms"))],
           subscribers: [(id: "s", filter: "t/#", qos: 1)], stages: [Hold(for: "2s")],
           thresholds: [AtMost(of: Lost, bound: 0), Kept(share: 1)],
           limits: (lag: "10s", cpu: 2, waited_for_cpu: 2)"#,
    );
    slurm.run(
        "load.sbatch",
        &[],
        &[("BROKER", &url), ("START_AT", &start), ("SCENARIO", &file), ("OUT", "load")],
    );
    let parts: Vec<String> = (0..4).map(|i| slurm.at(&format!("load/{i}"))).collect();
    let all = slurm.at("load/all");
    let mut args = vec!["merge"];
    args.extend(parts.iter().map(String::as_str));
    args.extend(["--out", &all]);
    let merged = command(&args);
    assert_eq!(merged.code(), 0, "{}\n{}", merged.stdout(), merged.stderr());
    assert_eq!(merged.json()["verdict"]["received"], merged.json()["verdict"]["expected"]);

    let sweep = [("SCENARIO", "swing-shake-drive"), ("SEEDS", "1..4"), ("SHARDS", "2"), ("OUT", "sweep")];
    // One task first, as if the other had been killed; it is queued again alone.
    slurm.run("sweep.sbatch", &["--array=1"], &sweep);
    slurm.run("sweep.sbatch", &["--array=0-1"], &sweep);
    let (a, b, out) = (slurm.at("sweep/0"), slurm.at("sweep/1"), slurm.at("sweep/all"));
    let merged = command(&["merge", &a, &b, "--out", &out]);
    assert_eq!(merged.code(), 0, "{}", merged.stderr());
    assert_eq!(merged.json()["cells"].as_array().map(Vec::len), Some(4));
}
