//! `twinfleet mirror`: follows real devices in wall-clock time until it is stopped.
//!
//! One turn: what has come is taken from the broker, by the twins (the same engine as in a run, its tick ending now) and
//! by the state documents; all of it is kept in one commit; only then is it acknowledged to the broker, and what follows
//! from it published. So what a kill or a power cut takes away comes again, and what is acknowledged is on the disk.
//!
//! While the broker or the disk is away, silence says nothing of the devices: the twins pause. At a start, the twins read
//! the last messages of the store again, and stand where they stood.

mod answers;
mod args;
mod book;
mod bound;
mod clock;
mod host;
mod http;
mod keep;
mod log;
mod metrics;
mod publish;
mod reply;
mod tell;

pub use args::Args;

use self::{
    answers::{Answers, Health, Question},
    book::Book,
    bound::bound,
    clock::WallClock,
    host::Host,
    http::Server,
    keep::{Kept, KeptStore},
    log::{Level, Log},
};
use crate::{
    exit::{Exit, Failure},
    load_files::{self, Loaded},
    run::stop_flag,
};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    hash::BuildHasher,
    path::PathBuf,
    sync::{Arc, atomic::Ordering, mpsc::Receiver},
    time::{Duration, Instant},
};
use twinfleet_engine::{
    message::{Message, TopicFilter},
    mirror::{
        self,
        follow::{self, live},
    },
    plan::Plan,
    run::Run,
    scenario::{BindDef, DecodeDef, calendar},
    time::Span,
    world::{Event, Events, Rows, Watch},
};
use twinfleet_twins::{
    assemble::Estimators,
    mirror::{
        announce,
        keeper::{Keeper, SHADOW_PREFIX},
        scope::{filters, twins_alone},
        store::{Batch, RawMessage, Store, StoreError},
    },
    wire::{
        exchange::FOREIGN,
        session::{Session, SessionNews, SessionOptions},
    },
};

/// How long a turn waits for something to come.
const WAIT: Duration = Duration::from_millis(20);
/// How often time passes for the twins where nothing comes: silence is judged by it.
const TICK: Duration = Duration::from_millis(100);
/// How often the twins' clocks and figures are looked at, and old rows taken away.
const LOOK: Duration = Duration::from_secs(5);
/// Messages that a twin's start reads again at most.
const REPLAY_MESSAGES: usize = 2_000_000;
/// For how long what several twins owe one device, as those of a Sparkplug node do a request for its birth, is said but once.
const OWED_ONCE: Duration = Duration::from_secs(5);

/// Follows until it is stopped.
pub fn run(args: Args, json: bool) -> Result<Exit, Failure> {
    let loaded =
        load_files::scenario(&args.file, &args.sets, &args.catalog).map_err(|r| load_files::refused(&r))?;
    if loaded.scenario.mirror.is_empty() {
        return Err(Failure::input(format!(
            "{}: it has no `mirror` section, so there is nobody to follow. `twinfleet run --help` simulates it",
            args.file
        )));
    }
    // What is wrong with the flags is told before a folder is made.
    args.connection(String::new(), Default::default())?;
    let stop = stop_flag()?;
    let mut mirror = Mirror::start(&args, loaded, json)?;
    while !stop.load(Ordering::Relaxed) {
        mirror.turn()?;
    }
    mirror.finish()?;
    Ok(Exit::Ok)
}

fn kept(error: StoreError) -> Failure {
    match error {
        StoreError::Failed(_) => Failure::outside(error),
        _ => Failure::input(error),
    }
}

/// Whether a tick's messages came just now, or are read again after a restart.
#[derive(Clone, Copy)]
enum Told {
    Now,
    Again,
}

/// A mirror at work.
struct Mirror {
    prefix: String,
    ha_prefix: String,
    silent: bool,
    publish_every: Duration,
    keep_ns: i64,
    replay_ns: i64,
    log: Log,
    wall: WallClock,
    run: Run,
    keeper: Keeper,
    book: Book,
    numbers: Vec<u32>,
    store: KeptStore,
    session: Session,
    /// Where Sparkplug nodes are followed: their host's STATE.
    host: Option<Host>,
    /// What devices were owed and have been told of late, by topic.
    owed: HashMap<Arc<str>, Instant>,
    _server: Option<Server>,
    health: Arc<Health>,
    asked: Receiver<Question>,
    /// Known topics, each once.
    topics: HashMap<Box<str>, Arc<str>>,
    /// What dialects hear by wildcards.
    wild: Vec<TopicFilter>,
    heard: Vec<RawMessage>,
    seq: u64,
    unknown: u64,
    /// Messages that the broker had kept.
    retained: u64,
    messages: u64,
    ticked: Instant,
    looked: Instant,
    published: Instant,
    announced: usize,
    announce_again: bool,
}

