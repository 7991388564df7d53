//! The bytes under a load connection: TCP, TLS over it, WebSocket over either. Nothing blocks; what the layers have to say
//! themselves (handshakes, pongs) goes out with the next write or read.

use mio::net::TcpStream;
use rumqttc::tokio_rustls::rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use std::{
    fmt,
    io::{self, Cursor, ErrorKind, Read, Write},
    sync::Arc,
};
use tungstenite::{
    handshake::{
        client::{Response, generate_key},
        derive_accept_key,
        machine::TryParse,
    },
    http::StatusCode,
    protocol::frame::{
        FrameHeader,
        coding::{Control, Data, OpCode},
    },
};

/// Plain text of TLS that may wait for the socket, [bytes].
const TLS_BUFFER_BYTES: usize = 64 << 10;
/// Longest answer to a WebSocket's opening, [bytes].
const MOST_ANSWER_BYTES: usize = 8 << 10;
/// Longest frame taken: MQTT's longest packet is shorter, [bytes].
const MOST_FRAME_BYTES: usize = 257 << 20;

/// How connections are wrapped.
#[derive(Clone, Debug, Default)]
pub struct Wrap {
    /// TLS, and the name that the certificate has to hold.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// WebSocket: host and path of its opening.
    pub web_socket: Option<(String, String)>,
}

/// A stream that never blocks.
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
    web: Option<Box<WebSocket>>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("tls", &self.tls.is_some()).field("web", &self.web.is_some()).finish()
    }
}

fn invalid(text: impl fmt::Display) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text.to_string())
}

impl Stream {
    /// Over this socket, which opens.
    ///
    /// # Errors
    /// If TLS cannot begin.
    pub fn new(socket: TcpStream, wrap: &Wrap) -> io::Result<Self> {
        let tls = match &wrap.tls {
            None => None,
            Some((config, name)) => {
                let mut tls = ClientConnection::new(Arc::clone(config), name.clone()).map_err(invalid)?;
                tls.set_buffer_limit(Some(TLS_BUFFER_BYTES));
                Some(Box::new(tls))
            }
        };
        let web = wrap.web_socket.as_ref().map(|(host, path)| Box::new(WebSocket::new(host, path)));
        Ok(Self { socket, tls, web })
    }

    /// The socket, for the poll.
    pub fn source(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Why the socket could not be opened, if it could not.
    pub fn take_error(&self) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => self.socket.peer_addr().map(|_| ()),
        }
    }

    /// Reads what there is.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(mut web) = self.web.take() else { return self.read_inner(into) };
        let result = loop {
            match web.take(into) {
                Ok(0) => {}
                other => break other,
            }
            let mut chunk = [0; 16 << 10];
            match self.read_inner(&mut chunk) {
                Ok(0) => break Ok(0),
                Ok(n) => web.input.extend_from_slice(&chunk[..n]),
                Err(e) => break Err(e),
            }
        };
        self.web = Some(web);
        // A pong, or what waited for the opening.
        match self.flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock && result.is_err() => Err(e),
            _ => result,
        }
    }

    fn read_inner(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
            let n = tls.read_tls(&mut self.socket)?;
            if n == 0 {
                return Ok(0);
            }
            let processed = tls.process_new_packets();
            // An alert tells the other side why.
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => {}
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e),
                }
            }
            processed.map_err(invalid)?;
        }
    }

    /// Whether the layers have something to write by themselves.
    pub fn pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|t| t.wants_write())
            || self.web.as_ref().is_some_and(|w| w.has_output())
    }

    /// Whether all layers have come up: what is written reaches the broker.
    pub fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|t| !t.is_handshaking())
            && self.web.as_ref().is_none_or(|w| w.asked.is_none())
    }

    /// Writes what the layers have to say.
    pub fn flush(&mut self) -> io::Result<()> {
        if let Some(mut web) = self.web.take() {
            let mut result = Ok(());
            while web.has_output() {
                match self.write_inner(&web.output) {
                    Ok(n) => drop(web.output.drain(..n)),
                    Err(e) => {
                        result = Err(e);
                        break;
                    }
                }
            }
            self.web = Some(web);
            result?;
        }
        self.flush_tls()
    }

    fn flush_tls(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.wants_write() {
            tls.write_tls(&mut self.socket)?;
        }
        Ok(())
    }

    fn write_inner(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        let n = tls.writer().write(bytes)?;
        match self.flush_tls() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            // Its buffer is full until the socket takes more.
            _ if n == 0 => Err(ErrorKind::WouldBlock.into()),
            _ => Ok(n),
        }
    }

    /// Writes what fits.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.web.is_none() {
            return self.write_inner(bytes);
        }
        self.flush()?;
        let Some(web) = &mut self.web else { return Ok(0) };
        if web.has_output() {
            return Err(ErrorKind::WouldBlock.into());
        }
        web.put(OpCode::Data(Data::Binary), bytes);
        match self.flush() {
            Err(e) if e.kind() != ErrorKind::WouldBlock => Err(e),
            // Taken over: what is left goes out with the next flush.
            _ => Ok(bytes.len()),
        }
    }
}

