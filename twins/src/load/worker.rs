//! A worker thread: one poll over its connections, one heap of what is due next, and a timer that wakes it to the
//! microsecond. Nothing here blocks but the poll.

mod books;
mod fault;
mod intake;
mod link;

use super::{
    codec,
    conn::{Conn, Device, Flight, OUT_LIMIT_BYTES, Planned, Role, State, Subscriber, Way, Wills},
    health::{Accusation, CpuTime, Shortage},
    job::Job,
    ledger::make_room,
    shared::{Counts, Shared},
    stream::Stream,
    tally::Tally,
};
use fault::Act;
use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io::{self, ErrorKind},
    os::fd::{AsFd, AsRawFd},
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use twinfleet_engine::{
    load::{self, Schedule},
    scenario::load::{Metric, ScheduleDef},
};

const TIMER: Token = Token(usize::MAX);
/// Bytes read at a time.
const SCRATCH_BYTES: usize = 256 << 10;
/// Largest packet taken, [bytes].
const MAX_PACKET_BYTES: usize = 16 << 20;
/// Reads of one connection before others have their turn.
const READS_A_TURN: usize = 4;
/// What is due so soon is not slept for, [ns].
const SOON_NS: i64 = 20_000;
/// Batches of several connections leave together at multiples of this, [ns].
const TOGETHER_NS: i64 = 1_000_000;
/// How long the poll sleeps at most: then the leader's word is heard.
const NAP: Duration = Duration::from_millis(20);
/// A connection that is not up after so long is given up before the start, [ns].
const CONNECT_NS: i64 = 10_000_000_000;
/// First pause before a connection is made again; it doubles up to fifty times as much, [ns].
const BACKOFF_NS: i64 = 100_000_000;
/// How often keep-alives are looked after, [ns].
const SWEEP_NS: i64 = 250_000_000;
/// A message that is taken so soon after its instant was taken in time, whenever the stages end, [ns].
const IN_TIME_NS: i64 = 1_000_000_000;
/// A client whose session was cleaned comes back so much later: the broker has seen it leave by then, [ns].
const CLEANED_NS: i64 = 20_000_000;
/// What a device's firmware plans is taken so long before its instant; what is further ahead waits with the simulated world, so that
/// no more than this and what the broker holds back is in memory, [ns].
const AHEAD_NS: i64 = 5_000_000_000;
/// The broker has so long to close the connection of one who was taken over or is malformed, [ns].
pub(super) const CLOSE_NS: i64 = 2_000_000_000;

/// A message of a device's firmware for a worker, or the end of them.
#[derive(Debug)]
pub enum Feed {
    /// Device (index in the job) and message.
    Message(usize, Planned),
    /// Device (index in the job), and a filter that its program subscribes to from now on.
    Listen(usize, String),
    /// Nothing more.
    End,
}

/// What a device heard from the broker.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// Quality of service.
    pub qos: u8,
}

/// Ways to and from the simulated devices.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// What they publish.
    pub feed: flume::Receiver<Feed>,
    /// What they hear.
    pub hear: flume::Sender<Heard>,
    /// What each device (index in the job) listens to.
    pub topics: Arc<HashMap<usize, Vec<String>>>,
}

/// What the worker's parts share while its connections are borrowed.
pub(super) struct Context<'a> {
    pub job: &'a Job,
    pub tally: Tally,
    pub counts: Counts,
    /// Start of the first stage by the clock, [ns].
    pub start_ns: i64,
    pub now_ns: i64,
}

