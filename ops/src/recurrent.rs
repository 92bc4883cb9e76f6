//! What the recurrent operators share: shapes, directions, sequence lengths, activations, the stages of their definitions.
//!
//! | input | shape | |
//! |---|---|---|
//! | 0 `X` | `[S, B, I]`, or `[B, S, I]` with `batch_first` | f32 or f64, as all but 4 |
//! | 1 `W` | `[D, G * H, I]` | weights of the inputs, gate by gate |
//! | 2 `R` | `[D, G * H, H]` | weights of the state |
//! | 3 `B` | `[D, 2 * G * H]` | optional biases: those of `W`, then those of `R` |
//! | 4 `sequence_lens` | `[B]` | optional i32, each 0 to S; S where omitted |
//! | 5 `initial_h` | `[D, B, H]`, or `[B, D, H]` with `batch_first` | optional, 0 where omitted |
//!
//! Outputs: `Y`, all hidden states, `[S, D, B, H]` or `[B, S, D, H]`; `Y_h`, the last ones, `[D, B, H]` or `[B, D, H]`. D is
//! the number of directions. The reverse direction begins with a sequence's last element. Elements of `Y` beyond a
//! sequence's length are 0, and so are the last states of a sequence of length 0.

mod activation;
pub mod reference;
#[cfg(test)]
pub(crate) mod testing;

use crate::compute::{Check, Compute, Reduce, ReduceFn, Repeat, Stage, Whole};
use crate::expr::{BufId, CompareFn, Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::shape::TensorType;
use crate::{Arg, Args, DType, OpError, Shape, attr_enum};

/// Most products of states that are summed one after the other.
const BLOCK: usize = 128;

pub use activation::{Activation, ActivationKind, Activations};

/// In which order a sequence is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From its first element.
    Forward,
    /// From its last element.
    Reverse,
    /// Both, with weights of their own.
    Bidirectional,
}

attr_enum!(Direction { Forward = "forward", Reverse = "reverse", Bidirectional = "bidirectional" });

/// How tensors lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrangement {
    /// In which order sequences are read.
    pub direction: Direction,
    /// Whether the batch is the first axis of `X`, `Y` and states.
    pub batch_first: bool,
}

/// A recurrent operator on arguments that fit.
#[derive(Clone, Debug)]
pub struct Recurrence<'a> {
    /// How tensors lie.
    pub arrangement: Arrangement,
    /// Element type.
    pub dtype: DType,
    /// Elements of a sequence.
    pub steps: usize,
    /// Sequences.
    pub batch: usize,
    /// Numbers of an element.
    pub input: usize,
    /// Numbers of a state.
    pub hidden: usize,
    /// Gates, which share `W`, `R` and `B`.
    pub gates: usize,
    args: Args<'a>,
}

impl<'a> Recurrence<'a> {
    /// Checks inputs 0 to 5 of an operator with this number of gates.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when a type or an extent does not fit.
    pub fn new(args: Args<'a>, arrangement: Arrangement, gates: usize) -> Result<Self, OpError> {
        let x = args.typed(0, "X", DType::FLOATS)?;
        let r = args.typed(2, "R", &[x.dtype])?;
        let [first, second, input] = *x.shape.dims() else {
            return invalid!("input 0 (X): expected three axes, found {}", x.shape);
        };
        let [_, _, hidden] = *r.shape.dims() else {
            return invalid!("input 2 (R): expected three axes, found {}", r.shape);
        };
        let (steps, batch) = if arrangement.batch_first { (second, first) } else { (first, second) };
        let this = Recurrence { arrangement, dtype: x.dtype, steps, batch, input, hidden, gates, args };
        let too_large = || OpError::TooLarge(format!("a state of {hidden} elements is too large"));
        let wide = hidden.checked_mul(2 * gates).ok_or_else(too_large)? / 2;
        let d = this.directions();
        this.expect(1, "W", &[d, wide, input])?;
        this.expect(2, "R", &[d, wide, hidden])?;
        this.expect(3, "B", &[d, 2 * wide])?;
        this.expect(5, "initial_h", &this.state_dims())?;
        if input == 0 {
            return invalid!("input 0 (X): expected at least one number per element, found {}", x.shape);
        }
        if args.optional(4).is_some() {
            let lens = args.typed(4, "sequence_lens", &[DType::I32])?;
            if lens.shape.dims() != [batch] {
                return invalid!("input 4 (sequence_lens): expected [{batch}], found {}", lens.shape);
            }
            let outside = |l: &i64| usize::try_from(*l).map_or(true, |l| l > steps);
            if let Some(bad) =
                lens.value.map(|t| t.to_i64s()).transpose()?.iter().flatten().find(|l| outside(l))
            {
                return invalid!("{}, found {bad}", this.expected_lengths());
            }
        }
        Ok(this)
    }

