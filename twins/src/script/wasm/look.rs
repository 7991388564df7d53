//! Who looks at the clock, at a pin, at a converter or at a stream on which nothing comes again and again is taken ahead, and what
//! the run has said of a pin or a stream is known for as long as that holds. Who sets a pin to the level that it has does nothing.

use super::{
    door::{State, ask, now_ns, spent, tick},
    scheduler::schedule,
};
use std::collections::BTreeMap;
use wasmi::{AsContext, AsContextMut, Error};

/// Who looks at the clock or at a pin again within so much fuel does nothing else: some 2 ms of an ESP32.
const LOOK_FUEL: u64 = 64_000_000;
/// It is taken ahead by a thousandth of the time that it has looked so far, as a power of two, at most by so much, [ns].
const LOOK_PART: u32 = 10;
const LOOK_NS: u64 = 1_000_000;
/// So long one who reads a converter takes samples as fast as that can, before it is taken for one who waits, [ns].
const SAMPLED_NS: u64 = 200_000_000;
/// After so long the run is told that it still looks, [ns].
const TOLD_NS: u64 = 30_000_000;

/// What is known of a pin that was looked at.
#[derive(Debug)]
struct Held {
    level: String,
    until_ns: u64,
    acts: u64,
}

/// What an instance knows of a script that looks at its clock and its pins.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// Whether it has looked since the run was last told.
    looked: bool,
    /// Whether the shim has had a turn since it last looked, whose fuel is not the script's.
    turned: bool,
    /// Fuel spent when it last looked.
    spent: u64,
    /// Since when it has done nothing else.
    since_ns: u64,
    /// Whether it has read a converter since.
    samples: bool,
    /// When the run was last asked anything.
    told_ns: u64,
    /// Pins, with their pulls, that it looked at.
    held: BTreeMap<String, Held>,
    /// Until when they are known.
    edge_ns: u64,
    /// Questions that may change a pin or a stream.
    acts: u64,
    /// Levels that the script has set its pins to, as far as nothing has touched them since.
    set: BTreeMap<String, String>,
    /// Streams on which nothing has come: until when that holds, and after which act.
    silent: BTreeMap<String, (u64, u64)>,
}

impl Looks {
    /// It has asked for something else, which may have touched any pin.
    pub fn asked_else(&mut self) {
        self.acted();
        self.set.clear();
    }

    /// It has set a pin.
    pub fn acted(&mut self) {
        self.acts += 1;
        self.spent = 0;
    }

    /// The run has been asked something.
    pub fn told(&mut self, now_ns: u64) {
        self.told_ns = now_ns;
    }

    /// The shim has had a turn.
    pub fn turned(&mut self) {
        self.turned = true;
    }

    /// Whether it has looked since this was last asked.
    pub fn take_looked(&mut self) -> bool {
        std::mem::take(&mut self.looked)
    }
}

/// The script looks at its clock or at a pin: who does nothing else is taken ahead, never past an edge that is known or
/// a timer. Returns simulated time.
pub(super) fn look(ctx: &mut impl AsContextMut<Data = State>) -> Result<u64, Error> {
    let (mut now, at) = (now_ns(&*ctx), spent(&*ctx));
    let mut context = ctx.as_context_mut();
    let state = context.data_mut();
    let looks = &mut state.looks;
    looks.looked = true;
    let turned = std::mem::take(&mut looks.turned);
    // Nought: it has asked for something else since it last looked.
    if looks.spent == 0 || at - looks.spent > LOOK_FUEL && !turned {
        (looks.since_ns, looks.samples) = (now, false);
    } else {
        let ends = [looks.edge_ns, state.due_ns.unwrap_or(0)];
        let most = ends.iter().filter(|end| **end > now).map(|end| end - now).min().unwrap_or(u64::MAX);
        let spared = if looks.samples { SAMPLED_NS } else { 0 };
        let looked = now.saturating_sub(looks.since_ns).saturating_sub(spared);
        let ahead = (looked >> LOOK_PART).min(LOOK_NS).min(most);
        state.base_ns += ahead;
        now += ahead;
    }
    looks.spent = at;
    if state.due_ns.is_some_and(|due| due <= now) {
        schedule(&mut *ctx)?;
    }
    if now.saturating_sub(ctx.as_context().data().looks.told_ns) >= TOLD_NS {
        // Who looks is not stuck.
        tick(ctx, false)?;
        now = now_ns(&*ctx);
    }
    Ok(now)
}

