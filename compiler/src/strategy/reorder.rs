//! Between plain maps and maps in blocks of channels.
//!
//! ```text
//! for block parallel  for plane  for row
//!   call to_blocks: for full vectors of pixels
//!   call to_blocks: the pixels left over
//! ```
//!
//! Where no map has a halo, all pixels are one row. Channels that do not fill their block are transposed by a program of
//! their own. Threads share pictures, blocks, rows, planes or runs of pixels, the first of these of which there are enough.

use octrt_ops::expr::Expr;

use crate::layout::Map;
use crate::leaf::Width;
use crate::leaf::programs::{Direction, Transpose};
use crate::nest::build::{Builder, Value};
use crate::nest::strides::Strides;
use crate::nest::{BufferRole, Nest};
use crate::strategy::refusal::{Refusal, distance};
use crate::target::Target;

/// Iterations of the parallel loop that are enough for any number of threads.
const PARTS: usize = 8;

/// Most runs that a row is cut into.
const RUNS: usize = 16;

/// What the iterations of the parallel loop are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    Images,
    Blocks,
    Planes,
    Rows,
    /// Of equal length, of a row of vectors.
    Runs,
}

/// How the pixels of a channel are walked through.
#[derive(Clone, Copy, Debug)]
struct Walk {
    shared: Shared,
    planes: usize,
    rows: usize,
    /// Runs of a row.
    runs: usize,
    columns: usize,
}

impl Walk {
    fn of(plain: &Map, blocks: &Map) -> Walk {
        let lanes = blocks.layout.lanes;
        let apart = !plain.layout.halo.is_none() || !blocks.layout.halo.is_none();
        let by_rows =
            Walk { shared: Shared::Rows, planes: plain.d, rows: plain.h, runs: 1, columns: plain.w };
        let in_one = Walk { planes: 1, rows: 1, columns: plain.pixels(), ..by_rows };
        let mut walk = if apart { by_rows } else { in_one };
        // One row that does not share evenly is walked through as several.
        let (vectors, rest) = (walk.columns / lanes, walk.columns % lanes);
        let runs = (1..=RUNS).rev().find(|n| rest == 0 && vectors.is_multiple_of(*n)).unwrap_or(1);
        let full = if plain.c.is_multiple_of(lanes) { plain.c / lanes } else { 1 };
        if !apart && runs == 1 && plain.w >= lanes && plain.mb.max(full) < PARTS {
            walk = by_rows;
        }
        let runs = if walk.planes * walk.rows > 1 { 1 } else { runs };
        let shares = [
            (Shared::Images, plain.mb),
            (Shared::Blocks, full),
            (Shared::Rows, walk.rows),
            (Shared::Planes, walk.planes),
            (Shared::Runs, runs),
        ];
        let enough = shares.iter().find(|(_, parts)| *parts >= PARTS);
        let most = shares.iter().rev().max_by_key(|(_, parts)| *parts);
        let shared = enough.or(most).map_or(Shared::Images, |(shared, _)| *shared);
        Walk { shared, runs: if shared == Shared::Runs { runs } else { 1 }, ..walk }
    }

    /// Iterations of a loop: of the parallel one where it is that, else of one inside.
    fn extents(self, of: Shared, extent: usize) -> (usize, usize) {
        if self.shared == of { (extent, 1) } else { (1, extent) }
    }
}

/// The nest that brings `src`, of which one lane or all of the target's lie side by side, into the layout of `dst`, where it
/// is the other way round. Halos of `dst` stay. Buffers: src, dst.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, for other layouts, for maps of one pixel, and for distances of more than 32
/// bits.
pub fn nest(src: &Map, dst: &Map, target: Target) -> Result<Nest, Refusal> {
    nest_in(src, dst, None, target)
}

/// The nest whose parallel loop is the blocks of channels of one picture.
///
/// # Errors
/// As [`nest`], and where channels do not fill blocks.
pub fn nest_by_blocks(src: &Map, dst: &Map, target: Target) -> Result<Nest, Refusal> {
    let lanes = src.layout.lanes.max(dst.layout.lanes);
    if src.mb > 1 || !src.c.is_multiple_of(lanes) {
        return Err(Refusal::Unfit("blocks of channels of one picture that are not all full"));
    }
    nest_in(src, dst, Some(Shared::Blocks), target)
}

