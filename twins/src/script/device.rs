//! One device that runs a script: its guest and its machine, brought through simulated time turn by turn.

mod ends;
mod life;

use super::{
    guest::{Guest, Host, Went},
    machine::{Machine, unhex},
    net::Net,
};
use crate::parts::live::LiveError;
pub use life::{Life, Saves};
use std::collections::{BTreeMap, VecDeque};
use twinfleet_engine::{
    firmware::program::{Program, Said, Turn},
    rng::stream,
    time::SimTime,
    world::Event,
};

/// What a question costs at least, [ns]: a program that only asks gets on too.
const QUESTION_NS: u64 = 1_000;
/// MicroPython computes for so long, while a pin is watched or a timer armed, before it is taken for a loop that waits for them,
/// though it does not go round in circles, [ns].
const AWAITS_NS: u64 = 1_000_000_000;
/// Lines of a console that become events.
const SAID: u64 = 10_000;

/// Where a device stands.
enum State {
    /// It starts (again) then.
    Off { at_ns: u64 },
    /// It asked for something at a time.
    Asked { at_ns: u64, words: String },
    /// It waits until then, or for news.
    Waits { until_ns: u64, news: bool },
    /// It is over.
    Over,
    /// It has no power.
    Dark,
}

/// A pin whose edges the script wants to know.
struct Watched {
    pin: String,
    pull: String,
    level: bool,
}

/// Wires a device's board and parts as they are once its supply gave way at an instant \[ns\]; at 0 as they are at first.
pub type Wire = dyn Fn(u64) -> Result<Machine, LiveError> + Send;

/// What a board's RAM holds beside its program, and loses with its power.
const IN_RAM: [&str; 2] = ["rtc", "clock"];

/// A device and its script.
pub struct Device {
    life: Life,
    wire: Box<Wire>,
    machine: Machine,
    host: Box<dyn Host>,
    guest: Option<Box<dyn Guest>>,
    state: State,
    /// When it last asked for anything but leave to compute on.
    worked_ns: u64,
    net: Net,
    watched: Vec<Watched>,
    /// News that a wait ends for.
    news: VecDeque<String>,
    /// What outlives a reset: flash and RTC memory.
    kept: BTreeMap<String, String>,
    /// Whether the waits of its script are light sleep.
    light: bool,
    /// What it saves now, [mA].
    saving_ma: f64,
    /// Pins, their levels and their pulls, that wake it from its deep sleep.
    wakes: Vec<(String, bool, String)>,
    lines: u64,
    /// A running hash of all that it asked.
    trace: u64,
    starts: u32,
}

impl Device {
    /// A device that starts at the run's beginning, after its boot.
    ///
    /// # Errors
    /// Where two parts are in each other's way.
    pub fn new(life: Life, wire: Box<Wire>, host: Box<dyn Host>) -> Result<Self, LiveError> {
        let machine = wire(0)?;
        let at_ns = ns(life.script.boot.0);
        let dice = stream(life.seed, &life.device, "script/net");
        let (link, linux) = (life.link.clone(), life.linux);
        let mut net = Net::new(&life.addresses, &life.broker, &life.device, life.ordinal, link, linux, dice);
        net.joins = life.joins;
        Ok(Self {
            life,
            wire,
            machine,
            host,
            guest: None,
            state: State::Off { at_ns },
            worked_ns: 0,
            net,
            watched: Vec::new(),
            news: VecDeque::new(),
            kept: BTreeMap::new(),
            light: false,
            saving_ma: 0.0,
            wakes: Vec::new(),
            lines: 0,
            trace: 0,
            starts: 0,
        })
    }

    fn event(&self, at_ns: u64, kind: &str, detail: String) -> Event {
        Event {
            t: SimTime(at_ns as i64),
            subject: self.life.device.clone(),
            kind: kind.to_owned(),
            detail,
            ..Event::default()
        }
    }

    /// From now on the board saves so much.
    fn save(&mut self, at_ns: u64, ma: f64, turn: &mut Turn) {
        if self.saving_ma != ma {
            self.saving_ma = ma;
            turn.rests.push((SimTime(at_ns as i64), ma));
        }
    }

