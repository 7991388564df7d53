//! Where each field of a RON text stands: a light, forgiving parser that keeps spans and no types.
//!
//! It runs before ron does. It names unbalanced brackets at the bracket that was opened, bounds the depth of nesting before
//! any recursion over it starts, and later turns `fleet[0].thing` into a span of bytes.

use std::ops::Range;

/// Deepest nesting of brackets. Ron's own limit is 128 recursive calls, of which one bracket takes up to two.
pub const MAX_DEPTH: usize = 48;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Bytes of the value, its struct or variant name included.
    pub span: Range<usize>,
    /// Bytes of the struct or variant name before the bracket.
    pub name: Option<Range<usize>>,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Number, boolean, character, or a bare name such as a unit variant.
    Scalar,
    /// A string, its escapes resolved as far as paths need it.
    Text(String),
    /// `[…]`.
    List(Vec<Node>),
    /// `(key: …)`.
    Fields(Vec<Field>),
    /// `(…)` without keys.
    Tuple(Vec<Node>),
    /// `{…}`.
    Map(Vec<(Node, Node)>),
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub key: String,
    /// Where the name stands.
    pub key_span: Range<usize>,
    /// Its value.
    pub value: Node,
}

/// Why the brackets of a text do not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A bracket closes what another kind opened, or nothing.
    Mismatch {
        /// The bracket still open, if there is one.
        open: Option<Range<usize>>,
        /// The bracket that closes.
        close: Range<usize>,
    },
    /// A bracket is never closed.
    Open(Range<usize>),
    /// A string or comment never ends.
    Endless(Range<usize>),
    /// Nested too deeply.
    Deep(Range<usize>),
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field or map key.
    Key(String),
    /// An element by index.
    Index(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    Ident,
    Text,
    Other,
}

/// What closes a bracket.
pub(super) fn closing(open: &str) -> char {
    match open {
        "(" => ')',
        "[" => ']',
        _ => '}',
    }
}

/// Reads a text. The tree holds as much as could be read.
pub fn parse(text: &str) -> (Node, Option<Broken>) {
    let (tokens, mut broken) = lex(text);
    if broken.is_none() {
        broken = balance(&tokens);
    }
    let empty = Node { span: 0..text.len(), name: None, value: Value::Scalar };
    if broken.is_some() {
        return (empty, broken);
    }
    let mut parser = Parser { text, tokens: &tokens, at: 0 };
    (parser.node().unwrap_or(empty), None)
}

/// Splits `a.b[0]["c d"]` into steps. An index that is no number stays a key, so that `links[wifi]` may name an id.
pub fn path(text: &str) -> Result<Vec<Step>, Range<usize>> {
    let mut steps = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'[' {
            let quoted = bytes.get(at + 1) == Some(&b'"');
            let (from, close) = if quoted { (at + 2, "\"]") } else { (at + 1, "]") };
            let end = text.get(from..).and_then(|rest| rest.find(close)).ok_or(at..text.len())?;
            let inner = &text[from..from + end];
            if inner.is_empty() {
                return Err(at..from + end + close.len());
            }
            steps.push(match inner.parse() {
                Ok(index) if !quoted => Step::Index(index),
                _ => Step::Key(inner.to_owned()),
            });
            at = from + end + close.len();
        } else {
            if !steps.is_empty() {
                if bytes[at] != b'.' {
                    return Err(at..text.len());
                }
                at += 1;
            }
            let end = text[at..].find(['.', '[']).map_or(text.len(), |e| at + e);
            let key = &text[at..end];
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(at..end.max(at + 1).min(text.len()));
            }
            steps.push(Step::Key(key.to_owned()));
            at = end;
        }
    }
    if steps.is_empty() { Err(0..0) } else { Ok(steps) }
}

impl Node {
    /// The child under a step, seen through wrappers such as `Some(…)` or a variant that holds one struct.
    pub fn child(&self, step: &Step) -> Option<&Node> {
        match (&self.value, step) {
            (Value::Fields(fields), Step::Key(key)) => {
                fields.iter().find(|f| f.key == *key).map(|f| &f.value)
            }
            (Value::Map(pairs), Step::Key(key)) => {
                pairs.iter().find(|(k, _)| k.text() == Some(key)).map(|(_, v)| v)
            }
            (Value::List(items), Step::Index(i)) => items.get(*i),
            (Value::List(items), Step::Key(id)) => {
                items.iter().find(|item| item.get("id").and_then(Node::text) == Some(id))
            }
            (Value::Tuple(items), step) => match (items.as_slice(), step) {
                ([one], Step::Key(_)) => one.child(step),
                ([one], Step::Index(_)) if matches!(one.value, Value::List(_)) => one.child(step),
                (items, Step::Index(i)) => items.get(*i),
                _ => None,
            },
            _ => None,
        }
    }

