//! What comes in: welcomes, acknowledgements, deliveries.

use super::*;
use crate::load::{
    codec::{Asks, Frame, kind},
    conn::{MOST_UNREADABLE, Slow},
    ledger::{self, Taken, WILLS},
    stamp::{Kind, Stamp},
};

/// Reason of a DISCONNECT: another connection with the client id has come (MQTT 5 §3.14.2.1).
const TAKEN_OVER: u8 = 0x8e;
/// How much longer than asked for a broker may keep a session, [ns].
const EXPIRY_GRACE_NS: i64 = 2_000_000_000;

impl Worker<'_> {
    pub(super) fn read_ready(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        for i in ready {
            self.conns[i as usize].in_ready = false;
            self.read(i as usize);
        }
    }

    fn read(&mut self, i: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let ended = self.read_some(i, &mut scratch);
        self.scratch = scratch;
        if let Err(why) = ended {
            return self.close(i, why);
        }
        let conn = &self.conns[i];
        if conn.readable && !conn.stalled && !conn.in_ready && !self.is_paused(i) {
            self.conns[i].in_ready = true;
            self.ready.push(i as u32);
        }
        if self.conns[i].waiting() > 0 {
            self.mark_dirty(i);
        }
        self.unblock(i);
        self.settle(i);
    }

    fn is_paused(&mut self, i: usize) -> bool {
        let now_ns = self.ctx.now_ns;
        let Role::Subscriber(s) = &mut self.conns[i].role else { return false };
        let Some(slow) = &mut s.slow else { return false };
        slow.refill(now_ns);
        if slow.allowance >= 1.0 {
            return false;
        }
        // Looked at again in a while.
        self.wake_at(i, now_ns + 10_000_000);
        true
    }

    fn read_some(&mut self, i: usize, scratch: &mut Vec<u8>) -> Result<(), Close> {
        if self.is_paused(i) {
            return Ok(());
        }
        for _ in 0..READS_A_TURN {
            let conn = &mut self.conns[i];
            if conn.stalled || !conn.readable || conn.state == State::Opening {
                return Ok(());
            }
            let Some(stream) = &mut conn.stream else { return Ok(()) };
            let have = conn.partial.len();
            if have * 2 > scratch.len() {
                if have > MAX_PACKET_BYTES {
                    return Err(Close::Broken("the broker sent a packet of more than 16 MiB".to_owned()));
                }
                scratch.resize(have * 4, 0);
            }
            scratch[..have].copy_from_slice(&conn.partial);
            let mut end = scratch.len();
            if let Role::Subscriber(s) = &conn.role
                && let Some(slow) = &s.slow
            {
                end = end.min(have + slow.allowance.max(1.0) as usize);
            }
            let n = match stream.read(&mut scratch[have..end]) {
                Ok(0) => return Err(Close::Broken(crate::load::CLOSED.to_owned())),
                Ok(n) => n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    conn.readable = false;
                    return Ok(());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(Close::Broken(e.to_string())),
            };
            if let Role::Subscriber(s) = &mut conn.role
                && let Some(slow) = &mut s.slow
            {
                slow.allowance -= n as f64;
            }
            self.ctx.tally.counts.bytes_in += n as u64;
            self.ctx.now_ns = self.shared.clock.now_ns();
            let used = self.take_frames(i, &scratch[..have + n])?;
            let partial = &mut self.conns[i].partial;
            partial.clear();
            partial.extend_from_slice(&scratch[used..have + n]);
            if partial.is_empty() && partial.capacity() > 4 << 10 {
                *partial = Vec::new();
            }
            if self.is_paused(i) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take_frames(&mut self, i: usize, bytes: &[u8]) -> Result<usize, Close> {
        let protocol = self.ctx.job.load.protocol;
        let mut used = 0;
        while let Some((frame, length)) =
            codec::next(&bytes[used..], protocol).map_err(|e| Close::Broken(e.to_string()))?
        {
            used += length;
            if matches!(self.conns[i].role, Role::Stranger(_)) {
                continue;
            }
            match frame {
                Frame::Publish { .. } if matches!(self.conns[i].role, Role::Device(_)) => self.hear(i, frame),
                Frame::Publish { .. } => deliver(&mut self.conns[i], &mut self.ctx, frame),
                Frame::Ack { kind, pkid, reason } => self.acknowledged(i, kind, pkid, reason),
                Frame::ConnAck { session_present, code, asks } => {
                    self.welcome(i, session_present, code, asks)?;
                }
                Frame::SubAck { codes } => {
                    if codes.first().is_none_or(|c| *c >= 0x80) {
                        self.ctx.tally.counts.subscriptions_refused += 1;
                        self.ctx.tally.reason("the broker refused a subscription");
                        self.fail(i);
                        return Ok(bytes.len());
                    }
                    if self.conns[i].state == State::Subscribing {
                        if let Role::Subscriber(s) = &mut self.conns[i].role {
                            s.granted = codes.first().copied();
                        }
                        self.up(i);
                    }
                }
                Frame::PingResp => {}
                Frame::Disconnect { reason } => {
                    if reason == TAKEN_OVER && !self.conns[i].taken {
                        self.ctx.tally.counts.ousted += 1;
                    }
                    return Err(Close::Broken(format!("the broker said good-bye (reason {reason:#04x})")));
                }
            }
        }
        Ok(used)
    }

    fn welcome(&mut self, i: usize, present: bool, code: u8, asks: Asks) -> Result<(), Close> {
        if code != 0 {
            let reason = codec::refusal(code);
            // A broker that is busy may be less so in a while; one that does not want the client will not want it then.
            if self.ctx.start_ns == i64::MAX && !codec::passes(code) {
                self.ctx.tally.reason(format!("not connected: {reason}"));
                self.fail(i);
                return Ok(());
            }
            return Err(Close::Broken(reason.to_owned()));
        }
        if self.conns[i].cleaning {
            self.conns[i].cleaned = true;
            return Err(Close::Cleaned);
        }
        let ctx = &mut self.ctx;
        let conn = &mut self.conns[i];
        let stage = if ctx.start_ns == i64::MAX { 0 } else { ctx.stage(ctx.t_ns()) };
        ctx.tally.times.record(Metric::Connect, 0, stage, ctx.now_ns - conn.opened_ns);
        conn.receive_maximum = asks.receive_maximum.unwrap_or(u16::MAX);
        conn.keep_alive_s = asks.keep_alive_s.unwrap_or(conn.keep_alive_s);
        // Of the session that it comes back to, the last welcome told.
        let said_s = std::mem::replace(&mut conn.session_expiry_s, asks.session_expiry_s);
        let protocol = ctx.job.load.protocol;
        match &mut conn.role {
            Role::Subscriber(s) => {
                let spec = &ctx.job.subscribers[s.spec];
                if conn.known && spec.persistent {
                    let away_ns = ctx.now_ns - s.left_ns;
                    match said_s.or(spec.session_expiry_s).map(|s| i64::from(s) * 1_000_000_000) {
                        // Brokers look after expired sessions every second or so.
                        Some(kept_ns) if present && away_ns > kept_ns + EXPIRY_GRACE_NS => {
                            ctx.tally.counts.sessions_overstayed += 1;
                        }
                        Some(kept_ns) if !present && away_ns >= kept_ns => {
                            ctx.tally.counts.sessions_expired += 1
                        }
                        _ if !present => ctx.tally.counts.sessions_lost += 1,
                        _ => {}
                    }
                    // It may have lost the next connection, too, before it had subscribed: then it never was there meanwhile.
                    if !present && s.away.last().is_none_or(|(_, to)| *to != i64::MAX) {
                        s.away.push((s.left_ns, i64::MAX));
                    }
                }
                if !present {
                    s.unreleased.clear();
                }
                s.subscriptions = s.subscriptions.wrapping_add(1);
                codec::put_subscribe(&mut conn.out, protocol, 1, &spec.filter, spec.qos);
                conn.state = State::Subscribing;
                self.mark_dirty(i);
            }
            Role::Device(d) => {
                let def = &ctx.job.load.devices[ctx.job.devices[d.spec].group];
                if conn.known && def.persistent && !present {
                    let away_ns = ctx.now_ns - d.left_ns;
                    match said_s.map(|s| i64::from(s) * 1_000_000_000) {
                        Some(kept_ns) if away_ns >= kept_ns => ctx.tally.counts.sessions_expired += 1,
                        _ => ctx.tally.counts.sessions_lost += 1,
                    }
                }
                if let Some(most) = asks.maximum_qos.filter(|most| *most < d.qos && !def.is_firmware()) {
                    ctx.tally.reason(format!(
                        "the broker takes QoS {most} at most, and ends the connection of a device that publishes at QoS {}",
                        d.qos
                    ));
                }
                resend(&mut conn.out, d, ctx, present);
                let planned = self.firmware.as_ref().and_then(|f| f.topics.get(&d.spec));
                let asked = self.asked.get(&d.spec);
                let topics: Vec<String> = planned.into_iter().chain(asked).flatten().cloned().collect();
                if topics.is_empty() {
                    self.up(i);
                    return Ok(());
                }
                for topic in &topics {
                    let pkid = d.take_pkid();
                    codec::put_subscribe(&mut conn.out, protocol, pkid, topic, 1);
                }
                conn.state = State::Subscribing;
                self.mark_dirty(i);
            }
            Role::Stranger(_) => {}
        }
        Ok(())
    }

    /// A message for a simulated device: it goes to its world, as whoever sent it made it.
    fn hear(&mut self, i: usize, frame: Frame<'_>) {
        let Frame::Publish { topic, payload, qos, pkid, .. } = frame else { return };
        match qos {
            1 => codec::put_ack(&mut self.conns[i].out, kind::PUBACK, pkid),
            2 => codec::put_ack(&mut self.conns[i].out, kind::PUBREC, pkid),
            _ => {}
        }
        if let Some(firmware) = &self.firmware {
            let payload = Stamp::take_out(topic, payload);
            let topic = String::from_utf8_lossy(topic).into_owned();
            // The world takes them tick by tick; the way is wide enough for many a tick, and a full one loses commands
            // as a device does that is too slow.
            let _ = firmware.hear.try_send(Heard { topic, payload, qos });
        }
    }

    fn up(&mut self, i: usize) {
        let ctx = &mut self.ctx;
        let conn = &mut self.conns[i];
        conn.state = State::Up;
        conn.attempts = 0;
        conn.wake_ns = i64::MAX;
        conn.last_out_ns = ctx.now_ns;
        ctx.counts.up += 1;
        if conn.known {
            ctx.tally.counts.reconnected += 1;
        } else {
            ctx.tally.counts.connected += 1;
        }
        conn.known = true;
        match &mut conn.role {
            Role::Subscriber(s) => {
                if let Some((_, to)) = s.away.last_mut().filter(|(_, to)| *to == i64::MAX) {
                    *to = ctx.now_ns;
                }
            }
            Role::Device(d) => d.held = true,
            Role::Stranger(_) => {}
        }
        self.mark_dirty(i);
        self.unblock(i);
    }

    fn acknowledged(&mut self, i: usize, which: u8, pkid: u16, reason: u8) {
        let ctx = &mut self.ctx;
        let conn = &mut self.conns[i];
        match (&mut conn.role, which & 0xf0) {
            (Role::Device(d), 0x40 | 0x70) => {
                let Some(at) = d.in_flight.iter().position(|f| f.pkid == pkid) else { return };
                let Some(flight) = d.in_flight.remove(at) else { return };
                if reason >= 0x80 {
                    rejected(&mut ctx.tally, reason);
                } else {
                    d.ways[usize::from(flight.way)].acknowledged.insert(flight.seq);
                    d.kept += u32::from(ctx.in_time(flight.intended_ns));
                    ctx.counts.acknowledged += 1;
                    let qos = flight.own.as_ref().map_or(d.qos, |o| o.qos);
                    let (t_ns, stage) = (ctx.t_ns(), ctx.stage(flight.intended_ns));
                    ctx.tally.times.record(Metric::Acknowledge, qos, stage, t_ns - flight.first_ns);
                }
            }
            (Role::Device(d), 0x50) => {
                if reason >= 0x80 {
                    rejected(&mut ctx.tally, reason);
                    d.in_flight.retain(|f| f.pkid != pkid);
                } else {
                    if let Some(flight) = d.in_flight.iter_mut().find(|f| f.pkid == pkid) {
                        flight.received = true;
                    }
                    codec::put_ack(&mut conn.out, kind::PUBREL, pkid);
                }
            }
            (Role::Subscriber(s), 0x60) => {
                s.unreleased.retain(|p| *p != pkid);
                answer(&mut conn.out, s, kind::PUBCOMP, pkid);
            }
            _ => {}
        }
    }
}

/// A message that the broker did not take (MQTT 5), and why.
fn rejected(tally: &mut Tally, code: u8) {
    tally.counts.rejected += 1;
    tally.reason(codec::rejection(code));
}

impl Slow {
    fn refill(&mut self, now_ns: i64) {
        let more = (now_ns - self.at_ns) as f64 * 1e-9 * f64::from(self.rate);
        // A tenth of a second's worth may gather.
        self.allowance = (self.allowance + more).min((f64::from(self.rate) / 10.0).max(1.0));
        self.at_ns = now_ns;
    }
}

/// Messages that the broker has not acknowledged are sent once more (MQTT 3.1.1 §4.4).
fn resend(out: &mut Vec<u8>, device: &mut Device, ctx: &mut Context<'_>, present: bool) {
    if device.in_flight.is_empty() {
        return;
    }
    let t_ns = ctx.t_ns();
    let job = ctx.job;
    let spec = &job.devices[device.spec];
    if !present {
        // Without a session, a QoS 2 message that was taken over might come twice.
        let (before, qos) = (device.in_flight.len(), device.qos);
        device.in_flight.retain(|f| f.own.as_ref().map_or(qos, |o| o.qos) == 1);
        ctx.tally.counts.abandoned += (before - device.in_flight.len()) as u64;
    }
    let mut flights = std::mem::take(&mut device.in_flight);
    for flight in &mut flights {
        if flight.received {
            codec::put_ack(out, kind::PUBREL, flight.pkid);
            continue;
        }
        flight.sent_ns = t_ns;
        device.late_ns = device.late_ns.max(t_ns - flight.intended_ns);
        device.resent += 1;
        ctx.tally.counts.resent += 1;
        Conn::put_message(out, job.load.protocol, job.run, spec, device, flight, present);
    }
    device.in_flight = flights;
}

fn answer(out: &mut Vec<u8>, subscriber: &mut Subscriber, kind: u8, pkid: u16) {
    match &mut subscriber.withheld {
        Some(held) => held.push((kind, pkid)),
        None => codec::put_ack(out, kind, pkid),
    }
}

/// Writes a delivery down and acknowledges it.
fn deliver(conn: &mut Conn, ctx: &mut Context<'_>, frame: Frame<'_>) {
    let (Role::Subscriber(s), Frame::Publish { topic, payload, qos, retain, pkid }) = (&mut conn.role, frame)
    else {
        return;
    };
    let mut again = false;
    match qos {
        1 => answer(&mut conn.out, s, kind::PUBACK, pkid),
        2 => {
            again = s.unreleased.contains(&pkid);
            if !again {
                s.unreleased.push(pkid);
            }
            answer(&mut conn.out, s, kind::PUBREC, pkid);
        }
        _ => {}
    }
    // The broker's question whether it came, not a delivery.
    if again {
        return;
    }
    let stamp = Stamp::read(payload);
    let Some(stamp) = stamp.filter(|s| s.run == ctx.job.run) else {
        // What the broker had kept may be older than the run.
        if !retain {
            ctx.tally.counts.foreign += 1;
            match stamp {
                None => unreadable(s, topic),
                Some(other) if is_rival(ctx.job, &other, topic) => ctx.tally.counts.rivals += 1,
                Some(_) => {}
            }
        }
        return;
    };
    let spec = ctx.job.devices.get(stamp.device as usize);
    if stamp.kind == Kind::Will {
        ctx.tally.counts.wills += 1;
        let right = spec.and_then(|d| ctx.job.will_topic(d)).is_some_and(|t| t.as_bytes() == topic);
        let receipt = s.receipts.entry(ledger::key(stamp.device, WILLS)).or_default();
        ctx.counts.fresh += u64::from(receipt.take(stamp.seq) != Taken::Again);
        if !right {
            receipt.odd_mut().altered.insert(stamp.seq);
        }
        return;
    }
    let (right, sent_qos, kept) = match spec {
        None => (false, qos, retain),
        // What its firmware sent, and how, only the stamp tells.
        Some(d) if d.topic.is_empty() => (stamp.is_own(topic, payload), stamp.qos, stamp.retain),
        Some(d) => {
            let def = &ctx.job.load.devices[d.group];
            (d.topic.as_bytes() == topic && stamp.is_intact(payload), def.qos, def.retain)
        }
    };
    let receipt = s.receipts.entry(ledger::key(stamp.device, stamp.way)).or_default();
    // What the broker had kept and hands out with a subscription is no second delivery.
    let handed_out = if retain && kept { receipt.take_kept(stamp.seq, s.subscriptions) } else { None };
    let taken = handed_out.unwrap_or_else(|| receipt.take(stamp.seq));
    if taken == Taken::Known {
        return;
    }
    let due_qos = s.granted.map_or(qos, |granted| granted.min(sent_qos));
    // What came late or was lost is judged at the end: it may be excused.
    let mut breaches = u64::from(taken == Taken::Again && due_qos != 1);
    if !right {
        receipt.odd_mut().altered.insert(stamp.seq);
        breaches += 1;
    }
    if qos != due_qos {
        receipt.odd_mut().wrong_qos.insert(stamp.seq);
        breaches += 1;
    }
    if retain && handed_out.is_none() {
        receipt.odd_mut().marked_kept.insert(stamp.seq);
        breaches += 1;
    }
    ctx.counts.breaches += breaches;
    ctx.counts.fresh += u64::from(taken != Taken::Again);
    // It waited for somebody to subscribe, and the broker let nobody wait for it.
    if handed_out.is_some() {
        return;
    }
    let (t_ns, stage) = (ctx.t_ns(), ctx.stage(stamp.intended_ns));
    if t_ns < stamp.sent_ns && ctx.job.shard.1 > 1 {
        let early_us = stamp.sent_ns.saturating_sub(t_ns) as u64 / 1_000;
        ctx.tally.counts.early_us = ctx.tally.counts.early_us.max(early_us);
    }
    // A broker may have altered what the stamp says, to anything.
    let latency_ns = t_ns.saturating_sub(stamp.intended_ns);
    ctx.counts.took(latency_ns);
    // By the quality that the device asked for: what it wanted is what it is measured by.
    ctx.tally.times.record(Metric::Latency, sent_qos, stage, latency_ns);
    ctx.tally.times.record(Metric::Service, sent_qos, stage, t_ns.saturating_sub(stamp.sent_ns));
    ctx.tally.course.received(t_ns, stamp.intended_ns);
}

/// Whether another run's message came on a topic of this one's: then a load of the same devices is on the broker just now.
fn is_rival(job: &Job, other: &Stamp, topic: &[u8]) -> bool {
    let is_other = other.kind == Kind::Message && !job.earlier.contains(&other.run);
    let device = job.devices.get(other.device as usize).filter(|_| is_other);
    device.is_some_and(|d| match d.topic.is_empty() {
        // Firmware chooses topics of its own; most name the device.
        true => topic.split(|b| *b == b'/').any(|level| level == d.id.as_bytes()),
        false => d.topic.as_bytes() == topic,
    })
}

/// Whether a device of the run owns the topic, the oracle finds out once all books are there.
fn unreadable(subscriber: &mut Subscriber, topic: &[u8]) {
    let topic = String::from_utf8_lossy(topic);
    let full = subscriber.unreadable.len() >= MOST_UNREADABLE;
    match subscriber.unreadable.get_mut(&*topic) {
        Some(n) => *n += 1,
        None if full => {}
        None => drop(subscriber.unreadable.insert(topic.into(), 1)),
    }
}
