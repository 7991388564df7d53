//! Residuals and verdicts: which fault, of which part, since when, how large.
