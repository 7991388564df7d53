//! A sink: it takes everything, acknowledges it, and keeps nothing. It runs in a process of its own, so that neither its memory
//! nor its file descriptors are the load generator's; several of them may share a port (SO_REUSEPORT), since one process has no
//! more than 20,000 file descriptors here.

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use nix::sys::{
    resource::{Resource, getrlimit, setrlimit},
    socket::{
        AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, listen, setsockopt,
        socket, sockopt,
    },
};
use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::SocketAddr,
    os::fd::AsRawFd,
    process::{Child, ChildStdin, Command, Stdio},
};

const LISTENER: Token = Token(usize::MAX);

/// A sink in another process; it ends with its handle.
pub struct Sink {
    pub addr: SocketAddr,
    child: Child,
    /// Its end is the sink's.
    _life: ChildStdin,
}

impl Sink {
    /// This program again, as a sink.
    pub fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["sink", "0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a sink");
        let life = child.stdin.take().expect("its input");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("its output"));
        said.read_line(&mut line).expect("its address");
        let addr = line.trim().rsplit(' ').next().and_then(|a| a.parse().ok()).expect("an address");
        Self { addr, child, _life: life }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Is a sink on a port of the loopback address (0: any), which it shares with others, until its standard input ends.
pub fn be(port: u16) -> io::Result<()> {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_NONBLOCK, SockProtocol::Tcp)?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    setsockopt(&fd, sockopt::ReusePort, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::from(([127, 0, 0, 1], port))))?;
    // With the 128 that both mio and the standard library ask for, a storm of connections loses its first packets, which the
    // kernel repeats after a second.
    listen(&fd, Backlog::MAXALLOWABLE)?;
    let listener = TcpListener::from_std(std::net::TcpListener::from(fd));
    println!("a sink listens on {}", listener.local_addr()?);
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    serve(listener)
}

#[derive(Default)]
struct Conn {
    stream: Option<TcpStream>,
    /// A packet that came in half.
    rest: Vec<u8>,
    /// Answers that wait for the socket.
    out: Vec<u8>,
}

fn serve(mut listener: TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(4_096);
    let mut conns: Vec<Conn> = Vec::new();
    let mut free: Vec<usize> = Vec::new();
    let mut chunk = vec![0; 256 << 10];
    loop {
        match poll.poll(&mut events, None) {
            Err(e) if e.kind() != ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    let at = free.pop().unwrap_or_else(|| {
                        conns.push(Conn::default());
                        conns.len() - 1
                    });
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(at), interest)?;
                    conns[at] = Conn { stream: Some(stream), ..Conn::default() };
                }
                continue;
            }
            let at = event.token().0;
            if turn(&mut conns[at], &mut chunk).is_err() {
                conns[at] = Conn::default();
                free.push(at);
            }
        }
    }
}

/// Reads all there is and answers; an error ends the connection.
fn turn(conn: &mut Conn, chunk: &mut [u8]) -> io::Result<()> {
    let Some(stream) = &mut conn.stream else { return Ok(()) };
    loop {
        match stream.read(chunk) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) if conn.rest.is_empty() => {
                let used = take(&chunk[..n], &mut conn.out);
                conn.rest.extend_from_slice(&chunk[used..n]);
            }
            Ok(n) => {
                conn.rest.extend_from_slice(&chunk[..n]);
                let used = take(&conn.rest, &mut conn.out);
                conn.rest.drain(..used);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    while !conn.out.is_empty() {
        match stream.write(&conn.out) {
            Ok(n) => drop(conn.out.drain(..n)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Answers every whole packet of MQTT 3.1.1 in these bytes; how many bytes those are.
fn take(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let mut at = 0;
    while let Some((head, length)) = whole(&bytes[at..]) {
        let packet = &bytes[at..at + length];
        let (first, body) = (packet[0], &packet[head..]);
        match first >> 4 {
            1 => out.extend_from_slice(&[0x20, 2, 0, 0]),
            3 if first & 6 != 0 && body.len() >= 2 => {
                let id = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                if let Some(id) = body.get(id..id + 2) {
                    out.extend_from_slice(&[if first & 4 == 0 { 0x40 } else { 0x50 }, 2, id[0], id[1]]);
                }
            }
            6 if body.len() >= 2 => out.extend_from_slice(&[0x70, 2, body[0], body[1]]),
            8 if body.len() >= 2 => out.extend_from_slice(&[0x90, 3, body[0], body[1], 0]),
            12 => out.extend_from_slice(&[0xd0, 0]),
            _ => {}
        }
        at += length;
    }
    at
}

/// Lengths of the fixed header and of the whole packet that these bytes begin with, if all of it is there.
fn whole(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0;
    for i in 0..4 {
        let byte = bytes.get(1 + i)?;
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let head = 2 + i;
            return (bytes.len() >= head + length).then_some((head, head + length));
        }
    }
    None
}
