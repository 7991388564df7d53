//! Many messages or readings in one row of the store: a row costs a walk down a tree, what is in it a copy.
//!
//! Messages lie in blocks in the order they came. Readings are kept twice, one after the other: first a row of each commit, as it
//! came, in a log; once that is long, sorted into blocks of one twin each. A block of readings spans no more than [`SPAN_NS`], so
//! that it is known where one that holds a time can begin.

use super::{HistoryRow, RawMessage};

/// Messages of a block at most, and bytes from which on another one begins.
const BLOCK_MESSAGES: usize = 512;
const BLOCK_BYTES: usize = 128 << 10;
/// Readings of a twin's block at most.
const BLOCK_ROWS: usize = 1024;
/// Time that a twin's block spans at most, [ns].
pub(super) const SPAN_NS: i64 = 3_600_000_000_000;

/// Head of a block of messages: their number (4 bytes), when the last one came (8 bytes).
const HEAD: usize = 12;

/// Packs messages, some in each block; with each how many it holds.
pub(super) fn pack_messages(messages: &[RawMessage]) -> Vec<(u64, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut rest = messages;
    while !rest.is_empty() {
        let mut block = vec![0; HEAD];
        let mut n = 0;
        for m in rest.iter().take(BLOCK_MESSAGES) {
            let at = block.len();
            block.extend_from_slice(&[0; 4]);
            m.write(&mut block);
            let length = (block.len() - at - 4) as u32;
            block[at..at + 4].copy_from_slice(&length.to_le_bytes());
            n += 1;
            if block.len() >= BLOCK_BYTES {
                break;
            }
        }
        block[..4].copy_from_slice(&(n as u32).to_le_bytes());
        block[4..HEAD].copy_from_slice(&rest[n - 1].arrived_unix_ns.to_le_bytes());
        blocks.push((n as u64, block));
        rest = &rest[n..];
    }
    blocks
}

/// How many messages a block holds, and when its last one came, Unix time [ns].
pub(super) fn head_of_messages(block: &[u8]) -> Option<(u64, i64)> {
    let (n, rest) = block.split_first_chunk::<4>()?;
    let (last, _) = rest.split_first_chunk::<8>()?;
    Some((u64::from(u32::from_le_bytes(*n)), i64::from_le_bytes(*last)))
}

/// The messages of a block, in the order they came; it ends where the bytes are none.
pub(super) fn messages(block: &[u8]) -> impl Iterator<Item = RawMessage> {
    let mut rest = block.get(HEAD..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = after;
        RawMessage::read(bytes)
    })
}

