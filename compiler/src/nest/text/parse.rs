//! Reading of nests.

use std::sync::Arc;

use octrt_ops::expr::{BufId, VarId};
use octrt_ops::{DType, Tensor, TensorType};

use super::ParseError;
use super::expr::{definition, expr, loop_};
use crate::leaf::Program;
use crate::leaf::text::program;
use crate::nest::{Buffer, BufferRole, Define, Distance, Nest, SlotValue, Stmt};
use crate::text::{Mark, Words, numbered};

/// Deepest nesting of loops that is read.
const MAX_DEPTH: usize = 64;

/// Names of loops that are read: primitives go on from there.
const LOOPS: u32 = 1 << 24;

/// The nest that a text prints; it may break rules of [`verify`](crate::nest::verify).
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<Nest, ParseError> {
    let mut p = Parser { words: Words::new(text), names: Vec::new() };
    p.words.expect("nest")?;
    let name = p.words.string("the nest's name as a string")?;
    p.words.expect("{")?;
    let mut buffers = Vec::new();
    while ["in", "out", "scratch", "table"].contains(&p.words.text()) {
        buffers.push(p.buffer(buffers.len())?);
    }
    let body = p.block(0)?;
    let mut leaves = Vec::new();
    while p.words.text() == "leaf" {
        leaves.push(Arc::new(program(&mut p.words)?));
    }
    p.words.end()?;
    p.check_names(&leaves)?;
    Ok(Nest { name, buffers, leaves, body })
}

/// What a call says of the names of its leaf and of one of its slots.
enum Name {
    Leaf(Option<String>),
    Slot(usize, String),
}

struct Parser<'a> {
    words: Words<'a>,
    /// Names that calls have used, where, and of which leaf: they can be checked once the leaves are known.
    names: Vec<(Mark, usize, Name)>,
}

