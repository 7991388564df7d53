//! How to connect, what comes in, and what a broker's refusal means.

use crate::wire::{WireError, codec::versions::Refusal, tls::Identity, url::BrokerUrl};
use bytes::Bytes;
use std::{
    collections::{BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

/// A version of MQTT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.1.1, protocol level 4.
    #[default]
    V4,
    /// 5.0, protocol level 5.
    V5,
}

/// How to connect, and to what.
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    /// The broker.
    pub url: BrokerUrl,
    /// The version to speak.
    pub version: Version,
    /// MQTT client id; brokers let one connection at a time have it.
    pub client_id: String,
    /// Whether the broker forgets what it knew of this client id, now and at the end.
    pub clean_session: bool,
    /// Longest silence between us and the broker, [s]; 0 for no limit. It has to be longer than the caller may stay away
    /// from [`Connection::pump`].
    pub keep_alive_s: u16,
    /// How long the broker keeps a session that is not clean once the connection has ended, [s]; in version 5 only, as
    /// 3.1.1 leaves it to the broker.
    pub session_expiry_s: u32,
    /// Messages of QoS 1 and 2 that the broker may send before the first of them is acknowledged; in version 5 only.
    pub receive_maximum: u16,
    /// A PEM file of the certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for a broker that asks for one.
    pub identity: Option<Identity>,
    /// Whether messages that come wait for [`Connection::acknowledge`].
    pub hold_acks: bool,
    /// Whether what was published at QoS 1 and 2 is kept until the broker has acknowledged it.
    pub keep: bool,
    /// Packet ids of QoS 2 messages that a session which goes on had taken and the broker not yet released.
    pub received_qos2: BTreeSet<u16>,
    /// What the broker publishes for us when the connection breaks: topic, payload, quality of service, retain flag.
    pub will: Option<(String, Vec<u8>, u8, bool)>,
    /// Largest packet taken, [bytes].
    pub max_packet_bytes: usize,
    /// How long to wait for the connection and the broker's answer.
    pub timeout: Duration,
}

impl ConnectOptions {
    /// A clean session with the broker at this address, without TLS.
    pub fn new(address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self::to(BrokerUrl::plain(host, port))
    }

    /// A clean session with this broker.
    pub fn to(url: BrokerUrl) -> Self {
        Self {
            url,
            version: Version::V4,
            client_id: unique_client_id(),
            clean_session: true,
            keep_alive_s: 600,
            session_expiry_s: u32::MAX,
            receive_maximum: u16::MAX,
            ca_file: None,
            identity: None,
            hold_acks: false,
            keep: false,
            received_qos2: BTreeSet::new(),
            will: None,
            max_packet_bytes: 64 << 20,
            timeout: Duration::from_secs(10),
        }
    }
}

/// A client id that no other process has, within the 23 characters that every broker accepts.
fn unique_client_id() -> String {
    // The standard library seeds its hasher from the system's entropy: no more is needed of a name.
    format!("twinfleet-{:012x}", RandomState::new().hash_one(std::process::id()) & 0xffff_ffff_ffff)
}

/// A message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub(super) topic: Bytes,
    /// MQTT payload.
    pub payload: Bytes,
    /// Quality of service it was delivered with, 0–2.
    pub qos: u8,
    /// Set on what the broker had kept, not on what passes.
    pub retain: bool,
    /// Set on what the broker had sent before and saw no acknowledgement of.
    pub dup: bool,
}

impl Received {
    /// MQTT topic.
    pub fn topic(&self) -> &str {
        // The codec has checked that topics are UTF-8.
        std::str::from_utf8(&self.topic).unwrap_or_default()
    }
}

/// A refusal in words, with what to try.
pub(super) fn refused(broker: &str, refusal: Refusal, with_login: bool, version: Version) -> WireError {
    let login_advice = if with_login {
        "Check user name and password in the URL"
    } else {
        "It may want a login: `mqtt://user:password@host`"
    };
    let (reason, advice) = match refusal {
        Refusal::Version if version == Version::V5 => {
            ("it does not speak MQTT 5".into(), "Speak 3.1.1 with it (`--mqtt 3`)")
        }
        Refusal::Version => {
            ("it does not speak MQTT 3.1.1".into(), "Enable version 3.1.1 (protocol level 4) there")
        }
        Refusal::ClientId => (
            "it does not accept the client id".into(),
            "Its rules may want certain ids, or a shorter keep-alive",
        ),
        Refusal::Unavailable => ("the service is unavailable".into(), "Look at its log; try again later"),
        Refusal::Login => ("wrong user name or password".into(), login_advice),
        Refusal::NotAuthorised => ("not authorised".into(), login_advice),
        Refusal::Other(said) => (said.into(), "Look at its log"),
    };
    WireError::Refused { broker: broker.to_owned(), reason, advice }
}
