//! `twinfleet score`: how good forecasts, alarms and diagnoses are, on recordings that nothing was learnt from.

pub mod forecast;

use crate::exit::{Exit, Failure};
use clap::Subcommand;

/// What is judged.
#[derive(Clone, Debug, Subcommand)]
pub enum Score {
    /// Forecast channels of a table, walking forward; only the past of each origin is used.
    #[command(after_help = forecast::AFTER)]
    Forecast(forecast::Args),
}

/// Judges it.
pub fn run(score: Score, json: bool) -> Result<Exit, Failure> {
    match score {
        Score::Forecast(args) => forecast::run(&args, json),
    }
}
