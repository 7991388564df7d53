//! One segment's two Parquet files, through the low-level column writers: what is written is chosen here alone.

use super::{RecordError, manifest::hex};
use crate::{
    signal::{SignalId, SignalTable},
    time::SimTime,
    world::{Event, Row},
};
use parquet::{
    basic::{Compression, ZstdLevel},
    column::reader::ColumnReaderImpl,
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        reader::{FileReader, RowGroupReader, SerializedFileReader},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// Rows of a row group; a writer holds one group's columns in memory.
const GROUP_ROWS: usize = 1 << 20;

const SIGNALS_SCHEMA: &str =
    "message signals { required int64 time_ns; required binary signal (UTF8); required double value; }";
const EVENTS_SCHEMA: &str = "message events { required int64 time_ns; required binary subject (UTF8); \
     required binary part (UTF8); required binary kind (UTF8); required binary detail (UTF8); required double value; \
     required binary cause (UTF8); required binary unit (UTF8); required binary with (UTF8); }";

/// Hashes what passes, and keeps the operating system's error, which Parquet's own error type would lose.
struct Tap {
    file: BufWriter<File>,
    sha: Sha256,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl Tap {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|e| {
            let copy = io::Error::new(e.kind(), e.to_string());
            if let Ok(mut place) = self.failed.lock() {
                *place = Some(e);
            }
            copy
        })
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        let n = self.note(result)?;
        self.sha.update(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.note(result)
    }
}

/// A Parquet file in the making, beside its place.
struct Aside {
    writer: SerializedFileWriter<Tap>,
    failed: Arc<Mutex<Option<io::Error>>>,
    path: PathBuf,
}

impl Aside {
    fn create(path: PathBuf, schema: &str) -> Result<Self, RecordError> {
        let file = File::create(&path).map_err(RecordError::io("create", &path))?;
        let failed = Arc::new(Mutex::new(None));
        let tap = Tap { file: BufWriter::new(file), sha: Sha256::new(), failed: failed.clone() };
        // Named here, so that neither a newer library nor its defaults change a record's bytes unseen.
        let properties = WriterProperties::builder()
            .set_created_by("twinfleet".into())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_dictionary_page_size_limit(8 << 20)
            .set_column_dictionary_enabled("time_ns".into(), true)
            .build();
        let make = || {
            let schema = Arc::new(parse_message_type(schema)?);
            SerializedFileWriter::new(tap, schema, Arc::new(properties))
        };
        match make() {
            Ok(writer) => Ok(Self { writer, failed, path }),
            Err(e) => Err(failure(&failed, &path, &e)),
        }
    }

    fn group(
        &mut self,
        write: impl FnOnce(&mut SerializedRowGroupWriter<'_, Tap>) -> Result<(), ParquetError>,
    ) -> Result<(), RecordError> {
        let run = || {
            let mut group = self.writer.next_row_group()?;
            write(&mut group)?;
            group.close().map(|_| ())
        };
        run().map_err(|e| failure(&self.failed, &self.path, &e))
    }

    /// Ends the file and makes its content durable; its name is still the one aside.
    fn close(self) -> Result<String, RecordError> {
        let Self { failed, path, .. } = &self;
        let (failed, path) = (failed.clone(), path.clone());
        let tap = match self.writer.into_inner() {
            Ok(tap) => tap,
            Err(e) => return Err(failure(&failed, &path, &e)),
        };
        let sha = hex(tap.sha.finalize());
        let file = tap.file.into_inner().map_err(|e| RecordError::io("write", &path)(e.into_error()))?;
        file.sync_all().map_err(RecordError::io("sync", &path))?;
        Ok(sha)
    }
}

fn failure(failed: &Mutex<Option<io::Error>>, path: &Path, error: &ParquetError) -> RecordError {
    let source = failed.lock().ok().and_then(|mut place| place.take());
    let source = source.unwrap_or_else(|| io::Error::other(error.to_string()));
    RecordError::Io { doing: "write", path: path.to_owned(), source }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Tap>,
    values: &[T::T],
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema has".into()));
    };
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}

/// Hash and number of rows of a file that was written.
pub(super) struct Written {
    pub sha256: String,
    pub rows: u64,
}

/// Forms each signal's name once a segment.
struct Names<'a> {
    table: &'a SignalTable,
    known: HashMap<SignalId, ByteArray>,
}

