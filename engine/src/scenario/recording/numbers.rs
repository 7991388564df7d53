//! Numbers of a table: with a decimal point or, where no comma parts the cells, a decimal comma. One table keeps to one sign:
//! where both are met, one of them may part thousands, and nothing tells which, unless a cell has both (4.801,2). A unit may
//! follow a number.

use super::{
    Delimiter,
    survey::{comma_is_point, is_grouped},
};
use crate::units::{self, Unit};

/// A decimal sign, and the line where it was met first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sign {
    comma: bool,
    line: usize,
}

/// Why a cell is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is text.
    Text,
    /// It has a comma for a point where commas part the cells.
    Comma,
    /// Its decimal sign is not that of the line named.
    Mixed(usize),
}

/// Reads the numbers of one table.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    delimiter: Delimiter,
    sign: Option<Sign>,
    /// Whether a cell showed that the other sign parts thousands.
    parts_thousands: bool,
}

impl Numbers {
    pub(super) fn new(delimiter: Delimiter) -> Self {
        Self { delimiter, sign: None, parts_thousands: false }
    }

    /// Of a table that parts thousands, and has a comma for a decimal sign or a point.
    pub(super) fn parting_thousands(delimiter: Delimiter, comma: bool) -> Self {
        Self { delimiter, sign: Some(Sign { comma, line: 0 }), parts_thousands: true }
    }

    /// The number as a table that parts thousands writes it, without the signs that do.
    fn ungrouped(&self, text: &str) -> Option<String> {
        let comma = match comma_is_point(text) {
            Some(comma) => comma,
            None if self.parts_thousands => self.sign?.comma,
            None => return None,
        };
        let parts = if comma { '.' } else { ',' };
        let whole =
            text.strip_prefix(['-', '+']).unwrap_or(text).split(if comma { ',' } else { '.' }).next()?;
        (whole.contains(parts) && is_grouped(whole, parts)).then(|| text.replace(parts, ""))
    }

    /// The number of a cell that a unit follows, and the unit.
    pub(super) fn with_unit(&mut self, text: &str, line: usize) -> Option<(f64, &'static Unit)> {
        let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.' | ','))?;
        let unit = units::find(&text[end..])?;
        let value = self.read(text[..end].trim_end(), line).ok()?;
        Some((value, unit))
    }

    /// The number of a cell of a line.
    pub(super) fn read(&mut self, text: &str, line: usize) -> Result<f64, Wrong> {
        let ungrouped = self.ungrouped(text);
        let text = ungrouped.as_deref().unwrap_or(text);
        let (value, comma) = match text.parse::<f64>() {
            Ok(value) if !text.contains('.') => return Ok(value),
            Ok(value) => (value, false),
            // As scripts write what is either so or not.
            Err(_) if text.eq_ignore_ascii_case("true") => return Ok(1.0),
            Err(_) if text.eq_ignore_ascii_case("false") => return Ok(0.0),
            Err(_) => {
                let pointed = comma_for_point(text).ok_or(Wrong::Text)?;
                if self.delimiter == Delimiter::Comma && ungrouped.is_none() && !self.parts_thousands {
                    return Err(Wrong::Comma);
                }
                (pointed.parse::<f64>().map_err(|_| Wrong::Text)?, true)
            }
        };
        match self.sign {
            Some(sign) if sign.comma != comma => Err(Wrong::Mixed(sign.line)),
            Some(_) => Ok(value),
            None => {
                self.sign = Some(Sign { comma, line });
                Ok(value)
            }
        }
    }
}

/// Whether a cell holds a number.
pub(super) fn is_number(text: &str, delimiter: Delimiter) -> bool {
    Numbers::new(delimiter).read(text, 0).is_ok()
}

/// The number as it is written with a point, where its comma is a decimal sign.
pub(super) fn comma_for_point(text: &str) -> Option<String> {
    let number = text.replacen(',', ".", 1);
    (number.len() == text.len() && text.contains(',') && number.parse::<f64>().is_ok()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_has_one_decimal_sign() {
        let mut numbers = Numbers::new(Delimiter::Semicolon);
        assert_eq!(numbers.read("12", 2), Ok(12.0));
        assert_eq!(numbers.read("20,5", 3), Ok(20.5));
        assert_eq!(numbers.read("-1,25e-3", 4), Ok(-0.001_25));
        assert_eq!(numbers.read("1.234", 5), Err(Wrong::Mixed(3)));
        assert_eq!(numbers.read("1.234,5", 5), Ok(1234.5));
        assert_eq!(numbers.read("1.23,5", 5), Err(Wrong::Text));
        assert_eq!(numbers.read("warm", 6), Err(Wrong::Text));
        assert_eq!((numbers.read("True", 7), numbers.read("false", 8)), (Ok(1.0), Ok(0.0)));
        let mut numbers = Numbers::new(Delimiter::Tab);
        assert_eq!(numbers.read("1.5", 2), Ok(1.5));
        assert_eq!(numbers.read("1,5", 3), Err(Wrong::Mixed(2)));
        let mut numbers = Numbers::new(Delimiter::Comma);
        assert_eq!(numbers.read("1,5", 2), Err(Wrong::Comma), "a cell in quotes");
        let mut numbers = Numbers::parting_thousands(Delimiter::Semicolon, true);
        assert_eq!((numbers.read("4.801", 2), numbers.read("801,5", 3)), (Ok(4801.0), Ok(801.5)));
        assert_eq!(numbers.with_unit("4,5 °C", 4).map(|(v, u)| (v, u.symbol)), Some((4.5, "degC")));
        assert!(numbers.with_unit("4,5 warm", 4).is_none() && numbers.with_unit("°C", 4).is_none());
        assert!(is_number("0,5", Delimiter::Blanks) && !is_number("a", Delimiter::Blanks));
    }
}