impl Context<'_> {
    /// The time since the start, [ns].
    pub fn t_ns(&self) -> i64 {
        self.now_ns.saturating_sub(self.start_ns)
    }

    pub fn stage(&self, intended_ns: i64) -> usize {
        self.job.stages.of(intended_ns)
    }

    /// Whether a message that is taken now is taken in time.
    pub fn in_time(&self, intended_ns: i64) -> bool {
        self.t_ns() <= self.job.stages.length_ns().max(intended_ns.saturating_add(IN_TIME_NS))
    }
}

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum Close {
    /// The broker, or the network, ended it.
    Broken(String),
    /// A fault of the scenario cut it; it comes back at this time.
    Cut(i64),
    /// It is not needed any more.
    Done,
    /// The broker has forgotten what an earlier run left; the next one is that of this run.
    Cleaned,
}

pub(super) struct Worker<'a> {
    ctx: Context<'a>,
    shared: &'a Shared,
    index: usize,
    poll: Poll,
    timer: TimerFd,
    armed_ns: i64,
    conns: Vec<Conn>,
    heap: BinaryHeap<Reverse<(i64, u32)>>,
    ready: Vec<u32>,
    dirty: Vec<u32>,
    scratch: Vec<u8>,
    acts: Vec<Act>,
    next_act: usize,
    firmware: Option<Firmware>,
    /// Whether it goes on planning.
    fed: bool,
    /// Instant of the newest message that it has planned, [ns] since the start.
    fed_ns: i64,
    device_at: HashMap<usize, u32>,
    /// What programs of devices (index in the job) have subscribed to so far.
    asked: HashMap<usize, Vec<String>>,
    opened: u64,
    sweep_ns: i64,
    /// Its use of the core, once the stages are over.
    cpu: Option<CpuTime>,
    /// Whether it says good-bye: nobody reads what is published behind that.
    ended: bool,
}

