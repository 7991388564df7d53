//! Firmware: declarative (payloads, queues, commands, control laws), and the seam for the user's own ([`program`]).

pub(crate) mod calendar;
pub mod control;
pub(crate) mod outage;
pub mod payload;
pub mod program;

use crate::{
    actuate::ActuatorBank,
    link::{Air, Radios, Tally},
    message::Message,
    sense::{Cohort, Due, Group, for_each, in_order},
    time::{SimTime, Span},
    world::{Clock, Counters, Event, Events, Outbox, Submit, Wills},
};
use bevy_ecs::{prelude::*, system::SystemParam};
use outage::Boards;
use payload::Report;
use std::sync::Arc;

/// Makes messages of this tick's readings.
pub(crate) fn compose_messages(
    mut cohorts: Query<&mut Cohort>,
    banks: Query<&ActuatorBank>,
    clock: Res<Clock>,
) {
    let mut cohorts = in_order(&mut cohorts);
    cohorts.retain(|c| !c.group.publish.is_empty());
    let banks: Vec<&ActuatorBank> = banks.iter().collect();
    let epoch_unix_ms = clock.epoch_unix_ms;
    for_each(&mut cohorts, |cohort| {
        let bank = banks.iter().find(|b| b.group == cohort.group.number).copied();
        compose(cohort, bank, epoch_unix_ms);
    });
}

fn compose(cohort: &mut Cohort, bank: Option<&ActuatorBank>, epoch_unix_ms: i64) {
    let group = Arc::clone(&cohort.group);
    let due = std::mem::take(&mut cohort.due);
    let mut bytes = Vec::new();
    let readings = group.channels.len();
    let mut values = vec![f64::NAN; readings + group.actuators];
    for (k, d) in due.iter().enumerate() {
        for (c, v) in values.iter_mut().take(readings).enumerate() {
            *v = cohort.values[c * due.len() + k];
        }
        // A device knows the levels of its own actuators.
        let levels = bank.into_iter().flat_map(|b| b.levels(cohort.index[d.lane as usize]));
        for (v, level) in values[readings..].iter_mut().zip(levels) {
            *v = level;
        }
        // A device whose every reading is lost says nothing.
        if readings == 0 || values[..readings].iter().any(|v| !v.is_nan()) {
            compose_wake(cohort, &group, *d, &values, epoch_unix_ms, &mut bytes);
        }
    }
    cohort.due = due;
}

fn compose_wake(
    cohort: &mut Cohort,
    group: &Group,
    due: Due,
    values: &[f64],
    epoch_unix_ms: i64,
    bytes: &mut Vec<u8>,
) {
    let lane = due.lane as usize;
    let index = cohort.index[lane];
    let battery_v = cohort.battery_v(due.lane);
    let sent = SimTime(due.t_ns) + group.conversion;
    let own_ns = sent.0 + cohort.ahead_ns(due.lane, sent);
    let device = group.device_id(index);
    for (p, publish) in group.publish.iter().enumerate() {
        let Some(radios) = &mut cohort.radios else { return };
        if !due.count.is_multiple_of(publish.def.every.max(1)) {
            continue;
        }
        let report = Report {
            device: &device,
            zone: group.home(cohort.index[lane]),
            seq: radios.seq[lane],
            ts_unix_ms: epoch_unix_ms + own_ns.div_euclid(1_000_000),
            battery_v,
            rssi_dbm: radios.rssi_dbm(due.lane),
            values,
        };
        if let Some(Some(speaker)) = cohort.speakers[p].get_mut(lane) {
            let mut said = Vec::new();
            speaker.report(&report, &mut said);
            for u in said {
                let message = u.sent(sent, group.first + index, radios.seq[lane]);
                radios.seq[lane] += 1;
                cohort.composed.push((due.lane, message));
            }
            continue;
        }
        bytes.clear();
        publish.codec.render(&report, bytes);
        let message = Message {
            sent,
            due: sent,
            publisher: group.first + index,
            seq: radios.seq[lane],
            topic: Arc::clone(&cohort.topics[p][lane]),
            payload: Arc::from(bytes.as_slice()),
            qos: publish.def.qos,
            retain: publish.def.retain,
        };
        radios.seq[lane] += 1;
        cohort.composed.push((due.lane, message));
    }
}

/// What sending leaves behind.
#[derive(SystemParam)]
pub(crate) struct Left<'w> {
    outbox: ResMut<'w, Outbox>,
    counters: ResMut<'w, Counters>,
    events: ResMut<'w, Events>,
    boards: ResMut<'w, Boards>,
}

