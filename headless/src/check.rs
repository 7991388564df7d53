//! `twinfleet check`: validates files without running them.

use crate::{
    args::CheckArgs,
    exit::{Exit, Failure, say},
    load_files,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};
use twinfleet_engine::{
    plan::Plan,
    scenario::{
        check,
        diagnostic::{Diagnostic, Report},
        source::Source,
    },
};

use twinfleet_twins::script;

/// Checks every file, reports all that is wrong.
pub fn run(args: CheckArgs, json: bool) -> Result<Exit, Failure> {
    let mut files = Vec::new();
    let mut all = Report::default();
    for path in &args.paths {
        let before = files.len();
        collect(path, &mut files)?;
        if files.len() > before {
            continue;
        }
        // A folder without files, such as a record's, does not hide the scenario of its name that comes with the program.
        if path.to_str().and_then(twinfleet_twins::catalog::scenario_text).is_some() {
            files.push(path.clone());
        } else {
            let error =
                Diagnostic::error(format!("there is no .ron file in the folder `{}`", path.display()));
            all.push(
                error
                    .help("name a file, a folder of scenarios, or one that `twinfleet list scenarios` shows"),
            );
        }
    }
    let mut notes = Vec::new();
    // What is wrong with a catalog is found again from every scenario beside it, and told once.
    let mut told = BTreeSet::new();
    for file in &files {
        let (found, note) = one(file, &args.catalog).unwrap_or_else(|errors| (errors, None));
        notes.extend(note);
        for d in found.items() {
            if told.insert(place_and_words(d)) {
                all.push(d.clone());
            }
        }
    }
    if json {
        say(format_args!("{}", all.to_json()));
    }
    if !all.is_empty() {
        eprintln!("{}", all.render(load_files::style()).trim_end());
    }
    if !json {
        notes.iter().for_each(|n| say(format_args!("{n}")));
        let verdict = if all.errors() == 0 { "valid" } else { "not all valid" };
        let (files, errors) = (counted(files.len(), "file"), counted(all.errors(), "error"));
        say(format_args!("{files}, {verdict}: {errors}, {}", counted(all.warnings(), "warning")));
    }
    Ok(if all.errors() == 0 { Exit::Ok } else { Exit::Input })
}

/// What tells one diagnostic from another. A file is the same by whatever path it was reached.
fn place_and_words(d: &Diagnostic) -> (Option<(PathBuf, usize, usize)>, String) {
    let place = d.place().map(|(name, line, column)| {
        (Path::new(name).canonicalize().unwrap_or_else(|_| name.into()), line, column)
    });
    (place, d.message().to_owned())
}

/// Files of a path: itself, or all `.ron` files below it.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).map_err(|e| Failure::input(format!("{}: {e}", path.display())))?;
    let mut below: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    below.sort();
    for p in below {
        if p.is_dir() {
            collect(&p, files)?;
        } else if p.extension().is_some_and(|e| e == "ron") {
            files.push(p);
        }
    }
    Ok(())
}

fn one(file: &Path, folders: &[PathBuf]) -> Result<(Report, Option<String>), Report> {
    let shelf = file.parent().and_then(|p| p.file_name()).and_then(|n| n.to_str()).unwrap_or_default();
    if twinfleet_twins::catalog::is_folder(shelf) {
        let catalog = file.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let mut all = load_files::catalog(None, folders)?;
        twinfleet_twins::catalog::load_dir(&mut all, catalog)?;
        return Ok((Report::default(), None));
    }
    if file.is_file() {
        let source = Source::read(file)?;
        if check::is_params(&source) {
            let found = check::check_params(&source, &load_files::catalog(Some(file), folders)?);
            return Ok((found, None));
        }
    }
    let loaded = load_files::scenario(&file.display().to_string(), &[], folders)?;
    let mut warnings = loaded.warnings.clone();
    let plan =
        Plan::new(Arc::clone(&loaded.scenario), Arc::clone(&loaded.catalog), PathBuf::new(), 0, (0, 1));
    if let Ok(plan) = &plan {
        load_files::dangling(&loaded, plan).into_result()?;
        warnings.merge(script::check::check(plan, &loaded.files).into_result()?);
    }
    let note = plan.ok().map(|plan| {
        let islands = plan.islands();
        format!(
            "{}: {}, {}, {}; {}",
            file.display(),
            counted(plan.groups.iter().map(|g| g.count as usize).sum(), "device"),
            counted(plan.scenario.physicals.len(), "physical"),
            counted(plan.scenario.mirror.len(), "twin"),
            match islands {
                0 => "no zones: devices can be dealt out to any number of shards".to_owned(),
                1 => "all zones are coupled: more than one shard gains nothing".to_owned(),
                n => format!("{n} islands that do not touch: up to {n} shards"),
            }
        )
    });
    Ok((warnings, note))
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