    fn start(&mut self, at_ns: u64, turn: &mut Turn) {
        // The board has run since its start began, before the script's first line.
        self.save(at_ns.saturating_sub(ns(self.life.script.boot.0)), 0.0, turn);
        self.starts += 1;
        self.wakes.clear();
        self.worked_ns = at_ns;
        self.net.start(ns((turn.until - turn.now).0));
        turn.counts.push(("script_starts", 1));
        let started = self.host.start(&self.life, at_ns);
        if let Some(note) = self.host.note() {
            turn.events.push(self.event(at_ns, "script_host", note));
        }
        match started {
            Ok((guest, went)) => {
                self.guest = Some(guest);
                self.went(went, at_ns, turn);
            }
            Err(e) => self.fail(turn, e.0),
        }
    }

    /// What its supply did to it since its last turn.
    fn feel_supply(&mut self, turn: &mut Turn) {
        let now_ns = ns(turn.now.0);
        for gave_way in std::mem::take(&mut turn.supply) {
            let Some(at) = gave_way else {
                if matches!(self.state, State::Dark) {
                    self.life.reset_cause = "power_on";
                    self.state = State::Off { at_ns: now_ns + ns(self.life.script.boot.0) };
                }
                continue;
            };
            if matches!(self.state, State::Dark) {
                continue;
            }
            // It may have got on by a tick at most since.
            let at_ns = ns(at.0).max(now_ns);
            let ran = self.guest.is_some();
            self.net.end(at_ns, false);
            self.say(turn);
            self.stop();
            self.wakes.clear();
            self.machine.lets_all_go();
            self.tell_levels(at_ns, turn);
            self.kept.retain(|key, _| !IN_RAM.contains(&key.as_str()));
            self.save(at_ns, 0.0, turn);
            match (self.wire)(at_ns) {
                Ok(mut machine) => {
                    machine.clock.advance_to_ns(at_ns);
                    machine.stands_as(&self.machine);
                    self.machine = machine;
                }
                Err(e) => return self.fail(turn, e.to_string()),
            }
            if ran {
                turn.events.push(self.event(at_ns, "script_reset", "the board's supply gave way".to_owned()));
            }
            self.state = State::Dark;
        }
    }

    fn fail(&mut self, turn: &mut Turn, why: String) {
        turn.failed = Some(format!("device `{}`: {why}", self.life.device));
        self.stop();
        self.state = State::Over;
    }

    fn stop(&mut self) {
        self.guest = None;
        self.light = false;
        self.watched.clear();
        self.news.clear();
    }

