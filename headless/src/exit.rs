//! Exit codes, and failures that end the command with one.

use nix::sys::signal::{SigSet, Signal};
use std::{
    fmt,
    io::{ErrorKind, Write},
    process::ExitCode,
};

/// How the command ended. The numbers are documented in `--help` and stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All held.
    Ok = 0,
    /// An expectation or threshold failed.
    Failed = 1,
    /// Bad input: files or flags.
    Input = 2,
    /// The outside failed: broker, disk, time-out.
    Outside = 3,
    /// The load generator itself was the limit: what was measured is none of the broker's.
    Invalid = 4,
    /// Stopped by Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A file that may not grow further (`ulimit -f`) is a full disk: the write fails and says so, where SIGXFSZ would kill us.
/// Threads inherit the mask, so this comes before the first; a program that we start gets an empty one.
pub fn outlive_file_limit() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGXFSZ);
    // A signal that exists is blocked without fail.
    let _ = signals.thread_block();
}

/// Prints a line on standard output. Whoever reads it may leave early (`| head`): that is no failure of ours; a full disk
/// below it is one of the outside.
pub fn say(line: fmt::Arguments) {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(Exit::Ok as i32),
        Err(e) => {
            eprintln!("cannot write to standard output: {e}\nfree some space there, or send it elsewhere");
            std::process::exit(Exit::Outside as i32);
        }
    }
}

/// Prints on standard error. Whoever reads it may leave early (`2>&1 | head`), and it may be full: what is told there is no
/// result, so that the work goes on, and the exit code says how it ended.
pub fn tell(text: fmt::Arguments) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Why the command could not do its work, with what to do about it.
#[derive(Debug)]
pub struct Failure {
    /// Exit code.
    pub exit: Exit,
    /// The message, possibly of many lines, without a trailing newline.
    pub text: String,
    /// Whether it is the broker that failed.
    pub of_broker: bool,
}

impl Failure {
    /// Bad input.
    pub fn input(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Input, text: text.to_string(), of_broker: false }
    }

    /// The outside failed.
    pub fn outside(text: impl fmt::Display) -> Self {
        Self { exit: Exit::Outside, text: text.to_string(), of_broker: false }
    }

    /// The broker failed.
    pub fn broker(text: impl fmt::Display) -> Self {
        Self { of_broker: true, ..Self::outside(text) }
    }

    /// Prints it and gives the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        if json {
            let object = serde_json::json!({ "error": self.text, "exit": self.exit as u8 });
            say(format_args!("{object}"));
        }
        eprintln!("{}", self.text.trim_end());
        self.exit.into()
    }
}