/// The level of a pin: from the run, or what the run said as long as that holds.
pub(super) fn level(ctx: &mut impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    let now = look(ctx)?;
    let mut context = ctx.as_context_mut();
    let looks = &mut context.data_mut().looks;
    // A pin that is read no longer drives.
    if let Some(pin) = words.split(' ').nth(1) {
        looks.set.remove(pin);
    }
    if let Some(held) = looks.held.get(words).filter(|h| h.acts == looks.acts && now < h.until_ns) {
        return Ok(format!("ok {}", held.level));
    }
    let answer = ask(&mut *ctx, &format!("{words} hold"))?;
    let Some((level, until_ns)) = answer.strip_prefix("ok ").and_then(|told| told.split_once(' ')) else {
        return Ok(answer);
    };
    let until_ns: u64 = until_ns.parse().unwrap_or(0);
    let mut context = ctx.as_context_mut();
    let state = context.data_mut();
    let (looks, now) = (&mut state.looks, state.base_ns);
    if until_ns > now {
        looks.edge_ns = if looks.edge_ns > now { looks.edge_ns.min(until_ns) } else { until_ns };
    }
    let held = Held { level: level.to_owned(), until_ns, acts: looks.acts };
    if looks.held.insert(words.to_owned(), held).is_none_or(|before| before.level != level) {
        looks.since_ns = now;
    }
    Ok(format!("ok {level}"))
}

/// Sets a pin: `out PIN LEVEL`. One that has that level already is left alone.
pub(super) fn drive(ctx: &mut impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    let (pin, level) = words.trim_start_matches("out ").split_once(' ').unwrap_or_default();
    if ctx.as_context().data().looks.set.get(pin).is_some_and(|is| is == level) {
        look(ctx)?;
        return Ok("ok".to_owned());
    }
    let answer = ask(&mut *ctx, words)?;
    if answer == "ok" {
        ctx.as_context_mut().data_mut().looks.set.insert(pin.to_owned(), level.to_owned());
    }
    Ok(answer)
}

/// Reads a converter: `adc PIN RANGE`.
pub(super) fn convert(ctx: &mut impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    look(ctx)?;
    ctx.as_context_mut().data_mut().looks.samples = true;
    ask(&mut *ctx, words)
}

/// Takes what has come on a stream: `recv ID MOST`. While nothing can have come, the run is not asked.
pub(super) fn receive(ctx: &mut impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    let now = look(ctx)?;
    let id = words.split(' ').nth(1).unwrap_or_default();
    {
        let context = ctx.as_context();
        let looks = &context.data().looks;
        if looks.silent.get(id).is_some_and(|(until_ns, acts)| *acts == looks.acts && now < *until_ns) {
            return Ok("ok open -".to_owned());
        }
    }
    let answer = ask(&mut *ctx, &format!("{words} hold"))?;
    let mut context = ctx.as_context_mut();
    let looks = &mut context.data_mut().looks;
    let Some(until_ns) = answer.strip_prefix("ok open - ").and_then(|until| until.parse().ok()) else {
        looks.silent.remove(id);
        looks.asked_else();
        return Ok(answer);
    };
    looks.silent.insert(id.to_owned(), (until_ns, looks.acts));
    Ok("ok open -".to_owned())
}

/// Takes what has come on a serial port: who finds nothing has looked.
pub(super) fn listen(ctx: &mut impl AsContextMut<Data = State>, words: &str) -> Result<String, Error> {
    look(ctx)?;
    let answer = ask(&mut *ctx, words)?;
    if answer != "ok -" {
        ctx.as_context_mut().data_mut().looks.asked_else();
    }
    Ok(answer)
}
