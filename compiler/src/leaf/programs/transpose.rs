//! Between maps that lie channel by channel and blocks of channels.
//!
//! Vectors along pixels become vectors along channels, or the other way round, in registers. Of a square of lanes `r`, rows
//! `4 g` to `4 g + 3` become, for each column `c` of a quad, one vector whose quad `q` holds column `4 q + c` of these rows:
//!
//! ```text
//! interleave_low r0, r1  = r0[0] r1[0] r0[1] r1[1] ..    join_low, join_high of this and that of r2, r3 = columns 0 and 1
//! interleave_high r0, r1 = r0[2] r1[2] r0[3] r1[3] ..    join_low, join_high of this and that of r2, r3 = columns 2 and 3
//! ```
//!
//! Even and odd quads of those of all `g` then are whole columns.

use super::builder::Builder;
use crate::leaf::{Address, Program, PtrId, Shuffle, VecId, Width};

/// From where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From channel by channel to a block.
    ToBlocks,
    /// From a block to channel by channel.
    ToPlain,
}

/// `channels` of a block at `trips * pixels` pixels in a row; the slot `trips` is a count. Of `src` and `dst` one holds a
/// pixel's channels side by side, a vector of them, and the other a channel's pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// Width of the vectors, and so of blocks.
    pub width: Width,
    /// Which of the two is which.
    pub direction: Direction,
    /// Channels of the block, from 1 to all; the lanes of others become 0 in blocks.
    pub channels: u8,
    /// Pixels of a trip, from 1 to the width.
    pub pixels: u8,
    /// From a channel to the next, on the side where its pixels lie in a row.
    pub channel_bytes: i32,
    /// From a pixel to the next, on the other side; the bytes of a vector in blocks.
    pub pixel_bytes: i32,
    /// Of a pixel, whether all lanes are read and written there, as in blocks, or those of the channels only.
    pub whole: bool,
}

impl Transpose {
    /// The program.
    pub fn program(&self) -> Program {
        let name = match self.direction {
            Direction::ToBlocks => format!("to_blocks_{}x{}", self.channels, self.pixels),
            Direction::ToPlain => format!("to_plain_{}x{}", self.pixels, self.channels),
        };
        let mut b = Builder::new(name, self.width);
        let (src, dst) = (b.pointer("src"), b.pointer("dst"));
        let missing = b.zero();
        b.repeat("trips", |b| {
            let (rows, columns) = match self.direction {
                Direction::ToBlocks => (self.channels, self.pixels),
                Direction::ToPlain => (self.pixels, self.channels),
            };
            let square = Square { rows: rows.into(), columns: columns.into(), missing };
            let lanes = if self.whole { self.width.lanes() as u8 } else { self.channels };
            let load = |b: &mut Builder, row: usize| match self.direction {
                Direction::ToBlocks => b.load_lanes(self.channel(src, row), self.pixels),
                Direction::ToPlain => b.load_lanes(self.pixel(src, row), lanes),
            };
            let store = |b: &mut Builder, column: usize, v: VecId| match self.direction {
                Direction::ToBlocks => b.store(self.pixel(dst, column), lanes, v),
                Direction::ToPlain => b.store(self.channel(dst, column), self.pixels, v),
            };
            square.transpose(b, &load, &store);
            let (block, plain) = (self.pixel_bytes * i32::from(self.pixels), 4 * i32::from(self.pixels));
            let (from, to) = match self.direction {
                Direction::ToBlocks => (plain, block),
                Direction::ToPlain => (block, plain),
            };
            b.advance(src, from);
            b.advance(dst, to);
        });
        b.finish()
    }

    fn pixel(&self, base: PtrId, pixel: usize) -> Address {
        Address::new(base, pixel as i32 * self.pixel_bytes)
    }

    fn channel(&self, base: PtrId, channel: usize) -> Address {
        Address::new(base, channel as i32 * self.channel_bytes)
    }
}

/// Rows that become columns. Those that are not there are 0, and columns beyond are not made.
struct Square {
    rows: usize,
    columns: usize,
    missing: VecId,
}

/// A vector, where it is not 0.
type Row = Option<VecId>;

impl Square {
    fn transpose(
        &self,
        b: &mut Builder,
        load: &dyn Fn(&mut Builder, usize) -> VecId,
        store: &dyn Fn(&mut Builder, usize, VecId),
    ) {
        let groups: Vec<[Row; 4]> = (0..b.width().lanes() as usize)
            .step_by(4)
            .map(|first| {
                let rows = [0, 1, 2, 3].map(|i| (first + i < self.rows).then(|| load(b, first + i)));
                self.quads(b, rows)
            })
            .collect();
        for column in 0..self.columns.min(4) {
            let of_groups: Vec<Row> = groups.iter().map(|g| g[column]).collect();
            self.join(b, &of_groups, (column, 4), store);
        }
    }

    /// The columns of each quad of four rows, of those that are wanted.
    fn quads(&self, b: &mut Builder, [r0, r1, r2, r3]: [Row; 4]) -> [Row; 4] {
        let mut out = [None; 4];
        for (first, op) in [(0, Shuffle::InterleaveLow), (2, Shuffle::InterleaveHigh)] {
            if first < self.columns {
                let halves = [self.shuffle(b, op, r0, r1), self.shuffle(b, op, r2, r3)];
                for (column, op) in [(first, Shuffle::JoinLow), (first + 1, Shuffle::JoinHigh)] {
                    if column < self.columns {
                        out[column] = self.shuffle(b, op, halves[0], halves[1]);
                    }
                }
            }
        }
        out
    }

    /// Stores the columns `first`, `first + step` .. whose quads these vectors hold by turns.
    fn join(
        &self,
        b: &mut Builder,
        of: &[Row],
        (first, step): (usize, usize),
        store: &dyn Fn(&mut Builder, usize, VecId),
    ) {
        if first >= self.columns {
            return;
        }
        if let [column] = *of {
            store(b, first, column.unwrap_or(self.missing));
            return;
        }
        for (first, op) in [(first, Shuffle::EvenQuads), (first + step, Shuffle::OddQuads)] {
            if first < self.columns {
                let halves: Vec<Row> = of
                    .chunks(2)
                    .map(|pair| self.shuffle(b, op, pair[0], pair.get(1).copied().flatten()))
                    .collect();
                self.join(b, &halves, (first, 2 * step), store);
            }
        }
    }

    /// A shuffle; nothing where both are 0.
    fn shuffle(&self, b: &mut Builder, op: Shuffle, x: Row, y: Row) -> Row {
        let (x, y) = match (x, y) {
            (None, None) => return None,
            (x, y) => (x.unwrap_or(self.missing), y.unwrap_or(self.missing)),
        };
        Some(b.shuffle(op, x, y))
    }
}
