//! Writes the well-formed inputs of every decoder, from which a fuzzer begins: `seeds DIR` makes `DIR/NAME/0`, `1`, ….

use std::{error::Error, fs, path::Path};
use twinfleet_twins::decoders;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args().nth(1).ok_or("seeds DIR")?;
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
