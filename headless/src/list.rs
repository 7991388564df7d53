//! `twinfleet list`: what the catalog holds, in columns that one compares by.

mod cells;

use crate::{
    args::{ListArgs, Listed},
    exit::{Exit, Failure, say},
    load_files,
};
use std::io::IsTerminal;
use twinfleet_twins::{
    catalog,
    predictors::{self, network::Kind},
};

/// Prints a table, or one JSON object an entry.
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
        Listed::Dialects => return dialects(json),
        Listed::Runtimes => return runtimes(json),
    };
    let entries = catalog::list(&all, word).unwrap_or_default();
    let heads = cells::heads(word);
    let rows: Vec<Vec<String>> = entries.iter().map(|e| cells::of(&all, word, &e.name)).collect();
    if json {
        let objects: Vec<serde_json::Value> =
            entries.iter().zip(&rows).map(|(e, row)| object(e, heads, row)).collect();
        say(format_args!("{}", serde_json::to_string_pretty(&objects).unwrap_or_default()));
        return Ok(Exit::Ok);
    }
    let mut table: Vec<Vec<String>> = Vec::new();
    if !heads.is_empty() {
        let head = std::iter::once("name").chain(heads.iter().copied()).chain(["what it is"]);
        table.push(head.map(str::to_owned).collect());
    }
    for (e, row) in entries.iter().zip(rows) {
        table.push(std::iter::once(e.name.clone()).chain(row).chain([e.about.clone()]).collect());
    }
    print(&table);
    Ok(Exit::Ok)
}

/// An entry as an object: name, description, source, and each column under its head.
fn object(e: &catalog::Listed, heads: &[&str], row: &[String]) -> serde_json::Value {
    let mut object = serde_json::json!({ "name": e.name, "about": e.about, "source": e.source });
    for (head, cell) in heads.iter().zip(row) {
        object[*head] = serde_json::Value::from(cell.as_str());
    }
    object
}

/// Columns as wide as what they hold. On a terminal a line ends where it does; a file gets all of it.
fn print(table: &[Vec<String>]) {
    let columns = table.first().map_or(0, Vec::len);
    let wide = |c: usize| table.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.saturating_sub(1)).map(wide).collect();
    let room = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let room = room.filter(|_| std::io::stdout().is_terminal()).unwrap_or(usize::MAX);
    for row in table {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        line.push_str(row.last().map_or("", String::as_str));
        let cut: String = match line.chars().count() {
            n if n > room => line.chars().take(room.saturating_sub(1)).chain(['…']).collect(),
            _ => line,
        };
        say(format_args!("{}", cut.trim_end()));
    }
}

fn dialects(json: bool) -> Result<Exit, Failure> {
    let all = twinfleet_twins::dialect::all();
    if json {
        let options = |d: &dyn twinfleet_twins::dialect::Dialect| {
            let pairs = d.options().iter().map(|(k, v)| ((*k).to_owned(), serde_json::Value::from(*v)));
            pairs.collect::<serde_json::Map<String, serde_json::Value>>()
        };
        let objects: Vec<serde_json::Value> = all
            .iter()
            .map(|d| {
                serde_json::json!({
                    "name": d.name(), "about": d.about(), "source": d.source(), "topic": d.address(), "options": options(*d),
                })
            })
            .collect();
        say(format_args!("{}", serde_json::to_string_pretty(&objects).unwrap_or_default()));
        return Ok(Exit::Ok);
    }
    let mut table = vec![["name", "what it is", "`topic` is"].map(str::to_owned).to_vec()];
    table.extend(all.iter().map(|d| [d.name(), d.about(), d.address()].map(str::to_owned).to_vec()));
    print(&table);
    Ok(Exit::Ok)
}

/// What runs a user's own device code.
fn runtimes(json: bool) -> Result<Exit, Failure> {
    let all = twinfleet_twins::script::runtimes::all();
    if json {
        let object = |r: &twinfleet_twins::script::runtimes::Listed| serde_json::json!({ "name": r.name, "about": r.runs, "modules": r.modules, "more": r.more });
        let objects: Vec<serde_json::Value> = all.iter().map(object).collect();
        say(format_args!("{}", serde_json::to_string_pretty(&objects).unwrap_or_default()));
        return Ok(Exit::Ok);
    }
    let mut table = vec![["name", "runs in", "what a script finds"].map(str::to_owned).to_vec()];
    table.extend(all.into_iter().map(|r| {
        let finds = format!("{}; {}", r.modules.join(" "), r.more);
        vec![r.name.to_owned(), r.runs, finds]
    }));
    print(&table);
    Ok(Exit::Ok)
}

/// What a twin, `score forecast` and `train` forecast with.
fn predictors(json: bool) -> Result<Exit, Failure> {
    let kalman =
        ("kalman", "extended Kalman filter over the thing's own dynamics, joint state and learnt parameters");
    let mut all = vec![(kalman.0, kalman.1, "twins")];
    all.extend(predictors::NAMES.iter().map(|(name, about)| (*name, *about, "score forecast")));
    let networks =
        Kind::ALL.iter().map(|(kind, about)| (kind.name(), *about, "train, score forecast, twins"));
    all.extend(networks);
    if json {
        let objects: Vec<serde_json::Value> = (all.iter())
            .map(
                |(name, about, serves)| serde_json::json!({ "name": name, "about": about, "serves": serves }),
            )
            .collect();
        say(format_args!("{}", serde_json::Value::from(objects)));
        return Ok(Exit::Ok);
    }
    let mut table = vec![["name", "serves", "what it is"].map(str::to_owned).to_vec()];
    table
        .extend(all.iter().map(|(name, about, serves)| [*name, *serves, *about].map(str::to_owned).to_vec()));
    print(&table);
    Ok(Exit::Ok)
}
