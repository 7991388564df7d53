//! The byte stream under a connection: TCP, or TLS over it, never blocking.

use crate::wire::{WireError, url::BrokerUrl};
use bytes::{Buf, BytesMut};
use mio::{event::Source, net::TcpStream};
use rumqttc::{
    TlsConfiguration,
    tokio_rustls::rustls::{
        self, CertificateError, ClientConfig, ClientConnection, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::ToSocketAddrs,
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Bytes taken from the socket at a time.
const READ_BYTES: usize = 64 << 10;

/// Why no more bytes pass.
#[derive(Debug)]
pub(super) enum Transfer {
    /// The other side closed.
    End,
    /// The socket failed.
    Io(io::Error),
    /// TLS failed.
    Tls(rustls::Error),
}

enum Kind {
    Plain,
    Tls(Box<ClientConnection>),
}

pub(super) struct Stream {
    socket: TcpStream,
    kind: Kind,
    scratch: Box<[u8]>,
}

impl Stream {
    /// Connects, trying each address that the name has. The TLS handshake runs along with the first writes and reads.
    pub fn open(url: &BrokerUrl, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, WireError> {
        let broker = url.place();
        let unreachable = |reason: String| WireError::Unreachable { broker: broker.clone(), reason };
        let kind = if url.tls { Kind::Tls(Box::new(tls_session(url, ca_file)?)) } else { Kind::Plain };
        let addresses = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|e| unreachable(format!("the name cannot be resolved ({e})")))?;
        let mut reason = "the name has no address".to_owned();
        for address in addresses {
            match std::net::TcpStream::connect_timeout(&address, timeout) {
                Ok(socket) => {
                    let ready = socket.set_nonblocking(true).and_then(|()| socket.set_nodelay(true));
                    ready.map_err(|e| unreachable(e.to_string()))?;
                    let socket = TcpStream::from_std(socket);
                    return Ok(Self { socket, kind, scratch: vec![0; READ_BYTES].into() });
                }
                Err(error) => reason = error.to_string(),
            }
        }
        Err(unreachable(reason))
    }

    pub fn source(&mut self) -> &mut impl Source {
        &mut self.socket
    }

    /// Whether TLS has something of its own to send.
    pub fn wants_write(&self) -> bool {
        matches!(&self.kind, Kind::Tls(session) if session.wants_write())
    }

    /// Writes as much as the socket takes; whether anything was written.
    pub fn write(&mut self, out: &mut BytesMut) -> Result<bool, Transfer> {
        let mut any = false;
        loop {
            let written = match &mut self.kind {
                Kind::Plain if out.is_empty() => return Ok(any),
                Kind::Plain => self.socket.write(out).inspect(|n| out.advance(*n)),
                Kind::Tls(session) => {
                    // Plain text goes into the session's bounded buffer, from there to the socket.
                    let taken = session.writer().write(out).map_err(Transfer::Io)?;
                    out.advance(taken);
                    if !session.wants_write() {
                        return Ok(any);
                    }
                    session.write_tls(&mut self.socket)
                }
            };
            match written {
                Ok(0) => return Err(Transfer::End),
                Ok(_) => any = true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(any),
                Err(e) => return Err(Transfer::Io(e)),
            }
        }
    }

    /// Appends what has come, once; 0 if there is nothing now.
    pub fn read(&mut self, into: &mut BytesMut) -> Result<usize, Transfer> {
        loop {
            let read = match &mut self.kind {
                Kind::Plain => self.socket.read(&mut self.scratch),
                Kind::Tls(session) => match session.reader().read(&mut self.scratch) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock => match session.read_tls(&mut self.socket) {
                        Ok(0) => return Err(Transfer::End),
                        Ok(_) => {
                            if let Err(error) = session.process_new_packets() {
                                // The alert that tells the other side why.
                                session.write_tls(&mut self.socket).ok();
                                return Err(Transfer::Tls(error));
                            }
                            // The handshake's next flight, if there is one.
                            match session.write_tls(&mut self.socket) {
                                Err(e) if e.kind() != ErrorKind::WouldBlock => return Err(Transfer::Io(e)),
                                _ => continue,
                            }
                        }
                        Err(e) => Err(e),
                    },
                    other => other,
                },
            };
            match read {
                Ok(0) => return Err(Transfer::End),
                Ok(n) => {
                    into.extend_from_slice(&self.scratch[..n]);
                    return Ok(n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(e) => return Err(Transfer::Io(e)),
            }
        }
    }
}

fn tls_session(url: &BrokerUrl, ca_file: Option<&Path>) -> Result<ClientConnection, WireError> {
    let config = match ca_file {
        Some(path) => trust_file(path)?,
        None => trust_system(&url.place())?,
    };
    let name = ServerName::try_from(url.host.clone()).map_err(|_| WireError::BadUrl {
        text: url.to_string(),
        problem: "TLS needs a host name or an IP address".to_owned(),
    })?;
    ClientConnection::new(config, name).map_err(|e| tls_failure(&url.place(), &e))
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
    let text = std::fs::read(path).map_err(|e| failure(e.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|e| failure(e.to_string()))?;
        roots.add(certificate).map_err(|e| failure(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failure("it holds no PEM certificate".to_owned()));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| failure(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// A TLS library's error, with what to try.
pub(super) fn tls_failure(broker: &str, error: &rustls::Error) -> WireError {
    let advice = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "Use a host that the broker's certificate names",
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "If it has a certificate authority of its own, name that certificate's PEM file (`--ca-file`)"
        }
        rustls::Error::InvalidCertificate(_) => "Look at the dates and the use of the broker's certificate",
        rustls::Error::InvalidMessage(_) => "This port may not speak TLS: try `mqtt://`, or port 8883",
        _ => "Look at the broker's log",
    };
    WireError::Tls { broker: broker.to_owned(), reason: error.to_string(), advice }
}
