//! The mirror's status server: HTTP/1.1, GET and HEAD only, a few connections at a time, each bounded in size and time.
//!
//! What it answers is made by [`super::answers`]; here are sockets alone.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Connections served at a time; more are told to come back.
const CONNECTIONS: usize = 32;
/// Longest head of a request, [bytes].
const HEAD_BYTES: usize = 8 << 10;
/// How long a request may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the listener looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// A request: path, and the text behind `?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path, as sent.
    pub path: String,
    /// The text behind `?`; empty where there is none.
    pub query: String,
}

impl Request {
    /// A parameter's value, percent signs and `+` decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then(|| decode(&value.replace('+', " ")))
        })
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 400, 404, 405, 500 or 503.
    pub code: u16,
    /// Media type.
    pub kind: &'static str,
    /// Body.
    pub body: String,
}

impl Answer {
    /// JSON.
    pub fn json(code: u16, value: &serde_json::Value) -> Self {
        Self { code, kind: "application/json", body: format!("{value}\n") }
    }

    /// An error, as JSON.
    pub fn error(code: u16, text: &str) -> Self {
        Self::json(code, &serde_json::json!({ "error": text }))
    }
}

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Listens at this address and answers with `answer`.
    pub fn start(
        address: SocketAddr,
        answer: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (flag, answer, open) = (Arc::clone(&stop), Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let thread = thread::Builder::new().name("twinfleet-status".to_owned()).spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(LOOK);
                    continue;
                };
                if open.fetch_add(1, Ordering::Relaxed) >= CONNECTIONS {
                    open.fetch_sub(1, Ordering::Relaxed);
                    write(stream, &Answer::error(503, "too many connections"), true).ok();
                    continue;
                }
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&open));
                let spawned = thread::Builder::new().name("twinfleet-http".to_owned()).spawn(move || {
                    serve(stream, &*answer).ok();
                    counted.fetch_sub(1, Ordering::Relaxed);
                });
                if spawned.is_err() {
                    open.fetch_sub(1, Ordering::Relaxed);
                }
            }
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Answer) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    let deadline = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    let (answered, with_body) = loop {
        match read(&head) {
            Parsed::Whole(request) => break (answer(&request), true),
            Parsed::Head(request) => break (answer(&request), false),
            Parsed::Wrong(answer) => break (answer, true),
            Parsed::More if head.len() >= HEAD_BYTES => {
                break (Answer::error(400, "the request is too long"), true);
            }
            Parsed::More => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk)? {
            0 => return Ok(()),
            n => head.extend_from_slice(&chunk[..n]),
        }
    };
    write(stream, &answered, with_body)
}

/// How far a request has come.
enum Parsed {
    More,
    Whole(Request),
    /// Only the head of the answer is wanted.
    Head(Request),
    Wrong(Answer),
}

fn read(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Parsed::More,
        Ok(httparse::Status::Complete(_)) => {}
        Err(error) => return Parsed::Wrong(Answer::error(400, &format!("this is no HTTP request: {error}"))),
    }
    let target = request.path.unwrap_or("/");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let wanted = Request { path: path.to_owned(), query: query.to_owned() };
    match request.method {
        Some("GET") => Parsed::Whole(wanted),
        Some("HEAD") => Parsed::Head(wanted),
        _ => Parsed::Wrong(Answer::error(405, "this server can only be read: use GET")),
    }
}

fn write(mut stream: TcpStream, answer: &Answer, with_body: bool) -> std::io::Result<()> {
    let reason = match answer.code {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    };
    let head = format!(
        "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n{}\r\n",
        answer.code,
        answer.kind,
        answer.body.len(),
        if answer.code == 405 { "Allow: GET, HEAD\r\n" } else { "" },
    );
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(answer.body.as_bytes())?;
    }
    stream.flush()
}

/// Text with its percent signs decoded; what is no such sign stays.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
