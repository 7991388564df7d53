//! Messages between devices, the broker and the twins, and the bounded boxes that hold them at the tick's edges.

use crate::time::SimTime;
use std::sync::Arc;

/// One MQTT publish, as it leaves a device or comes back from a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// When the device handed it to its radio, by simulated time.
    pub sent: SimTime,
    /// When it reaches the broker: `sent` plus the link's latency.
    pub due: SimTime,
    /// Ordinal of the publishing device in the scenario's stable order.
    pub publisher: u32,
    /// Counts the publisher's messages; with `publisher` it orders the Input set.
    pub seq: u64,
    /// MQTT topic, without the run's prefix.
    pub topic: Arc<str>,
    /// MQTT payload.
    pub payload: Arc<[u8]>,
    /// MQTT quality of service, 0–2.
    pub qos: u8,
    /// MQTT retain flag.
    pub retain: bool,
}
