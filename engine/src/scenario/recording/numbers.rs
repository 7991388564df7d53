//! Numbers of a table: with a decimal point or, where no comma parts the cells, a decimal comma. One table keeps to one sign:
//! where both are met, one of them may part thousands, and nothing tells which.

use super::Delimiter;

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
}

impl Numbers {
    pub(super) fn new(delimiter: Delimiter) -> Self {
        Self { delimiter, sign: None }
    }

    /// The number of a cell of a line.
    pub(super) fn read(&mut self, text: &str, line: usize) -> Result<f64, Wrong> {
        let (value, comma) = match text.parse::<f64>() {
            Ok(value) if !text.contains('.') => return Ok(value),
            Ok(value) => (value, false),
            // As scripts write what is either so or not.
            Err(_) if text.eq_ignore_ascii_case("true") => return Ok(1.0),
            Err(_) if text.eq_ignore_ascii_case("false") => return Ok(0.0),
            Err(_) => {
                let pointed = comma_for_point(text).ok_or(Wrong::Text)?;
                if self.delimiter == Delimiter::Comma {
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
        assert_eq!(numbers.read("1.234,5", 5), Err(Wrong::Text));
        assert_eq!(numbers.read("warm", 6), Err(Wrong::Text));
        assert_eq!((numbers.read("True", 7), numbers.read("false", 8)), (Ok(1.0), Ok(0.0)));
        let mut numbers = Numbers::new(Delimiter::Tab);
        assert_eq!(numbers.read("1.5", 2), Ok(1.5));
        assert_eq!(numbers.read("1,5", 3), Err(Wrong::Mixed(2)));
        let mut numbers = Numbers::new(Delimiter::Comma);
        assert_eq!(numbers.read("1,5", 2), Err(Wrong::Comma), "a cell in quotes");
        assert!(is_number("0,5", Delimiter::Blanks) && !is_number("a", Delimiter::Blanks));
    }
}
