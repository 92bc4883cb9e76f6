//! Stages of definitions that are products with weights of the model: those of recurrences, once or in each turn.

use std::collections::BTreeSet;

use octrt_ops::compute::{BufferKind, Compute, ReduceFn, Stage};
use octrt_ops::expr::{BinaryFn, BufId, Env, Expr, Scalar, VarId, eval};
use octrt_ops::{DType, OpError, Tensor, TensorType};

use super::calls::{Constant, Virtual};
use super::stage::Order;
use super::{Lowering, Owner};
use crate::nest::affine::Affine;
use crate::nest::turns::{Moved, in_turns};
use crate::pack::{MatrixOrder, Packing};
use crate::schedule::script::Scheduled;
use crate::strategy::problem::GemmProblem;
use crate::strategy::refusal::Refusal;
use crate::strategy::tail::{Operand, Tail};
use crate::strategy::{gemm, gemm_tiling};

/// Axes of a result: turns or elements of a sequence, sequences, numbers; then the one that is summed.
const TURN: usize = 0;
const ROW: usize = 1;
const COLUMN: usize = 2;
const SUM: usize = 3;

const FLOAT: i64 = size_of::<f32>() as i64;

/// A stage that is a product: `dst[t, b, n] = start + sum over k of src[t, b, k] * weights[n, k]`.
pub(super) struct Product {
    /// Position of the first stage behind those that it stands for.
    pub(super) end: usize,
    /// The stage that says what they compute.
    stage: Stage,
    /// Turns or elements of a sequence, sequences, numbers of the result, numbers that are summed.
    extents: [usize; 4],
    src: Rows,
    weights: Weights,
    start: Start,
}

/// Rows of one of the matrices of a constant `[d, n, k]`, those of the numbers of a result.
struct Weights {
    /// Position in [`Lowered::constants`](super::Lowered::constants).
    constant: usize,
    tensor: Tensor,
    matrix: usize,
    first: usize,
}

/// Rows side by side, of all sequences in each turn.
#[derive(Clone, Copy)]
struct Rows {
    buffer: BufId,
    /// Elements before those of the first turn, and from one turn to the next.
    first: i64,
    step: i64,
}

/// What sums start from.
enum Start {
    /// A number for each column.
    Columns(Vec<f32>),
    /// Those of another tensor.
    Rows(Rows),
}

/// Constants of a definition.
struct Known<'a> {
    tensors: &'a dyn Fn(BufId) -> Option<(usize, Tensor)>,
    column: i64,
}

impl Env for Known<'_> {
    fn var(&self, v: VarId) -> i64 {
        if v.0 as usize == COLUMN { self.column } else { 0 }
    }

    fn load(&self, buf: BufId, index: &[i64]) -> Result<Scalar, OpError> {
        let no_number = || OpError::Invalid(format!("{buf} has no number there"));
        let (_, t) = (self.tensors)(buf).ok_or_else(no_number)?;
        let dims = t.shape().dims();
        let inside =
            index.len() == dims.len() && index.iter().zip(dims).all(|(i, n)| (0..*n as i64).contains(i));
        let at = index.iter().zip(dims).fold(0, |at, (i, n)| at * *n as i64 + i);
        let element = usize::try_from(at).ok().filter(|_| inside).ok_or_else(no_number)?;
        let size = t.dtype().size();
        Ok(Scalar::read(t.dtype(), &t.bytes()[element * size..][..size]))
    }
}

/// A product with the position of its first stage and its schedule.
pub(super) type Found = (usize, Product, (GemmProblem, Scheduled));

