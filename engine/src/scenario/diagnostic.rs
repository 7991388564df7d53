//! Errors with file, line, column, caret and a suggestion.
