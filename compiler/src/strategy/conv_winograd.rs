//! Winograd's minimal filtering for 3x3 convolutions of stride 1.
//!
//! ```text
//! for chunk parallel
//!   for tile            call winograd_input     V[element][block of ic][tile]
//!   for element  for tile of oc  for run of tiles
//!                       call conv               M[element][block of oc][tile] = U[element] * V[element]
//!   for tile            call winograd_output    dst
//! ```
//!
//! A chunk is some rows of tiles whose V and M stay in the level-2 cache, in memory that a thread has for itself. Where
//! the map is not a multiple of the tile, or small, the three parts are nests of their own, each with a parallel axis, and
//! V and M lie in the arena.

use octrt_ops::{DType, TensorType};

use crate::layout::{AXES, Map};
use crate::leaf::programs::{
    Addend, Advance, Axis, Conv, Epilogue, Grid, Pixels, Reduction, Start, Winograd, WinogradInput,
    WinogradOutput,
};
use crate::leaf::{Program, Width, registers};
use crate::schedule::script::Scheduled;
use crate::target::Target;
use crate::tile::{BufferId, BufferRole, Distance, NestBuilder, SlotValue, TileNest};

use super::conv::{self, ConvProblem};
use super::refusal::{Refusal, distance};
use super::tiles::{self, EvenSplit};

mod planes;

use planes::{Planes, Tiles, chunk_rows, weight_bytes};

/// How a convolution is carried out.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One nest; buffers: src, wei, bias, what is added, dst, scratch.
    Whole(Scheduled),
    /// Three nests, with the types of V and M between them. Buffers: src, V; V, wei, M; M, bias, what is added, dst.
    Parts(Box<[TileNest; 3]>, [TensorType; 2]),
}

/// The nests of a convolution.
///
/// # Errors
/// [`Refusal`] where the algorithm does not serve it.
pub fn plan(p: &ConvProblem, size: Winograd, target: Target) -> Result<Plan, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    if !p.is_3x3_s1() || p.src.layout.lanes != p.dst.layout.lanes || p.tail.addend.is_some_and(|a| a.after) {
        return Err(Refusal::Unfit(
            "Winograd's algorithm is for windows of 3x3 in steps of 1, with nothing added at the end",
        ));
    }
    if p.tail.addends().any(|a| a.repeat > 1 && !size.output().is_multiple_of(a.repeat)) {
        return Err(Refusal::Unfit("an upsampled addend that no tile covers evenly"));
    }
    let tiles = Tiles::of(&p.dst, size);
    let even = p.dst.h.is_multiple_of(size.output());
    let l2 = target.caches().l2;
    match chunk_rows(p, tiles, target).filter(|_| even) {
        Some(rows) => whole(p, tiles, rows, (width, l2)).map(|nest| Plan::Whole(nest.into())),
        None => parts(p, tiles, (width, l2)),
    }
}

/// Base and residual with their buffers.
type Addends = [Option<(BufferId, conv::Addend)>; 2];

struct Emitter<'a> {
    p: &'a ConvProblem,
    width: Width,
    tiles: Tiles,
    /// Size of the level-2 cache.
    l2: usize,
}

fn whole(
    p: &ConvProblem,
    tiles: Tiles,
    rows: usize,
    (width, l2): (Width, usize),
) -> Result<TileNest, Refusal> {
    let chunks = tiles.rows / rows;
    let mut b = NestBuilder::new("conv_winograd", if p.src.mb > 1 { p.src.mb } else { chunks });
    let e = Emitter { p, width, tiles, l2 };
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let wei = e.weights(&mut b);
    let bias = e.bias(&mut b);
    let addends = e.addends(&mut b);
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let n = rows * tiles.columns;
    let mut planes = |blocks: usize| {
        let ty = Planes::layout(width, tiles.size, blocks, n).0;
        Planes::new(b.buffer(ty, BufferRole::Scratch), width, tiles.size, blocks, n)
    };
    let (v, m) = (planes(p.src_blocks()), planes(p.dst_blocks()));
    let temporary = e.temporary(&mut b);
    let outer = b.parallel();
    b.each(if p.src.mb > 1 { chunks } else { 1 }, |b, l| {
        let one = |l| Distance::default().plus(l, 1);
        let (image, chunk) =
            if p.src.mb > 1 { (one(outer), one(l)) } else { (Distance::default(), one(outer)) };
        let first = chunk.times(rows as i64);
        e.input(b, (src, v, temporary), (&image, &first, rows), None)?;
        e.products(b, (wei, v, m), &Distance::default(), None)?;
        e.output(b, (m, bias, addends, dst, temporary), (&image, &first, rows), None)
    })?;
    Ok(b.finish())
}

