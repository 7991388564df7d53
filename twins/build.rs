//! Rebuilds the crate when a file is added to one of the folders that it embeds; the macro alone sees changes, not additions.

fn main() {
    for folder in ["catalog", "python", "../scenarios", "../assets/recordings", "../assets/params"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
