//! Windows over every channel by itself as leaf programs.

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, VarId};

use super::call::{Values, calls};
use super::finish::{Finish, set_operands};
use super::walk::{ELEMENT, distance_of, of_loops, take};
use super::{FORMULA, inside, outside, unfit};
use crate::leaf::programs::{Axis, Bias, Depthwise, Epilogue, Grid, Pixels, Pool, PoolKind, Reduction, Sums};
use crate::leaf::{Program, Width};
use crate::nest::Loop;
use crate::nest::SlotValue;
use crate::nest::affine::Affine;
use crate::nest::strides::nested;
use crate::nest::{self, Define, Nest, pointer};
use crate::strategy::refusal::{Refusal, distance};

/// The loops of a tile of windows, all inside the first.
#[derive(Clone, Debug)]
pub struct WindowTile {
    /// Rows of pixels, where maps have rows.
    pub rows: Option<VarId>,
    /// Columns of pixels.
    pub columns: VarId,
    /// Channels.
    pub lane: VarId,
    /// The axes of the window.
    pub taps: Vec<VarId>,
}

impl WindowTile {
    /// The same tile where its loops have other names.
    #[must_use]
    pub fn in_run(&self, of: &dyn Fn(VarId) -> VarId, rows: Option<VarId>, columns: VarId) -> WindowTile {
        let taps = self.taps.iter().map(|l| of(*l)).collect();
        WindowTile { rows, columns, lane: of(self.lane), taps }
    }

    fn first(&self) -> VarId {
        self.rows.unwrap_or(self.columns)
    }
}

/// Most taps that are unrolled at once.
const UNROLLED: usize = 25;

/// Names of the axes of a window.
const AXES: [&str; 3] = ["kd", "kh", "kw"];

/// An address, and how far it is from one row and column of pixels to the next.
#[derive(Clone, Debug)]
struct Place {
    buffer: BufId,
    at: Affine,
    steps: [i64; 2],
}

impl Place {
    fn grid(&self, [rows, columns]: [usize; 2]) -> Result<Grid, Refusal> {
        let [down, right] = self.steps;
        let at = |r: usize, c: usize| distance(r as i64 * down + c as i64 * right);
        let all = (0..rows).flat_map(|r| (0..columns).map(move |c| at(r, c)));
        Ok(Grid { pixels: Pixels::Fixed(all.collect::<Result<_, _>>()?), vector_bytes: 0 })
    }

    fn pointer(&self, around: &[&Loop]) -> Result<SlotValue, Refusal> {
        Ok(pointer(self.buffer, of_loops(around, &self.at)?))
    }
}

/// A call of windows before it is written down.
#[derive(Clone, Debug)]
pub struct WindowCall<'a> {
    width: Width,
    kind: Option<PoolKind>,
    taps: Vec<i32>,
    axes: Vec<Axis>,
    counts: Vec<(&'static str, usize)>,
    src: Place,
    dst: Place,
    operands: Vec<Place>,
    wei: Option<(BufId, Affine)>,
    bias: Option<(BufId, Affine)>,
    finish: Finish<'a>,
}

impl WindowCall<'_> {
    /// The program for a tile of so many rows and columns.
    ///
    /// # Errors
    /// [`Refusal::Distance`].
    pub fn program(&self, tile: [usize; 2]) -> Result<Program, Refusal> {
        let (width, pixels, vectors, taps) = (self.width, tile[0] * tile[1], 1, self.taps.clone());
        let (src, reduction) = (self.src.grid(tile)?, Reduction::Loops(self.axes.clone()));
        let operands = self.operands.iter().map(|o| o.grid(tile)).collect::<Result<_, _>>()?;
        let formula = self.finish.formula.clone();
        let bias = if self.bias.is_some() { Bias::Vectors } else { Bias::Absent };
        let epilogue = Epilogue { bias, formula, operands, ..Epilogue::store(self.dst.grid(tile)?) };
        let sums = Sums::Single;
        Ok(match self.kind {
            None => Depthwise { width, pixels, vectors, taps, src, reduction, epilogue }.program(),
            Some(kind) => {
                Pool { width, pixels, vectors, taps, src, reduction, kind, sums, epilogue }.program()
            }
        })
    }
}

