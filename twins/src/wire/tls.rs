//! Whom a connection trusts, and who it says it is: TLS by rustls, with the system's certificates or a file of them, and
//! a certificate of one's own where the broker wants one.
//!
//! ```
//! use twinfleet_twins::wire::tls::Tls;
//! let error = Tls { ca_file: Some("no-such.pem".into()), ..Tls::default() }.config("lab:8883").unwrap_err();
//! assert!(error.is_input() && error.to_string().contains("no-such.pem"));
//! ```

use super::WireError;
use rumqttc::{
    TlsConfiguration,
    tokio_rustls::rustls::{
        self, CertificateError, ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        sign::{CertifiedKey, SingleCertAndKey},
    },
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// What TLS needs beside the broker's name. Read anew at each connection, so that certificates can be renewed meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A PEM file of the certificates to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate, for a broker that asks who we are.
    pub identity: Option<Identity>,
}

/// A certificate and its key, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, followed by those between it and its authority.
    pub cert_file: PathBuf,
    /// Its private key, not encrypted.
    pub key_file: PathBuf,
}

impl Tls {
    /// The TLS library's configuration, to be shared by connections to the same broker.
    ///
    /// # Errors
    /// [`WireError::CaFile`] for a file that cannot be used, [`WireError::Tls`] where the system has no certificates.
    pub fn config(&self, broker: &str) -> Result<Arc<ClientConfig>, WireError> {
        let trusted = match &self.ca_file {
            Some(path) => trust_file(path)?,
            None => trust_system(broker)?,
        };
        match &self.identity {
            Some(identity) => identity.presented(&trusted),
            None => Ok(trusted),
        }
    }
}

impl Identity {
    /// The configuration of those who are trusted, and this certificate shown to them.
    ///
    /// # Errors
    /// [`WireError::CaFile`] for a file that cannot be used.
    pub fn presented(&self, trusted: &ClientConfig) -> Result<Arc<ClientConfig>, WireError> {
        let mut config = trusted.clone();
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(self.read()?));
        Ok(Arc::new(config))
    }

    fn read(&self) -> Result<CertifiedKey, WireError> {
        let chain = certificates(&self.cert_file)?;
        let failure = |reason: String| WireError::CaFile { path: self.key_file.clone(), reason };
        let text = std::fs::read(&self.key_file).map_err(|e| failure(e.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&text)
            .map_err(|_| failure("it holds no unencrypted PEM private key".to_owned()))?;
        let key = ring::sign::any_supported_type(&key).map_err(|e| failure(e.to_string()))?;
        let certified = CertifiedKey::new(chain, key);
        // A key of another certificate would only be told by the broker, and not in these words.
        match certified.keys_match() {
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(failure(format!("it is not the key of {}", self.cert_file.display())))
            }
            _ => Ok(certified),
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, WireError> {
    let failure = |reason: String| WireError::CaFile { path: path.to_owned(), reason };
    let text = std::fs::read(path).map_err(|e| failure(e.to_string()))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| failure(e.to_string()))?;
    if found.is_empty() {
        return Err(failure("it holds no PEM certificate".to_owned()));
    }
    Ok(found)
}

fn trust_system(broker: &str) -> Result<Arc<ClientConfig>, WireError> {
    let failure = |reason: String| WireError::Tls {
        broker: broker.to_owned(),
        reason,
        advice: "Install the system's certificates (`apt-get install ca-certificates`), or name a file of them",
    };
    match TlsConfiguration::try_default_rustls() {
        Ok(TlsConfiguration::Rustls(config)) => Ok(config),
        Ok(_) => Err(failure("the TLS library has no default".to_owned())),
        Err(error) => Err(failure(error.to_string())),
    }
}

fn trust_file(path: &Path) -> Result<Arc<ClientConfig>, WireError> {
    let failure = |reason: String| WireError::CaFile { path: path.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| failure(e.to_string()))?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| failure(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A TLS library's error, with what to try.
pub(crate) fn failure(broker: &str, error: &rustls::Error) -> WireError {
    use rustls::AlertDescription as Alert;
    let advice = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "Use a host that the broker's certificate names",
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "If it has a certificate authority of its own, name that certificate's PEM file (`--ca-file`)"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "The broker's certificate has expired: renew it, or set this machine's clock if it is that",
        rustls::Error::InvalidCertificate(_) => "Look at the dates and the use of the broker's certificate",
        rustls::Error::InvalidMessage(_) => "This port may not speak TLS: try `mqtt://`, or port 8883",
        rustls::Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure) => {
            "The broker wants a certificate of ours: name it and its key (`--cert`, `--key`)"
        }
        rustls::Error::AlertReceived(
            Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown | Alert::CertificateExpired,
        ) => "The broker does not trust our certificate (`--cert`): is it of its authority, and in date?",
        _ => "Look at the broker's log",
    };
    WireError::Tls { broker: broker.to_owned(), reason: error.to_string(), advice }
}
