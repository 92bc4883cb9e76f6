//! Text to tokens with positions.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use super::ParseError;

/// A word of the text form.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `graph`, `f32`, `n0`; also `-inf`.
    Ident(String),
    /// `-12`, `0.5`, `1e-5f`, `0x7fc00000`, as written.
    Number(String),
    /// A quoted string, unescaped.
    Str(String),
    /// `%12`
    Value(u32),
    /// One of `{}[]():,=?_`.
    Mark(char),
    /// The end of the text.
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Ident(s) | Token::Number(s) => write!(f, "'{s}'"),
            Token::Str(s) => write!(f, "{s:?}"),
            Token::Value(v) => write!(f, "'%{v}'"),
            Token::Mark(c) => write!(f, "'{c}'"),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

/// Where a token starts; both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    /// An error at this position.
    pub fn error(self, expected: impl Into<String>, found: impl Into<String>) -> ParseError {
        let (expected, mut found) = (expected.into(), found.into());
        if let Some((end, _)) = found.char_indices().nth(SHOWN) {
            found.truncate(end);
            found.push_str("...");
        }
        ParseError { line: self.line, column: self.column, expected, found }
    }
}

/// Characters of a token that an error shows.
const SHOWN: usize = 200;

/// All tokens of a text, the last of which is [`Token::End`].
pub fn tokens(text: &str) -> Result<Vec<(Token, Position)>, ParseError> {
    let mut lexer = Lexer { chars: text.chars().peekable(), at: Position { line: 1, column: 1 } };
    let mut out = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let at = lexer.at;
        let token = lexer.token()?;
        let done = token == Token::End;
        out.push((token, at));
        if done {
            return Ok(out);
        }
    }
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    at: Position,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            self.at = Position { line: self.at.line + 1, column: 1 };
        } else {
            self.at.column += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, into: &mut String, accept: impl Fn(char) -> bool) {
        while let Some(c) = self.chars.next_if(|&c| accept(c)) {
            self.at.column += 1;
            into.push(c);
        }
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        while let Some(&c) = self.chars.peek() {
            if c.is_whitespace() {
                self.next();
            } else if c == '/' {
                let at = self.at;
                self.next();
                if self.chars.peek() != Some(&'/') {
                    return Err(at.error("a comment '//'", "'/'"));
                }
                self.take_while(&mut String::new(), |c| c != '\n');
            } else {
                break;
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token, ParseError> {
        let at = self.at;
        let Some(c) = self.next() else { return Ok(Token::End) };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut word = String::from(c);
        match c {
            '"' => self.string(at).map(Token::Str),
            '%' => {
                word.clear();
                self.take_while(&mut word, |c| c.is_ascii_digit());
                word.parse()
                    .map(Token::Value)
                    .map_err(|_| at.error("a value such as %3", format!("'%{word}'")))
            }
            '{' | '}' | '[' | ']' | '(' | ')' | ':' | ',' | '=' | '?' => Ok(Token::Mark(c)),
            '_' if !self.chars.peek().is_some_and(|&c| is_word(c)) => Ok(Token::Mark('_')),
            c if c.is_ascii_alphabetic() || c == '_' => {
                self.take_while(&mut word, is_word);
                Ok(Token::Ident(word))
            }
            c if c.is_ascii_digit() || c == '-' => {
                if self.chars.peek().is_some_and(char::is_ascii_alphabetic) && c == '-' {
                    self.take_while(&mut word, is_word);
                    return Ok(Token::Ident(word));
                }
                self.number(&mut word);
                Ok(Token::Number(word))
            }
            c => Err(at.error("a graph", format!("'{}'", c.escape_default()))),
        }
    }

    /// The rest of a number: digits, a point, letters, and a sign after an exponent's `e`.
    fn number(&mut self, word: &mut String) {
        let hex = word == "0" && self.chars.peek() == Some(&'x');
        loop {
            self.take_while(word, |c| c.is_ascii_alphanumeric() || c == '.');
            let signed = !hex && word.ends_with(['e', 'E']);
            match self.chars.next_if(|&c| signed && (c == '-' || c == '+')) {
                Some(sign) => {
                    self.at.column += 1;
                    word.push(sign);
                }
                None => return,
            }
        }
    }

    /// The rest of a string after its opening quote.
    fn string(&mut self, start: Position) -> Result<String, ParseError> {
        let mut out = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None => return Err(start.error("a string that ends", "the end of the text")),
                Some('"') => return Ok(out),
                Some('\n') => return Err(at.error("the end of the string", "the end of the line")),
                Some('\\') => out.push(self.escape(at)?),
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, at: Position) -> Result<char, ParseError> {
        let bad = |found: String| at.error("one of \\\" \\\\ \\n \\r \\t \\u{1f}", found);
        match self.next() {
            Some('"') => Ok('"'),
            Some('\\') => Ok('\\'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let mut code = String::new();
                let open = self.chars.next_if_eq(&'{').is_some();
                self.at.column += usize::from(open);
                self.take_while(&mut code, |c| c.is_ascii_hexdigit());
                let closed = self.next() == Some('}');
                u32::from_str_radix(&code, 16)
                    .ok()
                    .filter(|_| open && closed)
                    .and_then(char::from_u32)
                    .ok_or_else(|| bad(format!("'\\u' before '{code}'")))
            }
            Some(c) => Err(bad(format!("'\\{}'", c.escape_default()))),
            None => Err(bad("the end of the text".into())),
        }
    }
}
