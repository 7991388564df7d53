//! Real devices, followed live: their messages come from a broker, their twins are those of `twinfleet mirror`, its tick ending
//! now. It only listens: nothing is published, nothing is kept on disk.

use super::{
    left::{Ledger, Left},
    open::Opened,
    player::{SAMPLED_BUCKETS, SAMPLED_SIGNALS},
    source::{NoSource, Source},
};
use crate::fleet::Fleet;
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use twinfleet_engine::{
    message::{Message, Router, TopicFilter},
    mirror::{
        follow::{
            self,
            live::{self, OFFLINE, ONLINE},
        },
        status_topics, topics_of,
    },
    plan::Plan,
    record::{Bucket, Sampler},
    run::Run,
    scenario::MirrorDef,
    signal::SignalId,
    time::SimTime,
    world::{Event, Events, Rows, Watch},
};
use twinfleet_twins::{
    assemble::Estimators,
    mirror::scope::filters,
    wire::{
        WireError,
        client::ConnectOptions,
        exchange::FOREIGN,
        session::{Session, SessionNews, SessionOptions},
        url::BrokerChoice,
    },
};

/// How long a tick waits for something to come.
const WAIT: Duration = Duration::from_millis(20);
/// How often time passes where nothing comes: silence is judged by it.
const TICK: Duration = Duration::from_millis(100);
/// How long the first connection may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest message that is taken, [bytes].
const PACKET_BYTES: usize = 1 << 20;
/// Longest silence between us and the broker, [s].
const KEEP_ALIVE_S: u16 = 30;

/// A live mirror.
pub struct Live {
    run: Run,
    session: Session,
    started: Instant,
    ticked: Instant,
    seq: u64,
    heard: Vec<Message>,
    /// Whose topics these are, by the ordinals of the devices.
    voices: Router<u32>,
    /// By the topic where it is told: which twin's device is gone or back, and whether it was there by what was told last.
    statuses: HashMap<String, (String, bool)>,
    sampler: Sampler,
    ledger: Ledger,
}

fn wire(error: &WireError) -> NoSource {
    let text = match error {
        // A broker of our own has no real devices on it.
        WireError::Unreachable { broker, reason } => {
            format!("cannot reach the broker {broker}: {reason}. Check host and port, and that it runs")
        }
        other => other.to_string(),
    };
    NoSource { text, outside: !error.is_input() }
}

/// Which device's topics these are.
fn voices(plan: &Plan, fleet: &Fleet) -> Router<u32> {
    let mut voices = Router::default();
    for def in &plan.scenario.mirror {
        let Some(ordinal) = fleet.find(&def.twin).and_then(|d| fleet.devices[d].ordinal) else { continue };
        for filter in topics_of(plan, def).iter().filter_map(|topic| TopicFilter::new(topic).ok()) {
            voices.add(filter, ordinal);
        }
    }
    voices
}

/// A message as its device's own. What the broker had kept nobody says now, and what a bridge says of all is nobody's own.
fn attributed(voices: &mut Router<u32>, mut message: Message) -> Message {
    let ordinals = voices.targets(&message.topic);
    if let Some(first) = ordinals.first()
        && !message.retain
        && ordinals.iter().all(|ordinal| ordinal == first)
    {
        message.publisher = *first;
    }
    message
}

/// That a device is gone, or back, where a message tells it on a topic of its own; what a dialect tells, its twin says.
fn presence(statuses: &mut HashMap<String, (String, bool)>, message: &Message) -> Option<Event> {
    let (twin, here) = statuses.get_mut(&*message.topic)?;
    let is = &*message.payload != b"offline";
    let kind = if is { ONLINE } else { OFFLINE }.to_owned();
    let event = Event { t: message.due, subject: twin.clone(), kind, ..Event::default() };
    (std::mem::replace(here, is) != is).then_some(event)
}

