//! How a mirror, discovery and doubles get to a broker that asks who they are: no password shows.

use super::{
    common::{command, scratch},
    mirror::{Mirror, url_of},
};
use std::process::Command;
use twinfleet_tests::{Mosquitto, tool};

#[test]
fn the_password_comes_from_file_or_environment_and_no_log_shows_it() {
    let name = "a login by password file with mosquitto";
    let Some(passwd) = tool("mosquitto_passwd", name) else { return };
    let mosquitto = Mosquitto::start_with(name, |dir| {
        let file = dir.join("passwd");
        let made = Command::new(passwd).args(["-b", "-c"]).arg(&file).args(["lab", "geheim"]).status();
        assert!(made.unwrap().success());
        format!("allow_anonymous false\npassword_file {}\n", file.display())
    });
    let Some(mosquitto) = mosquitto else { return };
    let file = mosquitto.dir.path().join("secret");
    std::fs::write(&file, "geheim\n").unwrap();
    let path = file.display().to_string();
    let mut mirror = Mirror::of(1, &url_of(&mosquitto), &["--user", "lab", "--password-file", &path]);
    mirror.start_and_wait();
    assert_eq!(mirror.stop(), Some(0));
    assert!(!mirror.said().contains("geheim"), "{}", mirror.said());
    // Discovery gets to the same broker by the same options, and is refused without them.
    let url = url_of(&mosquitto);
    let ran = command(&["discover", &url, "--for", "1s", "--user", "lab", "--password-file", &path]);
    assert!(ran.stderr().contains("listening on") && !ran.stderr().contains("geheim"), "{}", ran.stderr());
    let ran = command(&["discover", &url, "--for", "1s"]);
    assert!(ran.code() == 3 && ran.stderr().contains("not authorised"), "{}", ran.stderr());
    // So do the doubles of its devices.
    let dir = scratch();
    let table = dir.path().join("rows.csv");
    std::fs::write(&table, "s,t\n0,20\n1,21\n2,22\n").unwrap();
    let rows = table.to_str().unwrap();
    let replay = [
        "replay",
        rows,
        "--time",
        "s",
        "--map",
        "probe.temperature=t:C",
        "--speed",
        "10x",
        "--broker",
        url.as_str(),
    ];
    for as_devices in [&["--as-devices"][..], &[]] {
        let login = ["--user", "lab", "--password-file", path.as_str()];
        let ran = command(&[&replay[..], as_devices, &login[..]].concat());
        assert!(ran.code() == 0 && !ran.stderr().contains("geheim"), "{as_devices:?}: {}", ran.stderr());
        let ran = command(&[&replay[..], as_devices].concat());
        assert!(ran.code() == 3 && ran.stderr().contains("not authorised"), "{}", ran.stderr());
    }
    let refused = Mirror::of(1, &url_of(&mosquitto), &[]);
    let tried = |password: &str| {
        let mut command = refused.command();
        let output =
            command.env("TWINFLEET_USER", "lab").env("TWINFLEET_PASSWORD", password).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    let said = tried("falsch-geheim");
    assert!(said.contains("not authorised") && !said.contains("falsch-geheim"), "{said}");
}
