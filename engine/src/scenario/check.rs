//! Cross-references of a scenario, all errors reported together.
