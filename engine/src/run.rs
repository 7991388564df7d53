//! A run: scenario, catalog and seed in; ticks out.
