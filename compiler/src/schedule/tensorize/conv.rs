//! Sums of products over channels and windows as leaf programs.

use octrt_ops::Tensor;
use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, VarId};

use super::call::{Values, calls};
use super::finish::{Finish, set_operands};
use super::named::Named;
use super::walk::{ELEMENT, Tables, Walk, distance_of, distances, of_loops, table, take};
use super::{FORMULA, inside, outside, unfit};
use crate::leaf::Width;
use crate::leaf::programs::{Bias, Conv, Epilogue, Reduction, Weights};
use crate::nest::Loop;
use crate::nest::affine::Affine;
use crate::nest::index::{bounds, expr};
use crate::nest::strides::nested;
use crate::nest::{Define, Nest, pointer};
use crate::strategy::refusal::{Refusal, distance};

/// The loops of a tile, all inside the first, and what its call is told beside.
#[derive(Clone, Debug)]
pub struct ConvTile {
    /// Pixels.
    pub pixel: VarId,
    /// How many pixels there are in all, of which the tile has some.
    pub pixels: usize,
    /// Vectors of output channels.
    pub vector: VarId,
    /// Output channels of a vector.
    pub lane: VarId,
    /// Blocks of input channels of the part of the sum.
    pub ic: VarId,
    /// The axes of the window.
    pub taps: Vec<VarId>,
    /// Input channels of a block.
    pub channel: VarId,
    /// The first block of the part, and how many blocks the whole sum has.
    pub part: (Expr, usize),
    /// Bytes of the next tile's weights that each trip brings near, 0 for none, and the number of the call among those
    /// that share the work.
    pub ahead: (i32, Expr),
}

impl ConvTile {
    /// The loops of the sum, in the order in which the leaf adds.
    fn summed(&self) -> impl Iterator<Item = VarId> {
        [self.ic].into_iter().chain(self.taps.iter().copied()).chain([self.channel])
    }

    /// The same tile where its loops have other names.
    #[must_use]
    pub fn named(&self, of: &dyn Fn(VarId) -> VarId) -> ConvTile {
        ConvTile {
            pixel: of(self.pixel),
            vector: of(self.vector),
            lane: of(self.lane),
            ic: of(self.ic),
            taps: self.taps.iter().map(|l| of(*l)).collect(),
            channel: of(self.channel),
            ..self.clone()
        }
    }
}

/// A call of a convolution's leaf program before it is written down.
#[derive(Clone, Debug)]
pub struct ConvCall {
    /// The leaf.
    pub leaf: Conv,
    src: Walk,
    dst: Walk,
    operands: Vec<Walk>,
    /// Where the weights of the tile begin.
    wei: (BufId, Affine),
    bias: Option<(BufId, Affine)>,
    /// Distances of the taps of all blocks of the sum, and where those of the part begin.
    taps: Option<(Tensor, Affine)>,
    /// The counted loops.
    counts: Vec<(&'static str, usize)>,
    /// Where the weights lie that are brought near.
    ahead: Affine,
}

/// What a leaf repeats.
struct Summed {
    /// Unrolled taps.
    taps: Vec<i32>,
    reduction: Reduction,
    /// Distances of the taps of the whole sum, and where those of the part begin.
    table: Option<(Tensor, Affine)>,
    /// Trips of the counted loops.
    counts: Vec<(&'static str, usize)>,
}

/// Most input channels times columns of a window that are unrolled.
const UNROLLED: usize = 32;

/// Names of the counted axes of a window: planes and rows.
const AXES: [&str; 2] = ["kd", "kh"];

/// The call that stands for what is inside `tile.pixel`.
///
/// # Errors
/// [`Refusal::Tensorize`] where the loops do something else, [`Refusal::Distance`].
pub fn describe(
    nest: &Nest,
    tile: &ConvTile,
    width: Width,
    tables: &mut Tables,
) -> Result<ConvCall, Refusal> {
    let sum: Vec<VarId> = tile.summed().collect();
    let define = inside(nest, &[tile.pixel, tile.vector, tile.lane], &sum)?;
    Describe { nest, tile, width, define }.call(tables)
}

struct Describe<'a> {
    nest: &'a Nest,
    tile: &'a ConvTile,
    width: Width,
    define: &'a Define,
}

impl Describe<'_> {
    fn extent(&self, l: VarId) -> usize {
        self.nest.extent(l).unwrap_or(1)
    }

