//! Where the pixels of a tile lie in a tensor.

use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, VarId};
use octrt_ops::{Shape, Tensor};

use crate::leaf::programs::{Grid, Pixels};
use crate::nest::Loop;
use crate::nest::affine::{Affine, uses};
use crate::nest::index::bounds;
pub(super) use crate::nest::strides::ELEMENT;
use crate::nest::{Buffer, BufferRole, Distance, SlotValue};
use crate::nest::{Nest, pointer};
use crate::strategy::refusal::{Refusal, distance};

/// Most pixels of a tile, and more: distances of that many must fit a leaf program.
const TILE: i64 = 64;

/// Elements of a tensor that a tile touches: those of its first pixel, and how to come from one pixel to the next.
#[derive(Clone, Debug)]
pub struct Walk {
    pub(super) buffer: BufId,
    /// Distance of the first pixel of the tile in bytes; of the first pixel of all where pixels lie in a table.
    at: Affine,
    place: Place,
    /// From one vector of channels to the next, in bytes.
    vector_bytes: i64,
}

#[derive(Clone, Debug)]
enum Place {
    /// Every pixel as many bytes after the one before.
    Even(i32),
    /// Distances of all pixels, and the number of the tile's first.
    Table(Tensor, Affine),
}

/// The distance of an element of a buffer in bytes.
pub(super) fn distance_of(nest: &Nest, buffer: BufId, index: &[Expr]) -> Affine {
    let Some(b) = nest.buffers.get(buffer.0 as usize) else { return Affine::default() };
    match index {
        // Packed weights are a vector.
        [_] => Affine::at(&Shape::from([b.ty.shape.numel()]), index, ELEMENT),
        _ => Affine::at(&b.ty.shape, index, ELEMENT),
    }
}

/// The bytes by which a sum grows with a loop, taken out of it; 0 where the loop does not occur.
pub(super) fn take(sum: &mut Affine, l: VarId) -> i64 {
    let at = sum.terms.iter().position(|(_, atom)| *atom == Expr::Var(l));
    at.map_or(0, |i| sum.terms.swap_remove(i).0)
}

/// A part of a number: what is done to it one after the other.
pub(super) struct Digit<'a> {
    pub(super) of: &'a Expr,
    steps: Vec<(BinaryFn, i64)>,
}

