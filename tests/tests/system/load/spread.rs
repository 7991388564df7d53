//! Loads and sweeps over schedulers: GNU parallel, Slurm; a shard that is killed is run again alone.

use super::*;
use std::path::PathBuf;

/// A fleet at two sizes by six seeds.
fn sweep(out: &Path, more: &[&str]) -> Vec<String> {
    let file = out.parent().expect("a folder").join("fleet.ron");
    let text = r#"Scenario(format: 1, duration: "12h", fleet: [(id: "node-{}", count: 4, thing: "esp32-weather-node")],
        expect: [Always(signal: "node-*/bme280.temperature@reading", between: (15, 25))])"#;
    std::fs::write(&file, text).expect("a scenario");
    let (file, out) = (file.display().to_string(), out.display().to_string());
    let base = ["sweep", &file, "--seeds", "1..6", "--over", "fleet[0].count=40,80", "--out", &out];
    base.iter().chain(more).map(|s| (*s).to_owned()).collect()
}

fn run(args: &[String]) -> super::super::common::Ran {
    command(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_killed_shard_of_a_sweep_is_run_again_alone() {
    let dir = scratch();
    let at = |name: &str| dir.path().join(name);
    let whole = run(&sweep(&at("whole"), &["--jobs", "2"]));
    assert_eq!(whole.code(), 0, "{}", whole.stderr());
    assert_eq!(whole.json()["cells"].as_array().map(Vec::len), Some(12));
    // The first shard runs; the second is killed once it has left a cell.
    assert_eq!(run(&sweep(&at("a"), &["--shard", "0/2"])).code(), 0);
    let args = sweep(&at("b"), &["--shard", "1/2"]);
    let child = twinfleet_command().args(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut shard = Process(child.expect("a shard"));
    let cells = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().count();
    until("a cell of the second shard", || cells(at("b")) > 0);
    shard.0.kill().expect("killed");
    shard.0.wait().expect("ended");
    let merge = |out: &Path| {
        let (a, b, out) = (at("a"), at("b"), out.to_str().expect("text").to_owned());
        command(&["merge", a.to_str().expect("text"), b.to_str().expect("text"), "--out", &out])
    };
    if cells(at("b")) < 6 {
        let half = merge(&at("half"));
        assert_eq!(half.code(), 2, "{}", half.stdout());
        assert!(half.stderr().contains("missing"), "{}", half.stderr());
    }
    assert_eq!(run(&args).code(), 0);
    let merged = merge(&at("merged"));
    assert_eq!(merged.code(), 0, "{}", merged.stderr());
    let read = |name: &str| std::fs::read(at(name).join("sweep.json")).expect("sweep.json");
    assert_eq!(read("merged"), read("whole"), "the merged result is not that of the undisturbed sweep");
    // Another sweep does not go on in the same folder.
    let other = run(&sweep(&at("whole"), &["--set", "seed=9"]));
    assert_eq!(other.code(), 2, "{}", other.stdout());
}

#[test]
fn gnu_parallel_runs_the_shards_of_a_load() {
    let test = "gnu_parallel_runs_the_shards_of_a_load";
    let Some(parallel) = twinfleet_tests::tool("parallel", test) else { return };
    let Some(mosquitto) = Mosquitto::start(test) else { return };
    let dir = scratch();
    let start = twinfleet_twins::load::unix_ns() / 1_000_000_000 + 3;
    let line = format!(
        "'{}' load load-smoke --broker mqtt://{} --shard {{}}/3 --start-at {start} --set '{PATIENT}' --out {{}} --quiet",
        twinfleet().display(),
        mosquitto.addr
    );
    let status = Command::new(parallel)
        .args(["--will-cite", "-j3", &line, ":::", "0", "1", "2"])
        .current_dir(dir.path())
        .status()
        .expect("parallel");
    assert!(status.success(), "{status}");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let merged = command(&["merge", &at("0"), &at("1"), &at("2"), "--out", &at("all")]);
    assert_eq!(merged.code(), 0, "{}", merged.stderr());
    assert_eq!(merged.json()["verdict"]["received"], merged.json()["verdict"]["expected"]);
}

#[test]
fn what_is_shipped_for_schedulers_names_commands_that_there_are() {
    let deploy = twinfleet_tests::root().join("deploy");
    for name in ["load.sbatch", "sweep.sbatch"] {
        let path = deploy.join(name);
        let checked = Command::new("bash").arg("-n").arg(&path).status().expect("bash");
        assert!(checked.success(), "{name}");
    }
    // A script of an array, run as Slurm would run its task.
    let dir = scratch();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder");
    std::os::unix::fs::symlink(twinfleet(), bin.join("twinfleet")).expect("a link");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let status = Command::new("bash")
        .arg(deploy.join("sweep.sbatch"))
        .current_dir(dir.path())
        .envs([
            ("PATH", path.as_str()),
            ("SCENARIO", "swing-shake-drive"),
            ("SEEDS", "1..2"),
            ("SHARDS", "2"),
        ])
        .env("SLURM_ARRAY_TASK_ID", "1")
        .stdout(Stdio::null())
        .status()
        .expect("bash");
    assert!(status.success(), "{status}");
    assert!(dir.path().join("sweep/1/cell-000001.json").exists());
    let job = std::fs::read_to_string(deploy.join("load-job.yaml")).expect("a manifest");
    assert!(job.contains("completionMode: Indexed") && job.contains("--shard auto/10"));
    // The line in its head fills in the start, and leaves to the pod what the pod knows.
    let Some(_) =
        twinfleet_tests::tool("envsubst", "what_is_shipped_for_schedulers_names_commands_that_there_are")
    else {
        return;
    };
    let line = job.lines().find_map(|l| l.strip_prefix("#   ")).expect("the line that starts it");
    let filled = line.split_once(" | ").expect("a pipe").0.replace("$(($(date +%s) + 120))", "123");
    assert!(filled.starts_with("START_AT=123 envsubst"), "{filled}");
    let output = Command::new("bash").args(["-c", &filled]).current_dir(&deploy).output().expect("bash");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("value: \"123\""), "{text}");
    for left in ["--broker \"$BROKER\"", "--start-at \"123\"", "/out/$JOB_COMPLETION_INDEX"] {
        assert!(text.contains(left), "{left} is gone: {text}");
    }
}
