//! The definition of an operator as index expressions: what the compiler lowers to loop nests.
//!
//! A [`Compute`] is a list of [`Stage`]s. Each stage defines every element of one new tensor, from the operator's
//! inputs, from tables known at compile time and from earlier stages, optionally through one reduction:
//!
//! ```text
//! dst[i..] = body(i)                                              without reduction
//! dst[i..] = finish(combine over r.. of body(i, r), starting with init(i))      with one
//! ```
//!
//! In a stage, variables `L0 ..` are the dimensions of its result, the next ones are the reduced axes.
//!
//! Two forms are for what depends on an order. An *update* changes elements of a tensor that an earlier stage defined,
//! one after the other; its variables `L0 ..` are the axes of the update, the last one fastest:
//!
//! ```text
//! for r..: dst[index(r)] = body(r)                         index and body may load dst
//! ```
//!
//! A [`Repeat`] runs several stages in turn: in turn `t`, each defines those elements of its result whose first index is
//! `t`, and may load results of all of them that earlier turns, or earlier stages in this turn, defined.

use crate::arg::Arg;
use crate::error::OpError;
pub use crate::expr::{BinaryFn, CompareFn, UnaryFn};
use crate::expr::{BufId, Env, Expr, Scalar, VarId, binary, eval};
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Largest number of elements of a table that an operator computes for its definition.
pub const TABLE_ELEMENTS: usize = 1 << 26;

/// Where the contents of a buffer come from.
#[derive(Clone, Debug, PartialEq)]
pub enum BufferKind {
    /// The operator's input with this position.
    Input(usize),
    /// A tensor known when the operator is compiled.
    Table(Tensor),
    /// The result of a stage.
    Stage,
}

/// A tensor that takes part in a computation.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Where its contents come from.
    pub kind: BufferKind,
    /// Element type and shape.
    pub ty: TensorType,
}

/// How a reduction combines two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceFn {
    /// `acc + v`
    Sum,
    /// the larger; NaN if either is NaN
    Max,
    /// the smaller; NaN if either is NaN
    Min,
    /// `acc * v`
    Prod,
}

impl ReduceFn {
    /// All of them.
    pub const ALL: [ReduceFn; 4] = [ReduceFn::Sum, ReduceFn::Max, ReduceFn::Min, ReduceFn::Prod];

    /// The function of two arguments.
    pub fn binary(self) -> BinaryFn {
        match self {
            ReduceFn::Sum => BinaryFn::Add,
            ReduceFn::Max => BinaryFn::Max,
            ReduceFn::Min => BinaryFn::Min,
            ReduceFn::Prod => BinaryFn::Mul,
        }
    }

    /// The name in text forms.
    pub fn name(self) -> &'static str {
        match self {
            ReduceFn::Sum => "sum",
            ReduceFn::Max => "max",
            ReduceFn::Min => "min",
            ReduceFn::Prod => "prod",
        }
    }
}

/// The reduction of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// Extents of the reduced axes; they are the variables after the stage's dimensions.
    pub extents: Vec<usize>,
    /// How values are combined.
    pub combine: ReduceFn,
    /// First value of the accumulator, over the stage's dimensions.
    pub init: Expr,
    /// The stored value, over the stage's dimensions and [`Expr::Acc`].
    pub finish: Expr,
}

/// The definition of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What the stage is, for dumps: `pad`, `conv`, `max`.
    pub name: &'static str,
    /// The buffer it defines.
    pub dst: BufId,
    /// The reduction, if there is one.
    pub reduce: Option<Reduce>,
    /// The element, or the value that is reduced.
    pub body: Expr,
    /// Present when the stage updates elements of a tensor that is defined already.
    pub update: Option<Update>,
}

/// Which elements a stage updates, in which order.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Extents of the axes of the update, which are its variables; the last one moves fastest.
    pub extents: Vec<usize>,
    /// The element of the result that an iteration writes.
    pub index: Vec<Expr>,
}

/// Stages that run in turns; none of them is an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Repeat {
    /// Positions of the stages.
    pub stages: std::ops::Range<usize>,
    /// Number of turns: the first extent of the result of each of these stages.
    pub turns: usize,
}

/// A reduction that is carried out as several stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Whole {
    /// Positions of these stages; the last one defines the result.
    pub stages: std::ops::Range<usize>,
    /// The one stage that says the same but for rounding.
    pub stage: Stage,
}

