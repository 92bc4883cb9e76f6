//! Words of the text forms of nests and leaf programs, with their places.
//!
//! A word is a name or a number (letters, digits and `_`; a number may have a sign, a fraction and an exponent), a string
//! in quotes, one of `+=` and `..`, or any other character. Spaces and line ends separate words and mean nothing else; `;`
//! starts a comment that ends with the line.

use std::str::FromStr;

/// Where a text is not of the form that is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What could stand here.
    pub expected: String,
    /// What stands here.
    pub found: String,
}

/// A word and where it starts; lines and columns count from 1, columns in characters. The last one is empty.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    line: usize,
    column: usize,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut out = Vec::new();
    for (i, line) in text.split('\n').enumerate() {
        let (mut rest, mut column) = (line, 1);
        loop {
            let before = rest.trim_start();
            column += rest[..rest.len() - before.len()].chars().count();
            if before.is_empty() || before.starts_with(';') {
                break;
            }
            let (word, behind) = before.split_at(length(before));
            out.push(Word { text: word, line: i + 1, column });
            column += word.chars().count();
            rest = behind;
        }
    }
    let line = text.split('\n').count();
    let column = text.split('\n').next_back().map_or(0, |l| l.chars().count()) + 1;
    out.push(Word { text: "", line, column });
    out
}

/// Bytes of the word that a text starts with.
fn length(text: &str) -> usize {
    let name = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    if let Some(sign) = ["+=", ".."].into_iter().find(|s| text.starts_with(s)) {
        return sign.len();
    }
    if text.starts_with('"') {
        return string(text).map_or(text.len(), |(_, length)| length);
    }
    if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        return name(text);
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
    length.max(text.chars().next().map_or(0, char::len_utf8))
}

/// What a string says that a text starts with, and its length in bytes with the quotes; `None` where it does not end.
fn string(text: &str) -> Option<(String, usize)> {
    let inside = text.strip_prefix('"')?;
    let mut out = String::new();
    let mut chars = inside.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((out, at + 2)),
            '\\' => out.push(match chars.next()?.1 {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                '0' => '\0',
                'u' => {
                    let code = inside[at..].strip_prefix("\\u{")?.split_once('}')?.0;
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

/// A text that is read word by word.
pub(crate) struct Words<'a> {
    words: Vec<Word<'a>>,
    at: usize,
}

/// A place in a text.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a str) -> Words<'a> {
        Words { words: words(text), at: 0 }
    }

    /// The next word; empty at the end.
    pub(crate) fn text(&self) -> &'a str {
        self.words[self.at].text
    }

    /// Passes over the next word; never over the end.
    pub(crate) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.words.len() - 1);
    }

    /// The place of the next word.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.at)
    }

    pub(crate) fn error(&self, expected: impl Into<String>) -> ParseError {
        self.error_at(self.mark(), expected)
    }

    pub(crate) fn error_at(&self, mark: Mark, expected: impl Into<String>) -> ParseError {
        let Word { text, line, column } = self.words[mark.0];
        let found = if text.is_empty() { "the end".into() } else { format!("`{text}`") };
        ParseError { line, column, expected: expected.into(), found }
    }

    /// Whether the next word is this one; passes over it.
    pub(crate) fn takes(&mut self, word: &str) -> bool {
        let found = self.text() == word;
        if found {
            self.advance();
        }
        found
    }

    pub(crate) fn expect(&mut self, word: &str) -> Result<(), ParseError> {
        if self.takes(word) { Ok(()) } else { Err(self.error(format!("`{word}`"))) }
    }

    pub(crate) fn end(&mut self) -> Result<(), ParseError> {
        self.read("the end", |s| s.is_empty().then_some(()))
    }

    /// Reads the next word by what it says.
    pub(crate) fn read<T>(
        &mut self,
        expected: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ParseError> {
        let value = read(self.text()).ok_or_else(|| self.error(expected))?;
        self.advance();
        Ok(value)
    }

    pub(crate) fn number<T: FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        self.read(expected, |s| s.parse().ok())
    }

    /// The number in a name like `L3` or `b3`.
    pub(crate) fn numbered(&mut self, expected: &str, letter: char) -> Result<u32, ParseError> {
        self.read(expected, |s| numbered(s, letter))
    }

    pub(crate) fn string(&mut self, expected: &str) -> Result<String, ParseError> {
        let whole = |s: &str| string(s).filter(|(_, length)| *length == s.len());
        self.read(expected, |s| Some(whole(s)?.0))
    }

    /// Items between commas up to a closing word; a comma may stand behind the last.
    pub(crate) fn list<T>(
        &mut self,
        close: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        while !self.takes(close) {
            items.push(item(self)?);
            if !self.takes(",") && self.text() != close {
                return Err(self.error(format!("`,` or `{close}`")));
            }
        }
        Ok(items)
    }
}

/// The number in `L3` or `b3`.
pub(crate) fn numbered(word: &str, letter: char) -> Option<u32> {
    let digits = word.strip_prefix(letter)?;
    if digits.starts_with(|c: char| c.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_places() {
        let text = "for L0 in 2 { ; no\n  b0 + 64 - 448*L1 -3i32 1.5e-3 0..-4 \"a \\\" b\"";
        let mut w = Words::new(text);
        let mut all = Vec::new();
        while !w.text().is_empty() {
            all.push(w.text());
            w.advance();
        }
        let expected = [
            "for",
            "L0",
            "in",
            "2",
            "{",
            "b0",
            "+",
            "64",
            "-",
            "448",
            "*",
            "L1",
            "-3i32",
            "1.5e-3",
            "0",
            "..",
            "-4",
            "\"a \\\" b\"",
        ];
        assert_eq!(all, expected);
        let mut w = Words::new("  x\n é y \"open");
        w.advance();
        assert_eq!(w.expect("z").unwrap_err().to_string(), "line 2, column 2: expected `z`, found `é`");
        w.advance();
        assert_eq!(w.number::<u32>("a number").unwrap_err().column, 4);
        w.advance();
        assert_eq!(w.string("a string").unwrap_err().found, "`\"open`");
        w.advance();
        assert_eq!(w.end(), Ok(()));
    }
}