fn parts(p: &ConvProblem, tiles: Tiles, (width, l2): (Width, usize)) -> Result<Plan, Refusal> {
    let e = Emitter { p, width, tiles, l2 };
    let mb = p.src.mb;
    let n = tiles.rows * tiles.columns;
    let whole = Distance::default();
    let with_images = |ty: TensorType| {
        let dims: Vec<usize> = [mb].iter().chain(ty.shape.dims()).copied().collect();
        TensorType::new(DType::F32, dims)
    };
    let ty = |blocks| with_images(Planes::layout(width, tiles.size, blocks, n).0);
    let types = [ty(p.src_blocks()), ty(p.dst_blocks())];
    let planes = |buffer, blocks| Planes::new(buffer, width, tiles.size, blocks, n).each_image(tiles.size);

    let mut b = NestBuilder::new("winograd_input", if mb > 1 { mb } else { p.src_blocks() });
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let v = b.buffer(types[0].clone(), BufferRole::Dst);
    let temporary = e.temporary(&mut b);
    let outer = Distance::default().plus(b.parallel(), 1);
    let (image, block) = if mb > 1 { (outer, None) } else { (Distance::default(), Some(outer)) };
    e.input(
        &mut b,
        (src, planes(v, p.src_blocks()), temporary),
        (&image, &whole, tiles.rows),
        block.as_ref(),
    )?;
    let first = b.finish();

    let elements = tiles.size.input() * tiles.size.input();
    let mut b = NestBuilder::new("winograd_products", if mb > 1 { mb } else { elements });
    let v = b.buffer(types[0].clone(), BufferRole::Src);
    let wei = e.weights(&mut b);
    let m = b.buffer(types[1].clone(), BufferRole::Dst);
    let outer = Distance::default().plus(b.parallel(), 1);
    let (image, element) = if mb > 1 { (outer, None) } else { (Distance::default(), Some(outer)) };
    let (v, m) = (planes(v, p.src_blocks()), planes(m, p.dst_blocks()));
    e.products(&mut b, (wei, v, m), &image, element.as_ref())?;
    let second = b.finish();

    let mut b = NestBuilder::new("winograd_output", if mb > 1 { mb } else { p.dst_blocks() });
    let m = b.buffer(types[1].clone(), BufferRole::Src);
    let bias = e.bias(&mut b);
    let addends = e.addends(&mut b);
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let temporary = e.temporary(&mut b);
    let outer = Distance::default().plus(b.parallel(), 1);
    let (image, block) = if mb > 1 { (outer, None) } else { (Distance::default(), Some(outer)) };
    let m = planes(m, p.dst_blocks());
    e.output(&mut b, (m, bias, addends, dst, temporary), (&image, &whole, tiles.rows), block.as_ref())?;
    Ok(Plan::Parts(Box::new([first, second, b.finish()]), types))
}

