//! Reading of programs.

use super::ParseError;
use crate::leaf::{
    Address, BinaryOp, Cache, Inst, OffId, Operand, Predicate, Program, PtrId, Shift, Shuffle, Slot, SlotId,
    SlotKind, Step, UnaryOp, VecId, Width,
};
use crate::text::Words;

/// Deepest nesting of loops that is read; [`verify`](crate::leaf::verify) allows less.
const MAX_DEPTH: usize = 16;

/// The program that a text prints; it may break rules of [`verify`](crate::leaf::verify).
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Program, ParseError> {
    let mut words = Words::new(text);
    let program = program(&mut words)?;
    words.end()?;
    Ok(program)
}

/// The program that stands next.
pub(crate) fn program(words: &mut Words<'_>) -> Result<Program, ParseError> {
    words.expect("leaf")?;
    let name = words.string("a string")?;
    let width = words.read("`w8` or `w16`", |s| Width::ALL.into_iter().find(|w| w.to_string() == s))?;
    words.expect("{")?;
    let mut p = Parser { words, lanes: width.lanes() as u8 };
    let mut slots = Vec::new();
    while p.words.takes("slot") {
        p.words.expect(&slots.len().to_string())?;
        slots.push(p.slot()?);
    }
    let body = p.block(0)?;
    Ok(Program { name, width, slots, body })
}

struct Parser<'p, 'a> {
    words: &'p mut Words<'a>,
    /// Of a full vector.
    lanes: u8,
}

impl Parser<'_, '_> {
    fn slot(&mut self) -> Result<Slot, ParseError> {
        let name = self.words.string("a string")?;
        self.words.expect(":")?;
        let kinds = [SlotKind::Pointer, SlotKind::Count, SlotKind::Stride];
        let kind = self
            .words
            .read("`pointer`, `count` or `stride`", |s| kinds.into_iter().find(|k| k.to_string() == s))?;
        Ok(Slot { name, kind })
    }

    fn slot_id(&mut self) -> Result<SlotId, ParseError> {
        self.words.expect("slot")?;
        self.words.number("the number of a slot").map(SlotId)
    }

    fn vector(&mut self) -> Result<VecId, ParseError> {
        self.words.read("a vector", |s| numbered(s, 'v')).map(VecId)
    }

    fn pointer(&mut self) -> Result<PtrId, ParseError> {
        self.words.read("a pointer", |s| numbered(s, 'p')).map(PtrId)
    }

    fn offset(&mut self) -> Result<OffId, ParseError> {
        self.words.read("an offset", |s| numbered(s, 'o')).map(OffId)
    }

    fn address(&mut self) -> Result<Address, ParseError> {
        self.words.expect("[")?;
        let mut address = Address::new(self.pointer()?, 0);
        if self.words.takes("+") {
            match numbered(self.words.text(), 'o') {
                Some(_) => address.offset = Some(self.offset()?),
                None => address.bytes = self.words.number("an offset or a number of bytes")?,
            }
        }
        if address.bytes == 0 && self.words.takes("-") {
            let bytes: u32 = self.words.number("a number of bytes")?;
            address.bytes = i32::try_from(-i64::from(bytes)).map_err(|_| self.words.error("32 bits"))?;
        } else if address.bytes == 0 && self.words.takes("+") {
            address.bytes = self.words.number("a number of bytes")?;
        }
        self.words.expect("]")?;
        Ok(address)
    }

    fn operand(&mut self) -> Result<Operand, ParseError> {
        if self.words.takes("broadcast") {
            return self.address().map(Operand::Broadcast);
        }
        if self.words.takes("splat") {
            return self.words.number("a number").map(Operand::Splat);
        }
        match self.words.text() {
            "[" => self.address().map(Operand::Memory),
            _ => self.vector().map(Operand::Vector),
        }
    }

    fn lanes(&mut self) -> Result<u8, ParseError> {
        if self.words.takes("lanes") { self.words.number("a number of lanes") } else { Ok(self.lanes) }
    }

    /// Statements up to the closing brace.
    fn block(&mut self, depth: usize) -> Result<Vec<Inst>, ParseError> {
        let mut out = Vec::new();
        while !self.words.takes("}") {
            out.push(self.inst(depth)?);
        }
        Ok(out)
    }

