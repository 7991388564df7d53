//! What people see when a table is wrong, as far as the command's own tests do not show it
//! (`tests/tests/system/bad_input/tables.rs`), and that no table makes the reader panic.

use super::*;
use crate::scenario::{calendar, diagnostic::Style};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::io::Read;

fn spec(columns: &[(&str, &str)]) -> TableSpec {
    let spec = TableSpec::new(TimeSpec::Column("time".into()));
    columns.iter().fold(spec, |spec, (signal, column)| spec.column(ColumnSpec::mapped(signal, column)))
}

fn read(text: &str, spec: &TableSpec) -> Result<Table, Report> {
    Recording::read("a.csv", Box::new(std::io::Cursor::new(text.as_bytes().to_vec())), spec)
}

/// What a strict reader says: errors, or the warnings of a table that can be used.
fn check(text: &str, want: Expect) {
    let report = match read(text, &spec(&[("soc.temperature", "temp")])) {
        Ok(table) => table.notes.warnings,
        Err(report) => report,
    };
    want.assert_eq(&dedented(report.render(Style::Plain)));
}

#[test]
fn good_tables_have_nothing_to_say() {
    check("time,temp\n0,1\n1,2\n2,3\n", expect![""]);
    check("\u{feff}time; temp \r\n\r\n0;1\r\n1;2\r\n", expect![""]);
}

