//! Definitions that compute nothing: transpositions, slices, concatenations, paddings, nearest neighbours, shuffles of
//! channels, on plain tensors.
//!
//! ```text
//! for row parallel  for each box of the result  call copy | transpose | weave | lanes
//! ```

use octrt_ops::compute::{Compute, Stage};
use octrt_ops::expr::{BufId, Expr};

use crate::leaf::Width;
use crate::leaf::programs::{
    Copy, Direction, Elementwise, Fill, Formula, Lanes, Reads, Source as Filled, Transpose, Weave,
};
use crate::nest::build::{Builder, Value};
use crate::nest::{BufferRole, Nest};
use crate::target::Target;

use super::refusal::{Refusal, distance};
use super::tail::Tail;

mod pieces;

use pieces::{Axis, Piece, Source, pieces};

/// Most vectors of a trip of a copy.
const VECTORS: usize = 4;

/// Most vectors of a row that a call copies with others.
const SHORT: usize = 32;

/// Least rows of a part that become columns.
const ROWS: usize = 16;

/// Most parts of a box that threads share.
const PARTS: usize = 16;

/// Elements of the result below which it does not matter how they are moved.
const FEW: usize = 32;

/// The nests of a stage, and what each reads. Buffers of a nest: those; the result. Where all boxes of the result have a loop in
/// common they share a nest.
///
/// # Errors
/// [`Refusal`] where there are no leaf programs, for definitions that compute, and for irregular moves.
pub fn nests(c: &Compute, stage: &Stage, target: Target) -> Result<Vec<(Nest, Vec<BufId>)>, Refusal> {
    let width = target.width().ok_or(Refusal::NoLeafPrograms(target))?;
    let ty = c.ty(stage.dst);
    if ty.shape.numel() < FEW {
        return Err(Refusal::Unfit("more elements"));
    }
    let pieces = pieces(c, stage)?;
    // Rows of the source that become columns are walked through in blocks.
    let turned = |axis: usize| pieces.iter().flat_map(|p| &p.axes).any(|a| a.of == axis && a.src == 1);
    let enough = |axis: &usize| !turned(*axis) && (pieces.len() > 1 || ty.shape[*axis] >= PARTS / 2);
    match shared(&pieces, ty.shape.dims()).filter(enough) {
        Some(axis) => Ok(vec![nest(c, stage, width, (&pieces, Some(axis)))?]),
        None => pieces.chunks(1).map(|piece| nest(c, stage, width, (piece, None))).collect(),
    }
}

/// The nest of some boxes, which have this axis of the result as their outermost loop, if any.
fn nest(
    c: &Compute,
    stage: &Stage,
    width: Width,
    (pieces, shared): (&[Piece], Option<usize>),
) -> Result<(Nest, Vec<BufId>), Refusal> {
    let ty = c.ty(stage.dst);
    let mut boxes: Vec<Vec<Axis>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let (first, others) = piece.axes.split_at(usize::from(shared.is_some()));
        boxes.push(first.iter().copied().chain(merged(others.to_vec())).collect());
    }
    let parts = match shared {
        Some(axis) => ty.shape[axis],
        None => parts(&boxes),
    };
    let mut b = Builder::new(stage.name, parts);
    let mut sources: Vec<BufId> = Vec::new();
    for piece in pieces {
        if let Source::Tensor(of, _) = piece.source
            && !sources.contains(&of)
        {
            sources.push(of);
        }
    }
    let places: Vec<BufId> = sources.iter().map(|of| b.buffer(c.ty(*of).clone(), BufferRole::Src)).collect();
    let dst = b.buffer(ty.clone(), BufferRole::Dst);
    let outer = b.parallel();
    let rank = |of: BufId| c.ty(of).shape.rank();
    for (piece, mut axes) in pieces.iter().zip(boxes) {
        let from = match piece.source {
            Source::Tensor(of, first) => {
                let place = sources.iter().position(|s| *s == of).map(|i| places[i]);
                let place = place.ok_or(Refusal::Defect("a source without a buffer"))?;
                From::Tensor(Place { buffer: place, rank: rank(of), at: Expr::int(first) })
            }
            Source::Number(x) => From::Number(x),
        };
        let to = Place { buffer: dst, rank: ty.shape.rank(), at: Expr::int(piece.first) };
        let mut moved = Moved { width, from, to };
        if let (Some(first), true) = (axes.first_mut(), parts > 1) {
            let each = first.extent / parts;
            let part =
                Axis { extent: parts, src: first.src * each as i64, dst: first.dst * each as i64, ..*first };
            moved = moved.at(&part, &outer);
            first.extent = each;
        }
        axes.retain(|a| a.extent > 1);
        moved.write(&mut b, &axes)?;
    }
    Ok((b.finish()?, sources))
}

