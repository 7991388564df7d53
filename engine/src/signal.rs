//! Signals: every observable series, `device/part.quantity@kind`. Outside a string, inside an integer.
//!
//! The table holds blocks (a device group times its channels), so that a million devices cost no million strings.
//!
//! ```
//! use twinfleet_engine::signal::{Glob, SignalTable, Channel, Kind};
//! let mut table = SignalTable::default();
//! let block = table.add_block("node-{}", 3, vec![Channel::new("bme280.temperature", Kind::Reading, "degC")]);
//! assert_eq!(table.name(table.id(block, 2, 0)), "node-2/bme280.temperature@reading");
//! let hits = table.matches(&Glob::new("node-*/bme280.*@reading").unwrap());
//! assert_eq!(hits.len(), 3);
//! ```

use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// What a series is a series of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The simulated world's own value.
    Truth,
    /// What a part's pipeline made of it.
    Reading,
    /// What arrived over MQTT.
    Reported,
    /// The twin's filtered value.
    Estimate,
    /// The twin's value ahead of time; the channel name carries the horizon and bound, such as `soc.temperature.60s.lower`.
    Forecast,
    /// Reported minus predicted, in the signal's unit.
    Residual,
    /// A verdict as a number: 0 none, 1 while it holds.
    Verdict,
}

impl Kind {
    /// All kinds, in the order of the enum.
    pub const ALL: [Self; 7] = [
        Self::Truth,
        Self::Reading,
        Self::Reported,
        Self::Estimate,
        Self::Forecast,
        Self::Residual,
        Self::Verdict,
    ];

    /// Its name as written after `@`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Truth => "truth",
            Self::Reading => "reading",
            Self::Reported => "reported",
            Self::Estimate => "estimate",
            Self::Forecast => "forecast",
            Self::Residual => "residual",
            Self::Verdict => "verdict",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An interned signal. Ids follow the scenario's stable order and are the same in every shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalId(pub u32);

/// One series of every device of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `part.quantity`.
    pub name: String,
    /// What it is a series of.
    pub kind: Kind,
    /// Unit symbol, such as `degC`, `percent`, `lx`.
    pub unit: String,
}

impl Channel {
    /// A channel `part.quantity` of a kind, in a unit.
    pub fn new(name: &str, kind: Kind, unit: &str) -> Self {
        Self { name: name.to_owned(), kind, unit: unit.to_owned() }
    }
}

/// Index of a block within the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockId(pub u32);

#[derive(Clone, Debug)]
struct Block {
    pattern: String,
    devices: u32,
    /// Shared with the block before where they are the same, as those of a fleet of twins are.
    channels: Arc<[Channel]>,
    base: u32,
}

impl Block {
    fn device(&self, i: u32) -> String {
        self.pattern.replace("{}", &i.to_string())
    }
}

/// All signals of a run.
#[derive(Clone, Debug, Default)]
pub struct SignalTable {
    blocks: Vec<Block>,
    next: u32,
}

impl SignalTable {
    /// Adds `devices` devices named after `pattern` (whose `{}` is the index within the block) with these channels.
    ///
    /// # Panics
    /// When the run has more than 2³² signals; the scenario's reader refuses such fleets first.
    pub fn add_block(&mut self, pattern: &str, devices: u32, channels: Vec<Channel>) -> BlockId {
        let base = self.next;
        let size =
            u32::try_from(u64::from(devices) * channels.len() as u64).expect("fleet checked by the reader");
        self.next = base.checked_add(size).expect("fleet checked by the reader");
        let channels = match self.blocks.last().filter(|b| *b.channels == channels[..]) {
            Some(before) => Arc::clone(&before.channels),
            None => channels.into(),
        };
        self.blocks.push(Block { pattern: pattern.to_owned(), devices, channels, base });
        BlockId(self.blocks.len() as u32 - 1)
    }

    /// The signal of one device's channel.
    pub fn id(&self, block: BlockId, device: u32, channel: u32) -> SignalId {
        let b = &self.blocks[block.0 as usize];
        SignalId(b.base + device * b.channels.len() as u32 + channel)
    }

    /// Number of signals.
    pub fn len(&self) -> usize {
        self.next as usize
    }

    /// Whether there is no signal.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// The channels of a block's devices.
    pub fn channels(&self, block: BlockId) -> Arc<[Channel]> {
        Arc::clone(&self.blocks[block.0 as usize].channels)
    }

