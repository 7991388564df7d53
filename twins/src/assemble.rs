//! The plugins of a run, in the order in which they are installed, and what they need from outside the engine: recordings,
//! parameters, estimators.

use crate::{
    loaded::Loaded,
    predictors::{
        live::Learnt,
        network::{Network, WEIGHTS_BYTES},
    },
    script,
};
use std::{cell::RefCell, collections::BTreeMap, io::Read, path::Path, sync::Arc};
use twinfleet_engine::{
    actuate,
    catalog::ThingDef,
    diagnose::world::World,
    dynamics::{DynamicsDef, definition::HappeningDef, params::Params, simulate},
    environment, expect, firmware,
    mirror::{
        follow::{self, Followed},
        physical::{self, Feed},
    },
    physics,
    plan::Plan,
    predict::{Estimator, kalman::Filter, level::Level},
    record::{self, Sampled, Writer},
    run::{Run, RunError},
    scenario::{MirrorDef, PhysicalDef, PredictorDef, recording::Recording},
    sense,
    signal::Glob,
    world::Watch,
};

/// Largest parameter file, [bytes].
const PARAMS_BYTES: u64 = 1 << 20;

/// Sets up a run with every plugin the scenario needs. `writer` records it, `sampled` keeps what plots and summaries show.
///
/// # Errors
/// Bad input that only setting up can find, or threads that cannot be started.
pub fn assemble(
    loaded: &Loaded,
    plan: &Plan,
    threads: usize,
    writer: Option<Writer>,
    sampled: Sampled,
) -> Result<Run, RunError> {
    assemble_watching(loaded, plan, threads, writer, sampled, watch(plan))
}

/// As [`assemble`], with rows of other signals than the scenario itself asks for. Watching changes nothing.
///
/// # Errors
/// As [`assemble`].
pub fn assemble_watching(
    loaded: &Loaded,
    plan: &Plan,
    threads: usize,
    writer: Option<Writer>,
    sampled: Sampled,
    watch: Watch,
) -> Result<Run, RunError> {
    let input = |e: &dyn std::fmt::Display| RunError::Input(e.to_string());
    let mut run = Run::new(plan, threads, watch)?;
    let (world, schedule) = run.parts();
    environment::install(world, schedule, plan);
    physics::plugin::install(world, schedule, plan)
        .map_err(|all| RunError::Input(all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    actuate::install(world, schedule, plan);
    simulate::install(world, schedule, plan).map_err(|e| input(&e))?;
    sense::install(world, schedule, plan);
    firmware::control::install(world, schedule, plan);
    script::install(world, schedule, plan, &loaded.files, &loaded.scripts).map_err(|e| input(&e))?;
    physical::install(world, schedule, plan, &|def| feed(loaded, def))?;
    let estimators = Estimators::new(loaded);
    follow::install(world, schedule, plan, &|def| estimators.of(def))?;
    expect::install(world, schedule, plan);
    record::sampler::install(world, schedule, sampled);
    if let Some(writer) = writer {
        record::install(world, schedule, plan, writer);
    }
    Ok(run)
}

/// Signals somebody looks at: what the expectations name, and what the scenario's `record.signals` wants kept.
fn watch(plan: &Plan) -> Watch {
    let mut watch = vec![false; plan.signals.len()];
    let expected = plan.scenario.expect.iter().flat_map(|e| e.signals());
    let recorded = plan.scenario.record.signals.iter().map(String::as_str);
    // The checks have refused globs that cannot be read.
    for glob in expected.chain(recorded).filter_map(|text| Glob::new(text).ok()) {
        for id in plan.signals.matches(&glob) {
            watch[id.0 as usize] = true;
        }
    }
    Watch(watch)
}

fn feed(loaded: &Loaded, def: &PhysicalDef) -> Result<Feed, RunError> {
    let table = Recording::of_physical(&def.from, &loaded.files, None).map_err(RunError::Refused)?;
    let columns = table.columns.into_iter().map(|c| (c.name, c.values)).collect();
    Feed::new(&table.t_s, columns).map_err(|e| RunError::Input(format!("physical `{}`: {e}", def.id)))
}

/// The thing that a mirror section follows.
fn thing<'a>(loaded: &'a Loaded, def: &MirrorDef) -> Option<&'a ThingDef> {
    let own = loaded.scenario.things.iter().find(|t| t.name == def.thing);
    own.or_else(|| loaded.catalog.things.get(&def.thing))
}

/// What may happen to the thing of a mirror section and be named by its twin. With a trained network nothing is: its forecasts
/// know of no other state than the thing's usual one.
pub fn events<'a>(loaded: &'a Loaded, def: &MirrorDef) -> &'a [HappeningDef] {
    let network = thing(loaded, def).and_then(|t| t.dynamics.as_ref()).filter(|_| def.predictor.is_none());
    network.filter(|network| network.live_events).map_or(&[], |network| &network.events)
}

