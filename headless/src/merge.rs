//! `twinfleet merge DIR… --out DIR`: the records of all shards become the record of the whole run.

use std::path::{Path, PathBuf};
use twinfleet_engine::{
    expect::{Expectation, Outcome},
    record::{Manifest, Record, RecordError, merge},
};

/// What merging gave.
#[derive(Debug)]
pub struct Merged {
    /// The manifest of the merged record.
    pub manifest: Manifest,
    /// Expectations of the scenario, judged over the merged rows.
    pub outcomes: Vec<Outcome>,
}

/// Merges `shards` into `out`. `read` makes the scenario's expectations from the text that the record carries; only
/// signals that were recorded can be judged.
///
/// # Errors
/// Whatever [`merge::merge`] can meet, with the command's exit code in [`RecordError::exit_code`].
pub fn run(
    shards: &[PathBuf],
    out: &Path,
    read: impl FnOnce(&str) -> Vec<Expectation>,
) -> Result<Merged, RecordError> {
    let manifest = merge::merge(shards, out)?;
    let expectations = read(&manifest.header.scenario);
    let outcomes =
        if expectations.is_empty() { Vec::new() } else { merge::judge(&Record::open(out)?, &expectations)? };
    Ok(Merged { manifest, outcomes })
}
