//! Words of a command line as a POSIX shell takes them, for the commands that reports tell people to run.
//!
//! ```
//! use twinfleet_twins::shell::word;
//! assert_eq!(word("load-smoke"), "load-smoke");
//! assert_eq!(word("load.limits=(lag: \"1s\")"), "'load.limits=(lag: \"1s\")'");
//! ```

use std::borrow::Cow;

/// A text as one word: as it is where a shell reads it so, else quoted.
pub fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_each_word_as_it_was() {
        for text in ["", "a b", "it's", "$HOME `id` \\ \"x\"", "ä.ron", "a=1,2", "*?[x]~", "-n\n", "{1,2}"] {
            let line = format!("printf %s {}", word(text));
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text, "{line}");
        }
    }

    #[test]
    fn what_needs_no_quotes_has_none() {
        for text in ["scenarios/a-b_c.ron", "links[wifi]", "mqtt://h:1883", "a=1,2", "50%", "u@h"] {
            assert_eq!(word(text) == text, !text.contains('['), "{text}");
        }
    }
}
