//! Datagrams between the devices of a run.
//!
//! Every device has an address, `10.x.y.z` by its place in the fleet, and is found by its id. A datagram travels as a message
//! of the run, on a topic of its own: through the device's link, with its latency, losses and airtime, and through the
//! broker if there is one. It takes whole steps, as every message does. Nobody hears one that is sent to an address without
//! an ear, and the network outside is not there.

use super::{
    machine::{hex, unhex},
    mqtt::Came,
};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use twinfleet_engine::{message::TopicFilter, plan::Plan};

/// First level of the topics.
const TOPIC: &str = "twinfleet-udp";
/// Datagrams that an ear keeps; beyond, they are lost, as on a real device.
const KEPT: usize = 256;
/// An address.
pub type Address = [u8; 4];

/// The broker's.
const BROKER: Address = [10, 0, 0, 1];

/// The devices' addresses.
#[derive(Debug, Default)]
pub struct Addresses {
    all: HashMap<String, Address>,
    /// Those of devices that run scripts.
    scripted: HashSet<Address>,
}

impl Addresses {
    /// Those of a plan's devices.
    pub fn new(plan: &Plan) -> Self {
        let mut addresses = Self::default();
        for group in &plan.groups {
            let scripted = group.firmware.as_ref().is_some_and(|f| f.script.is_some());
            for i in 0..group.count {
                // 10.0.0.1 is the broker's.
                let [_, x, y, z] = (group.first + i + 1 + (1 << 16)).to_be_bytes();
                let address = [10, x, y, z];
                addresses.all.insert(plan.device_id(group, i), address);
                if scripted {
                    addresses.scripted.insert(address);
                }
            }
        }
        addresses
    }

    /// Where a name leads: a device of the run, or else the broker.
    pub fn find(&self, name: &str) -> Address {
        self.all.get(name).copied().unwrap_or(BROKER)
    }

    /// The device of the run that a name or an address leads to.
    pub fn device(&self, host: &str) -> Option<Address> {
        let [_, x, y, z] = match self.all.get(host) {
            Some(address) => return Some(*address),
            None => host.parse::<std::net::Ipv4Addr>().ok().map(|a| a.octets()).filter(|a| a[0] == 10)?,
        };
        // Addresses count up from the first.
        let number = u32::from_be_bytes([0, x, y, z]).checked_sub(1 << 16)?;
        (1..=self.all.len() as u32).contains(&number).then_some([10, x, y, z])
    }

    /// Whether a device runs a script, which may serve a port.
    pub fn is_scripted(&self, device: Address) -> bool {
        self.scripted.contains(&device)
    }

    /// How many devices run scripts.
    pub fn scripted(&self) -> usize {
        self.scripted.len()
    }
}

struct Datagram {
    from: Address,
    port: u16,
    to: String,
    bytes: Vec<u8>,
}

/// What a device hears, by its ports.
#[derive(Default)]
pub struct Ears {
    own: Address,
    ears: BTreeMap<u16, VecDeque<Datagram>>,
}

impl Ears {
    /// A device with this address.
    pub fn new(own: Address) -> Self {
        Self { own, ears: BTreeMap::new() }
    }

    /// All of them are shut.
    pub fn shut(&mut self) {
        self.ears.clear();
    }

    /// Answers one question, or none of its own.
    pub fn serve(&mut self, words: &[&str], addresses: &Addresses, came: &mut Came) -> Option<String> {
        let port = |text: &str| text.parse::<u16>().map_err(|_| "nodata".to_owned());
        let answer = match words {
            ["address", "-"] => Ok(dotted(self.own)),
            ["address", name] => Ok(dotted(addresses.find(name))),
            ["ubind", p] => port(p).map(|p| {
                self.ears.entry(p).or_default();
                came.filters
                    .extend([dotted(self.own), "255.255.255.255".to_owned()].map(|to| filter(&to, p)));
                String::new()
            }),
            ["ujoin", group, p] => port(p).map(|p| {
                came.filters.push(filter(group, p));
                String::new()
            }),
            ["uclose", p] => port(p).map(|p| {
                self.ears.remove(&p);
                String::new()
            }),
            ["usend", from, to, p, bytes] => self.send(from, to, p, bytes).map(|said| {
                came.said.push(said);
                String::new()
            }),
            ["urecv", p] => port(p).map(|p| {
                let next = self.ears.get_mut(&p).and_then(VecDeque::pop_front);
                next.map_or_else(String::new, |d| {
                    format!("{} {} {} {}", dotted(d.from), d.port, d.to, hex(d.bytes))
                })
            }),
            _ => return None,
        };
        Some(match answer {
            Ok(words) if words.is_empty() => "ok".to_owned(),
            Ok(words) => format!("ok {words}"),
            Err(why) => format!("err {why}"),
        })
    }

