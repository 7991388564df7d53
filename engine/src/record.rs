//! What a run leaves: Parquet segments, manifest, state hash.
