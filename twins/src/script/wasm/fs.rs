//! The flash file system of a microcontroller, in memory: what MicroPython's file calls find.

use std::collections::BTreeMap;

/// Error numbers as boards, and MicroPython's `errno`, have them.
pub(super) mod errno {
    pub const NOENT: i32 = 2;
    pub const BADF: i32 = 9;
    pub const EXIST: i32 = 17;
    pub const NOTDIR: i32 = 20;
    pub const ISDIR: i32 = 21;
    pub const INVAL: i32 = 22;
    pub const NOSPC: i32 = 28;
    pub const NOTEMPTY: i32 = 39;
}

/// The file that is the line to the run.
pub(super) const WORLD: &str = "/dev/world";
/// Most that its flash holds, [bytes].
const FLASH_BYTES: usize = 2 << 20;
/// What it is divided into, [bytes].
pub(super) const BLOCK_BYTES: usize = 4096;
/// Folders that are the runtime's, and no script's to see or change.
const OWN: [&str; 2] = ["/dev", "/shim"];

const O_ACCMODE: i32 = 3;
const O_CREAT: i32 = 0o100;
const O_EXCL: i32 = 0o200;
const O_TRUNC: i32 = 0o1000;
const O_APPEND: i32 = 0o2000;
const O_DIRECTORY: i32 = 0o200_000;

/// What a name stands for.
#[derive(Clone, Debug)]
enum Node {
    Dir,
    File(Vec<u8>),
}

/// What an open number stands for.
#[derive(Clone, Debug)]
pub(super) enum Open {
    /// Standard output and error.
    Console,
    /// The line to the run.
    World,
    /// A file and the place in it.
    File { path: String, at: usize, append: bool },
    /// A folder: names that were not given yet.
    Dir { names: Vec<(String, bool)>, at: usize },
}

/// Files and open numbers.
#[derive(Clone, Debug)]
pub(super) struct Flash {
    nodes: BTreeMap<String, Node>,
    open: BTreeMap<i32, Open>,
    pub here: String,
}

/// What `stat` says: whether it is a folder, and its length.
pub(super) type Stat = (bool, usize);

impl Flash {
    pub fn new() -> Self {
        let nodes = ["/", "/lib", "/dev"].map(|p| (p.to_owned(), Node::Dir));
        let open = [0, 1, 2].map(|fd| (fd, Open::Console));
        Self { nodes: nodes.into(), open: open.into(), here: "/".to_owned() }
    }

    /// Puts a file there with the folders above it.
    pub fn put(&mut self, path: &str, bytes: Vec<u8>) {
        let path = self.full(path);
        let mut above = path.as_str();
        while let Some((parent, _)) = above.rsplit_once('/') {
            if parent.is_empty() {
                break;
            }
            self.nodes.entry(parent.to_owned()).or_insert(Node::Dir);
            above = parent;
        }
        self.nodes.insert(path, Node::File(bytes));
    }

    /// A path from the root, without `.`, `..` and doubled slashes.
    pub fn full(&self, path: &str) -> String {
        let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", self.here) };
        let mut parts: Vec<&str> = Vec::new();
        for part in whole.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    }

    pub fn stat(&self, path: &str) -> Result<Stat, i32> {
        match self.nodes.get(&self.full(path)) {
            Some(Node::Dir) => Ok((true, 0)),
            Some(Node::File(bytes)) => Ok((false, bytes.len())),
            None => Err(errno::NOENT),
        }
    }

    pub fn stat_open(&self, fd: i32) -> Result<Stat, i32> {
        match self.open.get(&fd).ok_or(errno::BADF)? {
            Open::File { path, .. } => self.stat(path),
            Open::Dir { .. } => Ok((true, 0)),
            Open::Console | Open::World => Ok((false, 0)),
        }
    }

    pub fn open(&mut self, path: &str, flags: i32) -> Result<i32, i32> {
        let path = self.full(path);
        let opened = if path == WORLD {
            Open::World
        } else {
            match self.nodes.get_mut(&path) {
                Some(Node::Dir) if flags & O_ACCMODE != 0 => return Err(errno::ISDIR),
                Some(Node::Dir) => Open::Dir { names: self.list(&path), at: 0 },
                Some(Node::File(_)) if flags & O_DIRECTORY != 0 => return Err(errno::NOTDIR),
                Some(Node::File(_)) if flags & O_CREAT != 0 && flags & O_EXCL != 0 => {
                    return Err(errno::EXIST);
                }
                Some(Node::File(bytes)) => {
                    if flags & O_TRUNC != 0 {
                        bytes.clear();
                    }
                    Open::File { path, at: 0, append: flags & O_APPEND != 0 }
                }
                None if flags & O_CREAT != 0 => {
                    let parent =
                        path.rsplit_once('/').map_or("/", |(p, _)| if p.is_empty() { "/" } else { p });
                    if !matches!(self.nodes.get(parent), Some(Node::Dir)) {
                        return Err(errno::NOENT);
                    }
                    self.nodes.insert(path.clone(), Node::File(Vec::new()));
                    Open::File { path, at: 0, append: flags & O_APPEND != 0 }
                }
                None => return Err(errno::NOENT),
            }
        };
        let fd = (3..).find(|fd| !self.open.contains_key(fd)).unwrap_or(i32::MAX);
        self.open.insert(fd, opened);
        Ok(fd)
    }

