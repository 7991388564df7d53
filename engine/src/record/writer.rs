//! Writes a record as the run goes: the tick hands rows over, a thread sorts, encodes and syncs them.

use super::{
    RecordError, event_order,
    manifest::{Blocks, Header, Manifest, Segment, hex, sync_dir, write_whole},
    segment::{rename, write_events, write_rows},
};
use crate::{
    plan::Plan,
    signal::{Glob, SignalTable},
    time::{SimTime, Span},
    world::{Clock, Event, Events, Row, Rows, StateHash, TickSystems},
};
use bevy_ecs::prelude::*;
use sha2::{Digest, Sha256};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    fs::{self, File},
    io::{BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};

/// Rows held in memory before they go into a sorted run on disk: 2²¹ × 24 B = 48 MiB.
const RUN_ROWS: usize = 1 << 21;
/// Jobs that may wait for the thread.
const JOBS: usize = 2;

/// What the thread is asked to do.
enum Job {
    /// Sort these and put them aside: the segment has more than memory should hold.
    Run(Vec<Row>),
    /// End a segment, and say so once it is on disk.
    Cut { from: SimTime, to: SimTime, rows: Vec<Row>, events: Vec<Event>, safe: SyncSender<()> },
    /// End the record.
    Finish { end: SimTime, finished: bool, state: StateHash, counters: BTreeMap<String, u64> },
}

/// Writes a record.
#[derive(Debug)]
pub struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<Result<(), RecordError>>>,
    segment_ns: i64,
    current: Option<i64>,
    rows: Vec<Row>,
    events: Vec<Event>,
    keep: Option<Vec<bool>>,
    run_rows: usize,
}

impl Writer {
    /// Begins a record in `dir`, which must be empty or not exist yet. `segment` is the simulated time that one segment
    /// covers.
    ///
    /// # Errors
    /// [`RecordError::NotEmpty`] and [`RecordError::Io`].
    pub fn create(
        dir: &Path,
        header: Header,
        table: &SignalTable,
        segment: Span,
    ) -> Result<Self, RecordError> {
        let mut encoder = Encoder::create(dir, header, table)?;
        let (jobs, inbox) = sync_channel(JOBS);
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || encoder.work(&inbox))
            .map_err(RecordError::io("start the thread that writes", dir))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            segment_ns: segment.0.max(1),
            current: None,
            rows: Vec::new(),
            events: Vec::new(),
            keep: None,
            run_rows: RUN_ROWS,
        })
    }

    /// Keeps rows of these signals only, by id.
    #[must_use]
    pub fn keeping(mut self, keep: Vec<bool>) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Sets how many rows are held in memory before a sorted run goes to disk. It changes no byte of the record.
    #[must_use]
    pub fn with_run_rows(mut self, rows: usize) -> Self {
        self.run_rows = rows.max(1);
        self
    }

    /// Takes in what the tick that began at `now` left. Ticks come in order.
    ///
    /// # Errors
    /// What the writing thread met, which may be some ticks ago.
    pub fn tick(&mut self, now: SimTime, rows: &[Row], events: &[Event]) -> Result<(), RecordError> {
        let at = now.0.div_euclid(self.segment_ns);
        match self.current {
            Some(current) if current != at => self.cut(current, SimTime((current + 1) * self.segment_ns))?,
            _ => {}
        }
        self.current = Some(at);
        match &self.keep {
            None => self.rows.extend_from_slice(rows),
            Some(keep) => {
                let wanted = |r: &&Row| keep.get(r.signal.0 as usize).copied().unwrap_or(false);
                self.rows.extend(rows.iter().filter(wanted));
            }
        }
        self.events.extend_from_slice(events);
        if self.rows.len() >= self.run_rows {
            let rows = std::mem::take(&mut self.rows);
            self.send(Job::Run(rows))?;
        }
        Ok(())
    }

    fn cut(&mut self, at: i64, to: SimTime) -> Result<(), RecordError> {
        let from = SimTime(at * self.segment_ns);
        let (rows, events) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.events));
        let (safe, wait) = sync_channel(1);
        self.send(Job::Cut { from, to, rows, events, safe })?;
        // However fast the run, what a kill takes away is the segment in progress and no more. If the thread has ended
        // instead, the next job learns why.
        let _ = wait.recv();
        Ok(())
    }

    /// Ends the record: the segment in progress is cut at `end`, which is what the manifest calls its end. `finished` says
    /// whether the run came to its end or was stopped.
    ///
    /// # Errors
    /// What the writing thread met.
    pub fn finish(
        mut self,
        end: SimTime,
        finished: bool,
        state: StateHash,
        counters: &BTreeMap<&'static str, u64>,
    ) -> Result<(), RecordError> {
        if let Some(at) = self.current {
            self.cut(at, end)?;
        }
        let counters = counters.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        self.send(Job::Finish { end, finished, state, counters })?;
        self.jobs = None;
        self.join()
    }

    fn send(&mut self, job: Job) -> Result<(), RecordError> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent {
            return Ok(());
        }
        self.jobs = None;
        // The thread ends early only with an error; after that has been reported there is nobody to join.
        self.join().and(Err(RecordError::Stopped))
    }

    fn join(&mut self) -> Result<(), RecordError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Err(RecordError::Stopped),
        }
    }
}

