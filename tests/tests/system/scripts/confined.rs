//! What scripts cannot do to the machine, to each other and to the run.

use super::{ESP, PI, Stage};
use crate::system::common::{scratch, twinfleet_command};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::Command,
    time::{Duration, Instant},
};

/// What a script uses to try things: `attempt(name, what)` prints whether it went.
pub const ATTEMPT: &str = r#"
import ctypes, fcntl, os, signal, sys, time
def attempt(name, what):
    try:
        print(name, "done", what())
    except BaseException as e:
        print(name, "refused", type(e).__name__)
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    r = libc.syscall(*args)
    if r < 0:
        raise OSError(ctypes.get_errno(), "")
    return r
"#;

/// System calls by what they are called and their number on this processor, refused whatever their arguments.
#[cfg(target_arch = "x86_64")]
const CALLS: &[(&str, i64)] = &[
    ("chmod", 90),
    ("fchmodat", 268),
    ("chown", 92),
    ("utime", 132),
    ("utimensat", 280),
    ("setxattr", 188),
    ("mknod", 133),
    ("shmget", 29),
    ("msgget", 68),
    ("semget", 64),
    ("inotify_init1", 294),
    ("fanotify_init", 300),
    ("setresuid", 117),
    ("setuid", 105),
    ("sched_setaffinity", 203),
    ("setpriority", 141),
    ("ptrace", 101),
    ("unshare", 272),
    ("personality", 135),
    ("memfd_create", 319),
    ("io_uring_setup", 425),
    ("keyctl", 250),
    ("bpf", 321),
    ("perf_event_open", 298),
    ("socketpair", 53),
    ("x32_socket", 0x4000_0000 + 41),
];

#[test]
#[cfg(target_arch = "x86_64")]
fn a_script_changes_nothing_of_the_machine() {
    let other = scratch();
    let path = other.path().join("probe.txt");
    fs::write(&path, "told").unwrap();
    let before = fs::metadata(&path).unwrap();
    let path = path.display().to_string();
    let mut script = ATTEMPT.to_owned();
    let raw = |name: &str, call: &str| format!("attempt({name:?}, lambda: {call})\n");
    for (name, number) in CALLS {
        script += &raw(name, &format!("call({number}, {path:?}.encode(), 0o777, 0, 0, 0)"));
    }
    // A file that it may read is not its own either.
    script += "import encodings\nfd = os.open(encodings.__file__, os.O_RDONLY)\n";
    script += &raw("fchmod", "call(91, fd, 0o777)");
    script += &raw("futimens", "call(280, fd, None, None, 0)");
    script += &raw("device", "(os.mknod('z', 0o20666, os.makedev(1, 5)), open('z', 'rb').read(1))");
    script += &raw("owner", "call(72, fd, 8, os.getppid())");
    script += &raw("signal", "call(72, fd, 10, 9)");
    script += &raw("truncate", &format!("os.truncate({path:?}, 0)"));
    let tried = CALLS.len() + 6;
    // What libraries do with files of their own goes.
    script += "import shutil\nopen('a', 'w').write('x')\nos.chmod('a', 0o600)\nshutil.copy2('a', 'b')\nos.utime('b', (1, 2))\n";
    script += "print(oct(os.stat('b').st_mode), os.stat('b').st_mtime, oct(os.stat('a').st_mode & 0o777))\n";
    let stage = Stage::new(PI, "RaspberryPi", "", &script);
    let said = stage.told(&stage.run(&[]), "script_says");
    assert_eq!(said.len(), tried + 1, "{said:?}");
    for line in &said[..tried] {
        assert!(line.contains("refused"), "{line}");
    }
    assert_eq!(said[tried], "0o100600 2.0 0o600");
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (before.mode(), before.mtime_nsec(), before.uid()),
        (after.mode(), after.mtime_nsec(), after.uid())
    );
}