impl Live {
    /// Connects to the broker; the mirror's time begins now.
    ///
    /// # Errors
    /// A URL that is none, a broker that cannot be reached, twins that cannot be set up.
    pub fn new(opened: &Opened, broker: &str, threads: usize) -> Result<Self, NoSource> {
        let input = |text: String| NoSource { text, outside: false };
        let plan = &opened.plan;
        let choice: BrokerChoice = broker.parse().map_err(|e| wire(&e))?;
        let BrokerChoice::Url(url) = choice else {
            return Err(input(format!(
                "a mirror follows real devices on a broker of its own: `{broker}` is none. Name one, such as mqtt://localhost"
            )));
        };
        let watch = Watch(vec![true; plan.signals.len()]);
        let mut run = Run::new(plan, threads, watch)?;
        let (world, schedule) = run.parts();
        let estimators = Estimators::new(&opened.loaded);
        follow::install(world, schedule, plan, &|def| estimators.of(def))?;
        let mut options = SessionOptions::new(ConnectOptions {
            keep_alive_s: KEEP_ALIVE_S,
            max_packet_bytes: PACKET_BYTES,
            timeout: TIMEOUT,
            ..ConnectOptions::to(url)
        });
        options.filters = filters(plan, 1, false);
        let session = Session::start(options).map_err(|e| wire(&e))?;
        let mut ledger = Ledger::new(plan, SimTime::ZERO, TICK.as_nanos() as i64);
        let fleet = Fleet::of(plan);
        ledger.hear_by_reports(plan, &fleet);
        ledger.left.note = Some(format!("following {}", session.broker()));
        ledger.keep_frame(Arc::default());
        let now = Instant::now();
        let sampler = Sampler::new(SAMPLED_SIGNALS, SAMPLED_BUCKETS);
        let voices = voices(plan, &fleet);
        let of = |def: &MirrorDef| -> Vec<(String, (String, bool))> {
            status_topics(def).into_iter().map(|topic| (topic, (def.twin.clone(), true))).collect()
        };
        let statuses = plan.scenario.mirror.iter().flat_map(of).collect();
        let heard = Vec::new();
        Ok(Self { run, session, started: now, ticked: now, seq: 0, heard, voices, statuses, sampler, ledger })
    }

    fn listen(&mut self) {
        let (started, seq, heard) = (self.started, &mut self.seq, &mut self.heard);
        let pumped = self.session.pump(WAIT, |received| {
            *seq += 1;
            let arrived = SimTime(started.elapsed().as_nanos() as i64);
            heard.push(Message {
                sent: arrived,
                due: arrived,
                publisher: FOREIGN,
                seq: *seq,
                topic: received.topic().into(),
                payload: received.payload[..].into(),
                qos: received.qos,
                retain: received.retain,
            });
        });
        if let Err(error) = pumped {
            self.ledger.left.note = Some(error.to_string());
        }
        for news in self.session.news() {
            let broker = self.session.broker();
            self.ledger.left.note = Some(match news {
                SessionNews::Back { .. } => format!("following {broker}"),
                SessionNews::Away { reason, .. } => {
                    // Silence says nothing of the devices now.
                    let now = self.run.now();
                    live::pause(self.run.world_mut(), now);
                    format!("{broker} is away, the twins pause: {reason}")
                }
            });
        }
    }
}

impl Source for Live {
    fn left(&self) -> &Left {
        &self.ledger.left
    }

    fn tick(&mut self) -> bool {
        self.listen();
        let due = self.ticked.elapsed() >= TICK && self.session.is_connected();
        if self.heard.is_empty() && !due {
            return false;
        }
        self.ticked = Instant::now();
        let now = SimTime(self.started.elapsed().as_nanos() as i64);
        let heard = std::mem::take(&mut self.heard);
        // What the twins would answer, in their dialects, stays unsaid.
        let _ = self.run.tick_until(now, heard.clone());
        let heard: Vec<Message> = heard.into_iter().map(|m| attributed(&mut self.voices, m)).collect();
        self.ledger.left.now = self.run.now();
        self.ledger.left.end = self.run.now();
        let world = self.run.world();
        let rows = &world.resource::<Rows>().0;
        rows.iter().for_each(|row| self.sampler.add(row));
        self.ledger.rows(rows);
        self.ledger.events(&world.resource::<Events>().0);
        let told: Vec<Event> = heard.iter().filter_map(|m| presence(&mut self.statuses, m)).collect();
        self.ledger.events(&told);
        self.ledger.messages(&heard);
        self.ledger.keep_frame(Arc::default());
        true
    }

    fn series(&self, id: SignalId) -> Vec<Bucket> {
        self.sampler.series(id).copied().collect()
    }
}