    /// See [`outside`].
    fn outside(&self, at: &mut Affine, expected: &[(VarId, i64)], what: &'static str) -> Result<(), Refusal> {
        outside(self.nest, at, expected, what)
    }

    /// The walk through a tensor with an element for each result.
    fn results(&self, buffer: BufId, index: &[Expr], tables: &mut Tables) -> Result<Walk, Refusal> {
        let mut at = distance_of(self.nest, buffer, index);
        let none: Vec<(VarId, i64)> = self.tile.summed().map(|l| (l, 0)).collect();
        self.outside(&mut at, &none, "results that the loops of the sum do not move")?;
        self.outside(&mut at, &[(self.tile.lane, ELEMENT)], "results whose lanes lie side by side")?;
        Walk::new((self.nest, tables), buffer, at, (self.tile.pixel, self.tile.vector), (self.tile.pixels, 0))
    }

    /// Groups that share a vector: those whose lanes see their own input channels.
    fn merged(&self, wei: &mut Affine, src: &mut Affine) -> Result<usize, Refusal> {
        let own = self.extent(self.tile.channel) as i64;
        let group = Expr::Var(self.tile.lane) / Expr::int(own);
        let lanes = i64::from(self.width.lanes());
        let remove = |sum: &mut Affine, bytes: i64| {
            let at = sum.terms.iter().position(|(factor, e)| *e == group && *factor == bytes);
            at.map(|i| sum.terms.swap_remove(i))
        };
        let found = (remove(wei, own * lanes * ELEMENT), remove(src, own * ELEMENT));
        match found {
            (None, None) => Ok(1),
            (Some(_), Some(_)) if lanes % own == 0 => Ok((lanes / own) as usize),
            _ => Err(unfit("lanes of weights and of input that share groups alike")),
        }
    }

