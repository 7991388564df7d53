//! What the status server answers: health, metrics, the JSON API with its description, and a page for people.
//!
//! Health is answered from shared figures, so that it is answered even where the mirror hangs; history is read from the
//! store beside the mirror; the rest is asked of the mirror, which answers between two turns.

use super::http::{Answer, Request, decode};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};
use twinfleet_engine::scenario::calendar;
use twinfleet_twins::mirror::store::{HistoryRow, Reader};

/// A turn that is longer ago than this means that the mirror hangs, [ms].
const HANGS_AFTER_MS: i64 = 10_000;
/// How long the mirror may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions that may wait.
const QUESTIONS: usize = 64;
/// Twins that one answer lists at most.
pub const LIST: usize = 1_000;
/// Rows of history in one answer, where it does not say, and at most.
const ROWS: usize = 1_000;
const ROWS_MOST: usize = 10_000;

/// How the mirror stands, for those who must not wait for it.
#[derive(Debug, Default)]
pub struct Health {
    /// Unix time of its last turn, [ms].
    pub turned_ms: AtomicI64,
    /// Whether the broker is there.
    pub connected: AtomicBool,
    /// Whether the store takes what is to be kept.
    pub storing: AtomicBool,
}

/// What is asked of the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Twins from this place on.
    Twins(usize),
    /// One twin.
    Twin(String),
    /// A twin's number in the store, and the names and units of its channels.
    Channels(String),
    /// Figures for Prometheus.
    Metrics,
}

/// A question, and where its answer goes. `Null` says that there is no such twin.
#[derive(Debug)]
pub struct Question {
    /// What is asked.
    pub what: What,
    /// Where the answer goes.
    pub reply: SyncSender<Value>,
}

/// Answers requests.
#[derive(Clone, Debug)]
pub struct Answers {
    health: Arc<Health>,
    questions: SyncSender<Question>,
    reader: Reader,
}

impl Answers {
    /// Answers from these; and the questions that the mirror has to answer.
    pub fn new(health: Arc<Health>, reader: Reader) -> (Self, Receiver<Question>) {
        let (questions, asked) = sync_channel(QUESTIONS);
        (Self { health, questions, reader }, asked)
    }

    fn ask(&self, what: What) -> Result<Value, Answer> {
        let (reply, answer) = sync_channel(1);
        let busy = || Answer::error(503, "the mirror is busy or stopping");
        self.questions.try_send(Question { what, reply }).map_err(|_| busy())?;
        match answer.recv_timeout(PATIENCE) {
            Ok(Value::Null) => Err(Answer::error(404, "there is no such twin; /api/v1/twins lists them")),
            Ok(value) => Ok(value),
            Err(_) => Err(busy()),
        }
    }

    /// The answer to a request.
    pub fn answer(&self, request: &Request) -> Answer {
        let path = request.path.trim_end_matches('/');
        let answered = match path {
            "" => self.page(),
            "/healthz" => Ok(self.health()),
            "/metrics" => self.ask(What::Metrics).map(|text| Answer {
                code: 200,
                kind: "text/plain; version=0.0.4; charset=utf-8",
                body: text.as_str().unwrap_or_default().to_owned(),
            }),
            "/api/v1/openapi.json" => Ok(Answer::json(200, &description())),
            "/api/v1/twins" => self.list(request),
            "/api/v1/events" => self.events(request),
            _ => match path.strip_prefix("/api/v1/twins/") {
                Some(rest) => match rest.strip_suffix("/history") {
                    Some(twin) => self.history(&decode(twin), request),
                    None => self.ask(What::Twin(decode(rest))).map(|v| Answer::json(200, &v)),
                },
                None => Err(Answer::error(404, "there is nothing here; /api/v1/openapi.json says what is")),
            },
        };
        answered.unwrap_or_else(|refusal| refusal)
    }

    fn health(&self) -> Answer {
        let age_ms =
            super::clock::system_unix_ns() / 1_000_000 - self.health.turned_ms.load(Ordering::Relaxed);
        let turning = age_ms < HANGS_AFTER_MS;
        let connected = self.health.connected.load(Ordering::Relaxed);
        let storing = self.health.storing.load(Ordering::Relaxed);
        let well = turning && connected && storing;
        let body = json!({ "ok": well, "turning": turning, "broker": connected, "store": storing });
        Answer::json(if well { 200 } else { 503 }, &body)
    }

