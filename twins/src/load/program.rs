//! A program of the user's that works beside a load, such as the one that restarts the broker: in a group of processes of its
//! own, so that what it started ends with it where it has to be ended.

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program that is asked to end may take for it.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often somebody looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// A program that runs. Whoever drops it ends it.
#[derive(Debug)]
pub struct Program(Child);

impl Program {
    /// Starts it without arguments and without a shell. What it says on standard output goes nowhere: it must not stand between
    /// the lines of a result.
    ///
    /// # Errors
    /// What the system says of the file.
    pub fn start(file: &Path) -> io::Result<Self> {
        let mut command = Command::new(file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        command.spawn().map(Self)
    }

    /// How it ended, if it has. What it left behind, such as a broker, stays.
    ///
    /// # Errors
    /// What the system says.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }

    /// Ends it, with all that it started, if it has not ended.
    pub fn end(&mut self) {
        if !matches!(self.ended(), Ok(None)) {
            return;
        }
        // It leads its group, whose number is its own for as long as nobody has waited for it.
        let group = Pid::from_raw(self.0.id() as i32);
        // They may have ended just now.
        let _ = killpg(group, Signal::SIGTERM);
        let begin = Instant::now();
        while begin.elapsed() < FAREWELL && matches!(self.ended(), Ok(None)) {
            thread::sleep(LOOK);
        }
        // Some of the group may be left that did not listen, the program among them. A number is not given anew so soon.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn script(dir: &Path, text: &str) -> std::path::PathBuf {
        let path = dir.join("script.sh");
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn a_program_ends_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        // Neither the shell nor what it started listens to a request.
        let text = format!(
            "trap '' TERM\n(while :; do echo x >> '{0}'; sleep 0.02; done) &\nwhile :; do sleep 1; done",
            told.display()
        );
        let mut program = Program::start(&script(dir.path(), &text)).unwrap();
        let size = || fs::metadata(&told).map_or(0, |m| m.len());
        let begin = Instant::now();
        while size() == 0 && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(LOOK);
        }
        assert_eq!(program.ended().unwrap(), None);
        drop(program);
        let after = size();
        thread::sleep(Duration::from_millis(300));
        assert!(after > 0 && size() == after, "it goes on: {after} {}", size());
    }

    #[test]
    fn what_a_program_left_behind_stays() {
        let dir = tempfile::tempdir().unwrap();
        let told = dir.path().join("told");
        let text = format!("(sleep 0.3; echo x > '{}') > /dev/null 2>&1 &", told.display());
        let mut program = Program::start(&script(dir.path(), &text)).unwrap();
        let begin = Instant::now();
        while program.ended().unwrap().is_none() && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(LOOK);
        }
        program.end();
        drop(program);
        while !told.exists() && begin.elapsed() < Duration::from_secs(30) {
            thread::sleep(LOOK);
        }
        assert!(told.exists(), "it was ended");
    }
}
