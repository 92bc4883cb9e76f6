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

use crate::compute::{Check, Compute, Reduce, ReduceFn, Repeat};
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
        // States of one more turn than there are steps, for all gates and once more.
        let work = Shape::from([s.saturating_add(1), d, b, h, self.gates + 1]);
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

/// A definition in the making. Its states are tensors `[S + 1, D, B, H]`: the initial one, then one for each turn.
pub struct Stages<'a> {
    /// What is defined.
    pub r: &'a Recurrence<'a>,
    /// The definition so far.
    pub c: Compute,
    lens: Option<BufId>,
    bias: Option<BufId>,
}

/// Variables of a stage in turn `L0`: direction, sequence, number of the state.
const D: usize = 1;
const B: usize = 2;
/// See `D`.
pub const H: usize = 3;

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
        Ok(Stages { r, c, lens: lens.map(|(b, _)| b), bias })
    }

    /// Turns: one for the initial states, one for each step.
    pub fn turns(&self) -> usize {
        self.r.steps + 1
    }

    /// The type of what has `width` numbers in every turn, direction and sequence.
    pub fn ty(&self, width: usize) -> TensorType {
        TensorType::new(self.r.dtype, [self.turns(), self.r.directions(), self.r.batch, width])
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
    fn place(&self, step: Expr, d: Expr, b: Expr) -> Expr {
        let last = self.r.steps as i64 - 1;
        let backwards = (self.length(b) - Expr::int(1) - step.clone()).clamp(0, last);
        match self.r.arrangement.direction {
            Direction::Forward => step,
            Direction::Reverse => backwards,
            Direction::Bidirectional => {
                Expr::compare(CompareFn::Eq, d, Expr::int(0)).select(step, backwards).clamp(0, last)
            }
        }
    }

    /// The turn before `L0`, or 0.
    fn before() -> Expr {
        (Expr::var(0) - Expr::int(1)).max(Expr::int(0))
    }

    /// Number `k` of a state as the previous turn left it.
    pub fn previous(&self, state: BufId, k: Expr) -> Expr {
        Expr::load(state, [Self::before(), Expr::var(D), Expr::var(B), k])
    }

    /// Number `g` of direction `L1` of the bias of `R`, or 0; `g` counts over all gates.
    pub fn recurrent_bias(&self, g: Expr) -> Expr {
        match self.bias {
            Some(bias) => Expr::load(bias, [Expr::var(D), g + Expr::int(self.r.gates * self.r.hidden)]),
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

    /// Number `g` of direction `L1` of the bias of `W`, or 0.
    pub fn input_bias(&self, g: Expr) -> Expr {
        match self.bias {
            Some(bias) => Expr::load(bias, [Expr::var(D), g]),
            None => self.r.literal(0.0),
        }
    }

    /// Input `i`, `[D, n, m]`, as `[D, m, n]`, so that products run along neighbours.
    fn transposed(&mut self, i: usize, name: &str) -> Result<BufId, OpError> {
        let arg = self.r.args.required(i, name)?;
        let buf = self.c.input(i, &arg);
        let dims = [arg.shape[0], arg.shape[2], arg.shape[1]];
        let body = Expr::load(buf, [Expr::var(0), Expr::var(2), Expr::var(1)]);
        Ok(self.c.map("transpose", TensorType::new(self.r.dtype, dims), body))
    }

    /// Stage `inputs`: `[S, D, B, G * H]`, the products of `W` with all elements in their places, plus `bias` of the
    /// variables direction `L1` and number `L3`.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when an input is missing.
    pub fn inputs(&mut self, bias: Expr) -> Result<BufId, OpError> {
        let r = self.r;
        let w = self.transposed(1, "W")?;
        let x = self.c.input(0, &r.args.required(0, "X")?);
        let i = Expr::var(4);
        let place = if r.arrangement.batch_first { [B, 0] } else { [0, B] };
        let element = Expr::load(x, [Expr::var(place[0]), Expr::var(place[1]), i.clone()]);
        let weight = Expr::load(w, [Expr::var(D), i, Expr::var(H)]);
        let ty = TensorType::new(r.dtype, [r.steps, r.directions(), r.batch, r.gates * r.hidden]);
        let reduce = Reduce { extents: vec![r.input], combine: ReduceFn::Sum, init: bias, finish: Expr::Acc };
        Ok(self.c.reduce_blocked("inputs", ty, reduce, element * weight))
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
        let place = self.place(Self::before(), Expr::var(D), Expr::var(B));
        let last = self.r.steps as i64 - 1;
        Expr::load(inputs, [place.clamp(0, last), Expr::var(D), Expr::var(B), g])
    }

    /// In a repeat: `[S + 1, D, B, width]`, `init` plus the products of a state with the columns of `weights` from
    /// `first` on. `state` gives number `k` of it in turn `L0`.
    pub fn product(
        &mut self,
        weights: BufId,
        columns: std::ops::Range<usize>,
        init: Expr,
        state: &dyn Fn(&Self, Expr) -> Expr,
    ) -> BufId {
        let hidden = self.r.hidden;
        let fewest = hidden.div_ceil(BLOCK);
        let blocks = (fewest..=2 * fewest).find(|&n| hidden.is_multiple_of(n)).unwrap_or(1);
        let term = |this: &Self, k: Expr, g: usize| {
            let column = Expr::var(g) + Expr::int(columns.start);
            state(this, k.clone()) * Expr::load(weights, [Expr::var(D), k, column])
        };
        let zero = self.r.literal(0.0);
        let sum = |n: usize, init: Expr| Reduce {
            extents: vec![n],
            combine: ReduceFn::Sum,
            init,
            finish: Expr::Acc,
        };
        let ty = self.ty(columns.len());
        if blocks == 1 {
            let body = term(self, Expr::var(4), H);
            return self.stage("recur", ty, Some(sum(hidden, init)), body);
        }
        let parts = TensorType::new(self.r.dtype, [&ty.shape[..3], &[blocks], &ty.shape[3..]].concat());
        let k = Expr::var(3) * Expr::int(hidden / blocks) + Expr::var(5);
        let body = term(self, k, 4);
        let part = self.stage("part", parts, Some(sum(hidden / blocks, zero)), body);
        let index = [0, 1, 2, 4, 3].map(Expr::var);
        self.stage("recur", ty, Some(sum(blocks, init)), Expr::load(part, index))
    }

    /// Runs the stages that `body` adds in turns.
    pub fn turns_of(&mut self, body: impl FnOnce(&mut Self)) {
        let turns = self.turns();
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

    /// In a repeat: defines a state, which is input `i` in turn 0 (0 where that is omitted) and `body` later.
    pub fn define_state(&mut self, name: &'static str, state: BufId, initial: Option<BufId>, body: Expr) {
        let first = match initial {
            None => self.r.literal(0.0),
            Some(b) if self.r.arrangement.batch_first => Expr::load(b, [B, D, H].map(Expr::var)),
            Some(b) => Expr::load(b, [D, B, H].map(Expr::var)),
        };
        let start = Expr::compare(CompareFn::Eq, Expr::var(0), Expr::int(0));
        self.c.define(name, state, None, start.select(first, body));
    }

    /// Input `i`, an initial state, if it is given.
    pub fn initial(&mut self, i: usize) -> Option<BufId> {
        let arg = self.r.args.optional(i)?;
        Some(self.c.input(i, &arg))
    }

    /// The definition with its outputs: `Y` from the hidden states, then the last states of `states`.
    ///
    /// # Errors
    /// As [`Recurrence::outputs`].
    pub fn finish(mut self, hidden: BufId, states: &[BufId]) -> Result<Compute, OpError> {
        let types = self.r.outputs(states.len())?;
        let zero = Expr::Const(Scalar::zero(self.r.dtype));
        let one = Expr::int(1);
        let [t, d, b] = if self.r.arrangement.batch_first { [1, 2, 0] } else { [0, 1, 2] }.map(Expr::var);
        let turn = self.place(t.clone(), d.clone(), b.clone()) + one.clone();
        let turn = turn.clamp(0, self.r.steps as i64);
        let y = Expr::load(hidden, [turn, d, b.clone(), Expr::var(3)]);
        let valid = Expr::compare(CompareFn::Lt, t, self.length(b));
        let y = if self.lens.is_some() { valid.select(y, zero.clone()) } else { y };
        let mut types = types.into_iter();
        if let Some(ty) = types.next() {
            let out = self.c.map("outputs", ty, y);
            self.c.output(out);
        }
        let [d, b] = if self.r.arrangement.batch_first { [1, 0] } else { [0, 1] }.map(Expr::var);
        for (ty, state) in types.zip(states) {
            let length = self.length(b.clone());
            let last = Expr::load(*state, [length.clone(), d.clone(), b.clone(), Expr::var(2)]);
            let any = Expr::compare(CompareFn::Ge, length, one.clone());
            let last = if self.lens.is_some() { any.select(last, zero.clone()) } else { last };
            let out = self.c.map("last state", ty, last);
            self.c.output(out);
        }
        Ok(self.c)
    }
}
