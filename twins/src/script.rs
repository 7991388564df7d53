//! The user's own device code in a run: MicroPython, CircuitPython and Raspberry Pi Python, unmodified, in simulated time.
//!
//! Reading order: [`machine`] (the virtual board: what a script's pins and buses are wired to) → [`mqtt`] (the broker at the
//! other end of its sockets) → [`broker`] (what that knows beyond one device) → [`udp`] (its datagrams) → [`tcp`] (its streams to
//! other devices) → [`net`] (all of them, and what becomes of them without a network) → [`guest`] (whatever runs a script: one question at a time) → [`device`] (one device: guest and
//! machine in simulated time) → [`cpython`] and [`sandbox`] (Python processes, confined), [`wasm`] (MicroPython) → [`card`] (the files a script finds); [`check`] looks at scripts without running them.
//!
//! One line protocol serves all runtimes. A script runs until it needs the world, then asks with one line, `TIME OP WORDS`:
//! a transfer, a pin, time to pass. The device answers at that simulated time, `TIME ok WORDS` or `TIME err WHY`. Computing
//! in between costs simulated time by what the script ran, never by the real clock. A script is only ever run in its
//! device's turn of a tick, so a run is the same at any thread count.
//!
//! Python's half is in `twins/python`: `kernel.py` speaks the protocol, everything above it is the modules that scripts
//! import.

pub mod broker;
pub mod card;
pub mod check;
pub mod cpython;
pub mod device;
pub mod guest;
pub mod machine;
pub mod mqtt;
pub mod net;
pub mod runtimes;
pub mod sandbox;
pub mod tcp;
pub mod udp;
pub mod wasm;

use crate::parts::live::{self, LiveError};
use bevy_ecs::prelude::*;
use card::{Card, CardError};
use device::{Device, Life};
use std::{collections::HashMap, sync::Arc, time::Duration};
use twinfleet_engine::{
    catalog::Runtime,
    environment::EnvironmentSystems,
    firmware::program::{self, Program},
    plan::Plan,
    scenario::files::Files,
};

/// What the user chose about scripts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Run Python processes unconfined.
    pub trust: bool,
    /// Real time that a script may take over one stretch of computing.
    pub patience: Duration,
}

impl Options {
    /// Options with so many seconds of patience; what is no length of time is the default.
    pub fn new(trust: bool, patience_s: Option<f64>) -> Self {
        let patience = patience_s.and_then(|s| Duration::try_from_secs_f64(s).ok()).filter(|p| !p.is_zero());
        Self { trust, patience: patience.unwrap_or(Self::default().patience) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { trust: false, patience: Duration::from_secs(60) }
    }
}

/// Why scripts cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file or what lies beside it.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The device's parts.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// The runtime.
    #[error(transparent)]
    Host(#[from] guest::HostError),
}

/// Adds the scripts of a plan to a run. After `sense::install` and `control::install`.
///
/// # Errors
/// A script that cannot be read, or no runtime to run it with.
pub fn install(
    world: &mut World,
    schedule: &mut Schedule,
    plan: &Plan,
    files: &Files,
    options: &Options,
) -> Result<(), ScriptError> {
    let scripts = plan.groups.iter().filter_map(|g| g.firmware.as_ref()?.script.as_ref());
    let mut cards: HashMap<String, Arc<Card>> = HashMap::new();
    for script in scripts {
        if !cards.contains_key(&script.path) {
            cards.insert(script.path.clone(), Arc::new(Card::read(files, &script.path)?));
        }
    }
    if cards.is_empty() {
        return Ok(());
    }
    let live = Arc::new(live::install(world, schedule, plan));
    let addresses = Arc::new(udp::Addresses::new(plan));
    let broker: Arc<broker::Broker> = Arc::default();
    world.insert_resource(broker::RunsBroker(Arc::clone(&broker)));
    schedule.add_systems(broker::take_in.in_set(EnvironmentSystems::Hear));
    let python = cpython::Python::new(options);
    let micropython = wasm::MicroPython::new(options);
    program::install(world, schedule, plan, &mut |g, index, id| {
        let Some(script) = plan.groups[g].firmware.as_ref().and_then(|f| f.script.clone()) else {
            unreachable!("programs are made for scripts only")
        };
        let (live, device) = (Arc::clone(&live), id.to_owned());
        let wire = Box::new(move |at_ns: u64| {
            if at_ns > 0 {
                live.board_reset(&device, at_ns);
            }
            machine::Machine::new(&live, g, &device)
        });
        let of = Life::new(plan, g, index, id, script, Arc::clone(&cards[&plan_path(plan, g)]), &addresses);
        let life = Life { broker: Arc::clone(&broker), ..of };
        let host: Box<dyn guest::Host> = match life.script.runtime {
            Runtime::MicroPython => Box::new(micropython.clone()),
            _ => Box::new(python.clone()),
        };
        Ok(Box::new(Device::new(life, wire, host)?) as Box<dyn Program>)
    })
}

fn plan_path(plan: &Plan, group: usize) -> String {
    let script = plan.groups[group].firmware.as_ref().and_then(|f| f.script.as_ref());
    script.map(|s| s.path.clone()).unwrap_or_default()
}
