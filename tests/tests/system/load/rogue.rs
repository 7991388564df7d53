//! A small broker of MQTT 3.1.1 that is wrong in one chosen way throughout, where [`super::liar`] lies about single deliveries.

use super::liar::{packets, whole};
use std::{
    collections::BTreeMap,
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use twinfleet_engine::{message::TopicFilter, scenario::load::Protocol};
use twinfleet_twins::load::codec::{self, Frame, kind};

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing but that it keeps no message.
    Forgets,
    /// It acknowledges, and delivers nothing.
    DropsAll,
    /// It delivers each message twice.
    Twice,
    /// The second time as one that it had kept.
    TwiceKept,
    /// It cuts the last byte of each payload.
    Cuts,
    /// It delivers to another topic.
    OtherTopic,
    /// It changes the first number of each JSON object.
    Alters,
    /// Beside each tenth delivery it makes one up.
    Invents,
    /// It delivers so late, [ms].
    Late(u64),
    /// It acknowledges so late, [ms].
    LateAcks(u64),
    /// It delivers all at this quality of service, whatever was granted.
    Qos(u8),
    /// It grants QoS 0.
    GrantsNothing,
    /// Each member of a shared subscription gets each message.
    ToAllMembers,
    /// It closes its subscribers' connections at the fifth message, and drops each fifth one from the sixtieth on.
    KicksThenDrops,
    /// The same, and it closes the first connection that comes back, too, as that subscribes.
    KicksTwiceThenDrops,
    /// It delivers each message once more so much later, [ms].
    TwiceLate(u64),
    /// It publishes the wills of devices with an even number twice, and none of the others.
    EvenWills,
    /// It drops two of three messages whose topic ends in `/set`.
    DropsCommands,
    /// From this message on it neither acknowledges nor delivers.
    Silent(u64),
    /// It takes so many connections, and no more.
    ClosesDoor(u64),
    /// It refuses all subscriptions.
    RefusesSubscriptions,
    /// It lets nobody in whose client id ends in an odd digit.
    RefusesOdd,
    /// It keeps messages as it is asked to, with another first byte.
    KeepsAltered,
    /// It closes each connection at the next one's, as if all clients had the same id.
    OneAtATime,
}

/// The broker; its threads end with their connections.
pub struct Rogue {
    pub addr: SocketAddr,
}

struct Subscription {
    of: u64,
    share: Option<String>,
    filter: TopicFilter,
    qos: u8,
    to: TcpStream,
}

#[derive(Default)]
struct State {
    subscriptions: Vec<Subscription>,
    routed: u64,
    retained: BTreeMap<String, Vec<u8>>,
    pkid: u16,
    newest: Option<TcpStream>,
    turned_away: bool,
}

impl Rogue {
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        thread::spawn(move || {
            for (of, client) in (0..).zip(listener.incoming()) {
                let (Ok(client), state) = (client, Arc::clone(&state)) else { return };
                let last = matches!(fault, Fault::ClosesDoor(n) if of + 1 == n);
                thread::spawn(move || {
                    Client { of, fault, state, to: client.try_clone().expect("a clone") }.serve(client)
                });
                if last {
                    return;
                }
            }
        });
        Self { addr }
    }

    pub fn url(&self) -> String {
        format!("mqtt://{}", self.addr)
    }
}

/// A client's end within the broker.
struct Client {
    of: u64,
    fault: Fault,
    state: Arc<Mutex<State>>,
    to: TcpStream,
}

/// The text at the front of the bytes, and what follows it.
fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = bytes.split_at(2);
    rest.split_at(usize::from(u16::from_be_bytes([length[0], length[1]])))
}

