//! The byte stream under a connection: TCP, TLS over it, or WebSocket over either. Opening waits; from then on it never
//! blocks.

use super::{WireError, tls, url::BrokerUrl};
use bytes::{Buf, BytesMut};
use mio::{event::Source, net::TcpStream};
use rumqttc::tokio_rustls::rustls::{self, ClientConfig, ClientConnection, StreamOwned};
use std::{
    io::{self, ErrorKind, Read, Write},
    net::ToSocketAddrs,
    sync::Arc,
    time::Duration,
};
use tungstenite::{
    Error as WsError, HandshakeError, Message, WebSocket, client::IntoClientRequest, http::HeaderValue,
    protocol::WebSocketConfig,
};

/// Bytes taken from the socket at a time.
const READ_BYTES: usize = 64 << 10;
/// Largest WebSocket message taken, [bytes]: a broker may put many packets into one, none larger than MQTT's own limit.
const WS_MESSAGE_BYTES: usize = 256 << 20;

/// Why no more bytes pass.
#[derive(Debug)]
pub(crate) enum Transfer {
    /// The other side closed.
    End,
    /// The socket failed.
    Io(io::Error),
    /// TLS failed.
    Tls(rustls::Error),
    /// The WebSocket's rules were broken.
    WebSocket(String),
}

/// What lies under a WebSocket.
enum Base {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Base {
    fn socket(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Base {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buf),
            Self::Tls(stream) => stream.read(buf),
        }
    }
}

