//! Depthwise convolution: every channel by itself.

use super::builder::Builder;
use super::tile::Ending;
use super::{Epilogue, Grid, Reduction, tile};
use crate::leaf::{Address, Operand, Program, Width};

/// `acc[p][v] = sum over trips, taps t of src[p, t][v] * wei[trip][t][v]`, lane by lane.
///
/// `src` at `src(p, v) + taps[t]` bytes; `wei` is packed `[trip][tap][vector][lane]` without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct Depthwise {
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
    /// What happens to the sums.
    pub epilogue: Epilogue,
}

impl Depthwise {
    /// The program.
    pub fn program(&self) -> Program {
        tile::fitting(&self.epilogue, |ending| self.ending(ending))
    }

    fn ending(&self, ending: Ending) -> Program {
        let (pixels, vectors, width) = (self.pixels, self.vectors, self.width);
        let mut b = Builder::new(format!("depthwise_{pixels}x{}", vectors * width.lanes() as usize), width);
        let tile = tile::zeros(&mut b, (pixels, vectors));
        let src = b.source(&self.src, pixels);
        let wei = b.pointer("wei");
        let wei_bytes = (self.taps.len() * vectors) as i32 * width.bytes();
        b.reduce(&self.reduction, &src, Some((wei, wei_bytes)), |b, src| {
            for (t, tap) in self.taps.iter().enumerate() {
                for v in 0..vectors {
                    let w = b.load(Address::new(wei, (t * vectors + v) as i32 * width.bytes()));
                    for (p, row) in tile.iter().enumerate() {
                        b.fma(row[v], w, Operand::Memory(src.at(p, v, *tap)));
                    }
                }
            }
        });
        tile::finish(&mut b, &self.epilogue, &tile, ending);
        b.finish()
    }
}
