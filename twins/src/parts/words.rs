//! Registers of two bytes behind a pointer byte, highest byte first, as several parts on I2C have them.

/// The pointer, and the transfer in progress.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub pointer: u8,
    buffer: [u8; 3],
    count: usize,
}

impl Words {
    /// A transfer starts; a read gives this word again and again.
    pub fn start(&mut self, word: Option<u16>) {
        self.count = 0;
        if let Some(word) = word {
            let [high, low] = word.to_be_bytes();
            self.buffer = [high, low, 0];
        }
    }

    /// A byte comes: first the pointer, then a word for its register, which is given when it is whole.
    pub fn write(&mut self, byte: u8) -> Option<u16> {
        if let Some(slot) = self.buffer.get_mut(self.count) {
            *slot = byte;
        }
        self.count += 1;
        if self.count == 1 {
            self.pointer = byte;
        }
        (self.count == 3).then(|| u16::from_be_bytes([self.buffer[1], byte]))
    }

    /// The next byte of the word.
    pub fn read(&mut self) -> u8 {
        let byte = self.buffer[self.count % 2];
        self.count += 1;
        byte
    }
}