impl Client {
    fn serve(mut self, client: TcpStream) {
        let (mut will, mut left, mut id) = (None, false, String::new());
        packets(client, |packet| {
            let body = &packet[packet.len() - (whole(packet).expect("whole") - head(packet))..];
            match packet[0] & 0xf0 {
                0x10 => {
                    let (name, mut rest) = text(&body[10..]);
                    id = String::from_utf8_lossy(name).into_owned();
                    if body[7] & 4 != 0 {
                        let (topic, payload);
                        (topic, rest) = text(rest);
                        (payload, _) = text(rest);
                        will = Some((String::from_utf8_lossy(topic).into_owned(), payload.to_vec()));
                    }
                    if self.fault == Fault::OneAtATime {
                        let this = self.to.try_clone().expect("a clone");
                        let before = self.state.lock().expect("unpoisoned").newest.replace(this);
                        before.into_iter().for_each(|b| drop(b.shutdown(std::net::Shutdown::Both)));
                    }
                    let refused = self.fault == Fault::RefusesOdd && id.ends_with(['1', '3', '5', '7', '9']);
                    self.say(&[0x20, 2, 0, if refused { 5 } else { 0 }]);
                }
                0x30 => self.publish(packet),
                0x50 => self.acknowledge(kind::PUBREL, body),
                0x60 => self.acknowledge(kind::PUBCOMP, body),
                0x80 => self.subscribe(body),
                0xc0 => self.say(&[0xd0, 0]),
                0xe0 => left = true,
                _ => {}
            }
        });
        self.state.lock().expect("unpoisoned").subscriptions.retain(|s| s.of != self.of);
        let Some((topic, payload)) = will.filter(|_| !left) else { return };
        let odd = id.ends_with(['1', '3', '5', '7', '9']);
        let times = match self.fault {
            Fault::EvenWills => {
                if odd {
                    0
                } else {
                    2
                }
            }
            _ => 1,
        };
        (0..times).for_each(|_| self.route(&topic, &payload, 1));
    }

    fn say(&mut self, bytes: &[u8]) {
        self.to.write_all(bytes).ok();
    }