    fn inst(&mut self, depth: usize) -> Result<Inst, ParseError> {
        let text = self.words.text();
        if self.words.takes("store") {
            let (to, lanes) = (self.address()?, self.lanes()?);
            self.words.expect(",")?;
            return Ok(Inst::Store { to, lanes, src: self.vector()? });
        }
        if self.words.takes("prefetch") {
            let cache = if self.words.takes("l2") { Cache::L2 } else { Cache::L1 };
            if cache == Cache::L1 {
                self.words.expect("l1")?;
            }
            return self.address().map(|a| Inst::Prefetch(cache, a));
        }
        if text == "loop" && depth < MAX_DEPTH {
            self.words.advance();
            let count = self.slot_id()?;
            self.words.expect("{")?;
            return Ok(Inst::Loop { count, body: self.block(depth + 1)? });
        }
        if numbered(text, 'p').is_some() {
            return self.pointer_inst();
        }
        if numbered(text, 'o').is_some() {
            let dst = self.offset()?;
            self.words.expect("=")?;
            self.words.expect("table")?;
            let table = self.pointer()?;
            self.words.expect("[")?;
            let entry = self.words.number("a position in a table")?;
            self.words.expect("]")?;
            return Ok(Inst::Offset { dst, table, entry });
        }
        if numbered(text, 'v').is_some() {
            return self.vector_inst();
        }
        Err(self.words.error("a statement or `}`"))
    }

    fn pointer_inst(&mut self) -> Result<Inst, ParseError> {
        let dst = self.pointer()?;
        if self.words.takes("+=") {
            let by = match self.words.text() {
                "slot" => Step::Slot(self.slot_id()?),
                _ => Step::Bytes(self.words.number("a number of bytes or a slot")?),
            };
            return Ok(Inst::Advance { ptr: dst, by });
        }
        self.words.expect("=")?;
        if self.words.text() == "slot" {
            return Ok(Inst::Pointer { dst, slot: self.slot_id()? });
        }
        let base = self.pointer()?;
        self.words.expect("+")?;
        Ok(Inst::Displace { dst, base, by: self.offset()? })
    }

    fn vector_inst(&mut self) -> Result<Inst, ParseError> {
        let dst = self.vector()?;
        if self.words.takes("+=") {
            let a = self.vector()?;
            self.words.expect("*")?;
            return Ok(Inst::Fma { acc: dst, a, b: self.operand()? });
        }
        self.words.expect("=")?;
        if self.words.takes(&dst.to_string()) {
            self.words.expect("*")?;
            let x = self.vector()?;
            self.words.expect("+")?;
            return Ok(Inst::Horner { acc: dst, x, c: self.operand()? });
        }
        if let Some(op) = self.operation(BinaryOp::ALL) {
            let a = self.first()?;
            return Ok(Inst::Binary { op, dst, a, b: self.operand()? });
        }
        if let Some(op) = self.operation(UnaryOp::ALL) {
            return Ok(Inst::Unary { op, dst, src: self.vector()? });
        }
        if let Some(op) = self.operation(Shift::ALL) {
            let src = self.first()?;
            return Ok(Inst::Shift { op, dst, src, by: self.words.number("a number of bits")? });
        }
        if let Some(op) = self.operation(Predicate::ALL) {
            let a = self.first()?;
            return Ok(Inst::Compare { op, dst, a, b: self.vector()? });
        }
        if let Some(op) = self.operation(Shuffle::ALL) {
            let a = self.first()?;
            return Ok(Inst::Shuffle { op, dst, a, b: self.vector()? });
        }
        let word = self.words.text();
        if !["zero", "splat", "copy", "load", "broadcast", "select"].contains(&word) {
            return Err(self.words.error("an operation"));
        }
        self.words.advance();
        Ok(match word {
            "zero" => Inst::Zero(dst),
            "splat" => Inst::Splat(dst, self.words.number("a number")?),
            "copy" => Inst::Copy { dst, src: self.vector()? },
            "load" => Inst::Load { dst, from: self.address()?, lanes: self.lanes()? },
            "broadcast" => Inst::Broadcast { dst, from: self.address()? },
            _ => {
                let (mask, a) = (self.first()?, self.first()?);
                Inst::Select { dst, mask, a, b: self.vector()? }
            }
        })
    }

    /// The operation that the next word names, which is taken then.
    fn operation<T: Copy + ToString, const N: usize>(&mut self, all: [T; N]) -> Option<T> {
        let word = self.words.text();
        let found = all.into_iter().find(|op| op.to_string() == word)?;
        self.words.advance();
        Some(found)
    }

    /// A vector that is not the last operand.
    fn first(&mut self) -> Result<VecId, ParseError> {
        let v = self.vector()?;
        self.words.expect(",")?;
        Ok(v)
    }
}

fn numbered(word: &str, prefix: char) -> Option<u16> {
    word.strip_prefix(prefix)?.parse().ok()
}
