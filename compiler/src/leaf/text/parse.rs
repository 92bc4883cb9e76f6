//! Reading of programs.

use std::str::FromStr;

use super::ParseError;
use crate::leaf::{
    Address, BinaryOp, Inst, OffId, Operand, Program, PtrId, Slot, SlotId, SlotKind, Step, VecId, Width,
};

/// Deepest nesting of loops that is read; [`verify`](crate::leaf::verify) allows less.
const MAX_DEPTH: usize = 16;

/// The program that a text prints; it may break rules of [`verify`](crate::leaf::verify).
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Program, ParseError> {
    let mut p = Parser { words: words(text), at: 0, lanes: 0 };
    p.expect("leaf")?;
    let name = p.string()?;
    let width = p.read("`w8` or `w16`", |s| Width::ALL.into_iter().find(|w| w.to_string() == s))?;
    p.lanes = width.lanes() as u8;
    p.expect("{")?;
    let mut slots = Vec::new();
    while p.takes("slot") {
        p.expect(&slots.len().to_string())?;
        slots.push(p.slot()?);
    }
    let body = p.block(0)?;
    p.read("the end", |s| s.is_empty().then_some(()))?;
    Ok(Program { name, width, slots, body })
}

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

struct Parser<'a> {
    words: Vec<Word<'a>>,
    at: usize,
    /// Of a full vector.
    lanes: u8,
}