impl<'a> Digit<'a> {
    pub(super) fn new(mut e: &'a Expr) -> Digit<'a> {
        let mut steps = Vec::new();
        while let Expr::Binary(f @ (BinaryFn::Div | BinaryFn::Rem), a, c) = e
            && let Expr::Const(Scalar::I64(c)) = **c
            && c > 0
        {
            steps.push((*f, c));
            e = a;
        }
        steps.reverse();
        Digit { of: e, steps }
    }

    /// The part of a number.
    pub(super) fn part(&self, n: i64) -> i64 {
        part(n, &self.steps)
    }
}

fn part(n: i64, steps: &[(BinaryFn, i64)]) -> i64 {
    steps.iter().fold(n, |n, (f, c)| if *f == BinaryFn::Div { n / c } else { n % c })
}

impl Walk {
    /// The walk through `buffer` from the distance `at`, in which only loops outside the tile, its pixels, which are some of
    /// `pixels`, and its vectors are left. Blocks are `block` bytes from each other where vectors are not.
    ///
    /// # Errors
    /// [`Refusal::Distance`], and [`Refusal::Tensorize`] where positions are neither affine nor digits of one number.
    pub(super) fn new(
        (nest, tables): (&Nest, &mut Tables),
        buffer: BufId,
        mut at: Affine,
        (pixel, vector): (VarId, VarId),
        (pixels, block): (usize, i64),
    ) -> Result<Walk, Refusal> {
        let vector_bytes = take(&mut at, vector);
        let is_digit = |(_, atom): &(i64, Expr)| !matches!(atom, Expr::Var(_));
        if !at.terms.iter().any(is_digit) {
            let step = even(take(&mut at, pixel)).ok_or(Refusal::Distance)?;
            return Ok(Walk { buffer, at, place: Place::Even(step), vector_bytes });
        }
        let terms: Vec<(i64, Expr)> = at.terms.extract_if(.., |t| is_digit(t)).collect();
        let digits: Vec<(i64, Digit<'_>)> = terms.iter().map(|(c, e)| (*c, Digit::new(e))).collect();
        let number = digits[0].1.of;
        let alike =
            digits.iter().all(|(_, d)| d.of == number) && !at.terms.iter().any(|(_, e)| uses(e, pixel));
        let mut first = Affine::of(number);
        let extents = |l: VarId| nest.extent(l);
        let known = bounds(number, &extents).is_some_and(|(lo, hi)| lo >= 0 && hi < pixels as i64);
        if !alike || !known || take(&mut first, pixel) != 1 {
            return Err(Refusal::Tensorize("positions that are those of one number of pixels"));
        }
        // Whole blocks are no part of positions, so that all blocks share a table.
        let block = if vector_bytes > 0 { vector_bytes } else { block };
        let inside = if block > 0 { at.constant.rem_euclid(block) } else { at.constant };
        let digits = digits.into_iter().map(|(c, d)| (c, d.steps)).collect();
        at.constant -= inside;
        match tables.positions(Positions { digits, inside, pixels })? {
            Found::Even { start, step } => {
                at.constant += start;
                let at = at.plus(&first, step.into());
                Ok(Walk { buffer, at, place: Place::Even(step), vector_bytes })
            }
            Found::Table(table) => Ok(Walk { buffer, at, place: Place::Table(table, first), vector_bytes }),
        }
    }

    /// Where the pixels and vectors of a tile lie, for a leaf builder.
    pub(super) fn grid(&self) -> Result<Grid, Refusal> {
        let pixels = match self.place {
            Place::Even(bytes) => Pixels::Strided { bytes, repeat: 1 },
            Place::Table(..) => Pixels::Table,
        };
        Ok(Grid { pixels, vector_bytes: distance(self.vector_bytes)? })
    }

    /// The address of the tile.
    pub(super) fn pointer(&self, around: &[&Loop]) -> Result<SlotValue, Refusal> {
        Ok(pointer(self.buffer, of_loops(around, &self.at)?))
    }

    /// The address of the tile's distances, where they are in a table, which is a buffer of the nest then.
    pub(super) fn offsets(&self, nest: &mut Nest, around: &[&Loop]) -> Result<Option<SlotValue>, Refusal> {
        match &self.place {
            Place::Even(_) => Ok(None),
            Place::Table(distances, first) => {
                let mut entry = Affine::default();
                entry.add_sum(first, ELEMENT);
                let at = of_loops(around, &entry)?;
                Ok(Some(pointer(table(nest, distances), at)))
            }
        }
    }
}

/// The bytes from one pixel to the next, where all pixels of a tile are within reach of a leaf program.
fn even(step: i64) -> Option<i32> {
    let far = distance(step.checked_mul(TILE)?).ok()?;
    Some(far / TILE as i32)
}

/// The buffer of a table.
pub(super) fn table(nest: &mut Nest, table: &Tensor) -> BufId {
    let same = |b: &Buffer| matches!(&b.role, BufferRole::Table(t) if t == table);
    match nest.buffers.iter().position(same) {
        Some(known) => BufId(known as u32),
        None => nest.buffer(Buffer::new(table.ty().clone(), BufferRole::Table(table.clone()))),
    }
}

/// Distances as a table.
pub(super) fn distances(entries: Vec<i32>) -> Result<Tensor, Refusal> {
    Tensor::new([entries.len()], &entries).map_err(|_| Refusal::Defect("a table of another extent"))
}

/// Positions of pixels in a tensor: sums of digits of their numbers.
#[derive(Clone, Debug, PartialEq)]
struct Positions {
    /// Bytes for each digit, and how it comes from the number.
    digits: Vec<(i64, Vec<(BinaryFn, i64)>)>,
    /// Bytes of the first pixel.
    inside: i64,
    pixels: usize,
}

#[derive(Clone, Debug)]
enum Found {
    /// Every pixel as many bytes after the one before.
    Even {
        start: i64,
        step: i32,
    },
    Table(Tensor),
}

/// Tables of positions that were made already: the calls of a nest share them.
#[derive(Clone, Debug, Default)]
pub struct Tables(Vec<(Positions, Found)>);

impl Tables {
    fn positions(&mut self, of: Positions) -> Result<Found, Refusal> {
        if let Some((_, found)) = self.0.iter().find(|(known, _)| *known == of) {
            return Ok(found.clone());
        }
        let place = |p| of.inside + of.digits.iter().map(|(c, steps)| c * part(p, steps)).sum::<i64>();
        let pixels = of.pixels as i64;
        let start = place(0);
        let step = if pixels > 1 { place(1) - start } else { 0 };
        let is_even = (0..pixels).all(|p| place(p) == start + step * p);
        let found = match even(step).filter(|_| is_even) {
            Some(step) => Found::Even { start, step },
            None => {
                let entries = (0..pixels).map(|p| distance(place(p))).collect::<Result<_, _>>()?;
                Found::Table(distances(entries)?)
            }
        };
        self.0.push((of, found.clone()));
        Ok(found)
    }
}

/// A sum of these loops as a distance, in their order; those of one iteration are left out.
pub(super) fn of_loops(loops: &[&Loop], sum: &Affine) -> Result<Distance, Refusal> {
    let mut distance = Distance::new(sum.constant);
    let mut left = sum.terms.len();
    for l in loops {
        let Some((factor, _)) = sum.terms.iter().find(|(_, e)| *e == Expr::Var(l.id)) else { continue };
        left -= 1;
        if l.extent > 1 {
            distance = distance.plus(VarId(l.id.0), *factor);
        }
    }
    match left {
        0 => Ok(distance),
        _ => Err(Refusal::Tensorize("distances that are sums of loops")),
    }
}