/// Sends this tick's messages over their links, and lands what arrives in this tick in the outbox.
pub(crate) fn transmit_messages(
    mut cohorts: Query<&mut Cohort>,
    clock: Res<Clock>,
    (mut submit, mut wills): (ResMut<Submit>, ResMut<Wills>),
    mut air: ResMut<Air>,
    left: Left,
) {
    let Left { mut outbox, mut counters, mut events, mut boards } = left;
    let mut cohorts = in_order(&mut cohorts);
    for message in submit.0.drain(..) {
        submit_one(&mut cohorts, message, &mut air, &mut counters);
    }
    for message in wills.0.drain(..) {
        say_will(&mut cohorts, message, &mut air);
    }
    cohorts.retain(|c| !c.composed.is_empty() || !c.listening.is_empty());
    for_each(&mut cohorts, |cohort| transmit(cohort, clock.next));
    let (mut total, mut resets, mut clock_sets) = (Tally::default(), 0, 0);
    for mut cohort in cohorts {
        total.add(std::mem::take(&mut cohort.tally));
        resets += std::mem::take(&mut cohort.brown_outs);
        clock_sets += std::mem::take(&mut cohort.clock_sets);
        air.launch(cohort.leaving.drain(..));
        events.0.append(&mut cohort.events);
        boards.0.append(&mut cohort.boards);
    }
    let before = outbox.0.len();
    air.land(clock.next, &mut outbox.0);
    let landed = (outbox.0.len() - before) as u64;
    outbox.0.sort_by_key(|m| (m.publisher, m.seq));
    for (name, n) in [
        ("messages_sent", total.sent),
        ("messages_dropped", total.dropped),
        ("messages_lost", total.lost),
        ("messages_delivered", landed),
        ("transmissions", total.transmissions),
        ("brown_outs", resets),
        ("clock_sets", clock_sets),
        ("duty_cycle_waits", total.held_back),
        ("joins", total.joins),
        ("roams", total.roams),
    ] {
        if n > 0 {
            counters.add(name, n);
        }
    }
}

/// Puts a message that another module made among its device's own, with the device's next sequence number. A publisher
/// without a radio of ours (a physical) has a perfect link.
fn submit_one(cohorts: &mut [Mut<Cohort>], mut message: Message, air: &mut Air, counters: &mut Counters) {
    let Some((i, lane)) = radio_of(cohorts, message.publisher) else {
        message.due = message.sent;
        counters.add("messages_sent", 1);
        air.launch([message]);
        return;
    };
    let cohort = &mut *cohorts[i];
    if !cohort.wakes.is_on(lane) {
        counters.add("messages_sent", 1);
        counters.add("messages_dropped", 1);
        return;
    }
    if let Some(radios) = &mut cohort.radios {
        message.seq = radios.seq[lane as usize];
        radios.seq[lane as usize] += 1;
        cohort.composed.push((lane, message));
    }
}

/// The cohort and lane of a publisher that has a radio.
fn radio_of(cohorts: &[Mut<Cohort>], publisher: u32) -> Option<(usize, u16)> {
    // Cohorts follow the ordinals, so the last one that begins at or before the publisher's holds it.
    let i = cohorts.partition_point(|c| c.first <= publisher).checked_sub(1)?;
    let lane = cohorts[i].lane_of(publisher)?;
    cohorts[i].radios.is_some().then_some((i, lane))
}

/// Puts what the broker says in a device's name among that device's messages, without its radio.
fn say_will(cohorts: &mut [Mut<Cohort>], mut message: Message, air: &mut Air) {
    if let Some((i, lane)) = radio_of(cohorts, message.publisher)
        && let Some(radios) = &mut cohorts[i].radios
    {
        message.seq = radios.seq[lane as usize];
        radios.seq[lane as usize] += 1;
    }
    message.due = message.sent;
    air.launch([message]);
}

