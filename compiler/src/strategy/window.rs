//! Depthwise convolution and pooling: windows over one block of channels at a time.
//!
//! ```text
//! for block parallel  for plane  for rows of the tile  for columns of the tile
//!   call depthwise or pool: all taps unrolled, or those of a plane or row for kd and kh
//! ```

use octrt_ops::{DType, TensorType};

use crate::layout::{AXES, Map};
use crate::leaf::programs::{
    Advance, Axis, Depthwise, Epilogue, Grid, Pixels, Pool, PoolKind, Reduction, Residual, Scale, Start, Sums,
};
use crate::leaf::{Program, Width, registers};
use crate::target::Target;
use crate::tile::{BufferId, BufferRole, Distance, MissingSlot, NestBuilder, SlotValue, TileNest};

use super::conv::Tail;
use super::refusal::{Refusal, distance};
use super::rows::each_plane;
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
    /// Planes, rows and columns of the window.
    pub kernel: [usize; AXES],
    /// Steps between windows.
    pub strides: [usize; AXES],
    /// Steps between elements of a window.
    pub dilations: [usize; AXES],
    /// Planes, rows and columns before the first of the input that the first window covers.
    pub pads: [usize; AXES],
    /// What follows.
    pub tail: Tail,
}

/// Most taps that are unrolled at once.
const UNROLLED: usize = 25;