/// Of how many equal parts of their outermost loops threads take some each.
fn parts(boxes: &[Vec<Axis>]) -> usize {
    let is_cut = |a: &Axis, n: usize| a.extent.is_multiple_of(n) && (a.src != 1 || a.extent / n >= ROWS);
    let divides = |n: usize| boxes.iter().all(|axes| axes.first().is_some_and(|a| is_cut(a, n)));
    (2..=PARTS).rev().find(|n| divides(*n)).unwrap_or(1)
}

/// The axis of the result whose iterations threads share: one that all boxes have as one loop, outermost, with others inside.
fn shared(pieces: &[Piece], dims: &[usize]) -> Option<usize> {
    let whole = |axis: usize, piece: &Piece| {
        let of: Vec<&Axis> = piece.axes.iter().filter(|a| a.of == axis).collect();
        matches!(of[..], [only] if only.extent == dims[axis])
            && piece.axes.first().is_some_and(|a| a.of == axis)
    };
    let last = (0..dims.len()).rev().find(|axis| dims[*axis] > 1)?;
    (0..last).find(|axis| dims[*axis] > 1 && pieces.iter().all(|p| whole(*axis, p)))
}

/// Neighbours that are one loop.
fn merged(axes: Vec<Axis>) -> Vec<Axis> {
    let mut out: Vec<Axis> = Vec::new();
    for a in axes {
        match out.last_mut() {
            Some(o) if o.src == a.src * a.extent as i64 && o.dst == a.dst * a.extent as i64 => {
                *o = Axis { extent: o.extent * a.extent, ..a };
            }
            _ => out.push(a),
        }
    }
    out
}

/// An element of a tensor.
#[derive(Clone)]
struct Place {
    buffer: BufId,
    rank: usize,
    at: Expr,
}

impl Place {
    fn moved(&self, by: Expr) -> Place {
        Place { at: self.at.clone() + by, ..self.clone() }
    }

    fn value(&self) -> Value {
        let mut index = vec![Expr::int(0); self.rank];
        if let Some(last) = index.last_mut() {
            *last = self.at.clone();
        }
        Value::At(self.buffer, index)
    }
}

#[derive(Clone)]
enum From {
    Tensor(Place),
    Number(f32),
}

/// A box that is moved, at the iterations of some of its loops.
#[derive(Clone)]
struct Moved {
    width: Width,
    from: From,
    to: Place,
}

fn times(e: &Expr, n: i64) -> Expr {
    if n == 0 { Expr::int(0) } else { e.clone() * Expr::int(n) }
}

impl Moved {
    /// At an iteration of a loop.
    fn at(&self, axis: &Axis, i: &Expr) -> Moved {
        let from = match &self.from {
            From::Tensor(place) => From::Tensor(place.moved(times(i, axis.src))),
            number => number.clone(),
        };
        Moved { from, to: self.to.moved(times(i, axis.dst)), ..self.clone() }
    }

