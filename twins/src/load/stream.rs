//! The bytes under a load connection: plain TCP.

use mio::net::TcpStream;
use std::io::{self, Read, Write};

/// A stream that never blocks.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
}

impl Stream {
    /// Over this socket.
    pub fn new(socket: TcpStream) -> Self {
        Self { socket }
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
        self.socket.read(into)
    }

    /// Writes what fits.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }
}