fn nest_in(src: &Map, dst: &Map, shared: Option<Shared>, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let lanes = width.lanes() as usize;
    let (direction, plain, blocks) = match (src.layout.lanes, dst.layout.lanes) {
        (1, to) if to == lanes => (Direction::ToBlocks, src, dst),
        (from, 1) if from == lanes => (Direction::ToPlain, dst, src),
        _ => return Err(Refusal::Unfit("a reorder other than between plain and blocks of the target")),
    };
    if plain.pixels() == 1 {
        return Err(Refusal::Unfit("channels that lie side by side in both layouts"));
    }
    let channel = Strides::of(plain).block;
    distance(channel * lanes as i64)?;
    let channel_bytes = distance(channel)?;
    let walk = Walk::of(plain, blocks);
    let walk = shared.map_or(walk, |shared| Walk { shared, runs: 1, ..walk });
    let full = plain.c / lanes;
    let [images, all, planes, rows, runs] = [
        walk.extents(Shared::Images, plain.mb),
        walk.extents(Shared::Blocks, full),
        walk.extents(Shared::Planes, walk.planes),
        walk.extents(Shared::Rows, walk.rows),
        walk.extents(Shared::Runs, walk.runs),
    ];
    let mut b = Builder::new("reorder", images.0 * all.0 * planes.0 * rows.0 * runs.0);
    let [from, to] = [(src, BufferRole::Src), (dst, BufferRole::Dst)].map(|(m, role)| b.buffer(m.ty(), role));
    let outer = b.parallel();
    let at = |of: Shared, inner: &Expr| if walk.shared == of { outer.clone() } else { inner.clone() };
    let calls = Calls { width, direction, channel_bytes, walk, maps: [(from, src), (to, dst)] };
    b.each(images.1, |b, image| {
        let image = at(Shared::Images, image);
        let of_block = |b: &mut Builder, block: &Expr, channels: usize| {
            b.each(planes.1, |b, plane| {
                let plane = at(Shared::Planes, plane);
                b.each(rows.1, |b, row| {
                    let row = at(Shared::Rows, row);
                    b.each(runs.1, |b, run| {
                        let place = [&image, block, &plane, &row, &at(Shared::Runs, run)];
                        calls.row(b, place.map(Expr::clone), channels)
                    })
                })
            })
        };
        b.each(all.1, |b, block| of_block(b, &at(Shared::Blocks, block), lanes))?;
        match plain.c % lanes {
            0 => Ok(()),
            channels => of_block(b, &Expr::int(full), channels),
        }
    })?;
    b.finish()
}

/// What calls have in common.
struct Calls<'a> {
    width: Width,
    direction: Direction,
    channel_bytes: i32,
    walk: Walk,
    /// Source and destination.
    maps: [(octrt_ops::expr::BufId, &'a Map); 2],
}

impl Calls<'_> {
    /// Calls for one run of a row of a block.
    fn row(
        &self,
        b: &mut Builder,
        [image, block, plane, row, run]: [Expr; 5],
        channels: usize,
    ) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let vectors = self.walk.columns / lanes / self.walk.runs;
        let rest = self.walk.columns % lanes;
        for (pixels, first, trips) in [(lanes, 0, vectors), (rest, vectors * lanes, usize::from(rest > 0))] {
            if trips == 0 {
                continue;
            }
            let leaf = Transpose {
                width: self.width,
                direction: self.direction,
                channels: channels as u8,
                pixels: pixels as u8,
                channel_bytes: self.channel_bytes,
                pixel_bytes: self.width.bytes(),
                whole: true,
            };
            let place = |(buffer, map): (octrt_ops::expr::BufId, &Map)| {
                let column = run.clone() * Expr::int(vectors * lanes) + Expr::int(first);
                let pixel = [plane.clone(), row.clone(), column];
                let mut index = map.index(&image, &block, pixel);
                if map.layout.lanes == 1 {
                    index[1] = block.clone() * Expr::int(lanes);
                }
                Some(Value::At(buffer, index))
            };
            b.call(leaf.program(), &|name| match name {
                "src" => place(self.maps[0]),
                "dst" => place(self.maps[1]),
                "trips" => Some(Value::Number(trips as i64)),
                _ => None,
            })?;
        }
        Ok(())
    }
}
