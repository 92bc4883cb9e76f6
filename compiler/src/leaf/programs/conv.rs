//! Direct convolution: a tile of pixels times blocks of output channels.

use std::ops::Range;

use super::builder::Builder;
use super::tile::{Ending, Tile};
use super::{Epilogue, Grid, Pixels, Reduction, tile};
use crate::leaf::{Address, Cache, Inst, Operand, Program, VecId, Width};

/// `acc[p][v] = sum over trips, taps t, channels c of src[p, t, c] * wei[trip][t][c][v]`.
///
/// `src` at `src(p) + taps[t] + 4 * c` bytes, `wei` as [`Weights`] says. One factor of the smaller of `pixels` and
/// `vectors` is held in registers, the other passes through.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Width of the vectors.
    pub width: Width,
    /// Pixels of the tile.
    pub pixels: usize,
    /// Vectors of output channels of the tile.
    pub vectors: usize,
    /// Input channels of a tap: those of a block, or fewer where the input has fewer.
    pub channels: usize,
    /// Unrolled taps: distances in bytes from the first.
    pub taps: Vec<i32>,
    /// Where the pixels' input lies; `vector_bytes` has no meaning.
    pub src: Grid,
    /// How the weights lie.
    pub weights: Weights,
    /// What is repeated.
    pub reduction: Reduction,
    /// Groups of channels that share a vector: output lane `l` sums over those input channels `c` of a tap for which
    /// `l * merged / lanes == c * merged / channels`. Other than 1 only with one vector.
    pub merged: usize,
    /// Bytes after each trip of the innermost loop that are brought near from the pointer slot `ahead` on, which goes on by as
    /// many: the weights of a later call. 0 for none; a multiple of 4.
    pub ahead: i32,
    /// What happens to the sums.
    pub epilogue: Epilogue,
}

/// How the weights of a tile lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// `[trip][tap][channel][vector][lane]` without gaps.
    Packed,
    /// `[trip][tap][channel]`, so many bytes from each to the next, and there `[vector][lane]`: a part of the rows of a
    /// matrix. Lanes of the last vector that do not exist are not read.
    Rows(i32),
}

impl Conv {
    /// Bytes from the weights of a channel to those of the next.
    fn row_bytes(&self) -> i32 {
        match self.weights {
            Weights::Packed => self.vectors as i32 * self.width.bytes(),
            Weights::Rows(bytes) => bytes,
        }
    }

    /// Bytes from the weights of a trip to those of the next.
    pub fn trip_bytes(&self) -> i32 {
        (self.taps.len() * self.channels) as i32 * self.row_bytes()
    }

    /// The program.
    pub fn program(&self) -> Program {
        tile::fitting(&self.epilogue, |ending| self.ending(ending))
    }

    fn ending(&self, ending: Ending) -> Program {
        let (pixels, vectors, width) = (self.pixels, self.vectors, self.width);
        let mut b = Builder::new(format!("conv_{pixels}x{}", vectors * width.lanes() as usize), width);
        let accumulators = if self.merged > 1 { self.merged } else { vectors };
        let tile = tile::zeros(&mut b, (pixels, accumulators));
        self.prefetch(&mut b);
        let src = b.source(&self.src, pixels);
        let wei = b.pointer("wei");
        let ahead = (self.ahead > 0).then(|| b.pointer("ahead"));
        let row_bytes = self.row_bytes();
        b.reduce(&self.reduction, &src, Some((wei, self.trip_bytes())), |b, src| {
            let held: Vec<_> = (0..vectors.min(pixels)).map(|_| b.vector()).collect();
            let passing = b.vector();
            let mut row = 0;
            for (t, tap) in self.taps.iter().enumerate() {
                for c in 0..self.channels {
                    if let Some(ahead) = ahead {
                        let lines = self
                            .lines((t * self.channels + c) as i32)
                            .map(|line| Address::new(ahead, 64 * line));
                        lines.for_each(|line| b.push(Inst::Prefetch(Cache::L2, line)));
                    }
                    let wei = |v: usize| Address::new(wei, row + v as i32 * width.bytes());
                    let src = |p: usize| src.at(p, 0, tap + 4 * c as i32);
                    // The accumulators of the channel's group.
                    let group = c * self.merged / self.channels;
                    let own = group..group + if self.merged > 1 { 1 } else { vectors };
                    self.step(b, (&tile, own), (&held, passing), (&src, &wei));
                    row += row_bytes;
                }
            }
            if let Some(ahead) = ahead {
                b.advance(ahead, self.ahead);
            }
        });
        match self.merged {
            1 => tile::finish(&mut b, &self.epilogue, &tile, ending),
            _ => tile::finish_merged(&mut b, &self.epilogue, &tile, ending),
        }
        b.finish()
    }

