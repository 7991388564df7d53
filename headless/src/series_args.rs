//! A table, the parts that its columns play, and the parts of its rows: what `score forecast` and `train` share.

use crate::table::{self, Border, ReadingArgs};
use std::{collections::BTreeSet, path::PathBuf};
use twinfleet_engine::{
    scenario::{
        diagnostic::{Diagnostic, Report},
        recording::Table,
    },
    time::NS_PER_S,
};
use twinfleet_twins::predictors::{series::Series, task::Task};

/// Most steps ahead.
const LONGEST: usize = 20_000;

/// What is forecast from what, and which rows are learnt from.
#[derive(Clone, Debug, clap::Args)]
pub struct SeriesArgs {
    /// Table of readings (CSV and its like; comma, semicolon, tab and blanks are told apart).
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Columns to forecast: names or `#N`.
    #[arg(long, value_name = "COL", required = true, num_args = 1.., value_delimiter = ',')]
    pub target: Vec<String>,
    /// Columns that are known up to the origin only.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',')]
    pub inputs: Vec<String>,
    /// Columns that are known over the horizon, too: set points, timetables, a weather forecast.
    #[arg(long, value_name = "COL", num_args = 1.., value_delimiter = ',')]
    pub known: Vec<String>,
    /// How many rows ahead: a list such as 6,36,144, or a range such as 1..96.
    #[arg(long, value_name = "LIST|RANGE", value_parser = parse_horizons)]
    pub horizons: Horizons,
    /// Where the part that is learnt from ends: a number of rows, or a time (that row is the first that is not).
    #[arg(long, value_name = "TIME|ROW")]
    pub train_until: Border,
    /// Where the part on which models are chosen ends. Without it, the end of the training part serves.
    #[arg(long, value_name = "TIME|ROW")]
    pub validate_until: Option<Border>,
}

/// How far ahead.
#[derive(Clone, Debug, PartialEq)]
pub struct Horizons {
    /// Rows ahead, ascending.
    pub ahead: Vec<usize>,
    /// Whether they were given as a range.
    pub range: bool,
}

fn parse_horizons(text: &str) -> Result<Horizons, String> {
    let help =
        || format!("`{text}` is neither a list of rows ahead, such as 6,36,144, nor a range, such as 1..96");
    let number = |t: &str| -> Result<usize, String> {
        let n = t.trim().parse().map_err(|_| help())?;
        match n {
            1..=LONGEST => Ok(n),
            _ => Err(format!("{n} rows ahead: write 1 to {LONGEST}")),
        }
    };
    if let Some((first, last)) = text.split_once("..") {
        let (first, last) = (number(first)?, number(last.trim_start_matches('='))?);
        if first > last {
            return Err(help());
        }
        return Ok(Horizons { ahead: (first..=last).collect(), range: true });
    }
    let all: BTreeSet<usize> = text.split(',').map(number).collect::<Result<_, _>>()?;
    Ok(Horizons { ahead: all.into_iter().collect(), range: false })
}

/// The parts of a table, in rows.
#[derive(Clone, Copy, Debug)]
pub struct Parts {
    /// End of what is learnt from at first.
    pub train: usize,
    /// Begin of what is judged.
    pub test: usize,
}

/// A table that was read for forecasts.
#[derive(Debug)]
pub struct Read {
    /// The table; its warnings have been printed.
    pub table: Table,
    /// What is forecast from what.
    pub task: Task,
    /// The parts of its rows.
    pub parts: Parts,
    /// Names of the channels: targets, inputs, those known ahead.
    pub names: Vec<String>,
}

impl SeriesArgs {
    /// Reads the table and finds its parts.
    pub fn read(&self) -> Result<Read, Report> {
        let mut whole = self.clone();
        for names in [&mut whole.target, &mut whole.inputs, &mut whole.known] {
            table::rejoin(&self.data, names);
        }
        whole.read_named()
    }