/// The nest.
///
/// # Errors
/// [`Refusal`] where distances do not fit leaf programs or nothing fits the registers.
pub fn nest(p: &WindowProblem, target: Target) -> Result<TileNest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
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
    b.each(if p.src.mb > 1 { blocks } else { 1 }, |b, l| {
        let (image, block) =
            if p.src.mb > 1 { (one(outer), one(l)) } else { (Distance::default(), one(outer)) };
        each_plane(b, p.dst.d, |b, plane| {
            for (first_row, rows, n) in EvenSplit::new(p.dst.h, rows).runs() {
                b.each(n, |b, row| {
                    let row = Distance::new(first_row as i64).plus(row, rows as i64);
                    for (first, columns, n) in EvenSplit::new(p.dst.w, columns).runs() {
                        let program = emitter.program(rows, columns)?;
                        b.each(n, |b, column| {
                            let column = Distance::new(first as i64).plus(column, columns as i64);
                            emitter.call(b, program, [&image, &block], [plane, &row, &column])
                        })?;
                    }
                    Ok::<(), Refusal>(())
                })?;
            }
            Ok::<(), Refusal>(())
        })
    })?;
    Ok(b.finish())
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
    fn new(b: &mut NestBuilder, p: &'a WindowProblem, width: Width) -> Result<Self, Refusal> {
        let vector = |n: usize| TensorType::new(DType::F32, [n * p.src.blocks() * width.lanes() as usize]);
        let src = b.buffer(p.src.ty(), BufferRole::Src);
        let weights = (p.kind == WindowKind::Weights)
            .then(|| [vector(p.kernel.iter().product()), vector(1)].map(|ty| b.buffer(ty, BufferRole::Src)));
        if p.tail.addend.is_some_and(|a| a.repeat != 1) {
            return Err(Refusal::Unfit("windows over each channel with an addend that is upsampled"));
        }
        let addend = p.tail.addend.map(|a| b.buffer(a.map.ty(), BufferRole::Src));
        let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
        Ok(Emitter { p, width, src, weights, addend, dst })
    }

    /// Rows and columns of the largest tile that fits the registers.
    fn tile(&self) -> Result<(usize, usize), Refusal> {
        let most = match self.width {
            Width::W8 => 14,
            Width::W16 => 28,
        };
        let fitting = (1..=most).rev().find_map(|most| {
            let columns = EvenSplit::new(self.p.dst.w, most).size;
            let rows = (most / columns).clamp(1, self.p.dst.h);
            let program = self.program(rows, columns).ok()?;
            registers::allocate(&program).is_ok().then_some((rows, columns))
        });
        fitting.ok_or(Refusal::Registers)
    }

    fn grid(
        &self,
        map: &Map,
        [_, sh, sw]: [usize; AXES],
        rows: usize,
        columns: usize,
    ) -> Result<Grid, Refusal> {
        let at = |h: usize, w: usize| (h * sh) as i64 * map.row_bytes() + (w * sw) as i64 * map.pixel_bytes();
        let distances = (0..rows)
            .flat_map(|h| (0..columns).map(move |w| (h, w)))
            .map(|(h, w)| distance(at(h, w)))
            .collect::<Result<_, _>>()?;
        Ok(Grid { pixels: Pixels::Fixed(distances), vector_bytes: distance(map.block_bytes())? })
    }

    /// The taps that are unrolled, as distances, and the loops around them: over planes or rows of the window where it has
    /// more than [`UNROLLED`].
    fn taps(&self) -> Result<(Vec<i32>, Vec<Axis>), Refusal> {
        let p = self.p;
        let [kd, kh, kw] = p.kernel;
        let steps = p.src.steps();
        let tap =
            |at: [usize; AXES]| (0..AXES).map(|i| (at[i] * p.dilations[i]) as i64 * steps[i]).sum::<i64>();
        let (planes, rows) = match () {
            () if kd * kh * kw <= UNROLLED => (kd, kh),
            () if kh * kw <= UNROLLED => (1, kh),
            () => (1, 1),
        };
        let rows_of = (0..planes).flat_map(|d| (0..rows).map(move |h| (d, h)));
        let taps = rows_of.flat_map(|(d, h)| (0..kw).map(move |w| [d, h, w]));
        let taps = taps.map(|at| distance(tap(at))).collect::<Result<_, _>>()?;
        let looped = if rows == kh { 0 } else { kh };
        let (plane, row) = (tap([1, 0, 0]), tap([0, 1, 0]));
        let mut axes = Vec::new();
        if planes < kd {
            axes.push(Axis { name: "kd", src: Advance::Bytes(distance(plane - looped as i64 * row)?) });
        }
        if looped > 0 {
            axes.push(Axis { name: "kh", src: Advance::Bytes(distance(row)?) });
        }
        Ok((taps, axes))
    }

    fn program(&self, rows: usize, columns: usize) -> Result<Program, Refusal> {
        let p = self.p;
        let (taps, axes) = self.taps()?;
        let reduction = Reduction::Loops(axes);
        let src = self.grid(&p.src, p.strides, rows, columns)?;
        let dst = self.grid(&p.dst, [1; AXES], rows, columns)?;
        let residual = match p.tail.addend {
            None => Residual::Absent,
            Some(a) if a.after => Residual::After(self.grid(&a.map, [1; AXES], rows, columns)?),
            Some(a) => Residual::Before(self.grid(&a.map, [1; AXES], rows, columns)?),
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
                sums: Sums::Single,
                epilogue,
            }
            .program()
        };
        Ok(match p.kind {
            WindowKind::Max => pool(PoolKind::Max, epilogue),
            WindowKind::Sum(factor) => pool(PoolKind::Average(Scale::Constant(factor)), epilogue),
            WindowKind::Weights => {
                let start = Start::Bias;
                Depthwise { width, pixels, vectors, taps, src, reduction, start, epilogue }.program()
            }
        })
    }

    /// A call for a tile: of a picture and block; `at` are plane, row and column of its first pixel.
    fn call(
        &self,
        b: &mut NestBuilder,
        program: Program,
        [image, block]: [&Distance; 2],
        at: [&Distance; AXES],
    ) -> Result<(), MissingSlot> {
        let p = self.p;
        let place = |buffer: BufferId, map: &Map, strides: [usize; AXES], first: i64| {
            let of = image.times(map.image_bytes()).and(&block.times(map.block_bytes()));
            let axes = at.iter().zip(strides).zip(map.steps());
            let at = axes.fold(of, |of, ((at, stride), step)| of.and(&at.times(stride as i64 * step)));
            SlotValue::Pointer(buffer, at.offset(first))
        };
        let vector = i64::from(self.width.bytes());
        let taps = p.kernel.iter().product::<usize>() as i64;
        let first = p.src.pixel(p.pads.map(|pad| -(pad as i64)));
        b.call(program, &|name| match name {
            "src" => Some(place(self.src, &p.src, p.strides, first)),
            "wei" => Some(SlotValue::Pointer(self.weights?[0], block.times(taps * vector))),
            "bias" => Some(SlotValue::Pointer(self.weights?[1], block.times(vector))),
            "dst" => Some(place(self.dst, &p.dst, [1; AXES], p.dst.origin())),
            "residual" => p
                .tail
                .addend
                .map(|a| a.map)
                .and_then(|map| Some(place(self.addend?, &map, [1; AXES], map.origin()))),
            "kd" => Some(SlotValue::Number(p.kernel[0] as i64)),
            "kh" => Some(SlotValue::Number(p.kernel[1] as i64)),
            _ => None,
        })
    }
}

/// Most rows and columns that are added one after the other.
const RUN: usize = 512;

/// Pixels from which on each row is a sum of its own.
const MANY: usize = 128;

/// Pieces of an axis of at most [`RUN`] elements: first element, extent, how many. The first stands alone.
fn pieces(extent: usize) -> Vec<(usize, usize, usize)> {
    let mut pieces = vec![];
    for (first, size, n) in EvenSplit::new(extent, RUN).runs() {
        if first == 0 {
            pieces.extend([(0, size, 1), (size, size, n - 1)]);
        } else {
            pieces.push((first, size, n));
        }
    }
    pieces.retain(|(_, _, n)| *n > 0);
    pieces
}

