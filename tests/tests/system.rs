//! One integration binary, a file per behaviour.

mod system {
    mod common;
    mod determinism;
    mod tidy;
}
