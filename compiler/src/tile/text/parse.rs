//! Reading of nests.

use octrt_ops::{DType, Tensor, TensorType};

use super::ParseError;
use crate::leaf::Program;
use crate::leaf::text::program;
use crate::leaf::text::words::{Mark, Words};
use crate::tile::{BufferId, BufferRole, Distance, LoopId, SlotValue, Stmt, TileBuffer, TileNest};

/// Deepest nesting of loops that is read.
const MAX_DEPTH: usize = 64;

/// The nest that a text prints; it may break rules of [`verify`](crate::tile::verify).
///
/// # Errors
/// [`ParseError`] where the text is not of the form in the header of [`text`](super).
pub fn parse(text: &str) -> Result<TileNest, ParseError> {
    let mut p = Parser { words: Words::new(text), names: Vec::new() };
    p.words.expect("tile")?;
    let name = p.words.string()?;
    p.words.expect("{")?;
    let mut buffers = Vec::new();
    while p.words.text() != "for" {
        buffers.push(p.buffer(buffers.len())?);
    }
    let (parallel, extent) = p.header()?;
    p.words.expect("parallel")?;
    p.words.expect("{")?;
    let body = p.block(0)?;
    p.words.expect("}")?;
    let mut leaves = Vec::new();
    while p.words.text() == "leaf" {
        leaves.push(program(&mut p.words)?);
    }
    p.words.end()?;
    p.check_names(&leaves)?;
    Ok(TileNest { name, buffers, leaves, parallel, extent, body })
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
    fn buffer(&mut self, position: usize) -> Result<TileBuffer, ParseError> {
        let role = self.words.text();
        if !["in", "out", "scratch", "table"].contains(&role) {
            return Err(self.words.error("a buffer or `for`"));
        }
        self.words.advance();
        self.words.expect(&BufferId(position as u32).to_string())?;
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
        Ok(TileBuffer { ty, role })
    }

    fn ty(&mut self) -> Result<TensorType, ParseError> {
        let mark = self.words.mark();
        let dtype: DType = self.words.number("an element type")?;
        self.words.expect("[")?;
        let dims = self.list("an extent")?;
        let ty = TensorType::new(dtype, dims);
        match ty.shape.checked_bytes(ty.dtype) {
            Ok(_) => Ok(ty),
            Err(_) => Err(self.words.error_at(mark, "a type that can be addressed")),
        }
    }

    /// Numbers between commas up to the closing bracket; a comma may stand behind the last.
    fn list<T: std::str::FromStr>(&mut self, expected: &str) -> Result<Vec<T>, ParseError> {
        let mut all = Vec::new();
        while !self.words.takes("]") {
            all.push(self.words.number(expected)?);
            if self.words.text() != "]" {
                self.words.expect(",")?;
            }
        }
        Ok(all)
    }

    fn table(&mut self, ty: &TensorType, mark: Mark) -> Result<Tensor, ParseError> {
        self.words.expect("[")?;
        let start = self.words.mark();
        let shape = ty.shape.clone();
        let table = match ty.dtype {
            DType::I32 => Tensor::new(shape, &self.list::<i32>("an i32")?),
            DType::I64 => Tensor::new(shape, &self.list::<i64>("an i64")?),
            _ => return Err(self.words.error_at(mark, "a table of `i32` or `i64`")),
        };
        table.map_err(|_| self.words.error_at(start, format!("{} entries", ty.shape.numel())))
    }

    /// A loop up to its extent.
    fn header(&mut self) -> Result<(LoopId, usize), ParseError> {
        self.words.expect("for")?;
        let id = self.loop_id()?;
        self.words.expect("in")?;
        Ok((id, self.words.number("an extent")?))
    }

    fn loop_id(&mut self) -> Result<LoopId, ParseError> {
        self.words.read("a loop", |s| s.strip_prefix('L')?.parse().ok()).map(LoopId)
    }

    /// Statements up to the closing brace.
    fn block(&mut self, depth: usize) -> Result<Vec<Stmt>, ParseError> {
        let mut out = Vec::new();
        while !self.words.takes("}") {
            out.push(match self.words.text() {
                "call" => self.call()?,
                "for" if depth < MAX_DEPTH => {
                    let (id, extent) = self.header()?;
                    self.words.expect("{")?;
                    Stmt::Loop { id, extent, body: self.block(depth + 1)? }
                }
                _ => return Err(self.words.error("`for`, `call` or `}`")),
            });
        }
        Ok(out)
    }

    fn call(&mut self) -> Result<Stmt, ParseError> {
        self.words.expect("call")?;
        let leaf: usize = self.words.number("the number of a leaf")?;
        let mark = self.words.mark();
        let name = if self.words.text() == "(" { None } else { Some(self.words.string()?) };
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
        let buffer = |s: &str| s.strip_prefix('b')?.parse().ok().map(BufferId);
        match buffer(self.words.text()) {
            None => self.words.number("a buffer or a number").map(SlotValue::Number),
            Some(buffer) => {
                self.words.advance();
                Ok(SlotValue::Pointer(buffer, self.distance()?))
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
            distance.terms.push((self.loop_id()?, bytes));
        }
        Ok(distance)
    }

    /// Names in calls are those of the leaves.
    fn check_names(&self, leaves: &[Program]) -> Result<(), ParseError> {
        for (mark, leaf, name) in &self.names {
            let program = leaves.get(*leaf);
            let (expected, fits) = match name {
                Name::Leaf(name) => {
                    let expected = program.map(|p| &p.name);
                    let words =
                        expected.map_or("`(`, for there is no such leaf".into(), |n| format!("`\"{n}\"`"));
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