impl Write for Base {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(buf),
            Self::Tls(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

enum Kind {
    Plain(TcpStream),
    Tls(Box<ClientConnection>, TcpStream),
    /// And whether frames wait for the socket.
    Web(Box<WebSocket<Base>>, bool),
}

/// A stream to a broker, never blocking.
pub(crate) struct Stream {
    kind: Kind,
    scratch: Box<[u8]>,
}

impl Stream {
    /// Connects, trying each address that the name has. Without WebSocket, the TLS handshake runs along with the first
    /// writes and reads.
    pub fn open(
        url: &BrokerUrl,
        config: Option<Arc<ClientConfig>>,
        timeout: Duration,
    ) -> Result<Self, WireError> {
        let broker = url.place();
        let session = config.map(|config| session(url, config)).transpose()?;
        let socket = dial(url, timeout)?;
        let unreachable =
            |e: io::Error| WireError::Unreachable { broker: broker.clone(), reason: e.to_string() };
        socket.set_nodelay(true).map_err(unreachable)?;
        let kind = match (&url.websocket, session) {
            (Some(path), session) => {
                // The opening waits for its answer, at most this long.
                let limit = Some(timeout.max(Duration::from_millis(1)));
                socket.set_read_timeout(limit).map_err(unreachable)?;
                socket.set_write_timeout(limit).map_err(unreachable)?;
                let control = socket.try_clone().map_err(unreachable)?;
                let socket = TcpStream::from_std(socket);
                let base = match session {
                    Some(session) => Base::Tls(Box::new(StreamOwned::new(session, socket))),
                    None => Base::Plain(socket),
                };
                let web = open_websocket(url, path, base, timeout)?;
                control.set_nonblocking(true).map_err(unreachable)?;
                Kind::Web(Box::new(web), false)
            }
            (None, session) => {
                socket.set_nonblocking(true).map_err(unreachable)?;
                let socket = TcpStream::from_std(socket);
                match session {
                    Some(session) => Kind::Tls(Box::new(session), socket),
                    None => Kind::Plain(socket),
                }
            }
        };
        Ok(Self { kind, scratch: vec![0; READ_BYTES].into() })
    }

    pub fn source(&mut self) -> &mut impl Source {
        match &mut self.kind {
            Kind::Plain(socket) | Kind::Tls(_, socket) => socket,
            Kind::Web(web, _) => web.get_mut().socket(),
        }
    }

    /// Whether TLS or WebSocket have something of their own to send.
    pub fn wants_write(&self) -> bool {
        match &self.kind {
            Kind::Plain(_) => false,
            Kind::Tls(session, _) => session.wants_write(),
            Kind::Web(_, waiting) => *waiting,
        }
    }

    /// Writes as much as the socket takes; whether anything was written.
    pub fn write(&mut self, out: &mut BytesMut) -> Result<bool, Transfer> {
        let mut any = false;
        loop {
            let written = match &mut self.kind {
                Kind::Web(web, waiting) => return write_web(web, waiting, out),
                Kind::Plain(_) if out.is_empty() => return Ok(any),
                Kind::Plain(socket) => socket.write(out).inspect(|n| out.advance(*n)),
                Kind::Tls(session, socket) => {
                    // Plain text goes into the session's bounded buffer, from there to the socket.
                    let taken = session.writer().write(out).map_err(Transfer::Io)?;
                    out.advance(taken);
                    if !session.wants_write() {
                        return Ok(any);
                    }
                    session.write_tls(socket)
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
                Kind::Web(web, waiting) => return read_web(web, waiting, into),
                Kind::Plain(socket) => socket.read(&mut self.scratch),
                Kind::Tls(session, socket) => match session.reader().read(&mut self.scratch) {
                    Err(e) if e.kind() == ErrorKind::WouldBlock => match session.read_tls(socket) {
                        Ok(0) => return Err(Transfer::End),
                        Ok(_) => {
                            if let Err(error) = session.process_new_packets() {
                                // The alert that tells the other side why.
                                session.write_tls(socket).ok();
                                return Err(Transfer::Tls(error));
                            }
                            // The handshake's next flight, if there is one.
                            match session.write_tls(socket) {
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

fn dial(url: &BrokerUrl, timeout: Duration) -> Result<std::net::TcpStream, WireError> {
    let unreachable = |reason: String| WireError::Unreachable { broker: url.place(), reason };
    let addresses = (url.host.as_str(), url.port)
        .to_socket_addrs()
        .map_err(|e| unreachable(format!("the name cannot be resolved ({e})")))?;
    let mut reason = "the name has no address".to_owned();
    for address in addresses {
        match std::net::TcpStream::connect_timeout(&address, timeout) {
            Ok(socket) => return Ok(socket),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(unreachable(reason))
}

fn session(url: &BrokerUrl, config: Arc<ClientConfig>) -> Result<ClientConnection, WireError> {
    ClientConnection::new(config, url.server_name()?).map_err(|e| tls::failure(&url.place(), &e))
}

fn open_websocket(
    url: &BrokerUrl,
    path: &str,
    base: Base,
    timeout: Duration,
) -> Result<WebSocket<Base>, WireError> {
    let broker = url.place();
    let scheme = if url.tls { "wss" } else { "ws" };
    let bad = |reason: String| WireError::Unreachable { broker: broker.clone(), reason };
    let mut request =
        format!("{scheme}://{broker}{path}").into_client_request().map_err(|e| bad(e.to_string()))?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("mqtt"));
    let config = WebSocketConfig::default()
        .max_message_size(Some(WS_MESSAGE_BYTES))
        .max_frame_size(Some(WS_MESSAGE_BYTES));
    match tungstenite::client::client_with_config(request, base, Some(config)) {
        Ok((web, _)) => Ok(web),
        Err(HandshakeError::Interrupted(_)) => {
            Err(WireError::Silent { broker, what: "the WebSocket's opening", after: timeout })
        }
        Err(HandshakeError::Failure(error)) => Err(refused(broker, error)),
    }
}

fn refused(broker: String, error: WsError) -> WireError {
    let reason = match error {
        WsError::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(error) => return tls::failure(&broker, error),
            None => format!("it ended the connection while the WebSocket was opened ({error})"),
        },
        WsError::Http(answer) => format!(
            "it answered the WebSocket's opening with {}; the path may be another than `/mqtt`",
            answer.status()
        ),
        other => format!("no WebSocket there ({other}); this port may speak plain MQTT (`mqtt://`)"),
    };
    WireError::Unreachable { broker, reason }
}

/// Waiting frames first; then what is in `out` becomes one.
fn write_web(web: &mut WebSocket<Base>, waiting: &mut bool, out: &mut BytesMut) -> Result<bool, Transfer> {
    let mut any = false;
    loop {
        if *waiting {
            match web.flush() {
                Ok(()) => (*waiting, any) = (false, true),
                Err(error) if would_block(&error) => return Ok(any),
                Err(error) => return Err(broken(error)),
            }
        }
        if out.is_empty() {
            return Ok(any);
        }
        *waiting = true;
        match web.write(Message::Binary(out.split().freeze())) {
            Ok(()) => {}
            Err(error) if would_block(&error) => return Ok(any),
            Err(error) => return Err(broken(error)),
        }
    }
}

fn read_web(web: &mut WebSocket<Base>, waiting: &mut bool, into: &mut BytesMut) -> Result<usize, Transfer> {
    loop {
        match web.read() {
            Ok(Message::Binary(bytes)) if bytes.is_empty() => {}
            Ok(Message::Binary(bytes)) => {
                into.extend_from_slice(&bytes);
                return Ok(bytes.len());
            }
            // An answer to a ping waits to be sent.
            Ok(Message::Ping(_)) => *waiting = true,
            Ok(Message::Close(_)) => return Err(Transfer::End),
            Ok(Message::Text(_)) => {
                return Err(Transfer::WebSocket("text came where MQTT sends binary".to_owned()));
            }
            Ok(_) => {}
            Err(error) if would_block(&error) => return Ok(0),
            Err(error) => return Err(broken(error)),
        }
    }
}

fn would_block(error: &WsError) -> bool {
    matches!(error, WsError::Io(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

fn broken(error: WsError) -> Transfer {
    match error {
        WsError::ConnectionClosed | WsError::AlreadyClosed => Transfer::End,
        WsError::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(error) => Transfer::Tls(error.clone()),
            None => Transfer::Io(error),
        },
        other => Transfer::WebSocket(other.to_string()),
    }
}
