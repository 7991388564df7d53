//! The command `twinfleet`: one file a command, exit codes in one place.

mod args;
mod check;
mod drive;
mod exit;
mod list;
mod load_files;
mod merge;
mod plugins;
mod replay;
mod report;
mod run;
mod summary;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.json;
    let outcome = match cli.command {
        Command::Run(a) => run::run(a, json),
        Command::Check(a) => check::run(a, json),
        Command::List(a) => list::run(a, json),
        Command::Replay(a) => replay::run(a, json),
        Command::Merge(a) => merge::run(a, json),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(json),
    }
}