/// The call that stands for what is inside the first loop of a tile.
///
/// # Errors
/// [`Refusal::Tensorize`] where the loops do something else, [`Refusal::Distance`].
pub fn describe<'a>(nest: &'a Nest, tile: &WindowTile, width: Width) -> Result<WindowCall<'a>, Refusal> {
    let data: Vec<VarId> = tile.rows.into_iter().chain([tile.columns, tile.lane]).collect();
    let define = inside(nest, &data, &tile.taps)?;
    let Define { dst, index, when: None, value, reduce: Some(sum), update: false } = define else {
        return Err(unfit("a reduction"));
    };
    let (src, wei) = match value {
        Expr::Binary(BinaryFn::Mul, a, b) => (&**a, Some(&**b)),
        e => (e, None),
    };
    let finish = Finish::of(&sum.finish, (*dst, &index[..]));
    let finish = finish.filter(|f| f.exists.is_none() && !f.adds_stored).ok_or(unfit(FORMULA))?;
    let kind = kind(sum, wei.is_some())?;
    let Expr::Load(b, at) = src else { return Err(unfit("elements of tensors")) };
    let of = Describe { nest, tile, width };
    let (src, steps) = of.place(*b, at)?;
    let dst = of.result(*dst, index)?;
    let operands = finish.operands.iter().map(|(b, index)| of.result(*b, index));
    let operands = operands.collect::<Result<_, _>>()?;
    let extents = of.extents();
    let wei = wei.map(|e| of.weights(e, &extents)).transpose()?;
    let bias = match kind {
        None => Some(of.bias(&sum.init)?),
        Some(_) => None,
    };
    let (taps, axes, counts) = unrolled(&extents, &steps)?;
    Ok(WindowCall { width, kind, taps, axes, counts, src, dst, operands, wei, bias, finish })
}

/// What happens to a window: none for a sum of products.
fn kind(sum: &nest::Reduction, weighted: bool) -> Result<Option<PoolKind>, Refusal> {
    let from = |v: f32| sum.init == Expr::Const(Scalar::F32(v));
    match (sum.combine, weighted) {
        (ReduceFn::Sum, true) => Ok(None),
        (ReduceFn::Max, false) if from(f32::NEG_INFINITY) => Ok(Some(PoolKind::Max)),
        (ReduceFn::Sum, false) if from(0.0) => Ok(Some(PoolKind::Sum)),
        _ => Err(unfit("a sum of products, a largest element, or a sum")),
    }
}

struct Describe<'a> {
    nest: &'a Nest,
    tile: &'a WindowTile,
    width: Width,
}

impl Describe<'_> {
    /// Iterations of the loops of a window.
    fn extents(&self) -> Vec<usize> {
        self.tile.taps.iter().map(|l| self.nest.extent(*l).unwrap_or(1)).collect()
    }

    /// The place of the tile in a tensor, and how far the loops of a window move there.
    fn place(&self, b: BufId, index: &[Expr]) -> Result<(Place, Vec<i64>), Refusal> {
        let tile = self.tile;
        let mut at = distance_of(self.nest, b, index);
        let taps: Vec<i64> = tile.taps.iter().map(|l| take(&mut at, *l)).collect();
        outside(self.nest, &mut at, &[(tile.lane, ELEMENT)], "channels that lie side by side")?;
        let steps = [tile.rows, Some(tile.columns)].map(|l| l.map_or(0, |l| take(&mut at, l)));
        Ok((Place { buffer: b, at, steps }, taps))
    }

    /// The place of the tile in a tensor with an element for each result.
    fn result(&self, b: BufId, index: &[Expr]) -> Result<Place, Refusal> {
        let (place, taps) = self.place(b, index)?;
        match taps.iter().all(|s| *s == 0) {
            true => Ok(place),
            false => Err(unfit("results that the loops of the window do not move")),
        }
    }

    /// Where the weights of the tile begin; `extents` are those of its window.
    fn weights(&self, e: &Expr, extents: &[usize]) -> Result<(BufId, Affine), Refusal> {
        let Expr::Load(b, index) = e else { return Err(unfit("weights that are elements")) };
        let tile = self.tile;
        let mut at = distance_of(self.nest, *b, index);
        let mut bytes = i64::from(self.width.bytes());
        let mut expected = vec![(tile.lane, ELEMENT), (tile.columns, 0)];
        expected.extend(tile.rows.map(|l| (l, 0)));
        for (l, n) in tile.taps.iter().zip(extents).rev() {
            expected.push((*l, bytes));
            bytes *= *n as i64;
        }
        outside(self.nest, &mut at, &expected, "weights that are packed in the order of the loops")?;
        Ok((*b, at))
    }

    /// Where the bias of the tile begins.
    fn bias(&self, init: &Expr) -> Result<(BufId, Affine), Refusal> {
        let Expr::Load(b, index) = init else { return Err(unfit("a sum that starts from a bias")) };
        let tile = self.tile;
        let mut at = distance_of(self.nest, *b, index);
        let others = tile.rows.iter().chain([&tile.columns]).chain(&tile.taps);
        let expected: Vec<(VarId, i64)> =
            [(tile.lane, ELEMENT)].into_iter().chain(others.map(|l| (*l, 0))).collect();
        outside(self.nest, &mut at, &expected, "a bias that follows channels only")?;
        Ok((*b, at))
    }
}