impl Names<'_> {
    fn get(&mut self, id: SignalId) -> ByteArray {
        let make = || ByteArray::from(self.table.name(id).into_bytes());
        self.known.entry(id).or_insert_with(make).clone()
    }
}

/// Writes sorted rows to `path`.
pub(super) fn write_rows(
    path: PathBuf,
    table: &SignalTable,
    rows: &mut dyn Iterator<Item = Result<Row, RecordError>>,
) -> Result<Written, RecordError> {
    let mut file = Aside::create(path, SIGNALS_SCHEMA)?;
    let mut names = Names { table, known: HashMap::new() };
    let mut total = 0;
    loop {
        let (mut times, mut signals, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for row in (&mut *rows).take(GROUP_ROWS) {
            let row = row?;
            times.push(row.t.0);
            signals.push(names.get(row.signal));
            values.push(row.value);
        }
        if times.is_empty() && total > 0 {
            break;
        }
        total += times.len() as u64;
        file.group(|group| {
            column::<Int64Type>(group, &times)?;
            column::<ByteArrayType>(group, &signals)?;
            column::<DoubleType>(group, &values)
        })?;
        if times.len() < GROUP_ROWS {
            break;
        }
    }
    Ok(Written { sha256: file.close()?, rows: total })
}

/// Writes sorted events to `path`.
pub(super) fn write_events(path: PathBuf, events: &[Event]) -> Result<Written, RecordError> {
    let mut file = Aside::create(path, EVENTS_SCHEMA)?;
    let text = |f: fn(&Event) -> &String| -> Vec<ByteArray> {
        events.iter().map(|e| ByteArray::from(f(e).clone().into_bytes())).collect()
    };
    let times: Vec<i64> = events.iter().map(|e| e.t.0).collect();
    let values: Vec<f64> = events.iter().map(|e| e.value).collect();
    file.group(|group| {
        column::<Int64Type>(group, &times)?;
        column::<ByteArrayType>(group, &text(|e| &e.subject))?;
        column::<ByteArrayType>(group, &text(|e| &e.part))?;
        column::<ByteArrayType>(group, &text(|e| &e.kind))?;
        column::<ByteArrayType>(group, &text(|e| &e.detail))?;
        column::<DoubleType>(group, &values)?;
        column::<ByteArrayType>(group, &text(|e| &e.cause))?;
        column::<ByteArrayType>(group, &text(|e| &e.unit))?;
        column::<ByteArrayType>(group, &text(|e| &e.with))
    })?;
    Ok(Written { sha256: file.close()?, rows: events.len() as u64 })
}

/// A file that is there, row group by row group.
pub(super) struct Stored {
    reader: SerializedFileReader<File>,
    path: PathBuf,
}

/// Checks a file's SHA-256 and opens it.
pub(super) fn open(path: PathBuf, sha256: &str) -> Result<Stored, RecordError> {
    let mut file = File::open(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => corrupt(&path, "it is missing"),
        _ => RecordError::io("read", &path)(e),
    })?;
    let mut sha = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match io::Read::read(&mut file, &mut buffer).map_err(RecordError::io("read", &path))? {
            0 => break,
            n => sha.update(&buffer[..n]),
        }
    }
    if hex(sha.finalize()) != sha256 {
        return Err(corrupt(&path, "its SHA-256 is not the manifest's; it was changed or cut short"));
    }
    let reader = SerializedFileReader::new(file).map_err(|e| corrupt(&path, &e.to_string()))?;
    Ok(Stored { reader, path })
}

fn corrupt(path: &Path, what: &str) -> RecordError {
    RecordError::Corrupt { path: path.to_owned(), what: what.to_owned() }
}