/// A thing's dynamics with the parameters of a mirror section.
///
/// # Errors
/// When there is no such thing, it has no dynamics, or the parameters do not fit it.
pub fn dynamics(loaded: &Loaded, def: &MirrorDef) -> Result<DynamicsDef, RunError> {
    let wrong = |why: String| RunError::Input(format!("twin `{}`: {why}", def.twin));
    let thing = thing(loaded, def).ok_or_else(|| wrong(format!("there is no thing `{}`", def.thing)))?;
    let network = thing.dynamics.as_ref();
    let network =
        network.ok_or_else(|| wrong(format!("thing `{}` has no `dynamics` to follow", def.thing)))?;
    let Some(path) = &def.params else { return Ok(network.clone()) };
    let (name, file) = loaded.files.open(path).map_err(|e| wrong(e.to_string()))?;
    let mut text = String::new();
    file.take(PARAMS_BYTES).read_to_string(&mut text).map_err(|e| wrong(format!("{name}: {e}")))?;
    let params = Params::from_ron(&text).map_err(|e| wrong(format!("{name}: {e}")))?;
    params.applied_to(network).map_err(|e| wrong(format!("{name}: {e}")))
}

/// What the twins follow with. Twins of one model share it: its file is read once, and it is in memory once.
pub struct Estimators<'a> {
    loaded: &'a Loaded,
    made: RefCell<Vec<(MirrorDef, Made)>>,
}

/// A filter before its first reading, and where its thing's dynamics name events, the watch for these.
#[derive(Clone)]
struct Made {
    filter: Filter,
    world: Option<World>,
}

impl<'a> Estimators<'a> {
    /// None made yet.
    pub fn new(loaded: &'a Loaded) -> Self {
        Self { loaded, made: RefCell::default() }
    }

    /// What a mirror section's device is followed with.
    ///
    /// # Errors
    /// When its thing, its parameters or its network cannot be had or do not fit.
    pub fn of(&self, def: &MirrorDef) -> Result<Followed, RunError> {
        if let Some(thing) = thing(self.loaded, def).filter(|t| t.dynamics.is_none() && !t.signals.is_empty())
        {
            let level: Box<dyn Estimator> = Box::new(Level::new(&thing.signals));
            return Ok(level.into());
        }
        let Made { filter, world } = self.made(def)?;
        match &def.predictor {
            None => Ok(Followed { estimator: Box::new(filter), world }),
            Some(predictor) => learnt(self.loaded, Box::new(filter), predictor)
                .map(Followed::from)
                .map_err(|why| RunError::Input(format!("twin `{}`: {}: {why}", def.twin, predictor.file))),
        }
    }

    fn made(&self, def: &MirrorDef) -> Result<Made, RunError> {
        let like = |d: &MirrorDef| (&d.thing, &d.params, &d.learn) == (&def.thing, &def.params, &def.learn);
        if let Some((_, made)) = self.made.borrow().iter().find(|(d, _)| like(d)) {
            return Ok(made.clone());
        }
        let made = make(self.loaded, def)?;
        self.made.borrow_mut().push((def.clone(), made.clone()));
        Ok(made)
    }
}

fn make(loaded: &Loaded, def: &MirrorDef) -> Result<Made, RunError> {
    let network = dynamics(loaded, def)?;
    let filter = Filter::new(&network, &def.learn)
        .map_err(|e| RunError::Input(format!("twin `{}`: {e}", def.twin)))?;
    let watched = network.live_events && !network.events.is_empty();
    let world = watched.then(|| World::new(&network, &BTreeMap::new(), filter.clone()));
    Ok(Made { filter, world })
}

/// The filter with a trained network's forecasts.
fn learnt(
    loaded: &Loaded,
    filter: Box<dyn Estimator>,
    predictor: &PredictorDef,
) -> Result<Box<dyn Estimator>, String> {
    let read = |path: &str| -> Result<Vec<u8>, String> {
        let (name, file) = loaded.files.open(path).map_err(|e| e.message)?;
        let mut bytes = Vec::new();
        file.take(WEIGHTS_BYTES).read_to_end(&mut bytes).map_err(|e| format!("{name}: {e}"))?;
        Ok(bytes)
    };
    let head = String::from_utf8(read(&predictor.file)?).map_err(|e| e.to_string())?;
    let weights = |name: &str| {
        let beside = Path::new(&predictor.file).with_file_name(name);
        read(&beside.to_string_lossy())
    };
    let network = Network::read(&head, weights).map_err(|e| e.to_string())?;
    let learnt = Learnt::new(filter, Arc::new(network), &predictor.map).map_err(|e| e.to_string())?;
    Ok(Box::new(learnt))
}
