//! A file's text and where each of its fields stands.
