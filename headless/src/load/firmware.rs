//! Devices whose firmware says what they send: the world is simulated on a thread of its own, ahead of the load; or, where
//! an operator commands them, tick by tick beside it, so that what devices hear changes what they send.

use super::Setting;
use crate::{exit::Failure, load_files::Loaded};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};
use twinfleet_engine::{
    firmware::program::Programs,
    message::Message,
    plan::Plan,
    record::{Sampled, Sampler},
    run::Run,
    scenario::load::{DeviceLoadDef, ScheduleDef},
    time::{SimTime, Span},
};
use twinfleet_twins::{
    assemble,
    load::{
        conn::Planned,
        job::Job,
        unix_ns,
        worker::{Feed, Firmware, Heard},
    },
};

/// Messages planned ahead, for each worker.
const AHEAD: usize = 1 << 16;
/// Publisher of what comes from outside the world.
const OUTSIDE: u32 = u32::MAX;

/// Starts the simulation of the devices with a `Firmware` schedule, if there are any; a way for each worker.
pub fn start(set: &Setting<'_>, job: &Job) -> Result<Vec<Option<Firmware>>, Failure> {
    let loaded = lasting(set.loaded, job);
    let Some(Fleet { plan, spec_of, topics, listening }) = fleet(&loaded, job)? else {
        return Ok(Vec::new());
    };
    let prefix = set.args.prefix();
    let live = job.load.commands.is_some();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..job.workers).map(|_| flume::bounded(AHEAD)).unzip();
    let (hear, heard) = flume::bounded(AHEAD);
    let (tell, told) = flume::bounded(1);
    let topics = Arc::new(topics);
    let job = job.clone();
    thread::spawn(move || {
        // The world belongs to the thread that made it: its pool counts that one in.
        let made = assemble::assemble(&loaded, &plan, 1, None, Sampled::new(Sampler::new(1, 1), 1));
        let run = match made {
            Ok(run) => run,
            Err(error) => return drop(tell.send(Err(error))),
        };
        let _ = tell.send(Ok(()));
        let world = World { run, spec_of, senders, heard, listening, prefix, job, count: 0 };
        if live { world.beside() } else { world.ahead() }
    });
    match told.recv() {
        Ok(made) => made.map_err(Failure::input)?,
        Err(_) => return Err(Failure::outside("the thread of the simulated devices failed")),
    }
    let way = |feed| Some(Firmware { feed, hear: hear.clone(), topics: Arc::clone(&topics) });
    Ok(receivers.into_iter().map(way).collect())
}

/// The simulated devices of a load.
struct Fleet {
    plan: Plan,
    /// Ordinal in the world → index in the job.
    spec_of: HashMap<u32, usize>,
    /// What each device (index in the job) listens to.
    topics: HashMap<usize, Vec<String>>,
    /// All that they listen to.
    listening: HashSet<String>,
}

/// None: no device has a `Firmware` schedule.
fn fleet(loaded: &Loaded, job: &Job) -> Result<Option<Fleet>, Failure> {
    let of = |d: &'_ DeviceLoadDef| match &d.schedule {
        ScheduleDef::Firmware { fleet } => Some(fleet.clone()),
        _ => None,
    };
    let fleets: Vec<String> = job.load.devices.iter().filter_map(of).collect();
    if fleets.is_empty() {
        return Ok(None);
    }
    let base = loaded.files.base().to_owned();
    let plan = Plan::new(Arc::clone(&loaded.scenario), Arc::clone(&loaded.catalog), base, job.seed, (0, 1))
        .map_err(Failure::input)?;
    let by_id: HashMap<&str, usize> = job.devices.iter().enumerate().map(|(i, d)| (&*d.id, i)).collect();
    let (prefix, live) = (&job.prefix, job.load.commands.is_some());
    let (mut spec_of, mut topics, mut taken) = (HashMap::new(), HashMap::new(), HashSet::new());
    for group in &plan.groups {
        let id = &plan.scenario.fleet[group.def].id;
        for i in (0..group.count).filter(|_| fleets.contains(id)) {
            let device = plan.device_id(group, i);
            let Some(spec) = by_id.get(device.as_str()) else { continue };
            spec_of.insert(group.first + i, *spec);
            let zone = group.zone(i).map_or("outside", |z| plan.scenario.world.zones[z].id.as_str());
            let own = live && job.owns(job.devices[*spec].ordinal);
            let commands = group.firmware.iter().flat_map(|f| &f.commands).map(|c| &c.topic);
            let inputs = group.firmware.iter().flat_map(|f| &f.control).map(|c| &c.input);
            let filled = |filter: &String| {
                format!("{prefix}{}", filter.replace("{device}", &device).replace("{zone}", zone))
            };
            // The world hears a message once, over the connection of the first device that listens to its filter.
            let fresh = commands.chain(inputs).filter(|_| own).map(filled);
            topics
                .insert(*spec, fresh.filter(|filter| taken.insert(filter.clone())).collect::<Vec<String>>());
        }
    }
    Ok(Some(Fleet { plan, spec_of, topics, listening: taken }))
}

