//! Depthwise convolution and pooling: windows over one block of channels at a time.
//!
//! ```text
//! for block parallel  for rows of the tile  for columns of the tile
//!   call depthwise or pool: all taps unrolled
//! ```

use octrt_ops::{DType, TensorType};

use crate::layout::Map;
use crate::leaf::build::{
    Advance, Axis, Depthwise, Epilogue, Grid, Pixels, Pool, PoolKind, Reduction, Residual, Scale, Start,
};
use crate::leaf::{Program, Width, registers};
use crate::target::Target;
use crate::tile::{BufferId, BufferRole, Distance, NestBuilder, SlotValue, TileNest};

use super::conv::Tail;
use super::tiles::EvenSplit;

/// What happens to a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WindowKind {
    /// A weight for each of its elements: depthwise convolution.
    Weights,
    /// Its largest element.
    Max,
    /// The sum of its elements times a factor.
    Sum(f32),
}

/// Windows over every channel by itself. Buffers of its nest, in order: src; wei and bias for
/// [`WindowKind::Weights`]; the addend if there is one; dst.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowProblem {
    /// What happens to a window.
    pub kind: WindowKind,
    /// The input; its halo is at least the padding.
    pub src: Map,
    /// The output.
    pub dst: Map,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub strides: [usize; 2],
    /// Steps between elements of a window.
    pub dilations: [usize; 2],
    /// Rows and columns before the first of the input that the first window covers.
    pub pads: [usize; 2],
    /// What follows.
    pub tail: Tail,
}

/// Most taps that are unrolled at once.
const UNROLLED: usize = 25;

/// The nest; `None` where distances do not fit leaf programs or nothing fits the registers.
pub fn nest(p: &WindowProblem, target: Target) -> Option<TileNest> {
    let width = target.width()?;
    let blocks = p.src.blocks();
    let name = match p.kind {
        WindowKind::Weights => "conv_depthwise",
        WindowKind::Max => "max_pool",
        WindowKind::Sum(_) => "average_pool",
    };
    let mut b = NestBuilder::new(name, if p.src.mb > 1 { p.src.mb } else { blocks });
    let emitter = Emitter::new(&mut b, p, width)?;
    let outer = b.parallel();
    let one = |l| Distance::default().plus(l, 1);
    let (rows, columns) = emitter.tile()?;
    let mut whole = Some(());
    b.each(if p.src.mb > 1 { blocks } else { 1 }, |b, l| {
        let (image, block) =
            if p.src.mb > 1 { (one(outer), one(l)) } else { (Distance::default(), one(outer)) };
        for (first_row, rows, n) in EvenSplit::new(p.dst.h, rows).runs() {
            b.each(n, |b, row| {
                let row = Distance::new(first_row as i64).plus(row, rows as i64);
                for (first, columns, n) in EvenSplit::new(p.dst.w, columns).runs() {
                    let program = emitter.program(rows, columns);
                    b.each(n, |b, column| {
                        let column = Distance::new(first as i64).plus(column, columns as i64);
                        let call =
                            program.clone().map(|x| emitter.call(b, x, [&image, &block, &row, &column]));
                        whole = whole.and(call);
                    });
                }
            });
        }
    });
    whole.map(|()| b.finish())
}

struct Emitter<'a> {
    p: &'a WindowProblem,
    width: Width,
    src: BufferId,
    weights: Option<[BufferId; 2]>,
    addend: Option<BufferId>,
    dst: BufferId,
}

impl<'a> Emitter<'a> {
    fn new(b: &mut NestBuilder, p: &'a WindowProblem, width: Width) -> Option<Self> {
        let vector = |n: usize| TensorType::new(DType::F32, [n * p.src.blocks() * width.lanes() as usize]);
        let src = b.buffer(p.src.ty(), BufferRole::Src);
        let weights = (p.kind == WindowKind::Weights)
            .then(|| [vector(p.kernel[0] * p.kernel[1]), vector(1)].map(|ty| b.buffer(ty, BufferRole::Src)));
        if p.tail.addend.is_some_and(|a| a.repeat != 1) {
            return None;
        }
        let addend = p.tail.addend.map(|a| b.buffer(a.map.ty(), BufferRole::Src));
        let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
        Some(Emitter { p, width, src, weights, addend, dst })
    }

    /// Rows and columns of the largest tile that fits the registers.
    fn tile(&self) -> Option<(usize, usize)> {
        let most = match self.width {
            Width::W8 => 14,
            Width::W16 => 28,
        };
        (1..=most).rev().find_map(|most| {
            let columns = EvenSplit::new(self.p.dst.w, most).size;
            let rows = (most / columns).clamp(1, self.p.dst.h);
            let program = self.program(rows, columns)?;
            registers::allocate(&program).is_ok().then_some((rows, columns))
        })
    }

    fn grid(&self, map: &Map, [sh, sw]: [usize; 2], rows: usize, columns: usize) -> Option<Grid> {
        let at = |h: usize, w: usize| (h * sh) as i64 * map.row_bytes() + (w * sw) as i64 * map.pixel_bytes();
        let distances: Option<Vec<i32>> = (0..rows)
            .flat_map(|h| (0..columns).map(move |w| (h, w)))
            .map(|(h, w)| i32::try_from(at(h, w)).ok())
            .collect();
        Some(Grid { pixels: Pixels::Fixed(distances?), vector_bytes: i32::try_from(map.block_bytes()).ok()? })
    }

