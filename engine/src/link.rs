//! Links: latency, loss, radio, store-and-forward.
