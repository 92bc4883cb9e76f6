//! What happens to the results of an operator before they are stored.

use octrt_ops::expr::{BufId, CompareFn, Expr};
use octrt_ops::{DType, TensorType};

use crate::layout::{AXES, Map};

/// A function of each result: an expression of [`Expr::Acc`], the result, and of elements `b0[]`, `b1[]`, .. of the operands
/// that belong to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tail {
    /// The function.
    pub value: Expr,
    /// The tensors that it reads; their buffers follow those of the operator in this order.
    pub operands: Vec<Operand>,
}

/// A tensor that a tail reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// A map of the extents of the output, rows and columns divided by `repeat`, rounded up: nearest upsampling.
    Map {
        /// Where it lies.
        map: Map,
        /// Rows and columns of the output that share a pixel.
        repeat: usize,
    },
    /// A map of one pixel, whose elements are those of all pixels of a channel.
    Pixel(Map),
    /// So many elements, one for each channel of all blocks.
    Channel(usize),
    /// A part of the products of matrices: elements along those of its products, rows and columns of which it has several.
    Product([usize; 3]),
}

impl Tail {
    /// Stores results as they are.
    pub const NONE: Tail = Tail { value: Expr::Acc, operands: Vec::new() };

    /// A function of the result alone.
    pub fn of(value: Expr) -> Tail {
        Tail { value, operands: Vec::new() }
    }

    /// `x < 0 ? 0 : x`.
    pub fn relu() -> Tail {
        let negative = Expr::compare(CompareFn::Lt, Expr::Acc, Expr::f32(0.0));
        Tail::of(negative.select(Expr::f32(0.0), Expr::Acc))
    }

    /// An element of operand `k`, in the expression of a tail.
    pub fn operand(k: usize) -> Expr {
        Expr::load(BufId(k as u32), [])
    }

    /// What becomes of `result`, of the elements of operands that `element` gives.
    pub(crate) fn finished(&self, result: &Expr, element: &dyn Fn(usize, &Operand) -> Expr) -> Expr {
        self.value.map(&mut |e| match e {
            Expr::Acc => Some(result.clone()),
            Expr::Load(b, _) => {
                let k = b.index();
                self.operands.get(k).map(|operand| element(k, operand))
            }
            _ => None,
        })
    }
}

impl Operand {
    /// Its type as it lies.
    pub fn ty(&self) -> TensorType {
        match self {
            Operand::Map { map, .. } | Operand::Pixel(map) => map.ty(),
            Operand::Channel(n) => TensorType::new(DType::F32, [*n]),
            Operand::Product(extents) => {
                let several: Vec<usize> = extents.iter().copied().filter(|n| *n > 1).collect();
                TensorType::new(DType::F32, several)
            }
        }
    }

    /// Rows and columns of the output that share a pixel.
    pub fn repeat(&self) -> usize {
        match self {
            Operand::Map { repeat, .. } => *repeat,
            Operand::Pixel(_) | Operand::Channel(_) | Operand::Product(_) => 1,
        }
    }

    /// The index of the element that belongs to one of products of matrices: product, row and column.
    pub(crate) fn of_product(&self, at: [Expr; 3]) -> Vec<Expr> {
        match self {
            Operand::Product(extents) => {
                let several = at.into_iter().zip(extents).filter(|(_, n)| **n > 1);
                several.map(|(e, _)| e).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The index of its element for a channel, and for a position of the map whose axes those of `at` are.
    pub(crate) fn index(&self, image: &Expr, channel: &Expr, at: &[Expr]) -> Vec<Expr> {
        match self {
            Operand::Map { map, repeat } => {
                let position = at.iter().map(|e| match repeat {
                    1 => e.clone(),
                    n => e.clone() / Expr::int(*n),
                });
                crate::nest::blocked::index(map, image, channel.clone(), position.collect())
            }
            Operand::Pixel(map) => {
                let position = vec![Expr::int(0); at.len().min(AXES)];
                crate::nest::blocked::index(map, image, channel.clone(), position)
            }
            Operand::Channel(_) => vec![channel.clone()],
            Operand::Product(_) => Vec::new(),
        }
    }
}