    /// Takes in what the guest did last; `at_ns` is when it was let go.
    fn went(&mut self, went: Went, at_ns: u64, turn: &mut Turn) {
        match went {
            Went::Asked(line) => {
                let (time, words) = line.split_once(' ').unwrap_or((&line, ""));
                // A script that tampers with its clock goes on from now, and no further than an hour.
                let asked: u64 = time.parse().unwrap_or(at_ns);
                let asked_ns = asked.clamp(at_ns, at_ns.saturating_add(3_600_000_000_000));
                for b in line.bytes() {
                    self.trace = (self.trace ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
                }
                self.state = State::Asked { at_ns: asked_ns, words: words.to_owned() };
            }
            Went::Gone(why) => self.ended(at_ns, "gone", &why, None, turn),
            Went::Hung(waited) => {
                let text = format!(
                    "its script answers nothing for {:.0} s of real time, at {:#} of simulated time: the run cannot go on\n\
                     a call that never returns, such as a huge power, is no device's code; a slow one needs more patience: `--script-patience`",
                    waited.as_secs_f64(),
                    SimTime(at_ns as i64)
                );
                self.fail(turn, text);
            }
        }
    }

    /// Hands to the run what its pins have set.
    fn tell_levels(&mut self, at_ns: u64, turn: &mut Turn) {
        for (part, level) in self.machine.levels.drain(..) {
            turn.levels.push((SimTime(at_ns as i64), part, level));
        }
    }

    /// Hands to the run what its network has for it.
    fn say(&mut self, turn: &mut Turn) {
        for (at_ns, (topic, payload, qos, retain), will) in self.net.out.said.drain(..) {
            turn.said.push(Said { at: SimTime(at_ns as i64), topic, payload, qos, retain, will });
        }
        turn.filters.append(&mut self.net.out.filters);
        match std::mem::take(&mut self.net.out.dropped) {
            0 => {}
            dropped => turn.counts.push(("script_messages_dropped", dropped)),
        }
    }

    /// Serves a question at its time. None: it waits.
    fn serve(&mut self, at_ns: u64, words: &str, turn: &mut Turn) -> Option<(u64, String)> {
        let list: Vec<&str> = words.split(' ').collect();
        if list[0] == "tick" {
            return Some(self.tick(at_ns, &list, turn));
        }
        self.worked_ns = at_ns;
        let answered = |text: &str| Some((at_ns + QUESTION_NS, text.to_owned()));
        match list.as_slice() {
            ["rest", kind] => {
                self.light = *kind == "light";
                return answered("ok");
            }
            ["wait", until] => {
                let rests_ma = if self.light { self.life.saves.light } else { self.life.saves.idle };
                self.save(at_ns, rests_ma, turn);
                let until_ns = until.parse::<u64>().unwrap_or(u64::MAX);
                self.state = State::Waits { until_ns, news: true };
                return None;
            }
            ["sleep", until] => {
                self.state = State::Waits { until_ns: until.parse().unwrap_or(at_ns), news: false };
                return None;
            }
            ["say", text] => {
                self.lines += 1;
                if self.lines <= SAID {
                    let line = String::from_utf8_lossy(&unhex(text).unwrap_or_default()).into_owned();
                    turn.events.push(self.event(at_ns, "script_says", line));
                } else if self.lines == SAID + 1 {
                    let text = format!("it has printed {SAID} lines: those to come are not told");
                    turn.events.push(self.event(at_ns, "script_quiet", text));
                }
                return answered("ok");
            }
            ["in", pin, _, "hold"] => {
                let answer = self.machine.serve(at_ns, &list[..3]).unwrap_or_default();
                let answered_ns = self.machine.clock.now_ns().max(at_ns + QUESTION_NS);
                let holds_ns = self.machine.holds_ns(pin).map_or(0, |h| h.min(ns(turn.until.0)));
                return Some((answered_ns, format!("{answer} {holds_ns}")));
            }
            ["uartr", port, _, _, "hold"] => {
                let answer = self.machine.serve(at_ns, &list[..4]).unwrap_or_default();
                let until_ns = self.machine.silent_until_ns(port).map_or(0, |h| h.min(ns(turn.until.0)));
                return answered(&format!("{answer} {until_ns}"));
            }
            ["recv", _, _, "hold"] => {
                let answer = self.net.serve(at_ns, &list[..3]).unwrap_or_default();
                self.say(turn);
                // What comes over the network comes from tick to tick, or follows from what the script does.
                let until_ns = ns(turn.until.0);
                return match answer.as_str() {
                    "ok open -" => answered(&format!("{answer} {until_ns}")),
                    _ => answered(&answer),
                };
            }
            ["crash", text] => {
                let text = String::from_utf8_lossy(&unhex(text).unwrap_or_default()).trim_end().to_owned();
                let last = text.lines().last().unwrap_or_default().to_owned();
                turn.counts.push(("script_failures", 1));
                turn.events.push(self.event(at_ns, "script_crash", format!("{last}\n{text}")));
                return answered("ok");
            }
            ["end", kind, text, watchdog @ ..] => {
                let text = String::from_utf8_lossy(&unhex(text).unwrap_or_default()).into_owned();
                let watchdog_ns = watchdog.first().and_then(|ns| ns.parse().ok());
                self.ended(at_ns, kind, &text, watchdog_ns, turn);
                return None;
            }
            ["keep", key, value] => {
                self.kept.insert((*key).to_owned(), (*value).to_owned());
                return answered("ok");
            }
            ["kept", key] => {
                let value = self.kept.get(*key).map_or("-", String::as_str);
                return answered(&format!("ok {value}"));
            }
            ["forget", key] => {
                self.kept.remove(*key);
                return answered("ok");
            }
            ["watch", pin, pull] => {
                let Some(name) = self.machine.pin(pin) else { return answered(&format!("err nopin:{pin}")) };
                // From here on: what the part did before is nobody's edge.
                self.machine.clock.advance_to_ns(at_ns);
                let level = self.machine.level(&name, pull);
                self.watched.retain(|w| w.pin != name);
                self.watched.push(Watched { pin: name, pull: (*pull).to_owned(), level });
                return answered("ok");
            }
            ["unwatch", pin] => {
                let name = self.machine.pin(pin);
                self.watched.retain(|w| Some(&w.pin) != name.as_ref());
                return answered("ok");
            }
            _ => {}
        }
        if let Some(answer) = self.net.serve(at_ns, &list) {
            self.say(turn);
            return answered(&answer);
        }
        let answer = self.machine.serve(at_ns, &list);
        self.tell_levels(at_ns, turn);
        // Of a shaft on its way only the last place counts within a turn.
        for (part, level) in self.machine.shafts.drain(..) {
            let at = SimTime(at_ns as i64);
            match turn.levels.iter_mut().find(|(_, p, _)| *p == part) {
                Some(last) => (last.0, last.2) = (at, level),
                None => turn.levels.push((at, part, level)),
            }
        }
        let Some(answer) = answer else { return answered("err unknown") };
        turn.counts.push(("script_transfers", 1));
        Some((self.machine.clock.now_ns().max(at_ns + QUESTION_NS), answer))
    }

    /// The script computes on: it is told what has come meanwhile, or that it is stuck.
    fn tick(&mut self, at_ns: u64, words: &[&str], turn: &Turn) -> (u64, String) {
        // Who looks at the clock or at a pin asks for the world, though nobody else had to answer.
        if words.get(1) == Some(&"looked") {
            self.worked_ns = at_ns;
        }
        let busy_ns = at_ns.saturating_sub(self.worked_ns);
        // MicroPython says when its first timer is due, and whether it goes round in circles.
        let due_ns = words.get(2).and_then(|due| due.parse::<u64>().ok());
        let circles = words.get(1) == Some(&"circle");
        // What a loop waits for may be set by an interrupt.
        let awaits = !self.watched.is_empty() || due_ns.is_some_and(|due| due < u64::MAX);
        let stuck_ns = self.worked_ns + ns(self.life.script.stuck_after.0);
        if !awaits && (circles || at_ns >= stuck_ns) {
            return (at_ns.max(stuck_ns), "stuck".to_owned());
        }
        if let Some(what) = self.news.pop_front().or_else(|| Some(self.next_edge(at_ns)?.1)) {
            return (at_ns, format!("ok {what}"));
        }
        let Some(due_ns) = due_ns.filter(|_| awaits && (circles || busy_ns >= AWAITS_NS)) else {
            return (at_ns, "ok".to_owned());
        };
        let until_ns = due_ns.min(ns(turn.until.0)).max(at_ns);
        match self.next_edge(until_ns) {
            Some((edge_ns, what)) => (edge_ns.max(at_ns), format!("ok {what}")),
            None => (until_ns, "ok".to_owned()),
        }
    }

    /// What happened outside since the last turn.
    fn look_around(&mut self, turn: &mut Turn) {
        let now_ns = ns(turn.now.0);
        self.net.settle(now_ns);
        let mut news = false;
        for m in turn.heard.drain(..) {
            news |= self.net.hear(now_ns, &m);
        }
        self.tell(news);
        let now_ns = ns(turn.now.0).max(self.machine.clock.now_ns());
        if self.guest.is_none() {
            self.wake(now_ns);
            return;
        }
        self.machine.clock.advance_to_ns(now_ns);
        for w in &mut self.watched {
            // What makes edges by itself tells each, see `next_edge`.
            if self.machine.next_edge_ns(&w.pin).is_some() {
                continue;
            }
            let level = self.machine.level(&w.pin, &w.pull);
            if std::mem::replace(&mut w.level, level) != level && self.news.len() < 1_024 {
                self.news.push_back(format!("edge:{}:{}:{now_ns}", w.pin, u8::from(level)));
            }
        }
    }

    /// A script that waits is told that something has come over the network.
    fn tell(&mut self, news: bool) {
        let news = self.net.take_news() || news;
        if news && self.guest.is_some() && !self.news.iter().any(|n| n == "net") {
            self.news.push_back("net".to_owned());
        }
    }

    /// A pin may end its deep sleep.
    fn wake(&mut self, now_ns: u64) {
        let State::Off { at_ns } = self.state else { return };
        if self.wakes.is_empty() || at_ns <= now_ns {
            return;
        }
        self.machine.clock.advance_to_ns(now_ns);
        let machine = &mut self.machine;
        if self.wakes.iter().any(|(pin, level, pull)| machine.level(pin, pull) == *level) {
            self.life.reset_cause = "deepsleep_pin";
            self.state = State::Off { at_ns: now_ns + ns(self.life.script.boot.0) };
            self.wakes.clear();
        }
    }

    /// The next edge of a watched pin before a time, as news, and when it is.
    fn next_edge(&mut self, before_ns: u64) -> Option<(u64, String)> {
        let machine = &mut self.machine;
        let edges =
            self.watched.iter().enumerate().filter_map(|(i, w)| Some((machine.next_edge_ns(&w.pin)?, i)));
        let (at_ns, i) = edges.min().filter(|(at_ns, _)| *at_ns < before_ns)?;
        let w = &mut self.watched[i];
        w.level = self.machine.level_at(&w.pin, at_ns);
        Some((at_ns, format!("edge:{}:{}:{at_ns}", w.pin, u8::from(w.level))))
    }

    fn answer(&mut self, at_ns: u64, answer: &str, turn: &mut Turn) {
        let Some(guest) = &mut self.guest else { return };
        let went = guest.resume(&format!("{at_ns} {answer}"));
        self.went(went, at_ns, turn);
    }
}

impl Program for Device {
    fn next(&self) -> SimTime {
        let net_ns = self.net.next_ns();
        let at_ns = match &self.state {
            State::Off { .. } if !self.wakes.is_empty() => 0,
            State::Off { at_ns } | State::Asked { at_ns, .. } => *at_ns,
            State::Waits { .. } if !self.watched.is_empty() || !self.news.is_empty() => 0,
            State::Waits { until_ns, .. } => *until_ns,
            State::Over | State::Dark => u64::MAX,
        };
        SimTime(i64::try_from(at_ns.min(net_ns)).unwrap_or(i64::MAX))
    }

