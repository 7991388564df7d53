//! Where a load goes: the broker, its address, and how connections with it are wrapped.

use super::Args;
use crate::exit::Failure;
use std::net::{SocketAddr, ToSocketAddrs};
use twinfleet_twins::{
    load::secure::{Secure, Wraps},
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

/// A URL of WebSocket as one of plain MQTT, and its path.
fn split_web(text: &str) -> (String, Option<String>) {
    let (scheme, rest, port) = match text.split_once("://") {
        Some(("ws", rest)) => ("mqtt", rest, 80),
        Some(("wss", rest)) => ("mqtts", rest, 443),
        _ => return (text.to_owned(), None),
    };
    let (place, path) = match rest.split_once('/') {
        Some((place, path)) => (place, format!("/{path}")),
        None => (rest, "/mqtt".to_owned()),
    };
    let host = place.rsplit('@').next().unwrap_or(place);
    let has_port = host.rsplit_once(':').is_some_and(|(h, p)| !h.is_empty() && !p.contains(']'));
    let port = if has_port { String::new() } else { format!(":{port}") };
    (format!("{scheme}://{place}{port}"), Some(path))
}

impl Target {
    pub fn open(args: &Args) -> Result<Self, Failure> {
        let (text, path) = split_web(&args.broker);
        let choice: BrokerChoice = text.parse().map_err(crate::run::wire)?;
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
        let secure = Secure {
            tls_host: url.tls.then(|| url.host.clone()),
            ca_file: args.ca_file.clone(),
            identity: args.cert.clone().zip(args.key.clone()),
            web_socket: path.clone().map(|path| (url.place(), path)),
        };
        if !url.tls && (secure.ca_file.is_some() || secure.identity.is_some()) {
            return Err(Failure::input("--ca-file and --cert are for TLS: write `mqtts://` or `wss://`"));
        }
        let wraps = Wraps::new(&secure).map_err(Failure::input)?;
        // A certificate that cannot be read is the user's mistake, not the broker's.
        wraps.of("stranger").map(drop).or_else(|e| match &args.cert {
            Some(cert) if cert.contains("{device}") => Ok(()),
            _ => Err(Failure::input(e)),
        })?;
        let name = match (&path, &choice) {
            (Some(path), BrokerChoice::Url(url)) => {
                format!("{}{path}", url.to_string().replacen("mqtt", "ws", 1))
            }
            _ => choice.to_string(),
        };
        let is_wrapped = url.tls || path.is_some();
        Ok(Self { name, url, address, wraps, is_wrapped, _embedded: own })
    }
}

#[cfg(test)]
mod tests {
    use super::split_web;

    #[test]
    fn web_socket_urls_have_a_port_and_a_path() {
        let of = |text: &str| split_web(text);
        assert_eq!(of("ws://h"), ("mqtt://h:80".to_owned(), Some("/mqtt".to_owned())));
        assert_eq!(of("wss://u:p@h:99/a/b"), ("mqtts://u:p@h:99".to_owned(), Some("/a/b".to_owned())));
        assert_eq!(of("ws://[::1]"), ("mqtt://[::1]:80".to_owned(), Some("/mqtt".to_owned())));
        assert_eq!(of("mqtt://h"), ("mqtt://h".to_owned(), None));
    }
}