impl Mirror {
    fn start(args: &Args, mut loaded: Loaded, json: bool) -> Result<Self, Failure> {
        let log = Log::new(json, args.quiet);
        let mut store = Store::open(&args.store()).map_err(kept)?;
        let epoch = store
            .note("epoch_unix_ms", || {
                // Room before the first message, for what the twins read again.
                (clock::system_unix_ns() / 1_000_000).to_le_bytes().to_vec()
            })
            .map_err(kept)?;
        let epoch_unix_ms = epoch.try_into().map_or(0, i64::from_le_bytes);
        let random = std::collections::hash_map::RandomState::new().hash_one(std::process::id());
        let client_id = store
            .note("client_id", || format!("twinfleet-{:012x}", random & 0xffff_ffff_ffff).into_bytes())
            .map_err(kept)?;
        twins_alone(&mut loaded, epoch_unix_ms);
        let plan =
            Plan::new(Arc::clone(&loaded.scenario), Arc::clone(&loaded.catalog), PathBuf::new(), 0, (0, 1))
                .map_err(Failure::input)?;
        let watch = Watch(vec![true; plan.signals.len()]);
        let mut run = Run::new(&plan, args.threads.into(), watch).map_err(Failure::outside)?;
        let (world, schedule) = run.parts();
        let estimators = Estimators::new(&loaded);
        follow::install(world, schedule, &plan, &|def| estimators.of(def))
            .map_err(|e| Failure::input(format!("{}: {e}", args.file)))?;
        let bound = bound(&plan);
        let mut topics = HashMap::new();
        let heard = bound.iter().flat_map(|b| b.states.iter().map(|(t, _)| t).chain(&b.statuses));
        for topic in heard.cloned().chain(mirror::topics(&plan)) {
            topics.insert(topic.as_str().into(), topic.as_str().into());
        }
        let heard: Vec<_> = mirror::topics(&plan).iter().filter_map(|t| TopicFilter::new(t).ok()).collect();
        let wild = heard.into_iter().filter(TopicFilter::is_wild).collect();
        let mut keeper = Keeper::new(bound);
        keeper.restore(store.reader().documents().map_err(kept)?, clock::system_unix_ns() / 1_000_000);
        let numbers = store.numbers(plan.scenario.mirror.iter().map(|m| m.twin.as_str())).map_err(kept)?;
        let mut book = Book::new(&plan, &numbers);
        // What a dialect says is no JSON object of fields: its document holds the values that its twin heard.
        for (at, def) in plan.scenario.mirror.iter().enumerate() {
            let plain = |b: &BindDef| matches!(b.decode, DecodeDef::Json | DecodeDef::Pointers { .. });
            if !def.bind.iter().all(plain) {
                book.document_by_values(at);
            }
        }
        let client_id = String::from_utf8_lossy(&client_id).into_owned();
        let mut options =
            SessionOptions::new(args.connection(client_id, store.received_qos2().map_err(kept)?)?);
        let host =
            Host::of(&plan, &args.prefix).filter(|_| !args.silent).map(|id| (id, options.connect.clone()));
        let status = announce::status_topic(&args.prefix);
        if !args.silent {
            options.connect.will = Some((status, b"offline".to_vec(), 1, true));
        }
        options.filters = filters(&plan, args.qos, !args.silent);
        let wall = WallClock::new(epoch_unix_ms);
        let health = Arc::new(Health::default());
        let (answers, asked) = Answers::new(Arc::clone(&health), store.reader());
        let server = match args.status {
            None => None,
            Some(address) => {
                let answer = move |request: &http::Request| answers.answer(request);
                let started = Server::start(address, answer);
                Some(started.map_err(|e| {
                    Failure::outside(format!(
                        "cannot listen on {address}: {e}. Name another port (`--status`)"
                    ))
                })?)
            }
        };
        let now = Instant::now();
        let mut mirror = Self {
            prefix: args.prefix.trim_end_matches('/').to_owned(),
            ha_prefix: args.ha_prefix.trim_end_matches('/').to_owned(),
            silent: args.silent,
            publish_every: Duration::from_nanos(args.publish_every.0.max(0).unsigned_abs()),
            keep_ns: args.keep.0,
            replay_ns: args.replay.0,
            log,
            wall,
            run,
            keeper,
            book,
            numbers,
            store: KeptStore::new(store),
            session: Session::start(options).map_err(crate::run::wire)?,
            host: host.map(|(id, connect)| Host::start(&id, connect)).transpose()?,
            owed: HashMap::new(),
            _server: server,
            health,
            asked,
            topics,
            wild,
            heard: Vec::new(),
            seq: 0,
            unknown: 0,
            retained: 0,
            messages: 0,
            ticked: now,
            looked: now,
            published: now,
            announced: 0,
            announce_again: false,
        };
        let replayed = mirror.replay().map_err(kept)?;
        mirror.say_start(args, replayed);
        Ok(mirror)
    }

