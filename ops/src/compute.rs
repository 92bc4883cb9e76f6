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

use crate::dtype::DType;
use crate::error::OpError;
pub use crate::expr::{BinaryFn, CompareFn, UnaryFn};
use crate::expr::{BufId, Env, Expr, Scalar, VarId, binary, eval};
use crate::op::Arg;
use crate::shape::{Shape, TensorType};
use crate::tensor::{Element, Tensor};

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
}

impl ReduceFn {
    /// The function of two arguments.
    pub fn binary(self) -> BinaryFn {
        match self {
            ReduceFn::Sum => BinaryFn::Add,
            ReduceFn::Max => BinaryFn::Max,
            ReduceFn::Min => BinaryFn::Min,
        }
    }

    /// The name in text forms.
    pub fn name(self) -> &'static str {
        match self {
            ReduceFn::Sum => "sum",
            ReduceFn::Max => "max",
            ReduceFn::Min => "min",
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
    /// The buffers (of stages) that are the operator's outputs.
    pub outputs: Vec<BufId>,
    /// Facts to verify at run time.
    pub checks: Vec<Check>,
}

impl Compute {
    /// An empty computation.
    pub fn new() -> Self {
        Compute::default()
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
        self.stages.push(Stage { name, dst, reduce: None, body });
        dst
    }

    /// Defines a tensor through a reduction.
    pub fn reduce(&mut self, name: &'static str, ty: TensorType, reduce: Reduce, body: Expr) -> BufId {
        let dst = self.buffer(BufferKind::Stage, ty);
        self.stages.push(Stage { name, dst, reduce: Some(reduce), body });
        dst
    }

    /// Makes `buf` the next output.
    pub fn output(&mut self, buf: BufId) {
        self.outputs.push(buf);
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
                BufferKind::Stage => Vec::new(),
                BufferKind::Input(i) => match inputs.get(*i).copied().flatten() {
                    Some(t) if *t.ty() == b.ty => scalars(t)?,
                    _ => return Err(OpError::Invalid(format!("input {i}: expected a tensor {}", b.ty))),
                },
            });
        }
        for stage in &self.stages {
            memory[stage.dst.0 as usize] = self.run_stage(stage, &memory)?;
        }
        for check in &self.checks {
            if memory[check.ok.0 as usize].first() != Some(&Scalar::Bool(true)) {
                return Err(OpError::Invalid(check.message.clone()));
            }
        }
        self.outputs.iter().map(|b| tensor(self.ty(*b), &memory[b.0 as usize])).collect()
    }

    fn run_stage(&self, stage: &Stage, memory: &[Vec<Scalar>]) -> Result<Vec<Scalar>, OpError> {
        let ty = self.ty(stage.dst);
        let mut out = Vec::with_capacity(ty.shape.numel());
        for index in ty.shape.indices() {
            let mut env = StageEnv { compute: self, memory, vars: index, acc: None };
            let value = match &stage.reduce {
                None => eval(&stage.body, &env)?,
                Some(r) => {
                    let rank = env.vars.len();
                    let mut acc = eval(&r.init, &env)?;
                    for at in Shape::new(r.extents.clone()).indices() {
                        env.vars.truncate(rank);
                        env.vars.extend(at);
                        let v = eval(&stage.body, &env)?;
                        acc = binary(r.combine.binary(), acc, v).ok_or_else(|| {
                            OpError::Invalid(format!("ill-typed reduction in stage {}", stage.name))
                        })?;
                    }
                    env.vars.truncate(rank);
                    env.acc = Some(acc);
                    eval(&r.finish, &env)?
                }
            };
            if value.dtype() != ty.dtype {
                return Err(OpError::Invalid(format!(
                    "stage {} stores {} into {ty}",
                    stage.name,
                    value.dtype()
                )));
            }
            out.push(value);
        }
        Ok(out)
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
    Ok(match t.dtype() {
        DType::F32 => t.to_vec()?.into_iter().map(Scalar::F32).collect(),
        DType::I64 => t.to_vec()?.into_iter().map(Scalar::I64).collect(),
        DType::I32 => t.to_vec()?.into_iter().map(Scalar::I32).collect(),
        DType::U8 => t.to_vec()?.into_iter().map(Scalar::U8).collect(),
        DType::Bool => t.to_vec()?.into_iter().map(Scalar::Bool).collect(),
    })
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
        match *s {
            Scalar::F32(v) => v.write(&mut bytes),
            Scalar::I64(v) => v.write(&mut bytes),
            Scalar::I32(v) => v.write(&mut bytes),
            Scalar::U8(v) => v.write(&mut bytes),
            Scalar::Bool(v) => v.write(&mut bytes),
        }
    }
    Tensor::from_bytes(ty.clone(), bytes)
}