/// The taps that are unrolled as distances, and the loops around them, with their trips: as many of the innermost axes are
/// unrolled as have no more than [`UNROLLED`] taps, and at least one.
#[allow(clippy::type_complexity)]
fn unrolled(
    extents: &[usize],
    steps: &[i64],
) -> Result<(Vec<i32>, Vec<Axis>, Vec<(&'static str, usize)>), Refusal> {
    let all: Vec<(&'static str, usize, i64)> = AXES[AXES.len() - extents.len().min(AXES.len())..]
        .iter()
        .zip(extents)
        .zip(steps)
        .map(|((name, n), step)| (*name, *n, *step))
        .collect();
    let mut first = all.len().saturating_sub(1);
    while first > 0 && all[first - 1..].iter().map(|(_, n, _)| n).product::<usize>() <= UNROLLED {
        first -= 1;
    }
    let (counted, inner) = all.split_at(first);
    let mut taps = vec![0];
    for &(_, n, step) in inner {
        taps = taps.iter().flat_map(|at| (0..n as i64).map(move |i| at + i * step)).collect();
    }
    let taps = taps.into_iter().map(distance).collect::<Result<_, _>>()?;
    let loops: Vec<(&'static str, usize, i64)> = counted.iter().copied().filter(|(_, n, _)| *n > 1).collect();
    let counts = loops.iter().map(|&(name, n, _)| (name, n)).collect();
    Ok((taps, nested(&loops)?, counts))
}

/// Puts a call in the place of what is inside the first loop of a tile; gives the name of its program.
///
/// # Errors
/// As [`describe`].
pub fn window(nest: &mut Nest, tile: &WindowTile, width: Width) -> Result<String, Refusal> {
    let call = describe(nest, tile, width)?;
    let around = nest.outside(tile.first());
    let rows = tile.rows.map_or(1, |l| nest.extent(l).unwrap_or(1));
    let program = call.program([rows, nest.extent(tile.columns).unwrap_or(1)])?;
    let vector = |v: &Option<(BufId, Affine)>| {
        v.as_ref().map(|(b, at)| of_loops(&around, at).map(|at| pointer(*b, at))).transpose()
    };
    let mut values = Values::new();
    values.set("src", Some(call.src.pointer(&around)?));
    values.set("dst", Some(call.dst.pointer(&around)?));
    let operands = call.operands.iter().map(|o| Ok::<_, Refusal>((o.pointer(&around)?, None)));
    set_operands(&mut values, operands.collect::<Result<_, _>>()?);
    values.set("wei", vector(&call.wei)?);
    values.set("bias", vector(&call.bias)?);
    call.counts.iter().for_each(|(name, n)| values.number(name, *n));
    calls(nest, tile.first(), program, &values)
}
