//! The command `twinfleet`: one file a command, exit codes in one place.

// Instead of the standard ones, which panic where whoever reads standard error has left.
macro_rules! eprint {
    ($($arg:tt)*) => { $crate::exit::tell(format_args!($($arg)*)) };
}
macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::exit::tell(format_args!("{}\n", format_args!($($arg)*))) };
}

mod args;
mod check;
mod datasheet;
mod discover;
mod drive;
mod exit;
mod fit;
mod list;
mod load;
mod load_files;
mod login;
mod merge;
mod mirror;
mod pictures;
mod replay;
mod report;
mod run;
mod score;
mod series_args;
mod summary;
mod sweep;
mod table;
mod train;

use args::{Cli, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    exit::outlive_file_limit();
    let cli = Cli::parse();
    let json = cli.json;
    let outcome = match cli.command {
        Command::Run(a) => run::run(a, json),
        Command::Check(a) => check::run(a, json),
        Command::List(a) => list::run(a, json),
        Command::Replay(a) => replay::run(a, json),
        Command::Load(a) => load::run(*a, json),
        Command::Merge(a) => merge::run(a, json),
        Command::Mirror(a) => mirror::run(a, json),
        Command::Sweep(a) => sweep::run(&a, json),
        Command::Fit(a) => fitted(&a, json),
        Command::Discover(a) => discover::run(a, json),
        Command::Datasheet(a) => datasheet::run(a, json),
        Command::Score(a) => score::run(a, json),
        Command::Train(a) => train::run(&a, json),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report(json),
    }
}

fn fitted(args: &fit::Args, json: bool) -> Result<exit::Exit, exit::Failure> {
    let style = load_files::style();
    match fit::run(args, json, &mut std::io::stdout().lock()) {
        Ok(warnings) => {
            eprint!("{}", warnings.render(style));
            Ok(exit::Exit::Ok)
        }
        Err(fit::Failure::Input(report)) => Err(exit::Failure::input(report.render(style))),
        Err(fit::Failure::Outside(report)) => Err(exit::Failure::outside(report.render(style))),
    }
}
