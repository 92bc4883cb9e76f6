//! How tiles are chunked, and where their transforms lie.

use octrt_ops::{DType, TensorType};

use crate::layout::Map;
use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::strategy::conv::ConvProblem;
use crate::target::Target;
use crate::tile::{BufferId, Distance};

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
}

/// How many rows of tiles make a chunk, so that the fewest bytes come from beyond the level-2 cache: weights once for each
/// chunk, V and M where those of a chunk do not fit. `None` for one chunk.
pub(super) fn chunk_rows(p: &ConvProblem, tiles: Tiles, target: Target) -> Option<usize> {
    let elements = tiles.size.input() * tiles.size.input();
    let lanes = p.src.layout.lanes;
    let row = elements * tiles.columns * 4 * lanes * (p.src_blocks() + p.dst_blocks());
    let weights = weight_bytes(p, tiles.size);
    let l2 = target.caches().l2;
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

/// A run of tiles in V and M: `[element][block][tile]` vectors.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) buffer: BufferId,
    pub(super) tiles: usize,
    /// From one block to the next.
    pub(super) block_bytes: i64,
    /// From one element to the next.
    pub(super) plane_bytes: i64,
    /// From one picture to the next; 0 in a thread's own memory.
    pub(super) image_bytes: i64,
}

impl Planes {
    /// The type and the distances for so many blocks and tiles. Elements lie an odd number of cache lines apart, so that
    /// those of a tile do not compete for one place in the cache.
    pub(super) fn layout(
        width: Width,
        size: Winograd,
        blocks: usize,
        tiles: usize,
    ) -> (TensorType, i64, i64) {
        let lanes = width.lanes() as usize;
        let lines = (blocks * tiles * 4 * lanes).div_ceil(64) | 1;
        let elements = size.input() * size.input();
        let ty = TensorType::new(DType::F32, [elements, 16 * lines]);
        (ty, (tiles * 4 * lanes) as i64, 64 * lines as i64)
    }

    pub(super) fn new(buffer: BufferId, width: Width, size: Winograd, blocks: usize, tiles: usize) -> Planes {
        let (_, block_bytes, plane_bytes) = Planes::layout(width, size, blocks, tiles);
        Planes { buffer, tiles, block_bytes, plane_bytes, image_bytes: 0 }
    }

    /// The same for every picture of a batch.
    pub(super) fn each_image(self, size: Winograd) -> Planes {
        Planes { image_bytes: self.plane_bytes * (size.input() * size.input()) as i64, ..self }
    }

    /// The distance of a tile, for one block of channels where one is named.
    pub(super) fn at(
        &self,
        image: &Distance,
        tile: &Distance,
        block: Option<&Distance>,
        lane_bytes: i64,
    ) -> Distance {
        let at = tile.times(lane_bytes).and(&image.times(self.image_bytes));
        block.map_or(at.clone(), |k| at.and(&k.times(self.block_bytes)))
    }
}