    /// The twins take in again what came of late, so that they stand where they stood.
    fn replay(&mut self) -> Result<usize, StoreError> {
        let reader = self.store.store().reader();
        let now_ns = self.wall.unix_ns();
        let from = now_ns.saturating_sub(self.replay_ns);
        let (mut next, mut count, mut ahead) = (reader.first_message_since(from)?, 0, 0);
        loop {
            let mut some = reader.messages(next, 1_000)?;
            let Some((last, _)) = some.last() else { break };
            next = last + 1;
            let all = some.len();
            // What came while the system's clock was ahead of what it is now: the twins would wait for that time to come again.
            some.retain(|(_, m)| m.arrived_unix_ns <= now_ns);
            ahead += all - some.len();
            count += some.len();
            // What came within a tick of a live mirror is one tick here.
            let mut rest = &some[..];
            while let Some((_, first)) = rest.first() {
                let until = first.arrived_unix_ns + TICK.as_nanos() as i64;
                let n = rest.iter().take_while(|(_, m)| m.arrived_unix_ns <= until).count().max(1);
                let inbox = rest[..n].iter().map(|(_, m)| message(&self.wall, m, &mut self.seq)).collect();
                let end = self.wall.sim(rest[n - 1].1.arrived_unix_ns);
                self.run.tick_until(end, inbox);
                self.look_at_tick(Told::Again);
                rest = &rest[n..];
            }
            if count >= REPLAY_MESSAGES {
                break;
            }
        }
        if ahead > 0 {
            let text = format!(
                "{ahead} messages in the store are of a later time than it is now by the system's clock: they are not read again"
            );
            self.log.line(Level::Warning, "clock_behind", &text, &[("messages", json!(ahead))]);
        }
        self.pause();
        self.keeper.go_live(self.wall.unix_ms());
        Ok(count)
    }

    fn pause(&mut self) {
        let now = self.run.now();
        live::pause(self.run.world_mut(), now);
    }

    /// Takes what a tick made into the book: rows for the history, and events.
    fn look_at_tick(&mut self, told: Told) -> Batch {
        let rows = std::mem::take(&mut self.run.world_mut().resource_mut::<Rows>().0);
        let events = std::mem::take(&mut self.run.world_mut().resource_mut::<Events>().0);
        let until = self.wall.unix_of(self.run.now());
        let history = self.book.take_rows(&rows, &self.wall, until);
        let mut kept = Vec::new();
        for e in &events {
            self.book.take_event(e, &self.wall);
            if let live::ONLINE | live::OFFLINE | live::REFUSED = e.kind.as_str() {
                self.take_word(e, told);
                continue;
            }
            kept.push(
                json!({
                    "time": calendar::text(self.wall.unix_of(e.t)), "event": e.kind, "twin": e.subject, "part": e.part,
                    "kind": e.detail, "value": e.value,
                })
                .to_string()
                .into_bytes(),
            );
        }
        Batch { history, events: kept, ..Batch::default() }
    }

    /// A device says of itself, in its dialect, whether it is there, or that it refuses a command. The keeper tells it, as it does
    /// of devices that speak no dialect; but what is read again was told before.
    fn take_word(&mut self, e: &Event, told: Told) {
        let Some(at) = self.book.place(&e.subject) else { return };
        let online = e.kind == live::ONLINE;
        match told {
            Told::Again if e.kind == live::REFUSED => {}
            Told::Again => self.keeper.recall_presence(at, online),
            Told::Now if e.kind == live::REFUSED => drop(self.keeper.refused_by_device(at, &e.detail)),
            Told::Now => self.keeper.present(at, online, self.wall.unix_of(e.t) / 1_000_000),
        }
    }

