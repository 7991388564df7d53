//! Each device with a connection of its own, as a real one has: client id, last will, subscriptions. One whose connection ends comes
//! back by itself and greets anew; what it would have said meanwhile is lost, as it is of a real one.

use crate::{exit::Failure, run::wire};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};
use twinfleet_engine::{
    dialect::Client, firmware::program::Programs, message::Message, mirror::physical, run::Run, time::SimTime,
};
use twinfleet_twins::wire::{
    WireError,
    client::{ConnectOptions, Connection},
    exchange::FOREIGN,
};

/// Longest wait for what a device has to say before it goes.
const PARTING: Duration = Duration::from_secs(5);

/// How long a device waits before it tries to come back, at first and at most.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The connections of a run's devices.
pub struct Devices {
    /// How each gets to the broker, but for its id and will.
    options: ConnectOptions,
    open: BTreeMap<u32, Connected>,
    /// Devices whose connection ended.
    away: BTreeMap<u32, Away>,
    /// Whether any device was ever connected: where none can be, the run is not begun.
    been_there: bool,
    /// When one last could not get there: others need not wait for that too.
    failed: Option<Instant>,
    /// Messages that devices did not say as they were away.
    unsaid: u64,
    news: Vec<String>,
    /// What scripts asked for, to be asked for again by a new connection.
    asked: BTreeMap<u32, Vec<String>>,
    seq: u64,
    /// What came in while the devices spoke.
    heard: Vec<Heard>,
}

/// Topic, payload, quality of service and retain flag.
type Heard = (String, Vec<u8>, u8, bool);

struct Connected {
    connection: Connection,
    client: Client,
}

/// A device that waits to come back.
struct Away {
    until: Instant,
    wait: Duration,
    /// Whether it has begun anew, so that what it says now begins with its greeting.
    greets: bool,
}

impl Devices {
    /// No one is connected yet: each connects with its first message or subscription.
    pub fn new(options: ConnectOptions) -> Self {
        Self {
            options,
            open: BTreeMap::new(),
            away: BTreeMap::new(),
            been_there: false,
            failed: None,
            unsaid: 0,
            news: Vec::new(),
            asked: BTreeMap::new(),
            seq: 0,
            heard: Vec::new(),
        }
    }

    fn connect(&self, client: &Client, device: u32) -> Result<Connection, WireError> {
        let mut options = self.options.clone();
        options.client_id.clone_from(&client.id);
        options.keep_alive_s = 30;
        options.will = client.will.as_ref().map(|w| (w.topic.clone(), w.payload.clone(), w.qos, w.retain));
        let mut connection = Connection::connect(&options)?;
        let all = client.filters.iter().chain(self.asked.get(&device).into_iter().flatten());
        let filters: Vec<(&str, u8)> = all.map(|f| (f.as_str(), 1)).collect();
        if !filters.is_empty() {
            connection.subscribe(&filters, Duration::from_secs(10))?;
        }
        Ok(connection)
    }

    /// Publishes each message on its device's own connection. The will of a device is not published: its connection is cut,
    /// and the broker does it.
    pub fn send(&mut self, run: &mut Run, messages: &[Message]) -> Result<(), Failure> {
        self.subscribe(run)?;
        for m in messages {
            if self.away.get(&m.publisher).is_some_and(|away| !away.greets) {
                self.unsaid += 1;
                continue;
            }
            let is_will = |c: &Connected| {
                c.client.will.as_ref().is_some_and(|w| *w.topic == *m.topic && w.payload[..] == m.payload[..])
            };
            if self.open.get(&m.publisher).is_some_and(is_will) {
                self.cut(m.publisher);
                continue;
            }
            let said = match self.connected(run, m.publisher)? {
                Some(c) => c.connection.publish(&m.topic, &m.payload, m.qos, m.retain),
                None => {
                    self.unsaid += 1;
                    continue;
                }
            };
            if let Err(error) = said {
                self.lost(m.publisher, error)?;
            }
        }
        self.listen()?;
        let now = Instant::now();
        let due = self.away.iter().filter(|(_, away)| !away.greets && away.until <= now);
        for device in due.map(|(device, _)| *device).collect::<Vec<_>>() {
            physical::begin_anew(run.world_mut(), device);
            if let Some(away) = self.away.get_mut(&device) {
                away.greets = true;
            }
            // Who only listens says nothing by which it would come back.
            if self.asked.contains_key(&device) {
                self.connected(run, device)?;
            }
        }
        Ok(())
    }