    /// Every block in id order: device pattern, number of devices, channels.
    pub fn blocks(&self) -> impl Iterator<Item = (&str, u32, &[Channel])> {
        self.blocks.iter().map(|b| (b.pattern.as_str(), b.devices, &*b.channels))
    }

    fn locate(&self, id: SignalId) -> (&Block, u32, &Channel) {
        let at = self.blocks.partition_point(|b| b.base <= id.0) - 1;
        // Empty blocks share their base with the next one; partition_point finds the last, which holds the id.
        let b = &self.blocks[at];
        let offset = id.0 - b.base;
        let per = b.channels.len() as u32;
        (b, offset / per, &b.channels[(offset % per) as usize])
    }

    /// `device/part.quantity@kind`.
    pub fn name(&self, id: SignalId) -> String {
        let (b, device, c) = self.locate(id);
        format!("{}/{}@{}", b.device(device), c.name, c.kind)
    }

    /// The device's part of the name.
    pub fn device_name(&self, id: SignalId) -> String {
        let (b, device, _) = self.locate(id);
        b.device(device)
    }

    /// The channel of a signal: name, kind and unit.
    pub fn channel(&self, id: SignalId) -> &Channel {
        self.locate(id).2
    }

    /// The signal with this exact name.
    pub fn find(&self, name: &str) -> Option<SignalId> {
        let glob = Glob::new(&escape(name)).ok()?;
        self.matches(&glob).first().copied()
    }

    /// All signals a glob names, in id order.
    pub fn matches(&self, glob: &Glob) -> Vec<SignalId> {
        let mut hits = Vec::new();
        for (at, b) in self.blocks.iter().enumerate() {
            let channels: Vec<u32> = (0..b.channels.len() as u32)
                .filter(|c| glob.matches_channel(&b.channels[*c as usize]))
                .collect();
            if channels.is_empty() {
                continue;
            }
            for device in (0..b.devices).filter(|d| glob.matches_device(&b.device(*d))) {
                hits.extend(channels.iter().map(|c| self.id(BlockId(at as u32), device, *c)));
            }
        }
        hits
    }
}

fn escape(name: &str) -> String {
    name.replace(['*', '?'], "\u{0}")
}

/// A compiled pattern over signal names. `*` stands for any run of characters but `/` and `@`, `?` for one; a missing
/// `@kind` means every kind, and `**` alone every signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    device: String,
    channel: String,
    kind: Option<Kind>,
}

/// Why a glob could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GlobError {
    /// No `/` between the device and the part.
    #[error(
        "`{0}` names no part: signals are written `device/part.quantity@kind`, such as \"node-*/bme280.temperature@reading\""
    )]
    NoPart(String),
    /// The word after `@` is none of the kinds.
    #[error(
        "`{0}` is no kind of signal: use one of truth, reading, reported, estimate, forecast, residual, verdict"
    )]
    Kind(String),
}

impl Glob {
    /// Reads a pattern.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        if text == "**" || text == "*" {
            return Ok(Self { device: "*".into(), channel: "*".into(), kind: None });
        }
        let (path, kind) = match text.rsplit_once('@') {
            Some((path, "*")) => (path, None),
            Some((path, k)) => {
                let kind = Kind::ALL.into_iter().find(|x| x.name() == k);
                (path, Some(kind.ok_or_else(|| GlobError::Kind(k.to_owned()))?))
            }
            None => (text, None),
        };
        let (device, channel) = path.split_once('/').ok_or_else(|| GlobError::NoPart(text.to_owned()))?;
        Ok(Self { device: device.to_owned(), channel: channel.to_owned(), kind })
    }

    /// Whether the device's name fits.
    pub fn matches_device(&self, device: &str) -> bool {
        wildcard(self.device.as_bytes(), device.as_bytes())
    }

    /// Whether the channel and its kind fit.
    pub fn matches_channel(&self, c: &Channel) -> bool {
        self.kind.is_none_or(|k| k == c.kind) && wildcard(self.channel.as_bytes(), c.name.as_bytes())
    }
}

/// Whether `text` fits `pattern`, where `*` is any run and `?` any one byte.
pub fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star, mut mark) = (0, 0, None, 0);
    while t < text.len() {
        if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == text[t]) && pattern[p] != b'*' {
            p += 1;
            t += 1;
        } else if p < pattern.len() && pattern[p] == b'*' {
            star = Some(p);
            mark = t;
            p += 1;
        } else if let Some(s) = star {
            p = s + 1;
            mark += 1;
            t = mark;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}
