//! One connection: its socket, and the bytes that came in and go out.

use super::router::SessionId;
use bytes::{Buf, BytesMut};
use mio::net::TcpStream;
use rumqttc::mqttbytes::v4::{LastWill, Packet};
use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

/// What a read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// Bytes.
    Some,
    /// Nothing until the socket says so.
    Later,
    /// The end of the connection.
    End,
}

/// A client's connection, from its TCP handshake on.
#[derive(Debug)]
pub(super) struct Conn {
    pub stream: TcpStream,
    /// Set by CONNECT.
    pub session: Option<SessionId>,
    pub will: Option<LastWill>,
    /// One and a half times the keep-alive that the client named.
    pub silence_limit: Option<Duration>,
    pub opened: Instant,
    pub last_in: Instant,
    /// Bytes that came in and are not yet a whole packet.
    pub input: BytesMut,
    /// Bytes that wait for the socket.
    pub out: BytesMut,
    /// Packets that wait for a subscriber to have room.
    pub held: VecDeque<Packet>,
    pub held_bytes: usize,
    /// Since when a publisher has waited for this one.
    pub full_since: Option<Instant>,
    /// The client is gone, and what it sent before still waits for a subscriber.
    pub closing: bool,
    /// The poll has told that the client will send no more; it tells so once only.
    pub read_closed: bool,
    pub readable: bool,
    pub writable: bool,
    /// Whether it is in the list of connections to be written.
    pub dirty: bool,
    /// Whether it is in the list of connections to be read.
    pub ready: bool,
}

impl Conn {
    pub fn new(stream: TcpStream, now: Instant) -> Self {
        Self {
            stream,
            session: None,
            will: None,
            silence_limit: None,
            opened: now,
            last_in: now,
            input: BytesMut::new(),
            out: BytesMut::new(),
            held: VecDeque::new(),
            held_bytes: 0,
            full_since: None,
            closing: false,
            read_closed: false,
            readable: true,
            writable: true,
            dirty: false,
            ready: false,
        }
    }

    /// Reads once.
    pub fn read(&mut self, scratch: &mut [u8]) -> Took {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return Took::End,
                Ok(n) => {
                    self.input.extend_from_slice(&scratch[..n]);
                    // The socket is empty when it gave less than asked, and the poll tells of what comes next.
                    self.readable = n == scratch.len() || self.read_closed;
                    return Took::Some;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Took::Later;
                }
                Err(_) => return Took::End,
            }
        }
    }

    /// Writes as much as the socket takes; false when the connection is broken.
    pub fn write(&mut self) -> bool {
        while self.writable && !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(0) => return false,
                Ok(n) => self.out.advance(n),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(_) => return false,
            }
        }
        true
    }
}
