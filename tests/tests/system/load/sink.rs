//! A broker that takes everything and gives nothing: the load generator alone is measured against it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

/// A sink of QoS 0 messages; its threads end with their connections.
pub struct NullSink {
    pub addr: SocketAddr,
}

impl NullSink {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    let mut bytes = [0; 64 << 10];
                    if matches!(stream.read(&mut bytes), Ok(1..)) {
                        stream.write_all(&[0x20, 2, 0, 0]).ok();
                    }
                    while matches!(stream.read(&mut bytes), Ok(1..)) {}
                });
            }
        });
        Self { addr }
    }
}
