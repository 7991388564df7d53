//! The raw writer, which the load generator is held against: packets encoded beforehand, over as many connections, with neither
//! schedule nor stamps nor ledger.
//!
//! It may write as much at a time as the generator's batches come to, and is woken by the poll alone, as the generator is. Of QoS
//! 1 it has no more unacknowledged than the generator may, and takes every acknowledgement in, but only by counting bytes.

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};
use twinfleet_engine::scenario::load::Protocol;
use twinfleet_twins::load::{codec, health::CpuTime};

/// Length of PUBACK, [bytes].
const PUBACK_BYTES: usize = 4;

struct Conn {
    stream: TcpStream,
    /// Bytes of the block that are written.
    at: usize,
    /// Bytes of acknowledgements to come; below 0 while a block is written in half.
    owed: isize,
    writable: bool,
    /// Whether it is in the list of those to write.
    is_ready: bool,
}

/// What it came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wrote {
    /// Messages written (QoS 0), or acknowledged (QoS 1).
    pub messages: u64,
    /// CPU time of its thread, [s].
    pub cpu_s: f64,
}

/// Writes for so long; `batch` messages a write, `window` unacknowledged at most.
pub fn write(
    sink: SocketAddr,
    connections: usize,
    qos: u8,
    batch: usize,
    window: usize,
    seconds: f64,
) -> Wrote {
    let mut block = Vec::new();
    for pkid in 1..=batch as u16 {
        let head = codec::Outgoing { topic: b"load/d-123", qos, retain: false, dup: false, pkid };
        codec::put_publish(&mut block, Protocol::V311, head, 64);
        block.resize(block.len() + 64, 7);
    }
    let mut poll = Poll::new().expect("a poll");
    let mut conns: Vec<Conn> = (0..connections).map(|i| connect(&poll, sink, i)).collect();
    let mut events = Events::with_capacity(1_024);
    let mut answers = vec![0; 256 << 10];
    let [block_answers, most_answers] = [batch, window].map(|n| (n * PUBACK_BYTES) as isize);
    // Messages written whole blocks at a time, and bytes of acknowledgements.
    let (mut blocks, mut acknowledged) = (0u64, 0usize);
    let (begin, cpu) = (Instant::now(), CpuTime::of_thread());
    let mut ready: Vec<usize> = (0..connections).collect();
    while begin.elapsed().as_secs_f64() < seconds {
        let wait = if ready.is_empty() { Duration::from_millis(20) } else { Duration::ZERO };
        poll.poll(&mut events, Some(wait)).expect("polled");
        for event in &events {
            let i = event.token().0;
            let conn = &mut conns[i];
            if qos > 0 && event.is_readable() {
                while let Ok(n) = conn.stream.read(&mut answers) {
                    assert!(n > 0, "the sink left");
                    acknowledged += n;
                    conn.owed -= n as isize;
                }
            }
            conn.writable |= event.is_writable();
            if !std::mem::replace(&mut conn.is_ready, true) {
                ready.push(i);
            }
        }
        for i in std::mem::take(&mut ready) {
            let conn = &mut conns[i];
            conn.is_ready = false;
            let full = qos > 0 && conn.owed + block_answers > most_answers;
            if !conn.writable || full {
                continue;
            }
            match conn.stream.write(&block[conn.at..]) {
                Ok(n) => {
                    conn.at += n;
                    if conn.at == block.len() {
                        conn.at = 0;
                        blocks += 1;
                        conn.owed += block_answers;
                    }
                    conn.is_ready = true;
                    ready.push(i);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => conn.writable = false,
                Err(e) => panic!("{e}"),
            }
        }
    }
    Wrote {
        messages: if qos == 0 { blocks * batch as u64 } else { (acknowledged / PUBACK_BYTES) as u64 },
        cpu_s: CpuTime::of_thread().since(cpu).ran_ns as f64 * 1e-9,
    }
}

fn connect(poll: &Poll, sink: SocketAddr, i: usize) -> Conn {
    let mut socket = std::net::TcpStream::connect(sink).expect("connected");
    let mut hello = Vec::new();
    let id = format!("raw-{i}");
    let connect = codec::Hello {
        protocol: Protocol::V311,
        client_id: &id,
        clean: true,
        persistent: false,
        session_expiry_s: None,
        keep_alive_s: 60,
        login: None,
        will: None,
    };
    codec::put_connect(&mut hello, connect);
    socket.write_all(&hello).expect("written");
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).expect("a welcome");
    socket.set_nodelay(true).expect("TCP_NODELAY");
    socket.set_nonblocking(true).expect("non-blocking");
    let mut stream = TcpStream::from_std(socket);
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(&mut stream, Token(i), interest).expect("registered");
    Conn { stream, at: 0, owed: 0, writable: true, is_ready: true }
}