#[test]
fn a_device_reaches_no_other_devices_card() {
    let script = ATTEMPT.to_owned()
        + r#"
other = "d-1" if os.uname().nodename == "d-0" else "d-0"
time.sleep(5)
attempt("read", lambda: open("../%s/main.py" % other).read())
attempt("list", lambda: os.listdir("../" + other))
attempt("write", lambda: open("../%s/main.py" % other, "a").write("print('injected')\n"))
attempt("new", lambda: open("../%s/new.py" % other, "w").write("x"))
attempt("move", lambda: os.rename("main.py", "../%s/moved.py" % other))
attempt("raw", lambda: call(2, b"../%s/main.py" % other.encode(), 1))
attempt("own", lambda: open("main.py", "a").write(""))
if os.uname().nodename == "d-1":
    1 / 0
"#;
    let stage = Stage::new(PI, "RaspberryPi", "restart: \"10s\"", &script);
    let ran = stage.run(&[]);
    for device in ["d-0", "d-1"] {
        let said = stage.told_of(device, &ran, "script_says");
        for line in said.iter().filter(|l| !l.starts_with("own")) {
            assert!(line.contains("refused"), "{device}: {line}");
        }
        assert!(said.iter().any(|l| l == "own done 0"), "{said:?}");
    }
    assert!(stage.told_of("d-1", &ran, "script_crash").len() > 3, "it starts again, with what it was");
}

#[test]
fn no_signal_leaves_a_script() {
    let script = ATTEMPT.to_owned()
        + r#"
time.sleep(5)
if os.uname().nodename == "d-0":
    r, w = os.pipe()
    parent = libc.getppid()
    attempt("owner", lambda: fcntl.fcntl(r, fcntl.F_SETOWN, parent))
    attempt("which", lambda: fcntl.fcntl(r, 10, 9))
    fcntl.fcntl(r, fcntl.F_SETFL, fcntl.fcntl(r, fcntl.F_GETFL) | 0x2000)
    os.write(w, b"x")
    attempt("kill", lambda: libc.kill(parent, 9) and 1 / 0)
    attempt("tgkill", lambda: call(234, parent, parent, 9))
    time.sleep(20)
else:
    time.sleep(10)
    print("I live")
    1 / 0
"#;
    let stage = Stage::new(PI, "RaspberryPi", "restart: \"5s\"", &script);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    assert!(said.len() == 4 && said.iter().all(|l| l.contains("refused")), "{said:?}");
    assert!(stage.told_of("d-1", &ran, "script_says").len() > 3);
    assert!(
        stage.told(&ran, "script_host").is_empty() && stage.told_of("d-1", &ran, "script_host").is_empty()
    );
}

#[test]
fn a_run_outlives_the_process_that_scripts_come_from() {
    let script = "import time\nprint('up')\ntime.sleep(2)\n1 / 0\n";
    let stage = Stage::new(PI, "RaspberryPi", "boot: \"100ms\", restart: \"1s\"", script)
        .with("duration: \"2min\"", "duration: \"12s\"");
    let (file, report) = (stage.file(), stage.dir.path().join("report"));
    let mut run = twinfleet_command();
    run.args(["run", &file, "--speed", "1x", "--broker", "none", "--quiet", "--report"]).arg(&report);
    let mut run = run.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(4));
    let tasks = fs::read_dir(format!("/proc/{}/task", run.id())).unwrap().flatten();
    let children: String = tasks.filter_map(|t| fs::read_to_string(t.path().join("children")).ok()).collect();
    let first: Vec<&str> = children.split_whitespace().collect();
    assert_eq!(first.len(), 1, "one process of its own, from which the others come");
    assert!(Command::new("kill").args(["-9", first[0]]).status().unwrap().success());
    let ended = run.wait().unwrap();
    assert_eq!(ended.code(), Some(0));
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(report.join("report.json")).unwrap()).unwrap();
    let events = json["happenings"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|e| e["what"] == kind).count();
    assert_eq!(of("script_host"), 1, "told once");
    assert!(of("script_says") >= 6, "{} starts", of("script_says"));
}

#[test]
fn a_script_takes_no_more_of_the_machine_than_its_share() {
    let told = |script: &str| {
        let stage = Stage::new(PI, "RaspberryPi", "", script);
        let ran = stage.run(&[]);
        (stage.told(&ran, "script_gone"), stage.told(&ran, "script_says"))
    };
    let line = "import os, _twinfleet as t\nb = b'x' * (1 << 20)\nfor i in range(400): os.write(t.fd, b)\n";
    let (gone, _) = told(line);
    assert!(gone.len() == 1 && gone[0].contains("1 MiB in one line"), "{gone:?}");
    let files = "import time\nb = b'x' * (60 << 20)\nfor i in range(20):\n    open('f%d' % i, 'wb').write(b)\n\
        \x20   time.sleep(1)\nprint('wrote')\n";
    let (gone, said) = told(files);
    assert!(said.is_empty() && gone.len() == 1 && gone[0].contains("256 MiB"), "{gone:?} {said:?}");
    // As far as it is a card's, it goes.
    let (gone, said) =
        told("open('f', 'wb').write(b'x' * (30 << 20))\nimport time; time.sleep(5)\nprint('wrote')\n");
    assert!(gone.is_empty() && said == ["wrote"], "{gone:?} {said:?}");
    // Nobody's answers are waited for for ever.
    let many = "import os, _twinfleet as t\nb = b'1 kept x\\n' * 100\nwhile True: os.write(t.fd, b)\n";
    let stage = Stage::new(PI, "RaspberryPi", "", many).with("duration: \"2min\"", "duration: \"1s\"");
    assert!(stage.run(&["--script-patience", "2"]).code() <= 3);
}