    /// Checks the type and shape of input `i`, if it is given.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when they do not fit.
    pub fn expect(&self, i: usize, name: &str, dims: &[usize]) -> Result<Option<Arg<'a>>, OpError> {
        if i > 2 && self.args.optional(i).is_none() {
            return Ok(None);
        }
        let arg = self.args.typed(i, name, &[self.dtype])?;
        if arg.shape.dims() != dims {
            return invalid!("input {i} ({name}): expected {}, found {}", Shape::new(dims), arg.shape);
        }
        Ok(Some(arg))
    }

    fn expected_lengths(&self) -> String {
        format!("input 4 (sequence_lens): expected 0 to {}", self.steps)
    }

    /// Number of directions.
    pub fn directions(&self) -> usize {
        if self.arrangement.direction == Direction::Bidirectional { 2 } else { 1 }
    }

    /// Extents of a state as an input or output.
    pub fn state_dims(&self) -> [usize; 3] {
        let (d, b) = (self.directions(), self.batch);
        if self.arrangement.batch_first { [b, d, self.hidden] } else { [d, b, self.hidden] }
    }

    /// Types of the outputs: `Y`, then `states` states.
    ///
    /// # Errors
    /// [`OpError::TooLarge`] when they cannot be addressed.
    pub fn outputs(&self, states: usize) -> Result<Vec<TensorType>, OpError> {
        let (s, d, b, h) = (self.steps, self.directions(), self.batch, self.hidden);
        let y = if self.arrangement.batch_first { [b, s, d, h] } else { [s, d, b, h] };
        let mut types = vec![TensorType::new(self.dtype, y)];
        types.extend((0..states).map(|_| TensorType::new(self.dtype, self.state_dims())));
        // What all turns have, for all gates and once more.
        let work = Shape::from([s, d, b, h, self.gates + 1]);
        work.checked_bytes(self.dtype)?;
        Ok(types)
    }

    /// Whether there is nothing to compute: all outputs are 0 or have no elements.
    pub fn is_empty(&self) -> bool {
        self.steps == 0 || self.batch == 0 || self.hidden == 0
    }

    /// Multiply-accumulates of one evaluation.
    pub fn macs(&self) -> u64 {
        let rows = [self.steps, self.batch, self.directions(), self.gates, self.hidden];
        let products = rows.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
        products.saturating_mul(self.input.saturating_add(self.hidden) as u64)
    }

    /// A number of the element type.
    pub fn literal(&self, v: f64) -> Expr {
        Expr::literal(self.dtype, v)
    }
}

/// Outputs that are 0 everywhere or have no elements.
///
/// # Errors
/// None in practice.
pub fn empty(types: Vec<TensorType>) -> Result<Compute, OpError> {
    let mut c = Compute::new();
    for ty in types {
        let zero = Expr::Const(Scalar::zero(ty.dtype));
        let out = c.map("fill", ty, zero);
        c.output(out);
    }
    Ok(c)
}

/// A definition in the making, of one direction after the other. What it has in turns are tensors `[S, B, width]`, of a turn
/// for each step.
pub struct Stages<'a> {
    /// What is defined.
    pub r: &'a Recurrence<'a>,
    /// The definition so far.
    pub c: Compute,
    direction: usize,
    lens: Option<BufId>,
    bias: Option<BufId>,
}

/// Variables of a stage in turn `L0`: sequence, number of the state.
const B: usize = 1;
/// See `B`.
pub const H: usize = 2;

