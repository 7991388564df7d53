//! The accounts that a worker closes: what each device sent, what each subscriber got, and what was waited for in vain.

use super::*;
use crate::load::{
    ledger::Sent,
    tally::{DeviceBook, SubscriberBook, WillBook},
};
use twinfleet_engine::scenario::load::Protocol;

/// Planned messages of a worker that are looked at one by one, if they were never sent; beyond, a plan is hopeless.
const MOST_LEFT: u64 = 50_000_000;

impl Worker<'_> {
    /// Says good-bye everywhere and closes the books.
    pub(super) fn end(mut self, begin: CpuTime) -> io::Result<Tally> {
        let wall_ns = self.ctx.t_ns().max(0) as u64;
        self.ended = true;
        let cpu = self.cpu.unwrap_or(CpuTime { wall_ns, ..CpuTime::of_thread().since(begin) });
        for i in 0..self.conns.len() {
            let conn = &mut self.conns[i];
            if conn.state == State::Up && !matches!(conn.role, Role::Stranger(_)) {
                conn.stalled = false;
                // A session of MQTT 5 ends with it; one of 3.1.1 stays until the next run.
                let forget = self.ctx.job.load.protocol == Protocol::V5 && conn.is_persistent(self.ctx.job);
                conn.out.extend_from_slice(if forget { &codec::FAREWELL[..] } else { &codec::GOOD_BYE[..] });
                self.write(i);
            }
        }
        let (job, t_ns) = (self.ctx.job, self.ctx.t_ns());
        let mut tally = self.ctx.tally;
        tally.cpu.push(cpu);
        let start_ns = self.ctx.start_ns;
        let mut room = MOST_LEFT;
        for conn in self.conns {
            match conn.role {
                Role::Device(mut d) => {
                    if start_ns != i64::MAX {
                        let free = conn.state == State::Up && !d.held;
                        left_over(&mut d, free, job, t_ns, &mut room, &mut tally);
                    }
                    let ordinal = job.devices[d.spec].ordinal;
                    tally.devices.insert(ordinal, device_book(*d, start_ns));
                }
                Role::Subscriber(s) => {
                    let ordinal = job.subscribers[s.spec].ordinal;
                    tally.subscribers.insert(ordinal, subscriber_book(*s, conn.state, start_ns));
                }
                Role::Stranger(_) => {}
            }
        }
        Ok(tally)
    }
}

/// What a device was to send and never did, and what the broker never acknowledged: each has waited until now, at least. Those
/// that came through alone would tell of a broker that stands still that it is quick. `free`: nothing held the device back, and what it
/// never sent is the generator's own doing.
fn left_over(device: &mut Device, free: bool, job: &Job, t_ns: i64, room: &mut u64, tally: &mut Tally) {
    for flight in &device.in_flight {
        let qos = flight.own.as_ref().map_or(device.qos, |own| own.qos);
        let stage = job.stages.of(flight.intended_ns);
        tally.times.record(Metric::Acknowledge, qos, stage, t_ns - flight.first_ns);
    }
    let mut never = |intended_ns: i64, qos: u8, fan_out: u32| {
        let (stage, waited_ns) = (job.stages.of(intended_ns), t_ns - intended_ns);
        // Whoever stops a load early waits for nothing that is still to come.
        if waited_ns < 0 {
            return;
        }
        tally.times.record(Metric::PublishDelay, qos, stage, waited_ns);
        if free {
            tally.lag.saturating_record((waited_ns - job.load.batch.0).max(1_000) as u64 / 1_000);
        }
        if fan_out > 0 {
            tally.times.record_n(Metric::Latency, qos, stage, waited_ns, fan_out.into());
            tally.course.waited(t_ns, intended_ns, fan_out);
        }
    };
    let queue = std::mem::take(&mut device.queue);
    for planned in queue {
        let way = device.ways.iter().find(|w| w.qos == planned.qos && w.topic == planned.topic);
        let fan_out = way.map_or_else(|| job.fan_out(&planned.topic), |w| w.fan_out);
        never(planned.at_ns, planned.qos, fan_out);
    }
    let fan_out = device.ways.first().map_or(0, |w| w.fan_out);
    let mut left = 0;
    while let Some(intended_ns) = device.next_ns.filter(|_| *room > 0) {
        never(intended_ns, device.qos, fan_out);
        (left, *room) = (left + 1, *room - 1);
        device.next_ns = device.schedule.next();
    }
    if !job.load.devices[job.devices[device.spec].group].is_firmware() {
        device.planned = device.seq + left;
    }
}

fn device_book(device: Device, start_ns: i64) -> DeviceBook {
    let sent = |way: Way| Sent {
        topic: way.topic.as_ref().to_owned(),
        qos: way.qos,
        count: way.count,
        acknowledged: way.acknowledged,
        marks: way.marks,
    };
    let since_start = |(number, at_ns): (u32, i64)| (number, at_ns.saturating_sub(start_ns));
    DeviceBook {
        sent: device.ways.into_iter().map(sent).collect(),
        resent: device.resent,
        planned: device.planned,
        kept: device.kept,
        late_ns: device.late_ns,
        wills: device
            .wills
            .map(|w| WillBook { over: w.over, owed: w.owed.into_iter().map(since_start).collect() }),
    }
}

fn subscriber_book(mut subscriber: Subscriber, state: State, start_ns: i64) -> SubscriberBook {
    // Whoever is away as the run ends got nothing from then on, session or not.
    let open = subscriber.away.last().is_some_and(|(_, to)| *to == i64::MAX);
    if state != State::Up && !open {
        subscriber.away.push((subscriber.left_ns, i64::MAX));
    }
    let since_start = |(from, to): (i64, i64)| {
        let to = if to == i64::MAX { to } else { to.saturating_sub(start_ns) };
        (from.saturating_sub(start_ns), to)
    };
    SubscriberBook {
        granted: subscriber.granted,
        // Before the start, there was nothing to miss.
        away: subscriber.away.into_iter().map(since_start).filter(|(_, to)| *to > 0).collect(),
        held_back_ns: subscriber.held_back_ns.map(|at| at.saturating_sub(start_ns)),
        resumed: subscriber.resumed,
        receipts: subscriber.receipts.into_iter().collect(),
        unreadable: subscriber.unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The books of a worker that ends five seconds after the start, of a device that sent none of its ten messages.
    fn silent(held: bool) -> Tally {
        let job =
            Job::of_text(r#"devices: [(id: "d", schedule: Constant("100ms"))], stages: [Hold(for: "1s")]"#);
        let shared = Shared::new(1);
        let mut worker = Worker::new(&job, &shared, 0, None).expect("a worker");
        worker.populate();
        worker.conns[0].state = State::Up;
        if let Role::Device(d) = &mut worker.conns[0].role {
            d.held = held;
        }
        (worker.ctx.start_ns, worker.ctx.now_ns) = (0, 5_000_000_000);
        worker.end(CpuTime::default()).expect("it ends")
    }

    #[test]
    fn what_was_never_sent_though_nothing_held_it_back_is_the_generators_own_lag() {
        let own = silent(false);
        assert_eq!((own.devices[&0].planned, own.lag.len()), (10, 10));
        assert!(own.lag.min() > 3_900_000, "{}", own.lag.min());
        assert_eq!(silent(true).lag.len(), 0);
    }
}
