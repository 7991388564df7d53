//! Units of signals and their conversion.
