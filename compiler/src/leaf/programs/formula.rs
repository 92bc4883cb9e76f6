//! What is computed of each element at the end of a tile, or in a pass of its own, lane by lane.

use octrt_ops::expr::{BufId, Expr};

use super::builder::Builder;
use super::functions::Function;
use crate::leaf::{Address, BinaryOp, Inst, Operand, Predicate, VecId};

mod reader;

/// Most tensors that a formula reads beside the result that it begins with.
pub const OPERANDS: usize = 6;

/// Names of the pointer slots of the operands.
pub const OPERAND: [&str; OPERANDS] =
    ["operand0", "operand1", "operand2", "operand3", "operand4", "operand5"];

/// The position of a step in its formula.
type At = usize;

/// What a step of a formula gives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// The finished sum of the tile.
    Result,
    /// An element of a tensor.
    Operand(usize),
    /// A number; not NaN.
    Number(f32),
    /// A function of one step.
    Function(Function, At),
    /// A function of two steps.
    Binary(BinaryOp, At, At),
    /// All bits where it is true of two steps, else none.
    Compare(Predicate, At, At),
    /// The second where the bits of the first are set, else the third.
    Choose(At, At, At),
    /// `a * b + c`, rounded once.
    Fma(At, At, At),
}

impl Step {
    fn reads(self) -> impl Iterator<Item = At> {
        let all = match self {
            Step::Result | Step::Operand(_) | Step::Number(_) => [None; 3],
            Step::Function(_, a) => [Some(a), None, None],
            Step::Binary(_, a, b) | Step::Compare(_, a, b) => [Some(a), Some(b), None],
            Step::Fma(a, b, c) | Step::Choose(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        all.into_iter().flatten()
    }

    fn renamed(self, to: &dyn Fn(At) -> At) -> Step {
        match self {
            Step::Result | Step::Operand(_) | Step::Number(_) => self,
            Step::Function(f, a) => Step::Function(f, to(a)),
            Step::Binary(op, a, b) => Step::Binary(op, to(a), to(b)),
            Step::Compare(op, a, b) => Step::Compare(op, to(a), to(b)),
            Step::Choose(a, b, c) => Step::Choose(to(a), to(b), to(c)),
            Step::Fma(a, b, c) => Step::Fma(to(a), to(b), to(c)),
        }
    }
}

/// A function of the result of a tile and of elements of other tensors: steps, each of which reads those before it. The
/// last one is the value.
///
/// A product that is added is added with one rounding, and the result of a tile is divided by a number as it is multiplied by
/// its reciprocal. What is undefined of [`BinaryOp`]s stays so.
#[derive(Clone, Debug, PartialEq)]
pub struct Formula {
    steps: Vec<Step>,
}

/// Most constants that have registers of their own while a tile ends.
const HELD: usize = 3;

/// Steps of a formula that takes hardly more registers than the result.
const SHORT: usize = 8;

/// Where an operand of a formula comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// The first lanes of a vector in memory.
    Memory(Address, u8),
    /// A vector that must stay as it is.
    Held(VecId),
}

/// The constants of a formula that have registers of their own.
pub(super) struct Constants(Vec<(At, VecId)>);

impl Formula {
    /// The result as it is.
    pub fn identity() -> Formula {
        Formula { steps: vec![Step::Result] }
    }

    /// The formula that an expression is: [`Expr::Acc`] stands for the result, and `operand` numbers the elements that it
    /// loads, from 0 on. `None` for what leaf programs do not compute, and for too many operands.
    pub fn of(e: &Expr, operand: &mut dyn FnMut(BufId, &[Expr]) -> usize) -> Option<Formula> {
        let (steps, last) = reader::read(e, operand)?;
        Some(Formula { steps: contracted(&steps, last) })
    }

    /// The formula of an expression whose elements are those of the buffers `b0`, `b1`, .. in this order.
    pub fn of_buffers(e: &Expr) -> Option<Formula> {
        Formula::of(e, &mut |b, _| b.index())
    }

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.steps == [Step::Result]
    }