    fn list(&self, request: &Request) -> Result<Answer, Answer> {
        let from = number(request, "from", 0)?;
        self.ask(What::Twins(from)).map(|v| Answer::json(200, &v))
    }

    fn events(&self, request: &Request) -> Result<Answer, Answer> {
        let limit = number(request, "limit", 100)?.min(ROWS_MOST);
        let events = self.reader.events(limit).map_err(|e| Answer::error(503, &e.to_string()))?;
        let events: Vec<Value> = events.iter().filter_map(|e| serde_json::from_slice(e).ok()).collect();
        Ok(Answer::json(200, &json!({ "events": events })))
    }

    fn history(&self, twin: &str, request: &Request) -> Result<Answer, Answer> {
        let from = time(request, "from", i64::MIN)?;
        let to = time(request, "to", i64::MAX)?;
        // No rows would be followed by no rows for ever.
        let limit = number(request, "limit", ROWS)?.clamp(1, ROWS_MOST);
        let wanted = request.parameter("signal");
        let channels = self.ask(What::Channels(twin.to_owned()))?;
        let names: Vec<&str> = channels["channels"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|c| c["name"].as_str())
            .collect();
        if let Some(wanted) = &wanted
            && !names.contains(&wanted.as_str())
        {
            let text = format!("this twin has no signal `{wanted}`; it has {}", names.join(", "));
            return Err(Answer::error(404, &text));
        }
        let row_of = channels["number"].as_u64().unwrap_or(u64::MAX) as u32;
        // One more than asked for tells whether there is more.
        let mut rows = self
            .reader
            .history(row_of, from, to, limit + 1)
            .map_err(|e| Answer::error(503, &e.to_string()))?;
        let next = (rows.len() > limit).then(|| rows[limit].t_unix_ns);
        rows.truncate(limit);
        let rows: Vec<Value> = rows.iter().filter_map(|r| row(r, &names, wanted.as_deref())).collect();
        let units: serde_json::Map<String, Value> = channels["channels"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| (c["name"].as_str().unwrap_or_default().to_owned(), c["unit"].clone()))
            .filter(|(name, _)| wanted.as_ref().is_none_or(|w| w == name))
            .collect();
        Ok(Answer::json(
            200,
            &json!({ "twin": twin, "units": units, "rows": rows, "next": next.map(calendar::text) }),
        ))
    }

