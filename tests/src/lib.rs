//! Helpers shared by the system tests: the built command, free ports, temporary folders.