    /// Whether it takes hardly more registers than the result.
    pub(super) fn is_short(&self) -> bool {
        let long = |s: &Step| match s {
            Step::Function(f, _) => {
                use Function::{Erf, Exp, Log, Sigmoid, Tanh};
                matches!(f, Exp | Log | Tanh | Erf | Sigmoid)
            }
            _ => false,
        };
        self.steps.len() <= SHORT && !self.steps.iter().any(long)
    }

    /// Whether an operand is read.
    pub(super) fn reads(&self, k: usize) -> bool {
        self.steps.contains(&Step::Operand(k))
    }

    /// One more than the number of the last operand that is read.
    pub fn operands(&self) -> usize {
        let numbers =
            self.steps.iter().filter_map(|s| if let Step::Operand(k) = s { Some(k + 1) } else { None });
        numbers.max().unwrap_or(0)
    }

    /// Registers for its constants, where they are few.
    pub(super) fn constants(&self, b: &mut Builder) -> Constants {
        let numbers: Vec<(At, f32)> = self
            .steps
            .iter()
            .enumerate()
            .filter_map(|(i, s)| if let Step::Number(x) = s { Some((i, *x)) } else { None })
            .filter(|(i, _)| self.is_held(*i))
            .collect();
        let few = numbers.len() <= HELD;
        Constants(numbers.into_iter().filter(|_| few).map(|(i, x)| (i, b.splat(x))).collect())
    }

    /// Whether a constant is more than what one multiplication begins its sum with, which needs a fresh one each time.
    fn is_held(&self, i: At) -> bool {
        let only_sum = |s: &Step| matches!(s, Step::Fma(a, b, c) if *c == i && *a != i && *b != i);
        !self.steps.iter().filter(|s| s.reads().any(|r| r == i)).all(only_sum)
    }

    /// Writes the steps for one vector: `result` is what the tile has summed, and what becomes of it does not matter.
    pub(super) fn write(
        &self,
        b: &mut Builder,
        constants: &Constants,
        result: Option<VecId>,
        operand: &mut dyn FnMut(&mut Builder, usize) -> From,
    ) -> VecId {
        let mut uses = vec![0usize; self.steps.len()];
        self.steps.iter().flat_map(|s| s.reads()).for_each(|r| uses[r] += 1);
        let values = vec![Value::Absent; self.steps.len()];
        let mut w = Writer { b, formula: self, constants, uses, values };
        for (i, step) in self.steps.iter().enumerate() {
            w.values[i] = match *step {
                Step::Result => result.map_or(Value::Absent, Value::Own),
                Step::Operand(k) => match operand(w.b, k) {
                    From::Memory(at, lanes) => w.loaded(i, at, lanes),
                    From::Held(v) => Value::Held(v),
                },
                Step::Number(_) => Value::Absent,
                Step::Function(f, x) => {
                    let x = w.vector(x);
                    Value::Own(w.b.function(f, x))
                }
                Step::Binary(op, x, y) => w.binary(op, x, y),
                Step::Compare(op, x, y) => {
                    let (a, b, dst) = (w.vector(x), w.vector(y), w.b.vector());
                    w.b.push(Inst::Compare { op, dst, a, b });
                    Value::Own(dst)
                }
                Step::Choose(m, x, y) => {
                    let (mask, a, b, dst) = (w.vector(m), w.vector(x), w.vector(y), w.b.vector());
                    w.b.push(Inst::Select { dst, mask, a, b });
                    Value::Own(dst)
                }
                Step::Fma(x, y, z) => w.fma(x, y, z),
            };
        }
        w.vector(self.steps.len() - 1)
    }
}

/// The steps that `last` needs, products that are only added made one step with their sum, with `last` at the end.
fn contracted(steps: &[Step], last: At) -> Vec<Step> {
    let mut steps = steps.to_vec();
    let needed = |steps: &[Step]| {
        let mut needed = vec![0usize; steps.len()];
        needed[last] = 1;
        for i in (0..steps.len()).rev().filter(|i| *i <= last) {
            if needed[i] > 0 {
                steps[i].reads().for_each(|r| needed[r] += 1);
            }
        }
        needed
    };
    for i in 0..=last {
        let Step::Binary(BinaryOp::Add, x, y) = steps[i] else { continue };
        let uses = needed(&steps);
        let product = |at: At| match steps[at] {
            Step::Binary(BinaryOp::Mul, a, b) if uses[at] == 1 => Some((a, b)),
            _ => None,
        };
        match (product(x), product(y)) {
            (Some((a, b)), _) => steps[i] = Step::Fma(a, b, y),
            (None, Some((a, b))) => steps[i] = Step::Fma(a, b, x),
            (None, None) => {}
        }
    }
    let needed = needed(&steps);
    let kept: Vec<At> = (0..=last).filter(|i| needed[*i] > 0).collect();
    let place = |at: At| kept.iter().position(|k| *k == at).unwrap_or(0);
    kept.iter().map(|i| steps[*i].renamed(&place)).collect()
}