/// What sorts, encodes and syncs; [`super::merge`] uses it without a thread.
pub(super) struct Encoder {
    dir: PathBuf,
    table: SignalTable,
    manifest: Manifest,
    runs: Vec<PathBuf>,
}

impl Encoder {
    pub(super) fn create(dir: &Path, mut header: Header, table: &SignalTable) -> Result<Self, RecordError> {
        let entries = match fs::read_dir(dir) {
            Ok(mut entries) => entries.next().is_some(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(_) if dir.is_file() => return Err(RecordError::NoFolder(dir.to_owned())),
            Err(e) => return Err(RecordError::io("open", dir)(e)),
        };
        if entries {
            return Err(RecordError::NotEmpty(dir.to_owned()));
        }
        for name in ["signals", "events"] {
            let folder = dir.join(name);
            fs::create_dir_all(&folder).map_err(RecordError::io("create", &folder))?;
        }
        let mut json = serde_json::to_vec_pretty(&Blocks::of(table)).unwrap_or_default();
        json.push(b'\n');
        write_whole(dir, "signals.json", &json)?;
        header.signals_sha256 = hex(Sha256::digest(&json));
        let mut manifest = Manifest::new(header);
        manifest.write(dir)?;
        Ok(Self { dir: dir.to_owned(), table: table.clone(), manifest, runs: Vec::new() })
    }

    fn work(&mut self, jobs: &Receiver<Job>) -> Result<(), RecordError> {
        let done = self.take_jobs(jobs);
        // Rows on their way to a segment that will never be are of no use to anyone, least of all on a disk that is full.
        for path in self.runs.drain(..) {
            fs::remove_file(path).ok();
        }
        done
    }

    fn take_jobs(&mut self, jobs: &Receiver<Job>) -> Result<(), RecordError> {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Run(rows) => self.run(rows)?,
                Job::Cut { from, to, rows, mut events, safe } => {
                    events.sort_by(event_order);
                    self.cut_sorting(from, to, rows, &events)?;
                    // Whoever waits may have gone with an error of its own.
                    let _ = safe.send(());
                }
                Job::Finish { end, finished, state, counters } => {
                    return self.finish(end, finished, Some(state), counters);
                }
            }
        }
        Ok(())
    }

    /// Sorts rows into a run on disk.
    fn run(&mut self, mut rows: Vec<Row>) -> Result<(), RecordError> {
        rows.sort_by_key(|r| (r.t, r.signal));
        let path = self.dir.join(format!(".run-{}.tmp", self.runs.len()));
        // Known before it is there, so that half a run is taken away too.
        self.runs.push(path.clone());
        let file = File::create(&path).map_err(RecordError::io("create", &path))?;
        let mut file = BufWriter::new(file);
        let write = |file: &mut BufWriter<File>| {
            for row in &rows {
                file.write_all(&encode(row))?;
            }
            file.flush()
        };
        write(&mut file).map_err(RecordError::io("write", &path))
    }

    fn cut_sorting(
        &mut self,
        from: SimTime,
        to: SimTime,
        mut rows: Vec<Row>,
        events: &[Event],
    ) -> Result<(), RecordError> {
        rows.sort_by_key(|r| (r.t, r.signal));
        let mut sources: Vec<RowStream<'_>> = Vec::new();
        for path in &self.runs {
            let file = File::open(path).map_err(RecordError::io("read", path))?;
            sources.push(Box::new(RunReader { file: BufReader::new(file), path: path.clone() }));
        }
        // The rows in memory are the latest, and equal keys keep the order in which they were emitted.
        sources.push(Box::new(rows.into_iter().map(Ok)));
        self.cut(from, to, &mut Merged::new(sources)?, events)?;
        for path in std::mem::take(&mut self.runs) {
            fs::remove_file(&path).map_err(RecordError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Writes a segment of sorted rows and events, then the manifest.
    pub(super) fn cut(
        &mut self,
        from: SimTime,
        to: SimTime,
        rows: &mut dyn Iterator<Item = Result<Row, RecordError>>,
        events: &[Event],
    ) -> Result<(), RecordError> {
        let index = self.manifest.segments.len() as u64;
        let (signals_dir, events_dir) = (self.dir.join("signals"), self.dir.join("events"));
        let (name, aside) = (file_name(index), format!(".{}.tmp", file_name(index)));
        let written = write_rows(signals_dir.join(&aside), &self.table, rows)
            .and_then(|signals| Ok((signals, write_events(events_dir.join(&aside), events)?)));
        let (signals, happened) = written.inspect_err(|_| {
            // Half a segment is of no use to anyone, least of all on a disk that is full.
            for folder in [&signals_dir, &events_dir] {
                fs::remove_file(folder.join(&aside)).ok();
            }
        })?;
        for folder in [&signals_dir, &events_dir] {
            rename(&folder.join(&aside), &folder.join(&name))?;
            sync_dir(folder)?;
        }
        let mut segment = Segment {
            index,
            from_ns: from.0,
            to_ns: to.0,
            rows: signals.rows,
            events: happened.rows,
            signals_sha256: signals.sha256,
            events_sha256: happened.sha256,
            chain: String::new(),
        };
        segment.chain = segment.link(&self.manifest.chain());
        self.manifest.segments.push(segment);
        self.manifest.ended_ns = to.0;
        self.manifest.write(&self.dir)
    }

    pub(super) fn finish(
        &mut self,
        end: SimTime,
        finished: bool,
        state: Option<StateHash>,
        counters: BTreeMap<String, u64>,
    ) -> Result<(), RecordError> {
        self.manifest.ended_ns = end.0;
        self.manifest.finished = finished;
        self.manifest.state_hash = state.map(|s| format!("{:032x}", s.0));
        self.manifest.counters = counters;
        self.manifest.write(&self.dir)
    }

    pub(super) fn into_manifest(self) -> Manifest {
        self.manifest
    }
}

/// The name of a segment's files.
pub(super) fn file_name(index: u64) -> String {
    format!("{index:06}.parquet")
}

const RUN_ROW_BYTES: usize = 20;

fn encode(row: &Row) -> [u8; RUN_ROW_BYTES] {
    let mut bytes = [0; RUN_ROW_BYTES];
    bytes[..8].copy_from_slice(&row.t.0.to_le_bytes());
    bytes[8..12].copy_from_slice(&row.signal.0.to_le_bytes());
    bytes[12..].copy_from_slice(&row.value.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; RUN_ROW_BYTES]) -> Row {
    let part = |at: usize, n: usize| {
        let mut word = [0; 8];
        word[..n].copy_from_slice(&bytes[at..at + n]);
        u64::from_le_bytes(word)
    };
    Row {
        t: SimTime(part(0, 8) as i64),
        signal: crate::signal::SignalId(part(8, 4) as u32),
        value: f64::from_bits(part(12, 8)),
    }
}

struct RunReader {
    file: BufReader<File>,
    path: PathBuf,
}

impl Iterator for RunReader {
    type Item = Result<Row, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; RUN_ROW_BYTES];
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Some(Ok(decode(&bytes))),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => None,
            Err(e) => Some(Err(RecordError::io("read", &self.path)(e))),
        }
    }
}