#[test]
fn an_empty_cell_is_a_missing_reading() {
    check(
        "time,temp\n0,20.5\n1,\n2,21\n",
        expect![[r#"
              ! `soc.temperature`: a cell is empty
               ,-[a.csv:3:2]
             3 | 1,
               :  ^
               `----
              help: nothing is filled in: such a reading is missing
        "#]],
    );
}

#[test]
fn the_same_mistake_in_every_row_is_told_once() {
    check(
        "time;temp\n0;20.5\n1;20,6\n2;20,7\n",
        expect![[r#"
         x `20,6` of `soc.temperature` has a decimal comma, but line 2 has a point, and so in 1 more row
          ,-[a.csv:3:3]
        3 | 1;20,6
          :   ^^^^
          `----
         help: write all numbers of the table with the same sign, and none to part thousands
    "#]],
    );
    check(
        "time,temp\n0,20,5\n1,20,6\n",
        expect![[r#"
             x 2 cells were expected in this row, and 3 found, and so in 1 more row
              ,-[a.csv:2:6]
            2 | 0,20,5
              :      ^
              `----
             help: does a delimiter stand in a text (put it into quotes), or for a decimal point (write a point)?
        "#]],
    );
}

#[test]
fn a_comma_is_a_decimal_sign_where_it_parts_no_cells() {
    let table =
        read("time;temp\n0,5;20,25\n1,5;21\n2,5;-1,5e1\n", &spec(&[("a.temperature", "temp")])).unwrap();
    assert_eq!(table.t_s, [0.0, 1.0, 2.0]);
    assert_eq!(table.columns[0].values, [20.25, 21.0, -15.0]);
    // Without a header, too.
    let mut wanted = spec(&[("a.temperature", "#2")]);
    wanted.time = TimeSpec::Column("#1".into());
    assert_eq!(read("0,5\t20,5\n1,5\t21,5\n", &wanted).unwrap().columns[0].values, [20.5, 21.5]);
}

#[test]
fn dates_with_the_year_last_are_read_in_the_order_that_the_rows_show() {
    let of = |text: &str| {
        let table = read(text, &spec(&[("a.temperature", "temp")]))?;
        Ok::<_, Report>(calendar::text(table.t0_unix_ns.unwrap()))
    };
    let day_first = "time;temp\n03/02/2020 10:00;1,5\n12/02/2020 10:00;1\n13/02/2020 10:00;2\n";
    assert_eq!(of(day_first).unwrap(), "2020-02-03T10:00:00.000Z");
    let month_first = "time,temp\n3/2/2020 10:00 PM,1\n3/2/2020 11:00 PM,1\n3/3/2020 12:00 AM,2\n";
    assert_eq!(of(month_first).unwrap(), "2020-03-02T22:00:00.000Z");
    let undecided = "time,temp\n03/02/2020 10:00,1\n03/02/2020 11:00,2\n";
    expect![[r#"
          x `03/02/2020 10:00` may be 2020-02-03 or 2020-03-02, and no row shows which
           ,-[a.csv:2:1]
         2 | 03/02/2020 10:00,1
           : ^^^^^^^^^^^^^^^^
           `----
          help: write dates as 2020-02-03
    "#]]
    .assert_eq(&dedented(of(undecided).unwrap_err().render(Style::Plain)));
    let mut told = spec(&[("a.temperature", "temp")]);
    told.dates = Some(DateOrder::MonthFirst);
    let table = read(undecided, &told).unwrap();
    assert_eq!(table.t_s, [0.0, 3600.0]);
    assert_eq!(table.t0_unix_ns.map(calendar::text).as_deref(), Some("2020-03-02T10:00:00.000Z"));
}

#[test]
fn a_column_of_text_is_refused_whatever_the_policy() {
    let mut wanted = spec(&[("a.temperature", "temp"), ("door", "door")]);
    wanted.policy = Policy::Report;
    let said = read("time,temp,door\n0,1,\n1,2,open\n2,3,shut\n", &wanted).unwrap_err();
    expect![[r#"
         x no cell of `door` holds a number
          ,-[a.csv:3:5]
        3 | 1,2,open
          :     ^^|^
          :       `-- the first that holds any
          `----
         help: name another column; states are written as numbers (1: open, 0: shut)
    "#]]
    .assert_eq(&dedented(said.render(Style::Plain)));
    wanted.time = TimeSpec::Column("door".into());
    let said = read("time,temp,door\n0,1,\n1,2,open\n2,3,shut\n", &wanted).unwrap_err();
    assert!(said.render(Style::Plain).contains("the time is missing, and so in 2 more rows"));
}

#[test]
fn nothing_is_colder_than_absolute_zero() {
    let show = |column: &str, cell: &str| {
        let said = read(&format!("time,temp\n0,1\n1,{cell}\n"), &spec(&[("soc.temperature", column)]));
        dedented(said.unwrap_err().render(Style::Plain))
    };
    expect![[r#"
         x `-1` is no reading of `soc.temperature`: it is below absolute zero in K
          ,-[a.csv:3:3]
        3 | 1,-1
          :   ^^
          `----
         help: is the column in another unit, or is this a sensor's sign for an error? leave the cell empty where
               there is no reading
    "#]].assert_eq(&show("temp K", "-1"));
    // A load may be whatever a device says.
    assert!(read("time,load\n0,-400\n", &spec(&[("cpu.load", "load %")])).is_ok());
    let mut lenient = spec(&[("soc.temperature", "temp")]);
    lenient.policy = Policy::Report;
    assert_eq!(read("time,temp\n0,1\n1,-400\n", &lenient).unwrap().notes.bad_cells, 1);
}

#[test]
fn times() {
    check(
        "time,temp\n0,1\n,2\n",
        expect![[r#"
              x the time is missing
               ,-[a.csv:3:1]
             3 | ,2
               : ^
               `----
              help: times are written 2020-07-29T16:59:35Z, 2020-07-29 16:59:35.5, as seconds from the start, or as Unix
                    time
        "#]],
    );
    check(
        "time,temp\n0,1\n1,2\n2,3\n3,4\n300,5\n301,6\n",
        expect![[r#"
             ! one gap of 297.0 s, where rows are 1.000 s apart
              ,-[a.csv:6:1]
            6 | 300,5
              : ^^|^^
              :   `-- the first row after it
              `----
             help: nothing is filled in: no readings come during a gap
        "#]],
    );
}

#[test]
fn whole_files() {
    check(
        "0,1\n1,2\n",
        expect![[r#"
          x `a.csv` has no column `time`
           ,-[a.csv:1:1]
         1 | 0,1
           : ^^^
           `----
          help: the table has no header: write #1 to #2
          x `a.csv` has no column `temp`
           ,-[a.csv:1:1]
         1 | 0,1
           : ^^^
           `----
          help: the table has no header: write #1 to #2
        2 errors
    "#]],
    );
    let error = Recording::read("a.csv", Box::new(&b"time,temp\n0,20 \xb0C\n"[..]), &spec(&[])).unwrap_err();
    expect![[r#"
          x the text is not UTF-8
           ,-[a.csv:2:6]
         2 | 0,20 �C
           :      |
           :      `-- this byte belongs to no UTF-8 character
           `----
          help: save the file in UTF-8
    "#]]
    .assert_eq(&dedented(error.render(Style::Plain)));
}

#[test]
fn a_line_of_a_gigabyte_is_refused_without_being_held() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let n = into.len().min((1u64 << 30).saturating_sub(self.0) as usize);
            into[..n].fill(b'7');
            self.0 += n as u64;
            assert!(self.0 < 4 << 20, "far more than one line's bound was read");
            Ok(n)
        }
    }
    let error = Recording::read("a.csv", Box::new(Endless(0)), &spec(&[])).unwrap_err();
    expect![[r#"
          x line 1 is longer than 1024 KiB
           ,-[a.csv:1:1]
         1 | 777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777
           : ^^^^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^^^
           :                     `-- the line starts here
           `----
          help: is this a table of readings, with a line break after each row?
    "#]].assert_eq(&dedented(error.render(Style::Plain)));
}

#[test]
fn a_column_that_says_its_unit_is_read_in_it() {
    let read_as = |head: &str, column: &str| {
        let text = format!("time;{head}\n0;68\n60;86\n");
        let table = read(&text, &spec(&[("a.temperature", column)])).unwrap();
        (table.columns[0].values.clone(), table.notes.warnings.items().len())
    };
    for head in ["Room [°F]", "Room (degF)", "room_degF"] {
        let (values, told) = read_as(head, head);
        assert!((values[0] - 20.0).abs() < 1e-9 && (values[1] - 30.0).abs() < 1e-9, "{head}: {values:?}");
        assert_eq!(told, 1, "{head}");
    }
    // What is said of the column counts, and a letter or another quantity is no unit of it.
    assert_eq!(read_as("Room [°F]", "Room [°F] C"), (vec![68.0, 86.0], 0));
    for head in ["zone_F", "Room (%)", "Room (degC)", "Room (raw)"] {
        assert_eq!(read_as(head, head), (vec![68.0, 86.0], 0), "{head}");
    }
}

#[test]
fn columns() {
    let show = |column: &str| {
        read("time,Heater 1 (%),Temp 1 (degC)\n0,1,2\n", &spec(&[("a.temperature", column)]))
            .unwrap_err()
            .render(Style::Plain)
    };
    expect![[r#"
          x `a.csv` has no column `#4`
           ,-[a.csv:1:1]
         1 | time,Heater 1 (%),Temp 1 (degC)
           : ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           `----
          help: known: `Heater 1 (%)`, `Temp 1 (degC)`, `time`
    "#]]
    .assert_eq(&dedented(show("#4")));
    expect![[r#"
          x `Kelvn` is no known unit
           ,-[a.csv:1:1]
         1 | time,Heater 1 (%),Temp 1 (degC)
           : ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           `----
          help: did you mean `Kelvin` or `kelvin`?
    "#]]
    .assert_eq(&dedented(show("Temp 1 (degC) Kelvn")));
    expect![[r#"
          x `a.temperature` is a temperature, but `hPa` is a pressure
           ,-[a.csv:1:1]
         1 | time,Heater 1 (%),Temp 1 (degC)
           : ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
           `----
          help: units that fit: `degC`, `K`, `degF`
    "#]]
    .assert_eq(&dedented(show("Temp 1 (degC) hPa")));
    let flag = ColumnSpec::flag("a.temperature=Temp:K").unwrap();
    let spec = TableSpec::new(TimeSpec::Column("when".into())).column(flag);
    expect![[r#"
          x `a.csv` has no column `when`
           ,-[a.csv:1:1]
         1 | time,temp
           : ^^^^^^^^^
           `----
          help: known: `temp`, `time`
          x `a.csv` has no column `Temp`
           ,-[--map:1:15]
         1 | a.temperature=Temp:K
           :               ^^^^^^
           `----
          help: did you mean `temp`?
        2 errors
    "#]]
    .assert_eq(&dedented(read("time,temp\n0,1\n", &spec).unwrap_err().render(Style::Plain)));
}

#[test]
fn units_and_names_resolve() {
    let text = "t, Temp 1 (degC) ,u\n0,300.15,127.5\n1,301.15,255\n";
    let mut wanted = spec(&[("a.temperature", "Temp 1 (degC) K"), ("h.duty", "#3 duty8"), ("x.y", "u")]);
    wanted.time = TimeSpec::Column("#1".into());
    let table = read(text, &wanted).unwrap();
    let units: Vec<&str> = table.columns.iter().map(|c| c.unit.as_str()).collect();
    assert_eq!(units, ["degC", "percent", "none"]);
    assert_eq!(table.columns[0].values, [27.0, 28.0]);
    assert_eq!(table.columns[1].values, [50.0, 100.0]);
    assert_eq!(table.columns[2].values, [127.5, 255.0]);
}

#[test]
fn a_row_id_column_without_a_name_is_seen() {
    let text =
        "\"date\",\"T\"\n\"140\",\"2015-02-02 14:19:00\",23.7\n\"141\",\"2015-02-02 14:19:59\",23.718\n";
    let mut wanted = spec(&[("room.temperature", "T")]);
    wanted.time = TimeSpec::Column("date".into());
    let table = read(text, &wanted).unwrap();
    assert_eq!(table.t_s, [0.0, 59.0]);
    assert_eq!(table.columns[0].values, [23.7, 23.718]);
    assert_eq!(table.t0_unix_ns, Some(1_422_886_740_000_000_000));
}

#[test]
fn the_lenient_policy_counts_what_the_strict_one_refuses() {
    let text = "time,temp\n0,1\n1,warm\n1,3\n0.5,4\nlate,5\n2,\n3,NaN\n";
    let mut wanted = spec(&[("a.temperature", "temp")]);
    assert_eq!(read(text, &wanted).unwrap_err().errors(), 5);
    wanted.policy = Policy::Report;
    let table = read(text, &wanted).unwrap();
    let n = &table.notes;
    assert_eq!((n.bad_cells, n.duplicates, n.out_of_order, n.bad_times, n.missing[0]), (2, 1, 1, 1, 3));
    assert_eq!(table.t_s, [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(table.columns[0].values.iter().filter(|v| v.is_nan()).count(), 3);
}

#[test]
fn without_a_time_column_rows_are_a_period_apart() {
    let mut wanted = spec(&[("a.temperature", "#1 K")]);
    wanted.time = TimeSpec::Period("3min".parse().unwrap());
    let table = read("300.15\n301.15\n302.15\n", &wanted).unwrap();
    assert_eq!(table.t_s, [0.0, 180.0, 360.0]);
    assert_eq!(table.t0_unix_ns, None);
}

proptest! {
    #[test]
    fn no_table_panics(text in "[0-9a-z,;\\t \"\\n.:é-]{0,120}", lenient: bool, header in prop::option::of(any::<bool>())) {
        let mut wanted = spec(&[]);
        wanted.time = TimeSpec::Column("#1".into());
        wanted.policy = if lenient { Policy::Report } else { Policy::Strict };
        wanted.header = header;
        match read(&text, &wanted) {
            Ok(table) => {
                prop_assert!(table.t_s.windows(2).all(|w| w[0] < w[1]));
                for column in &table.columns {
                    prop_assert_eq!(column.values.len(), table.t_s.len());
                }
                let _ = table.notes.warnings.render(Style::Plain);
            }
            Err(report) => prop_assert!(report.errors() > 0 && !report.render(Style::Plain).is_empty()),
        }
    }

    /// What is written is what is read, whatever the delimiter and the writing of time.
    #[test]
    fn tables_round_trip(values in prop::collection::vec(-1e6f64..1e6, 2..30), delimiter in "[,;\\t]", unix: bool) {
        let t0 = if unix { 1_596_041_975i64 } else { 0 };
        let mut text = format!("time{delimiter}temp\n");
        for (i, v) in values.iter().enumerate() {
            text += &format!("{}{delimiter}{v:?}\n", t0 + i as i64);
        }
        let table = read(&text, &spec(&[("a.value", "temp")])).unwrap();
        prop_assert_eq!(&table.columns[0].values, &values);
        prop_assert_eq!(table.t0_unix_ns.is_some(), unix);
        prop_assert!(table.t_s.iter().enumerate().all(|(i, t)| *t == i as f64));
        prop_assert!(table.notes.warnings.is_empty());
    }
}

/// Without the indentation that all lines share: `expect!` takes it off its own text.
fn dedented(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let indent = |l: &str| l.len() - l.trim_start().len();
    let shared = text.lines().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.split_inclusive('\n').map(|l| l.get(shared..).unwrap_or(l.trim_start_matches(' '))).collect()
}