/// What a step has given.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Nothing yet: a constant that is made where it is used.
    Absent,
    /// A vector that may be assigned again after its last use.
    Own(VecId),
    /// A vector that must stay.
    Held(VecId),
    /// A vector in memory, for its one use.
    Memory(Address),
}

struct Writer<'a> {
    b: &'a mut Builder,
    formula: &'a Formula,
    constants: &'a Constants,
    /// Uses of each step that are still to come.
    uses: Vec<usize>,
    values: Vec<Value>,
}

impl Writer<'_> {
    /// An operand in memory: where its only use takes one as it lies, it is not loaded.
    fn loaded(&mut self, i: At, from: Address, lanes: u8) -> Value {
        let second = |s: &Step| match *s {
            Step::Binary(op, x, y) => y == i && x != i || x == i && y != i && commutes(op),
            Step::Fma(x, y, z) => (x == i) != (y == i) && z != i,
            _ => false,
        };
        let full = u32::from(lanes) == self.b.width().lanes();
        let once = self.uses[i] == 1 && self.formula.steps.iter().any(second);
        match full && once {
            true => Value::Memory(from),
            false => Value::Own(self.b.load_lanes(from, lanes)),
        }
    }

    /// The vector of a step.
    fn vector(&mut self, i: At) -> VecId {
        let v = match self.values[i] {
            Value::Own(v) | Value::Held(v) => v,
            Value::Memory(at) => self.b.load(at),
            Value::Absent => {
                match (self.constants.0.iter().find(|(at, _)| *at == i), self.formula.steps[i]) {
                    (Some((_, v)), _) => *v,
                    (None, Step::Number(x)) => self.b.splat(x),
                    (None, _) => self.b.zero(),
                }
            }
        };
        self.uses[i] = self.uses[i].saturating_sub(1);
        v
    }

    /// A step as the last operand of an instruction.
    fn operand(&mut self, i: At) -> Operand {
        match self.values[i] {
            Value::Memory(at) => Operand::Memory(at),
            _ => Operand::Vector(self.vector(i)),
        }
    }

    fn is_in_memory(&self, i: At) -> bool {
        matches!(self.values[i], Value::Memory(_))
    }

    fn binary(&mut self, op: BinaryOp, x: At, y: At) -> Value {
        let (x, y) = if self.is_in_memory(x) && commutes(op) { (y, x) } else { (x, y) };
        let a = self.vector(x);
        let c = self.operand(y);
        let dst = self.b.vector();
        self.b.assign(dst, op, a, c);
        Value::Own(dst)
    }

    fn fma(&mut self, x: At, y: At, z: At) -> Value {
        let (x, y) = if self.is_in_memory(x) { (y, x) } else { (x, y) };
        let acc = self.summand(z);
        let a = self.vector(x);
        let c = self.operand(y);
        self.b.fma(acc, a, c);
        Value::Own(acc)
    }

    /// What a product is added to, in a vector that nothing else needs.
    fn summand(&mut self, z: At) -> VecId {
        if let (Value::Absent, Step::Number(x)) = (self.values[z], self.formula.steps[z]) {
            self.uses[z] = self.uses[z].saturating_sub(1);
            return self.b.splat(x);
        }
        let owned = matches!(self.values[z], Value::Own(_)) && self.uses[z] == 1;
        let src = self.vector(z);
        if owned {
            return src;
        }
        self.b.sum(src, &[])
    }
}

/// Whether the operands of an operation may change places, whatever they are.
fn commutes(op: BinaryOp) -> bool {
    matches!(op, BinaryOp::Add | BinaryOp::Mul)
}
