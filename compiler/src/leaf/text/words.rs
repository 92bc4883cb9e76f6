//! Words of the text forms of leaf programs and tile nests.

use std::str::FromStr;

use super::ParseError;

/// A word and its line. The last one is empty.
struct Word<'a> {
    text: &'a str,
    line: usize,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() && !rest.starts_with(';') {
            let length = length(rest);
            out.push(Word { text: &rest[..length], line: i + 1 });
            rest = rest[length..].trim_start();
        }
    }
    out.push(Word { text: "", line: text.lines().count().max(1) });
    out
}

/// Bytes of the word that a text starts with: `+=`, a string, a name or number, or one character.
fn length(text: &str) -> usize {
    if text.starts_with("+=") {
        return 2;
    }
    if let Some(inside) = text.strip_prefix('"') {
        return inside.find('"').map_or(text.len(), |end| end + 2);
    }
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let number = |s: &str| s.starts_with(|c: char| c.is_ascii_digit() || c == 'i');
    let sign = usize::from(text.starts_with('-') && number(&text[1..]));
    let mut end = sign + text[sign..].find(|c| !part(c)).unwrap_or(text.len() - sign);
    if number(&text[sign..]) && text[..end].ends_with('e') && text[end..].starts_with('-') {
        end += 1 + text[end + 1..].find(|c| !part(c)).unwrap_or(text.len() - end - 1);
    }
    end.max(text.chars().next().map_or(0, char::len_utf8))
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
        let word = &self.words[mark.0];
        let found = if word.text.is_empty() { "the end".into() } else { format!("`{}`", word.text) };
        ParseError { line: word.line, expected: expected.into(), found }
    }

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

    pub(crate) fn string(&mut self) -> Result<String, ParseError> {
        self.read("a string", |s| s.strip_prefix('"')?.strip_suffix('"').map(str::to_string))
    }
}
