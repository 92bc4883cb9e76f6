//! Element by element.

use super::Activation;
use super::builder::Builder;
use super::tile::lanes;
use crate::leaf::{Address, BinaryOp, Operand, Program, Width};

/// The second operand, at the pointer slot `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// None.
    Absent,
    /// A tensor that runs along with `src`.
    Along(BinaryOp),
    /// One vector for all: a value per channel of a block.
    Held(BinaryOp),
}

/// `dst = activation(op(src, other))` over `trips * vectors` vectors in a row; the slot `trips` is a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Elementwise {
    /// Width of the vectors.
    pub width: Width,
    /// Vectors of one trip.
    pub vectors: usize,
    /// The second operand.
    pub other: Other,
    /// The function that is applied.
    pub activation: Activation,
    /// Lanes of the last vector of each trip; `None` for all.
    pub tail: Option<u8>,
}

impl Elementwise {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new(format!("elementwise_{}", self.vectors), self.width);
        let (src, dst) = (b.pointer("src"), b.pointer("dst"));
        let other = match self.other {
            Other::Absent => None,
            Other::Along(_) | Other::Held(_) => Some(b.pointer("other")),
        };
        let held = match (self.other, other) {
            (Other::Held(_), Some(other)) => Some(b.load(Address::new(other, 0))),
            _ => None,
        };
        let constants = b.activation_constants(self.activation);
        let lanes = lanes(&b, self.vectors, self.tail);
        let bytes: i32 = lanes.iter().map(|l| 4 * i32::from(*l)).sum();
        b.repeat("trips", |b| {
            for (v, &lanes) in lanes.iter().enumerate() {
                let at = |p| Address::new(p, v as i32 * self.width.bytes());
                let x = b.load_lanes(at(src), lanes);
                match (self.other, other, held) {
                    (Other::Along(op), Some(other), _) => {
                        let y = b.load_lanes(at(other), lanes);
                        b.assign(x, op, x, Operand::Vector(y));
                    }
                    (Other::Held(op), _, Some(y)) => b.assign(x, op, x, Operand::Vector(y)),
                    _ => {}
                }
                b.activate(self.activation, &constants, x);
                b.store(at(dst), lanes, x);
            }
            b.advance(src, bytes);
            b.advance(dst, bytes);
            if let (Other::Along(_), Some(other)) = (self.other, other) {
                b.advance(other, bytes);
            }
        });
        b.finish()
    }
}

/// `dst = activation(src * scale + shift)` over `trips * vectors` vectors in a row: the pointer slots `scale` and `shift`
/// each hold one vector for all, the slot `trips` is a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Width of the vectors.
    pub width: Width,
    /// Vectors of one trip.
    pub vectors: usize,
    /// The function that is applied.
    pub activation: Activation,
}

impl Affine {
    /// The program.
    pub fn program(&self) -> Program {
        let mut b = Builder::new(format!("affine_{}", self.vectors), self.width);
        let (src, dst) = (b.pointer("src"), b.pointer("dst"));
        let [scale, shift] = ["scale", "shift"].map(|name| {
            let p = b.pointer(name);
            b.load(Address::new(p, 0))
        });
        let constants = b.activation_constants(self.activation);
        let (lanes, bytes) = (self.width.lanes() as u8, self.width.bytes());
        b.repeat("trips", |b| {
            for v in 0..self.vectors as i32 {
                let x = b.load(Address::new(src, v * bytes));
                let y = b.sum(shift, &[(x, scale)]);
                b.activate(self.activation, &constants, y);
                b.store(Address::new(dst, v * bytes), lanes, y);
            }
            b.advance(src, self.vectors as i32 * bytes);
            b.advance(dst, self.vectors as i32 * bytes);
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