/// Sorted rows from somewhere.
pub(super) type RowStream<'a> = Box<dyn Iterator<Item = Result<Row, RecordError>> + 'a>;

/// Several sorted streams as one; of equal rows, the earlier stream's comes first.
pub(super) struct Merged<'a> {
    sources: Vec<RowStream<'a>>,
    heads: BinaryHeap<Reverse<(SimTime, crate::signal::SignalId, usize, u64)>>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(sources: Vec<RowStream<'a>>) -> Result<Self, RecordError> {
        let mut merged = Self { sources, heads: BinaryHeap::new() };
        for at in 0..merged.sources.len() {
            merged.pull(at)?;
        }
        Ok(merged)
    }

    fn pull(&mut self, at: usize) -> Result<(), RecordError> {
        if let Some(row) = self.sources[at].next().transpose()? {
            self.heads.push(Reverse((row.t, row.signal, at, row.value.to_bits())));
        }
        Ok(())
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Row, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((t, signal, at, bits)) = self.heads.pop()?;
        match self.pull(at) {
            Ok(()) => Some(Ok(Row { t, signal, value: f64::from_bits(bits) })),
            Err(e) => Some(Err(e)),
        }
    }
}

/// The run's record, fed in [`TickSystems::Record`]. After an error nothing more is written, and the driver stops the run.
#[derive(Resource, Debug)]
pub struct Recorder {
    writer: Option<Writer>,
    error: Option<RecordError>,
}