    fn page(&self) -> Result<Answer, Answer> {
        let twins = self.ask(What::Twins(0))?;
        let mut rows = String::new();
        for twin in twins["twins"].as_array().into_iter().flatten() {
            let id = twin["id"].as_str().unwrap_or_default();
            let verdicts: Vec<String> = twin["verdicts"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|v| {
                    let (kind, part) = (v["kind"].as_str().unwrap_or(""), v["part"].as_str().unwrap_or(""));
                    if part.is_empty() { kind.to_owned() } else { format!("{kind} of {part}") }
                })
                .collect();
            let online = match twin["online"].as_bool() {
                Some(true) => "online",
                Some(false) => "offline",
                None => "–",
            };
            // Writing to a String cannot fail.
            let _ = write!(
                rows,
                "<tr{}><td><a href=\"/api/v1/twins/{}\">{}</a><td>{}<td>{online}<td>{}<td>{}",
                if verdicts.is_empty() { "" } else { " class=bad" },
                encode(id),
                escape(id),
                escape(twin["thing"].as_str().unwrap_or_default()),
                escape(twin["last_report"].as_str().unwrap_or("never")),
                escape(&if verdicts.is_empty() { "none".to_owned() } else { verdicts.join(", ") }),
            );
        }
        let health = self.health();
        let (shown, all) =
            (twins["twins"].as_array().map_or(0, Vec::len), twins["count"].as_u64().unwrap_or(0));
        let body = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5><title>twinfleet mirror</title>\
             <style>body{{font:15px system-ui;margin:2em;color:#222}}table{{border-collapse:collapse}}td,th{{padding:.3em .8em;\
             border-bottom:1px solid #ddd;text-align:left}}.bad{{background:#fde8e8}}</style><h1>twinfleet mirror</h1>\
             <p>{}<p>{shown} of {all} twins · <a href=/api/v1/events>events</a> · <a href=/metrics>metrics</a> · \
             <a href=/api/v1/openapi.json>API</a><table><tr><th>twin<th>thing<th>device<th>last report<th>verdicts{rows}</table></html>\n",
            escape(health.body.trim()),
        );
        Ok(Answer { code: 200, kind: "text/html; charset=utf-8", body })
    }
}

fn row(row: &HistoryRow, names: &[&str], wanted: Option<&str>) -> Option<Value> {
    let values: serde_json::Map<String, Value> = row
        .values
        .iter()
        .filter_map(|(c, v)| Some((*names.get(usize::from(*c))?, *v)))
        .filter(|(name, _)| wanted.is_none_or(|w| w == *name))
        .map(|(name, v)| (name.to_owned(), json!(v)))
        .collect();
    (!values.is_empty()).then(|| json!({ "t": calendar::text(row.t_unix_ns), "values": values }))
}

fn number(request: &Request, name: &str, otherwise: usize) -> Result<usize, Answer> {
    request.parameter(name).map_or(Ok(otherwise), |text| {
        text.parse().map_err(|_| Answer::error(400, &format!("`{name}` is a whole number, not `{text}`")))
    })
}

/// A time in ISO 8601 or as Unix seconds, as Unix time [ns].
fn time(request: &Request, name: &str, otherwise: i64) -> Result<i64, Answer> {
    let Some(text) = request.parameter(name) else { return Ok(otherwise) };
    let seconds = || text.parse::<f64>().ok().filter(|s| s.abs() < 9e9).map(|s| (s * 1e9) as i64);
    calendar::unix_ns(&text).or_else(seconds).ok_or_else(|| {
        Answer::error(
            400,
            &format!("`{name}` is a time such as 2026-11-28T12:00:00Z or Unix seconds, not `{text}`"),
        )
    })
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// The API's description, OpenAPI 3.1.
fn description() -> Value {
    let parameter = |name: &str, place: &str, about: &str| json!({ "name": name, "in": place, "required": place == "path", "description": about, "schema": { "type": "string" } });
    let get = |about: &str, kind: &str, parameters: Vec<Value>, codes: &[(&str, &str)]| {
        let mut responses = serde_json::Map::new();
        responses
            .insert("200".into(), json!({ "description": about, "content": { kind: { "schema": {} } } }));
        for (code, text) in codes {
            responses.insert((*code).into(), json!({ "description": text }));
        }
        json!({ "get": { "summary": about, "parameters": parameters, "responses": responses } })
    };
    let busy = ("503", "The mirror is busy or stopping");
    let twin = || parameter("id", "path", "The twin's id");
    json!({
        "openapi": "3.1.0",
        "info": { "title": "twinfleet mirror", "version": env!("CARGO_PKG_VERSION"), "description": "Read-only: twins of real devices, their history and events." },
        "paths": {
            "/healthz": get("Whether mirror, broker and store are well", "application/json", vec![], &[("503", "One of them is not")]),
            "/metrics": get("Figures for Prometheus", "text/plain", vec![], &[busy]),
            "/api/v1/twins": get("Twins in the scenario's order, 1,000 at a time", "application/json", vec![parameter("from", "query", "Place of the first")], &[busy]),
            "/api/v1/twins/{id}": get("All that is known of a twin: signals with estimate, residual and forecasts, verdicts, state document with desired, reported and delta, last command (waiting, sent, acknowledged, refused, unanswered or withdrawn; latency and reason), rhythm and clock of its device", "application/json", vec![twin()], &[("404", "No such twin"), busy]),
            "/api/v1/twins/{id}/history": get("A twin's values, oldest first; `next` is where the next answer begins", "application/json", vec![
                twin(),
                parameter("signal", "query", "One signal, such as soc.temperature@estimate"),
                parameter("from", "query", "First time, ISO 8601 or Unix seconds"),
                parameter("to", "query", "Last time"),
                parameter("limit", "query", "Rows, 1,000 unless told otherwise, at most 10,000"),
            ], &[("400", "A parameter that cannot be read"), ("404", "No such twin or signal"), busy]),
            "/api/v1/events": get("The newest events, newest first: verdicts, presence, commands", "application/json", vec![parameter("limit", "query", "How many, 100 unless told otherwise")], &[busy]),
        },
    })
}
