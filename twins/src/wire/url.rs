//! Which broker a run uses: what `--broker` takes.
//!
//! ```
//! use twinfleet_twins::wire::url::BrokerChoice;
//!
//! let choice: BrokerChoice = "mqtts://lab:secret@broker.example".parse()?;
//! assert_eq!(choice.to_string(), "mqtts://lab:***@broker.example:8883");
//! assert!("http://broker.example".parse::<BrokerChoice>().is_err());
//! # Ok::<(), twinfleet_twins::wire::WireError>(())
//! ```

use super::WireError;
use rumqttc::tokio_rustls::rustls::pki_types::ServerName;
use std::{fmt, str::FromStr};

/// The port of MQTT over TCP, registered with IANA.
pub const MQTT_PORT: u16 = 1883;
/// The port of MQTT over TLS, registered with IANA.
pub const MQTTS_PORT: u16 = 8883;
/// The path of MQTT over WebSocket that brokers listen on unless told otherwise.
const WEBSOCKET_PATH: &str = "/mqtt";

/// A broker in another process, maybe on another machine.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Host name, IPv4 address, or IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether to speak TLS.
    pub tls: bool,
    /// The path, where MQTT goes over WebSocket.
    pub websocket: Option<String>,
    /// User name and password, if any.
    pub login: Option<(String, String)>,
}

/// What `--broker` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum BrokerChoice {
    /// Messages go round inside the process.
    None,
    /// The embedded broker, at this port of the loopback address, or at a free one.
    #[default]
    Embedded,
    /// The embedded broker at this port of the loopback address.
    EmbeddedAt(u16),
    /// Another one.
    Url(BrokerUrl),
}

impl BrokerUrl {
    /// MQTT at this place, without TLS, WebSocket or login.
    pub fn plain(host: String, port: u16) -> Self {
        Self { host, port, tls: false, websocket: None, login: None }
    }

    /// The name that its certificate has to hold.
    ///
    /// # Errors
    /// [`WireError::BadUrl`] for a host that no certificate can name.
    pub fn server_name(&self) -> Result<ServerName<'static>, WireError> {
        ServerName::try_from(self.host.clone()).map_err(|_| WireError::BadUrl {
            text: self.to_string(),
            problem: "TLS needs a host name or an IP address".to_owned(),
        })
    }

    /// `host:port`, as it is shown in messages.
    pub fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.tls, &self.websocket) {
            (false, None) => "mqtt://",
            (true, None) => "mqtts://",
            (false, Some(_)) => "ws://",
            (true, Some(_)) => "wss://",
        })?;
        match &self.login {
            Some((user, password)) if password.is_empty() => write!(f, "{user}@")?,
            Some((user, _)) => write!(f, "{user}:***@")?,
            None => {}
        }
        f.write_str(&self.place())?;
        f.write_str(self.websocket.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for BrokerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Embedded => f.write_str("embedded"),
            Self::EmbeddedAt(port) => write!(f, "embedded:{port}"),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

impl FromStr for BrokerChoice {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        match text {
            "none" => return Ok(Self::None),
            "embedded" => return Ok(Self::Embedded),
            _ => {}
        }
        let bad =
            |problem: &str| WireError::BadUrl { text: without_password(text), problem: problem.to_owned() };
        if let Some(port) = text.strip_prefix("embedded:") {
            return port
                .parse()
                .map(Self::EmbeddedAt)
                .map_err(|_| bad("the port is a number from 0 to 65535"));
        }
        let (tls, web, rest) = match text.split_once("://") {
            Some(("mqtt" | "tcp", rest)) => (false, false, rest),
            Some(("mqtts" | "ssl", rest)) => (true, false, rest),
            Some(("ws", rest)) => (false, true, rest),
            Some(("wss", rest)) => (true, true, rest),
            Some((scheme, _)) => return Err(bad(&format!("the scheme `{scheme}` is unknown"))),
            None => return Err(bad("a scheme is missing")),
        };
        let (login, place) = match rest.rsplit_once('@') {
            Some((login, place)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                let decode = |s| {
                    decode_percent(s)
                        .ok_or_else(|| bad("a `%` in the login is not followed by two hex digits"))
                };
                (Some((decode(user)?, decode(password)?)), place)
            }
            None => (None, rest),
        };
        let (place, path) = match place.find('/') {
            Some(at) => place.split_at(at),
            None => (place, ""),
        };
        if place.contains(['?', '#']) || path.contains(['#', ' ']) || !web && path.len() > 1 {
            return Err(bad("a path is not expected"));
        }
        let path = if path.len() > 1 { path } else { WEBSOCKET_PATH };
        let (host, port) = split_port(place);
        let port = match port {
            None => match (web, tls) {
                (false, false) => MQTT_PORT,
                (false, true) => MQTTS_PORT,
                (true, false) => 80,
                (true, true) => 443,
            },
            Some(port) => match port.parse() {
                Ok(port) if port > 0 => port,
                _ => return Err(bad("the port is a number from 1 to 65535")),
            },
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(bad("the host is missing"));
        }
        if login.as_ref().is_some_and(|(user, _)| user.is_empty()) {
            return Err(bad("the user name is missing"));
        }
        let websocket = web.then(|| path.to_owned());
        Ok(Self::Url(BrokerUrl { host: host.to_owned(), port, tls, websocket, login }))
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
fn split_port(place: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    }
}

fn decode_percent(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16));
            (digit(bytes.next())? * 16 + digit(bytes.next())?) as u8
        } else {
            byte
        });
    }
    String::from_utf8(decoded).ok()
}

/// The text with everything between scheme and host taken out, for messages about text that could not be read.
fn without_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, place)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://***@{place}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_are_shown_as_they_are_read() {
        for (text, shown) in [
            ("none", "none"),
            ("embedded", "embedded"),
            ("embedded:1884", "embedded:1884"),
            ("mqtt://localhost", "mqtt://localhost:1883"),
            ("mqtts://h/", "mqtts://h:8883"),
            ("mqtt://[::1]:99", "mqtt://[::1]:99"),
            ("ws://h", "ws://h:80/mqtt"),
            ("wss://u:p@ss@h:8084/broker/mqtt?x=1", "wss://u:***@h:8084/broker/mqtt?x=1"),
            ("mqtt://u@h:1", "mqtt://u@h:1"),
            ("mqtt://u:p@ss:w@h:1", "mqtt://u:***@h:1"),
        ] {
            let choice: BrokerChoice = text.parse().unwrap();
            assert_eq!(choice.to_string(), shown);
            assert!(!format!("{choice:?}").contains("p@ss"));
        }
        let Ok(BrokerChoice::Url(url)) = "mqtt://a%40b:p%3Aw@h".parse() else { panic!("not read") };
        assert_eq!(url.login, Some(("a@b".to_owned(), "p:w".to_owned())));
    }

    #[test]
    fn bad_ones_are_refused_without_the_password() {
        for text in [
            "",
            "h",
            "http://h",
            "ws:///mqtt",
            "mqtt://",
            "mqtt://h:x",
            "mqtt://h:0",
            "mqtt://h:70000",
            "mqtt://h/topic",
            "embedded:x",
            "mqtt://u:geheim@",
            "mqtt://u:geheim@h:x",
            "mqtt://u:geheim%zz@h",
            "xx://u:geheim@h",
        ] {
            let error = text.parse::<BrokerChoice>().expect_err(text);
            assert!(error.is_input());
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
    }
}
