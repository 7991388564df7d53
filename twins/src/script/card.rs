//! The files that a script finds: its own and what lies beside it, as on a device's flash or card.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};
use twinfleet_engine::scenario::files::Files;

/// Most that a card holds: files, bytes of one, bytes of all.
const FILES: usize = 2_000;
const FILE_BYTES: u64 = 4 << 20;
const BYTES: u64 = 32 << 20;
/// The same of a card that a script has written to.
const HELD_FILES: usize = 10_000;
const HELD_BYTES: u64 = 256 << 20;

/// A script and the files beside it, in memory: each device gets a copy of its own.
#[derive(Clone, Debug)]
pub struct Card {
    /// The script's path within it.
    pub main: String,
    /// Files by their path within it, in order.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Why a card cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// The script.
    #[error("{0}")]
    Missing(String),
    /// What lies beside it.
    #[error("beside the script {script} lie more than {FILES} files or {} MiB: give it a folder of its own", BYTES >> 20)]
    TooMuch {
        /// The script.
        script: String,
    },
    /// A file.
    #[error("{path}: {why}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        why: std::io::Error,
    },
}

impl Card {
    /// Reads a script by the path that the scenario gives, and what lies in its folder and below. Hidden files but for
    /// `.env`, links and files of more than 4 MiB stay out.
    ///
    /// # Errors
    /// Where it is not there or there is too much of it.
    pub fn read(files: &Files, path: &str) -> Result<Self, CardError> {
        let (_, mut own) = files.open(path).map_err(|e| CardError::Missing(e.to_string()))?;
        let main = Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let full = [files.base().join(path), PathBuf::from(path)].into_iter().find(|p| p.is_file());
        let mut card = Self { main: main.clone(), files: Vec::new() };
        if let Some(folder) = full.as_deref().map(|p| p.parent().unwrap_or(Path::new(""))) {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            let mut bytes = 0;
            card.add_folder(folder, Path::new(""), &mut bytes, path)?;
        } else {
            let mut text = Vec::new();
            own.read_to_end(&mut text).map_err(|why| CardError::Io { path: path.to_owned(), why })?;
            // What came with the program comes with its siblings.
            let siblings = crate::catalog::beside_file(path);
            if siblings.is_empty() {
                card.files.push((PathBuf::from(main), text));
            } else {
                card.files = siblings;
            }
        }
        card.files.sort();
        Ok(card)
    }

    fn add_folder(
        &mut self,
        folder: &Path,
        within: &Path,
        bytes: &mut u64,
        script: &str,
    ) -> Result<(), CardError> {
        let io = |path: &Path, why| CardError::Io { path: path.display().to_string(), why };
        let entries = fs::read_dir(folder).map_err(|e| io(folder, e))?;
        for entry in entries.flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let Ok(kind) = entry.file_type() else { continue };
            let said = name.to_string_lossy();
            // Settings that a script reads by itself are often in a file `.env`.
            let settings = kind.is_file() && said.starts_with(".env");
            let hidden = (said.starts_with('.') && !settings) || said == "__pycache__";
            if hidden || kind.is_symlink() {
                continue;
            }
            if kind.is_dir() {
                self.add_folder(&path, &within.join(&name), bytes, script)?;
                continue;
            }
            let length = entry.metadata().map_or(u64::MAX, |m| m.len());
            if !kind.is_file() || length > FILE_BYTES {
                continue;
            }
            *bytes += length;
            if self.files.len() >= FILES || *bytes > BYTES {
                return Err(CardError::TooMuch { script: script.to_owned() });
            }
            self.files.push((within.join(&name), fs::read(&path).map_err(|e| io(&path, e))?));
        }
        Ok(())
    }

    /// Writes a copy of it into a folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn copy_to(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        for (path, bytes) in &self.files {
            let to = folder.join(path);
            if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                fs::create_dir_all(folder.join(parent))?;
            }
            fs::write(to, bytes)?;
        }
        Ok(())
    }
}

/// Why a device's card is ended by what it holds, where it is: files in its folder, and those that its process has open
/// without a name.
pub fn overfull(folder: &Path, process: i32) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut files, mut bytes) = (0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            files += 1;
            bytes += metadata.blocks() * 512;
            if files > HELD_FILES || bytes > HELD_BYTES {
                return Some(told(files));
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    for entry in fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten() {
        let open = fs::metadata(entry.path()).ok().filter(|m| m.is_file() && m.nlink() == 0);
        bytes += open.map_or(0, |m| m.blocks() * 512);
    }
    (bytes > HELD_BYTES).then(|| told(files))
}

fn told(files: usize) -> String {
    if files > HELD_FILES {
        format!("its card is full: it holds more than {HELD_FILES} files, ended")
    } else {
        format!("its card is full: it holds more than {} MiB, ended", HELD_BYTES >> 20)
    }
}
