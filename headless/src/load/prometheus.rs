//! Live figures for Prometheus: its text format over plain HTTP, on the address that was asked for.

use crate::exit::Failure;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};
use twinfleet_twins::load::Progress;

/// A scraper that says nothing is waited for so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Serves until it is dropped.
pub struct Exporter {
    page: Arc<Mutex<String>>,
    stop: Arc<AtomicBool>,
}

impl Exporter {
    pub fn start(address: SocketAddr) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| {
            Failure::outside(format!("--prometheus {address}: cannot listen there: {e}; name a free port"))
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let exporter = Self { page: Arc::default(), stop: Arc::default() };
        let (page, stop) = (Arc::clone(&exporter.page), Arc::clone(&exporter.stop));
        thread::spawn(move || {
            while !stop.load(Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        answer(stream, &page.lock().unwrap_or_else(PoisonError::into_inner).clone())
                    }
                    Err(_) => thread::sleep(Duration::from_millis(50)),
                }
            }
        });
        Ok(exporter)
    }

    /// Shows new figures.
    pub fn show(&self, p: Progress) {
        let c = p.counts;
        let figures = [
            ("connections", "gauge", "Connections that are up.", c.up),
            ("connections_failed", "gauge", "Connections given up.", c.failed),
            ("sent_total", "counter", "Messages written.", c.sent),
            ("acknowledged_total", "counter", "Messages that the broker acknowledged.", c.acknowledged),
            ("received_total", "counter", "First deliveries.", c.fresh),
            ("expected_total", "counter", "Deliveries that there should have been.", c.expected),
        ];
        let mut text = String::new();
        for (name, kind, help, n) in figures {
            text += &format!(
                "# HELP twinfleet_load_{name} {help}\n# TYPE twinfleet_load_{name} {kind}\ntwinfleet_load_{name} {n}\n"
            );
        }
        text += &format!(
            "# HELP twinfleet_load_elapsed_seconds Time since the first stage began.\n\
             # TYPE twinfleet_load_elapsed_seconds gauge\ntwinfleet_load_elapsed_seconds {:.3}\n",
            p.t_s.max(0.0)
        );
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn answer(mut stream: TcpStream, page: &str) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let mut request = [0; 1_024];
    let Ok(n) = stream.read(&mut request) else { return };
    let (status, body) = match request[..n].starts_with(b"GET /metrics") {
        true => ("200 OK", page),
        false => ("404 Not Found", "figures are at /metrics\n"),
    };
    // A scraper that left is no failure of ours.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
}