impl<'a> Worker<'a> {
    /// The worker with this index, without its connections.
    pub fn new(
        job: &'a Job,
        shared: &'a Shared,
        index: usize,
        firmware: Option<Firmware>,
    ) -> io::Result<Self> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let poll = Poll::new()?;
        let fd = timer.as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        let tally = Tally::new(job.stages.len(), job.stages.length_ns());
        let ctx = Context { job, tally, counts: Counts::default(), start_ns: i64::MAX, now_ns: 0 };
        Ok(Self {
            ctx,
            shared,
            index,
            poll,
            timer,
            armed_ns: i64::MAX,
            conns: Vec::new(),
            heap: BinaryHeap::new(),
            ready: Vec::new(),
            dirty: Vec::new(),
            // Written to, so that it is taken now.
            scratch: vec![1; SCRATCH_BYTES],
            acts: Vec::new(),
            next_act: 0,
            fed: firmware.is_some(),
            fed_ns: 0,
            firmware,
            device_at: HashMap::new(),
            asked: HashMap::new(),
            opened: 0,
            sweep_ns: 0,
            cpu: None,
            ended: false,
        })
    }

    /// The connections of this worker, subscribers first: they are to be there when the first message comes.
    fn populate(&mut self) {
        let job = self.ctx.job;
        let pace_ns = 1_000_000_000 / i64::from(job.load.connects_per_s) * i64::from(job.shard.1);
        let mine = |i: usize| i % job.workers == self.index;
        let mut own = 0usize;
        let mut conns = Vec::new();
        for (spec, s) in job.subscribers.iter().enumerate().filter(|(_, s)| job.owns(s.ordinal)) {
            let _ = s;
            if mine(own) {
                let role = Role::Subscriber(Box::new(Subscriber {
                    spec,
                    receipts: Default::default(),
                    unreleased: Vec::new(),
                    withheld: None,
                    slow: None,
                    held_back_ns: None,
                    granted: None,
                    subscriptions: 0,
                    // Nobody promised it what was sent before it came.
                    away: vec![(0, i64::MAX)],
                    resumed: 0,
                    unreadable: Default::default(),
                    left_ns: 0,
                }));
                conns.push(Conn::new(role, own as i64 * pace_ns));
            }
            own += 1;
        }
        let mut fan_out = HashMap::new();
        for (spec, d) in job.devices.iter().enumerate().filter(|(_, d)| job.owns(d.ordinal)) {
            if mine(own) {
                let def = &job.load.devices[d.group];
                let fed = matches!(def.schedule, ScheduleDef::Firmware { .. });
                // Devices of a group differ by their id, which few filters look at.
                let fan_out = if def.topic.contains("{device}") {
                    job.fan_out(&d.topic)
                } else {
                    *fan_out.entry(d.group).or_insert_with(|| job.fan_out(&d.topic))
                };
                // Where the firmware chooses, ways come with its messages.
                let way = (!fed).then(|| Way::new("".into(), def.qos, fan_out));
                let mut schedule = Schedule::new(&def.schedule, &job.stages, job.seed, &d.id);
                let next_ns = schedule.next();
                self.device_at.insert(spec, conns.len() as u32);
                let role = Role::Device(Box::new(Device {
                    spec,
                    qos: def.qos,
                    retain: def.retain,
                    payload_bytes: def.payload_bytes,
                    window: def.in_flight,
                    ways: way.into_iter().collect(),
                    schedule,
                    next_ns,
                    queue: Default::default(),
                    fed,
                    seq: 0,
                    planned: 0,
                    kept: 0,
                    late_ns: 0,
                    pkid: 0,
                    in_flight: Default::default(),
                    wills: def.will.as_ref().map(|_| Box::new(Wills::default())),
                    free_ns: i64::MIN,
                    held: false,
                    left_ns: 0,
                    resent: 0,
                    finished: false,
                }));
                conns.push(Conn::new(role, own as i64 * pace_ns));
            }
            own += 1;
        }
        self.heap = conns.iter().enumerate().map(|(i, c)| Reverse((c.wake_ns, i as u32))).collect();
        self.conns = conns;
        self.acts = fault::plan(job);
    }

    /// Works until the leader says stop.
    pub fn run(mut self) -> io::Result<Tally> {
        let mut events = Events::with_capacity(1_024);
        let mut cpu = CpuTime::default();
        while !self.shared.stop.load(Relaxed) {
            self.ctx.now_ns = self.shared.clock.now_ns();
            self.hear_the_start(&mut cpu);
            self.clock_out(cpu);
            self.take_feed();
            self.do_acts();
            self.wake_due();
            self.flush();
            self.read_ready();
            self.flush();
            if self.ctx.now_ns >= self.sweep_ns {
                self.sweep();
            }
            self.shared.boards[self.index].show(self.ctx.counts);
            let wait = self.arm()?;
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            self.ctx.now_ns = self.shared.clock.now_ns();
            for event in events.iter().filter(|e| e.token() != TIMER) {
                let i = event.token().0;
                let Some(conn) = self.conns.get_mut(i) else { continue };
                conn.writable |= event.is_writable() || event.is_error();
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    conn.readable = true;
                    if !conn.in_ready {
                        conn.in_ready = true;
                        self.ready.push(i as u32);
                    }
                }
                if conn.state == State::Opening && (event.is_writable() || event.is_error()) {
                    self.opened(i);
                } else {
                    self.mark_dirty(i);
                    self.unblock(i);
                }
            }
        }
        self.end(cpu)
    }

    fn hear_the_start(&mut self, cpu: &mut CpuTime) {
        if self.ctx.start_ns != i64::MAX {
            return;
        }
        let start = self.shared.start_ns.load(Relaxed);
        if start == i64::MAX {
            return;
        }
        self.ctx.start_ns = start;
        *cpu = CpuTime::of_thread();
        for i in 0..self.conns.len() {
            if let Role::Device(d) = &self.conns[i].role
                && self.conns[i].state == State::Up
                && let Some(next) = d.next()
            {
                self.wake_at(i, start.saturating_add(next));
            }
            self.settle(i);
        }
    }

    /// Reckons up the use of the core once the last stage is over: waiting for stragglers takes none.
    fn clock_out(&mut self, begin: CpuTime) {
        let length_ns = self.ctx.job.stages.length_ns();
        if self.cpu.is_none() && self.ctx.start_ns != i64::MAX && self.ctx.t_ns() >= length_ns {
            self.cpu = Some(CpuTime { wall_ns: self.ctx.t_ns() as u64, ..CpuTime::of_thread().since(begin) });
        }
    }

    fn take_feed(&mut self) {
        let (Some(firmware), true) = (&self.firmware, self.fed) else { return };
        let mut ended = false;
        let (mut touched, mut asked) = (Vec::new(), Vec::new());
        let t_ns = if self.ctx.start_ns == i64::MAX { 0 } else { self.ctx.t_ns() };
        // The world plans in order of time, and its way here is bounded.
        while self.fed_ns <= t_ns + AHEAD_NS
            && let Ok(fed) = firmware.feed.try_recv()
        {
            match fed {
                Feed::Message(spec, planned) => {
                    self.fed_ns = planned.at_ns;
                    let Some(i) = self.device_at.get(&spec) else { continue };
                    if let Role::Device(d) = &mut self.conns[*i as usize].role {
                        d.queue.push_back(planned);
                        d.planned += 1;
                        touched.push(*i as usize);
                    }
                }
                Feed::Listen(spec, filter) => asked.push((spec, filter)),
                Feed::End => ended = true,
            }
        }
        asked.into_iter().for_each(|(spec, filter)| self.listen(spec, filter));
        if ended {
            self.fed = false;
            for i in 0..self.conns.len() {
                if let Role::Device(d) = &mut self.conns[i].role {
                    d.fed = false;
                }
                self.settle(i);
            }
        }
        if self.ctx.start_ns == i64::MAX {
            return;
        }
        for i in touched {
            let Role::Device(d) = &self.conns[i].role else { continue };
            if let (State::Up, Some(next)) = (self.conns[i].state, d.next()) {
                self.wake_at(i, self.ctx.start_ns.saturating_add(next));
            }
        }
    }

    /// Subscribes a device to what its program asks for, now and whenever it connects again.
    fn listen(&mut self, spec: usize, filter: String) {
        let Some(i) = self.device_at.get(&spec).map(|i| *i as usize) else { return };
        let conn = &mut self.conns[i];
        if matches!(conn.state, State::Up | State::Subscribing)
            && let Role::Device(d) = &mut conn.role
        {
            let (protocol, pkid) = (self.ctx.job.load.protocol, d.take_pkid());
            codec::put_subscribe(&mut conn.out, protocol, pkid, &filter, 1);
            self.mark_dirty(i);
        }
        self.asked.entry(spec).or_default().push(filter);
    }

    fn wake_at(&mut self, i: usize, at_ns: i64) {
        self.conns[i].wake_ns = at_ns;
        self.heap.push(Reverse((at_ns, i as u32)));
    }

    fn mark_dirty(&mut self, i: usize) {
        let conn = &mut self.conns[i];
        if !conn.in_dirty {
            conn.in_dirty = true;
            self.dirty.push(i as u32);
        }
    }

    fn wake_due(&mut self) {
        while let Some(Reverse((at, i))) = self.heap.peek().copied() {
            if at > self.ctx.now_ns {
                return;
            }
            self.heap.pop();
            let i = i as usize;
            // Entries that a later wake-up has replaced are stale.
            if self.conns[i].wake_ns == at {
                self.conns[i].wake_ns = i64::MAX;
                self.wake(i);
            }
        }
    }

    fn wake(&mut self, i: usize) {
        match self.conns[i].state {
            State::Down => self.open(i),
            State::Up => match &self.conns[i].role {
                Role::Device(_) => self.publish_due(i),
                Role::Subscriber(_) => {
                    if self.conns[i].readable && !self.conns[i].in_ready {
                        self.conns[i].in_ready = true;
                        self.ready.push(i as u32);
                    }
                }
                Role::Stranger(_) => self.deadline(i),
            },
            State::Opening | State::Greeting | State::Subscribing => {
                self.close(i, Close::Broken("the broker did not answer in time".to_owned()));
            }
            State::Failed => self.deadline(i),
        }
    }

    /// Whether a device has come to its end, with its last message written.
    fn settle(&mut self, i: usize) {
        let started = self.ctx.start_ns != i64::MAX;
        let failed = self.conns[i].state == State::Failed;
        let unwritten = self.conns[i].waiting() > 0;
        if let Role::Device(d) = &mut self.conns[i].role
            && !d.finished
            && started
            && (d.is_done() && !unwritten || failed)
        {
            d.finished = true;
            self.ctx.counts.finished += 1;
        }
    }

    /// Sends every message that is due and that nothing holds back, and asks to be woken for the next.
    fn publish_due(&mut self, i: usize) {
        let ctx = &mut self.ctx;
        if ctx.start_ns == i64::MAX {
            return;
        }
        let (t_ns, batch_ns) = (ctx.now_ns - ctx.start_ns, ctx.job.load.batch.0);
        let conn = &mut self.conns[i];
        let Role::Device(device) = &mut conn.role else { return };
        if conn.stalled || conn.state != State::Up {
            device.held = true;
            return;
        }
        let spec = &ctx.job.devices[device.spec];
        let window = usize::from(device.window.min(conn.receive_maximum));
        let mut sent = 0;
        let wake = loop {
            let Some(intended_ns) = device.next() else { break None };
            if intended_ns > t_ns {
                break Some(intended_ns.max(if sent > 0 { gathered(t_ns, batch_ns) } else { 0 }));
            }
            let qos = device.queue.front().map_or(device.qos, |p| p.qos);
            let full = qos > 0 && device.in_flight.len() >= window;
            if full || conn.out.len() - conn.out_at >= OUT_LIMIT_BYTES {
                device.held = true;
                break None;
            }
            let own = device.queue.pop_front().map(Box::new);
            let way = match &own {
                Some(own) => device.way(own, || ctx.job.fan_out(&own.topic)),
                None => {
                    device.next_ns = device.schedule.next();
                    Some(0)
                }
            };
            let Some(way) = way else {
                ctx.tally.counts.abandoned += 1;
                ctx.tally.reason("a device publishes to more topics than can be told apart (65,000)");
                continue;
            };
            let pkid = if qos > 0 { device.take_pkid() } else { 0 };
            let of_way = &mut device.ways[usize::from(way)];
            let seq = of_way.count;
            of_way.count += 1;
            if own.is_some() {
                of_way.marks.note(t_ns, seq);
            }
            ctx.counts.expected += u64::from(of_way.fan_out);
            device.late_ns = device.late_ns.max(t_ns - intended_ns);
            device.kept += u32::from(qos == 0 && ctx.in_time(intended_ns));
            let (first_ns, sent_ns) = (t_ns, t_ns);
            let flight = Flight { pkid, way, seq, intended_ns, first_ns, sent_ns, received: false, own };
            Conn::put_message(
                &mut conn.out,
                ctx.job.load.protocol,
                ctx.job.run,
                spec,
                device,
                &flight,
                false,
            );
            let number = device.seq;
            device.seq += 1;
            sent += 1;
            ctx.tally.times.record(
                Metric::PublishDelay,
                qos,
                ctx.job.stages.of(intended_ns),
                t_ns - intended_ns,
            );
            // What held the device back is not the generator's lag.
            let due_ns = (ctx.start_ns + intended_ns).max(device.free_ns);
            let lag_us = (ctx.now_ns - due_ns - batch_ns).max(1_000) as u64 / 1_000;
            ctx.tally.lag.saturating_record(lag_us);
            ctx.counts.lag_us = ctx.counts.lag_us.max(lag_us);
            if ctx.job.keep_trace {
                make_room(&mut ctx.tally.trace);
                ctx.tally.trace.push((intended_ns, spec.ordinal, number));
            }
            if qos > 0 {
                device.in_flight.push_back(flight);
            }
        };
        ctx.counts.sent += sent;
        if sent > 0 {
            ctx.tally.course.sent(t_ns, sent);
        }
        let start_ns = ctx.start_ns;
        if sent > 0 {
            self.mark_dirty(i);
        }
        if let Some(next) = wake {
            self.wake_at(i, start_ns.saturating_add(next));
        }
        self.settle(i);
    }

    /// Lets a device go on that the window, the socket or a fault held back.
    fn unblock(&mut self, i: usize) {
        let now_ns = self.ctx.now_ns;
        let conn = &mut self.conns[i];
        if conn.state != State::Up || conn.stalled || self.ended {
            return;
        }
        if let Role::Device(d) = &mut conn.role
            && d.held
        {
            d.held = false;
            d.free_ns = now_ns;
            self.publish_due(i);
        }
    }

    /// Keep-alives, and the memory that the process takes.
    fn sweep(&mut self) {
        self.sweep_ns = self.ctx.now_ns + SWEEP_NS;
        for i in 0..self.conns.len() {
            let conn = &mut self.conns[i];
            let keep_ns = i64::from(conn.keep_alive_s) * 500_000_000;
            let quiet = keep_ns > 0 && self.ctx.now_ns - conn.last_out_ns > keep_ns;
            if quiet && conn.state == State::Up && !conn.stalled && !matches!(conn.role, Role::Stranger(_)) {
                conn.out.extend_from_slice(&codec::PING);
                conn.last_out_ns = self.ctx.now_ns;
                self.mark_dirty(i);
            }
        }
    }

    /// Sets the timer for what is due next; how long the poll may wait.
    fn arm(&mut self) -> io::Result<Duration> {
        if !self.ready.is_empty() || !self.dirty.is_empty() {
            return Ok(Duration::ZERO);
        }
        let mut due = self.heap.peek().map_or(i64::MAX, |Reverse((at, _))| *at);
        if let (Some(act), true) = (self.acts.get(self.next_act), self.ctx.start_ns != i64::MAX) {
            due = due.min(self.ctx.start_ns.saturating_add(act.at_ns));
        }
        let now = self.shared.clock.now_ns();
        let left = due.saturating_sub(now);
        if left <= SOON_NS {
            return Ok(Duration::ZERO);
        }
        if left < NAP.as_nanos() as i64 && due != self.armed_ns {
            let wait = TimeSpec::from_duration(Duration::from_nanos(left as u64));
            self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty())?;
            self.armed_ns = due;
        }
        Ok(NAP)
    }
}

/// When what a connection gathers from now on leaves, [ns]: within the batch, and where that is long, together with what others
/// have gathered, so that one wake-up serves them all.
fn gathered(t_ns: i64, batch_ns: i64) -> i64 {
    let until_ns = t_ns + batch_ns;
    if batch_ns < 4 * TOGETHER_NS { until_ns } else { until_ns - until_ns % TOGETHER_NS }
}

/// Runs a worker on its own thread to the end.
pub fn work(
    job: &Arc<Job>,
    shared: &Arc<Shared>,
    index: usize,
    firmware: Option<Firmware>,
) -> io::Result<Tally> {
    let worker = Worker::new(job, shared, index, firmware);
    shared.gate.wait();
    shared.gate.wait();
    match worker {
        Ok(mut worker) => {
            worker.populate();
            worker.run()
        }
        Err(error) => {
            let mut tally = Tally::new(job.stages.len(), job.stages.length_ns());
            let accusation = Accusation::of_socket(&error).unwrap_or_else(|| {
                Accusation::new(Shortage::Other, format!("a worker could not begin: {error}"))
            });
            tally.accuse(accusation);
            Ok(tally)
        }
    }
}