impl Recorder {
    /// Whether writing failed, in which case [`Recorder::finish`] says why.
    pub const fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// Ends the record; see [`Writer::finish`].
    ///
    /// # Errors
    /// The first thing that went wrong since the record began.
    pub fn finish(
        &mut self,
        end: SimTime,
        finished: bool,
        state: StateHash,
        counters: &BTreeMap<&'static str, u64>,
    ) -> Result<(), RecordError> {
        match (self.error.take(), self.writer.take()) {
            (Some(error), _) => Err(error),
            (None, Some(writer)) => writer.finish(end, finished, state, counters),
            (None, None) => Ok(()),
        }
    }
}

/// Adds the record and the system that feeds it with the signals of `record.signals`. Resource: [`Recorder`].
pub fn install(world: &mut World, schedule: &mut Schedule, plan: &Plan, writer: Writer) {
    let mut keep = vec![false; plan.signals.len()];
    for text in &plan.scenario.record.signals {
        // The scenario's reader has refused globs that cannot be read.
        let hits = Glob::new(text).map(|glob| plan.signals.matches(&glob)).unwrap_or_default();
        for id in hits {
            keep[id.0 as usize] = true;
        }
    }
    world.insert_resource(Recorder { writer: Some(writer.keeping(keep)), error: None });
    schedule.add_systems(record_tick.in_set(TickSystems::Record));
}

fn record_tick(clock: Res<Clock>, rows: Res<Rows>, events: Res<Events>, mut recorder: ResMut<Recorder>) {
    let Some(writer) = &mut recorder.writer else { return };
    if let Err(error) = writer.tick(clock.now, &rows.0, &events.0) {
        recorder.error = Some(error);
        recorder.writer = None;
    }
}
