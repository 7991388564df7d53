//! A mirror's store through its own door: what was kept is found again, whichever way it lies in the file by then.

use proptest::prelude::*;
use std::{collections::BTreeMap, path::Path};
use twinfleet_twins::mirror::store::{Batch, FILE_NAME, HistoryRow, RawMessage, Store};

const HOUR_NS: i64 = 3_600_000_000_000;

fn message(n: i64) -> RawMessage {
    RawMessage {
        arrived_unix_ns: n * 1_000,
        qos: (n % 3) as u8,
        topic: format!("t/{}", n % 7).into(),
        payload: vec![n as u8; (n % 400) as usize].into(),
        ..RawMessage::default()
    }
}

fn row(twin: u32, t_unix_ns: i64, value: f64) -> HistoryRow {
    HistoryRow { twin, t_unix_ns, values: vec![(0, value), (3, -value)] }
}

#[test]
fn messages_are_found_by_number_and_by_time_whatever_their_commits() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let all: Vec<RawMessage> = (0..3_000).map(message).collect();
    let mut rest = &all[..];
    for n in [1, 700, 2, 513, 1_000].into_iter().cycle() {
        let (some, after) = rest.split_at(n.min(rest.len()));
        store.commit(&Batch { messages: some.to_vec(), ..Batch::default() }).unwrap();
        rest = after;
        if rest.is_empty() {
            break;
        }
        // Numbers go on over a restart.
        drop(store);
        store = Store::open(dir.path()).unwrap();
    }
    let reader = store.reader();
    for (from, limit) in [(0, 10_000), (0, 1), (699, 3), (2_999, 5), (3_000, 5), (1_234, 700)] {
        let got = reader.messages(from, limit).unwrap();
        let want: Vec<(u64, RawMessage)> =
            (from..3_000).take(limit).map(|n| (n, all[n as usize].clone())).collect();
        assert_eq!(got, want, "{limit} from {from}");
    }
    for t in [-5, 0, 1, 700_000, 701_001, 2_999_000, 2_999_001, 9_999_999] {
        let want = all.iter().filter(|m| m.arrived_unix_ns < t).count() as u64;
        assert_eq!(reader.first_message_since(t).unwrap(), want, "since {t}");
    }
    // What is old goes in whole blocks, and nothing that is not old.
    store.prune(1_500_000, i64::MIN, &[]).unwrap();
    let left = reader.messages(0, 10_000).unwrap();
    assert!(left[0].0 > 0 && left[0].0 <= 1_500, "{}", left[0].0);
    assert_eq!(left.last().unwrap().0, 2_999);
    store.prune(i64::MAX, i64::MIN, &[]).unwrap();
    assert!(reader.messages(0, 10).unwrap().is_empty());
    store.commit(&Batch { messages: vec![message(7)], ..Batch::default() }).unwrap();
    assert_eq!(reader.messages(0, 10).unwrap()[0].0, 3_000, "numbers are never given twice");
}

#[test]
fn what_came_while_the_clock_was_ahead_goes_with_what_came_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    for arrived_unix_ns in [9_000_000, 9_000_001, 1_000, 2_000, 3_000] {
        let messages = vec![RawMessage { arrived_unix_ns, ..message(1) }];
        store.commit(&Batch { messages, ..Batch::default() }).unwrap();
    }
    let left = |store: &Store| -> Vec<u64> {
        store.reader().messages(0, 10).unwrap().into_iter().map(|(number, _)| number).collect()
    };
    // Nothing that came after it is old yet.
    store.prune(500, i64::MIN, &[]).unwrap();
    assert_eq!(left(&store), [0, 1, 2, 3, 4]);
    store.prune(1_500, i64::MIN, &[]).unwrap();
    assert_eq!(left(&store), [3, 4]);
}