    /// The field of this name.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.child(&Step::Key(key.to_owned()))
    }

    /// The text, where the node is a string (or a wrapped one).
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Tuple(items) => match items.as_slice() {
                [one] => one.text(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Calls `visit` on this node and all below it, in the order of the text. `key` is the field that holds the node.
    pub fn walk<'a>(&'a self, key: &'a str, visit: &mut impl FnMut(&'a str, &'a Node)) {
        visit(key, self);
        match &self.value {
            Value::Scalar | Value::Text(_) => {}
            Value::List(items) | Value::Tuple(items) => items.iter().for_each(|item| item.walk(key, visit)),
            Value::Fields(fields) => fields.iter().for_each(|f| f.value.walk(&f.key, visit)),
            Value::Map(pairs) => {
                for (k, v) in pairs {
                    v.walk(k.text().unwrap_or(key), visit);
                }
            }
        }
    }
}

fn lex(text: &str) -> (Vec<(Token, Range<usize>)>, Option<Broken>) {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let rest = &text[at..];
        let token = match bytes[at] {
            c if c.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if rest.starts_with("//") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => match block_comment(rest) {
                Some(len) => {
                    at += len;
                    continue;
                }
                None => return (tokens, Some(Broken::Endless(start..start + 2))),
            },
            b'#' if rest.starts_with("#!") => {
                at += rest.find(']').map_or(rest.len(), |e| e + 1);
                continue;
            }
            c @ (b'(' | b'[' | b'{') => {
                at += 1;
                Token::Open(c)
            }
            c @ (b')' | b']' | b'}') => {
                at += 1;
                Token::Close(c)
            }
            b':' => {
                at += 1;
                Token::Colon
            }
            b',' => {
                at += 1;
                Token::Comma
            }
            _ => match string_like(rest) {
                Some(Some(len)) => {
                    at += len;
                    Token::Text
                }
                Some(None) => return (tokens, Some(Broken::Endless(start..start + 1))),
                None => {
                    let (token, len) = word(rest);
                    at += len;
                    token
                }
            },
        };
        tokens.push((token, start..at));
    }
    (tokens, None)
}

/// Length of a block comment, which may nest.
fn block_comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0usize, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

/// Length of a string, byte string or character that starts here: `None` if none starts, `Some(None)` if it never ends.
fn string_like(text: &str) -> Option<Option<usize>> {
    let bytes = text.as_bytes();
    let prefix = usize::from(bytes[0] == b'b');
    match bytes.get(prefix)? {
        b'"' => Some(quoted(bytes, prefix + 1, b'"')),
        b'\'' => Some(quoted(bytes, prefix + 1, b'\'')),
        b'r' => {
            let hashes = bytes[prefix + 1..].iter().take_while(|b| **b == b'#').count();
            let open = prefix + 1 + hashes;
            if bytes.get(open) != Some(&b'"') {
                return None;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            Some(text[open + 1..].find(&close).map(|e| open + 1 + e + close.len()))
        }
        _ => None,
    }
}

fn quoted(bytes: &[u8], from: usize, end: u8) -> Option<usize> {
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b if b == end => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// A name, or a run of anything else that no bracket, comma, colon, quote or blank ends.
fn word(text: &str) -> (Token, usize) {
    let raw = if text.starts_with("r#") { 2 } else { 0 };
    let first = text[raw..].chars().next().unwrap_or(' ');
    let ident = first.is_alphabetic() || first == '_';
    let len = text[raw..]
        .find(|c: char| {
            if ident {
                !(c.is_alphanumeric() || c == '_')
            } else {
                c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',' | ':' | '"' | '/')
            }
        })
        .map_or(text.len(), |e| raw + e);
    // At least one character, or the lexer would not move.
    let len = if len > raw { len } else { raw + first.len_utf8().min(text.len() - raw) };
    (if ident { Token::Ident } else { Token::Other }, len)
}

fn balance(tokens: &[(Token, Range<usize>)]) -> Option<Broken> {
    let mut open: Vec<(u8, Range<usize>)> = Vec::new();
    for (token, span) in tokens {
        match token {
            Token::Open(c) => {
                open.push((*c, span.clone()));
                if open.len() > MAX_DEPTH {
                    return Some(Broken::Deep(span.clone()));
                }
            }
            Token::Close(c) => {
                let wanted = match c {
                    b')' => b'(',
                    b']' => b'[',
                    _ => b'{',
                };
                match open.pop() {
                    Some((o, _)) if o == wanted => {}
                    other => {
                        return Some(Broken::Mismatch { open: other.map(|(_, s)| s), close: span.clone() });
                    }
                }
            }
            _ => {}
        }
    }
    open.pop().map(|(_, span)| Broken::Open(span))
}

/// Recursive descent over balanced tokens; `balance` has bounded the depth.
struct Parser<'a> {
    text: &'a str,
    tokens: &'a [(Token, Range<usize>)],
    at: usize,
}

