//! Words of the text form with their places.

use super::ParseError;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name: letters, digits and `_`, no digit first.
    Name(String),
    /// A literal that starts with a digit or `-`, with its suffix.
    Number(String),
    /// The contents of a string.
    Text(String),
    /// One of `{ } [ ] ( ) : , = ..`.
    Sign(&'static str),
    /// The end of the input.
    End,
}

/// A token and where it starts; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Line in the input.
    pub line: usize,
    /// Column in the line.
    pub column: usize,
}

impl Token {
    /// An error at this token.
    pub fn error(&self, expected: impl Into<String>) -> ParseError {
        let found = match &self.kind {
            Kind::Name(s) | Kind::Number(s) => format!("`{s}`"),
            Kind::Text(s) => format!("{s:?}"),
            Kind::Sign(s) => format!("`{s}`"),
            Kind::End => "the end".into(),
        };
        ParseError { line: self.line, column: self.column, expected: expected.into(), found }
    }
}

const SIGNS: [&str; 10] = ["{", "}", "[", "]", "(", ")", ":", ",", "=", ".."];

/// The tokens of a text, the last one [`Kind::End`].
///
/// # Errors
/// [`ParseError`] at a character that starts no token, or in a string that does not end.
pub fn tokens(text: &str) -> Result<Vec<Token>, ParseError> {
    let mut out = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let (mut rest, mut column) = (line, 1);
        loop {
            let before = rest.trim_start();
            column += rest[..rest.len() - before.len()].chars().count();
            let at = |kind| Token { kind, line: i + 1, column };
            if before.is_empty() || before.starts_with(';') {
                break;
            }
            let (kind, length) = match before.strip_prefix('"') {
                Some(inside) => string(inside).map(|(text, length)| (Kind::Text(text), length + 1)),
                None => word(before),
            }
            .ok_or_else(|| unreadable(&at(Kind::End), before))?;
            out.push(at(kind));
            column += before[..length].chars().count();
            rest = &before[length..];
        }
    }
    let line = text.split('\n').count();
    let column = text.split('\n').next_back().map_or(0, |l| l.chars().count()) + 1;
    out.push(Token { kind: Kind::End, line, column });
    Ok(out)
}

fn unreadable(at: &Token, rest: &str) -> ParseError {
    let expected = if rest.starts_with('"') { "a string that ends" } else { "a word" };
    let start: String = rest.chars().take(12).collect();
    ParseError { found: format!("`{}`", start.trim_end()), ..at.error(expected) }
}

/// A token that is not a string, and its length in bytes.
fn word(text: &str) -> Option<(Kind, usize)> {
    let name = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if let Some(sign) = SIGNS.into_iter().find(|s| text.starts_with(s)) {
        return Some((Kind::Sign(sign), sign.len()));
    }
    if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let length = name(text);
        return Some((Kind::Name(text[..length].into()), length));
    }
    let digits = |text: &str| text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let sign = usize::from(text.starts_with('-'));
    let mut length = sign + digits(&text[sign..]);
    if let Some(fraction) = text[length..].strip_prefix('.').filter(|f| digits(f) > 0) {
        length += 1 + digits(fraction);
    }
    if let Some(exponent) = text[length..].strip_prefix('e') {
        let sign = usize::from(exponent.starts_with(['-', '+']));
        if digits(&exponent[sign..]) > 0 {
            length += 1 + sign + digits(&exponent[sign..]);
        }
    }
    length += name(&text[length..]);
    (length > sign).then(|| (Kind::Number(text[..length].into()), length))
}

/// The contents of a string after its opening quote, and its length in bytes with the closing one.
fn string(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 1)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let code = text[at..].strip_prefix("\\u{")?.split_once('}')?.0;
                    (0..code.len() + 2).try_for_each(|_| chars.next().map(|_| ()))?;
                    char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                }
                c @ ('"' | '\\' | '\'') => c,
                _ => return None,
            }),
            c => out.push(c),
        }
    }
    None
}
