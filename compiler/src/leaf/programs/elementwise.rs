//! Element by element.

use super::builder::Builder;
use super::formula::{Formula, From, OPERAND};
use super::hoist::hoisted;
use super::tile::lanes;
use crate::leaf::{Address, Program, PtrId, VecId, Width, registers};

/// How an operand goes on along the elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// With them.
    Along,
    /// One vector for all: a value per channel of a block.
    Held,
    /// One element for all.
    Single,
}

/// `dst = formula(operands)` over `trips * vectors` vectors in a row; the slot `trips` is a count, operand `k` at the slot
/// [`OPERAND`]`[k]`. The formula has no result of a tile.
#[derive(Clone, Debug, PartialEq)]
pub struct Elementwise {
    /// Width of the vectors.
    pub width: Width,
    /// Vectors of one trip.
    pub vectors: usize,
    /// What is computed.
    pub formula: Formula,
    /// How each operand goes on.
    pub operands: Vec<Reads>,
    /// Lanes of the last vector of each trip; `None` for all.
    pub tail: Option<u8>,
}

impl Elementwise {
    /// Whether a formula fits the registers of a width, with its operands and constants held there, where nothing else is.
    pub fn fits(formula: Formula, width: Width) -> bool {
        // Each step of a short one is one register at most.
        if formula.is_short() {
            return true;
        }
        let operands = vec![Reads::Held; formula.operands()];
        registers::fits(&Elementwise { width, vectors: 1, formula, operands, tail: None }.program())
    }

    /// The program: statements of as many vectors in turn as the registers hold, where they are many.
    pub fn program(&self) -> Program {
        let most = if self.formula.is_short() { 1 } else { self.vectors };
        let all = (2..=most).rev().map(|together| self.together(together));
        hoisted(all.into_iter().find(registers::fits).unwrap_or_else(|| self.together(1)))
    }

    fn together(&self, together: usize) -> Program {
        let mut b = Builder::new(format!("elementwise_{}", self.vectors), self.width);
        let pointers: Vec<PtrId> =
            OPERAND.iter().take(self.operands.len()).map(|name| b.pointer(name)).collect();
        let dst = b.pointer("dst");
        let held: Vec<Option<VecId>> = self
            .operands
            .iter()
            .zip(&pointers)
            .map(|(reads, p)| match reads {
                Reads::Along => None,
                Reads::Held => Some(b.load(Address::new(*p, 0))),
                Reads::Single => Some(b.broadcast(Address::new(*p, 0))),
            })
            .collect();
        let constants = self.formula.constants(&mut b);
        let lanes = lanes(&b, self.vectors, self.tail);
        let bytes: i32 = lanes.iter().map(|l| 4 * i32::from(*l)).sum();
        b.repeat("trips", |b| {
            let vector = |b: &mut Builder, v: usize, lanes: u8| {
                let at = |p| Address::new(p, v as i32 * self.width.bytes());
                let x = self.formula.write(b, &constants, None, &mut |b, k| match held
                    .get(k)
                    .copied()
                    .flatten()
                {
                    Some(v) => From::Held(v),
                    None => match pointers.get(k) {
                        Some(p) => From::Memory(at(*p), lanes),
                        None => From::Held(b.zero()),
                    },
                });
                b.store(at(dst), lanes, x);
            };
            let numbered: Vec<(usize, u8)> = lanes.iter().copied().enumerate().collect();
            for several in numbered.chunks(together) {
                let all = several.iter().map(|(v, lanes)| b.aside(|b| vector(b, *v, *lanes))).collect();
                b.in_turns(all);
            }
            for (p, reads) in pointers.iter().zip(&self.operands) {
                if *reads == Reads::Along {
                    b.advance(*p, bytes);
                }
            }
            b.advance(dst, bytes);
        });
        b.finish()
    }
}

/// `dst = value` for `trips` (a count slot) vectors in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Fill {
    /// Width of the vectors.
    pub width: Width,
    /// What is stored; not NaN.
    pub value: f32,
    /// Lanes of the vectors; those of a trip lie behind those of the one before.
    pub lanes: u8,
}

impl Fill {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new("fill".into(), self.width);
        let dst = b.pointer("dst");
        let value = b.splat(self.value);
        b.repeat("trips", |b| {
            b.store(Address::new(dst, 0), self.lanes, value);
            b.advance(dst, 4 * i32::from(self.lanes));
        });
        b.finish()
    }
}
