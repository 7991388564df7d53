//! A mirror's store through its own door: what was kept is found again, whichever way it lies in the file by then.

use proptest::prelude::*;
use std::collections::BTreeMap;
use twinfleet_twins::mirror::store::{Batch, HistoryRow, RawMessage, Store, StoreError};

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

#[test]
fn a_store_of_the_first_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    {
        let old = redb::Database::create(dir.path().join("mirror.redb")).unwrap();
        let write = old.begin_write().unwrap();
        write.open_table(redb::TableDefinition::<u64, &[u8]>::new("messages")).unwrap();
        write.commit().unwrap();
    }
    let refused = Store::open(dir.path()).unwrap_err();
    assert!(
        matches!(refused, StoreError::Unreadable { .. }) && refused.to_string().contains("earlier version"),
        "{refused}"
    );
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