impl Parser<'_> {
    fn peek(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| *token)
    }

    fn node(&mut self) -> Option<Node> {
        let (token, span) = self.tokens.get(self.at)?.clone();
        match token {
            Token::Close(_) | Token::Comma | Token::Colon => None,
            Token::Text => {
                self.at += 1;
                let value = Value::Text(unquote(&self.text[span.clone()]));
                Some(Node { span, name: None, value })
            }
            Token::Other => {
                self.at += 1;
                Some(Node { span, name: None, value: Value::Scalar })
            }
            Token::Ident => {
                self.at += 1;
                if self.peek(0) == Some(Token::Open(b'(')) {
                    let mut node = self.bracket()?;
                    node.name = Some(span.clone());
                    node.span.start = span.start;
                    return Some(node);
                }
                Some(Node { span, name: None, value: Value::Scalar })
            }
            Token::Open(_) => self.bracket(),
        }
    }

    fn bracket(&mut self) -> Option<Node> {
        let (token, open) = self.tokens.get(self.at)?.clone();
        self.at += 1;
        let keyed = self.peek(0) == Some(Token::Ident) && self.peek(1) == Some(Token::Colon);
        let mut value = match token {
            Token::Open(b'[') => Value::List(Vec::new()),
            Token::Open(b'{') => Value::Map(Vec::new()),
            _ if keyed => Value::Fields(Vec::new()),
            _ => Value::Tuple(Vec::new()),
        };
        loop {
            match self.peek(0) {
                None => return None,
                Some(Token::Close(_)) => break,
                // Stray separators are ron's to name.
                Some(Token::Comma | Token::Colon) => self.at += 1,
                Some(_) => self.item(&mut value)?,
            }
        }
        let end = self.tokens[self.at].1.end;
        self.at += 1;
        Some(Node { span: open.start..end, name: None, value })
    }

    fn item(&mut self, into: &mut Value) -> Option<()> {
        match into {
            Value::Fields(fields) => {
                if self.peek(0) == Some(Token::Ident) && self.peek(1) == Some(Token::Colon) {
                    let key_span = self.tokens[self.at].1.clone();
                    self.at += 2;
                    if let Some(value) = self.node() {
                        let key = self.text[key_span.clone()].trim_start_matches("r#").to_owned();
                        fields.push(Field { key, key_span, value });
                    }
                } else {
                    self.node()?;
                }
            }
            Value::Map(pairs) => {
                let key = self.node()?;
                if self.peek(0) == Some(Token::Colon) {
                    self.at += 1;
                    if let Some(value) = self.node() {
                        pairs.push((key, value));
                    }
                }
            }
            Value::List(items) | Value::Tuple(items) => items.push(self.node()?),
            Value::Scalar | Value::Text(_) => {}
        }
        Some(())
    }
}

/// The text within quotes. Only the escapes that names may hold are resolved; ron reads the value itself.
fn unquote(literal: &str) -> String {
    let body = literal.trim_start_matches(['b', 'r', '#']).trim_end_matches('#');
    let body = body.get(1..body.len().saturating_sub(1)).unwrap_or_default();
    if literal.starts_with('"') && body.contains('\\') {
        return ron::from_str(literal).unwrap_or_else(|_| body.to_owned());
    }
    body.to_owned()
}
