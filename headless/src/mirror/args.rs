//! The options of `mirror`, and the connection that they describe.

use crate::{exit::Failure, login::Login};
use clap::Args as ClapArgs;
use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use twinfleet_engine::time::Span;
use twinfleet_twins::wire::client::ConnectOptions;

/// Longest silence between mirror and broker, [s].
const KEEP_ALIVE_S: u16 = 30;
/// Largest message that is taken, [bytes].
const MAX_PACKET_BYTES: usize = 1 << 20;
/// Messages of QoS 1 and 2 that a broker of MQTT 5 may send before one commit has acknowledged them.
const RECEIVE_MAXIMUM: u16 = 2_000;
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of `mirror`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Scenario file, or the name of a shipped scenario: its `mirror` section says whom to follow.
    pub file: String,
    /// Broker: `mqtt[s]://[user@]host[:port]`, or over WebSocket `ws[s]://host[:port][/path]`.
    #[arg(long, env = "TWINFLEET_BROKER", hide_env_values = true, value_name = "URL")]
    pub broker: String,
    /// Folder of what is kept: messages, state documents, history, events. Made if it does not exist. Default: beside the
    /// scenario file, `house.store` for `house.ron`; of a shipped scenario, NAME.store where the command is run.
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Address of the status page, the API and the metrics, such as 127.0.0.1:9464; a port alone is of the loopback address.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub status: Option<SocketAddr>,
    #[command(flatten)]
    pub login: Login,
    /// MQTT client id, by which the broker keeps what comes while we are away. Default: one of the store's own.
    #[arg(long, value_name = "ID")]
    pub client_id: Option<String>,
    /// Quality of service of the subscriptions: 0, 1 or 2.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub qos: u8,
    /// What the mirror's own topics begin with: PREFIX/status, PREFIX/TWIN/state.
    #[arg(long, default_value = "twinfleet", value_parser = crate::args::parse_prefix)]
    pub prefix: String,
    /// How often a twin's state is published at most; a verdict at once.
    #[arg(long, value_name = "SPAN", default_value = "5s")]
    pub publish_every: Span,
    /// Publish nothing back: neither states nor answers nor Home Assistant's discovery.
    #[arg(long)]
    pub silent: bool,
    /// Prefix of Home Assistant's discovery.
    #[arg(long, default_value = "homeassistant", value_name = "PREFIX", value_parser = crate::args::parse_prefix)]
    pub ha_prefix: String,
    /// How long history is kept.
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    pub keep: Span,
    /// How much of the messages is kept, and read again by the twins at the next start.
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    pub replay: Span,
    /// Threads of the twins, 1 to 256.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: u16,
    /// Override a field of the scenario; repeatable.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub sets: Vec<String>,
    /// A folder with a catalog of your own; repeatable.
    #[arg(long, value_name = "DIR")]
    pub catalog: Vec<PathBuf>,
    /// Say nothing but alarms.
    #[arg(long, short)]
    pub quiet: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    text.parse().map_err(|_| "write ADDRESS:PORT, such as 127.0.0.1:9464, or a port alone".to_owned())
}

impl Args {
    /// The folder of what is kept.
    pub fn store(&self) -> PathBuf {
        self.store.clone().unwrap_or_else(|| Path::new(&self.file).with_extension("store"))
    }

    /// The connection that they describe, with the store's own client id.
    pub fn connection(
        &self,
        client_id: String,
        received_qos2: BTreeSet<u16>,
    ) -> Result<ConnectOptions, Failure> {
        let wanted = "a mirror follows real devices on a broker of its own";
        let options = self.login.options(&self.broker, wanted)?;
        Ok(ConnectOptions {
            client_id: self.client_id.clone().unwrap_or(client_id),
            clean_session: false,
            keep_alive_s: KEEP_ALIVE_S,
            receive_maximum: RECEIVE_MAXIMUM,
            hold_acks: true,
            keep: true,
            received_qos2,
            max_packet_bytes: MAX_PACKET_BYTES,
            timeout: CONNECT_TIMEOUT,
            ..options
        })
    }
}