/// A fact about run-time values that must hold, or the run fails with a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// A `bool` scalar stage that is true when all is well.
    pub ok: BufId,
    /// What is wrong when it is false.
    pub message: String,
}

/// An operator on tensors of given types as stages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compute {
    /// All tensors that take part; a [`BufId`] is a position here.
    pub buffers: Vec<Buffer>,
    /// Stages in order: each reads only inputs, tables and earlier stages.
    pub stages: Vec<Stage>,
    /// Stages that run in turns; in order, disjoint.
    pub repeats: Vec<Repeat>,
    /// The buffers (of stages) that are the operator's outputs.
    pub outputs: Vec<BufId>,
    /// Facts to verify at run time.
    pub checks: Vec<Check>,
    /// Reductions that are several of the stages, in order.
    pub wholes: Vec<Whole>,
    /// Whether sums of products stay whole however long they are, and name their channels even where there is one: for
    /// schedules that split them.
    pub whole_sums: bool,
}

impl Compute {
    /// An empty computation.
    pub fn new() -> Self {
        Compute::default()
    }

    /// An empty computation whose sums of products stay whole.
    pub fn of_whole_sums() -> Self {
        Compute { whole_sums: true, ..Compute::default() }
    }

    /// A computation whose one output is `value` everywhere: what an operator on empty tensors comes to.
    pub fn filled(ty: TensorType, value: Scalar) -> Self {
        let mut c = Compute::new();
        let dst = c.map("fill", ty, Expr::Const(value));
        c.output(dst);
        c
    }

    fn buffer(&mut self, kind: BufferKind, ty: TensorType) -> BufId {
        self.buffers.push(Buffer { kind, ty });
        BufId((self.buffers.len() - 1) as u32)
    }

    /// The operator's input with position `i`.
    pub fn input(&mut self, i: usize, arg: &Arg<'_>) -> BufId {
        self.buffer(BufferKind::Input(i), TensorType { dtype: arg.dtype, shape: arg.shape.clone() })
    }

    /// A tensor known now.
    pub fn table(&mut self, t: Tensor) -> BufId {
        let ty = t.ty().clone();
        self.buffer(BufferKind::Table(t), ty)
    }

    /// Defines a tensor element by element.
    pub fn map(&mut self, name: &'static str, ty: TensorType, body: Expr) -> BufId {
        let dst = self.buffer(BufferKind::Stage, ty);
        self.stages.push(Stage { name, dst, reduce: None, body, update: None });
        dst
    }

    /// A tensor that a later [`Compute::define`] gives its stage, so that stages before it in a repeat can load it.
    pub fn declare(&mut self, ty: TensorType) -> BufId {
        self.buffer(BufferKind::Stage, ty)
    }

    /// The stage of a declared tensor.
    pub fn define(&mut self, name: &'static str, dst: BufId, reduce: Option<Reduce>, body: Expr) {
        self.stages.push(Stage { name, dst, reduce, body, update: None });
    }

    /// Updates elements of a tensor that a stage has defined.
    pub fn update(&mut self, name: &'static str, dst: BufId, update: Update, body: Expr) {
        self.stages.push(Stage { name, dst, reduce: None, body, update: Some(update) });
    }

    /// Runs the stages that `body` adds in turns; see [`Repeat`].
    pub fn repeat<R>(&mut self, turns: usize, body: impl FnOnce(&mut Self) -> R) -> R {
        let first = self.stages.len();
        let result = body(self);
        self.repeats.push(Repeat { stages: first..self.stages.len(), turns });
        result
    }

    /// Defines a tensor through a reduction.
    pub fn reduce(&mut self, name: &'static str, ty: TensorType, reduce: Reduce, body: Expr) -> BufId {
        let dst = self.buffer(BufferKind::Stage, ty);
        self.stages.push(Stage { name, dst, reduce: Some(reduce), body, update: None });
        dst
    }

    /// Makes `buf` the next output.
    pub fn output(&mut self, buf: BufId) {
        self.outputs.push(buf);
    }