/// The products among the stages of a definition by the position of their first stage, as far as they can be scheduled, and
/// the stages that only turn weights for them.
pub(super) fn products(
    l: &Lowering<'_>,
    compute: &Compute,
    places: &[Virtual],
) -> (Vec<Found>, BTreeSet<usize>) {
    let constant = |b: BufId| match places.get(b.index()) {
        Some(Virtual::Const(i)) => match l.out.constants.get(*i) {
            Some(Constant::Plain(t)) if t.ty() == compute.ty(b) => Some((*i, t.clone())),
            _ => None,
        },
        _ => None,
    };
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(stage) = compute.stages.get(at) {
        let whole = compute.wholes.iter().find(|w| w.stages.start == at);
        let (stage, end) = whole.map_or((stage, at + 1), |w| (&w.stage, w.stages.end));
        let order = match compute.repeats.iter().any(|r| r.stages.contains(&at)) {
            true => Order::Turns,
            false => Order::Any,
        };
        let product = product(compute, (stage, end), &constant).filter(|p| p.fits(order));
        match product.and_then(|p| Some((l.scheduled(&p, order).ok()?, p))) {
            Some((scheduled, p)) => {
                found.push((at, p, scheduled));
                at = end;
            }
            None => at += 1,
        }
    }
    let served = |at: usize| found.iter().any(|(first, p, _): &Found| (*first..p.end).contains(&at));
    let unread = |turned: &Stage| {
        !compute.outputs.contains(&turned.dst)
            && compute.stages.iter().enumerate().all(|(at, s)| served(at) || !reads(s, turned.dst))
    };
    let turned = compute.stages.iter().enumerate().filter(|(_, s)| turns(compute, s).is_some() && unread(s));
    let turned = turned.map(|(at, _)| at).collect();
    (found, turned)
}

/// Whether a stage loads elements of a buffer.
fn reads(s: &Stage, of: BufId) -> bool {
    let mut found = false;
    let mut look = |e: &Expr| e.visit(&mut |e| found |= matches!(e, Expr::Load(b, _) if *b == of));
    look(&s.body);
    s.reduce.iter().for_each(|r| [&r.init, &r.finish].into_iter().for_each(&mut look));
    s.update.iter().flat_map(|u| &u.index).for_each(&mut look);
    found
}

/// The input `[d, n, k]` of which a stage is one matrix, turned: `[k, n]`; and which one.
fn turns(c: &Compute, s: &Stage) -> Option<(BufId, usize)> {
    let Expr::Load(input, index) = &s.body else { return None };
    let [Expr::Const(Scalar::I64(d)), Expr::Var(VarId(1)), Expr::Var(VarId(0))] = &index[..] else {
        return None;
    };
    let is_input = matches!(c.buffers[input.index()].kind, BufferKind::Input(_));
    let plain = s.reduce.is_none() && s.update.is_none() && c.ty(s.dst).shape.rank() == 2;
    usize::try_from(*d).ok().filter(|_| is_input && plain).map(|d| (*input, d))
}

/// The product that a stage is.
fn product(
    c: &Compute,
    (stage, end): (&Stage, usize),
    constant: &dyn Fn(BufId) -> Option<(usize, Tensor)>,
) -> Option<Product> {
    let &[turns_of, b, n] = c.ty(stage.dst).shape.dims() else { return None };
    let r = stage.reduce.as_ref().filter(|r| r.combine == ReduceFn::Sum && r.finish == Expr::Acc)?;
    let (&[k], Expr::Binary(BinaryFn::Mul, left, right), None) = (&r.extents[..], &stage.body, &stage.update)
    else {
        return None;
    };
    let (Expr::Load(src, at), Expr::Load(turned, of)) = (&**left, &**right) else { return None };
    let [Expr::Var(sum), column] = &of[..] else { return None };
    let floats = [stage.dst, *src, *turned].iter().all(|b| c.ty(*b).dtype == DType::F32);
    if sum.0 as usize != SUM || !floats || [turns_of, b, n, k].contains(&0) {
        return None;
    }
    let first = (Affine::of(column)).plus(&Affine::of(&Expr::var(COLUMN)), -1);
    let first = usize::try_from(first.constant).ok().filter(|_| first.terms.is_empty())?;
    let (input, matrix) = c.stages.iter().find(|s| s.dst == *turned).and_then(|s| turns(c, s))?;
    let (constant_at, tensor) = constant(input).filter(|(_, w)| w.shape().rank() == 3)?;
    let weights = Weights { constant: constant_at, tensor, matrix, first };
    let extents = [turns_of, b, n, k];
    let rows = |buffer: BufId, index: &[Expr], (along, width): (usize, usize)| -> Option<Rows> {
        let mut at = Affine::flat(&c.ty(buffer).shape, index);
        let mut take = |axis: usize| {
            let stride = at.stride(VarId(axis as u32))?;
            at = at.plus(&Affine::of(&Expr::var(axis)), -stride);
            Some(stride)
        };
        let [step, row, next] = [take(TURN)?, take(ROW)?, take(along)?];
        let dense = next == 1 && (b == 1 || row == width as i64) && at.terms.is_empty();
        dense.then_some(Rows { buffer, first: at.constant, step })
    };
    let src = rows(*src, at, (SUM, k))?;
    let start = match &r.init {
        Expr::Load(buffer, index) if constant(*buffer).is_none() => {
            Start::Rows(rows(*buffer, index, (COLUMN, n)).filter(|_| c.ty(*buffer).dtype == DType::F32)?)
        }
        e => {
            let number = |column: usize| match eval(e, &Known { tensors: constant, column: column as i64 }) {
                Ok(Scalar::F32(x)) => Some(x),
                _ => None,
            };
            let mut free = true;
            e.visit(&mut |e| free &= !matches!(e, Expr::Var(v) if v.0 as usize != COLUMN));
            Start::Columns((0..n).map(number).collect::<Option<_>>().filter(|_| free)?)
        }
    };
    Some(Product { end, stage: stage.clone(), extents, src, weights, start })
}

