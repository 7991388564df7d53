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
use twinfleet_twins::load::{Progress, shared::LATENCY_ENDS_MS};

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
            (
                "missing",
                "gauge",
                "Deliveries that are under way, or lost: which of the two, the end tells.",
                c.expected.saturating_sub(c.fresh),
            ),
            ("breaches_total", "counter", "Breaches of MQTT that show in a delivery itself.", c.breaches),
        ];
        let mut text = String::new();
        for (name, kind, help, n) in figures {
            text += &format!(
                "# HELP twinfleet_load_{name} {help}\n# TYPE twinfleet_load_{name} {kind}\ntwinfleet_load_{name} {n}\n"
            );
        }
        text += &format!(
            "# HELP twinfleet_load_elapsed_seconds Time since the first stage began.\n\
             # TYPE twinfleet_load_elapsed_seconds gauge\ntwinfleet_load_elapsed_seconds {:.3}\n\
             # HELP twinfleet_load_lag_seconds_max How late the generator itself came to a message at most.\n\
             # TYPE twinfleet_load_lag_seconds_max gauge\ntwinfleet_load_lag_seconds_max {}\n\
             # HELP twinfleet_load_latency_seconds From the intended instant to the arrival at a subscriber.\n\
             # TYPE twinfleet_load_latency_seconds histogram\n",
            p.t_s.max(0.0),
            c.lag_us as f64 * 1e-6
        );
        let mut below = 0;
        let ends = LATENCY_ENDS_MS.iter().map(|ms| (f64::from(*ms) * 1e-3).to_string());
        for (end, n) in ends.chain(["+Inf".to_owned()]).zip(c.latency) {
            below += n;
            text += &format!("twinfleet_load_latency_seconds_bucket{{le=\"{end}\"}} {below}\n");
        }
        text += &format!(
            "twinfleet_load_latency_seconds_sum {}\ntwinfleet_load_latency_seconds_count {below}\n",
            c.latency_us as f64 * 1e-6
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
    let asked = &request[..n];
    // Who asks for the head alone is told how long the page would be.
    let head = asked.starts_with(b"HEAD ");
    let (status, page) = match asked.starts_with(b"GET /metrics") || asked.starts_with(b"HEAD /metrics") {
        true => ("200 OK", page),
        false => ("404 Not Found", "figures are at /metrics\n"),
    };
    let (length, body) = (page.len(), if head { "" } else { page });
    // A scraper that left is no failure of ours.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
}