/// Averages or maxima over whole maps: one pixel per channel, several blocks of channels at once. A large map is averaged in
/// pieces, rows by themselves, whose averages are added. Buffers: src, dst.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs or distances do not fit them.
pub fn global(kind: WindowKind, src: &Map, dst: &Map, target: Target) -> Result<TileNest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    // Without rows around them, the rows of all planes lie one after the other.
    let halo = src.layout.halo;
    let [d, h, w] = if halo.top + halo.bottom == 0 { [1, src.d * src.h, src.w] } else { src.extents() };
    let whole = |extent: usize| vec![(0, extent, 1)];
    let (planes, rows, columns, kind) = match kind {
        WindowKind::Max => (whole(d), whole(h), whole(w), PoolKind::Max),
        WindowKind::Sum(factor) => {
            let planes = [(0, 1, 1), (1, 1, d - 1)].into_iter().filter(|(_, _, n)| *n > 0).collect();
            (planes, pieces(h), pieces(w), PoolKind::Average(Scale::Constant(factor)))
        }
        WindowKind::Weights => return Err(Refusal::Defect("weights for a whole map")),
    };
    let rows = planes.iter().flat_map(|plane| rows.iter().map(move |row| (plane, row)));
    let pieces: Vec<[&(usize, usize, usize); AXES]> =
        rows.flat_map(|(plane, row)| columns.iter().map(move |column| [plane, row, column])).collect();
    let blocks = src.blocks();
    let mut b = NestBuilder::new("global_pool", src.mb);
    let image = Distance::default().plus(b.parallel(), 1);
    let from = b.buffer(src.ty(), BufferRole::Src);
    let to = b.buffer(dst.ty(), BufferRole::Dst);
    for (first, vectors, n) in EvenSplit::new(blocks, 4).runs() {
        b.each(n, |b, l| {
            let block = Distance::new(first as i64).plus(l, vectors as i64);
            let place = |map: &Map| {
                let at = image.times(map.image_bytes()).and(&block.times(map.block_bytes()));
                at.offset(map.origin())
            };
            for piece in &pieces {
                let (first, extents) = (piece.map(|p| p.0 as i64), piece.map(|p| p.1));
                let steps = src.steps();
                let start: i64 = first.iter().zip(steps).map(|(first, step)| first * step).sum();
                let program = global_program((kind, width), (src, dst), extents, (vectors, start == 0))?;
                each_plane(b, piece[0].2, |b, plane| {
                    b.each(piece[1].2, |b, i| {
                        b.each(piece[2].2, |b, j| {
                            let at = place(src)
                                .offset(start)
                                .and(&plane.times(steps[0]))
                                .plus(i, extents[1] as i64 * steps[1])
                                .plus(j, extents[2] as i64 * steps[2]);
                            b.call(program, &|name| match name {
                                "src" => Some(SlotValue::Pointer(from, at.clone())),
                                "dst" | "residual" => Some(SlotValue::Pointer(to, place(dst))),
                                "planes" => Some(SlotValue::Number(extents[0] as i64)),
                                "rows" => Some(SlotValue::Number(extents[1] as i64)),
                                "columns" => Some(SlotValue::Number(extents[2] as i64)),
                                _ => None,
                            })
                        })
                    })
                })?;
            }
            Ok::<(), Refusal>(())
        })?;
    }
    Ok(b.finish())
}

/// A piece of a map, which is added to what is stored unless it is the `first`.
fn global_program(
    (kind, width): (PoolKind, Width),
    (src, dst): (&Map, &Map),
    [d, h, w]: [usize; AXES],
    (vectors, is_first): (usize, bool),
) -> Result<Program, Refusal> {
    let axis = |name, bytes| distance(bytes).map(|bytes| Axis { name, src: Advance::Bytes(bytes) });
    let columns = axis("columns", src.pixel_bytes())?;
    let rows = axis("rows", src.row_bytes() - w as i64 * src.pixel_bytes())?;
    let axes = match d {
        1 => vec![rows, columns],
        _ => vec![axis("planes", src.plane_bytes() - h as i64 * src.row_bytes())?, rows, columns],
    };
    let grid = |map: &Map| {
        let pixels = Pixels::Strided { bytes: 0, repeat: 1 };
        Ok::<_, Refusal>(Grid { pixels, vector_bytes: distance(map.block_bytes())? })
    };
    let dst = grid(dst)?;
    let residual = if is_first { Residual::Absent } else { Residual::Before(dst.clone()) };
    let pool = Pool {
        width,
        pixels: 1,
        vectors,
        taps: vec![0],
        src: grid(src)?,
        reduction: Reduction::Loops(axes),
        kind,
        sums: if h * w > MANY { Sums::Runs } else { Sums::Single },
        epilogue: Epilogue { residual, ..Epilogue::store(dst) },
    };
    Ok(pool.program())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_an_axis() {
        for extent in (1..3000).chain([262_144]) {
            let mut next = 0;
            for (first, size, n) in pieces(extent) {
                assert_eq!(first, next, "{extent}");
                assert!((1..=RUN).contains(&size), "{extent}");
                assert!(first > 0 || n == 1, "{extent}");
                next += size * n;
            }
            assert_eq!(next, extent);
        }
    }
}
