//! The program `twinfleet-desktop`.

use std::process::ExitCode;
use twinfleet_desktop::{args::Args, picture, window};

fn main() -> ExitCode {
    let args = Args::of_program();
    let done = if args.screenshot.is_some() || args.video.is_some() {
        picture::run(&args)
    } else {
        window::run(&args)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure.text.trim_end());
            ExitCode::from(failure.code)
        }
    }
}
