//! The products of transformed tiles: a matrix product for each element of the transform.
//!
//! ```text
//! tiles of output channels -> cut tiles -> tensorize
//! ```

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BufId, Expr, VarId};
use octrt_ops::{DType, TensorType};

use super::planes::Planes;
use crate::leaf::Width;
use crate::nest::{Buffer, BufferRole};
use crate::nest::{Define, Nest, Stmt, around};
use crate::nest::{Loop, Reduction, Role};
use crate::schedule::script::Schedule;
use crate::schedule::tensorize::conv::ConvTile;
use crate::strategy::conv_tiling::share;
use crate::strategy::refusal::Refusal;
use crate::strategy::tiles::{self, EvenSplit};

/// `m[element, oc, tile] = sum over ic of u[element, oc, ic] * v[element, ic, tile]`, channels in blocks. Buffers, in order:
/// v, u, m.
pub(super) struct Products {
    pub(super) images: usize,
    pub(super) elements: usize,
    pub(super) src_blocks: usize,
    pub(super) dst_blocks: usize,
    pub(super) tiles: usize,
    pub(super) width: Width,
    /// Types of v and m; those of several pictures have a dimension for them.
    pub(super) types: [TensorType; 2],
    /// Whether weights come from beyond the level-2 cache.
    pub(super) is_cold: bool,
}

const IMAGE: VarId = VarId(0);
const ELEMENT: VarId = VarId(1);
const BLOCK: VarId = VarId(2);
const TILE: VarId = VarId(3);
const LANE: VarId = VarId(4);
const IC: VarId = VarId(5);
const CHANNEL: VarId = VarId(6);

const V: BufId = BufId(0);
const U: BufId = BufId(1);
const M: BufId = BufId(2);

impl Products {
    /// The weights `[element and block, block of ic, channel, lane]`.
    pub(super) fn weights(&self) -> TensorType {
        let lanes = self.width.lanes() as usize;
        TensorType::new(DType::F32, [self.elements * self.dst_blocks, self.src_blocks, lanes, lanes])
    }

    fn naive(&self) -> Nest {
        let lanes = self.width.lanes() as usize;
        let data =
            [(IMAGE, self.images), (ELEMENT, self.elements), (BLOCK, self.dst_blocks), (TILE, self.tiles)];
        let reduce = [(IC, self.src_blocks), (CHANNEL, lanes)];
        let of = |role| move |(id, extent)| Loop::serial(id, extent, role);
        let data = data.into_iter().chain([(LANE, lanes)]).map(of(Role::Data));
        let loops: Vec<Loop> = data.chain(reduce.into_iter().map(of(Role::Reduce))).collect();
        let v = Expr::Var;
        let place = |ty: &TensorType, buffer: BufId, block: VarId, lane: VarId| {
            let planes = Planes::new(buffer, self.width, self.tiles, ty.shape.rank() > 2);
            let mut index = planes.index(&v(IMAGE), &v(ELEMENT), &v(block), &v(TILE));
            if let Some(last) = index.last_mut() {
                *last = last.clone() + v(lane);
            }
            index
        };
        let vector = v(ELEMENT) * Expr::int(self.dst_blocks) + v(BLOCK);
        let wei = Expr::load(U, [vector, v(IC), v(CHANNEL), v(LANE)]);
        let define = Define {
            update: false,
            dst: M,
            index: place(&self.types[1], M, BLOCK, LANE),
            when: None,
            value: Expr::load(V, place(&self.types[0], V, IC, CHANNEL)) * wei,
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
            let tile = run.of(TILE);
            s.reorder(&[tile, run.inner])?;
            s.pack(U, tile, run.inner)?;
            let vectors = s.extent(run.inner);
            let split = EvenSplit::new(self.tiles, tiles::pixels(self.width, vectors));
            let whole = ConvTile {
                pixel: tile,
                pixels: self.tiles,
                vector: run.inner,
                lane: run.of(LANE),
                ic: run.of(IC),
                taps: Vec::new(),
                channel: run.of(CHANNEL),
                part: (Expr::int(0), self.src_blocks),
                ahead: (0, Expr::int(0)),
            };
            // Each call brings its share of the next tile's weights near.
            let ahead = match self.is_cold {
                true => share(&s.conv(&whole, self.width)?, split.large + split.small),
                false => 0,
            };
            let runs: Vec<(usize, usize)> = split.runs().map(|(_, size, n)| (size, n)).collect();
            let mut before = 0;
            for (part, (_, n)) in s.cut(tile, &runs)?.iter().zip(&runs) {
                let number = Expr::Var(part.outer) + Expr::int(before);
                let named = whole.named(&|l| part.of(l));
                let tile = ConvTile { pixel: part.inner, ahead: (ahead, number), ..named };
                s.tensorize_conv(&tile, self.width)?;
                before += n;
            }
        }
        s.flatten(U)?;
        Ok(s)
    }
}
