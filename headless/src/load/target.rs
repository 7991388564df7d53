//! Where a load goes: the broker, its address, and how connections with it are wrapped.

use super::Args;
use crate::exit::Failure;
use std::{
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};
use twinfleet_engine::scenario::load::{LoadDef, Protocol};
use twinfleet_twins::{
    load::{secure::Wraps, socket::Sources},
    wire::{
        broker::{Broker, BrokerConfig},
        url::{BrokerChoice, BrokerUrl},
    },
};

/// A broker to be put under load.
pub struct Target {
    /// As it is shown, without a password.
    pub name: String,
    pub url: BrokerUrl,
    pub address: SocketAddr,
    pub wraps: Wraps,
    /// The broker within this process, if it is one.
    pub embedded: Option<Embedded>,
}

/// The embedded broker, which may be stopped and started again at its address.
#[derive(Clone)]
pub struct Embedded {
    config: BrokerConfig,
    running: Arc<Mutex<Option<Broker>>>,
}

impl Embedded {
    fn start(port: u16) -> Result<(Self, SocketAddr), Failure> {
        let listen = ([127, 0, 0, 1], port).into();
        let config = BrokerConfig { listen, max_connections: 65_536, ..BrokerConfig::default() };
        let broker = Broker::start(config.clone()).map_err(crate::run::wire)?;
        let address = broker.addr();
        let config = BrokerConfig { listen: address, ..config };
        Ok((Self { config, running: Arc::new(Mutex::new(Some(broker))) }, address))
    }

    /// Stops it, which breaks all connections and forgets all sessions, and starts it again so much later.
    pub fn restart(&self, down: Duration) -> Result<(), Failure> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        drop(running.take());
        thread::sleep(down);
        *running = Some(Broker::start(self.config.clone()).map_err(crate::run::wire)?);
        Ok(())
    }
}

impl Target {
    pub fn open(args: &Args, load: &LoadDef) -> Result<Self, Failure> {
        let choice: BrokerChoice = args.broker.parse().map_err(crate::run::wire)?;
        let (url, own) = match &choice {
            BrokerChoice::None => {
                return Err(Failure::input(
                    "--broker none: a load needs a broker; write `--broker mqtt://127.0.0.1:1883`, or `embedded`",
                ));
            }
            BrokerChoice::Url(url) => (url.clone(), None),
            BrokerChoice::Embedded | BrokerChoice::EmbeddedAt(_) => {
                if load.protocol == Protocol::V5 {
                    return Err(Failure::input(
                        "`protocol: V5`: the embedded broker speaks MQTT 3.1.1; write `--set load.protocol=V311`, or name another \
                         broker with --broker",
                    ));
                }
                let port = if let BrokerChoice::EmbeddedAt(port) = choice { port } else { 0 };
                let (broker, at) = Embedded::start(port)?;
                (BrokerUrl::plain(at.ip().to_string(), at.port()), Some(broker))
            }
        };
        let unreachable =
            |why: String| Failure::outside(format!("cannot reach the broker {}: {why}", url.place()));
        let address = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|e| unreachable(format!("the name cannot be resolved ({e})")))?
            .min_by_key(|a| !a.is_ipv4())
            .ok_or_else(|| unreachable("the name has no address".to_owned()))?;
        if let Some(sources) = args.source.as_ref().filter(|_| !address.is_ipv4()) {
            return Err(Failure::input(format!(
                "--source {sources}: the broker is at the IPv6 address {address}, which IPv4 addresses do not reach; name it by an \
                 IPv4 address, or leave --source out"
            )));
        }
        if let Some(foreign) = args.source.as_ref().and_then(Sources::foreign) {
            return Err(Failure::input(format!(
                "--source: this machine has no address {foreign}; `ip address` lists those that it has, and all of 127.0.0.0/8 are \
                 among them"
            )));
        }
        if !url.tls && args.tls.are_given() {
            return Err(Failure::input("--ca-file and --cert are for TLS: write `mqtts://` or `wss://`"));
        }
        let identity = args.tls.identity().map(|(cert, key)| (cert.clone(), key.clone()));
        let wraps = Wraps::new(&url, args.tls.ca_file.clone(), identity).map_err(crate::run::wire)?;
        // A certificate for all that cannot be read is told before anything is opened; one a device has to wait for its device.
        if args.tls.cert.as_ref().is_some_and(|cert| !cert.contains("{device}")) {
            wraps.of("").map_err(crate::run::wire)?;
        }
        let name = choice.to_string();
        Ok(Self { name, url, address, wraps, embedded: own })
    }
}
