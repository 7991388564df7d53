//! `twinfleet merge` of the parts of a load: histograms add up, ledgers are laid side by side, and the whole is judged.

use super::{
    Common, job, page,
    result::{self, Result as LoadResult},
    show,
};
use crate::{
    exit::{Exit, Failure, say},
    load_files::{self, Loaded},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::scenario::{self, diagnostic::Report, files::Files, source::Source};
use twinfleet_twins::load::{
    Memory,
    files::{self, Part},
    judge,
    socket::Dial,
};

/// Whether a folder holds a part of a load.
pub fn is_part(dir: &Path) -> bool {
    dir.join(files::FILE).is_file()
}

/// Joins the parts in these folders; writes the whole, with its report, to `out`. `folders` are more catalogs.
pub fn merge(dirs: &[PathBuf], out: &Path, folders: &[PathBuf], json: bool) -> Result<Exit, Failure> {
    // Above all, a part's own folder: what is merged would take its place.
    if fs::read_dir(out).is_ok_and(|mut there| there.next().is_some()) {
        return Err(Failure::input(format!(
            "--out {}: this folder is not empty, and what is merged would replace what is there; name a new one",
            out.display()
        )));
    }
    let parts: Vec<Part> = dirs.iter().map(|d| read(d)).collect::<Result<_, _>>()?;
    let parts = files::complete(parts).map_err(Failure::input)?;
    let Some(first) = parts.first().cloned() else { return Err(Failure::input("there is nothing to merge")) };
    let loaded = scenario_of(&first, folders).map_err(|r| load_files::refused(&r))?;
    let Some(load) = loaded.scenario.load.clone().map(Arc::new) else {
        return Err(Failure::input(format!("{}: its scenario has no `load:` section", dirs[0].display())));
    };
    let common = Common {
        prefix: first.prefix.clone(),
        seed: first.seed,
        shard: (0, 1),
        run: first.run,
        earlier: Arc::default(),
        dial: Dial { to: ([127, 0, 0, 1], 1883).into(), sources: Default::default(), no_delay: true },
        wraps: Default::default(),
        login: None,
        workers: 1,
        start_at_unix_ns: None,
        keep_trace: false,
        embedded: false,
    };
    let job = job(&loaded, &load, &load.stages, first.rate, common);
    let mut whole: Option<twinfleet_twins::load::tally::Tally> = None;
    for part in &parts {
        let tally = part.tally(job.stages.len()).map_err(Failure::input)?;
        match &mut whole {
            None => whole = Some(tally),
            Some(sum) => sum.add(tally),
        }
    }
    let Some(mut tally) = whole else { return Err(Failure::input("there is nothing to merge")) };
    let mut verdict = judge::judge(&job, &tally);
    // Each shard's newcomer looked at what its own devices had left with the broker.
    let retained =
        parts.iter().map(|p| p.retained.clone()).collect::<Option<Vec<_>>>().map(|all| all.concat());
    judge::amend(&mut verdict, retained.clone().unwrap_or_default());
    let part = Part {
        shard: (0, 1),
        finished: parts.iter().all(|p| p.finished),
        wall_s: parts.iter().map(|p| p.wall_s).fold(0.0, f64::max),
        times: tally.times.to_wire(),
        lag: result::lag(&tally),
        course: tally.course.clone(),
        counts: tally.counts,
        devices: tally.devices.clone(),
        subscribers: tally.subscribers.clone(),
        cpu: tally.cpu.clone(),
        accusations: tally.accusations.clone(),
        reasons: tally.reasons.clone(),
        connect_s: parts.iter().map(|p| p.connect_s).fold(0.0, f64::max),
        memory: parts.iter().map(|p| p.memory).fold(Memory::default(), Memory::plus),
        retained: retained.clone(),
        ..first
    };
    super::write_part(&part, out)?;
    // What never came was waited for until the first shard ended, at least.
    let wall_s = parts.iter().filter(|p| p.has_members()).map(|p| p.wall_s).fold(f64::INFINITY, f64::min);
    judge::wait_out(&job, &mut tally, &verdict, (wall_s * 1e9) as i64);
    let mut result = LoadResult::of_books(&job, tally, verdict, part);
    if retained.is_none() && !result.outcomes.is_empty() && load.devices.iter().any(|d| d.retain) {
        result.outcomes.push(judge::unseen("a shard could not look"));
    }
    result.about.clone_from(&loaded.scenario.about);
    page::write(&result, out).map_err(Failure::outside)?;
    if json {
        say(format_args!("{}", result.json()));
    } else {
        say(format_args!("{} parts merged into {}", parts.len(), out.display()));
        say(format_args!("{}", show::summary(&result).trim_end()));
    }
    for accusation in result.accusations() {
        eprintln!("invalid: {accusation}");
    }
    Ok(result.exit())
}

/// The scenario of a part. Each shard has checked it, with the files that it names: a merge elsewhere need not have those.
fn scenario_of(part: &Part, folders: &[PathBuf]) -> Result<Loaded, Report> {
    let source = Source::embedded(&part.name, &part.scenario);
    let catalog = load_files::catalog(None, folders)?;
    let scenario = scenario::read(&source)?;
    let is_known = |thing: &String| {
        scenario.things.iter().any(|t| t.name == *thing) || catalog.things.contains_key(thing)
    };
    if !scenario.fleet.iter().all(|group| is_known(&group.thing)) {
        // The checks say which is not.
        return load_files::checked(source, catalog, PathBuf::new(), |_| {});
    }
    Ok(Loaded {
        source,
        scenario: Arc::new(scenario),
        catalog: Arc::new(catalog),
        files: Files::at(""),
        warnings: Report::default(),
        scripts: Default::default(),
    })
}

fn read(dir: &Path) -> Result<Part, Failure> {
    let path = dir.join(files::FILE);
    let bad = |e: &dyn std::fmt::Display| {
        Failure::input(format!(
            "{}: this is no part of a load ({e}); name the folders that `twinfleet load --out` wrote",
            path.display()
        ))
    };
    let text = fs::read(&path).map_err(|e| bad(&e))?;
    serde_json::from_slice(&text).map_err(|e| bad(&e))
}