    fn turn(&mut self) -> Result<(), Failure> {
        self.follow_clock();
        self.listen()?;
        self.session_news();
        let mut batch = self.follow();
        self.say_happenings(&mut batch);
        batch.documents = self.keeper.changed();
        batch.messages = std::mem::take(&mut self.heard);
        if batch.messages.iter().any(|m| m.qos == 2) {
            batch.received_qos2 = Some(self.session.received_qos2().clone());
        }
        self.keep(batch);
        self.publish()?;
        self.answer();
        self.look();
        Ok(())
    }

    /// Where the system's clock was set ahead, times are by it from now on.
    fn follow_clock(&mut self) {
        let Some(by_ns) = self.wall.catch_up() else { return };
        let now = self.wall.sim(self.wall.unix_ns());
        live::clock_set(self.run.world_mut(), now, Span(by_ns));
        let by_s = by_ns as f64 / 1e9;
        let text = format!("the system's clock was set ahead by {by_s:.1} s: what comes now is dated by it");
        self.log.line(Level::Warning, "clock_set", &text, &[("by_s", json!(by_s))]);
    }

    fn listen(&mut self) -> Result<(), Failure> {
        let (wall, topics, wild, heard) = (&self.wall, &self.topics, &self.wild, &mut self.heard);
        let (mut unknown, mut retained) = (0, 0);
        let pumped = self.session.pump(WAIT, |received| {
            retained += u64::from(received.retain);
            let topic = match topics.get(received.topic()) {
                Some(topic) => Arc::clone(topic),
                // What was made up is counted, not kept: the names alone would fill the store.
                None if received.topic().starts_with(SHADOW_PREFIX) => received.topic().into(),
                None if wild.iter().any(|f| f.matches(received.topic())) => received.topic().into(),
                None => return unknown += 1,
            };
            heard.push(RawMessage {
                arrived_unix_ns: wall.unix_ns(),
                qos: received.qos,
                retain: received.retain,
                dup: received.dup,
                topic,
                payload: received.payload[..].into(),
            });
        });
        self.unknown += unknown;
        self.retained += retained;
        if let Some(host) = &mut self.host {
            host.turn()?;
        }
        self.messages += self.heard.len() as u64;
        pumped.map(|_| ()).map_err(crate::run::wire)
    }

    fn session_news(&mut self) {
        for news in self.session.news() {
            match news {
                SessionNews::Away { reason, wait } => {
                    self.pause();
                    let text = format!("{reason}; next attempt in {:.1} s", wait.as_secs_f64());
                    self.log.line(
                        Level::Warning,
                        "broker_away",
                        &text,
                        &[("wait_s", json!(wait.as_secs_f64()))],
                    );
                }
                SessionNews::Back { remembered } => {
                    let text = format!(
                        "connected with {}, which {}",
                        self.session.broker(),
                        if remembered {
                            "kept what came meanwhile"
                        } else {
                            "did not know us: what was published before is not here"
                        }
                    );
                    // The first time, no broker knows us.
                    let first = self.session.stats().connections == 1;
                    let level = if remembered || first { Level::Info } else { Level::Warning };
                    self.log.line(level, "broker_back", &text, &[("remembered", json!(remembered))]);
                    self.announce_again = true;
                }
            }
        }
    }

    /// The twins and documents take in what was heard.
    fn follow(&mut self) -> Batch {
        let due = self.ticked.elapsed() >= TICK && self.session.is_connected() && !self.store.is_failing();
        if self.heard.is_empty() && !due {
            return Batch::default();
        }
        self.ticked = Instant::now();
        for m in &self.heard {
            self.keeper.hear(&m.topic, &m.payload, m.arrived_unix_ns / 1_000_000);
        }
        self.send_commands();
        let inbox = self.heard.iter().map(|m| message(&self.wall, m, &mut self.seq)).collect();
        let now = self.wall.sim(self.wall.unix_ns());
        let replies = self.run.tick_until(now, inbox);
        if !self.silent {
            self.owed.retain(|_, since| since.elapsed() < OWED_ONCE);
            for r in replies {
                // Each of the twins behind a node asks for the birth that it missed.
                if self.owed.contains_key(&r.topic) {
                    continue;
                }
                self.owed.insert(Arc::clone(&r.topic), Instant::now());
                // A dialect's own topics, which it made well.
                self.session.publish(&r.topic, &r.payload, r.qos, r.retain).ok();
            }
        }
        let batch = self.look_at_tick(Told::Now);
        let mut documents = self.book.for_documents();
        if !documents.is_empty() {
            let others = live::others(self.run.world_mut(), &documents.keys().copied().collect());
            for (at, said) in others {
                let fields = documents.entry(at).or_default();
                said.into_iter().for_each(|(name, text)| {
                    fields.entry(name).or_insert_with(|| as_said(text));
                });
            }
        }
        for (at, fields) in documents {
            self.keeper.take_values(at, &fields, self.wall.unix_ms());
        }
        for event in &batch.events {
            self.say_event(event);
        }
        batch
    }