/// The client's side of RFC 6455, as far as MQTT needs it: binary frames out, any frames in. Headers of frames and the answer
/// to the opening are read and written by tungstenite. Its own stream of messages would take a buffer a connection and allocate
/// for each message, and it owns the socket, which a poll over thousands of them does not hand out.
#[derive(Debug)]
struct WebSocket {
    /// The key that the server has to answer; None: it has agreed.
    asked: Option<String>,
    input: Vec<u8>,
    /// Bytes for the socket.
    output: Vec<u8>,
    /// Frames that wait for the server to agree.
    waiting: Vec<u8>,
    /// Payload not yet handed out.
    payload: Vec<u8>,
    mask: u32,
}

impl WebSocket {
    fn new(host: &str, path: &str) -> Self {
        let key = generate_key();
        let output = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        );
        Self {
            asked: Some(key),
            input: Vec::new(),
            output: output.into_bytes(),
            waiting: Vec::new(),
            payload: Vec::new(),
            mask: 0x5a17_c3e9,
        }
    }

    fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Appends a masked frame.
    fn put(&mut self, opcode: OpCode, bytes: &[u8]) {
        // A mask has to vary, against proxies that look into what they carry (§10.3).
        self.mask = self.mask.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mask = self.mask.to_be_bytes();
        let out = if self.asked.is_none() { &mut self.output } else { &mut self.waiting };
        let header = FrameHeader { opcode, mask: Some(mask), ..FrameHeader::default() };
        // Writing into memory cannot fail.
        let _ = header.format(bytes.len() as u64, out);
        out.extend(bytes.iter().enumerate().map(|(i, b)| b ^ mask[i % 4]));
    }

    /// Hands out payload that has come; 0: none yet.
    fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.asked.is_some() && !self.agreed()? {
            return Ok(0);
        }
        while self.payload.is_empty() && self.frame()? {}
        let n = self.payload.len().min(into.len());
        into[..n].copy_from_slice(&self.payload[..n]);
        self.payload.drain(..n);
        Ok(n)
    }

    fn agreed(&mut self) -> io::Result<bool> {
        let Some(key) = &self.asked else { return Ok(true) };
        let Some((length, answer)) = Response::try_parse(&self.input).map_err(|e| no_web_socket(&e))? else {
            return match self.input.len() > MOST_ANSWER_BYTES {
                true => Err(invalid("the broker's answer to the WebSocket's opening has no end")),
                false => Ok(false),
            };
        };
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(no_web_socket(&answer.status()));
        }
        let accepted = answer.headers().get("Sec-WebSocket-Accept");
        if accepted.is_none_or(|a| a.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(no_web_socket(&"the answer does not fit the key that was sent"));
        }
        self.input.drain(..length);
        self.asked = None;
        self.output.append(&mut self.waiting);
        Ok(true)
    }

    /// Takes one whole frame.
    fn frame(&mut self) -> io::Result<bool> {
        let mut cursor = Cursor::new(&self.input);
        let Some((header, length)) = FrameHeader::parse(&mut cursor).map_err(invalid)? else {
            return Ok(false);
        };
        if header.mask.is_some() {
            return Err(invalid("the broker masked a WebSocket frame"));
        }
        let head = cursor.position() as usize;
        let length = usize::try_from(length)
            .ok()
            .filter(|n| *n <= MOST_FRAME_BYTES)
            .ok_or_else(|| invalid("a WebSocket frame of the broker is longer than any MQTT packet"))?;
        if self.input.len() < head + length {
            return Ok(false);
        }
        let payload: Vec<u8> = self.input.drain(..head + length).skip(head).collect();
        match header.opcode {
            OpCode::Data(_) => self.payload.extend_from_slice(&payload),
            OpCode::Control(Control::Close) => {
                return Err(io::Error::new(ErrorKind::ConnectionAborted, "the broker closed the WebSocket"));
            }
            OpCode::Control(Control::Ping) => self.put(OpCode::Control(Control::Pong), &payload),
            OpCode::Control(_) => {}
        }
        Ok(true)
    }
}

fn no_web_socket(why: &dyn fmt::Display) -> io::Error {
    invalid(format!("no WebSocket there: {why}"))
}