fn read<T: DataType>(group: &dyn RowGroupReader, at: usize) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::new();
    let mut reader: ColumnReaderImpl<T> =
        parquet::column::reader::get_typed_column_reader(group.get_column_reader(at)?);
    let want = group.metadata().num_rows() as usize;
    while values.len() < want {
        let (records, ..) = reader.read_records(want - values.len(), None, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General(format!("column {at} is short")));
        }
    }
    Ok(values)
}

fn text(bytes: &ByteArray) -> Result<&str, ParquetError> {
    std::str::from_utf8(bytes.data()).map_err(|e| ParquetError::General(e.to_string()))
}

impl Stored {
    pub(super) fn groups(&self) -> usize {
        self.reader.num_row_groups()
    }

    /// The rows of one row group; `find` knows the signals' names.
    pub(super) fn rows(
        &self,
        group: usize,
        find: &mut dyn FnMut(&str) -> Option<SignalId>,
    ) -> Result<Vec<Row>, RecordError> {
        let load = || {
            let group = self.reader.get_row_group(group)?;
            let group = group.as_ref();
            Ok((
                read::<Int64Type>(group, 0)?,
                read::<ByteArrayType>(group, 1)?,
                read::<DoubleType>(group, 2)?,
            ))
        };
        let (times, names, values) = load().map_err(|e: ParquetError| corrupt(&self.path, &e.to_string()))?;
        let mut known: HashMap<&[u8], SignalId> = HashMap::new();
        let mut rows = Vec::with_capacity(times.len());
        for ((t, name), value) in times.into_iter().zip(&names).zip(values) {
            let signal = match known.get(name.data()) {
                Some(id) => *id,
                None => {
                    let word = text(name).map_err(|e| corrupt(&self.path, &e.to_string()))?;
                    let id = find(word)
                        .ok_or_else(|| corrupt(&self.path, &format!("signals.json has no `{word}`")))?;
                    known.insert(name.data(), id);
                    id
                }
            };
            rows.push(Row { t: SimTime(t), signal, value });
        }
        Ok(rows)
    }

    /// All events of the file.
    pub(super) fn events(&self) -> Result<Vec<Event>, RecordError> {
        let mut events = Vec::new();
        let mut load = || {
            for at in 0..self.groups() {
                let group = self.reader.get_row_group(at)?;
                let group = group.as_ref();
                let times = read::<Int64Type>(group, 0)?;
                let words: Vec<Vec<ByteArray>> =
                    (1..5).map(|c| read::<ByteArrayType>(group, c)).collect::<Result<_, _>>()?;
                let values = read::<DoubleType>(group, 5)?;
                // Records of before causes, units and partners were told have no such columns.
                let columns = group.metadata().num_columns();
                let later = |c: usize| (columns > c).then(|| read::<ByteArrayType>(group, c)).transpose();
                let (causes, units, withs) = (later(6)?, later(7)?, later(8)?);
                for (i, (t, value)) in times.into_iter().zip(values).enumerate() {
                    let word = |c: usize| text(&words[c][i]).map(str::to_owned);
                    let told = |all: &Option<Vec<ByteArray>>| match all {
                        Some(all) => text(&all[i]).map(str::to_owned),
                        None => Ok(String::new()),
                    };
                    events.push(Event {
                        t: SimTime(t),
                        subject: word(0)?,
                        part: word(1)?,
                        kind: word(2)?,
                        detail: word(3)?,
                        value,
                        cause: told(&causes)?,
                        unit: told(&units)?,
                        with: told(&withs)?,
                    });
                }
            }
            Ok(())
        };
        load().map_err(|e: ParquetError| corrupt(&self.path, &e.to_string()))?;
        Ok(events)
    }
}

/// Moves a finished file into its place.
pub(super) fn rename(aside: &Path, place: &Path) -> Result<(), RecordError> {
    fs::rename(aside, place).map_err(RecordError::io("rename into place", place))
}
