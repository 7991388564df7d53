//! Texts that are no RON, or not of this program: brackets, versions, bytes, files.

use super::*;

#[test]
fn syntax() {
    check(
        r#"seed: 3, duration"#,
        r#"seed: 3 duration"#,
        expect![[r#"
              x expected `,` before this
               ,-[a.ron:4:11]
             3 |   about: "a test",
             4 |   seed: 3 duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
               :           ^^^^^^^^
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
               `----
              help: is a comma missing at the end of the value before?
        "#]],
    );
    check(
        r#"link: "wifi"),"#,
        r#"link: "wifi"],"#,
        expect![[r#"
             x `]` does not close the `(` that is still open
              ,-[a.ron:8:82]
            7 |   fleet: [
            8 |     (id: "node-{}", count: 20, thing: "node", in: ["house", "room"], link: "wifi"],
              :     |                                                                            |
              :     |                                                                            `-- closes something else
              :     `-- opened here
            9 |     (id: "box", thing: "hot-box"),
              `----
             help: close it with `)` before, or take it away
        "#]],
    );
    check(
        "  record: (",
        "  record: ((",
        expect![[r#"
             x this `(` is never closed
              ,-[a.ron:1:9]
            1 | Scenario(
              :         |
              :         `-- opened here
            2 |   format: 1,
              `----
             help: close it with `)`, or look for a bracket too many further down
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"about: "a test,"#,
        expect![[r#"
             x this string never ends
              ,-[a.ron:3:3]
            2 |   format: 1,
            3 |   about: "a test,
              :   ^^^^^^^|^^^^^^^
              :          `-- is a quote missing on this line?
            4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
              `----
               ,-[a.ron:18:63]
            17 |   ],
            18 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
               :                                                               |
               :                                                               `-- starts here
            19 | )
               `----
             help: end it with `"`, or look above for a quote too many, or a glob such as `node-*/…` that ended a
                   comment
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"/* about: "a test","#,
        expect![[r#"
             x this string never ends
               ,-[a.ron:18:63]
            17 |   ],
            18 |   record: ( signals: ["node-*/air.*@reading"], segment: "10min" ),
               :                                                               |
               :                                                               `-- starts here
            19 | )
               `----
             help: end it with `"`, or look above for a quote too many, or a glob such as `node-*/…` that ended a
                   comment
        "#]],
    );
    check(
        r#"about: "a test","#,
        r#"about: a test,"#,
        expect![[r#"
             x `about` must be a text in quotes, not a
              ,-[a.ron:3:10]
            2 |   format: 1,
            3 |   about: a test,
              :          ^
            4 |   seed: 3, duration: "1h", step: "1s", start: "2026-06-21T00:00:00Z",
              `----
             help: write about: "a"
        "#]],
    );
    check(
        "loss: 0.01",
        "loss: 0,01",
        expect![[r#"
              x `01` is no name of a field
               ,-[a.ron:6:54]
             5 |   world: ( zones: [ (id: "house", temperature_c: 20.0), (id: "room", in: "house") ] ),
             6 |   links: [ (id: "wifi", latency_min_ms: 3.0, loss: 0,01) ],
               :                                                      ^^
             7 |   fleet: [
               `----
              help: is it a decimal comma? numbers are written 0.5
        "#]],
    );
}

#[test]
fn versions() {
    check(
        "format: 1,",
        "format: 2,",
        expect![[r#"
              x the file is written in format 2, this program reads format 1
               ,-[a.ron:2:11]
             1 | Scenario(
             2 |   format: 2,
               :           ^
             3 |   about: "a test",
               `----
              help: it comes from a newer Twinfleet: update the program
        "#]],
    );
    check(
        "format: 1,",
        "",
        expect![[r#"
              x the file does not say which `format` it is written in
               ,-[a.ron:1:1]
             1 | Scenario(
               : ^^^^^^^^^
             2 |
               `----
              help: write `format: 1,` first
        "#]],
    );
    check(
        "Scenario(",
        "Board(",
        expect![[r#"
              x this is a `Board`, a `Scenario` was expected
               ,-[a.ron:1:1]
             1 | Board(
               : ^^^^^
             2 |   format: 1,
               `----
              help: a scenario file starts with `Scenario(format: 1, …)`
        "#]],
    );
    expect![[r#"
          x `a.ron` is empty
           ,-[a.ron:1:1]
           `----
          help: a file starts with `Scenario(format: 1, …)`
    "#]]
    .assert_eq(&dedented(report("").render(Style::Plain)));
}

#[test]
fn deep_nesting() {
    let deep = format!("Scenario(format: 1, about: {}1{})", "[".repeat(100_000), "]".repeat(100_000));
    expect!["a.ron:1:75: error: brackets are nested more than 48 deep"]
        .assert_eq(&dedented(report(&deep).to_string()));
    // Deep, balanced by the wrong brackets, or never closed: none may recurse.
    for text in ["(".repeat(1_000_000), "[(".repeat(500_000), format!("{}1", "Some(".repeat(200_000))] {
        assert_eq!(report(&text).errors(), 1);
    }
}

#[test]
fn files_that_are_no_text() {
    let show = |bytes: &[u8]| Source::from_bytes("a.ron", bytes.to_vec()).unwrap_err().render(Style::Plain);
    expect![[r#"
          x `a.ron` is a binary file, a text was expected
           ,-[a.ron:1:1]
           `----
          help: definition files are RON texts in UTF-8; see `twinfleet list scenarios` for examples
    "#]]
    .assert_eq(&dedented(show(b"\x7fELF\x02\x01\x01\x00\x00")));
    expect![[r#"
          x the text is not UTF-8
           ,-[a.ron:2:13]
         1 | Scenario(
         2 |   about: "Br�cke",
           :             |
           :             `-- this byte belongs to no UTF-8 character
         3 | )
           `----
          help: save the file in UTF-8
    "#]]
    .assert_eq(&dedented(show(b"Scenario(\n  about: \"Br\xfccke\",\n)")));
}

#[test]
fn files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("greenhouse.ron"), GOOD).unwrap();
    let show = |name: &str| {
        let report = Source::read(&dir.path().join(name)).unwrap_err();
        report.render(Style::Plain).replace(&format!("{}/", dir.path().display()), "")
    };
    expect![[r#"
          x there is no file `grenhouse.ron`
           ,-[grenhouse.ron:1:1]
           `----
          help: did you mean `greenhouse.ron`?
    "#]]
    .assert_eq(&dedented(show("grenhouse.ron")));
    // Sparse: a gigabyte on paper, nothing on the disk.
    std::fs::File::create(dir.path().join("big.ron")).unwrap().set_len(1 << 30).unwrap();
    expect![[r#"
          x `big.ron` is larger than 16 MiB
           ,-[big.ron:1:1]
           `----
          help: definition files are small texts; put readings into a recording (CSV) and name it
    "#]]
    .assert_eq(&dedented(show("big.ron")));
    assert_eq!(Source::read(dir.path()).unwrap_err().errors(), 1);
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_unread() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Opening the pipe would wait for its writer for ever, reading the device would never end.
    for path in [pipe.as_path(), std::path::Path::new("/dev/zero")] {
        let name = path.display().to_string();
        let said = Source::read(path).unwrap_err().to_string();
        assert!(said.contains(&format!("`{name}` is no regular file")), "{said}");
        let spec = crate::scenario::recording::TableSpec::new(crate::scenario::recording::TimeSpec::Column(
            "t".into(),
        ));
        let said = crate::scenario::recording::Recording::open(path, &spec).unwrap_err().render(Style::Plain);
        assert!(said.contains("write what comes from it into a file"), "{said}");
        assert!(Files::at(dir.path()).open(&name).is_err());
    }
}

#[test]
fn slips_of_those_who_write_other_languages_too() {
    let comment = ["`#` begins no comment", "write `//` before"];
    for (from, to, words) in [
        (r#"duration: "1h""#, "duration: 1h", ["the time `1h` stands without quotes", r#"write "1h""#]),
        (r#"until: "31min""#, "until: 31min", ["the time `31min` stands without", r#"write "31min""#]),
        (r#"segment: "10min""#, "segment: 1.5h", ["the time `1.5h` stands", r#"write "1.5h""#]),
        ("temperature_c: 20.0", "temperature_c: 20.0°C", ["`20.0°C` is neither a number", "write 20.0, if"]),
        ("level: 0.5", "level: 50%", ["`50%` is neither a number nor a text", "write 50, if"]),
        ("seed: 3, ", "seed: 3 # mine\n, ", comment),
        ("seed: 3, ", "seed: 3, # mine\n", comment),
        ("fleet: [", "fleet: [ # all\n", comment),
        ("Scenario(", "# mine\nScenario(", comment),
        ("kind: Bias(by: 3.0)", "kind: Bias", ["`Bias` is not all of this value", "in brackets: `Bias(…)`"]),
        (r#"Pin("A1")"#, "Pin", ["`Pin` is not all of this value", "in brackets: `Pin(…)`"]),
        (r#"Pin("A1")"#, r#"I2c("0x76")"#, ["must be a whole number, not \"0x76\"", "help: write 0x76"]),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let said = report(&GOOD.replacen(from, to, 1)).render(Style::Plain);
        assert!(words.iter().all(|words| said.contains(words)), "{to}: {said}");
    }
    let world = GOOD.find("world: (").unwrap()..GOOD.find("  links:").unwrap();
    let mut text = GOOD.to_owned();
    text.replace_range(world, "world: None,\n");
    let said = report(&text).render(Style::Plain);
    assert!(said.contains("brackets are expected here, not `None`"), "{said}");
    // A comma that is missing is one, and so is what begins like a number.
    for to in ["seed: 3 ", "seed: 0x7G, "] {
        let said = report(&GOOD.replacen("seed: 3, ", to, 1)).render(Style::Plain);
        assert!(said.contains("expected `,` before this"), "{said}");
    }
}
