//! What a part keeps without power: it outlives the part itself, which a board's loss of power makes anew.
//!
//! ```
//! use twinfleet_twins::parts::eeprom::Eeprom;
//!
//! let eeprom = Eeprom::default();
//! assert_eq!(eeprom.words::<2>(), None, "as delivered");
//! eeprom.clone().write([1, 2]);
//! assert_eq!(eeprom.words(), Some([1, 2]));
//! ```

use std::sync::{Arc, Mutex, PoisonError};

/// Words, held by the part and by whoever makes it anew; none where nobody has written any.
#[derive(Debug, Clone, Default)]
pub struct Eeprom(Arc<Mutex<Option<Vec<u16>>>>);

impl Eeprom {
    /// Writes all of its words.
    pub fn write<const N: usize>(&self, words: [u16; N]) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(words.to_vec());
    }

    /// What was written, if so many words were.
    pub fn words<const N: usize>(&self) -> Option<[u16; N]> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_deref().and_then(|words| words.try_into().ok())
    }
}
