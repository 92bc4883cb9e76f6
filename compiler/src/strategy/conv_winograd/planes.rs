//! How tiles are chunked, and where their transforms lie.

use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::nest::build::Builder;
use crate::strategy::conv::ConvProblem;
use crate::target::Target;

/// Numbers of a cache line.
const LINE: usize = 16;

/// Most bytes of weights, V and M that are taken to be near at once: they are strided, and lie in many pages.
const MOST_BYTES: usize = 1 << 20;

/// The tiles of a result. Windows of a dilation d see rows that lie d apart: the map is d grids of such rows, and as many of
/// columns, each with tiles of its own. A map of several planes has tiles in each of them.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub(super) size: Winograd,
    /// Rows and columns of tiles.
    pub(super) axes: [Grids; 2],
    /// Planes of the input whose tiles are transformed, and of the result.
    pub(super) planes: [usize; 2],
}

/// The grids along an axis.
#[derive(Clone, Copy)]
pub(super) struct Grids {
    /// Pixels of the axis.
    extent: usize,
    /// How many grids there are.
    pub(super) count: usize,
}

/// Neighbouring grids of equal extents, and in each of them neighbouring tiles that are stored alike.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// The first grid, and how many.
    pub(super) grids: (usize, usize),
    /// Tiles of the axis before those of the first grid, and tiles of each grid.
    pub(super) before: (usize, usize),
    /// The first tile of the run in its grid, and how many.
    pub(super) tiles: (usize, usize),
    /// Pixels of a tile that exist.
    pub(super) pixels: usize,
}

impl Grids {
    /// Grids of equal extents: the first, how many, and their pixels.
    fn alike(self) -> impl Iterator<Item = (usize, usize, usize)> {
        let (each, longer) = (self.extent / self.count, self.extent % self.count);
        [(0, longer, each + 1), (longer, self.count - longer, each)]
            .into_iter()
            .filter(|g| g.1 > 0 && g.2 > 0)
    }

    /// Tiles along the axis.
    pub(super) fn tiles(self, size: Winograd) -> usize {
        self.alike().map(|(_, grids, pixels)| grids * pixels.div_ceil(size.output())).sum()
    }

    /// All tiles, as whole ones and those cut at the end of a grid.
    pub(super) fn runs(self, size: Winograd) -> Vec<Run> {
        let m = size.output();
        let mut before = 0;
        let mut runs = Vec::new();
        for (first, grids, pixels) in self.alike() {
            let (tiles, rest) = (pixels.div_ceil(m), pixels % m);
            let run = |first_tile, n, kept| Run {
                grids: (first, grids),
                before: (before, tiles),
                tiles: (first_tile, n),
                pixels: kept,
            };
            match rest {
                0 => runs.push(run(0, tiles, m)),
                _ => runs.extend([run(0, tiles - 1, m), run(tiles - 1, 1, rest)]),
            }
            before += grids * tiles;
        }
        runs.into_iter().filter(|r| r.tiles.1 > 0).collect()
    }

    /// Some of many rows of whole tiles, of the only grid.
    fn some(tiles: usize, size: Winograd) -> Vec<Run> {
        vec![Run { grids: (0, 1), before: (0, tiles), tiles: (0, tiles), pixels: size.output() }]
    }
}

impl Tiles {
    pub(super) fn of(p: &ConvProblem, size: Winograd) -> Tiles {
        let [_, h, w] = p.dst.extents();
        let [_, rows, columns] = p.window.dilations;
        let axes = [(h, rows), (w, columns)].map(|(extent, count)| Grids { extent, count });
        Tiles { size, axes, planes: [p.dst.d + (p.window.kernel[0] - 1) * p.window.dilations[0], p.dst.d] }
    }

    /// Rows and columns of tiles.
    pub(super) fn extents(&self) -> [usize; 2] {
        self.axes.map(|axis| axis.tiles(self.size))
    }

    /// Whether rows of tiles follow each other as the rows of the map do, all whole.
    fn are_whole_rows(&self) -> bool {
        self.axes[0].count == 1 && self.axes[0].extent.is_multiple_of(self.size.output())
    }

    /// Tiles of the first `rows` rows or, where these are all, those at the ends too: runs of rows and of columns.
    pub(super) fn runs(&self, rows: usize) -> Vec<[Run; 2]> {
        let columns = self.axes[1].runs(self.size);
        let all = rows == self.extents()[0];
        let rows = if all { self.axes[0].runs(self.size) } else { Grids::some(rows, self.size) };
        rows.iter().flat_map(|r| columns.iter().map(move |c| [*r, *c])).collect()
    }
}

/// In how many chunks a convolution is computed where nobody names a number.
pub(in crate::strategy) fn chunks(p: &ConvProblem, size: Winograd, target: Target) -> usize {
    let tiles = Tiles::of(p, size);
    let rows = chunk_rows(p, tiles, target).filter(|_| tiles.are_whole_rows());
    rows.map_or(1, |rows| tiles.extents()[0] / rows)
}

/// Whether a convolution can be computed in so many chunks: all of equal, whole tiles.
pub(in crate::strategy) fn divides(p: &ConvProblem, size: Winograd, chunks: usize) -> bool {
    let tiles = Tiles::of(p, size);
    tiles.are_whole_rows() && tiles.extents()[0].is_multiple_of(chunks)
}

/// How many rows of tiles make a chunk, so that the fewest bytes come from beyond the level-2 cache: weights once for each
/// chunk, V and M where those of a chunk do not fit. `None` for one chunk.
fn chunk_rows(p: &ConvProblem, tiles: Tiles, target: Target) -> Option<usize> {
    let elements = tiles.size.input() * tiles.size.input();
    let lanes = p.src.layout.lanes;
    let [all, columns] = tiles.extents();
    let [of_src, of_dst] = tiles.planes;
    let row = elements * columns * 4 * lanes * (p.src_blocks() * of_src + p.dst_blocks() * of_dst);
    let weights = weight_bytes(p, tiles.size);
    let l2 = target.caches().l2.min(MOST_BYTES);
    let traffic = |rows: usize| {
        let again = if weights + row * rows <= l2 { 1 } else { all / rows };
        weights * again + if row * rows <= l2 { 0 } else { 2 * row * all }
    };
    let divides = |r: &usize| all.is_multiple_of(*r);
    // Those of all planes of a volume would take more memory than what is computed.
    let is_near = |r: &usize| p.dst.d == 1 || *r == 1 || row * r <= MOST_BYTES * 8;
    let rows = (1..=all).filter(divides).filter(is_near).min_by_key(|r| (traffic(*r), all - r))?;
    (rows < all).then_some(rows)
}

/// Bytes of the transformed weights.
pub(super) fn weight_bytes(p: &ConvProblem, size: Winograd) -> usize {
    let lanes = p.src.layout.lanes;
    let elements = size.input() * size.input() * p.window.kernel[0];
    4 * elements * p.src_blocks() * p.dst_blocks() * lanes * lanes
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
