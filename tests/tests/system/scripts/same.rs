//! What scripts can see is the same in each run.

use super::{PI, Stage};

#[test]
fn two_runs_are_the_same_whatever_a_script_asks() {
    let script = r#"
import uuid, os, sys, threading, time, sqlite3, shutil, random, secrets, tempfile, platform, resource, glob, pathlib, datetime
import helper
print(uuid.uuid1(), uuid.uuid4(), uuid.getnode())
open("log.csv", "w").write("x")
before = os.stat("log.csv").st_mtime
print(before, os.path.getmtime("main.py"), os.stat("log.csv"), os.lstat("."))
time.sleep(7)
with open("log.csv", "a") as f:
    f.write("y")
print("later", os.stat("log.csv").st_mtime - before, os.path.getctime("log.csv"), os.fstat(0) if False else "")
print(threading.get_native_id(), threading.current_thread().native_id, os.getpid(), os.getppid(), os.getuid())
c = sqlite3.connect("d.db")
c.execute("create table t(a default current_timestamp, b)")
c.execute("insert into t(b) values (random())")
print(c.execute("select datetime('now'), strftime('%s', 'now'), julianday(), current_timestamp, date('now', '+1 day')").fetchall(),
      c.execute("select * from t").fetchall(), c.execute("select datetime('2020-01-01', '+1 day')").fetchall())
print(open("/dev/urandom", "rb").read(4), os.read(os.open("/dev/urandom", os.O_RDONLY), 4), secrets.token_hex(4), random.random())
print(os.getloadavg(), shutil.disk_usage("/"), os.uname(), platform.platform(), os.cpu_count(), os.times(), time.process_time())
print(os.getcwd(), os.path.abspath("x"), os.path.realpath("x"), __file__, helper.__file__, os.environ["HOME"], sys.path[0])
print(tempfile.mkdtemp(), tempfile.NamedTemporaryFile().name, resource.getrusage(resource.RUSAGE_SELF))
for name in "zebra", "apple", "mango": open(name, "w").close()
print(os.listdir(), [e.name for e in os.scandir()], glob.glob("*"), [p.name for p in pathlib.Path(".").iterdir()])
print(datetime.datetime.now(), time.localtime(), time.tzname, datetime.datetime.fromtimestamp(0))
helper.fail()
"#;
    let helper = "def fail():\n    raise ValueError('told')\n";
    let stage = Stage::new(PI, "RaspberryPi", "", script).beside("helper.py", helper);
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let hash = ran.state_hash();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let again = stage.run(&[]);
    assert_eq!(stage.told(&again, "script_says"), said);
    assert_eq!(again.state_hash(), hash);
    assert!(said[2].starts_with("later 7.0"), "{}", said[2]);
    assert!(said.iter().any(|l| l.contains("2020-01-02 00:00:00")), "{said:?}");
    let crash = stage.told(&again, "script_crash");
    assert!(
        crash[0].contains("/home/pi/helper.py\", line 2, in fail") && crash[0].contains("told'"),
        "{crash:?}"
    );
}

#[test]
fn a_card_is_a_home() {
    let script = r#"
import os, sys, pathlib, logging
open(os.path.expanduser("~/a.csv"), "a").write("1\n")
open("/home/pi/a.csv", "a").write("2\n")
pathlib.Path("/home/pi/a.csv").open("a").write("3\n")
print(open("a.csv").read().split())
open("/tmp/x.log", "w").write("tmp")
logging.basicConfig(filename="/var/log/mine.log")
logging.warning("logged")
print(open("/tmp/x.log").read(), os.listdir("/var/log"), sorted(os.listdir()))
os.makedirs("lib/deep")
open("lib/deep/mod.py", "w").write("x = 7")
sys.path.append("lib")
import deep.mod
print(deep.mod.x, deep.mod.__file__)
import beside.inner
print(beside.inner.value)
try:
    open("/home/pi/none")
except FileNotFoundError as e:
    print(e)
"#;
    let stage = Stage::new(PI, "RaspberryPi", "", script);
    std::fs::create_dir(stage.dir.path().join("code/beside")).unwrap();
    let stage = stage.beside("beside/__init__.py", "").beside("beside/inner.py", "value = 3\n");
    let ran = stage.run(&[]);
    let said = stage.told(&ran, "script_says");
    let want = [
        "['1', '2', '3']",
        "tmp ['mine.log'] ['a.csv', 'beside', 'main.py']",
        "7 lib/deep/mod.py",
        "3",
        "[Errno 2] No such file or directory: '/home/pi/none'",
    ];
    assert_eq!(said, want, "{:?}", stage.told(&ran, "script_crash"));
}