    /// What happened to the devices' connections, for those who watch.
    pub fn news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }

    /// The connection of a device ended, or could not be made again.
    fn lost(&mut self, device: u32, error: WireError) -> Result<(), Failure> {
        if !self.been_there || error.is_input() {
            return Err(wire(error));
        }
        self.open.remove(&device);
        if self.away.is_empty() {
            self.news.push(format!(
                "{error}\nthe devices come back by themselves, as real ones do; what they would say meanwhile is lost"
            ));
        }
        let wait = self.away.get(&device).map_or(FIRST_WAIT, |away| (away.wait * 2).min(LONGEST_WAIT));
        // Not all at one instant.
        let until = Instant::now() + wait + Duration::from_millis(u64::from(device) * 37 % 500);
        self.away.insert(device, Away { until, wait, greets: false });
        Ok(())
    }

    /// A device's connection, made now where there is none. None: no such device, or it cannot come back yet.
    fn connected(&mut self, run: &mut Run, device: u32) -> Result<Option<&mut Connected>, Failure> {
        if !self.open.contains_key(&device) {
            let Some(client) = physical::client(run.world_mut(), device) else { return Ok(None) };
            if self.failed.is_some_and(|at| at.elapsed() < FIRST_WAIT) {
                let wait = self.away.get(&device).map_or(FIRST_WAIT, |away| away.wait);
                self.away.insert(device, Away { until: Instant::now() + wait, wait, greets: false });
                return Ok(None);
            }
            match self.connect(&client, device) {
                Ok(connection) => {
                    (self.been_there, self.failed) = (true, None);
                    self.open.insert(device, Connected { connection, client });
                    if self.away.remove(&device).is_some() && self.away.is_empty() {
                        let unsaid = std::mem::take(&mut self.unsaid);
                        self.news.push(format!("the devices are back; {unsaid} messages were not said"));
                    }
                }
                Err(error) => {
                    self.failed = Some(Instant::now());
                    self.lost(device, error)?;
                }
            }
        }
        Ok(self.open.get_mut(&device))
    }

    /// Subscribes to what scripts have asked for since the last time.
    fn subscribe(&mut self, run: &mut Run) -> Result<(), Failure> {
        let Some(mut programs) = run.world_mut().get_resource_mut::<Programs>() else { return Ok(()) };
        for (device, filter) in programs.take_subscriptions() {
            let subscribed = match self.connected(run, device)? {
                Some(c) => c.connection.subscribe(&[(&filter, 1)], Duration::from_secs(10)),
                None => Ok(()),
            };
            self.asked.entry(device).or_default().push(filter);
            if let Err(error) = subscribed {
                self.lost(device, error)?;
            }
        }
        Ok(())
    }

    /// Ends a connection as a power cut does: without a word.
    fn cut(&mut self, publisher: u32) {
        if let Some(mut c) = self.open.remove(&publisher) {
            // What the device had said before is still heard.
            let end = Instant::now() + PARTING;
            while (c.connection.waiting_bytes() > 0 || c.connection.unacknowledged() > 0)
                && Instant::now() < end
                && c.connection.pump(Some(Duration::from_millis(20)), |_| ()).is_ok()
            {}
            c.connection.cut();
        }
    }

    /// Takes in what came on the devices' own topics, each message once.
    fn listen(&mut self) -> Result<(), Failure> {
        let (mut seen, mut lost) = (BTreeSet::new(), Vec::new());
        for (device, c) in &mut self.open {
            let mut own = BTreeSet::new();
            let heard = &mut self.heard;
            let pumped = c.connection.pump(None, |m| {
                let key = (m.topic().to_owned(), m.payload.to_vec());
                // Two devices of one group hear the same message; one device may hear the same twice.
                if !seen.contains(&key) || own.contains(&key) {
                    heard.push((m.topic().to_owned(), m.payload.to_vec(), m.qos, m.retain));
                }
                own.insert(key);
            });
            lost.extend(pumped.err().map(|error| (*device, error)));
            seen.extend(own);
        }
        lost.into_iter().try_for_each(|(device, error)| self.lost(device, error))
    }

    /// What came in since the last call, and while the devices spoke.
    pub fn drain(&mut self, now: SimTime) -> Result<Vec<Message>, Failure> {
        self.listen()?;
        let inbox = std::mem::take(&mut self.heard);
        let message = |(topic, payload, qos, retain): Heard| {
            self.seq += 1;
            Message {
                sent: now,
                due: now,
                publisher: FOREIGN,
                seq: self.seq,
                topic: topic.into(),
                payload: payload.into(),
                qos,
                retain,
            }
        };
        Ok(inbox.into_iter().map(message).collect())
    }

    /// All devices go at once, without a word; the broker publishes their wills.
    pub fn finish(mut self) {
        let all: Vec<u32> = self.open.keys().copied().collect();
        all.into_iter().for_each(|p| self.cut(p));
    }
}
