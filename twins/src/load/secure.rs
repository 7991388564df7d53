//! Whom the load trusts and who its devices are: certificates for TLS, one of its own for each device if wanted.

use super::stream::Wrap;
use rumqttc::{
    TlsConfiguration,
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the command line says of TLS and WebSocket.
#[derive(Clone, Debug, Default)]
pub struct Secure {
    /// Speak TLS to a broker of this name.
    pub tls_host: Option<String>,
    /// PEM file of the certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM files of a device's certificate and key; `{device}` in them is replaced by its id.
    pub identity: Option<(String, String)>,
    /// WebSocket: host and path.
    pub web_socket: Option<(String, String)>,
}

/// Why certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct SecureError {
    /// File or option.
    pub place: String,
    /// What is wrong, and what was expected.
    pub reason: String,
}

/// Ways to wrap a connection, made once: one for all, or one a device.
#[derive(Clone, Debug, Default)]
pub struct Wraps {
    plain: Wrap,
    secure: Option<(Secure, Arc<RootCertStore>, ServerName<'static>)>,
}

fn bad(place: &Path, reason: impl ToString) -> SecureError {
    SecureError { place: place.display().to_string(), reason: reason.to_string() }
}

impl Wraps {
    /// From the command line; reads the certificates to trust.
    ///
    /// # Errors
    /// A file that cannot be read, or holds no certificate; a host that no certificate can name.
    pub fn new(secure: &Secure) -> Result<Self, SecureError> {
        let mut wraps = Self::default();
        wraps.plain.web_socket.clone_from(&secure.web_socket);
        let Some(host) = &secure.tls_host else { return Ok(wraps) };
        let name = ServerName::try_from(host.clone()).map_err(|_| SecureError {
            place: "--broker".to_owned(),
            reason: format!("TLS needs a host name or an IP address, and `{host}` is none"),
        })?;
        let config = match &secure.ca_file {
            Some(file) => {
                let roots = Arc::new(roots(file)?);
                let config = client(&roots, None)?;
                wraps.secure = Some((secure.clone(), roots, name.clone()));
                config
            }
            None if secure.identity.is_some() => {
                return Err(SecureError {
                    place: "--cert".to_owned(),
                    reason: "devices with certificates of their own need `--ca-file`, too".to_owned(),
                });
            }
            None => match TlsConfiguration::try_default_rustls() {
                Ok(TlsConfiguration::Rustls(config)) => config,
                _ => {
                    return Err(SecureError {
                        place: "--ca-file".to_owned(),
                        reason: "the system has no certificates to trust; name a PEM file of them".to_owned(),
                    });
                }
            },
        };
        wraps.plain.tls = Some((config, name));
        Ok(wraps)
    }

    /// How the connection with this client id is wrapped.
    ///
    /// # Errors
    /// A certificate or key of the device that cannot be read.
    pub fn of(&self, id: &str) -> Result<Wrap, SecureError> {
        let Some((Secure { identity: Some((cert, key)), .. }, roots, name)) = &self.secure else {
            return Ok(self.plain.clone());
        };
        let config = client(roots, Some((&path(cert, id), &path(key, id))))?;
        Ok(Wrap { tls: Some((config, name.clone())), ..self.plain.clone() })
    }
}

fn path(pattern: &str, id: &str) -> PathBuf {
    PathBuf::from(pattern.replace("{device}", id))
}

fn roots(file: &Path) -> Result<RootCertStore, SecureError> {
    let text = std::fs::read(file).map_err(|e| bad(file, e))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        roots.add(certificate.map_err(|e| bad(file, e))?).map_err(|e| bad(file, e))?;
    }
    if roots.is_empty() {
        return Err(bad(file, "it holds no PEM certificate"));
    }
    Ok(roots)
}

fn client(
    roots: &Arc<RootCertStore>,
    identity: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, SecureError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| SecureError { place: "TLS".to_owned(), reason: e.to_string() })?
        .with_root_certificates(Arc::clone(roots));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain: Result<Vec<CertificateDer<'static>>, _> =
                CertificateDer::pem_file_iter(cert).map_err(|e| bad(cert, e))?.collect();
            let chain = chain.map_err(|e| bad(cert, e))?;
            let private = PrivateKeyDer::from_pem_file(key).map_err(|e| bad(key, e))?;
            builder.with_client_auth_cert(chain, private).map_err(|e| bad(key, e))?
        }
    };
    Ok(Arc::new(config))
}
