//! Declarative firmware: payloads, queues, commands, control laws.
