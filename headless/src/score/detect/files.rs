//! Which tables are watched, and how one is read.

use super::Args;
use crate::table;
use std::path::{Path, PathBuf};
use twinfleet_engine::scenario::{
    diagnostic::{Diagnostic, Report},
    recording::Table,
};

/// Endings of what is taken for a table in a folder.
const ENDINGS: [&str; 4] = ["csv", "tsv", "dat", "txt"];

/// A table to be watched.
#[derive(Clone, Debug)]
pub struct File {
    /// Where it is.
    pub path: PathBuf,
    /// Its place below the folder it was found in; its name if it was named itself.
    pub under: PathBuf,
}

/// Every file named, and every table in the folders named, in order of their names.
pub fn all(named: &[PathBuf]) -> Result<Vec<File>, Report> {
    let mut files = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = files.len();
            below(path, path, &mut files)?;
            if files.len() == before {
                let text = format!("there is no table in `{}`", path.display());
                let help = format!("it is searched for files that end in .{}", ENDINGS.join(", ."));
                return Err(Diagnostic::error(text).help(help).into());
            }
        } else {
            let under = path.file_name().map_or_else(|| path.clone(), PathBuf::from);
            files.push(File { path: path.clone(), under });
        }
    }
    Ok(files)
}

fn below(folder: &Path, top: &Path, files: &mut Vec<File>) -> Result<(), Report> {
    let refuse = |e: std::io::Error| -> Report {
        Diagnostic::error(format!("cannot read the folder `{}`: {e}", folder.display())).into()
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(refuse)? {
        paths.push(entry.map_err(refuse)?.path());
    }
    paths.sort();
    for path in paths {
        let table = path.extension().is_some_and(|e| ENDINGS.iter().any(|t| e.eq_ignore_ascii_case(t)));
        // Licences lie next to data.
        let licence = path.file_stem().is_some_and(|s| {
            let name = s.to_string_lossy().to_ascii_lowercase();
            name.starts_with("license") || name.starts_with("licence") || name.starts_with("readme")
        });
        if path.is_dir() {
            below(&path, top, files)?;
        } else if table && !licence {
            let under = path.strip_prefix(top).unwrap_or(&path).to_owned();
            files.push(File { path, under });
        }
    }
    Ok(())
}

/// A table that was read.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its path as it was named.
    pub name: String,
    /// Signals, in the order of `--signals`.
    pub table: Table,
    /// Of each row, where there is a column of labels.
    pub labels: Option<Vec<bool>>,
}

impl Stream {
    /// Reads it; what was odd goes to the warnings.
    pub fn read(args: &Args, file: &File, warnings: &mut Report) -> Result<Self, Report> {
        let signals = args.signals.iter().map(|s| table::column("--signals", s));
        let labels = args.label.iter().map(|l| table::column("--label", l));
        let mut table = args.reading.open_by_rows(&file.path, signals.chain(labels).collect())?;
        let labels = match args.label {
            Some(_) => {
                table.columns.pop().map(|c| c.values.iter().map(|v| *v != 0.0 && !v.is_nan()).collect())
            }
            None => None,
        };
        warnings.merge(std::mem::take(&mut table.notes.warnings));
        Ok(Self { name: file.path.display().to_string(), table, labels })
    }

    /// A row's time, as the table writes it.
    pub fn time(&self, row: usize) -> String {
        table::row_text(&self.table, row)
    }

    /// A row's values.
    pub fn row(&self, i: usize) -> Vec<f64> {
        self.table.columns.iter().map(|c| c.values[i]).collect()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.table.t_s.len()
    }
}
