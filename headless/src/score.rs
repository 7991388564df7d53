//! `twinfleet score`: how good forecasts, alarms and diagnoses are, on recordings that nothing was learnt from.

mod detect;
mod diagnose;
pub mod forecast;

use crate::exit::{Exit, Failure};
use clap::Subcommand;

/// What is judged.
#[derive(Clone, Debug, Subcommand)]
pub enum Score {
    /// Watch streams row by row for what is new or wrong, each row judged by those before it.
    #[command(after_help = detect::AFTER)]
    Detect(Box<detect::Args>),
    /// Forecast channels of a table, walking forward; only the past of each origin is used.
    #[command(after_help = forecast::AFTER)]
    Forecast(forecast::Args),
    /// Say what is wrong with a device, of which part, since when and how large; or judge what twins said of it in a run.
    #[command(after_help = diagnose::AFTER)]
    Diagnose(diagnose::Args),
}

/// Judges it.
pub fn run(score: Score, json: bool) -> Result<Exit, Failure> {
    match score {
        Score::Detect(args) => detect::run(&args, json),
        Score::Forecast(args) => forecast::run(&args, json),
        Score::Diagnose(args) => diagnose::run(&args, json),
    }
}
