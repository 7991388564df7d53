//! The command `twinfleet`.

#[expect(dead_code, reason = "the command that merges is wired in when the branches are")]
mod merge;
#[cfg_attr(not(test), expect(dead_code, reason = "the command that runs is wired in when the branches are"))]
mod report;

fn main() {}
