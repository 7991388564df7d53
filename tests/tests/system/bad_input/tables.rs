//! Recordings that are wrong.

use super::*;

#[test]
fn cells_with_broken_quotes() {
    // A line break within quotes is one mistake, not two.
    for broken in ["2,\"20.7", "2,\"20.7\n\""] {
        table(
            TABLE.replace("2,20.7", broken),
            expect![[r#"
                 x the quotes of this cell are never closed
                  ,-[r.csv:4:3]
                4 | 2,"20.7
                  :   ^^^^^
                  `----
                 help: close them before the line ends: a cell of a recording holds no line break
            "#]],
        );
    }
    table(
        TABLE.replace("2,20.7", "2,\"20.7\"zzz"),
        expect![[r#"
             x more follows a cell's closing quote
              ,-[r.csv:4:9]
            4 | 2,"20.7"zzz
              :         ^^^
              `----
             help: a quote within a cell is written twice: ""; quotes around it stand next to the delimiters
        "#]],
    );
}

#[test]
fn cells_that_hold_no_reading() {
    table(
        TABLE.replace("20.7", "warm"),
        expect![[r#"
         x `warm` is no number, but `soc.temperature` wants one
          ,-[r.csv:4:3]
        4 | 2,warm
          :   ^^^^
          `----
         help: leave the cell empty where there is no reading
    "#]],
    );
    table(
        TABLE.replace("20.7", "NaN"),
        expect![[r#"
         x `NaN` is no reading of `soc.temperature`
          ,-[r.csv:4:3]
        4 | 2,NaN
          :   ^^^
          `----
         help: leave the cell empty where there is no reading
    "#]],
    );
    table(
        TABLE.replace("20.7", "-400"),
        expect![[r#"
         x `-400` is no reading of `soc.temperature`: it is below absolute zero in degC
          ,-[r.csv:4:3]
        4 | 2,-400
          :   ^^^^
          `----
         help: is the column in another unit, or is this a sensor's sign for an error? leave the cell empty where
               there is no reading
    "#]],
    );
    table(
        TABLE.replace(',', ";").replace("20.7", "20,7"),
        expect![[r#"
         x `20,7` of `soc.temperature` has a decimal comma, but line 2 has a point
          ,-[r.csv:4:3]
        4 | 2;20,7
          :   ^^^^
          `----
         help: write all numbers of the table with the same sign, and none to part thousands
    "#]],
    );
    table(
        TABLE.replace("2,20.7", "2,20.7,3"),
        expect![[r#"
             x 2 cells were expected in this row, and 3 found
              ,-[r.csv:4:8]
            4 | 2,20.7,3
              :        ^
              `----
             help: does a delimiter stand in a text (put it into quotes), or for a decimal point (write a point)?
        "#]],
    );
    table(
        TABLE.replace("2,20.7", "2"),
        expect![[r#"
             x 2 cells were expected in this row, and 1 found
              ,-[r.csv:4:1]
            4 | 2
              : ^
              `----
             help: was it cut short? complete it, or take it away; an empty cell keeps its delimiter
        "#]],
    );
}

#[test]
fn a_cell_that_no_reading_can_hold() {
    table(
        TABLE.replace("20.7", "1e308"),
        expect![[r#"
         x `1e308` is no reading of `soc.temperature`: no sensor says more than 1e15, and no twin would take it
          ,-[r.csv:4:3]
        4 | 2,1e308
          :   ^^^^^
          `----
         help: is this a sensor's sign for an error? leave the cell empty where there is no reading
    "#]],
    );
}

#[test]
fn two_columns_of_one_name() {
    table(
        "time,temp,temp\n0,20.5,1\n1,20.6,2\n",
        expect![[r#"
         x `r.csv` has 2 columns with the name `temp`
           ,-[a.ron:10:84]
         9 |     id: "pi",
        10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
           :                                                                                    ^^^^^^^^
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: say which one by its number, `#2` or `#3`, or rename one of them
    "#]],
    );
}

#[test]
fn times_that_do_not_ascend() {
    table(
        TABLE.replace("\n2,", "\n1,"),
        expect![[r#"
         x the time `1` is given twice
          ,-[r.csv:4:1]
        4 | 1,20.7
          : ^
          `----
         help: line 3 has it too; each row needs a time of its own
    "#]],
    );
    table(
        TABLE.replace("\n2,", "\n0.5,"),
        expect![[r#"
         x the time `0.5` lies before that of line 3
          ,-[r.csv:4:1]
        4 | 0.5,20.7
          : ^^^
          `----
         help: rows must ascend in time: sort the file, or look for a clock that was set back
    "#]],
    );
    table(
        TABLE.replace("\n2,", "\nnoon,"),
        expect![[r#"
         x `noon` is no time
          ,-[r.csv:4:1]
        4 | noon,20.7
          : ^^^^
          `----
         help: times are written 2020-07-29T16:59:35Z, 2020-07-29 16:59:35.5, as seconds from the start, or as Unix
               time
    "#]],
    );
    table(
        TABLE.replace("\n4,", "\n40,"),
        expect![[r#"
         x 37.0 s without a row, where rows are 1.000 s apart
          ,-[r.csv:6:1]
        6 | 40,20.9
          : ^^^|^^^
          :    `-- the first row after the gap
          `----
         help: if the device was off, say so: `gaps: Offline` publishes that it was; else close the gap
    "#]],
    );
}

#[test]
fn tables_that_are_none() {
    table(
        "",
        expect![[r#"
        x `r.csv` is empty
         ,-[r.csv:1:1]
         `----
        help: a recording holds a line of names and rows of readings
    "#]],
    );
    table(
        "time,temp\n",
        expect![[r#"
         x `r.csv` has a header but no rows
          ,-[r.csv:1:1]
        1 | time,temp
          : ^^^^|^^^^
          :     `-- the only line
          `----
         help: put rows of readings below it; if it is one, say `header: false` (in a flag: `--no-header`)
    "#]],
    );
    table(
        b"time,temp\n0,\0\0\n".as_slice(),
        expect![[r#"
        x `r.csv` is a binary file, a table in text was expected
         ,-[r.csv:2:1]
         `----
        help: export it as CSV in UTF-8
    "#]],
    );
    table(
        format!("time,temp\n0,{}\n", "7".repeat(2 << 20)),
        expect![[r#"
         x line 2 is longer than 1024 KiB
          ,-[r.csv:2:1]
        2 | 0,7777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777777
          : ^^^^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^^^
          :                     `-- the line starts here
          `----
         help: is this a table of readings, with a line break after each row?
    "#]],
    );
}

#[test]
fn columns_and_units() {
    bent(
        "temp C",
        "tmp C",
        expect![[r#"
         x `r.csv` has no column `tmp`
           ,-[a.ron:10:84]
         9 |     id: "pi",
        10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "tmp C"}),
           :                                                                                    ^^^^^^^
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: did you mean `temp`?
    "#]],
    );
    bent(
        "temp C",
        "temp furlong",
        expect![[r#"
         x `furlong` is no known unit
           ,-[a.ron:10:84]
         9 |     id: "pi",
        10 |     from: Recording(path: "r.csv", time: "time", map: {"soc.temperature@reported": "temp furlong"}),
           :                                                                                    ^^^^^^^^^^^^^^
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: units that fit: `degC`, `K`, `degF`
    "#]],
    );
    bent(
        "r.csv",
        "q.csv",
        expect![[r#"
         x there is no file `q.csv`
           ,-[a.ron:10:27]
         9 |     id: "pi",
        10 |     from: Recording(path: "q.csv", time: "time", map: {"soc.temperature@reported": "temp C"}),
           :                           ^^^|^^^
           :                              `-- named here
        11 |     publish: (topic: "lab/{device}"),
           `----
         help: did you mean `r.csv`?
    "#]],
    );
}
