//! Writes the well-formed inputs of every decoder, from which a fuzzer begins: `seeds DIR` makes `DIR/NAME/0`, `1`, ….
//! It is linked as a target is, since what is instrumented wants libFuzzer, and is done before that begins.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::{env, error::Error, fs, path::Path, process};
use twinfleet_twins::decoders;

fn write() -> Result<(), Box<dyn Error>> {
    let dir = env::args().nth(1).ok_or("seeds DIR")?;
    for name in decoders::names() {
        let of_name = Path::new(&dir).join(name);
        fs::create_dir_all(&of_name)?;
        for (n, seed) in decoders::seeds(name).iter().enumerate() {
            fs::write(of_name.join(n.to_string()), seed)?;
        }
        println!("{name}");
    }
    Ok(())
}

fuzz_target!(
    init: {
        if let Err(error) = write() {
            eprintln!("seeds: {error}");
            process::exit(1);
        }
        process::exit(0)
    },
    |_data: &[u8]| {}
);
