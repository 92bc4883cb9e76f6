//! What is known at a point of the code that is being emitted.

use std::collections::BTreeMap;

use cranelift_codegen::ir::{FuncRef, StackSlot, Value};
use cranelift_frontend::FunctionBuilder;
use octrt_ops::DType;
use octrt_ops::expr::VarId;

use crate::nest::{Loop, Nest};
use crate::target::Target;

/// The value of an expression.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    /// The same for all lanes.
    Scalar(Value, DType),
    /// One value per lane: of f32; of i32; or of a narrower type, in i32.
    Vector(Value, DType),
}

impl Operand {
    pub(super) fn value(&self) -> Value {
        match self {
            Operand::Scalar(v, _) | Operand::Vector(v, _) => *v,
        }
    }

    pub(super) fn dtype(&self) -> DType {
        match self {
            Operand::Scalar(_, d) | Operand::Vector(_, d) => *d,
        }
    }
}

/// What a loop variable stands for at a point of the code.
#[derive(Clone, Copy, Debug)]
pub(super) enum Binding {
    /// A run-time i64.
    Counter(Value),
    /// One iteration of an unrolled loop, or one lane.
    Constant(i64),
    /// All lanes of the vector at once.
    Lanes,
}

/// What calls of leaf programs need.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) leaves: Vec<FuncRef>,
    /// The arguments of each call, in the order in which calls are emitted; constants are stored once, at the beginning.
    pub(super) frames: Vec<StackSlot>,
    /// The next call.
    pub(super) next: usize,
}

/// Emits the body of one function.
pub(super) struct Emitter<'a, 'b> {
    pub(super) b: &'a mut FunctionBuilder<'b>,
    pub(super) nest: &'a Nest,
    pub(super) target: Target,
    /// Base address of each buffer.
    pub(super) bases: Vec<Value>,
    pub(super) bindings: BTreeMap<VarId, Binding>,
    /// The finished accumulator, while a `finish` expression is emitted.
    pub(super) acc: Option<Operand>,
    /// Part of the parallel loop that a call computes.
    pub(super) range: Option<(Value, Value)>,
    /// Loops around the point, outermost first.
    pub(super) loops: Vec<&'a Loop>,
    pub(super) calls: Calls,
}

pub(super) type Emit<T> = Result<T, String>;

impl<'a, 'b> Emitter<'a, 'b> {
    pub(super) fn new(b: &'a mut FunctionBuilder<'b>, nest: &'a Nest, target: Target) -> Self {
        Emitter {
            b,
            nest,
            target,
            bases: Vec::new(),
            bindings: BTreeMap::new(),
            acc: None,
            range: None,
            loops: Vec::new(),
            calls: Calls::default(),
        }
    }
}