    pub fn opened(&self, fd: i32) -> Option<&Open> {
        self.open.get(&fd)
    }

    pub fn close(&mut self, fd: i32) -> i32 {
        if self.open.remove(&fd).is_some() { 0 } else { errno::BADF }
    }

    pub fn read(&mut self, fd: i32, most: usize) -> Result<Vec<u8>, i32> {
        let Some(Open::File { path, at, .. }) = self.open.get_mut(&fd) else { return Err(errno::BADF) };
        let Some(Node::File(bytes)) = self.nodes.get(path) else { return Err(errno::NOENT) };
        let from = (*at).min(bytes.len());
        let to = (from + most).min(bytes.len());
        *at = to;
        Ok(bytes[from..to].to_vec())
    }

    pub fn write(&mut self, fd: i32, data: &[u8]) -> Result<usize, i32> {
        let full: usize = self.nodes.values().map(|n| if let Node::File(b) = n { b.len() } else { 0 }).sum();
        let Some(Open::File { path, at, append }) = self.open.get_mut(&fd) else { return Err(errno::BADF) };
        let Some(Node::File(bytes)) = self.nodes.get_mut(path) else { return Err(errno::NOENT) };
        if *append {
            *at = bytes.len();
        }
        let end = *at + data.len();
        if end > bytes.len() && full + end - bytes.len() > FLASH_BYTES {
            return Err(errno::NOSPC);
        }
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[*at..end].copy_from_slice(data);
        *at = end;
        Ok(data.len())
    }

    pub fn seek(&mut self, fd: i32, offset: i64, whence: i32) -> Result<usize, i32> {
        let length = self.stat_open(fd)?.1 as i64;
        let Some(Open::File { at, .. }) = self.open.get_mut(&fd) else { return Err(errno::BADF) };
        let base = match whence {
            0 => 0,
            1 => *at as i64,
            _ => length,
        };
        let to = usize::try_from(base + offset).map_err(|_| errno::INVAL)?;
        *at = to;
        Ok(to)
    }

    fn list(&self, path: &str) -> Vec<(String, bool)> {
        let head = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        let below = self.nodes.range(head.clone()..).take_while(|(p, _)| p.starts_with(&head));
        below
            .filter(|(p, _)| p.len() > head.len() && !p[head.len()..].contains('/'))
            .map(|(p, n)| (p[head.len()..].to_owned(), matches!(n, Node::Dir)))
            .collect()
    }

    /// The next names of an open folder that fit into so many bytes of entries, each `entry_bytes` long.
    pub fn names(&mut self, fd: i32, count: usize) -> Result<Vec<(String, bool)>, i32> {
        let Some(Open::Dir { names, at }) = self.open.get_mut(&fd) else { return Err(errno::NOTDIR) };
        let to = (*at + count).min(names.len());
        let some = names[*at..to].to_vec();
        *at = to;
        Ok(some)
    }

    /// Blocks of the flash, and those that are free.
    pub fn blocks(&self) -> (u32, u32) {
        let used: usize = self
            .scripts()
            .map(|(_, n)| match n {
                Node::Dir => 1,
                Node::File(bytes) => bytes.len().div_ceil(BLOCK_BYTES) + 1,
            })
            .sum();
        let all = FLASH_BYTES / BLOCK_BYTES;
        (all as u32, all.saturating_sub(used) as u32)
    }

    fn is_own(path: &str) -> bool {
        OWN.iter()
            .any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    fn scripts(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.nodes.iter().filter(|(path, _)| !Self::is_own(path))
    }

    /// Takes over what another life of the device left.
    pub fn take_over(&mut self, before: &Self) {
        self.nodes.retain(|path, _| Self::is_own(path));
        self.nodes.extend(before.scripts().map(|(path, node)| (path.clone(), node.clone())));
    }

    pub fn make_dir(&mut self, path: &str) -> i32 {
        let path = self.full(path);
        if self.nodes.contains_key(&path) {
            return -errno::EXIST;
        }
        self.nodes.insert(path, Node::Dir);
        0
    }

    pub fn remove(&mut self, path: &str, dir: bool) -> i32 {
        let path = self.full(path);
        if Self::is_own(&path) {
            return -errno::NOENT;
        }
        match self.nodes.get(&path) {
            None => -errno::NOENT,
            Some(Node::Dir) if !dir => -errno::ISDIR,
            Some(Node::File(_)) if dir => -errno::NOTDIR,
            Some(Node::Dir) if !self.list(&path).is_empty() => -errno::NOTEMPTY,
            Some(_) => {
                self.nodes.remove(&path);
                0
            }
        }
    }

    pub fn rename(&mut self, from: &str, to: &str) -> i32 {
        let (from, to) = (self.full(from), self.full(to));
        if Self::is_own(&from) || Self::is_own(&to) {
            return -errno::NOENT;
        }
        match self.nodes.remove(&from) {
            None => -errno::NOENT,
            Some(node) => {
                self.nodes.insert(to, node);
                0
            }
        }
    }

    pub fn change_dir(&mut self, path: &str) -> i32 {
        let path = self.full(path);
        match self.nodes.get(&path) {
            Some(Node::Dir) => {
                self.here = path;
                0
            }
            Some(Node::File(_)) => -errno::NOTDIR,
            None => -errno::NOENT,
        }
    }
}
