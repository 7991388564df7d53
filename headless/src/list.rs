//! `twinfleet list`: what the catalog holds.

use crate::{
    args::{ListArgs, Listed},
    exit::{Exit, Failure, say},
    load_files,
};
use twinfleet_twins::catalog;

/// Prints one line, or one JSON object, an entry.
pub fn run(args: ListArgs, json: bool) -> Result<Exit, Failure> {
    let all = load_files::catalog(None, &args.catalog).map_err(|r| load_files::refused(&r))?;
    let word = match args.what {
        Listed::Boards => "boards",
        Listed::Sensors => "sensors",
        Listed::Actuators => "actuators",
        Listed::Batteries => "batteries",
        Listed::Regulators => "regulators",
        Listed::Links => "links",
        Listed::Things => "things",
        Listed::Scenarios => "scenarios",
        Listed::Predictors => return predictors(json),
    };
    let entries = catalog::list(&all, word).unwrap_or_default();
    if json {
        say(format_args!("{}", serde_json::to_string_pretty(&entries).unwrap_or_default()));
        return Ok(Exit::Ok);
    }
    let width = entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for e in &entries {
        say(format_args!("{:width$}  {}", e.name, e.about));
    }
    Ok(Exit::Ok)
}

fn predictors(json: bool) -> Result<Exit, Failure> {
    let (name, about) =
        ("kalman", "extended Kalman filter over the thing's own dynamics, joint state and learnt parameters");
    if json {
        say(format_args!("{}", serde_json::json!([{ "name": name, "about": about }])));
    } else {
        say(format_args!("{name}  {about}"));
    }
    Ok(Exit::Ok)
}