impl Product {
    /// Rows of one product: those of all turns at once, or those of each turn.
    fn rows(&self, order: Order) -> usize {
        let [turns, b, ..] = self.extents;
        if order == Order::Any { turns * b } else { b }
    }

    /// Whether the rows of one product lie side by side.
    fn fits(&self, order: Order) -> bool {
        let [turns, b, n, k] = self.extents;
        let rows = |r: &Rows, width: usize| r.first == 0 && (turns == 1 || r.step == (b * width) as i64);
        order == Order::Turns
            || rows(&self.src, k)
                && match &self.start {
                    Start::Columns(_) => true,
                    Start::Rows(r) => rows(r, n),
                }
    }
}

impl Lowering<'_> {
    /// One product and its schedule.
    fn scheduled(&self, p: &Product, order: Order) -> Result<(GemmProblem, Scheduled), Refusal> {
        let ([_, _, n, k], m) = (p.extents, p.rows(order));
        let tail = match p.start {
            Start::Columns(_) => Tail::NONE,
            Start::Rows(_) => {
                let operands = vec![Operand::Product([1, m, n])];
                Tail { value: Expr::Acc + Tail::operand(0), operands }
            }
        };
        let problem = GemmProblem::packed([m, n, k], tail);
        let nest = gemm::schedule(&problem, self.options.target)?.finish()?;
        Ok((problem, nest))
    }

    /// Adds the call of a product: for all rows, or for those of a turn in each.
    pub(super) fn weighted(
        &mut self,
        compute: &Compute,
        (_, p, (problem, scheduled)): &Found,
        (places, order): (&[Virtual], Order),
        owner: Owner<'_>,
    ) -> Result<(), Refusal> {
        let [turns, b, n, _] = p.extents;
        let width = self.width()?;
        let lanes = width.lanes() as usize;
        let tiles = gemm_tiling::tiles(problem, width);
        let len = tiles.iter().sum::<usize>() * lanes;
        let of = Box::new(Packing::Matrix { order: MatrixOrder::NByK, lanes, tiles, scale: 1.0 });
        let Weights { constant, tensor, matrix, first } = &p.weights;
        let packing = Packing::Rows { matrix: *matrix, first: *first, count: n, of };
        // Nodes may share weights.
        let key = (*constant, packing.to_string());
        let weights = match self.packed_rows.get(&key) {
            Some(known) => *known,
            None => self.packed(packing, tensor),
        };
        self.packed_rows.insert(key, weights);
        let mut bias = vec![0.0; len];
        if let Start::Columns(of) = &p.start {
            bias[..n].copy_from_slice(of);
        }
        let mut sources = vec![places[p.src.buffer.index()], weights, self.vector(&bias)];
        let moved = |r: &Rows| {
            let ty: TensorType = compute.ty(r.buffer).clone();
            Some(Moved { ty, first: r.first * FLOAT, step: r.step * FLOAT })
        };
        let mut parts = vec![moved(&p.src), None, None];
        if let Start::Rows(r) = &p.start {
            sources.push(places[r.buffer.index()]);
            parts.push(moved(r));
        }
        let dst = places[p.stage.dst.index()];
        if order == Order::Any {
            return self.call(scheduled.clone(), &sources, dst, owner, p.stage.name);
        }
        parts.push(moved(&Rows { buffer: p.stage.dst, first: 0, step: (b * n) as i64 }));
        let nest = in_turns(&scheduled.nest, turns, &parts);
        let nest = nest.canonical().ok_or(Refusal::Defect("a product that leaves sums"))?;
        self.call(nest, &sources, dst, owner, p.stage.name)
    }
}