    fn acknowledge(&mut self, kind: u8, pkid: &[u8]) {
        let answer = [kind, 2, pkid[0], pkid[1]];
        match self.fault {
            Fault::LateAcks(ms) => {
                let mut to = self.to.try_clone().expect("a clone");
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(ms));
                    to.write_all(&answer).ok();
                });
            }
            _ => self.say(&answer),
        }
    }

    fn subscribe(&mut self, body: &[u8]) {
        if self.fault == Fault::KicksTwiceThenDrops {
            let mut state = self.state.lock().expect("unpoisoned");
            if state.routed >= 5 && !std::mem::replace(&mut state.turned_away, true) {
                self.to.shutdown(std::net::Shutdown::Both).ok();
                return;
            }
        }
        let (filter, qos) = text(&body[2..]);
        let (filter, qos) = (String::from_utf8_lossy(filter).into_owned(), qos[0]);
        let (share, filter) = match filter.strip_prefix("$share/").and_then(|f| f.split_once('/')) {
            Some((share, filter)) => (Some(share.to_owned()), filter.to_owned()),
            None => (None, filter),
        };
        let filter = TopicFilter::new(&filter).expect("a filter");
        let matches = filter.clone();
        let to = self.to.try_clone().expect("a clone");
        let subscription = Subscription { of: self.of, share, filter, qos, to };
        self.state.lock().expect("unpoisoned").subscriptions.push(subscription);
        let granted = match self.fault {
            Fault::GrantsNothing => 0,
            Fault::RefusesSubscriptions => 0x80,
            _ => qos,
        };
        self.say(&[0x90, 3, body[0], body[1], granted]);
        let kept = self.state.lock().expect("unpoisoned").retained.clone();
        for (topic, payload) in kept.iter().filter(|(topic, _)| matches.matches(topic)) {
            let mut out = Vec::new();
            let head = codec::Outgoing { topic: topic.as_bytes(), qos: 0, retain: true, dup: false, pkid: 0 };
            codec::put_publish(&mut out, Protocol::V311, head, payload.len());
            out.extend_from_slice(payload);
            self.say(&out);
        }
    }

    fn publish(&mut self, packet: &[u8]) {
        let Ok(Some((Frame::Publish { topic, payload, qos, pkid, retain }, _))) =
            codec::next(packet, Protocol::V311)
        else {
            return;
        };
        if matches!(self.fault, Fault::Silent(n) if self.state.lock().expect("unpoisoned").routed >= n) {
            return;
        }
        if retain && self.fault == Fault::KeepsAltered {
            let mut other = payload.to_vec();
            other[0] ^= 0xff;
            let topic = String::from_utf8_lossy(topic).into_owned();
            self.state.lock().expect("unpoisoned").retained.insert(topic, other);
        }
        match qos {
            1 => self.acknowledge(kind::PUBACK, &pkid.to_be_bytes()),
            2 => self.acknowledge(kind::PUBREC, &pkid.to_be_bytes()),
            _ => {}
        }
        self.route(&String::from_utf8_lossy(topic), payload, qos);
    }

    fn route(&self, topic: &str, payload: &[u8], qos: u8) {
        let state = &mut *self.state.lock().expect("unpoisoned");
        state.routed += 1;
        let n = state.routed;
        match self.fault {
            Fault::DropsAll | Fault::RefusesSubscriptions => return,
            Fault::DropsCommands if topic.ends_with("/set") && !n.is_multiple_of(3) => return,
            Fault::KicksThenDrops | Fault::KicksTwiceThenDrops if n == 5 => {
                for s in state.subscriptions.drain(..) {
                    s.to.shutdown(std::net::Shutdown::Both).ok();
                }
                return;
            }
            Fault::KicksThenDrops | Fault::KicksTwiceThenDrops if n > 60 && n.is_multiple_of(5) => return,
            _ => {}
        }
        let mut payload = payload.to_vec();
        match self.fault {
            Fault::Cuts => drop(payload.pop()),
            Fault::Alters => {
                if let Some(at) = payload.windows(2).position(|w| w == b"\":") {
                    payload.insert(at + 2, b'9');
                }
            }
            _ => {}
        }
        let to_topic =
            if self.fault == Fault::OtherTopic { format!("{topic}/other") } else { topic.to_owned() };
        let mut served: Vec<(Option<String>, u64)> = Vec::new();
        let turn = n as usize;
        let members = state.subscriptions.iter().filter(|s| s.filter.matches(topic)).count().max(1);
        let order = (0..state.subscriptions.len()).map(|i| (i + turn % members) % state.subscriptions.len());
        for i in order.collect::<Vec<_>>() {
            state.pkid = state.pkid % 60_000 + 1;
            let s = &state.subscriptions[i];
            let shared = s.share.is_some() && self.fault != Fault::ToAllMembers;
            if !s.filter.matches(topic) || shared && served.iter().any(|(share, _)| *share == s.share) {
                continue;
            }
            served.push((s.share.clone(), s.of));
            let qos = match self.fault {
                Fault::Qos(qos) => qos,
                Fault::GrantsNothing => 0,
                _ => qos.min(s.qos),
            };
            let pkid = state.pkid;
            let deliver = |payload: &[u8], retain: bool, dup: bool| {
                let mut out = Vec::new();
                let head = codec::Outgoing { topic: to_topic.as_bytes(), qos, retain, dup, pkid };
                codec::put_publish(&mut out, Protocol::V311, head, payload.len());
                out.extend_from_slice(payload);
                let mut to = s.to.try_clone().expect("a clone");
                match self.fault {
                    Fault::Late(ms) => drop(thread::spawn(move || {
                        thread::sleep(Duration::from_millis(ms));
                        to.write_all(&out).ok();
                    })),
                    _ => drop(to.write_all(&out)),
                }
            };
            deliver(&payload, false, false);
            match self.fault {
                Fault::Twice => deliver(&payload, false, qos > 0),
                Fault::TwiceKept => deliver(&payload, true, false),
                Fault::TwiceLate(ms) => {
                    let mut out = Vec::new();
                    let head =
                        codec::Outgoing { topic: to_topic.as_bytes(), qos, retain: false, dup: false, pkid };
                    codec::put_publish(&mut out, Protocol::V311, head, payload.len());
                    out.extend_from_slice(&payload);
                    let mut to = s.to.try_clone().expect("a clone");
                    thread::spawn(move || {
                        thread::sleep(Duration::from_millis(ms));
                        to.write_all(&out).ok();
                    });
                }
                Fault::Invents if n.is_multiple_of(10) => {
                    deliver(b"made up by the broker, and long enough for a stamp", false, false)
                }
                _ => {}
            }
        }
    }
}

/// Bytes of a packet before its body.
fn head(packet: &[u8]) -> usize {
    1 + packet[1..].iter().position(|b| b & 0x80 == 0).map_or(0, |at| at + 1)
}
