//! The products of transformed tiles: a matrix product for each element of the transform.
//!
//! ```text
//! tiles of output channels -> split the sum in parts -> cut tiles -> tensorize
//! ```
//!
//! Parts of the sum are added by way of what they store: an accumulator of [`TERMS`] products is as exact as the transforms,
//! one of all channels loses digits with the root of their number.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use super::planes::Planes;
use crate::leaf::Width;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::nest::{Loop, Reduction, Role};
use crate::schedule::cut::Run;
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::strategy::conv_tiling::share;
use crate::strategy::refusal::Refusal;
use crate::strategy::tiles::{self, EvenSplit};

/// `m[element, oc, tile] = sum over ic, k of u[element, oc, ic, k] * v[element, ic, tile + k * step]`, channels in blocks, k
/// the planes of the kernel. Buffers, in order: v, u, m.
pub(super) struct Products {
    pub(super) images: usize,
    pub(super) elements: usize,
    pub(super) src_blocks: usize,
    pub(super) dst_blocks: usize,
    /// Tiles in v and in m.
    pub(super) tiles: [usize; 2],
    /// Planes of the kernel, and tiles from one of those that it sees to the next.
    pub(super) planes: (usize, usize),
    pub(super) width: Width,
    /// Types of v and m; those of several pictures have a dimension for them.
    pub(super) types: [TensorType; 2],
    /// Whether weights come from beyond the level-2 cache.
    pub(super) is_cold: bool,
}

/// Most products that one accumulator adds.
const TERMS: usize = 128;

const IMAGE: VarId = VarId(0);
const ELEMENT: VarId = VarId(1);
const BLOCK: VarId = VarId(2);
const TILE: VarId = VarId(3);
const LANE: VarId = VarId(4);
const IC: VarId = VarId(5);
const CHANNEL: VarId = VarId(6);
const PLANE: VarId = VarId(7);

const V: BufId = BufId(0);
const U: BufId = BufId(1);
const M: BufId = BufId(2);

impl Products {
    /// The weights `[element and block, block of ic, plane, channel, lane]`; without planes where there is one.
    pub(super) fn weights(&self) -> TensorType {
        let lanes = self.width.lanes() as usize;
        let planes = Some(self.planes.0).filter(|n| *n > 1);
        let outer = [self.elements * self.dst_blocks, self.src_blocks].into_iter().chain(planes);
        TensorType::new(DType::F32, outer.chain([lanes, lanes]).collect::<Vec<_>>())
    }

    /// The loop over the planes of a kernel, where it has several.
    fn planes(&self) -> Option<VarId> {
        (self.planes.0 > 1).then_some(PLANE)
    }

    fn naive(&self) -> Nest {
        let lanes = self.width.lanes() as usize;
        let data =
            [(IMAGE, self.images), (ELEMENT, self.elements), (BLOCK, self.dst_blocks), (TILE, self.tiles[1])];
        let planes = self.planes().map(|l| (l, self.planes.0));
        let reduce = [(IC, self.src_blocks)].into_iter().chain(planes).chain([(CHANNEL, lanes)]);
        let of = |role| move |(id, extent)| Loop::serial(id, extent, role);
        let data = data.into_iter().chain([(LANE, lanes)]).map(of(Role::Data));
        let loops: Vec<Loop> = data.chain(reduce.map(of(Role::Reduce))).collect();
        let v = Expr::Var;
        let place = |i: usize, buffer: BufId, tile: &Expr, [block, lane]: [VarId; 2]| {
            let batched = self.types[i].shape.rank() > 2;
            let planes = Planes::new(buffer, self.width, self.tiles[i], batched);
            let mut index = planes.index(&v(IMAGE), &v(ELEMENT), &v(block), tile);
            if let Some(last) = index.last_mut() {
                *last = last.clone() + v(lane);
            }
            index
        };
        let vector = v(ELEMENT) * Expr::int(self.dst_blocks) + v(BLOCK);
        let outer = [vector, v(IC)].into_iter().chain(self.planes().map(v));
        let wei = Expr::load(U, outer.chain([v(CHANNEL), v(LANE)]).collect::<Vec<_>>());
        let seen = match self.planes() {
            Some(plane) => v(TILE) + v(plane) * Expr::int(self.planes.1),
            None => v(TILE),
        };
        let define = Define {
            update: false,
            dst: M,
            index: place(1, M, &v(TILE), [BLOCK, LANE]),
            when: None,
            value: Expr::load(V, place(0, V, &seen, [IC, CHANNEL])) * wei,
            reduce: Some(Reduction { combine: ReduceFn::Sum, init: Expr::f32(0.0), finish: Expr::Acc }),
        };
        let [v, m] = self.types.clone();
        let buffers = [(v, BufferRole::Src), (self.weights(), BufferRole::Src), (m, BufferRole::Dst)];
        let buffers = buffers.map(|(ty, role)| Buffer::new(ty, role)).to_vec();
        let body = around(loops.into_iter(), vec![Stmt::Define(define)]);
        Nest { name: "winograd_products".into(), buffers, leaves: Vec::new(), body }
    }