    /// The stages in order, reductions in one piece however many stages carry them out.
    pub fn whole_stages(&self) -> Vec<&Stage> {
        let mut all = Vec::with_capacity(self.stages.len());
        let mut next = 0;
        while let Some(stage) = self.stages.get(next) {
            match self.wholes.iter().find(|w| w.stages.start == next) {
                Some(whole) => {
                    all.push(&whole.stage);
                    next = whole.stages.end;
                }
                None => {
                    all.push(stage);
                    next += 1;
                }
            }
        }
        all
    }

    /// Type of a buffer.
    pub fn ty(&self, b: BufId) -> &TensorType {
        &self.buffers[b.0 as usize].ty
    }

    /// Evaluates the definition element by element: slow, and independent of the operators' `reference`.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when an index is out of bounds, a type does not fit or a check fails.
    pub fn evaluate(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let mut memory: Vec<Vec<Scalar>> = Vec::new();
        for b in &self.buffers {
            memory.push(match &b.kind {
                BufferKind::Table(t) => scalars(t)?,
                // What no stage has defined is zero; no result may depend on it.
                BufferKind::Stage => vec![Scalar::zero(b.ty.dtype); b.ty.shape.numel()],
                BufferKind::Input(i) => match inputs.get(*i).copied().flatten() {
                    Some(t) if *t.ty() == b.ty => scalars(t)?,
                    _ => return Err(OpError::Invalid(format!("input {i}: expected a tensor {}", b.ty))),
                },
            });
        }
        let mut next = 0;
        while let Some(stage) = self.stages.get(next) {
            match self.repeats.iter().find(|r| r.stages.start == next && !r.stages.is_empty()) {
                None => {
                    self.run_stage(stage, &mut memory, None)?;
                    next += 1;
                }
                Some(repeat) => {
                    for turn in 0..repeat.turns {
                        for stage in &self.stages[repeat.stages.clone()] {
                            self.run_stage(stage, &mut memory, Some(turn))?;
                        }
                    }
                    next = repeat.stages.end;
                }
            }
        }
        for check in &self.checks {
            if memory[check.ok.0 as usize].first() != Some(&Scalar::Bool(true)) {
                return Err(OpError::Invalid(check.message.clone()));
            }
        }
        self.outputs.iter().map(|b| tensor(self.ty(*b), &memory[b.0 as usize])).collect()
    }

    /// Runs a stage, or the turn of one.
    fn run_stage(
        &self,
        stage: &Stage,
        memory: &mut [Vec<Scalar>],
        turn: Option<usize>,
    ) -> Result<(), OpError> {
        let ty = self.ty(stage.dst);
        let to = stage.dst.0 as usize;
        let axes = stage.update.as_ref().map_or_else(|| ty.shape.clone(), |u| Shape::new(u.extents.clone()));
        for at in axes.indices().filter(|at| turn.is_none() || at.first().copied() == turn) {
            let value = self.element(stage, memory, at.clone())?;
            if value.dtype() != ty.dtype {
                let found = value.dtype();
                return Err(OpError::Invalid(format!("stage {} stores {found} into {ty}", stage.name)));
            }
            let index = match &stage.update {
                None => at.iter().map(|&i| i as i64).collect(),
                Some(update) => {
                    let env = StageEnv { compute: self, memory, vars: at, acc: None };
                    update.index.iter().map(|e| index(e, &env)).collect::<Result<Vec<_>, _>>()?
                }
            };
            memory[to][flat_index(&ty.shape, &index)?] = value;
        }
        Ok(())
    }

    /// What an iteration of a stage stores.
    fn element(&self, stage: &Stage, memory: &[Vec<Scalar>], at: Vec<usize>) -> Result<Scalar, OpError> {
        let mut env = StageEnv { compute: self, memory, vars: at, acc: None };
        let Some(r) = &stage.reduce else { return eval(&stage.body, &env) };
        let rank = env.vars.len();
        let mut acc = eval(&r.init, &env)?;
        for at in Shape::new(r.extents.clone()).indices() {
            env.vars.truncate(rank);
            env.vars.extend(at);
            let v = eval(&stage.body, &env)?;
            acc = binary(r.combine.binary(), acc, v)
                .ok_or_else(|| OpError::Invalid(format!("ill-typed reduction in stage {}", stage.name)))?;
        }
        env.vars.truncate(rank);
        env.acc = Some(acc);
        eval(&r.finish, &env)
    }
}

