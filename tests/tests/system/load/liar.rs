//! A broker that lies about chosen messages: the embedded one behind a proxy that drops, repeats, swaps, alters and invents
//! deliveries, and settles the acknowledgements with either side so that none of them notices.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use twinfleet_engine::scenario::load::Protocol;
use twinfleet_twins::{
    load::{
        codec::{self, Frame, kind},
        stamp::Stamp,
    },
    wire::broker::{Broker, BrokerConfig},
};

/// What happens to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It is not handed on.
    Drop,
    /// It is handed on twice.
    Repeat,
    /// It is handed on behind the next one of its device.
    Swap,
    /// A byte of its filler is another.
    Alter,
    /// One that nobody sent follows it.
    Invent,
}

/// Lies by (device, number of the message).
pub type Lies = BTreeMap<(u32, u32), Lie>;

/// The lying broker; it ends with its handle.
pub struct Liar {
    pub addr: SocketAddr,
    _broker: Broker,
    stop: Arc<AtomicBool>,
}

impl Liar {
    pub fn start(lies: Lies) -> Self {
        let broker = Broker::start(BrokerConfig::default()).expect("the embedded broker");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (addr, upstream) = (listener.local_addr().expect("an address"), broker.addr());
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let lies = Arc::new(lies);
        thread::spawn(move || {
            for client in listener.incoming() {
                if ended.load(Relaxed) {
                    return;
                }
                let (Ok(client), Ok(broker)) = (client, TcpStream::connect(upstream)) else { return };
                relay(client, broker, Arc::clone(&lies));
            }
        });
        Self { addr, _broker: broker, stop }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.addr);
    }
}

/// Packet ids of copies that the broker knows nothing of.
const OWN: std::ops::Range<u16> = 60_000..65_000;

fn relay(client: TcpStream, broker: TcpStream, lies: Arc<Lies>) {
    let to_client = Arc::new(Mutex::new(client.try_clone().expect("a clone")));
    let to_broker = Arc::new(Mutex::new(broker.try_clone().expect("a clone")));
    for stream in [&client, &broker] {
        stream.set_nodelay(true).expect("TCP_NODELAY");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    }
    let (back, up) = (Arc::clone(&to_client), Arc::clone(&to_broker));
    // From the client: all but what answers the proxy's own copies.
    thread::spawn(move || {
        packets(client, |packet| {
            let pkid = || u16::from_be_bytes([packet[2], packet[3]]);
            match packet[0] & 0xf0 {
                0x40 | 0x70 if OWN.contains(&pkid()) => {}
                0x50 if OWN.contains(&pkid()) => {
                    let mut answer = Vec::new();
                    codec::put_ack(&mut answer, kind::PUBREL, pkid());
                    back.lock().expect("unpoisoned").write_all(&answer).ok();
                }
                _ => {
                    up.lock().expect("unpoisoned").write_all(packet).ok();
                }
            }
        });
    });
    thread::spawn(move || {
        let mut teller = Teller { lies, own: OWN.start, held: BTreeMap::new() };
        packets(broker, |packet| {
            let (down, up) = teller.tell(packet);
            to_client.lock().expect("unpoisoned").write_all(&down).ok();
            to_broker.lock().expect("unpoisoned").write_all(&up).ok();
        });
        let _ = to_client.lock().expect("unpoisoned").shutdown(std::net::Shutdown::Both);
    });
}

/// Calls `on` with each whole packet that comes.
pub fn packets(mut from: TcpStream, mut on: impl FnMut(&[u8])) {
    let (mut buffer, mut chunk) = (Vec::new(), [0; 64 << 10]);
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..n]);
        let mut used = 0;
        while let Some(length) = whole(&buffer[used..]) {
            on(&buffer[used..used + length]);
            used += length;
        }
        buffer.drain(..used);
    }
}

/// Length of the packet at the front of the bytes, once it is whole.
pub fn whole(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for i in 0..4 {
        let byte = bytes.get(1 + i)?;
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return (bytes.len() >= 2 + i + length).then_some(2 + i + length);
        }
    }
    None
}

struct Teller {
    lies: Arc<Lies>,
    own: u16,
    /// Deliveries to be swapped with the next of their device.
    held: BTreeMap<u32, Vec<u8>>,
}

impl Teller {
    /// What goes to the client, and what is answered to the broker.
    fn tell(&mut self, packet: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let all = (packet.to_vec(), Vec::new());
        let Ok(Some((Frame::Publish { topic, payload, qos, pkid, .. }, _))) =
            codec::next(packet, Protocol::V311)
        else {
            return all;
        };
        let Some(stamp) = Stamp::read(payload) else { return all };
        let mut down = Vec::new();
        let mut up = Vec::new();
        let lie = self.lies.get(&(stamp.device, stamp.seq)).copied();
        let mut copy = |down: &mut Vec<u8>, payload: &[u8]| {
            self.own += 1;
            let head = codec::Outgoing { topic, qos, retain: false, dup: false, pkid: self.own };
            codec::put_publish(down, Protocol::V311, head, payload.len());
            down.extend_from_slice(payload);
        };
        match lie {
            None => down.extend_from_slice(packet),
            Some(Lie::Drop) => match qos {
                1 => codec::put_ack(&mut up, kind::PUBACK, pkid),
                2 => {
                    codec::put_ack(&mut up, kind::PUBREC, pkid);
                    codec::put_ack(&mut up, kind::PUBCOMP, pkid);
                }
                _ => {}
            },
            Some(Lie::Repeat) => {
                down.extend_from_slice(packet);
                copy(&mut down, payload);
            }
            Some(Lie::Swap) => {
                self.held.insert(stamp.device, packet.to_vec());
                return (down, up);
            }
            Some(Lie::Alter) => {
                let mut other = packet.to_vec();
                let at = packet.len() - payload.len();
                other[at] ^= 0xff;
                down.extend_from_slice(&other);
            }
            Some(Lie::Invent) => {
                down.extend_from_slice(packet);
                let mut forged = Vec::new();
                Stamp { seq: stamp.seq + 1_000_000, ..stamp }.put(&mut forged, payload.len());
                copy(&mut down, &forged);
            }
        }
        if let Some(before) = self.held.remove(&stamp.device) {
            down.extend_from_slice(&before);
        }
        (down, up)
    }
}
