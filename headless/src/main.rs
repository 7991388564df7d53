//! The command `twinfleet`.

fn main() {}
