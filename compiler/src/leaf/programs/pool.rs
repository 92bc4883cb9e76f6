//! Maximum and average pooling: averages are sums that the end multiplies.

use super::builder::{Builder, Source};
use super::tile::Ending;
use super::{Epilogue, Grid, Reduction, tile};
use crate::leaf::{BinaryOp, Inst, Operand, Predicate, Program, Width};

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PoolKind {
    /// The largest element, from `-inf`; NaN if one is NaN.
    Max,
    /// The sum of the elements.
    Sum,
}

/// How the elements of a window are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// One after the other.
    Single,
    /// Where there are two loops, those of each run of the inner one, and then these sums: fewer digits are lost.
    Runs,
}

/// `acc[p][v] = max or sum over trips, taps t of src[p, t][v]`, lane by lane; `src` at `src(p, v) + taps[t]` bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Width of the vectors.
    pub width: Width,
    /// Pixels of the tile.
    pub pixels: usize,
    /// Vectors of channels of the tile.
    pub vectors: usize,
    /// Unrolled taps: distances in bytes from the first.
    pub taps: Vec<i32>,
    /// Where the pixels' input lies.
    pub src: Grid,
    /// What is repeated.
    pub reduction: Reduction,
    /// What a window becomes.
    pub kind: PoolKind,
    /// How sums are made.
    pub sums: Sums,
    /// What happens to the results.
    pub epilogue: Epilogue,
}

impl Pool {
    /// The program.
    pub fn program(&self) -> Program {
        tile::fitting(&self.epilogue, |ending| self.ending(ending))
    }

    fn ending(&self, ending: Ending) -> Program {
        let (kind, first) = match self.kind {
            PoolKind::Max => ("max_pool", f32::NEG_INFINITY),
            PoolKind::Sum => ("sum_pool", 0.0),
        };
        let lanes = self.vectors * self.width.lanes() as usize;
        let mut b = Builder::new(format!("{kind}_{}x{lanes}", self.pixels), self.width);
        let tile: tile::Tile =
            (0..self.pixels).map(|_| (0..self.vectors).map(|_| b.splat(first)).collect()).collect();
        let src = b.source(&self.src, self.pixels);
        match (&self.reduction, self.kind, self.sums) {
            (Reduction::Loops(axes), PoolKind::Sum, Sums::Runs) if axes.len() == 2 => b.runs(
                [&axes[0], &axes[1]],
                &src,
                |b| tile.iter().map(|row| row.iter().map(|_| b.zero()).collect()).collect::<tile::Tile>(),
                |b, run| self.accumulate(b, run, &src),
                |b, run| {
                    let pairs = tile.iter().flatten().zip(run.iter().flatten());
                    pairs.for_each(|(&acc, &x)| b.assign(acc, BinaryOp::Add, acc, Operand::Vector(x)));
                },
            ),
            _ => b.reduce(&self.reduction, &src, None, |b, src| self.accumulate(b, &tile, src)),
        }
        tile::finish(&mut b, &self.epilogue, &tile, ending);
        b.finish()
    }

    /// The elements at all taps.
    fn accumulate(&self, b: &mut Builder, tile: &tile::Tile, src: &Source) {
        for tap in &self.taps {
            for (p, row) in tile.iter().enumerate() {
                for (v, &acc) in row.iter().enumerate() {
                    let x = Operand::Memory(src.at(p, v, *tap));
                    match self.kind {
                        PoolKind::Sum => b.assign(acc, BinaryOp::Add, acc, x),
                        PoolKind::Max => {
                            let nan = b.vector();
                            b.push(Inst::Compare { op: Predicate::Unordered, dst: nan, a: acc, b: acc });
                            b.assign(acc, BinaryOp::Max, acc, x);
                            b.assign(acc, BinaryOp::Or, acc, Operand::Vector(nan));
                        }
                    }
                }
            }
        }
    }
}