fn transmit(cohort: &mut Cohort, until: SimTime) {
    let group = Arc::clone(&cohort.group);
    for (lane, t) in std::mem::take(&mut cohort.listening) {
        let mut tally = Tally::default();
        if !cohort.is_down(lane) && !joins(cohort, lane, t, until, &mut tally) {
            tell(cohort, lane, t, false, &tally);
            if let Some(radios) = &mut cohort.radios {
                radios.meet(lane, t, &group.link);
            }
        }
        cohort.tally.add(tally);
    }
    let mut composed = std::mem::take(&mut cohort.composed);
    for (lane, message) in composed.drain(..) {
        let sent = message.sent;
        let mut tally = Tally::default();
        let air = group.link.air_time(message.payload.len());
        if cohort.is_down(lane)
            || joins(cohort, lane, sent, until, &mut tally)
            || falls_sending(cohort, lane, sent + Span(tally.listen_ns), air, until)
        {
            (tally.sent, tally.dropped) = (1, 1);
            cohort.tally.add(tally);
            continue;
        }
        let Some(radios) = &mut cohort.radios else { break };
        let before = cohort.leaving.len();
        let mut sending = Tally::default();
        let overflow = radios.hand_over(lane, message, &group.link, &mut cohort.leaving, &mut sending);
        let got_through = cohort.leaving.len() > before;
        spend(cohort, lane, &sending);
        tally.add(sending);
        tell(cohort, lane, sent, overflow, &tally);
        if got_through && (cohort.packs.is_some() || cohort.keepers.is_some()) {
            cohort.got_through(lane, sent);
        }
        cohort.tally.add(tally);
    }
    cohort.composed = composed;
}

/// Whether sending `air` long from `at` resets a lane's board.
fn falls_sending(cohort: &mut Cohort, lane: u16, at: SimTime, air: Span, until: SimTime) -> bool {
    let Some(ma) = cohort.group.pack.as_ref().map(|p| p.transmit_ma) else { return false };
    cohort.falls((lane, at), ma, air, "sending", until)
}

/// Joins the network where a device has lost it, and takes from its battery what that takes. Whether this resets its board.
fn joins(cohort: &mut Cohort, lane: u16, sent: SimTime, until: SimTime, tally: &mut Tally) -> bool {
    let group = Arc::clone(&cohort.group);
    let Some(radios) = &mut cohort.radios else { return false };
    radios.join(lane, sent, &group.link, tally);
    if tally.listen_ns == 0 {
        return false;
    }
    let listening_ma = group.pack.as_ref().map_or(0.0, |p| p.listening_ma(group.link.rx_ma()));
    if cohort.falls((lane, sent), listening_ma, Span(tally.listen_ns), "joining the network", until) {
        return true;
    }
    spend(cohort, lane, tally);
    false
}

/// What sending and listening take from the battery.
fn spend(cohort: &mut Cohort, lane: u16, tally: &Tally) {
    let group = &cohort.group;
    let (air_s, listen_s) = (tally.air_ns as f64 * 1e-9, tally.listen_ns as f64 * 1e-9);
    if let (Some(batteries), Some(supply)) = (&mut cohort.batteries, &group.supply) {
        batteries.take(lane, supply.transmit_mah(air_s, group.link.tx_ma()));
        if listen_s > 0.0 {
            batteries.take(lane, supply.running_mah(listen_s, group.link.rx_ma()));
        }
    }
    if let (Some(packs), Some(plan)) = (&mut cohort.packs, &group.pack) {
        packs.spend(lane, plan, plan.transmit_ma, air_s);
        packs.spend(lane, plan, plan.listening_ma(group.link.rx_ma()), listen_s);
    }
}

/// The events of a hand-over.
fn tell(cohort: &mut Cohort, lane: u16, t: SimTime, overflow: bool, tally: &Tally) {
    let told = [
        (
            overflow,
            "dropped",
            "the queue is full: the oldest message is dropped until the link is back",
            tally.dropped,
        ),
        (tally.too_long > 0, "too_long", "the link carries no message of this length: it is dropped", 1),
        (tally.held_back > 0, "duty_cycle", "the hour's airtime is used up: messages wait", 1),
        (tally.rejoins > 0, "joined", "the device has joined the network again", tally.rejoins),
        (tally.roams > 0, "roamed", "the device has gone over to a stronger access point", tally.roams),
    ];
    for (happened, kind, detail, value) in told {
        if happened {
            let subject = cohort.group.device_id(cohort.index[lane as usize]);
            let cause = if kind == "joined" { cohort.cause_of_joining(lane) } else { String::new() };
            let (part, kind, detail) = (String::new(), kind.to_owned(), detail.to_owned());
            cohort.events.push(Event {
                t,
                subject,
                part,
                kind,
                detail,
                value: value as f64,
                cause,
                ..Event::default()
            });
        }
    }
}

/// Messages that wait in the devices' queues.
pub fn queued(world: &mut World) -> u64 {
    let mut cohorts = world.query::<&Cohort>();
    cohorts.iter(world).filter_map(|c| c.radios.as_ref().map(Radios::queued)).sum()
}