impl Parser<'_> {
    fn buffer(&mut self, position: usize) -> Result<Buffer, ParseError> {
        let role = self.words.text();
        self.words.advance();
        self.words.expect(&BufId(position as u32).to_string())?;
        self.words.expect(":")?;
        let mark = self.words.mark();
        let ty = self.ty()?;
        let role = match role {
            "in" => BufferRole::Src,
            "out" => BufferRole::Dst,
            "scratch" => BufferRole::Scratch,
            _ => {
                self.words.expect("=")?;
                BufferRole::Table(self.table(&ty, mark)?)
            }
        };
        let range = if self.words.takes("range") { Some(self.range()?) } else { None };
        Ok(Buffer { ty, role, range })
    }

    fn range(&mut self) -> Result<(i64, i64), ParseError> {
        let lo = self.words.number("the smallest element")?;
        self.words.expect("..")?;
        Ok((lo, self.words.number("the largest element")?))
    }

    fn ty(&mut self) -> Result<TensorType, ParseError> {
        let mark = self.words.mark();
        let dtype: DType = self.words.number("an element type")?;
        self.words.expect("[")?;
        let dims = self.words.list("]", |w| w.number::<usize>("an extent"))?;
        let ty = TensorType::new(dtype, dims);
        match ty.shape.checked_bytes(ty.dtype) {
            Ok(_) => Ok(ty),
            Err(_) => Err(self.words.error_at(mark, "a type that can be addressed")),
        }
    }

    fn table(&mut self, ty: &TensorType, mark: Mark) -> Result<Tensor, ParseError> {
        self.words.expect("[")?;
        let start = self.words.mark();
        let shape = ty.shape.clone();
        let table = match ty.dtype {
            DType::I32 => Tensor::new(shape, &self.words.list("]", |w| w.number::<i32>("an i32"))?),
            DType::I64 => Tensor::new(shape, &self.words.list("]", |w| w.number::<i64>("an i64"))?),
            _ => return Err(self.words.error_at(mark, "a table of `i32` or `i64`")),
        };
        table.map_err(|_| self.words.error_at(start, format!("{} entries", ty.shape.numel())))
    }

    /// Statements up to the closing brace.
    fn block(&mut self, depth: usize) -> Result<Vec<Stmt>, ParseError> {
        let mut out = Vec::new();
        while !self.words.takes("}") {
            out.push(match self.words.text() {
                "call" => self.call()?,
                "for" | "reduce" if depth < MAX_DEPTH => {
                    let start = self.words.mark();
                    let of = loop_(&mut self.words)?;
                    if of.id.0 >= LOOPS {
                        return Err(self.words.error_at(start, format!("a loop below L{LOOPS}")));
                    }
                    self.words.expect("{")?;
                    Stmt::Loop(of, self.block(depth + 1)?)
                }
                element if element == "update" || numbered(element, 'b').is_some() => {
                    Stmt::Define(self.define()?)
                }
                _ => return Err(self.words.error("`for`, `reduce`, `call`, an element or `}`")),
            });
        }
        Ok(out)
    }

    fn define(&mut self) -> Result<Define, ParseError> {
        let update = self.words.takes("update");
        let dst = BufId(self.words.numbered("an element", 'b')?);
        self.words.expect("[")?;
        let index = self.words.list("]", expr)?;
        let when = if self.words.takes("when") { Some(expr(&mut self.words)?) } else { None };
        let (value, reduce) = definition(&mut self.words)?;
        Ok(Define { dst, index, when, value, reduce, update })
    }

    fn call(&mut self) -> Result<Stmt, ParseError> {
        self.words.expect("call")?;
        let leaf: usize = self.words.number("the number of a leaf")?;
        let mark = self.words.mark();
        let name = if self.words.text() == "(" { None } else { Some(self.words.string("a string")?) };
        self.names.push((mark, leaf, Name::Leaf(name)));
        self.words.expect("(")?;
        let mut slots = Vec::new();
        while !self.words.takes(")") {
            let mark = self.words.mark();
            let name = self.words.read("the name of a slot", |s| (!s.is_empty()).then(|| s.to_string()))?;
            self.names.push((mark, leaf, Name::Slot(slots.len(), name)));
            self.words.expect("=")?;
            slots.push(self.value()?);
            if self.words.text() != ")" {
                self.words.expect(",")?;
            }
        }
        Ok(Stmt::Call { leaf, slots })
    }

    fn value(&mut self) -> Result<SlotValue, ParseError> {
        match numbered(self.words.text(), 'b') {
            None => self.words.number("a buffer or a number").map(SlotValue::Number),
            Some(buffer) => {
                self.words.advance();
                Ok(SlotValue::Pointer(BufId(buffer), self.distance()?))
            }
        }
    }

    fn distance(&mut self) -> Result<Distance, ParseError> {
        let mut distance = Distance::default();
        for first in std::iter::once(true).chain(std::iter::repeat(false)) {
            let sign = match self.words.text() {
                "+" => 1,
                "-" => -1,
                _ => break,
            };
            self.words.advance();
            let bytes = self.words.read("a number of bytes", |s| {
                let bytes: u64 = s.parse().ok()?;
                i64::try_from(sign * i128::from(bytes)).ok()
            })?;
            if first && self.words.text() != "*" {
                distance.base = bytes;
                continue;
            }
            self.words.expect("*")?;
            distance.terms.push((VarId(self.words.numbered("a loop", 'L')?), bytes));
        }
        Ok(distance)
    }

    /// Names in calls are those of the leaves.
    fn check_names(&self, leaves: &[Arc<Program>]) -> Result<(), ParseError> {
        for (mark, leaf, name) in &self.names {
            let program = leaves.get(*leaf);
            let (expected, fits) = match name {
                Name::Leaf(name) => {
                    let expected = program.map(|p| &p.name);
                    let words =
                        expected.map_or("`(`, for there is no such leaf".into(), |n| format!("`{n:?}`"));
                    (words, expected == name.as_ref())
                }
                Name::Slot(i, name) => {
                    let expected = program.and_then(|p| p.slots.get(*i)).map_or("_", |s| s.name.as_str());
                    (format!("`{expected}`"), expected == name)
                }
            };
            if !fits {
                return Err(self.words.error_at(*mark, expected));
            }
        }
        Ok(())
    }
}