    /// Writes loops around what `body` writes.
    fn each(
        &self,
        b: &mut Builder,
        axes: &[Axis],
        body: &mut dyn FnMut(&Moved, &mut Builder) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match axes {
            [] => body(self, b),
            [first, inner @ ..] => b.each(first.extent, |b, i| self.at(first, i).each(b, inner, body)),
        }
    }

    /// Writes the calls of a box with these loops.
    fn write(&self, b: &mut Builder, axes: &[Axis]) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let Some((last, outer)) = axes.split_last() else { return self.strips(b, &[], 1) };
        let moves = matches!(self.from, From::Tensor(_));
        if last.dst == 1 && (!moves || last.src == 0 || last.src == 1) && last.extent >= lanes {
            let short = last.src == 1 && last.extent / lanes <= SHORT;
            return match outer.split_last() {
                Some((rows, outer)) if moves && short => {
                    self.each(b, outer, &mut |m, b| m.rows(b, rows, last.extent))
                }
                _ => self.each(b, outer, &mut |m, b| m.row(b, last)),
            };
        }
        if last.dst == 1 && (!moves || last.src == 1) {
            return self.strips(b, outer, last.extent);
        }
        if let (true, [.., next]) = (last.dst == 1 && last.extent == 2, outer)
            && next.src == 1
            && next.dst == 2
            && next.extent >= lanes
        {
            let outer = &outer[..outer.len() - 1];
            return self.each(b, outer, &mut |m, b| m.weave(b, next, last));
        }
        // Rows of the source are columns of the result.
        let along = outer.iter().rposition(|a| a.src == 1 && a.extent >= lanes / 2);
        if let Some(i) = along.filter(|_| last.dst == 1 && last.extent >= lanes / 2) {
            let others = [&outer[..i], &outer[i + 1..]].concat();
            return self.each(b, &others, &mut |m, b| m.transposed(b, &outer[i], last));
        }
        self.strips(b, axes, 1)
    }

    /// A row of elements that lie side by side in the result.
    fn row(&self, b: &mut Builder, row: &Axis) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let full = row.extent / lanes;
        let vectors = (1..=VECTORS).rev().find(|v| full.is_multiple_of(*v)).unwrap_or(1);
        let all = [(vectors, full / vectors, lanes), (1, 1, row.extent % lanes)];
        let mut done = 0;
        for (vectors, trips, of) in all.into_iter().filter(|(_, _, of)| *of > 0) {
            let m = self.at(row, &Expr::int(done));
            let tail = (of < lanes).then_some(of as u8);
            let reads = if row.src == 0 { Reads::Single } else { Reads::Along };
            match &m.from {
                From::Tensor(from) => {
                    let formula = Formula::of_buffers(&Tail::operand(0)).ok_or(Refusal::Defect("a copy"))?;
                    let operands = vec![reads];
                    let leaf = Elementwise { width: self.width, vectors, formula, operands, tail };
                    b.call(leaf.program(), &|name| match name {
                        "operand0" => Some(from.value()),
                        "dst" => Some(m.to.value()),
                        "trips" => Some(Value::Number(trips as i64)),
                        _ => None,
                    })?;
                }
                From::Number(value) => {
                    let leaf = Fill { width: self.width, value: *value, lanes: of as u8 };
                    b.call(leaf.program(), &|name| match name {
                        "dst" => Some(m.to.value()),
                        "trips" => Some(Value::Number((trips * vectors) as i64)),
                        _ => None,
                    })?;
                }
            }
            done += trips * vectors * of;
        }
        Ok(())
    }

    /// Short rows that are copied.
    fn rows(&self, b: &mut Builder, rows: &Axis, elements: usize) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let (src_bytes, dst_bytes) = (distance(4 * rows.src)?, distance(4 * rows.dst)?);
        let (vectors, rest) = (elements / lanes, (elements % lanes) as u8);
        let leaf = Copy { width: self.width, vectors, rest, src_bytes, dst_bytes };
        b.call(leaf.program(), &|name| match (name, &self.from) {
            ("src", From::Tensor(from)) => Some(from.value()),
            ("dst", _) => Some(self.to.value()),
            ("trips", _) => Some(Value::Number(rows.extent as i64)),
            _ => None,
        })
    }

    /// Some elements that lie side by side in both, for all iterations of these loops.
    fn strips(&self, b: &mut Builder, axes: &[Axis], lanes: usize) -> Result<(), Refusal> {
        let longest = (0..axes.len()).max_by_key(|i| axes[*i].extent);
        let one = Axis { extent: 1, src: 0, dst: 0, of: 0 };
        let along = longest.map_or(one, |i| axes[i]);
        let others: Vec<Axis> =
            axes.iter().enumerate().filter(|(i, _)| Some(*i) != longest).map(|(_, a)| *a).collect();
        let (from, to) = (distance(4 * along.src)?, distance(4 * along.dst)?);
        self.each(b, &others, &mut |m, b| {
            let source = match m.from {
                From::Tensor(_) => Filled::Pixels(from),
                From::Number(x) => Filled::Number(x),
            };
            let leaf = Lanes { width: m.width, lanes: lanes as u8, pixel_bytes: to, source };
            b.call(leaf.program(), &|name| match (name, &m.from) {
                ("src", From::Tensor(from)) => Some(from.value()),
                ("dst", _) => Some(m.to.value()),
                ("trips", _) => Some(Value::Number(along.extent as i64)),
                _ => None,
            })
        })
    }

    /// Rows whose elements come in turn.
    fn weave(&self, b: &mut Builder, row: &Axis, pair: &Axis) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let (trips, rest) = (row.extent / lanes, row.extent % lanes);
        let leaf = Weave { width: self.width, repeats: pair.src == 0 };
        let odd = self.at(pair, &Expr::int(1));
        b.call(leaf.program(), &|name| match (name, &self.from, &odd.from) {
            ("even", From::Tensor(even), _) => Some(even.value()),
            ("odd", _, From::Tensor(odd)) => Some(odd.value()),
            ("dst", ..) => Some(self.to.value()),
            ("trips", ..) => Some(Value::Number(trips as i64)),
            _ => None,
        })?;
        match rest {
            0 => Ok(()),
            _ => {
                let left = self.at(row, &Expr::int(trips * lanes));
                left.strips(b, &[Axis { extent: rest, ..*row }, *pair], 1)
            }
        }
    }

    /// Squares of elements: `along` lies side by side in the source, `across` in the result.
    fn transposed(&self, b: &mut Builder, along: &Axis, across: &Axis) -> Result<(), Refusal> {
        let lanes = self.width.lanes() as usize;
        let (channel_bytes, pixel_bytes) = (distance(4 * across.src)?, distance(4 * along.dst)?);
        distance(4 * across.src * lanes as i64)?;
        distance(4 * along.dst * lanes as i64)?;
        let of = |axis: &Axis| {
            let (full, rest) = (axis.extent / lanes, axis.extent % lanes);
            [(0, full, lanes), (full * lanes, usize::from(rest > 0), rest)]
        };
        for (first, blocks, channels) in of(across).into_iter().filter(|(_, n, _)| *n > 0) {
            b.each(blocks, |b, block| {
                let m = self.at(across, &(block.clone() * Expr::int(lanes) + Expr::int(first)));
                for (first, trips, pixels) in of(along).into_iter().filter(|(_, n, _)| *n > 0) {
                    let m = m.at(along, &Expr::int(first));
                    let leaf = Transpose {
                        width: self.width,
                        direction: Direction::ToBlocks,
                        channels: channels as u8,
                        pixels: pixels as u8,
                        channel_bytes,
                        pixel_bytes,
                        whole: false,
                    };
                    b.call(leaf.program(), &|name| match (name, &m.from) {
                        ("src", From::Tensor(from)) => Some(from.value()),
                        ("dst", _) => Some(m.to.value()),
                        ("trips", _) => Some(Value::Number(trips as i64)),
                        _ => None,
                    })?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
