//! Each device with a connection of its own, as a real one has: client id, last will, subscriptions.

use crate::{exit::Failure, run::wire};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use twinfleet_engine::{
    dialect::Client, firmware::program::Programs, message::Message, mirror::physical, run::Run, time::SimTime,
};
use twinfleet_twins::wire::{
    client::{ConnectOptions, Connection},
    exchange::FOREIGN,
    url::BrokerUrl,
};

/// Longest wait for what a device has to say before it goes.
const PARTING: Duration = Duration::from_secs(5);

/// The connections of a run's devices.
pub struct Devices {
    url: BrokerUrl,
    open: BTreeMap<u32, Connected>,
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

impl Devices {
    /// No one is connected yet: each connects with its first message or subscription.
    pub fn new(url: BrokerUrl) -> Self {
        Self { url, open: BTreeMap::new(), seq: 0, heard: Vec::new() }
    }

    fn connect(&self, client: &Client) -> Result<Connection, Failure> {
        let mut options = ConnectOptions::to(self.url.clone());
        options.client_id.clone_from(&client.id);
        options.keep_alive_s = 30;
        options.will = client.will.as_ref().map(|w| (w.topic.clone(), w.payload.clone(), w.qos, w.retain));
        let mut connection = Connection::connect(&options).map_err(wire)?;
        let filters: Vec<(&str, u8)> = client.filters.iter().map(|f| (f.as_str(), 1)).collect();
        if !filters.is_empty() {
            connection.subscribe(&filters, Duration::from_secs(10)).map_err(wire)?;
        }
        Ok(connection)
    }

    /// Publishes each message on its device's own connection. The will of a device is not published: its connection is cut,
    /// and the broker does it.
    pub fn send(&mut self, run: &mut Run, messages: &[Message]) -> Result<(), Failure> {
        self.subscribe(run)?;
        for m in messages {
            let is_will = |c: &Connected| {
                c.client.will.as_ref().is_some_and(|w| *w.topic == *m.topic && w.payload[..] == m.payload[..])
            };
            if self.open.get(&m.publisher).is_some_and(is_will) {
                self.cut(m.publisher);
                continue;
            }
            if let Some(c) = self.connected(run, m.publisher)? {
                c.connection.publish(&m.topic, &m.payload, m.qos, m.retain).map_err(wire)?;
            }
        }
        self.listen()
    }

    /// A device's connection, made now where there is none. None: no such device.
    fn connected(&mut self, run: &mut Run, device: u32) -> Result<Option<&mut Connected>, Failure> {
        if !self.open.contains_key(&device) {
            let Some(client) = physical::client(run.world_mut(), device) else { return Ok(None) };
            let connection = self.connect(&client)?;
            self.open.insert(device, Connected { connection, client });
        }
        Ok(self.open.get_mut(&device))
    }

    /// Subscribes to what scripts have asked for since the last time.
    fn subscribe(&mut self, run: &mut Run) -> Result<(), Failure> {
        let Some(mut programs) = run.world_mut().get_resource_mut::<Programs>() else { return Ok(()) };
        for (device, filter) in programs.take_subscriptions() {
            if let Some(c) = self.connected(run, device)? {
                c.connection.subscribe(&[(&filter, 1)], Duration::from_secs(10)).map_err(wire)?;
            }
        }
        Ok(())
    }

    /// Ends a connection as a power cut does: without a word.
    fn cut(&mut self, publisher: u32) {
        if let Some(mut c) = self.open.remove(&publisher) {
            // What the device had said before is still heard.
            let end = std::time::Instant::now() + PARTING;
            while (c.connection.waiting_bytes() > 0 || c.connection.unacknowledged() > 0)
                && std::time::Instant::now() < end
                && c.connection.pump(Some(Duration::from_millis(20)), |_| ()).is_ok()
            {}
            c.connection.cut();
        }
    }

    /// Takes in what came on the devices' own topics, each message once.
    fn listen(&mut self) -> Result<(), Failure> {
        let mut seen = BTreeSet::new();
        for c in self.open.values_mut() {
            let mut own = BTreeSet::new();
            let heard = &mut self.heard;
            c.connection
                .pump(None, |m| {
                    let key = (m.topic().to_owned(), m.payload.to_vec());
                    // Two devices of one group hear the same message; one device may hear the same twice.
                    if !seen.contains(&key) || own.contains(&key) {
                        heard.push((m.topic().to_owned(), m.payload.to_vec(), m.qos, m.retain));
                    }
                    own.insert(key);
                })
                .map_err(wire)?;
            seen.extend(own);
        }
        Ok(())
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
