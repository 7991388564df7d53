//! The command `twinfleet`.

mod fit;

use clap::Parser;
use std::{io, process::ExitCode};
use twinfleet_engine::scenario::diagnostic::Style;

/// Digital twins of IoT fleets.
#[derive(Debug, Parser)]
#[command(name = "twinfleet", version)]
enum Command {
    /// Calibrate a thing's dynamics against recordings.
    Fit {
        /// Options.
        #[command(flatten)]
        args: fit::Args,
        /// Print figures for machines.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let Command::Fit { args, json } = Command::parse();
    match fit::run(&args, json, &mut io::stdout().lock()) {
        Ok(warnings) => {
            eprint!("{}", warnings.render(Style::Plain));
            ExitCode::SUCCESS
        }
        Err(fit::Failure::Input(report)) => {
            eprint!("{}", report.render(Style::Plain));
            ExitCode::from(2)
        }
        Err(fit::Failure::Outside(report)) => {
            eprint!("{}", report.render(Style::Plain));
            ExitCode::from(3)
        }
    }
}