    /// Those of the lines that a trip brings near which are due at a row of its weights: few can be on their way at once.
    fn lines(&self, row: i32) -> Range<i32> {
        let (lines, rows) = ((self.ahead + 63) / 64, (self.taps.len() * self.channels) as i32);
        row * lines / rows..(row + 1) * lines / rows
    }

    /// Brings near where results go, where pixels lie in pages of their own: no pattern of theirs tells of the next.
    fn prefetch(&self, b: &mut Builder) {
        const PAGE: i32 = 4096;
        let dst = &self.epilogue.dst;
        if !matches!(dst.pixels, Pixels::Strided { bytes, repeat: 1 } if bytes.abs() >= PAGE) {
            return;
        }
        let places = b.places("dst", dst, self.pixels);
        for p in 0..self.pixels {
            let pixel = b.pixel(&places, p);
            let vectors = (0..self.vectors).step_by((64 / self.width.bytes()) as usize);
            vectors.for_each(|v| b.push(Inst::Prefetch(Cache::L1, pixel.at(v, 0))));
        }
    }

    /// The products of one input channel, in these accumulators of each pixel.
    fn step(
        &self,
        b: &mut Builder,
        (tile, own): (&Tile, Range<usize>),
        (held, passing): (&[VecId], VecId),
        (src, wei): (&dyn Fn(usize) -> Address, &dyn Fn(usize) -> Address),
    ) {
        let tail = self.epilogue.tail.filter(|_| self.weights != Weights::Packed);
        let lanes = tile::lanes(b, self.vectors, tail);
        if self.vectors <= self.pixels {
            for (v, &dst) in held.iter().enumerate() {
                b.push(Inst::Load { dst, from: wei(v), lanes: lanes[v] });
            }
            for (p, row) in tile.iter().enumerate() {
                let row = &row[own.clone()];
                // A broadcast operand costs no register and no instruction, but one load per use.
                if self.width == Width::W16 && self.vectors == 1 {
                    b.fma(row[0], held[0], Operand::Broadcast(src(p)));
                    continue;
                }
                b.push(Inst::Broadcast { dst: passing, from: src(p) });
                row.iter().zip(held).for_each(|(&acc, &w)| b.fma(acc, passing, Operand::Vector(w)));
            }
        } else {
            for (p, &dst) in held.iter().enumerate() {
                b.push(Inst::Broadcast { dst, from: src(p) });
            }
            for v in 0..self.vectors {
                b.push(Inst::Load { dst: passing, from: wei(v), lanes: lanes[v] });
                let accs = tile.iter().map(|row| row[own.start + v]);
                accs.zip(held).for_each(|(acc, &x)| b.fma(acc, x, Operand::Vector(passing)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_near_one_after_the_other() {
        let grid = || Grid { pixels: Pixels::Strided { bytes: 64, repeat: 1 }, vector_bytes: 4096 };
        let conv = |ahead| Conv {
            width: Width::W16,
            pixels: 2,
            vectors: 2,
            channels: 16,
            taps: vec![0, 64],
            src: grid(),
            weights: Weights::Packed,
            reduction: Reduction::Loops(Vec::new()),
            merged: 1,
            ahead,
            epilogue: Epilogue::store(grid()),
        };
        for (ahead, lines) in [(4, 1), (64, 1), (100, 2), (640, 10), (2048, 32), (4096, 64)] {
            let (mut places, mut between, mut longest) = (Vec::new(), 0, 0);
            for inst in conv(ahead).program().body {
                match inst {
                    Inst::Prefetch(Cache::L2, at) => places.push(at.bytes),
                    Inst::Prefetch(Cache::L1, at) => panic!("{at} is brought too near"),
                    Inst::Fma { .. } => between += 1,
                    _ => continue,
                }
                if matches!(inst, Inst::Prefetch(..)) {
                    longest = longest.max(std::mem::take(&mut between));
                }
            }
            let expected: Vec<i32> = (0..lines).map(|line| 64 * line).collect();
            assert_eq!(places, expected, "{ahead} bytes");
            // Two taps of 16 channels are 32 rows of 4 multiply-adds.
            let row = 4;
            let even = if lines > 1 { 32usize.div_ceil(lines as usize) * row } else { 32 * row };
            assert!(longest <= even, "{ahead} bytes: {longest} multiply-adds between two lines");
        }
    }
}
