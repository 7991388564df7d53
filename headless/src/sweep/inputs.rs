//! What decides the cells of a sweep, as hashes: a cell is run again when that has changed, and cells of one sweep are told from
//! those of another.

use super::{Args, Cell, broker};
use crate::{
    exit::Failure,
    load_files::{self, Loaded},
};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};
use twinfleet_engine::{
    scenario::tree::{Node, Value},
    world::StateHash,
};
use twinfleet_twins::catalog;

/// Hash of what decides a cell beside its seed.
pub(super) fn inputs(args: &Args, loaded: &Loaded, is_load: bool) -> Result<String, Failure> {
    let mut hash = StateHash::default();
    hash.add("0", loaded.source.text().as_bytes());
    hash.add("1", broker(args, is_load).as_bytes());
    if args.restart_broker.is_some() {
        hash.add("restarted", b"");
    }
    // What came with the program is the same for all cells.
    let file = Path::new(&args.file);
    let beside = file.exists().then(|| catalog::beside(file)).flatten();
    let mut sources = vec![loaded.source.clone()];
    for (of, folder) in beside.iter().chain(&args.catalog).enumerate() {
        let texts = catalog::texts(folder).map_err(|r| load_files::refused(&r))?;
        for (i, text) in texts.iter().enumerate() {
            hash.add(&format!("catalog {of} {i}"), text.text().as_bytes());
        }
        sources.extend(texts);
    }
    for source in &sources {
        source.tree().walk("", &mut |key, node| add_named(&mut hash, loaded, key, node));
    }
    Ok(format!("{:032x}", hash.0))
}

/// Adds the file that a field names, if it names one, and the modules that a script may import.
fn add_named(hash: &mut StateHash, loaded: &Loaded, key: &str, node: &Node) {
    let Value::Text(named) = &node.value else { return };
    if !NAMING.contains(&key) {
        return;
    }
    let Ok((_, file)) = loaded.files.open(named) else { return };
    add_file(hash, named, file);
    let full = [loaded.files.base().join(named), PathBuf::from(named)].into_iter().find(|p| p.is_file());
    if let Some(folder) = full.as_deref().filter(|p| is_module(p)).and_then(Path::parent) {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        add_modules(hash, named, folder, Path::new(""));
    }
}

/// Whether this is a module of a script.
fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "py" || e == "mpy")
}

/// Adds the modules in a script's folder and below, which go along with it to its device. Data may be what this very sweep writes
/// there, and is left out.
fn add_modules(hash: &mut StateHash, script: &str, folder: &Path, within: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, path) = (entry.file_name(), entry.path());
        let Ok(kind) = entry.file_type() else { continue };
        let within = within.join(&name);
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            add_modules(hash, script, &path, &within);
        } else if kind.is_file()
            && is_module(&path)
            && let Ok(file) = fs::File::open(&path)
        {
            add_file(hash, &format!("{script} {}", within.display()), file);
        }
    }
}

/// Hash of what decides the cells of a sweep, which is the same in all of its shards.
pub(super) fn identity(cells: &[Cell]) -> String {
    let mut hash = StateHash::default();
    for cell in cells {
        let text = format!("{}\n{}\n{}", cell.seed, cell.inputs, cell.set.join("\n"));
        hash.add(&cell.index.to_string(), text.as_bytes());
    }
    format!("{:032x}", hash.0)
}

/// Keys of a scenario that name a file.
const NAMING: [&str; 3] = ["path", "params", "file"];

/// Adds a file's content, which may be more than memory should hold. What cannot be read to its end, the cell will tell.
fn add_file(hash: &mut StateHash, name: &str, mut file: impl Read) {
    let mut chunk = Vec::new();
    for i in 0.. {
        chunk.clear();
        match file.by_ref().take(1 << 20).read_to_end(&mut chunk) {
            Ok(1..) => hash.add(&format!("{name} {i}"), &chunk),
            _ => return,
        }
    }
}