    fn send(&self, from: &str, to: &str, port: &str, bytes: &str) -> Result<super::mqtt::Said, String> {
        let parsed = |text: &str| text.parse::<u16>().map_err(|_| "nodata".to_owned());
        let (from, port, bytes) = (parsed(from)?, parsed(port)?, unhex(bytes)?);
        // What is no address is no topic either.
        let to: std::net::IpAddr = to.parse().map_err(|_| "unreachable".to_owned())?;
        let mut payload = Vec::from(self.own);
        payload.extend(from.to_be_bytes());
        payload.extend(bytes);
        Ok((format!("{TOPIC}/{to}/{port}"), payload, 0, false))
    }

    /// Whether a topic is that of a datagram.
    pub fn is_datagram(topic: &str) -> bool {
        topic.starts_with(TOPIC)
    }

    /// Takes in a message of the run. Whether it was a datagram.
    pub fn hear(&mut self, topic: &str, payload: &[u8]) -> bool {
        let Some(rest) = topic.strip_prefix(TOPIC).and_then(|r| r.strip_prefix('/')) else { return false };
        let Some((to, port)) = rest.rsplit_once('/') else { return true };
        let Some((from, bytes)) = payload.split_first_chunk::<4>() else { return true };
        let Some((source, bytes)) = bytes.split_first_chunk::<2>() else { return true };
        let ear = port.parse().ok().and_then(|port: u16| self.ears.get_mut(&port));
        if let Some(ear) = ear.filter(|ear| ear.len() < KEPT && *from != self.own) {
            ear.push_back(Datagram {
                from: *from,
                port: u16::from_be_bytes(*source),
                to: to.to_owned(),
                bytes: bytes.to_vec(),
            });
        }
        true
    }
}

/// An address as one writes it.
pub fn dotted(address: Address) -> String {
    std::net::Ipv4Addr::from(address).to_string()
}

fn filter(to: &str, port: u16) -> TopicFilter {
    let text = format!("{TOPIC}/{to}/{port}");
    TopicFilter::new(&text).unwrap_or_else(|_| unreachable!("an address has no wildcards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_is_heard_where_it_was_sent_to_and_nowhere_else() {
        let all = HashMap::from([("b".to_owned(), [10, 1, 0, 2])]);
        let addresses = Addresses { all, ..Addresses::default() };
        let (mut a, mut b) = (Ears::new([10, 1, 0, 1]), Ears::new([10, 1, 0, 2]));
        let mut came = Came::default();
        let mut ask = |of: &mut Ears, words: &str| {
            let words: Vec<&str> = words.split(' ').collect();
            of.serve(&words, &addresses, &mut came).expect("its question")
        };
        assert_eq!(ask(&mut a, "address b"), "ok 10.1.0.2");
        assert_eq!(ask(&mut a, "address elsewhere"), "ok 10.0.0.1");
        assert_eq!(ask(&mut b, "ubind 9"), "ok");
        assert_eq!(ask(&mut a, "usend 77 10.1.0.2 9 abcd"), "ok");
        assert_eq!(ask(&mut a, "usend 77 a/b 9 abcd"), "err unreachable");
        let (topic, payload, ..) = came.said.remove(0);
        assert!(came.filters.iter().any(|f| f.matches(&topic)));
        assert!(a.hear(&topic, &payload) && b.hear(&topic, &payload) && !b.hear("b/9", b""));
        let ask = |of: &mut Ears| of.serve(&["urecv", "9"], &addresses, &mut Came::default());
        assert_eq!(ask(&mut b).as_deref(), Some("ok 10.1.0.1 77 10.1.0.2 abcd"));
        assert_eq!(ask(&mut b).as_deref(), Some("ok"));
        assert_eq!(ask(&mut a).as_deref(), Some("ok"));
    }
}