    fn listens(&self) -> bool {
        true
    }

    fn run(&mut self, turn: &mut Turn) {
        let (now_ns, end_ns) = (ns(turn.now.0), ns(turn.until.0));
        self.feel_supply(turn);
        self.look_around(turn);
        while turn.failed.is_none() {
            match &self.state {
                State::Off { at_ns } if *at_ns < end_ns => {
                    let at_ns = *at_ns;
                    self.start(at_ns, turn);
                }
                State::Asked { at_ns, words } if *at_ns < end_ns => {
                    let (at_ns, words) = (*at_ns, words.clone());
                    if let Some((at_ns, answer)) = self.serve(at_ns, &words, turn) {
                        self.answer(at_ns, &answer, turn);
                    }
                }
                State::Waits { until_ns, news } => {
                    let (until_ns, asked_ns) = (*until_ns, self.worked_ns);
                    if *news && let Some(what) = self.news.pop_front() {
                        let at_ns = now_ns.max(asked_ns);
                        self.worked_ns = at_ns;
                        self.save(at_ns, 0.0, turn);
                        self.answer(at_ns, &format!("ok {what}"), turn);
                    } else if *news && let Some((edge_ns, what)) = self.next_edge(until_ns.min(end_ns)) {
                        // An edge while the script was busy is told when it waits again, with its own time.
                        let at_ns = edge_ns.max(asked_ns);
                        self.worked_ns = at_ns;
                        self.save(at_ns, 0.0, turn);
                        self.answer(at_ns, &format!("ok {what}"), turn);
                    } else if until_ns < end_ns {
                        let at_ns = until_ns.max(asked_ns);
                        self.worked_ns = at_ns;
                        self.save(at_ns, 0.0, turn);
                        self.answer(at_ns, "ok", turn);
                    } else {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.net.acknowledge(now_ns);
        self.net.settle(end_ns.saturating_sub(1));
        self.tell(false);
        self.say(turn);
    }

    fn hash_into(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.trace.to_le_bytes());
        bytes.extend(self.starts.to_le_bytes());
        bytes.extend(self.next().0.to_le_bytes());
    }
}

fn ns(of: i64) -> u64 {
    u64::try_from(of).unwrap_or(0)
}