    fn program(&self, rows: usize, columns: usize) -> Option<Program> {
        let p = self.p;
        let [kh, kw] = p.kernel;
        let tap = |h: usize, w: usize| {
            let row = (h * p.dilations[0]) as i64 * p.src.row_bytes();
            i32::try_from(row + (w * p.dilations[1]) as i64 * p.src.pixel_bytes()).ok()
        };
        let unrolled = if kh * kw <= UNROLLED { kh } else { 1 };
        let taps: Option<Vec<i32>> = (0..unrolled).flat_map(|h| (0..kw).map(move |w| tap(h, w))).collect();
        let axes = match unrolled == kh {
            true => Vec::new(),
            false => vec![Axis { name: "kh", src: Advance::Bytes(tap(1, 0)?) }],
        };
        let (taps, reduction) = (taps?, Reduction::Loops(axes));
        let src = self.grid(&p.src, p.strides, rows, columns)?;
        let dst = self.grid(&p.dst, [1, 1], rows, columns)?;
        let residual = match p.tail.addend {
            None => Residual::Absent,
            Some(a) if a.after => Residual::After(self.grid(&a.map, [1, 1], rows, columns)?),
            Some(a) => Residual::Before(self.grid(&a.map, [1, 1], rows, columns)?),
        };
        let epilogue = Epilogue {
            base: None,
            residual,
            activation: p.tail.activation,
            dst,
            tail: None,
            used: None,
            pool: None,
        };
        let (width, pixels, vectors) = (self.width, rows * columns, 1);
        let pool = |kind, epilogue| {
            Pool {
                width,
                pixels,
                vectors,
                taps: taps.clone(),
                src: src.clone(),
                reduction: reduction.clone(),
                kind,
                epilogue,
            }
            .program()
        };
        Some(match p.kind {
            WindowKind::Max => pool(PoolKind::Max, epilogue),
            WindowKind::Sum(factor) => pool(PoolKind::Average(Scale::Constant(factor)), epilogue),
            WindowKind::Weights => {
                let start = Start::Bias;
                Depthwise { width, pixels, vectors, taps, src, reduction, start, epilogue }.program()
            }
        })
    }

    fn call(&self, b: &mut NestBuilder, program: Program, at: [&Distance; 4]) {
        let [image, block, row, column] = at;
        let p = self.p;
        let place = |buffer: BufferId, map: &Map, [sh, sw]: [usize; 2], first: i64| {
            let at = image
                .times(map.image_bytes())
                .and(&block.times(map.block_bytes()))
                .and(&row.times(sh as i64 * map.row_bytes()))
                .and(&column.times(sw as i64 * map.pixel_bytes()));
            SlotValue::Pointer(buffer, at.offset(first))
        };
        let vector = i64::from(self.width.bytes());
        let taps = (p.kernel[0] * p.kernel[1]) as i64;
        let first = p.src.pixel(-(p.pads[0] as i64), -(p.pads[1] as i64));
        b.call(program, &|name| match name {
            "src" => Some(place(self.src, &p.src, p.strides, first)),
            "wei" => Some(SlotValue::Pointer(self.weights?[0], block.times(taps * vector))),
            "bias" => Some(SlotValue::Pointer(self.weights?[1], block.times(vector))),
            "dst" => Some(place(self.dst, &p.dst, [1, 1], p.dst.pixel(0, 0))),
            "residual" => p
                .tail
                .addend
                .map(|a| a.map)
                .and_then(|map| Some(place(self.addend?, &map, [1, 1], map.pixel(0, 0)))),
            "kh" => Some(SlotValue::Number(p.kernel[0] as i64)),
            _ => None,
        });
    }
}

/// Averages or maxima over whole maps: one pixel per channel, several blocks of channels at once. Buffers: src, dst.
pub fn global(kind: WindowKind, src: &Map, dst: &Map, target: Target) -> Option<TileNest> {
    let width = target.width()?;
    let kind = match kind {
        WindowKind::Max => PoolKind::Max,
        WindowKind::Sum(factor) => PoolKind::Average(Scale::Constant(factor)),
        WindowKind::Weights => return None,
    };
    let small = |x: i64| i32::try_from(x).ok();
    let columns = Axis { name: "columns", src: Advance::Bytes(small(src.pixel_bytes())?) };
    let rest = src.row_bytes() - src.w as i64 * src.pixel_bytes();
    let rows = Axis { name: "rows", src: Advance::Bytes(small(rest)?) };
    let grid = |map: &Map| {
        let pixels = Pixels::Strided { bytes: 0, repeat: 1 };
        Some(Grid { pixels, vector_bytes: small(map.block_bytes())? })
    };
    let (src_grid, dst_grid) = (grid(src)?, grid(dst)?);
    let program = |vectors: usize| {
        let reduction = Reduction::Loops(vec![rows.clone(), columns.clone()]);
        let epilogue = Epilogue::store(dst_grid.clone());
        Pool { width, pixels: 1, vectors, taps: vec![0], src: src_grid.clone(), reduction, kind, epilogue }
            .program()
    };
    let blocks = src.blocks();
    let mut b = NestBuilder::new("global_pool", src.mb);
    let image = Distance::default().plus(b.parallel(), 1);
    let from = b.buffer(src.ty(), BufferRole::Src);
    let to = b.buffer(dst.ty(), BufferRole::Dst);
    for (first, vectors, n) in EvenSplit::new(blocks, 4).runs() {
        b.each(n, |b, l| {
            let block = Distance::new(first as i64).plus(l, vectors as i64);
            let place = |buffer, map: &Map| {
                let at = image.times(map.image_bytes()).and(&block.times(map.block_bytes()));
                SlotValue::Pointer(buffer, at.offset(map.pixel(0, 0)))
            };
            b.call(program(vectors), &|name| match name {
                "src" => Some(place(from, src)),
                "dst" => Some(place(to, dst)),
                "rows" => Some(SlotValue::Number(src.h as i64)),
                "columns" => Some(SlotValue::Number(src.w as i64)),
                _ => None,
            });
        });
    }
    Some(b.finish())
}
