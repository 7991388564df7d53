//! Opens a record, makes sure that it is whole, and reads it back.

use super::{
    RecordError,
    manifest::{Blocks, Manifest, read_blocks, read_manifest},
    segment::{self, Stored},
    writer::file_name,
};
use crate::{
    signal::SignalTable,
    world::{Event, Row},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A record that was opened and found whole.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its signals, with the ids that its rows carry.
    pub table: SignalTable,
    blocks: Blocks,
    dir: PathBuf,
}

impl Record {
    /// Opens a record and checks every file that its manifest lists against its hash.
    ///
    /// # Errors
    /// [`RecordError::NotARecord`], [`RecordError::Newer`], [`RecordError::Corrupt`] naming the first damaged file.
    pub fn open(dir: &Path) -> Result<Self, RecordError> {
        let manifest = read_manifest(dir)?;
        let blocks = read_blocks(dir, &manifest.header.signals_sha256)?;
        let record = Self { table: blocks.table(), manifest, blocks, dir: dir.to_owned() };
        for at in 0..record.manifest.segments.len() {
            record.signals_file(at)?;
            record.events_file(at)?;
        }
        Ok(record)
    }

    fn signals_file(&self, at: usize) -> Result<Stored, RecordError> {
        let s = &self.manifest.segments[at];
        segment::open(self.dir.join("signals").join(file_name(s.index)), &s.signals_sha256)
    }

    fn events_file(&self, at: usize) -> Result<Stored, RecordError> {
        let s = &self.manifest.segments[at];
        segment::open(self.dir.join("events").join(file_name(s.index)), &s.events_sha256)
    }

    /// The rows of one segment, in order, a row group in memory at a time.
    ///
    /// # Errors
    /// [`RecordError::Corrupt`], where the file has changed since the record was opened.
    pub fn segment_rows(
        &self,
        at: usize,
    ) -> Result<impl Iterator<Item = Result<Row, RecordError>>, RecordError> {
        let file = self.signals_file(at)?;
        Ok((0..file.groups()).flat_map(move |group| {
            match file.rows(group, &mut |name| self.blocks.find(name)) {
                Ok(rows) => rows.into_iter().map(Ok).collect(),
                Err(e) => vec![Err(e)],
            }
        }))
    }

    /// The events of one segment, in order.
    ///
    /// # Errors
    /// As [`Record::segment_rows`].
    pub fn segment_events(&self, at: usize) -> Result<Vec<Event>, RecordError> {
        self.events_file(at)?.events()
    }

    /// All events, in order.
    pub fn events(&self) -> impl Iterator<Item = Result<Event, RecordError>> {
        (0..self.manifest.segments.len()).flat_map(|at| match self.segment_events(at) {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(e) => vec![Err(e)],
        })
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Result<Row, RecordError>> {
        (0..self.manifest.segments.len()).flat_map(|at| -> super::writer::RowStream<'_> {
            match self.segment_rows(at) {
                Ok(rows) => Box::new(rows),
                Err(e) => Box::new(std::iter::once(Err(e))),
            }
        })
    }

    /// All rows, in order, by an iterator that holds the record itself: for who reads on now and then.
    pub fn into_rows(self: Arc<Self>) -> impl Iterator<Item = Result<Row, RecordError>> {
        (0..self.manifest.segments.len()).flat_map(move |at| -> super::writer::RowStream<'static> {
            let record = Arc::clone(&self);
            match record.signals_file(at) {
                Err(e) => Box::new(std::iter::once(Err(e))),
                Ok(file) => Box::new((0..file.groups()).flat_map(move |group| {
                    match file.rows(group, &mut |name| record.blocks.find(name)) {
                        Ok(rows) => rows.into_iter().map(Ok).collect(),
                        Err(e) => vec![Err(e)],
                    }
                })),
            }
        })
    }
}
