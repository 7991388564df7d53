//! How a command gets to a broker: the options that `mirror`, `discover` and `replay` share, and the connection that they describe.

use crate::exit::Failure;
use std::path::{Path, PathBuf};
use twinfleet_twins::{
    shell,
    wire::{
        client::{ConnectOptions, Version},
        tls::Identity,
        url::BrokerChoice,
    },
};

/// Largest file with a password, [bytes].
const PASSWORD_BYTES: u64 = 64 << 10;

/// Options of a connection.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// Version of MQTT: 3 (3.1.1) or 5.
    #[arg(long, default_value = "3", value_parser = ["3", "5"])]
    pub mqtt: String,
    /// User name, where the URL has none.
    #[arg(long, env = "TWINFLEET_USER", hide_env_values = true)]
    pub user: Option<String>,
    /// File with the password; otherwise it is taken from TWINFLEET_PASSWORD or the URL.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// PEM file of the certificates to trust in place of the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// PEM file of our own certificate, for a broker that asks for one.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// PEM file of its key.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
}

impl Login {
    /// The connection to this broker that they describe. `wanted` says what for, where that is no broker of devices.
    pub fn options(&self, broker: &str, wanted: &str) -> Result<ConnectOptions, Failure> {
        let choice: BrokerChoice = broker.parse().map_err(crate::run::wire)?;
        let BrokerChoice::Url(mut url) = choice else {
            return Err(Failure::input(format!(
                "{wanted}: `{choice}` is none. Name one, such as mqtt://localhost, mqtt://host:1883 or mqtts://host"
            )));
        };
        let from_url = url.login.take();
        let user = from_url.as_ref().map(|(user, _)| user.clone()).or_else(|| self.user.clone());
        let own = from_url.map(|(_, password)| password).filter(|p| !p.is_empty());
        let password = match &self.password_file {
            Some(path) => Some(password(path)?),
            None => own.or_else(|| std::env::var("TWINFLEET_PASSWORD").ok()),
        };
        url.login = match (user, password) {
            (Some(user), password) => Some((user, password.unwrap_or_default())),
            (None, None) => None,
            (None, Some(_)) => {
                return Err(Failure::input(
                    "there is a password without a user name: name it by `--user`, TWINFLEET_USER or in the URL",
                ));
            }
        };
        let identity = self.cert.clone().zip(self.key.clone());
        Ok(ConnectOptions {
            version: if self.mqtt == "5" { Version::V5 } else { Version::V4 },
            ca_file: self.ca_file.clone(),
            identity: identity.map(|(cert_file, key_file)| Identity { cert_file, key_file }),
            ..ConnectOptions::to(url)
        })
    }
}

impl Login {
    /// Whether files with secrets or certificates are named; a user's name may stand in the environment for other commands.
    pub fn has_files(&self) -> bool {
        [&self.password_file, &self.ca_file, &self.cert, &self.key].into_iter().any(Option::is_some)
    }

    /// The same options as one writes them behind a command; no password is among them.
    pub fn words(&self) -> String {
        let path = |flag: &str, path: &Option<PathBuf>| {
            path.as_ref().map(|p| format!(" --{flag} {}", shell::word(&p.to_string_lossy())))
        };
        let user = self.user.as_ref().map(|u| format!(" --user {}", shell::word(u)));
        let version = (self.mqtt != "3").then(|| format!(" --mqtt {}", self.mqtt));
        [
            version,
            user,
            path("password-file", &self.password_file),
            path("ca-file", &self.ca_file),
            path("cert", &self.cert),
            path("key", &self.key),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn password(path: &Path) -> Result<String, Failure> {
    let failure = |reason: String| {
        Failure::input(format!("cannot read the password from {}: {reason}", path.display()))
    };
    let length = std::fs::metadata(path).map_err(|e| failure(e.to_string()))?.len();
    if length > PASSWORD_BYTES {
        return Err(failure(format!("it is longer than {PASSWORD_BYTES} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| failure(e.to_string()))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