/// Appends a reading, after whose it is.
fn put_row(out: &mut Vec<u8>, row: &HistoryRow) {
    out.extend_from_slice(&row.twin.to_le_bytes());
    out.extend_from_slice(&row.t_unix_ns.to_le_bytes());
    out.extend_from_slice(&(row.values.len() as u16).to_le_bytes());
    for (channel, value) in &row.values {
        out.extend_from_slice(&channel.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// A reading as the first format kept it, a row each: channels and values alone.
pub(super) fn old_row(twin: u32, t_unix_ns: i64, values: &[u8]) -> Option<HistoryRow> {
    let (pairs, rest) = values.as_chunks::<10>();
    let value = |[a, b, number @ ..]: &[u8; 10]| (u16::from_le_bytes([*a, *b]), f64::from_le_bytes(*number));
    rest.is_empty().then(|| HistoryRow { twin, t_unix_ns, values: pairs.iter().map(value).collect() })
}

/// Packs readings as they come.
pub(super) fn pack_rows(rows: &[HistoryRow]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.iter().map(|r| 14 + 10 * r.values.len()).sum());
    rows.iter().for_each(|row| put_row(&mut out, row));
    out
}

/// The readings of a block for which `wanted` holds, by twin and time; the others are stepped over unread.
pub(super) fn rows(block: &[u8], wanted: impl Fn(u32, i64) -> bool) -> impl Iterator<Item = HistoryRow> {
    let mut rest = block;
    std::iter::from_fn(move || {
        loop {
            let (twin, after) = rest.split_first_chunk::<4>()?;
            let (t, after) = after.split_first_chunk::<8>()?;
            let (n, after) = after.split_first_chunk::<2>()?;
            let (values, after) = after.split_at_checked(10 * usize::from(u16::from_le_bytes(*n)))?;
            rest = after;
            let (twin, t_unix_ns) = (u32::from_le_bytes(*twin), i64::from_le_bytes(*t));
            if wanted(twin, t_unix_ns) {
                let number = |b: &[u8]| b.try_into().map_or(f64::NAN, f64::from_le_bytes);
                let value = |b: &[u8]| (u16::from_le_bytes([b[0], b[1]]), number(&b[2..]));
                let values = values.chunks_exact(10).map(value).collect();
                return Some(HistoryRow { twin, t_unix_ns, values });
            }
        }
    })
}

/// When the last reading of a block was taken, Unix time [ns]; none of them is read.
pub(super) fn last_time(block: &[u8]) -> Option<i64> {
    let last = std::cell::Cell::new(None);
    let none = |_, t| {
        last.set(Some(t));
        false
    };
    rows(block, none).for_each(drop);
    last.get()
}

/// Brings readings into the order of twin and time; of two at one time the later one's values count, and the earlier one's that
/// it does not have.
pub(super) fn sort(rows: &mut Vec<HistoryRow>) {
    rows.sort_by_key(|r| (r.twin, r.t_unix_ns));
    rows.dedup_by(|later, earlier| {
        let same = (later.twin, later.t_unix_ns) == (earlier.twin, earlier.t_unix_ns);
        if same {
            for (channel, value) in later.values.drain(..) {
                match earlier.values.iter_mut().find(|(c, _)| *c == channel) {
                    Some((_, old)) => *old = value,
                    None => earlier.values.push((channel, value)),
                }
            }
        }
        same
    });
}

/// Parts sorted readings into blocks of one twin each, none too long or too many.
pub(super) fn by_twin(rows: &[HistoryRow]) -> impl Iterator<Item = &[HistoryRow]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let fits =
            |r: &&HistoryRow| r.twin == first.twin && r.t_unix_ns.saturating_sub(first.t_unix_ns) < SPAN_NS;
        let n = rest.iter().take(BLOCK_ROWS).take_while(fits).count();
        let (block, after) = rest.split_at(n);
        rest = after;
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(twin: u32, t: i64, values: &[(u16, f64)]) -> HistoryRow {
        HistoryRow { twin, t_unix_ns: t, values: values.to_vec() }
    }

    #[test]
    fn two_readings_of_one_time_are_one_with_the_later_ones_values() {
        let mut all =
            vec![row(1, 5, &[(0, 1.0), (1, 2.0)]), row(0, 9, &[]), row(1, 5, &[(1, 3.0), (4, 4.0)])];
        sort(&mut all);
        assert_eq!(all, [row(0, 9, &[]), row(1, 5, &[(0, 1.0), (1, 3.0), (4, 4.0)])]);
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            said in proptest::collection::vec(("[a-z/]{0,40}", proptest::collection::vec(any::<u8>(), 0..2000), any::<i64>(), 0u8..3), 0..700),
            read in proptest::collection::vec((0u32..5, -9_000_000_000_000i64..9_000_000_000_000, proptest::collection::vec((any::<u16>(), any::<f64>()), 0..4)), 0..300),
        ) {
            let messages: Vec<RawMessage> = said.into_iter().map(|(topic, payload, t, qos)| RawMessage {
                arrived_unix_ns: t, qos, retain: qos == 1, dup: qos == 2, topic: topic.into(), payload: payload.into(),
            }).collect();
            let blocks = pack_messages(&messages);
            let back: Vec<RawMessage> = blocks.iter().flat_map(|(_, b)| super::messages(b)).collect();
            prop_assert_eq!(&back, &messages);
            let heads: Option<Vec<(u64, i64)>> = blocks.iter().map(|(_, b)| head_of_messages(b)).collect();
            let heads = heads.unwrap();
            prop_assert_eq!(heads.iter().map(|h| h.0).sum::<u64>(), messages.len() as u64);
            prop_assert_eq!(heads.last().map(|h| h.1), messages.last().map(|m| m.arrived_unix_ns));

            let mut rows: Vec<HistoryRow> = read.into_iter().map(|(twin, t, values)| row(twin, t, &values)).collect();
            sort(&mut rows);
            let mut again = Vec::new();
            for block in by_twin(&rows) {
                let (first, last) = (&block[0], &block[block.len() - 1]);
                prop_assert!(first.twin == last.twin && last.t_unix_ns - first.t_unix_ns < SPAN_NS);
                again.extend(super::rows(&pack_rows(block), |_, _| true));
            }
            // A NaN is no NaN to itself.
            prop_assert_eq!(format!("{again:?}"), format!("{rows:?}"));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(messages(&bytes).count() <= bytes.len());
            prop_assert!(rows(&bytes, |_, _| true).count() <= bytes.len());
            let _ = head_of_messages(&bytes);
        }
    }
}
