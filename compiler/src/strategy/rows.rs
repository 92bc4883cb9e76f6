//! Element by element on activations of one layout, row by row: copies, activations, sums of two tensors, factors per
//! channel, and the borders of halos.

use octrt_ops::expr::Expr;

use crate::layout::{AXES, Map};
use crate::leaf::programs::{Activation, Affine, Elementwise, Fill, Other};
use crate::leaf::{BinaryOp, Program, Width};
use crate::nest::build::{Builder, Value};
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::refusal::Refusal;

/// What an element is computed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum With {
    /// Nothing: `src`.
    Nothing,
    /// The element of another map: `op(src, other)`.
    Map(BinaryOp, Map),
    /// A factor and a summand of its channel: `src * scale + shift`. Maps in blocks only.
    Channel,
}

/// `dst = activation(...)`. Buffers, in order: src; other, or scale and shift; dst. All maps have as many lanes.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsProblem {
    /// The input.
    pub src: Map,
    /// What its elements are computed with.
    pub with: With,
    /// The output: at least as many blocks of channels as the input.
    pub dst: Map,
    /// The block of the output that the first block of the input goes to.
    pub first_block: usize,
    /// The function that is applied.
    pub activation: Activation,
}

/// Most vectors of a trip.
const VECTORS: usize = 4;

/// Full vectors of a run of floats in trips of equal length, and what is left over: vectors of a trip, trips, lanes.
fn trips(floats: usize, width: Width) -> [(usize, usize, u8); 2] {
    let lanes = width.lanes() as usize;
    let full = floats / lanes;
    let vectors = (1..=VECTORS).rev().find(|v| full.is_multiple_of(*v)).unwrap_or(1);
    let rest = floats % lanes;
    [(vectors, full / vectors, lanes as u8), (1, usize::from(rest > 0), rest as u8)]
}

impl RowsProblem {
    fn program(&self, width: Width, vectors: usize, lanes: u8) -> Program {
        let tail = (u32::from(lanes) < width.lanes()).then_some(lanes);
        let activation = self.activation;
        match self.with {
            With::Channel => Affine { width, vectors, activation }.program(),
            With::Nothing => Elementwise { width, vectors, other: Other::Absent, activation, tail }.program(),
            With::Map(op, _) => {
                Elementwise { width, vectors, other: Other::Along(op), activation, tail }.program()
            }
        }
    }
}

/// The nest.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, or lanes differ.
pub fn nest(p: &RowsProblem, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let other = match p.with {
        With::Map(_, map) => Some(map),
        _ => None,
    };
    let lanes = p.src.layout.lanes;
    let maps: Vec<&Map> = [&p.src, &p.dst].into_iter().chain(&other).collect();
    let per_channel = p.with == With::Channel;
    if maps.iter().any(|m| m.layout.lanes != lanes) || per_channel && lanes != width.lanes() as usize {
        return Err(Refusal::Unfit("blocks of channels of different sizes"));
    }
    // Without halos the rows of a block lie one after the other.
    let whole = maps.iter().all(|m| m.layout.halo.is_none());
    let (planes, rows, columns) = if whole { (1, 1, p.src.pixels()) } else { (p.src.d, p.src.h, p.src.w) };
    let mut b = Builder::new("elementwise", if p.src.mb > 1 { p.src.mb } else { p.src.blocks() });
    let src = b.buffer(p.src.ty(), BufferRole::Src);
    let other = other.map(|map| (b.buffer(map.ty(), BufferRole::Src), map));
    let vector = octrt_ops::TensorType::new(octrt_ops::DType::F32, [p.src.blocks() * lanes]);
    let channel = per_channel.then(|| [(); 2].map(|()| b.buffer(vector.clone(), BufferRole::Src)));
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    each_block(&mut b, &p.src, |b, image, block| {
        b.each(planes, |b, plane| {
            b.each(rows, |b, row| {
                let mut done = 0;
                for (vectors, n, of) in trips(columns * lanes, width) {
                    let place = |buffer, map: &Map, first: usize| {
                        let pixel = [plane.clone(), row.clone(), Expr::int(0)];
                        let at = map.index(image, &(block.clone() + Expr::int(first)), pixel);
                        Some(Value::At(buffer, further(at, done)))
                    };
                    let of_channel = |i| Some(Value::At(channel?[i], vec![block.clone() * Expr::int(lanes)]));
                    if n > 0 {
                        b.call(p.program(width, vectors, of), &|name| match name {
                            "src" => place(src, &p.src, 0),
                            "other" => other.as_ref().and_then(|(buffer, map)| place(*buffer, map, 0)),
                            "scale" => of_channel(0),
                            "shift" => of_channel(1),
                            "dst" => place(dst, &p.dst, p.first_block),
                            "trips" => Some(Value::Number(n as i64)),
                            _ => None,
                        })?;
                    }
                    done += vectors * n * usize::from(of);
                }
                Ok(())
            })
        })
    })?;
    b.finish()
}

/// The place some elements behind another one.
fn further(mut index: Vec<Expr>, elements: usize) -> Vec<Expr> {
    if let Some(last) = index.last_mut() {
        *last = last.clone() + Expr::int(elements);
    }
    index
}

/// Calls `body` for every picture and block: the parallel loop runs over pictures, or over blocks where there is one
/// picture.
fn each_block(
    b: &mut Builder,
    map: &Map,
    body: impl FnOnce(&mut Builder, &Expr, &Expr) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let outer = b.parallel();
    if map.mb > 1 {
        b.each(map.blocks(), |b, block| body(b, &outer, block))
    } else {
        body(b, &Expr::int(0), &outer)
    }
}

/// Writes the halo of a map. Buffers: dst.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs.
pub fn border(map: &Map, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let [(front, back), (top, bottom), (left, right)] = map.layout.halo.ends();
    let mut b = Builder::new("border", if map.mb > 1 { map.mb } else { map.blocks() });
    let dst = b.buffer(map.ty(), BufferRole::Dst);
    let columns = left + map.w + right;
    let plane = (top + map.h + bottom) * columns;
    let value = map.layout.border.value();
    each_block(&mut b, map, |b, image, block| {
        let run = |b: &mut Builder, at: [Expr; AXES], pixels: usize| {
            let mut done = 0;
            for (vectors, n, lanes) in trips(pixels * map.layout.lanes, width) {
                if n > 0 {
                    let at = further(map.index(image, block, at.clone()), done);
                    b.call(Fill { width, value, lanes }.program(), &|name| match name {
                        "dst" => Some(Value::At(dst, at.clone())),
                        "trips" => Some(Value::Number((vectors * n) as i64)),
                        _ => None,
                    })?;
                }
                done += vectors * n * usize::from(lanes);
            }
            Ok(())
        };
        let before = |n: usize| Expr::int(-(n as i64));
        // The right end of a row and the left end of the next one are one run, and so are the ends of planes.
        let first = [before(front), before(top), before(left)];
        run(b, first, front * plane + top * columns + left)?;
        let (row, column) = (Expr::int(map.h - 1), Expr::int(map.w));
        if left + right > 0 && map.h > 1 {
            b.each(map.d, |b, d| {
                let end = |row: &Expr| [d.clone(), row.clone(), column.clone()];
                b.each(map.h - 1, |b, row| run(b, end(row), left + right))
            })?;
        }
        let between = right + (bottom + top) * columns + left;
        if map.d > 1 && between > 0 {
            b.each(map.d - 1, |b, d| run(b, [d.clone(), row.clone(), column.clone()], between))?;
        }
        run(b, [Expr::int(map.d - 1), row, column], right + bottom * columns + back * plane)
    })?;
    b.finish()
}
