//! Recordings: tables of readings, checked row by row.