impl<'a> Stages<'a> {
    /// Nothing but the lengths of sequences, checked where they are not known.
    ///
    /// # Errors
    /// As [`Recurrence::new`].
    pub fn new(r: &'a Recurrence<'a>) -> Result<Self, OpError> {
        let mut c = Compute::new();
        let bias = r.args.optional(3).map(|a| c.input(3, &a));
        let lens = r.args.optional(4).map(|a| (c.input(4, &a), a));
        if let Some((b, a)) = lens.filter(|(_, a)| a.value.is_none()) {
            let all = Expr::load(b, vars(a.shape.rank())).cast(DType::I64).within(r.steps.saturating_add(1));
            let reduce = Reduce {
                extents: a.shape.dims().to_vec(),
                combine: ReduceFn::Min,
                init: Expr::int(1),
                finish: Expr::compare(CompareFn::Eq, Expr::Acc, Expr::int(1)),
            };
            let ty = TensorType::new(DType::Bool, Shape::scalar());
            let ok = c.reduce("in range", ty, reduce, all.select(Expr::int(1), Expr::int(0)));
            c.checks.push(Check { ok, message: format!("{}, found another", r.expected_lengths()) });
        }
        Ok(Stages { r, c, direction: 0, lens: lens.map(|(b, _)| b), bias })
    }

    /// The direction that is defined now.
    pub fn direction(&self) -> usize {
        self.direction
    }

    /// Defines all directions, each by `one`, which gives its states, and the outputs: `Y` from the first state, the last
    /// ones from all of them.
    ///
    /// # Errors
    /// Those of `one`, and as [`Recurrence::outputs`].
    pub fn directions(
        mut self,
        mut one: impl FnMut(&mut Self) -> Result<Vec<BufId>, OpError>,
    ) -> Result<Compute, OpError> {
        let mut states = Vec::new();
        for direction in 0..self.r.directions() {
            self.direction = direction;
            states.push(one(&mut self)?);
        }
        self.finish(&states)
    }

    /// The type of what has `width` numbers in every turn and sequence.
    pub fn ty(&self, width: usize) -> TensorType {
        TensorType::new(self.r.dtype, [self.r.steps, self.r.batch, width])
    }

    /// Length of sequence `b`.
    fn length(&self, b: Expr) -> Expr {
        match self.lens {
            None => Expr::int(self.r.steps),
            Some(lens) => Expr::load(lens, [b]).cast(DType::I64).clamp(0, self.r.steps as i64),
        }
    }

    /// The place in sequence `b` that direction `d` reads in step `step`, and the step in which it reads the place
    /// `step`; any place where the sequence is shorter.
    fn place(&self, step: Expr, d: usize, b: Expr) -> Expr {
        let last = self.r.steps as i64 - 1;
        match self.r.arrangement.direction {
            Direction::Forward => step,
            Direction::Bidirectional if d == 0 => step,
            _ if self.lens.is_none() => Expr::int(last) - step,
            _ => (self.length(b) - Expr::int(1) - step).clamp(0, last),
        }
    }

    /// In a repeat: a state as the turn before left it, input `i` in the first turn, 0 where that is omitted.
    pub fn before(&mut self, name: &'static str, state: BufId, initial: Option<BufId>) -> BufId {
        let d = Expr::int(self.direction);
        let first = match initial {
            None => self.r.literal(0.0),
            Some(b) if self.r.arrangement.batch_first => Expr::load(b, [Expr::var(B), d, Expr::var(H)]),
            Some(b) => Expr::load(b, [d, Expr::var(B), Expr::var(H)]),
        };
        let turn = (Expr::var(0) - Expr::int(1)).max(Expr::int(0));
        let start = Expr::compare(CompareFn::Eq, Expr::var(0), Expr::int(0));
        let body = start.select(first, Expr::load(state, [turn, Expr::var(B), Expr::var(H)]));
        self.stage(name, self.ty(self.r.hidden), None, body)
    }

    /// In a repeat: number `k` of what `of` has in this turn.
    pub fn here(of: BufId, k: Expr) -> Expr {
        Expr::load(of, [Expr::var(0), Expr::var(B), k])
    }

