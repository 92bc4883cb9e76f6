//! Winograd's minimal filtering for convolutions of 3x3 and of several planes of 3x3, of stride 1.
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
//! V and M lie in the arena. Dilated windows see every d-th row and column: the map is d*d grids, each with its own tiles, which
//! are strided in memory and otherwise like all others. Kernels of several planes sum over the transforms of as many.

use std::sync::Arc;

use octrt_ops::expr::Expr;
use octrt_ops::{DType, TensorType};

use crate::layout::{AXES, MapWindow};
use crate::leaf::Width;
use crate::leaf::programs::Winograd;
use crate::nest::BufferRole;
use crate::nest::build::Builder;
use crate::schedule::script::Scheduled;
use crate::target::Target;

use super::conv::{ConvProblem, Plan};
use super::decision::Tiling;
use super::refusal::Refusal;
use super::share::Share;
use super::tail::Operand;

pub(super) mod planes;
mod products;
mod transforms;

use planes::{Planes, Tiles, chunks, weight_bytes};
use products::Products;
use transforms::{Of, Transforms};

/// The nests of a convolution, in as many chunks as a tiling names, which serves it.
///
/// # Errors
/// [`Refusal`] where the algorithm does not serve it.
pub fn plan(p: &ConvProblem, (size, tiling): (Winograd, Tiling), target: Target) -> Result<Plan, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    if !p.is_winograd() || p.src.layout.lanes != p.dst.layout.lanes {
        return Err(Refusal::Unfit("Winograd's algorithm is for windows of 3x3 in steps of 1"));
    }
    ends_with(size, &p.window, p.tail.operands.iter().map(Operand::repeat))?;
    let tiles = Tiles::of(p, size);
    let cold_from = target.cold_from();
    match tiling.chunks.unwrap_or_else(|| chunks(p, size, target)) {
        1 => parts(p, tiles, (width, cold_from)),
        n => whole(p, tiles, tiles.extents()[0] / n, (width, cold_from)).map(Plan::Whole),
    }
}

/// What of the result the iterations of the parallel loop have for their own.
pub fn share(p: &ConvProblem, (size, tiling): (Winograd, Tiling), target: Target) -> Share {
    match tiling.chunks.unwrap_or_else(|| chunks(p, size, target)) {
        n if n > 1 && p.src.mb == 1 => Share::Rows(n),
        _ => Share::usual(&p.dst),
    }
}

/// That the output transform can read these tensors: for each, how many rows and columns share a pixel.
///
/// # Errors
/// [`Refusal::Unfit`] where it cannot.
pub fn ends_with(
    size: Winograd,
    window: &MapWindow,
    repeats: impl IntoIterator<Item = usize>,
) -> Result<(), Refusal> {
    // Pixels of a tile of a grid of several lie in more pixels of what is upsampled.
    let most = if window.dilations == [1; AXES] { size.output() } else { 1 };
    match repeats.into_iter().all(|repeat| most.is_multiple_of(repeat.max(1))) {
        true => Ok(()),
        false => Err(Refusal::Unfit("an upsampled operand that no tile covers evenly")),
    }
}

/// The products of so many rows of tiles.
fn products(
    p: &ConvProblem,
    tiles: Tiles,
    (rows, types): (usize, [TensorType; 2]),
    (width, cold_from): (Width, usize),
) -> Products {
    let batched = types[0].shape.rank() > 2;
    let n = rows * tiles.extents()[1];
    Products {
        images: if batched { p.src.mb } else { 1 },
        elements: tiles.size.input() * tiles.size.input(),
        src_blocks: p.src_blocks(),
        dst_blocks: p.dst_blocks(),
        tiles: tiles.planes.map(|planes| planes * n),
        planes: (p.window.kernel[0], p.window.dilations[0] * n),
        width,
        types,
        is_cold: weight_bytes(p, tiles.size) > cold_from,
    }
}