impl<'a> Parser<'a> {
    fn text(&self) -> &'a str {
        self.words[self.at].text
    }

    fn advance(&mut self) {
        self.at = (self.at + 1).min(self.words.len() - 1);
    }

    fn error(&self, expected: impl Into<String>) -> ParseError {
        let found = if self.text().is_empty() { "the end".into() } else { format!("`{}`", self.text()) };
        ParseError { line: self.words[self.at].line, expected: expected.into(), found }
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.text() == word;
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), ParseError> {
        if self.takes(word) { Ok(()) } else { Err(self.error(format!("`{word}`"))) }
    }

    fn read<T>(&mut self, expected: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, ParseError> {
        let value = read(self.text()).ok_or_else(|| self.error(expected))?;
        self.advance();
        Ok(value)
    }

    fn number<T: FromStr>(&mut self, expected: &str) -> Result<T, ParseError> {
        self.read(expected, |s| s.parse().ok())
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.read("a string", |s| s.strip_prefix('"')?.strip_suffix('"').map(str::to_string))
    }

    fn slot(&mut self) -> Result<Slot, ParseError> {
        let name = self.string()?;
        self.expect(":")?;
        let kinds = [SlotKind::Pointer, SlotKind::Count, SlotKind::Stride];
        let kind =
            self.read("`pointer`, `count` or `stride`", |s| kinds.into_iter().find(|k| k.to_string() == s))?;
        Ok(Slot { name, kind })
    }

    fn slot_id(&mut self) -> Result<SlotId, ParseError> {
        self.expect("slot")?;
        self.number("the number of a slot").map(SlotId)
    }

    fn vector(&mut self) -> Result<VecId, ParseError> {
        self.read("a vector", |s| numbered(s, 'v')).map(VecId)
    }

    fn pointer(&mut self) -> Result<PtrId, ParseError> {
        self.read("a pointer", |s| numbered(s, 'p')).map(PtrId)
    }

    fn offset(&mut self) -> Result<OffId, ParseError> {
        self.read("an offset", |s| numbered(s, 'o')).map(OffId)
    }

    fn address(&mut self) -> Result<Address, ParseError> {
        self.expect("[")?;
        let mut address = Address::new(self.pointer()?, 0);
        if self.takes("+") {
            match numbered(self.text(), 'o') {
                Some(_) => address.offset = Some(self.offset()?),
                None => address.bytes = self.number("an offset or a number of bytes")?,
            }
        }
        if address.bytes == 0 && self.takes("-") {
            let bytes: u32 = self.number("a number of bytes")?;
            address.bytes = i32::try_from(-i64::from(bytes)).map_err(|_| self.error("32 bits"))?;
        } else if address.bytes == 0 && self.takes("+") {
            address.bytes = self.number("a number of bytes")?;
        }
        self.expect("]")?;
        Ok(address)
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        if self.takes("broadcast") {
            return self.address().map(Operand::Broadcast);
        }
        match self.text() {
            "[" => self.address().map(Operand::Memory),
            _ => self.vector().map(Operand::Vector),
        }
    }

    fn lanes(&mut self) -> Result<u8, ParseError> {
        if self.takes("lanes") { self.number("a number of lanes") } else { Ok(self.lanes) }
    }

    /// Statements up to the closing brace.
    fn block(&mut self, depth: usize) -> Result<Vec<Inst>, ParseError> {
        let mut out = Vec::new();
        while !self.takes("}") {
            out.push(self.inst(depth)?);
        }
        Ok(out)
    }

    fn inst(&mut self, depth: usize) -> Result<Inst, ParseError> {
        let text = self.text();
        if self.takes("store") {
            let (to, lanes) = (self.address()?, self.lanes()?);
            self.expect(",")?;
            return Ok(Inst::Store { to, lanes, src: self.vector()? });
        }
        if self.takes("prefetch") {
            return self.address().map(Inst::Prefetch);
        }
        if text == "loop" && depth < MAX_DEPTH {
            self.advance();
            let count = self.slot_id()?;
            self.expect("{")?;
            return Ok(Inst::Loop { count, body: self.block(depth + 1)? });
        }
        if numbered(text, 'p').is_some() {
            return self.pointer_inst();
        }
        if numbered(text, 'o').is_some() {
            let dst = self.offset()?;
            self.expect("=")?;
            self.expect("table")?;
            let table = self.pointer()?;
            self.expect("[")?;
            let entry = self.number("a position in a table")?;
            self.expect("]")?;
            return Ok(Inst::Offset { dst, table, entry });
        }
        if numbered(text, 'v').is_some() {
            return self.vector_inst();
        }
        Err(self.error("a statement or `}`"))
    }

    fn pointer_inst(&mut self) -> Result<Inst, ParseError> {
        let dst = self.pointer()?;
        if self.takes("+=") {
            let by = match self.text() {
                "slot" => Step::Slot(self.slot_id()?),
                _ => Step::Bytes(self.number("a number of bytes or a slot")?),
            };
            return Ok(Inst::Advance { ptr: dst, by });
        }
        self.expect("=")?;
        if self.text() == "slot" {
            return Ok(Inst::Pointer { dst, slot: self.slot_id()? });
        }
        let base = self.pointer()?;
        self.expect("+")?;
        Ok(Inst::Displace { dst, base, by: self.offset()? })
    }

    fn vector_inst(&mut self) -> Result<Inst, ParseError> {
        let dst = self.vector()?;
        if self.takes("+=") {
            let a = self.vector()?;
            self.expect("*")?;
            return Ok(Inst::Fma { acc: dst, a, b: self.operand()? });
        }
        self.expect("=")?;
        let word = self.text();
        if let Some(op) = BinaryOp::ALL.into_iter().find(|op| op.to_string() == word) {
            self.advance();
            let a = self.vector()?;
            self.expect(",")?;
            return Ok(Inst::Binary { op, dst, a, b: self.operand()? });
        }
        if !["zero", "splat", "copy", "load", "broadcast", "unordered"].contains(&word) {
            return Err(self.error("an operation"));
        }
        self.advance();
        Ok(match word {
            "zero" => Inst::Zero(dst),
            "splat" => Inst::Splat(dst, self.number("a number")?),
            "copy" => Inst::Copy { dst, src: self.vector()? },
            "load" => Inst::Load { dst, from: self.address()?, lanes: self.lanes()? },
            "broadcast" => Inst::Broadcast { dst, from: self.address()? },
            _ => Inst::Unordered { dst, src: self.vector()? },
        })
    }
}

fn numbered(word: &str, prefix: char) -> Option<u16> {
    word.strip_prefix(prefix)?.parse().ok()
}
