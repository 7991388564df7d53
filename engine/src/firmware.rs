//! Declarative firmware: payloads, queues, commands, control laws.

pub mod control;