    fn call(&self, tables: &mut Tables) -> Result<ConvCall, Refusal> {
        let Define { dst, index, when, value, reduce: Some(sum), update: false } = self.define else {
            return Err(unfit("a reduction"));
        };
        let Expr::Binary(BinaryFn::Mul, src, wei) = value else { return Err(unfit("a sum of products")) };
        let (Expr::Load(src, src_index), Expr::Load(wei, wei_index)) = (&**src, &**wei) else {
            return Err(unfit("a sum of products of two elements"));
        };
        if sum.combine != ReduceFn::Sum {
            return Err(unfit("a sum"));
        }
        let (tile, width) = (self.tile, self.width);
        let mut src_at = distance_of(self.nest, *src, src_index);
        let mut wei_at = distance_of(self.nest, *wei, wei_index);
        let merged = self.merged(&mut wei_at, &mut src_at)?;
        let channels = if merged > 1 { width.lanes() as usize } else { self.extent(tile.channel) };
        let (weights, block_bytes) = self.weights(&mut wei_at, channels)?;
        let steps: Vec<i64> = tile.taps.iter().map(|l| take(&mut src_at, *l)).collect();
        let block = take(&mut src_at, tile.ic);
        let own = [(tile.lane, 0), (tile.vector, 0), (tile.channel, ELEMENT)];
        self.outside(
            &mut src_at,
            &own,
            "input channels that lie side by side, the same for all output channels",
        )?;
        let others: Vec<VarId> =
            [tile.pixel, tile.vector, tile.lane, tile.channel].into_iter().chain(tile.taps.clone()).collect();
        let named = Named::take(self.nest, &mut src_at, tile.ic, &others)?;
        let start = Affine::of(&tile.part.0);
        let summed = self.reduction(&steps, block, channels, (named, &start))?;
        // A table of taps tells blocks apart.
        let src_at = if summed.table.is_some() { src_at.plus(&start, -block) } else { src_at };
        let src =
            Walk::new((self.nest, tables), *src, src_at, (tile.pixel, tile.vector), (tile.pixels, block))?;
        let dst_walk = self.results(*dst, index, tables)?;
        let finish = Finish::of(&sum.finish, (*dst, &index[..]));
        // Groups that share a vector have no parts of sums to add.
        let finish = finish.filter(|f| merged == 1 || !f.adds_stored).ok_or(unfit(FORMULA))?;
        let operands = finish.operands.iter().map(|(b, index)| self.results(*b, index, tables));
        let operands: Vec<Walk> = operands.collect::<Result<_, _>>()?;
        let (added, bias) = self.start(&sum.init)?;
        let epilogue = Epilogue {
            bias: added,
            tail: match when {
                Some(Expr::Compare(CompareFn::Lt, a, b)) => self.used(a, b)?,
                Some(_) => return Err(unfit("a condition that columns are below their number")),
                None => None,
            },
            used: match finish.exists {
                Some((a, b)) => self.used(a, b)?,
                None => None,
            },
            ..epilogue(&finish, &operands, &dst_walk)?
        };
        let ahead_at = self.ahead(&wei_at, block_bytes, &summed.counts);
        let leaf = Conv {
            width,
            pixels: self.extent(tile.pixel),
            vectors: self.extent(tile.vector),
            channels,
            taps: summed.taps,
            src: src.grid()?,
            weights,
            reduction: summed.reduction,
            merged,
            ahead: tile.ahead.0,
            epilogue,
        };
        let (wei, ahead) = ((*wei, wei_at), ahead_at);
        let (taps, counts) = (summed.table, summed.counts);
        Ok(ConvCall { leaf, src, dst: dst_walk, operands, wei, bias, taps, counts, ahead })
    }

    /// Takes the loops of the tile out of the place of a weight: weights are used up in the order of the trips. Gives how
    /// they lie, and the bytes of those of a block of input channels.
    fn weights(&self, wei_at: &mut Affine, channels: usize) -> Result<(Weights, i64), Refusal> {
        let (tile, vector) = (self.tile, i64::from(self.width.bytes()));
        let packed = vector * self.extent(tile.vector) as i64;
        // Rows of a matrix that lies as it is: those of a product, which has no window.
        let step = |l: VarId| wei_at.terms.iter().find(|(_, e)| *e == Expr::Var(l)).map(|t| t.0);
        let row = if self.extent(tile.channel) > 1 { step(tile.channel) } else { step(tile.ic) };
        let (weights, mut bytes) = match row.filter(|row| *row != packed && tile.taps.is_empty()) {
            Some(row) => (Weights::Rows(distance(row)?), row),
            None => (Weights::Packed, packed),
        };
        let mut expected = vec![(tile.lane, ELEMENT), (tile.vector, vector), (tile.channel, bytes)];
        bytes *= channels as i64;
        for &tap in tile.taps.iter().rev() {
            expected.push((tap, bytes));
            bytes *= self.extent(tap) as i64;
        }
        expected.push((tile.ic, bytes));
        self.outside(
            wei_at,
            &expected,
            "weights that are packed in the order of the loops, or rows of a matrix",
        )?;
        Ok((weights, bytes))
    }

    /// Where the weights lie that are brought near: a tile of the whole sum later, and as far as the calls before have brought
    /// it.
    fn ahead(&self, wei_at: &Affine, block_bytes: i64, counts: &[(&str, usize)]) -> Affine {
        let (ahead, number) = &self.tile.ahead;
        let all = Affine { constant: block_bytes * self.tile.part.1 as i64, terms: Vec::new() };
        let trips = counts.iter().map(|(_, n)| *n as i64).product::<i64>();
        wei_at.plus(&all, 1).plus(&Affine::of(number), trips * i64::from(*ahead))
    }