    fn read_named(&self) -> Result<Read, Report> {
        let table = self.table()?;
        let parts = self.parts(&table)?;
        self.check_targets(&table, parts.train)?;
        let task = self.task(&table);
        let order = task.targets.iter().chain(&task.inputs).chain(&task.known);
        let names = order.map(|c| table.columns[*c].name.clone()).collect();
        Ok(Read { table, task, parts, names })
    }

    fn table(&self) -> Result<Table, Report> {
        let mut report = Report::default();
        for name in &self.target {
            if self.known.contains(name) {
                let error = Diagnostic::error(format!("`{name}` is a target and known over the horizon"));
                report.push(error.help("what is known ahead needs no forecast: take it out of --known"));
            }
        }
        report.into_result()?;
        let mut seen = BTreeSet::new();
        let mut columns = Vec::new();
        let flags = [("--target", &self.target), ("--known", &self.known), ("--inputs", &self.inputs)];
        for (flag, names) in flags {
            for name in names.iter().filter(|n| seen.insert(n.trim())) {
                columns.push(table::column(flag, name));
            }
        }
        self.reading.open_by_rows(&self.data, columns)
    }

    /// A target that was never read before what is to be forecast teaches nothing.
    fn check_targets(&self, table: &Table, train: usize) -> Result<(), Report> {
        let mut report = Report::default();
        let is_target = |name: &str| self.target.iter().any(|t| t.trim() == name);
        for column in table.columns.iter().filter(|c| is_target(&c.name)) {
            if !column.values[..train].iter().any(|v| v.is_finite()) {
                let name = &column.name;
                let error =
                    format!("none of the first {train} rows holds a reading of `{name}` to learn from");
                let help = "move --train-until behind its first readings, or name another --target";
                report.push(Diagnostic::error(error).help(help));
            }
        }
        report.into_result().map(|_| ())
    }

    fn task(&self, table: &Table) -> Task {
        let place = |name: &String| table.columns.iter().position(|c| c.name == name.trim());
        let places = |names: &[String]| -> Vec<usize> {
            let found: BTreeSet<usize> = names.iter().filter_map(place).collect();
            found.into_iter().collect()
        };
        let targets: Vec<usize> = places(&self.target);
        let known = places(&self.known);
        let mut inputs = places(&self.inputs);
        inputs.retain(|i| !targets.contains(i) && !known.contains(i));
        let t0 = table.t0_unix_ns.map(|ns| ns as f64 / NS_PER_S as f64);
        let columns = table.columns.iter().map(|c| c.values.clone()).collect();
        let series = Series::new(&table.t_s, t0, columns);
        let mut task = Task::new(series, targets, inputs, known, self.horizons.ahead.clone());
        task.squared = self.horizons.range;
        task
    }

    fn parts(&self, table: &Table) -> Result<Parts, Report> {
        let rows = table.t_s.len();
        let train = self.train_until.rows("--train-until", table)?;
        let test = match &self.validate_until {
            Some(border) => border.rows("--validate-until", table)?,
            None => train,
        };
        let ahead = match self.horizons.range {
            true => self.horizons.ahead[self.horizons.ahead.len() - 1],
            false => self.horizons.ahead[0],
        };
        let error = if train < 10 {
            format!("--train-until leaves {train} rows to learn from, at least 10 are needed")
        } else if test < train {
            "--validate-until lies before --train-until".to_owned()
        } else if test - 1 + ahead >= rows {
            format!("of {rows} rows none is left to judge {ahead} rows ahead on: {test} are learnt from")
        } else {
            return Ok(Parts { train, test });
        };
        Err(Diagnostic::error(error).help("move the borders, or look less far ahead").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn horizons_are_lists_or_ranges() {
        assert_eq!(parse_horizons("36,6").map(|h| (h.ahead, h.range)), Ok((vec![6, 36], false)));
        assert_eq!(parse_horizons("1..3").map(|h| (h.ahead, h.range)), Ok((vec![1, 2, 3], true)));
        for bad in ["", "0", "3..1", "a", "1..", "1,,2", "99999999", "-1", "1.5"] {
            assert!(parse_horizons(bad).is_err(), "{bad}");
        }
    }
}