/// What this shard's simulated devices would send, without a broker and without commands: intended instant [ns], device, number.
pub fn plan(loaded: &Loaded, job: &Job) -> Result<Vec<(i64, u32, u32)>, Failure> {
    let loaded = lasting(loaded, job);
    let Some(Fleet { plan, spec_of, .. }) = fleet(&loaded, job)? else { return Ok(Vec::new()) };
    let mut run = assemble::assemble(&loaded, &plan, 1, None, Sampled::new(Sampler::new(1, 1), 1))
        .map_err(Failure::input)?;
    let end = SimTime(job.stages.length_ns());
    let (mut inbox, mut numbers, mut trace) = (Vec::new(), HashMap::new(), Vec::new());
    while !run.is_over() && run.now() < end {
        inbox = run.tick(std::mem::take(&mut inbox));
        for message in inbox.iter().filter(|m| m.sent < end) {
            let Some(spec) = spec_of.get(&message.publisher) else { continue };
            let ordinal = job.devices[*spec].ordinal;
            if job.owns(ordinal) {
                let number = numbers.entry(ordinal).or_insert(0u32);
                trace.push((message.sent.0, ordinal, *number));
                *number += 1;
            }
        }
    }
    Ok(trace)
}

/// The scenario with a world that lasts for as long as the load: devices that fell silent before the end of its stages would be
/// taken for a load that was kept.
fn lasting(loaded: &Loaded, job: &Job) -> Loaded {
    let (length_ns, step_ns) = (job.stages.length_ns(), loaded.scenario.step.0.max(1));
    let mut scenario = Arc::clone(&loaded.scenario);
    if scenario.duration.0 < length_ns {
        // A run is a multiple of its steps.
        Arc::make_mut(&mut scenario).duration = Span((length_ns + step_ns - 1) / step_ns * step_ns);
    }
    Loaded {
        source: loaded.source.clone(),
        scenario,
        catalog: Arc::clone(&loaded.catalog),
        files: loaded.files.clone(),
        warnings: loaded.warnings.clone(),
        scripts: loaded.scripts.clone(),
    }
}

struct World {
    run: Run,
    spec_of: HashMap<u32, usize>,
    senders: Vec<flume::Sender<Feed>>,
    heard: flume::Receiver<Heard>,
    /// Filters that a device of this shard is subscribed to.
    listening: HashSet<String>,
    prefix: String,
    job: Job,
    count: u64,
}

impl World {
    fn is_over(&self) -> bool {
        self.run.is_over()
            || self.run.now().0 >= self.job.stages.length_ns()
            || self.job.stopped.load(Relaxed)
    }

    /// As far ahead as the way to the workers holds. What devices say to each other goes round inside.
    fn ahead(mut self) {
        let mut inbox = Vec::new();
        while !self.is_over() {
            let outbox = self.run.tick(std::mem::take(&mut inbox));
            if !self.hand_on(&outbox) {
                return;
            }
            inbox = outbox;
        }
        self.end();
    }

    /// In real time: each tick hears what came through the broker before it, and from devices that have no connection in this load.
    fn beside(mut self) {
        while self.job.start_signal.load(Relaxed) == i64::MAX {
            if self.job.stopped.load(Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
        let start_ns = self.job.start_signal.load(Relaxed);
        let mut inside = Vec::new();
        while !self.is_over() {
            let early = start_ns + self.run.now().0 - unix_ns();
            if early > 0 {
                thread::sleep(Duration::from_nanos(early as u64));
            }
            let mut inbox = self.inbox();
            inbox.append(&mut inside);
            let outbox = self.run.tick(inbox);
            if !self.hand_on(&outbox) || !self.listen() {
                return;
            }
            inside = outbox.into_iter().filter(|m| !self.spec_of.contains_key(&m.publisher)).collect();
        }
        self.end();
    }

    fn inbox(&mut self) -> Vec<Message> {
        let now = self.run.now();
        let message = |(seq, heard): (u64, Heard)| Message {
            sent: now,
            due: now,
            publisher: OUTSIDE,
            seq,
            topic: heard.topic.strip_prefix(&self.prefix).unwrap_or(&heard.topic).into(),
            payload: heard.payload.into(),
            qos: heard.qos,
            retain: false,
        };
        let inbox: Vec<Message> = (self.count..).zip(self.heard.try_iter()).map(message).collect();
        self.count += inbox.len() as u64;
        inbox
    }

    /// Tells the workers what programs have subscribed to; false: nobody is there any more.
    fn listen(&mut self) -> bool {
        let Some(mut programs) = self.run.world_mut().get_resource_mut::<Programs>() else { return true };
        for (ordinal, filter) in programs.take_subscriptions() {
            let Some(spec) = self.spec_of.get(&ordinal).copied() else { continue };
            let filter = format!("{}{filter}", self.prefix);
            if !self.job.owns(self.job.devices[spec].ordinal) || !self.listening.insert(filter.clone()) {
                continue;
            }
            let told = |sender: &flume::Sender<Feed>| sender.send(Feed::Listen(spec, filter.clone())).is_ok();
            if !self.senders.iter().all(told) {
                return false;
            }
        }
        true
    }

    /// Each worker finds its own devices among them; false: nobody is there any more.
    fn hand_on(&self, outbox: &[Message]) -> bool {
        let end = SimTime(self.job.stages.length_ns());
        for message in outbox.iter().filter(|m| m.sent < end) {
            let Some(spec) = self.spec_of.get(&message.publisher) else { continue };
            let planned = Planned {
                at_ns: message.sent.0,
                topic: format!("{}{}", self.prefix, message.topic).into(),
                payload: Arc::clone(&message.payload),
                qos: message.qos,
                retain: message.retain,
            };
            let told =
                |sender: &flume::Sender<Feed>| sender.send(Feed::Message(*spec, planned.clone())).is_ok();
            if !self.senders.iter().all(told) {
                return false;
            }
        }
        true
    }

    fn end(&self) {
        for sender in &self.senders {
            // A worker that has left needs no end.
            let _ = sender.send(Feed::End);
        }
    }
}