    /// Commands that are due, each in its device's dialect.
    fn send_commands(&mut self) {
        if self.silent {
            return;
        }
        let (run, now_ms) = (&mut self.run, self.wall.unix_ms());
        self.keeper
            .wait(now_ms, &mut |at, key, wanted| live::command(run.world_mut(), at, key, wanted, now_ms));
    }

    /// One commit; then, and only then, the acknowledgements.
    fn keep(&mut self, batch: Batch) {
        match self.store.keep(batch) {
            Kept::All => self.session.acknowledge(),
            Kept::AllAgain => {
                self.session.acknowledge();
                self.log.line(Level::Info, "store_back", "the store takes what is to be kept again", &[]);
            }
            Kept::Waiting(Some(error)) => {
                let text = format!(
                    "{error}. The twins go on; nothing is acknowledged until there is room, so the broker keeps it"
                );
                self.log.line(Level::Alarm, "store_failed", &text, &[]);
                self.pause();
            }
            Kept::Waiting(None) => {}
        }
    }

    /// What is done now and then.
    fn look(&mut self) {
        let health = &self.health;
        health.turned_ms.store(self.wall.unix_ms(), Ordering::Relaxed);
        health.connected.store(self.session.is_connected(), Ordering::Relaxed);
        health.storing.store(!self.store.is_failing(), Ordering::Relaxed);
        let (messages, book, wall) = (self.messages, &self.book, &self.wall);
        self.log.status(|| {
            let rate = messages as f64 / wall.up_s().max(1e-3);
            format!(
                "{} twins, {messages} messages ({rate:.1}/s), {} verdicts hold",
                book.len(),
                book.holding()
            )
        });
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        for status in live::all(self.run.world_mut()) {
            self.book.take_clock(&status);
        }
        if !self.store.is_failing() {
            let now = self.wall.unix_ns();
            let (messages, history) = (now.saturating_sub(self.replay_ns), now.saturating_sub(self.keep_ns));
            if let Err(error) = self.store.store().prune(messages, history, &self.numbers) {
                self.log.line(Level::Warning, "prune_failed", &format!("old rows stay: {error}"), &[]);
            }
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        self.log.finish();
        if !self.silent {
            let topic = announce::status_topic(&self.prefix);
            self.session.publish(&topic, b"offline", 1, true).map_err(crate::run::wire)?;
        }
        if let Some(host) = self.host {
            host.finish()?;
        }
        let text = format!("stopped; {} messages were taken", self.messages);
        self.log.line(Level::Info, "stopped", &text, &[("messages", json!(self.messages))]);
        match self.session.finish(Duration::from_secs(3)) {
            // What was not acknowledged comes again; what was, is kept.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// What a device said beside its signals, as a document has it: a number or a flag where that says just as much. A version `1.10` is
/// none, nor is a serial number of more digits than a number holds.
fn as_said(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(Value::Number(n)) if n.as_f64().is_some_and(|v| v.to_string() == text) => Value::Number(n),
        Ok(Value::Bool(on)) => Value::Bool(on),
        _ => Value::String(text),
    }
}

/// A message as the engine takes it.
fn message(wall: &WallClock, raw: &RawMessage, seq: &mut u64) -> Message {
    *seq += 1;
    let arrived = wall.sim(raw.arrived_unix_ns);
    Message {
        sent: arrived,
        due: arrived,
        publisher: FOREIGN,
        seq: *seq,
        topic: Arc::clone(&raw.topic),
        payload: Arc::clone(&raw.payload),
        qos: raw.qos,
        retain: raw.retain,
    }
}