fn whole(
    p: &ConvProblem,
    tiles: Tiles,
    rows: usize,
    (width, cold_from): (Width, usize),
) -> Result<Scheduled, Refusal> {
    let [all, columns] = tiles.extents();
    let chunks = all / rows;
    let mut b = Builder::new("conv_winograd", if p.src.mb > 1 { p.src.mb } else { chunks });
    let t = Transforms { p, width, tiles };
    let n = tiles.planes.map(|planes| planes * rows * columns);
    let blocks = [p.src_blocks(), p.dst_blocks()];
    let types = [0, 1].map(|i| Planes::ty(width, tiles.size, blocks[i], n[i]));
    let products = products(p, tiles, (rows, types.clone()), (width, cold_from));
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let wei = b.buffer(TensorType::new(DType::F32, [products.weights().shape.numel()]), BufferRole::Src);
    let bias = t.bias(&mut b);
    let operands = t.operands(&mut b);
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let mut planes =
        |i: usize| Planes::new(b.buffer(types[i].clone(), BufferRole::Scratch), width, n[i], false);
    let [v, m] = [planes(0), planes(1)];
    let temporary = t.temporary(&mut b);
    let products = products.schedule()?;
    let outer = b.parallel();
    b.each(if p.src.mb > 1 { chunks } else { 1 }, |b, l| {
        let (image, chunk) = if p.src.mb > 1 { (&outer, l) } else { (&Expr::int(0), &outer) };
        let of = Of { image, first: &(chunk.clone() * Expr::int(rows)), rows, block: None };
        t.input(b, (src, v, temporary), &of)?;
        b.embed(products.nest(), &[v.buffer, wei, m.buffer]);
        t.output(b, (m, bias, &operands, dst, temporary), &of)
    })?;
    Ok(Scheduled { parts: vec![Arc::new(products)], ..b.finish()?.into() })
}

fn parts(p: &ConvProblem, tiles: Tiles, (width, cold_from): (Width, usize)) -> Result<Plan, Refusal> {
    let t = Transforms { p, width, tiles };
    let mb = p.src.mb;
    let [rows, columns] = tiles.extents();
    let n = tiles.planes.map(|planes| planes * rows * columns);
    let ty = |blocks, n| {
        let ty = Planes::ty(width, tiles.size, blocks, n);
        let dims: Vec<usize> = [mb].iter().chain(ty.shape.dims()).copied().collect();
        TensorType::new(DType::F32, dims)
    };
    let types = [ty(p.src_blocks(), n[0]), ty(p.dst_blocks(), n[1])];
    // Threads share pictures, or blocks of channels where there is one picture.
    let nest = |name: &str, blocks: usize| Builder::new(name, if mb > 1 { mb } else { blocks });
    let zero = Expr::int(0);
    let of = |outer| {
        let (image, block) = if mb > 1 { (outer, None) } else { (&zero, Some(outer)) };
        Of { image, first: &zero, rows, block }
    };

    let mut b = nest("winograd_input", p.src_blocks());
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let v = Planes::new(b.buffer(types[0].clone(), BufferRole::Dst), width, n[0], true);
    let temporary = t.temporary(&mut b);
    let outer = b.parallel();
    t.input(&mut b, (src, v, temporary), &of(&outer))?;
    let input = b.finish()?.into();

    let products = products(p, tiles, (rows, types.clone()), (width, cold_from)).schedule()?.finish()?;

    let mut b = nest("winograd_output", p.dst_blocks());
    let m = Planes::new(b.buffer(types[1].clone(), BufferRole::Src), width, n[1], true);
    let bias = t.bias(&mut b);
    let operands = t.operands(&mut b);
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let temporary = t.temporary(&mut b);
    let outer = b.parallel();
    t.output(&mut b, (m, bias, &operands, dst, temporary), &of(&outer))?;
    Ok(Plan::Parts(Box::new([input, products, b.finish()?.into()]), types))
}
