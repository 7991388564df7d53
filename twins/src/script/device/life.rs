//! What a device is to its script, whatever that does: its board, its card, its place in the run, and what its board saves at rest.

use crate::script::{broker::Broker, card::Card, udp::Addresses};
use rand::RngExt;
use std::{collections::BTreeMap, sync::Arc};
use twinfleet_engine::{
    catalog::{BoardDef, Runtime, ScriptDef, Technology},
    link::availability::Availability,
    plan::Plan,
    rng::stream,
    run::epoch_unix_ms,
};

/// What a script's runtime needs to know of its device.
#[derive(Clone, Debug)]
pub struct Life {
    /// The device.
    pub device: String,
    /// Its script.
    pub script: ScriptDef,
    /// The script's words and variables with `{device}` and `{zone}` filled in.
    pub args: Vec<String>,
    /// See `args`.
    pub env: BTreeMap<String, String>,
    /// The files that it finds.
    pub card: Arc<Card>,
    /// Seed of its chance.
    pub seed: u64,
    /// Its network address.
    pub mac: [u8; 6],
    /// The addresses of all devices of the run.
    pub addresses: Arc<Addresses>,
    /// What its broker knows beyond this device.
    pub broker: Arc<Broker>,
    /// When its link carries messages.
    pub link: Availability,
    /// Whether it runs under Linux.
    pub linux: bool,
    /// Whether its script joins a network by Wi-Fi, before which it has none.
    pub joins: bool,
    /// Its place in the fleet.
    pub ordinal: u32,
    /// Unix time of the run's start, [ns].
    pub epoch_ns: i64,
    /// Clock of its processor, [MHz].
    pub clock_mhz: f64,
    /// Its memory, [KiB].
    pub ram_kb: f64,
    /// Name of its board.
    pub board: String,
    /// What its board saves where it rests.
    pub saves: Saves,
    /// Why it was last reset, in MicroPython's words.
    pub reset_cause: &'static str,
}

impl Life {
    /// The life of a device of a plan, with a broker of its own.
    pub fn new(
        plan: &Plan,
        group: usize,
        index: u32,
        device: &str,
        script: ScriptDef,
        card: Arc<Card>,
        addresses: &Arc<Addresses>,
    ) -> Self {
        let of = &plan.groups[group];
        let zone = of.zone(index).map_or("outside", |z| plan.scenario.world.zones[z].id.as_str());
        let fill = |text: &String| text.replace("{device}", device).replace("{zone}", zone);
        let board = of.thing.board.as_ref().and_then(|b| plan.catalog.boards.get(b));
        let mut drawn = stream(plan.seed, device, "script/unit");
        // Locally administered, so that it is nobody's.
        let mut mac: [u8; 6] = drawn.random();
        mac[0] = mac[0] & 0xFC | 0x02;
        Self {
            device: device.to_owned(),
            args: script.args.iter().map(fill).collect(),
            env: script.env.iter().map(|(k, v)| (k.clone(), fill(v))).collect(),
            card,
            seed: drawn.random::<u64>() >> 1,
            mac,
            addresses: Arc::clone(addresses),
            broker: Arc::default(),
            link: {
                let link = of.link.and_then(|i| plan.scenario.links.get(i));
                Availability::of(&plan.scenario, &plan.catalog, link)
            },
            linux: board.is_some_and(|b| runs_linux(b, script.runtime)),
            joins: script.runtime == Runtime::MicroPython
                && board.is_some_and(|b| b.radio(Technology::Wifi).is_some() && !b.ethernet),
            ordinal: of.first + index,
            epoch_ns: epoch_unix_ms(plan) * 1_000_000,
            clock_mhz: board.and_then(|b| b.cpu).map_or(100.0, |c| c.clock_mhz),
            ram_kb: script
                .heap_kb
                .map_or_else(|| board.and_then(|b| b.cpu).map_or(256.0, |c| c.ram_kb), f64::from),
            board: board.map(|b| b.name.clone()).unwrap_or_default(),
            saves: board.map(|b| Saves::of(b, script.runtime)).unwrap_or_default(),
            reset_cause: "power_on",
            script,
        }
    }
}

/// What a board draws less than one that runs, by how its script rests, [mA].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Saves {
    /// While the script waits for a time.
    pub(super) idle: f64,
    /// In its light sleep.
    pub(super) light: f64,
    /// In its deep sleep.
    pub(super) deep: f64,
}

impl Saves {
    fn of(board: &BoardDef, runtime: Runtime) -> Self {
        let active = board.current_ma.active;
        let less = |ma: f64| (active - ma).max(0.0);
        let state = |name: &str| board.rest_ma.get(name).copied();
        let deep = less(board.current_ma.sleep);
        // Under Linux a board that waits is idle, which is all the sleep that it has; a microcontroller's radio rests at least.
        let idle = if runs_linux(board, runtime) { deep } else { state("modem_sleep").map_or(0.0, less) };
        let light = state("light_sleep").or_else(|| state("dormant")).map_or(idle, less);
        Self { idle, light, deep }
    }
}

/// Whether a board's scripts of this runtime run under Linux.
fn runs_linux(board: &BoardDef, runtime: Runtime) -> bool {
    runtime != Runtime::MicroPython && board.cpu.is_some_and(|c| c.clock_mhz >= 500.0)
}