#[test]
fn a_long_log_is_sorted_into_blocks_and_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let names: Vec<String> = (0..50).map(|i| format!("d{i}")).collect();
    let numbers = store.numbers(names.iter().map(String::as_str)).unwrap();
    // Two hours at three a second of each twin: sorted several times, and a log at the end.
    let n = 21_600;
    for k in (0..n).step_by(400) {
        let times = (k..k + 400).map(|k| i64::from(k) * HOUR_NS / 10_800);
        let history = times.flat_map(|t| numbers.iter().map(move |twin| row(*twin, t, t as f64))).collect();
        store.commit(&Batch { history, ..Batch::default() }).unwrap();
    }
    let check = |store: &Store, oldest: i64| {
        for (from, to, limit) in [
            (0, i64::MAX, 100_000),
            (HOUR_NS - 5, HOUR_NS + HOUR_NS / 2, 50),
            (2 * HOUR_NS - HOUR_NS / 100, i64::MAX, 1_000),
        ] {
            let got = store.reader().history(numbers[7], from, to, limit).unwrap();
            let times = (0..n).map(|k| i64::from(k) * HOUR_NS / 10_800);
            let want: Vec<HistoryRow> = times
                .filter(|t| (from.max(oldest)..=to).contains(t))
                .map(|t| row(numbers[7], t, t as f64))
                .take(limit)
                .collect();
            assert_eq!(got.len(), want.len(), "from {from} to {to}");
            assert!(got == want, "from {from} to {to}");
        }
    };
    check(&store, 0);
    drop(store);
    let mut store = Store::open(dir.path()).unwrap();
    store.numbers(names.iter().map(String::as_str)).unwrap();
    check(&store, 0);
    // Only blocks that surely end before the time go.
    store.prune(i64::MIN, HOUR_NS + HOUR_NS / 2, &numbers).unwrap();
    let left = store.reader().history(numbers[7], 0, i64::MAX, 100_000).unwrap();
    assert!(left[0].t_unix_ns > 0 && left[0].t_unix_ns < HOUR_NS + HOUR_NS / 2, "{}", left[0].t_unix_ns);
    check(&store, left[0].t_unix_ns);
}

/// As the first format kept them: a row each.
fn of_the_first_format(dir: &Path, messages: &[(u64, RawMessage)], rows: &[HistoryRow]) {
    let db = redb::Database::create(dir.join(FILE_NAME)).unwrap();
    let write = db.begin_write().unwrap();
    {
        let mut table = write.open_table(redb::TableDefinition::<u64, &[u8]>::new("messages")).unwrap();
        for (number, m) in messages {
            let mut bytes = m.arrived_unix_ns.to_le_bytes().to_vec();
            bytes.push(m.qos | u8::from(m.retain) << 2 | u8::from(m.dup) << 3);
            bytes.extend((m.topic.len() as u16).to_le_bytes());
            bytes.extend_from_slice(m.topic.as_bytes());
            bytes.extend_from_slice(&m.payload);
            table.insert(number, &bytes[..]).unwrap();
        }
        let mut table = write.open_table(redb::TableDefinition::<(u32, i64), &[u8]>::new("history")).unwrap();
        for r in rows {
            let pairs = r.values.iter().flat_map(|(c, v)| c.to_le_bytes().into_iter().chain(v.to_le_bytes()));
            table.insert((r.twin, r.t_unix_ns), &pairs.collect::<Vec<u8>>()[..]).unwrap();
        }
        let mut table = write.open_table(redb::TableDefinition::<&str, &[u8]>::new("documents")).unwrap();
        table.insert("pi-1", &b"{\"version\":3}"[..]).unwrap();
        let mut table = write.open_table(redb::TableDefinition::<u64, &[u8]>::new("events")).unwrap();
        table.insert(7, &b"{}"[..]).unwrap();
        let mut table = write.open_table(redb::TableDefinition::<&str, u32>::new("numbers")).unwrap();
        table.insert("pi-2", 0).unwrap();
        table.insert("pi-1", 1).unwrap();
    }
    write.commit().unwrap();
}

#[test]
fn a_store_of_the_first_format_is_brought_over_and_nothing_of_it_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    // More than one transaction brings over, with a gap that pruning left.
    let messages: Vec<(u64, RawMessage)> =
        (1_000..31_000).filter(|n| *n != 2_000).map(|n| (n, message(n as i64))).collect();
    let rows: Vec<HistoryRow> =
        (0..45_000).map(|k| row(k as u32 % 2, 1_000_000_000 * i64::from(k / 2), f64::from(k))).collect();
    of_the_first_format(dir.path(), &messages, &rows);
    for _ in 0..2 {
        let mut store = Store::open(dir.path()).unwrap();
        let reader = store.reader();
        assert_eq!(reader.messages(0, usize::MAX).unwrap(), messages);
        for twin in 0..2 {
            let want: Vec<HistoryRow> = rows.iter().filter(|r| r.twin == twin).cloned().collect();
            assert_eq!(reader.history(twin, i64::MIN, i64::MAX, usize::MAX).unwrap(), want);
        }
        assert_eq!(reader.documents().unwrap(), [("pi-1".to_owned(), b"{\"version\":3}".to_vec())]);
        assert_eq!(reader.events(9).unwrap(), [b"{}"]);
        assert_eq!(store.numbers(["pi-1", "pi-2", "pi-3"].into_iter()).unwrap(), [1, 0, 2]);
    }
    // What comes next is numbered after what was there.
    let mut store = Store::open(dir.path()).unwrap();
    store.commit(&Batch { messages: vec![message(9)], ..Batch::default() }).unwrap();
    assert_eq!(store.reader().messages(31_000, 9).unwrap(), [(31_000, message(9))]);
}

