//! How tiles are chunked, and where their transforms lie.

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use crate::layout::Map;
use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::nest::build::Builder;
use crate::strategy::conv::ConvProblem;
use crate::target::Target;

/// Numbers of a cache line.
const LINE: usize = 16;

/// Most bytes of weights, V and M that are taken to be near at once: they are strided, and lie in many pages.
const MOST_BYTES: usize = 1 << 20;

/// Rows of tiles of a map.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) size: Winograd,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Tiles {
    pub(super) fn of(map: &Map, size: Winograd) -> Tiles {
        let of = |extent: usize| extent.div_ceil(size.output());
        Tiles { size, rows: of(map.h), columns: of(map.w) }
    }

    /// Tiles in `rows` rows from `first` on of a map, as whole ones and those cut at its ends: row and column of the first, numbers of
    /// them, rows and columns of their pixels that exist.
    pub(super) fn runs(&self, rows: usize, last: bool, map: &Map) -> Vec<[(usize, usize, usize); 2]> {
        let m = self.size.output();
        let axis = |tiles: usize, extent: usize, cut: bool| {
            let rest = extent % m;
            match cut && rest != 0 {
                true => vec![(0, tiles - 1, m), (tiles - 1, 1, rest)],
                false => vec![(0, tiles, m)],
            }
        };
        let columns = axis(self.columns, map.w, true);
        let rows = axis(rows, map.h, last);
        let all = rows.iter().flat_map(|r| columns.iter().map(move |c| [*r, *c]));
        all.filter(|[r, c]| r.1 > 0 && c.1 > 0).collect()
    }
}

/// In how many chunks a convolution is computed where nobody names a number.
pub(in crate::strategy) fn chunks(p: &ConvProblem, size: Winograd, target: Target) -> usize {
    let tiles = Tiles::of(&p.dst, size);
    let rows = chunk_rows(p, tiles, target).filter(|_| p.dst.h.is_multiple_of(size.output()));
    rows.map_or(1, |rows| tiles.rows / rows)
}

/// Whether a convolution can be computed in so many chunks: all of equal, whole tiles.
pub(in crate::strategy) fn divides(p: &ConvProblem, size: Winograd, chunks: usize) -> bool {
    let rows = Tiles::of(&p.dst, size).rows;
    p.dst.h.is_multiple_of(size.output()) && rows.is_multiple_of(chunks)
}

/// How many rows of tiles make a chunk, so that the fewest bytes come from beyond the level-2 cache: weights once for each
/// chunk, V and M where those of a chunk do not fit. `None` for one chunk.
fn chunk_rows(p: &ConvProblem, tiles: Tiles, target: Target) -> Option<usize> {
    let elements = tiles.size.input() * tiles.size.input();
    let lanes = p.src.layout.lanes;
    let row = elements * tiles.columns * 4 * lanes * (p.src_blocks() + p.dst_blocks());
    let weights = weight_bytes(p, tiles.size);
    let l2 = target.caches().l2.min(MOST_BYTES);
    let traffic = |rows: usize| {
        let again = if weights + row * rows <= l2 { 1 } else { tiles.rows / rows };
        weights * again + if row * rows <= l2 { 0 } else { 2 * row * tiles.rows }
    };
    let divides = |r: &usize| tiles.rows.is_multiple_of(*r);
    let rows = (1..=tiles.rows).filter(divides).min_by_key(|r| (traffic(*r), tiles.rows - r))?;
    (rows < tiles.rows).then_some(rows)
}

/// Bytes of the transformed weights.
pub(super) fn weight_bytes(p: &ConvProblem, size: Winograd) -> usize {
    let lanes = p.src.layout.lanes;
    4 * size.input() * size.input() * p.src_blocks() * p.dst_blocks() * lanes * lanes
}

/// Tiles in V and M: vectors `[element][block][tile]`, for each picture where several share the buffer.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) buffer: BufId,
    pub(super) tiles: usize,
    lanes: usize,
    batched: bool,
}

impl Planes {
    /// The type for so many blocks and tiles. Elements lie an odd number of cache lines apart, so that those of a tile do not
    /// compete for one place in the cache.
    pub(super) fn ty(width: Width, size: Winograd, blocks: usize, tiles: usize) -> TensorType {
        let lines = (blocks * tiles * width.lanes() as usize).div_ceil(LINE) | 1;
        TensorType::new(DType::F32, [size.input() * size.input(), LINE * lines])
    }

    /// Those of one thread, or of every picture of a batch.
    pub(super) fn new(buffer: BufId, width: Width, tiles: usize, batched: bool) -> Planes {
        Planes { buffer, tiles, lanes: width.lanes() as usize, batched }
    }

    /// The first lane of an element of a tile.
    pub(super) fn index(&self, image: &Expr, element: &Expr, block: &Expr, tile: &Expr) -> Vec<Expr> {
        let vector = block.clone() * Expr::int(self.tiles) + tile.clone();
        let image = self.batched.then(|| image.clone());
        image.into_iter().chain([element.clone(), vector * Expr::int(self.lanes)]).collect()
    }

    /// Bytes from one element to the next, and from one block of channels.
    pub(super) fn strides(&self, b: &Builder) -> [i64; 2] {
        let (none, [element, block]) = (Expr::int(0), [0, 1].map(VarId));
        let index = self.index(&none, &Expr::Var(element), &Expr::Var(block), &none);
        b.strides(self.buffer, &index, [element, block])
    }
}