    /// Number `g` of the bias of `R`, or 0; `g` counts over all gates.
    pub fn recurrent_bias(&self, g: Expr) -> Expr {
        match self.bias {
            Some(bias) => {
                let at = g + Expr::int(self.r.gates * self.r.hidden);
                Expr::load(bias, [Expr::int(self.direction), at])
            }
            None => self.r.literal(0.0),
        }
    }

    /// Both biases of number `g`.
    pub fn biases(&self, g: Expr) -> Expr {
        match self.bias {
            Some(_) => self.input_bias(g.clone()) + self.recurrent_bias(g),
            None => self.r.literal(0.0),
        }
    }

    /// Number `g` of the bias of `W`, or 0.
    pub fn input_bias(&self, g: Expr) -> Expr {
        match self.bias {
            Some(bias) => Expr::load(bias, [Expr::int(self.direction), g]),
            None => self.r.literal(0.0),
        }
    }

    /// This direction of input `i`, `[D, n, m]`, as `[m, n]`, so that products run along neighbours.
    fn transposed(&mut self, i: usize, name: &str) -> Result<BufId, OpError> {
        let arg = self.r.args.required(i, name)?;
        let buf = self.c.input(i, &arg);
        let dims = [arg.shape[2], arg.shape[1]];
        let body = Expr::load(buf, [Expr::int(self.direction), Expr::var(1), Expr::var(0)]);
        Ok(self.c.map("transpose", TensorType::new(self.r.dtype, dims), body))
    }

    /// `W` for [`Stages::inputs`].
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is missing.
    pub fn input_weights(&mut self) -> Result<BufId, OpError> {
        self.transposed(1, "W")
    }

    /// Stage `inputs`: `[S, B, columns]`, the products of these columns of `W` with all elements in their places, plus
    /// `bias` of the number among them all.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when an input is missing.
    pub fn inputs(
        &mut self,
        weights: BufId,
        columns: &std::ops::Range<usize>,
        bias: &dyn Fn(&Self, Expr) -> Expr,
    ) -> Result<BufId, OpError> {
        let r = self.r;
        let x = self.c.input(0, &r.args.required(0, "X")?);
        let (i, column) = (Expr::var(3), Expr::var(H) + Expr::int(columns.start));
        let place = if r.arrangement.batch_first { [B, 0] } else { [0, B] };
        let element = Expr::load(x, [Expr::var(place[0]), Expr::var(place[1]), i.clone()]);
        let weight = Expr::load(weights, [i, column.clone()]);
        let init = bias(self, column);
        let reduce = Reduce { extents: vec![r.input], combine: ReduceFn::Sum, init, finish: Expr::Acc };
        Ok(self.c.reduce_blocked("inputs", self.ty(columns.len()), reduce, element * weight))
    }

    /// `R` for [`Stages::product`].
    ///
    /// # Errors
    /// [`OpError::Invalid`] when it is missing.
    pub fn recurrent_weights(&mut self) -> Result<BufId, OpError> {
        self.transposed(2, "R")
    }

    /// Number `g` of what [`Stages::inputs`] has for the step of turn `L0`.
    pub fn input_of_turn(&self, inputs: BufId, g: Expr) -> Expr {
        let place = self.place(Expr::var(0), self.direction, Expr::var(B));
        Expr::load(inputs, [place, Expr::var(B), g])
    }

