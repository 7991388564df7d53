//! The checksums that parts put behind their words.

/// Sensirion's CRC-8: polynomial 0x31, start 0xFF, most significant bit first (SHT3x datasheet, table "I2C CRC
/// properties"; its example: the word 0xBEEF has 0x92).
///
/// ```
/// assert_eq!(twinfleet_twins::parts::crc::sensirion([0xBE, 0xEF]), 0x92);
/// ```
pub fn sensirion(word: [u8; 2]) -> u8 {
    word.into_iter().fold(0xFF, |crc, byte| {
        (0..8).fold(crc ^ byte, |c: u8, _| if c & 0x80 != 0 { c << 1 ^ 0x31 } else { c << 1 })
    })
}

/// The 1-Wire CRC-8 (DOW): x⁸+x⁵+x⁴+1, start 0, least significant bit first (Maxim application note 27; its example:
/// the ROM code 02 1C B8 01 00 00 00 has 0xA2).
///
/// ```
/// assert_eq!(twinfleet_twins::parts::crc::one_wire(&[0x02, 0x1C, 0xB8, 0x01, 0, 0, 0]), 0xA2);
/// ```
pub fn one_wire(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |c: u8, _| if c & 1 != 0 { c >> 1 ^ 0x8C } else { c >> 1 })
    })
}