    /// The schedule; threads share pictures, or elements where there is one picture.
    pub(super) fn schedule(&self) -> Result<Schedule, Refusal> {
        let mut s = Schedule::new(self.naive());
        if self.images > 1 {
            s.parallel(IMAGE)?;
        } else {
            s.reorder(&[ELEMENT, IMAGE])?;
            s.parallel(ELEMENT)?;
        }
        let vectors = tiles::runs(&tiles::vectors(self.dst_blocks));
        let runs: Vec<(usize, usize)> = vectors.into_iter().map(|(_, n, size)| (size, n)).collect();
        for run in s.cut(BLOCK, &runs)? {
            s.reorder(&[run.of(TILE), run.inner])?;
            s.pack(U, run.of(TILE), run.inner)?;
            self.channels(&mut s, &run)?;
        }
        s.flatten(U)?;
        Ok(s)
    }

    /// Schedules a run of tiles of output channels.
    fn channels(&self, s: &mut Schedule, run: &Run) -> Result<(), Refusal> {
        let split = EvenSplit::new(self.tiles[1], tiles::pixels(self.width, s.extent(run.inner)));
        let whole = self.tile(&|l| run.of(l), run.inner, Expr::int(0));
        // Each call brings its share of the next tile's weights near.
        let ahead = match self.is_cold {
            true => share(&s.conv(&whole, self.width)?, split.large + split.small),
            false => 0,
        };
        let most = (TERMS / self.width.lanes() as usize / self.planes.0).max(1);
        let parts = EvenSplit::new(self.src_blocks, most);
        let sizes: Vec<usize> = parts.runs().flat_map(|(_, size, n)| std::iter::repeat_n(size, n)).collect();
        if sizes.len() < 2 {
            return self.run_of_tiles(s, (split, ahead), &whole);
        }
        for part in s.split_sum((whole.pixel, whole.ic), &sizes)? {
            let tile = self.tile(&|l| part.of(run.of(l)), part.of(run.inner), part.start.clone());
            self.run_of_tiles(s, (split, ahead), &tile)?;
        }
        Ok(())
    }

    /// Schedules all tiles for a tile of output channels, or a part of their sum.
    fn run_of_tiles(
        &self,
        s: &mut Schedule,
        (split, ahead): (EvenSplit, i32),
        of: &ConvTile,
    ) -> Result<(), Refusal> {
        let runs: Vec<(usize, usize)> = split.runs().map(|(_, size, n)| (size, n)).collect();
        let mut before = 0;
        for (run, (_, n)) in s.cut(of.pixel, &runs)?.iter().zip(&runs) {
            let number = Expr::Var(run.outer) + Expr::int(before);
            let tile = ConvTile { pixel: run.inner, ahead: (ahead, number), ..of.named(&|l| run.of(l)) };
            s.tensorize_conv(&tile, self.width)?;
            before += n;
        }
        Ok(())
    }

    fn tile(&self, of: &dyn Fn(VarId) -> VarId, vector: VarId, start: Expr) -> ConvTile {
        ConvTile {
            pixel: of(TILE),
            pixels: self.tiles[1],
            vector,
            lane: of(LANE),
            ic: of(IC),
            taps: self.planes().into_iter().map(of).collect(),
            channel: of(CHANNEL),
            part: (start, self.src_blocks),
            ahead: (0, Expr::int(0)),
        }
    }
}
