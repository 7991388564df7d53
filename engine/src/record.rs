//! What a run leaves: Parquet segments, manifest, state hash.

use crate::world::{Event, Row};

/// Brings a tick's rows and events into the order that [`crate::expect`] and the record want: rows by (time, signal), events
/// by (time, subject, part, kind). Equal keys keep the order in which they were emitted.
pub fn sort_tick(rows: &mut [Row], events: &mut [Event]) {
    rows.sort_by_key(|r| (r.t, r.signal));
    events.sort_by(|a, b| (a.t, &a.subject, &a.part, &a.kind).cmp(&(b.t, &b.subject, &b.part, &b.kind)));
}
