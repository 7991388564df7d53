//! Files that appear whole or not at all: written aside, then renamed.

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
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".part");
        let aside = PathBuf::from(aside);
        let file = Some(BufWriter::with_capacity(1 << 20, File::create(&aside)?));
        Ok(Self { path: path.to_owned(), aside, file })
    }

    /// Gives it its name.
    pub fn finish(mut self) -> io::Result<()> {
        let mut file = self.file.take().ok_or_else(|| io::Error::other("finished before"))?;
        file.flush().and_then(|()| fs::rename(&self.aside, &self.path)).inspect_err(|_| {
            // What was written is of no use; that it cannot be removed either changes nothing.
            let _ = fs::remove_file(&self.aside);
        })
    }
}

/// Writes a whole file so.
pub fn write_whole(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    let mut file = Aside::create(path)?;
    file.write_all(bytes.as_ref())?;
    file.finish()
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
