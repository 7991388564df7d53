//! What one turn of the mirror adds to its store.

use std::{collections::BTreeSet, sync::Arc};

/// A message as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawMessage {
    /// When it came, Unix time, [ns].
    pub arrived_unix_ns: i64,
    /// Quality of service it was delivered with.
    pub qos: u8,
    /// Whether the broker had kept it.
    pub retain: bool,
    /// Whether the broker had sent it before.
    pub dup: bool,
    /// MQTT topic.
    pub topic: Arc<str>,
    /// MQTT payload.
    pub payload: Arc<[u8]>,
}

impl RawMessage {
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.arrived_unix_ns.to_le_bytes());
        bytes.push(self.qos | u8::from(self.retain) << 2 | u8::from(self.dup) << 3);
        bytes.extend_from_slice(&(self.topic.len() as u16).to_le_bytes());
        bytes.extend_from_slice(self.topic.as_bytes());
        bytes.extend_from_slice(&self.payload);
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (when, rest) = bytes.split_first_chunk::<8>()?;
        let (flags, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let (topic, payload) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        Some(Self {
            arrived_unix_ns: i64::from_le_bytes(*when),
            qos: flags & 3,
            retain: flags & 4 != 0,
            dup: flags & 8 != 0,
            topic: std::str::from_utf8(topic).ok()?.into(),
            payload: payload.into(),
        })
    }
}

/// A twin's values at an instant: its number, Unix time [ns], and the channels of its block with their values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryRow {
    /// The twin's number.
    pub twin: u32,
    /// Unix time, [ns].
    pub t_unix_ns: i64,
    /// Channel of the twin's block, and value.
    pub values: Vec<(u16, f64)>,
}

/// What one turn of the mirror adds: all of it is kept, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Messages, in the order they came.
    pub messages: Vec<RawMessage>,
    /// Values.
    pub history: Vec<HistoryRow>,
    /// State documents, by name; an empty one is removed.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Events, JSON.
    pub events: Vec<Vec<u8>>,
    /// QoS 2 packet ids that the broker has not released, where they changed.
    pub received_qos2: Option<BTreeSet<u16>>,
}

impl Batch {
    /// Whether there is nothing to keep.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.history.is_empty()
            && self.documents.is_empty()
            && self.events.is_empty()
            && self.received_qos2.is_none()
    }

    /// What it holds, roughly, [bytes].
    pub fn bytes(&self) -> usize {
        let messages: usize = self.messages.iter().map(|m| 64 + m.topic.len() + m.payload.len()).sum();
        let history: usize = self.history.iter().map(|h| 48 + 16 * h.values.len()).sum();
        let documents: usize = self.documents.iter().map(|(name, d)| 64 + name.len() + d.len()).sum();
        messages + history + documents + self.events.iter().map(|e| 32 + e.len()).sum::<usize>()
    }

    /// Adds what a later turn adds.
    pub fn append(&mut self, mut later: Self) {
        self.messages.append(&mut later.messages);
        self.history.append(&mut later.history);
        self.documents.append(&mut later.documents);
        self.events.append(&mut later.events);
        if later.received_qos2.is_some() {
            self.received_qos2 = later.received_qos2;
        }
    }
}
