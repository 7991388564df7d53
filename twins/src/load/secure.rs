//! Whom the load trusts and who its devices are: TLS of [`crate::wire::tls`], with one certificate for all or one a device.

use super::stream::Wrap;
use crate::wire::{
    WireError,
    tls::{Identity, Tls},
    url::BrokerUrl,
};
use rumqttc::tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};
use std::{path::PathBuf, sync::Arc};

/// Ways to wrap a connection, made once: one for all, or one a device.
#[derive(Clone, Debug, Default)]
pub struct Wraps {
    plain: Wrap,
    own: Option<Own>,
}

/// Certificates of the devices' own.
#[derive(Clone, Debug)]
struct Own {
    /// PEM files of certificate and key; `{device}` in them is replaced by its id.
    files: (String, String),
    trusted: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Wraps {
    /// For this broker; reads the certificates to trust, which are the system's where no PEM file is named. `{device}` in the
    /// files of `identity`, a certificate and its key, is replaced by a device's id.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate; a host that no certificate can name.
    pub fn new(
        url: &BrokerUrl,
        ca_file: Option<PathBuf>,
        identity: Option<(String, String)>,
    ) -> Result<Self, WireError> {
        let mut wraps = Self::default();
        wraps.plain.web_socket = url.websocket.clone().map(|path| (url.place(), path));
        if !url.tls {
            return Ok(wraps);
        }
        let name = url.server_name()?;
        let trusted = Tls { ca_file, identity: None }.config(&url.place())?;
        wraps.plain.tls = Some((Arc::clone(&trusted), name.clone()));
        wraps.own = identity.map(|files| Own { files, trusted, name });
        Ok(wraps)
    }

    /// How the connection with this client id is wrapped.
    ///
    /// # Errors
    /// A certificate or key of the device that cannot be read.
    pub fn of(&self, id: &str) -> Result<Wrap, WireError> {
        let Some(Own { files: (cert, key), trusted, name }) = &self.own else {
            return Ok(self.plain.clone());
        };
        let file = |pattern: &str| PathBuf::from(pattern.replace("{device}", id));
        let identity = Identity { cert_file: file(cert), key_file: file(key) };
        Ok(Wrap { tls: Some((identity.presented(trusted)?, name.clone())), ..self.plain.clone() })
    }
}
