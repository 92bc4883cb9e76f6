//! Element by element on activations of one layout, row by row: copies, functions of a few tensors, and the borders of
//! halos.

use octrt_ops::expr::{BufId, Expr};

use crate::layout::{AXES, Map};
use crate::leaf::Width;
use crate::leaf::programs::{Elementwise, Fill, Formula, OPERAND, Reads};
use crate::nest::build::{Builder, Value};
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::refusal::{NO_FORMULA, Refusal};
use super::share::Share;
use super::tail::{Operand, Tail};

/// `dst = value`, an expression of elements `b0[]`, .. of the operands. Buffers, in order: those of the operands; dst. All
/// maps have as many lanes; there is at least one of the extents of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct RowsProblem {
    /// What is computed.
    pub value: Expr,
    /// The tensors that it reads; none is upsampled.
    pub operands: Vec<Operand>,
    /// The output: at least as many blocks of channels as the first map.
    pub dst: Map,
    /// The block of the output that the first block of the operands goes to.
    pub first_block: usize,
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
    /// A copy.
    pub fn copy(src: Map, dst: Map, first_block: usize) -> RowsProblem {
        let operands = vec![Operand::Map { map: src, repeat: 1 }];
        RowsProblem { value: Tail::operand(0), operands, dst, first_block }
    }

    fn maps(&self) -> impl Iterator<Item = &Map> {
        self.operands.iter().filter_map(|o| if let Operand::Map { map, .. } = o { Some(map) } else { None })
    }
}

/// The nest.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, lanes differ, or no leaf program computes the value.
pub fn nest(p: &RowsProblem, target: Target) -> Result<Nest, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let formula = Formula::of_buffers(&p.value).ok_or(Refusal::Unfit(NO_FORMULA))?;
    let src = *p.maps().next().ok_or(Refusal::Defect("elements of no map"))?;
    let lanes = src.layout.lanes;
    let alike = |m: &Map| m.layout.lanes == lanes && m.extents() == src.extents();
    let blocked = lanes == width.lanes() as usize || p.maps().count() == p.operands.len();
    if !p.maps().all(alike) || p.dst.layout.lanes != lanes || !blocked {
        return Err(Refusal::Unfit("maps of different extents, or blocks of channels of different sizes"));
    }
    // Without halos the rows of a block lie one after the other.
    let whole = p.maps().chain([&p.dst]).all(|m| m.layout.halo.is_none());
    let (planes, rows, columns) = if whole { (1, 1, src.pixels()) } else { (src.d, src.h, src.w) };
    let mut b = Builder::new("elementwise", Share::usual(&src).extent(&src));
    let operands: Vec<BufId> = p.operands.iter().map(|o| b.buffer(o.ty(), BufferRole::Src)).collect();
    let dst = b.buffer(p.dst.ty(), BufferRole::Dst);
    let reads = p.operands.iter().map(|o| match o {
        Operand::Map { .. } => Reads::Along,
        _ => Reads::Held,
    });
    let reads: Vec<Reads> = reads.collect();
    let program = |vectors: usize, lanes: u8| {
        let tail = (u32::from(lanes) < width.lanes()).then_some(lanes);
        Elementwise { width, vectors, formula: formula.clone(), operands: reads.clone(), tail }.program()
    };
    each_block(&mut b, (&src, Share::usual(&src)), |b, image, block| {
        let channel = block.clone() * Expr::int(lanes);
        b.each(planes, |b, plane| {
            b.each(rows, |b, row| {
                let mut done = 0;
                for (vectors, n, of) in trips(columns * lanes, width) {
                    let pixel = [plane.clone(), row.clone(), Expr::int(0)];
                    let to = p.dst.index(image, &(block.clone() + Expr::int(p.first_block)), pixel.clone());
                    let read = |k: usize| {
                        let at = match p.operands.get(k)? {
                            Operand::Map { map, .. } => further(map.index(image, block, pixel.clone()), done),
                            Operand::Pixel(map) => map.index(image, block, [0; AXES].map(Expr::int)),
                            Operand::Channel(_) | Operand::Product(_) => vec![channel.clone()],
                        };
                        Some(Value::At(*operands.get(k)?, at))
                    };
                    if n > 0 {
                        b.call(program(vectors, of), &|name| match name {
                            "dst" => Some(Value::At(dst, further(to.clone(), done))),
                            "trips" => Some(Value::Number(n as i64)),
                            name => read(OPERAND.iter().position(|o| *o == name)?),
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

/// Calls `body` for every picture and block of a share of a map.
fn each_block(
    b: &mut Builder,
    (map, share): (&Map, Share),
    body: impl FnOnce(&mut Builder, &Expr, &Expr) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let outer = b.parallel();
    match share {
        Share::Blocks(n) => {
            b.each(n, |b, l| body(b, &Expr::int(0), &(outer.clone() * Expr::int(n) + l.clone())))
        }
        Share::Images | Share::Rows(_) => b.each(map.blocks(), |b, block| body(b, &outer, block)),
    }
}

/// Writes the halo of a map. Buffers: dst.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs.
pub fn border(map: &Map, target: Target) -> Result<Nest, Refusal> {
    border_in(map, Share::usual(map), target)
}

/// As [`border`], by a nest whose parallel loop shares the map so.
///
/// # Errors
/// As there, and where shares would not be equal, or have a part of a map.
pub fn border_in(map: &Map, share: Share, target: Target) -> Result<Nest, Refusal> {
    share.of(map)?;
    if let Share::Rows(2..) = share {
        return Err(Refusal::Unfit("the border of a map by runs of rows"));
    }
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let [(front, back), (top, bottom), (left, right)] = map.layout.halo.ends();
    let mut b = Builder::new("border", share.extent(map));
    let dst = b.buffer(map.ty(), BufferRole::Dst);
    let columns = left + map.w + right;
    let plane = (top + map.h + bottom) * columns;
    let value = map.layout.border.value();
    each_block(&mut b, (map, share), |b, image, block| {
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
