//! Products of packed rows with vectors that lie in memory as they are.

use super::Activation;
use super::builder::Builder;
use super::tile::lanes;
use crate::leaf::{Address, Inst, Operand, Program, VecId, Width};

/// `dst[r][x] = activation(bias[r] + sum over k, taps t of left[k][t][r] * right[k][x + t])` for some rows `r` and the lanes
/// `x` of a few vectors side by side. `k` runs over `terms` terms in each of `trips` trips, a count slot. `left` is packed
/// `[k][tap][packed]` without gaps, `bias` has one element for each row.
#[derive(Clone, Debug, PartialEq)]
pub struct Product {
    /// Width of the vectors.
    pub width: Width,
    /// Rows of the result.
    pub rows: usize,
    /// Rows for which there is room in `left`, at least `rows`.
    pub packed: usize,
    /// Vectors of a row.
    pub vectors: usize,
    /// Terms of a trip.
    pub terms: usize,
    /// Distances in bytes from the first tap.
    pub taps: Vec<i32>,
    /// From one `k` of `right` to the next.
    pub right_bytes: i32,
    /// From one row of `dst` to the next.
    pub dst_bytes: i32,
    /// Lanes of the last vector that exist; `None` for all.
    pub tail: Option<u8>,
    /// The function that is applied.
    pub activation: Activation,
}

impl Product {
    /// The program.
    pub fn program(&self) -> Program {
        let (rows, vectors) = (self.rows, self.vectors);
        let full = self.width.lanes() as usize;
        let mut b = Builder::new(format!("product_{rows}x{}", vectors * full), self.width);
        let (left, right, bias) = (b.pointer("left"), b.pointer("right"), b.pointer("bias"));
        let lanes = lanes(&b, vectors, self.tail);
        let tile: Vec<Vec<VecId>> =
            (0..rows).map(|r| start(&mut b, Address::new(bias, 4 * r as i32), vectors)).collect();
        // Each trip brings a row of the result near, which is written at the end.
        let (dst, near) = (b.pointer("dst"), b.pointer("dst"));
        let row_bytes: i32 = lanes.iter().map(|l| 4 * i32::from(*l)).sum();
        b.repeat("trips", |b| {
            let lines = (0..row_bytes).step_by(64).chain([row_bytes - 4]);
            lines.for_each(|at| b.push(Inst::Prefetch(Address::new(near, at))));
            b.advance(near, self.dst_bytes);
            let held: Vec<VecId> = (0..vectors).map(|_| b.vector()).collect();
            let passing = b.vector();
            let mut packed = 0;
            for term in 0..self.terms as i32 {
                for tap in &self.taps {
                    let at = term * self.right_bytes + tap;
                    for (v, &dst) in held.iter().enumerate() {
                        let from = Address::new(right, at + v as i32 * self.width.bytes());
                        b.push(Inst::Load { dst, from, lanes: lanes[v] });
                    }
                    for (r, row) in tile.iter().enumerate() {
                        let from = Address::new(left, packed + 4 * r as i32);
                        b.push(Inst::Broadcast { dst: passing, from });
                        row.iter().zip(&held).for_each(|(&acc, &x)| b.fma(acc, passing, Operand::Vector(x)));
                    }
                    packed += 4 * self.packed as i32;
                }
            }
            b.advance(left, packed);
            b.advance(right, self.terms as i32 * self.right_bytes);
        });
        let constants = b.activation_constants(self.activation);
        for (r, row) in tile.iter().enumerate() {
            for (v, &acc) in row.iter().enumerate() {
                b.activate(self.activation, &constants, acc);
                let to = Address::new(dst, r as i32 * self.dst_bytes + v as i32 * self.width.bytes());
                b.store(to, lanes[v], acc);
            }
        }
        b.finish()
    }
}

/// Accumulators of a row that start from one element.
fn start(b: &mut Builder, from: Address, vectors: usize) -> Vec<VecId> {
    let first = b.vector();
    b.push(Inst::Broadcast { dst: first, from });
    let copy = |b: &mut Builder| {
        let dst = b.vector();
        b.push(Inst::Copy { dst, src: first });
        dst
    };
    std::iter::once(first).chain((1..vectors).map(|_| copy(b)).collect::<Vec<_>>()).collect()
}
