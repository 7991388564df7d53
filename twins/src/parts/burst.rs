//! Registers of one byte that bursts go through: the first byte written names a register, and reads and writes go on from there.

use super::i2c::Direction;

/// The register pointer, and whether a write has yet to name one.
#[derive(Debug, Default)]
pub(super) struct Burst {
    pointer: u8,
    unnamed: bool,
}

impl Burst {
    /// A transfer starts. A write that names no register leaves the pointer at the first.
    pub fn start(&mut self, direction: Direction) {
        if direction == Direction::Write {
            (self.pointer, self.unnamed) = (0, true);
        }
    }

    /// A byte comes: none, where it names the register; else the register that it is for. `next` says where bursts go on.
    pub fn write(&mut self, byte: u8, next: fn(u8) -> u8) -> Option<u8> {
        if std::mem::take(&mut self.unnamed) {
            self.pointer = byte;
            return None;
        }
        Some(self.read(next))
    }

    /// The register of the next byte read.
    pub fn read(&mut self, next: fn(u8) -> u8) -> u8 {
        let register = self.pointer;
        self.pointer = next(register);
        register
    }
}

/// Bursts go on to the next register.
pub(super) fn onwards(register: u8) -> u8 {
    register.wrapping_add(1)
}