impl Emitter<'_> {
    fn lane_bytes(&self) -> i64 {
        i64::from(self.width.bytes())
    }

    fn elements(&self) -> usize {
        self.tiles.size.input() * self.tiles.size.input()
    }

    fn weights(&self, b: &mut NestBuilder) -> BufferId {
        let p = self.p;
        let lanes = self.width.lanes() as usize;
        let n = self.elements() * p.dst_blocks() * lanes * p.src_blocks() * lanes;
        b.buffer(TensorType::new(DType::F32, [n]), BufferRole::Src)
    }

    fn bias(&self, b: &mut NestBuilder) -> BufferId {
        let n = self.p.dst_blocks() * self.width.lanes() as usize;
        b.buffer(TensorType::new(DType::F32, [n]), BufferRole::Src)
    }

    fn addends(&self, b: &mut NestBuilder) -> Addends {
        [self.p.tail.base, self.p.tail.addend].map(|a| a.map(|a| (b.buffer(a.map.ty(), BufferRole::Src), a)))
    }

    /// Room for the transform of a tile's columns.
    fn temporary(&self, b: &mut NestBuilder) -> BufferId {
        let n = self.elements() * self.width.lanes() as usize;
        b.buffer(TensorType::new(DType::F32, [n]), BufferRole::Scratch)
    }

    /// Tiles in `rows` rows from `first` on of a map, as whole ones and those cut at its ends: row and column of the first, numbers of
    /// them, rows and columns of their pixels that exist.
    fn runs(&self, rows: usize, last: bool, map: &Map) -> Vec<[(usize, usize, usize); 2]> {
        let m = self.tiles.size.output();
        let axis = |tiles: usize, extent: usize, cut: bool| {
            let rest = extent % m;
            match cut && rest != 0 {
                true => vec![(0, tiles - 1, m), (tiles - 1, 1, rest)],
                false => vec![(0, tiles, m)],
            }
        };
        let columns = axis(self.tiles.columns, map.w, true);
        let rows = axis(rows, map.h, last);
        let all = rows.iter().flat_map(|r| columns.iter().map(move |c| [*r, *c]));
        all.filter(|[r, c]| r.1 > 0 && c.1 > 0).collect()
    }

    fn input(
        &self,
        b: &mut NestBuilder,
        (src, v, temporary): (BufferId, Planes, BufferId),
        (image, first, rows): (&Distance, &Distance, usize),
        block: Option<&Distance>,
    ) -> Result<(), Refusal> {
        let (p, m, n) = (self.p, self.tiles.size.output(), self.tiles.size.input());
        let halo = p.src.layout.halo;
        for [(row0, row_tiles, _), (column0, column_tiles, _)] in
            self.runs(rows, rows == self.tiles.rows, &p.dst)
        {
            // A tile at an end of the map may hang over the input and its halo.
            let exists = |have: usize, tile: usize| have.saturating_sub(tile * m).min(n);
            let below = halo.top + p.src.h + halo.bottom - (halo.top - p.pads[1]);
            let beside = halo.left + p.src.w + halo.right - (halo.left - p.pads[2]);
            // Where rows are some of many, all of them are whole.
            let last_row = if rows == self.tiles.rows { row0 + row_tiles - 1 } else { 0 };
            let (have_rows, have_columns) =
                (exists(below, last_row), exists(beside, column0 + column_tiles - 1));
            let leaf = WinogradInput {
                width: self.width,
                size: self.tiles.size,
                rows: have_rows,
                columns: have_columns,
                row_bytes: distance(p.src.row_bytes())?,
                pixel_bytes: distance(p.src.pixel_bytes())?,
                plane_bytes: distance(v.plane_bytes)?,
            };
            distance(v.plane_bytes * self.elements() as i64)?;
            let program = leaf.program();
            b.each(row_tiles, |b, r| {
                b.each(column_tiles, |b, c| {
                    let row = first.and(&Distance::new(row0 as i64).plus(r, 1));
                    let column = Distance::new(column0 as i64).plus(c, 1);
                    let within = Distance::new((row0 * self.tiles.columns + column0) as i64)
                        .plus(r, self.tiles.columns as i64)
                        .plus(c, 1);
                    let from = row
                        .times(m as i64 * p.src.row_bytes())
                        .and(&column.times(m as i64 * p.src.pixel_bytes()))
                        .and(&image.times(p.src.image_bytes()))
                        .offset(p.src_pixel([0; AXES]));
                    let from = block.map_or(from.clone(), |k| from.and(&k.times(p.src.block_bytes())));
                    let to = v.at(image, &within, block, self.lane_bytes());
                    b.call(program.clone(), &|name| match name {
                        "src" => Some(SlotValue::Pointer(src, from.clone())),
                        "dst" => Some(SlotValue::Pointer(v.buffer, to.clone())),
                        "scratch" => Some(SlotValue::Pointer(temporary, Distance::default())),
                        "blocks" => Some(SlotValue::Number(block.map_or(p.src_blocks(), |_| 1) as i64)),
                        "src_step" => Some(SlotValue::Number(p.src.block_bytes())),
                        "dst_step" => Some(SlotValue::Number(v.block_bytes)),
                        _ => None,
                    })
                })
            })?;
        }
        Ok(())
    }

    fn products(
        &self,
        b: &mut NestBuilder,
        (wei, v, m): (BufferId, Planes, Planes),
        image: &Distance,
        element: Option<&Distance>,
    ) -> Result<(), Refusal> {
        let (p, lane) = (self.p, self.lane_bytes());
        let lanes = self.width.lanes() as i64;
        let cut = tiles::vectors(p.dst_blocks());
        let vector_bytes = p.src_blocks() as i64 * lanes * lane;
        let plane = p.dst_blocks() as i64 * vector_bytes;
        let cold = weight_bytes(p, self.tiles.size) > self.l2 / 2;
        b.each(element.map_or(self.elements(), |_| 1), |b, l| {
            let own = Distance::default().plus(l, 1);
            let element = element.unwrap_or(&own);
            for (first, n, vectors) in tiles::runs(&cut) {
                b.each(n, |b, l| {
                    let oc = Distance::new((first * cut[0]) as i64).plus(l, vectors as i64);
                    let split = EvenSplit::new(v.tiles, tiles::pixels(self.width, vectors));
                    // Each call brings its share of the next tile's weights near.
                    let trip = (vectors as i64 * lanes * lane) as usize;
                    let share = trip.div_ceil(split.large + split.small).next_multiple_of(4);
                    let ahead = if cold { share as i32 } else { 0 };
                    let mut before = 0;
                    for (pixel, size, n) in split.runs() {
                        let program = self.product(size, vectors, ahead, (v, m))?;
                        b.each(n, |b, l| {
                            let near = Distance::new(before)
                                .plus(l, 1)
                                .times(p.src_blocks() as i64 * i64::from(ahead))
                                .offset(vector_bytes * vectors as i64);
                            let pixel = Distance::new(pixel as i64).plus(l, size as i64);
                            let of = |planes: Planes| {
                                element.times(planes.plane_bytes).and(&image.times(planes.image_bytes))
                            };
                            let from = pixel.times(lane).and(&of(v));
                            let to = pixel.times(lane).and(&oc.times(m.block_bytes)).and(&of(m));
                            b.call(program, &|name| match name {
                                "src" => Some(SlotValue::Pointer(v.buffer, from.clone())),
                                "wei" => {
                                    let at = element.times(plane).and(&oc.times(vector_bytes));
                                    Some(SlotValue::Pointer(wei, at))
                                }
                                "ahead" => {
                                    let at = element.times(plane).and(&oc.times(vector_bytes)).and(&near);
                                    Some(SlotValue::Pointer(wei, at))
                                }
                                "dst" => Some(SlotValue::Pointer(m.buffer, to.clone())),
                                "ic" => Some(SlotValue::Number(p.src_blocks() as i64)),
                                _ => None,
                            })
                        })?;
                        before += n as i64;
                    }
                    Ok::<_, Refusal>(())
                })?;
            }
            Ok(())
        })
    }

    fn product(
        &self,
        pixels: usize,
        vectors: usize,
        ahead: i32,
        (v, m): (Planes, Planes),
    ) -> Result<Program, Refusal> {
        let grid = |planes: Planes| {
            let pixels = Pixels::Strided { bytes: self.width.bytes(), repeat: 1 };
            Ok::<_, Refusal>(Grid { pixels, vector_bytes: distance(planes.block_bytes)? })
        };
        let axis = Axis { name: "ic", src: Advance::Bytes(distance(v.block_bytes)?) };
        let leaf = Conv {
            width: self.width,
            pixels,
            vectors,
            channels: self.width.lanes() as usize,
            taps: vec![0],
            src: grid(v)?,
            reduction: Reduction::Loops(vec![axis]),
            merged: 1,
            ahead,
            start: Start::Zero,
            epilogue: Epilogue::store(grid(m)?),
        };
        Ok(leaf.program())
    }

    fn output_program(&self, m: Planes, rows: usize, columns: usize) -> Result<Program, Refusal> {
        let p = self.p;
        let addend = |a: conv::Addend| {
            Ok::<_, Refusal>(Addend {
                row_bytes: distance(a.map.row_bytes())?,
                pixel_bytes: distance(a.map.pixel_bytes())?,
                repeat: a.repeat,
            })
        };
        let leaf = WinogradOutput {
            width: self.width,
            size: self.tiles.size,
            rows,
            columns,
            plane_bytes: distance(m.plane_bytes)?,
            row_bytes: distance(p.dst.row_bytes())?,
            pixel_bytes: distance(p.dst.pixel_bytes())?,
            base: p.tail.base.map(addend).transpose()?,
            residual: p.tail.addend.map(addend).transpose()?,
            activation: p.tail.activation,
        };
        let program = leaf.program();
        registers::allocate(&program).map_err(|_| Refusal::Registers)?;
        Ok(program)
    }

    fn output(
        &self,
        b: &mut NestBuilder,
        (m, bias, addends, dst, temporary): (Planes, BufferId, Addends, BufferId, BufferId),
        (image, first, rows): (&Distance, &Distance, usize),
        block: Option<&Distance>,
    ) -> Result<(), Refusal> {
        let (p, step) = (self.p, self.tiles.size.output());
        let [base, residual] = addends;
        for [(row0, row_tiles, have_rows), (column0, column_tiles, have_columns)] in
            self.runs(rows, rows == self.tiles.rows, &p.dst)
        {
            let program = self.output_program(m, have_rows, have_columns)?;
            b.each(row_tiles, |b, r| {
                b.each(column_tiles, |b, c| {
                    let row = first.and(&Distance::new(row0 as i64).plus(r, 1));
                    let column = Distance::new(column0 as i64).plus(c, 1);
                    let within = Distance::new((row0 * self.tiles.columns + column0) as i64)
                        .plus(r, self.tiles.columns as i64)
                        .plus(c, 1);
                    let from = m.at(image, &within, block, self.lane_bytes());
                    let place = |map: &Map, step: i64| {
                        let at = row
                            .times(step * map.row_bytes())
                            .and(&column.times(step * map.pixel_bytes()))
                            .and(&image.times(map.image_bytes()))
                            .offset(map.origin());
                        block.map_or(at.clone(), |k| at.and(&k.times(map.block_bytes())))
                    };
                    let vectors = block.map_or(Distance::default(), |k| k.times(self.lane_bytes()));
                    let added = |(buffer, a): (BufferId, conv::Addend)| {
                        Some(SlotValue::Pointer(buffer, place(&a.map, (step / a.repeat) as i64)))
                    };
                    b.call(program.clone(), &|name| match name {
                        "src" => Some(SlotValue::Pointer(m.buffer, from.clone())),
                        "dst" => Some(SlotValue::Pointer(dst, place(&p.dst, step as i64))),
                        "scratch" => Some(SlotValue::Pointer(temporary, Distance::default())),
                        "bias" => Some(SlotValue::Pointer(bias, vectors.clone())),
                        "base" => added(base?),
                        "residual" => added(residual?),
                        "blocks" => Some(SlotValue::Number(block.map_or(p.dst_blocks(), |_| 1) as i64)),
                        "src_step" => Some(SlotValue::Number(m.block_bytes)),
                        "dst_step" => Some(SlotValue::Number(p.dst.block_bytes())),
                        "base_step" => Some(SlotValue::Number(base?.1.map.block_bytes())),
                        "residual_step" => Some(SlotValue::Number(residual?.1.map.block_bytes())),
                        _ => None,
                    })
                })
            })?;
        }
        Ok(())
    }
}
