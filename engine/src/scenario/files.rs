//! Where the files that a scenario names are found: its own folder, the current folder, what came with the program.
//!
//! ```
//! use twinfleet_engine::scenario::files::Files;
//! let files = Files::at("no/such/folder").with_embedded(|path| (path == "a.csv").then_some(b"t,x\n0,1\n"));
//! assert!(files.open("a.csv").is_ok());
//! assert!(files.open("b.csv").is_err());
//! ```

use super::source::{describe, irregular, neighbours};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Finds files by the paths that scenarios write.
#[derive(Clone, Debug)]
pub struct Files {
    base: PathBuf,
    embedded: fn(&str) -> Option<&'static [u8]>,
}

/// Why a named file cannot be opened: a sentence, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotOpened {
    /// What is wrong.
    pub message: String,
    /// What to try.
    pub help: Option<String>,
}

impl Files {
    /// Relative paths are tried from `base` (the scenario's folder), then from the current folder.
    pub fn at(base: impl AsRef<Path>) -> Self {
        Self { base: base.as_ref().to_owned(), embedded: |_| None }
    }

    /// Asks `find` last: for files that came with the program.
    #[must_use]
    pub fn with_embedded(mut self, find: fn(&str) -> Option<&'static [u8]>) -> Self {
        self.embedded = find;
        self
    }

    /// The folder that relative paths start from.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Opens a file: the name to show in errors, and its bytes.
    pub fn open(&self, path: &str) -> Result<(String, Box<dyn Read>), NotOpened> {
        let mut missing = None;
        for full in [self.base.join(path), PathBuf::from(path)] {
            let name = full.display().to_string();
            if let Some((message, help)) = irregular(&full) {
                return Err(NotOpened { message, help });
            }
            match File::open(&full) {
                Ok(file) => return Ok((name, Box::new(file))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    missing.get_or_insert((describe(&error, &name), full));
                }
                Err(error) => return Err(NotOpened { message: describe(&error, &name), help: None }),
            }
        }
        if let Some(bytes) = (self.embedded)(path) {
            return Ok((path.to_owned(), Box::new(bytes)));
        }
        let help = missing.and_then(|(_, full)| neighbours(&full));
        let help = help.unwrap_or_else(|| {
            "paths are relative to the scenario's folder or, failing that, to the current folder".to_owned()
        });
        Err(NotOpened { message: format!("there is no file `{path}`"), help: Some(help) })
    }
}
