//! Files that appear whole or not at all: written aside, then renamed.
//!
//! ```
//! use twinfleet_engine::aside::{Aside, write_durable, write_whole};
//! use std::io::Write;
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("report.json");
//! write_whole(&path, "{}")?;
//! assert_eq!(std::fs::read_to_string(&path)?, "{}");
//! // What is given up on the way leaves what was there.
//! let mut half = Aside::create(&path)?;
//! half.write_all(b"{\"half\":")?;
//! drop(half);
//! assert_eq!(std::fs::read_to_string(&path)?, "{}");
//! assert_eq!(std::fs::read_dir(dir.path())?.count(), 1);
//! write_durable(&path, "[]")?;
//! assert_eq!(std::fs::read_to_string(&path)?, "[]");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// A file in the making; without [`Aside::finish`] nothing of it is left.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    aside: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Aside {
    /// Begins it.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".part");
        let aside = PathBuf::from(aside);
        let file = Some(BufWriter::with_capacity(1 << 20, File::create(&aside)?));
        Ok(Self { path: path.to_owned(), aside, file })
    }

    /// Where it is until it has its name.
    pub fn place(&self) -> &Path {
        &self.aside
    }

    /// Gives it its name.
    ///
    /// # Errors
    /// What the system says; then nothing of it is left.
    pub fn finish(self) -> io::Result<()> {
        self.named(|_| Ok(()))
    }

    /// Gives it its name once its content is on the disk, and the name too: a power failure leaves the whole file or the one
    /// before.
    ///
    /// # Errors
    /// What the system says; then nothing of it is left.
    pub fn finish_durable(self) -> io::Result<()> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.to_owned();
        self.named(File::sync_all)?;
        sync_dir(&folder)
    }

    fn named(mut self, before: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let mut file = self.file.take().ok_or_else(|| io::Error::other("finished before"))?;
        let written = file.flush().and_then(|()| before(file.get_ref()));
        // What is closed may be renamed on every system.
        drop(file);
        written.and_then(|()| fs::rename(&self.aside, &self.path)).inspect_err(|_| {
            // What was written is of no use; that it cannot be removed either changes nothing.
            let _ = fs::remove_file(&self.aside);
        })
    }
}

/// Writes a whole file so.
///
/// # Errors
/// What the system says.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = Aside::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.finish()
}

/// The same, on the disk when it returns: see [`Aside::finish_durable`].
///
/// # Errors
/// What the system says.
pub fn write_durable(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = Aside::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.finish_durable()
}

/// Makes the names in a folder durable; only Unix lets a program ask for it.
///
/// # Errors
/// What the system says.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

impl Write for Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Err(io::Error::other("finished before")), |f| f.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // It was given up on the way, and the reason has been told.
            let _ = fs::remove_file(&self.aside);
        }
    }
}