fn index(e: &Expr, env: &StageEnv<'_>) -> Result<i64, OpError> {
    match eval(e, env)? {
        Scalar::I64(v) => Ok(v),
        other => Err(OpError::Invalid(format!("an index is {}", other.dtype()))),
    }
}

struct StageEnv<'a> {
    compute: &'a Compute,
    memory: &'a [Vec<Scalar>],
    vars: Vec<usize>,
    acc: Option<Scalar>,
}

impl Env for StageEnv<'_> {
    fn var(&self, v: VarId) -> i64 {
        self.vars[v.0 as usize] as i64
    }
    fn load(&self, buf: BufId, index: &[i64]) -> Result<Scalar, OpError> {
        let shape = &self.compute.ty(buf).shape;
        let flat = flat_index(shape, index)?;
        self.memory[buf.0 as usize]
            .get(flat)
            .copied()
            .ok_or_else(|| OpError::Invalid(format!("{buf} is read before it is defined")))
    }
    fn acc(&self) -> Option<Scalar> {
        self.acc
    }
}

/// Row-major position of `index` in a tensor of this shape.
///
/// # Errors
/// [`OpError::Invalid`] when the index is out of bounds.
pub fn flat_index(shape: &Shape, index: &[i64]) -> Result<usize, OpError> {
    let in_bounds = |(&i, &d): (&i64, &usize)| i >= 0 && (i as u64) < d as u64;
    if index.len() != shape.rank() || !index.iter().zip(shape.iter()).all(in_bounds) {
        return Err(OpError::Invalid(format!("index {index:?} is outside {shape}")));
    }
    Ok(index.iter().zip(shape.iter()).fold(0, |flat, (&i, &d)| flat * d + i as usize))
}

/// The elements of a tensor as scalars.
///
/// # Errors
/// None in practice: the element type decides how bytes are read.
pub fn scalars(t: &Tensor) -> Result<Vec<Scalar>, OpError> {
    Ok(by_dtype!(t.dtype(), T => t.to_vec::<T>()?.into_iter().map(Scalar::from).collect()))
}

/// A tensor from scalars.
///
/// # Errors
/// [`OpError::Invalid`] when count or types are not those of `ty`.
pub fn tensor(ty: &TensorType, elements: &[Scalar]) -> Result<Tensor, OpError> {
    let mut bytes = Vec::with_capacity(ty.bytes());
    for s in elements {
        if s.dtype() != ty.dtype {
            return Err(OpError::Invalid(format!("{} among the elements of {ty}", s.dtype())));
        }
        s.write(&mut bytes);
    }
    Tensor::from_bytes(ty.clone(), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::DType;

    #[test]
    fn updates_are_in_order() {
        // A running sum: y[i] = x[i] + y[i - 1].
        let x = Tensor::new([4], &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
        let mut c = Compute::new();
        let src = c.input(0, &Arg::from(&x));
        let y = c.map("copy", x.ty().clone(), Expr::load(src, [Expr::var(0)]));
        let next = Expr::var(0) + Expr::int(1);
        let sum = Expr::load(y, [next.clone()]) + Expr::load(y, [Expr::var(0)]);
        c.update("sum", y, Update { extents: vec![3], index: vec![next] }, sum);
        c.output(y);
        assert_eq!(c.evaluate(&[Some(&x)]).unwrap()[0].to_vec::<f32>().unwrap(), [1.0, 3.0, 6.0, 10.0]);
    }

    #[test]
    fn turns_see_what_was_defined_before() {
        // a[t] = b[t - 1] + 1 (b[-1] = 10), b[t] = 2 a[t]
        let ty = TensorType::new(DType::I64, [3]);
        let mut c = Compute::new();
        let (a, b) = (c.declare(ty.clone()), c.declare(ty));
        c.repeat(3, |c| {
            let before = Expr::load(b, [(Expr::var(0) - Expr::int(1)).max(Expr::int(0))]);
            let first = Expr::compare(CompareFn::Eq, Expr::var(0), Expr::int(0));
            c.define("a", a, None, first.select(Expr::int(10), before) + Expr::int(1));
            c.define("b", b, None, Expr::load(a, [Expr::var(0)]) * Expr::int(2));
        });
        c.output(b);
        assert_eq!(c.evaluate(&[]).unwrap()[0].to_vec::<i64>().unwrap(), [22, 46, 94]);
    }
}
