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
use std::{cell::RefCell, io::Read, path::Path, sync::Arc};
use twinfleet_engine::{
    actuate,
    dynamics::{DynamicsDef, params::Params, simulate},
    environment, expect, firmware,
    mirror::{
        follow,
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

/// A thing's dynamics with the parameters of a mirror section.
///
/// # Errors
/// When there is no such thing, it has no dynamics, or the parameters do not fit it.
pub fn dynamics(loaded: &Loaded, def: &MirrorDef) -> Result<DynamicsDef, RunError> {
    let wrong = |why: String| RunError::Input(format!("twin `{}`: {why}", def.twin));
    let own = loaded.scenario.things.iter().find(|t| t.name == def.thing);
    let thing = own.or_else(|| loaded.catalog.things.get(&def.thing));
    let thing = thing.ok_or_else(|| wrong(format!("there is no thing `{}`", def.thing)))?;
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

/// Estimators of the twins. Twins of one model share it: its file is read once, and it is in memory once.
pub struct Estimators<'a> {
    loaded: &'a Loaded,
    made: RefCell<Vec<(MirrorDef, Filter)>>,
}

impl<'a> Estimators<'a> {
    /// None made yet.
    pub fn new(loaded: &'a Loaded) -> Self {
        Self { loaded, made: RefCell::default() }
    }

    /// The estimator of a mirror section.
    ///
    /// # Errors
    /// When its thing, its parameters or its network cannot be had or do not fit.
    pub fn of(&self, def: &MirrorDef) -> Result<Box<dyn Estimator>, RunError> {
        let own = self.loaded.scenario.things.iter().find(|t| t.name == def.thing);
        let thing = own.or_else(|| self.loaded.catalog.things.get(&def.thing));
        if let Some(thing) = thing.filter(|t| t.dynamics.is_none() && !t.signals.is_empty()) {
            return Ok(Box::new(Level::new(&thing.signals)));
        }
        let made = self.filter(def)?;
        match &def.predictor {
            None => Ok(Box::new(made)),
            Some(predictor) => learnt(self.loaded, Box::new(made), predictor)
                .map_err(|why| RunError::Input(format!("twin `{}`: {}: {why}", def.twin, predictor.file))),
        }
    }

    fn filter(&self, def: &MirrorDef) -> Result<Filter, RunError> {
        let like = |d: &MirrorDef| (&d.thing, &d.params, &d.learn) == (&def.thing, &def.params, &def.learn);
        if let Some((_, made)) = self.made.borrow().iter().find(|(d, _)| like(d)) {
            return Ok(made.clone());
        }
        let made = filter(self.loaded, def)?;
        self.made.borrow_mut().push((def.clone(), made.clone()));
        Ok(made)
    }
}

fn filter(loaded: &Loaded, def: &MirrorDef) -> Result<Filter, RunError> {
    let network = dynamics(loaded, def)?;
    let filter = Filter::new(&network, &def.learn);
    filter.map_err(|e| RunError::Input(format!("twin `{}`: {e}", def.twin)))
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
