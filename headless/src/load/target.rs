//! Where a load goes: the broker, its address, and how connections with it are wrapped.

use super::Args;
use crate::exit::Failure;
use std::net::{SocketAddr, ToSocketAddrs};
use twinfleet_twins::{
    load::secure::Wraps,
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
    /// Whether connections are more than plain TCP.
    pub is_wrapped: bool,
    /// The broker within this process, if it is one.
    _embedded: Option<Broker>,
}

impl Target {
    pub fn open(args: &Args) -> Result<Self, Failure> {
        let choice: BrokerChoice = args.broker.parse().map_err(crate::run::wire)?;
        let (url, own) = match &choice {
            BrokerChoice::None => {
                return Err(Failure::input(
                    "--broker none: a load needs a broker; write `--broker mqtt://127.0.0.1:1883`, or `embedded`",
                ));
            }
            BrokerChoice::Url(url) => (url.clone(), None),
            BrokerChoice::Embedded | BrokerChoice::EmbeddedAt(_) => {
                let port = if let BrokerChoice::EmbeddedAt(port) = choice { port } else { 0 };
                let listen = ([127, 0, 0, 1], port).into();
                let config = BrokerConfig { listen, max_connections: 65_536, ..BrokerConfig::default() };
                let broker = Broker::start(config).map_err(crate::run::wire)?;
                let at: BrokerChoice =
                    format!("mqtt://{}", broker.addr()).parse().map_err(crate::run::wire)?;
                let BrokerChoice::Url(url) = at else { return Err(Failure::outside("no embedded broker")) };
                (url, Some(broker))
            }
        };
        let unreachable =
            |why: String| Failure::outside(format!("cannot reach the broker {}: {why}", url.place()));
        let address = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|e| unreachable(format!("the name cannot be resolved ({e})")))?
            .min_by_key(|a| !a.is_ipv4())
            .ok_or_else(|| unreachable("the name has no address".to_owned()))?;
        if !url.tls && (args.ca_file.is_some() || args.cert.is_some()) {
            return Err(Failure::input("--ca-file and --cert are for TLS: write `mqtts://` or `wss://`"));
        }
        let identity = args.cert.clone().zip(args.key.clone());
        let wraps = Wraps::new(&url, args.ca_file.clone(), identity).map_err(crate::run::wire)?;
        // A certificate for all that cannot be read is told before anything is opened; one a device has to wait for its device.
        if args.cert.as_ref().is_some_and(|cert| !cert.contains("{device}")) {
            wraps.of("").map_err(crate::run::wire)?;
        }
        let name = choice.to_string();
        let is_wrapped = url.tls || url.websocket.is_some();
        Ok(Self { name, url, address, wraps, is_wrapped, _embedded: own })
    }
}