    /// In a repeat: `[S, B, columns]`, `init` plus the products of `state` with these columns of `weights`.
    pub fn product(
        &mut self,
        weights: BufId,
        columns: &std::ops::Range<usize>,
        init: Expr,
        state: BufId,
    ) -> BufId {
        let hidden = self.r.hidden;
        let fewest = hidden.div_ceil(BLOCK);
        let blocks = (fewest..=2 * fewest).find(|&n| hidden.is_multiple_of(n)).unwrap_or(1);
        let term = |k: Expr, g: usize| {
            let column = Expr::var(g) + Expr::int(columns.start);
            Self::here(state, k.clone()) * Expr::load(weights, [k, column])
        };
        let sum = |n: usize, init: Expr| Reduce {
            extents: vec![n],
            combine: ReduceFn::Sum,
            init,
            finish: Expr::Acc,
        };
        let ty = self.ty(columns.len());
        let whole = (sum(hidden, init.clone()), term(Expr::var(3), H));
        if blocks == 1 {
            return self.stage("recur", ty, Some(whole.0), whole.1);
        }
        let first = self.c.stages.len();
        let parts = TensorType::new(self.r.dtype, [&ty.shape[..2], &[blocks], &ty.shape[2..]].concat());
        let k = Expr::var(2) * Expr::int(hidden / blocks) + Expr::var(4);
        let part = self.stage("part", parts, Some(sum(hidden / blocks, self.r.literal(0.0))), term(k, 3));
        let index = [0, 1, 3, 2].map(Expr::var);
        let dst = self.stage("recur", ty, Some(sum(blocks, init)), Expr::load(part, index));
        let (reduce, body) = whole;
        let stage = Stage { name: "recur", dst, reduce: Some(reduce), body, update: None };
        self.c.wholes.push(Whole { stages: first..self.c.stages.len(), stage });
        dst
    }

    /// Runs the stages that `body` adds in turns.
    pub fn turns_of(&mut self, body: impl FnOnce(&mut Self)) {
        let turns = self.r.steps;
        let first = self.c.stages.len();
        body(self);
        self.c.repeats.push(Repeat { stages: first..self.c.stages.len(), turns });
    }

    /// In a repeat: a stage of its own.
    pub fn stage(&mut self, name: &'static str, ty: TensorType, reduce: Option<Reduce>, body: Expr) -> BufId {
        let dst = self.c.declare(ty);
        self.c.define(name, dst, reduce, body);
        dst
    }

    /// Input `i`, an initial state or weights of all directions, if it is given.
    pub fn optional(&mut self, i: usize) -> Option<BufId> {
        let arg = self.r.args.optional(i)?;
        Some(self.c.input(i, &arg))
    }

    /// The definition with its outputs, from the states of each direction.
    fn finish(mut self, states: &[Vec<BufId>]) -> Result<Compute, OpError> {
        let count = states.first().map_or(0, Vec::len);
        let mut types = self.r.outputs(count)?.into_iter();
        let zero = Expr::Const(Scalar::zero(self.r.dtype));
        let one = Expr::int(1);
        let forward = |d: Expr| Expr::compare(CompareFn::Lt, d, Expr::int(1));
        // What the direction `d` has of what both have.
        let of_direction = |d: Expr, each: Vec<Expr>| {
            let mut each = each.into_iter();
            let first = each.next().unwrap_or_else(|| zero.clone());
            each.next().map_or(first.clone(), |second| forward(d).select(first, second))
        };
        if let Some(ty) = types.next() {
            let [t, d, b] = if self.r.arrangement.batch_first { [1, 2, 0] } else { [0, 1, 2] }.map(Expr::var);
            let each = states.iter().enumerate().map(|(d, states)| {
                let turn = self.place(t.clone(), d, b.clone());
                states.first().map_or(zero.clone(), |h| Expr::load(*h, [turn, b.clone(), Expr::var(3)]))
            });
            let y = of_direction(d, each.collect());
            let valid = Expr::compare(CompareFn::Lt, t, self.length(b));
            let y = if self.lens.is_some() { valid.select(y, zero.clone()) } else { y };
            let out = self.c.map("outputs", ty, y);
            self.c.output(out);
        }
        for (k, ty) in types.enumerate() {
            let [d, b] = if self.r.arrangement.batch_first { [1, 0] } else { [0, 1] }.map(Expr::var);
            let length = self.length(b.clone());
            let turn = match self.lens {
                None => Expr::int(self.r.steps - 1),
                Some(_) => (length.clone() - one.clone()).max(Expr::int(0)),
            };
            let last = |of: &Vec<BufId>| Expr::load(of[k], [turn.clone(), b.clone(), Expr::var(2)]);
            let last = of_direction(d, states.iter().map(last).collect());
            let any = Expr::compare(CompareFn::Ge, length, one.clone());
            let last = if self.lens.is_some() { any.select(last, zero.clone()) } else { last };
            let out = self.c.map("last state", ty, last);
            self.c.output(out);
        }
        Ok(self.c)
    }
}