#[test]
fn a_store_that_cannot_be_brought_over_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    of_the_first_format(dir.path(), &[(0, message(0))], &[]);
    let file = dir.path().join(FILE_NAME);
    let spoilt = redb::TableDefinition::<u64, &[u8]>::new("messages");
    let refused = |what: &str| {
        let why = Store::open(dir.path()).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(why.contains(what) && why.contains(&dir.path().display().to_string()), "{why}");
    };
    {
        let write = redb::Database::open(&file).unwrap();
        let write = write.begin_write().unwrap();
        write.open_table(spoilt).unwrap().insert(1, &b"no message"[..]).unwrap();
        write.commit().unwrap();
    }
    refused("a message in it cannot be read");
    {
        let db = redb::Database::open(&file).unwrap();
        let there = redb::ReadableDatabase::begin_read(&db).unwrap().open_table(spoilt).unwrap();
        assert_eq!(redb::ReadableTableMetadata::len(&there).unwrap(), 2);
        let write = db.begin_write().unwrap();
        let meta = redb::TableDefinition::<&str, &[u8]>::new("meta");
        write.open_table(meta).unwrap().insert("format", &9u32.to_le_bytes()[..]).unwrap();
        write.commit().unwrap();
    }
    refused("its format is 9");
}

/// A clock that is set back while much is kept: blocks that begin later hold what was said earlier.
#[test]
fn of_two_readings_of_one_time_the_later_counts_wherever_their_blocks_begin() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path()).unwrap();
    let mut kept = |times: std::ops::Range<i64>, value: f64| {
        let history = times.map(|t| row(0, t, value)).collect();
        store.commit(&Batch { history, ..Batch::default() }).unwrap();
        let flood = (0..70_000).map(|k| row(9, k, 0.0)).collect();
        store.commit(&Batch { history: flood, ..Batch::default() }).unwrap();
    };
    kept(2_000..5_000, 1.0);
    kept(1_500..2_600, 2.0);
    kept(1_400..1_500, 3.0);
    kept(4_900..6_500, 4.0);
    let got = store.reader().history(0, i64::MIN, i64::MAX, usize::MAX).unwrap();
    let value = |t: i64| match t {
        ..1_500 => 3.0,
        1_500..2_600 => 2.0,
        2_600..4_900 => 1.0,
        _ => 4.0,
    };
    let want: Vec<HistoryRow> = (1_400..6_500).map(|t| row(0, t, value(t))).collect();
    assert!(got == want, "{} rows of {}", got.len(), want.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_clock_that_jumps_leaves_each_time_once_with_its_last_values(
        told in prop::collection::vec((0u32..3, -4i64..4, 0i64..2_000, -1e3f64..1e3), 1..200),
        at_once in 40usize..200,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut want: BTreeMap<(u32, i64), f64> = BTreeMap::new();
        for some in told.chunks(at_once) {
            let rows = some.iter().map(|(twin, hour, t, value)| row(*twin, hour * HOUR_NS + t, *value));
            let history: Vec<HistoryRow> = rows.collect();
            want.extend(history.iter().map(|r| ((r.twin, r.t_unix_ns), r.values[0].1)));
            store.commit(&Batch { history, ..Batch::default() }).unwrap();
            // More than the log takes: a flood of another twin has it sorted.
            let flood = (0..70_000).map(|k| row(9, k, 0.0)).collect();
            store.commit(&Batch { history: flood, ..Batch::default() }).unwrap();
        }
        for twin in 0..3 {
            let got = store.reader().history(twin, i64::MIN, i64::MAX, usize::MAX - 1).unwrap();
            let got: Vec<(i64, f64)> = got.iter().map(|r| (r.t_unix_ns, r.values[0].1)).collect();
            let want: Vec<(i64, f64)> = want.iter().filter(|(k, _)| k.0 == twin).map(|(k, v)| (k.1, *v)).collect();
            prop_assert_eq!(got, want);
        }
    }
}