    /// What a sum starts from, which the leaf adds to it.
    fn start(&self, init: &Expr) -> Result<(Bias, Option<(BufId, Affine)>), Refusal> {
        match init {
            e if *e == Expr::f32(0.0) => Ok((Bias::Absent, None)),
            Expr::Load(b, index) => {
                let mut at = distance_of(self.nest, *b, index);
                let tile = self.tile;
                let what = "a bias that follows output channels only, or pixels only";
                let none: Vec<(VarId, i64)> = tile.summed().map(|l| (l, 0)).collect();
                self.outside(&mut at, &none, what)?;
                let lane = at.terms.iter().any(|(_, e)| *e == Expr::Var(tile.lane));
                let (start, steps) = match lane {
                    true => (Bias::Vectors, [0, ELEMENT, i64::from(self.width.bytes())]),
                    false => (Bias::Pixels, [ELEMENT, 0, 0]),
                };
                let loops = [tile.pixel, tile.lane, tile.vector];
                let expected: Vec<(VarId, i64)> = loops.into_iter().zip(steps).collect();
                self.outside(&mut at, &expected, what)?;
                Ok((start, Some((*b, at))))
            }
            _ => Err(unfit("a sum that starts from 0 or from a bias")),
        }
    }

    /// Unrolled taps, the loops over the others, or the table that takes their place: of blocks of channels, or of channels
    /// that another table names.
    fn reduction(
        &self,
        steps: &[i64],
        block: i64,
        channels: usize,
        (named, start): (Option<Named>, &Affine),
    ) -> Result<Summed, Refusal> {
        let taps: Vec<(usize, i64)> =
            self.tile.taps.iter().map(|l| self.extent(*l)).zip(steps.iter().copied()).collect();
        let blocks = self.extent(self.tile.ic);
        // A product of matrices has no window.
        let (&(columns, column), rows) = taps.split_last().unwrap_or((&(1, 0), &[]));
        let is_long = columns * channels > UNROLLED;
        let unrolled = if is_long { 1 } else { columns };
        let unrolled = (0..unrolled as i64).map(|k| distance(k * column)).collect::<Result<_, _>>()?;
        if is_long || named.is_some() {
            let counted = if is_long { &taps[..] } else { rows };
            let (mut entries, first) = match named {
                Some(named) => (named.distances, named.first),
                None => ((0..self.tile.part.1 as i64).map(|i| i * block).collect(), start.clone()),
            };
            for &(n, step) in counted {
                entries = entries.iter().flat_map(|at| (0..n as i64).map(move |i| at + i * step)).collect();
            }
            let entries = entries.into_iter().map(distance).collect::<Result<_, _>>()?;
            let trips: usize = counted.iter().map(|(n, _)| n).product();
            let first = Affine::default().plus(&first, ELEMENT * trips as i64);
            return Ok(Summed {
                taps: unrolled,
                reduction: Reduction::Table,
                table: Some((distances(entries)?, first)),
                counts: vec![("taps", blocks * trips)],
            });
        }
        let names = AXES[AXES.len() - rows.len().min(AXES.len())..].iter().copied();
        let rows = names.zip(rows).filter(|(_, (n, _))| *n > 1).map(|(name, &(n, step))| (name, n, step));
        let loops: Vec<(&'static str, usize, i64)> =
            [("ic", blocks, block)].into_iter().chain(rows).collect();
        let counts = loops.iter().map(|&(name, n, _)| (name, n)).collect();
        Ok(Summed { taps: unrolled, reduction: Reduction::Loops(nested(&loops)?), table: None, counts })
    }

    /// Lanes of the last vector that exist, those with `a < b`, where not all do.
    fn used(&self, a: &Expr, b: &Expr) -> Result<Option<u8>, Refusal> {
        let mut rest = Affine::of(a).plus(&Affine::of(b), -1);
        if bounds(&expr(rest.clone()), &|l| self.nest.extent(l)).is_some_and(|(_, hi)| hi < 0) {
            return Ok(None);
        }
        let lanes = i64::from(self.width.lanes());
        if take(&mut rest, self.tile.lane) != 1 {
            return Err(unfit("lanes that are counted one by one"));
        }
        let vector = take(&mut rest, self.tile.vector);
        rest.terms.retain(|(_, e)| !matches!(e, Expr::Var(l) if self.extent(*l) == 1));
        let vectors = self.extent(self.tile.vector) as i64;
        let used = -(rest.constant + vector * (vectors - 1));
        // All lanes of the vectors before exist.
        let full = vectors == 1 || used + vector >= lanes;
        match (&rest.terms[..], used) {
            ([], used) if full && (1..lanes).contains(&used) => Ok(Some(used as u8)),
            _ => Err(unfit("a last vector of which some lanes exist")),
        }
    }
}

/// The end of a leaf program that stores all lanes.
fn epilogue(finish: &Finish<'_>, operands: &[Walk], dst: &Walk) -> Result<Epilogue, Refusal> {
    let operands = operands.iter().map(Walk::grid).collect::<Result<_, _>>()?;
    let partial = if finish.adds_stored { Some(dst.grid()?) } else { None };
    Ok(Epilogue { partial, formula: finish.formula.clone(), operands, ..Epilogue::store(dst.grid()?) })
}

/// Puts a call in the place of what is inside `tile.pixel`; gives the name of its program.
///
/// # Errors
/// As [`describe`].
pub fn conv(out: &mut Nest, tile: &ConvTile, width: Width, tables: &mut Tables) -> Result<String, Refusal> {
    let known = out.buffers.len();
    let made = replace(out, tile, width, tables);
    if made.is_err() {
        out.buffers.truncate(known);
    }
    made
}

/// See [`conv`]; where it refuses, tables are left.
fn replace(out: &mut Nest, tile: &ConvTile, width: Width, tables: &mut Tables) -> Result<String, Refusal> {
    let call = describe(out, tile, width, tables)?;
    let around: Vec<Loop> = out.outside(tile.pixel).into_iter().cloned().collect();
    let around: Vec<&Loop> = around.iter().collect();
    let program = call.leaf.program();
    let pixels = |walk: &Walk, nest: &mut Nest| {
        Ok::<_, Refusal>((walk.pointer(&around)?, walk.offsets(nest, &around)?))
    };
    let operands = call.operands.iter().map(|w| pixels(w, out)).collect::<Result<_, _>>()?;
    let src = pixels(&call.src, out)?;
    let taps = match &call.taps {
        Some((entries, at)) => {
            let at = of_loops(&around, at)?;
            Some(pointer(table(out, entries), at))
        }
        None => None,
    };
    let dst = pixels(&call.dst, out)?;
    let vector = |b: BufId, at: &Affine| of_loops(&around, at).map(|at| pointer(b, at));
    let bias = call.bias.as_ref().map(|(b, at)| vector(*b, at)).transpose()?;
    let (wei, ahead) = (vector(call.wei.0, &call.wei.1)?, vector(call.wei.0, &call.ahead)?);
    let mut values = Values::new();
    values.set("src", Some(src.0));
    values.set("src_offsets", src.1);
    values.set("wei", Some(wei));
    values.set("ahead", Some(ahead));
    values.set("bias", bias);
    values.set("partial", Some(dst.0.clone()));
    values.set("partial_offsets", dst.1.clone());
    values.set("dst", Some(dst.0));
    values.set("dst_offsets", dst.1);
    set_operands(&mut values, operands);
    values.set("tap_offsets", taps);
    call.counts.iter().for_each(|(name, n)| values.number(name, *n));
    calls(out, tile.pixel, program, &values)
}