/// A line without an end is no hog: it is cut, and who writes it on and on is stuck in simulated time.
#[test]
fn a_console_without_line_ends_is_contained() {
    for (runtime, thing, script) in [
        ("RaspberryPi", PI, "import sys\nprint('on')\nwhile True:\n    sys.stdout.write('x' * 1000)\n"),
        ("MicroPython", ESP, "print('on')\nwhile True:\n    print('x' * 1000, end='')\n"),
    ] {
        let begun = Instant::now();
        let stage = Stage::new(thing, runtime, "", script).with("count: 2", "count: 1");
        let ran = stage.run(&[]);
        assert!(begun.elapsed() < Duration::from_secs(60), "{runtime}: {:?}", begun.elapsed());
        assert_eq!(stage.told(&ran, "script_says"), ["on"], "{runtime}");
        let stuck = stage.told(&ran, "script_stuck");
        assert!(stuck.len() == 1 && stuck[0].contains("main.py"), "{runtime}: {stuck:?}");
        assert!(!stuck[0].contains("<string>"), "{runtime}: {stuck:?}");
    }
    let long = Stage::new(PI, "RaspberryPi", "", "print('.' * 3, end='')\nprint('y' * 9000)\n");
    let said = long.told(&long.run(&[]), "script_says");
    assert!(said.len() == 1 && said[0].len() == 4096 && said[0].starts_with("...y"), "{}", said[0].len());
}

#[test]
fn a_script_that_speaks_the_protocol_itself_asks_for_no_more_than_there_is() {
    let script = "import _twinfleet\n\
        print(_twinfleet.ask('ow 17 r 99999999999999')[0])\n\
        _twinfleet.ask('end crash - 18446744073709551615')\n";
    let stage = Stage::new(ESP, "MicroPython", "", script);
    // Its watchdog, set for ever, never resets it.
    assert_eq!(stage.told(&stage.run(&[]), "script_says"), ["err"]);
}

#[test]
fn who_leaves_at_once_has_left_and_who_asks_for_input_is_told() {
    let script = "import os, threading, time\n\
        def goes():\n    time.sleep(2)\n    os._exit(3)\n\
        threading.Thread(target=goes).start()\nwhile True:\n    time.sleep(1)\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    assert_eq!(stage.told(&stage.run(&[]), "script_exit"), ["the script has ended with 3"]);
    let stage = Stage::new(ESP, "MicroPython", "", "name = input('name? ')\n");
    let ran = stage.run(&[]);
    assert_eq!(stage.told(&ran, "script_says"), ["name? "]);
    assert!(stage.told(&ran, "script_crash")[0].starts_with("EOFError: input(): nobody types"));
}

/// Who tries a script for the first time sees what it prints, and not a thousand lines of it.
#[test]
fn what_a_script_prints_is_shown_as_it_comes() {
    let script =
        "import time\nprint('hello')\ntime.sleep(3)\nfor i in range(200):\n    print('line', i)\n1 / 0\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script).with("count: 2", "count: 1");
    let ran = twinfleet_command().args(["run", &stage.file(), "--broker", "none", "--no-pictures"]).output();
    let shown = String::from_utf8_lossy(&ran.expect("the command starts").stderr).into_owned();
    assert!(shown.contains("d-0 at 500") && shown.contains(" | hello\n"), "{shown}");
    assert!(shown.contains("| line 98\n") && !shown.contains("| line 99\n"), "{shown}");
    assert_eq!(shown.matches("scripts print more: see the report").count(), 1, "{shown}");
    assert!(
        shown.contains("d-0 at 3.5") && shown.contains(": ZeroDivisionError: division by zero"),
        "{shown}"
    );
}
