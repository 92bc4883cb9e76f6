//! From expressions to steps.

use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn};

use super::super::functions::Function;
use super::{At, OPERANDS, Step};
use crate::leaf::{BinaryOp, Predicate};

/// The steps of an expression, and the one that is its value; `None` for what leaf programs do not compute.
pub(super) fn read(e: &Expr, operand: &mut dyn FnMut(BufId, &[Expr]) -> usize) -> Option<(Vec<Step>, At)> {
    let mut reader = Reader { steps: Vec::new(), operand };
    let last = reader.value(e)?;
    Some((reader.steps, last))
}

struct Reader<'a> {
    steps: Vec<Step>,
    operand: &'a mut dyn FnMut(BufId, &[Expr]) -> usize,
}

impl Reader<'_> {
    /// The position of a step; equal ones are one.
    fn step(&mut self, step: Step) -> At {
        let same = |s: &Step| match (*s, step) {
            (Step::Number(x), Step::Number(y)) => x.to_bits() == y.to_bits(),
            (s, step) => s == step,
        };
        self.steps.iter().position(same).unwrap_or_else(|| {
            self.steps.push(step);
            self.steps.len() - 1
        })
    }

    fn number(&self, at: At) -> Option<f32> {
        if let Step::Number(x) = self.steps[at] { Some(x) } else { None }
    }

    fn value(&mut self, e: &Expr) -> Option<At> {
        let step = match e {
            Expr::Acc => Step::Result,
            Expr::Const(Scalar::F32(x)) if !x.is_nan() => Step::Number(*x),
            Expr::Load(b, index) => {
                let k = (self.operand)(*b, index);
                (k < OPERANDS).then_some(Step::Operand(k))?
            }
            Expr::Unary(f, x) => {
                let (f, x) = (function(*f)?, self.value(x)?);
                return Some(self.function(f, x));
            }
            Expr::Binary(f, x, y) => return self.binary(*f, x, y),
            Expr::Select(c, x, y) => return self.choice(c, x, y),
            _ => return None,
        };
        Some(self.step(step))
    }

    /// A function of a step.
    fn function(&mut self, f: Function, x: At) -> At {
        match (f, self.steps[x]) {
            (Function::Neg, Step::Number(x)) => self.step(Step::Number(-x)),
            (Function::Neg, Step::Function(Function::Neg, x)) => x,
            // The sign goes to the constant.
            (Function::Neg, Step::Binary(BinaryOp::Mul, a, b)) => match (self.number(a), self.number(b)) {
                (Some(c), _) => {
                    let c = self.step(Step::Number(-c));
                    self.step(Step::Binary(BinaryOp::Mul, c, b))
                }
                (None, Some(c)) => {
                    let c = self.step(Step::Number(-c));
                    self.step(Step::Binary(BinaryOp::Mul, a, c))
                }
                (None, None) => self.step(Step::Function(f, x)),
            },
            _ => self.step(Step::Function(f, x)),
        }
    }

    fn binary(&mut self, f: BinaryFn, x: &Expr, y: &Expr) -> Option<At> {
        let op = match f {
            BinaryFn::Add => BinaryOp::Add,
            BinaryFn::Sub => BinaryOp::Sub,
            BinaryFn::Mul => BinaryOp::Mul,
            BinaryFn::Div => return self.quotient(x, y),
            BinaryFn::Min => return self.limit(BinaryOp::Min, x, y),
            BinaryFn::Max => return self.limit(BinaryOp::Max, x, y),
            BinaryFn::Pow => return self.power(x, y),
            _ => return None,
        };
        let (x, y) = (self.value(x)?, self.value(y)?);
        Some(self.step(Step::Binary(op, x, y)))
    }

    /// Powers that are products of the base and its roots.
    fn power(&mut self, x: &Expr, y: &Expr) -> Option<At> {
        let (x, y) = (self.value(x)?, self.value(y)?);
        // In quarters.
        let quarters = 4.0 * self.number(y)?;
        let known = [2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0].contains(&quarters.abs());
        if !known {
            return None;
        }
        let times = |r: &mut Self, a: At, b: At| r.step(Step::Binary(BinaryOp::Mul, a, b));
        let of = match quarters.abs() {
            2.0 => self.root(x),
            3.0 => {
                let root = self.root(x);
                let fourth = self.step(Step::Function(Function::Sqrt, root));
                times(self, root, fourth)
            }
            4.0 => x,
            6.0 => {
                // As a power, that of -inf is inf.
                let (root, magnitude) = (self.root(x), self.function(Function::Abs, x));
                times(self, magnitude, root)
            }
            8.0 => times(self, x, x),
            12.0 => {
                let square = times(self, x, x);
                times(self, square, x)
            }
            _ => {
                let square = times(self, x, x);
                times(self, square, square)
            }
        };
        if quarters > 0.0 {
            return Some(of);
        }
        let one = self.step(Step::Number(1.0));
        Some(self.step(Step::Binary(BinaryOp::Div, one, of)))
    }

    /// The square root as a power: of -inf it is inf, and of -0 it is 0.
    fn root(&mut self, x: At) -> At {
        let zero = self.step(Step::Number(0.0));
        let is_zero = self.step(Step::Compare(Predicate::Eq, x, zero));
        let x = self.step(Step::Choose(is_zero, zero, x));
        let root = self.step(Step::Function(Function::Sqrt, x));
        let (lowest, highest) = (f32::NEG_INFINITY, f32::INFINITY);
        let [lowest, highest] = [lowest, highest].map(|n| self.step(Step::Number(n)));
        let is_lowest = self.step(Step::Compare(Predicate::Eq, x, lowest));
        self.step(Step::Choose(is_lowest, highest, root))
    }

    /// `a / (1 + e^x)` is `a` times the sigmoid of `-x`. A number divides what was made of a sum, which is rounded anyway, as a
    /// product with its reciprocal.
    fn quotient(&mut self, x: &Expr, y: &Expr) -> Option<At> {
        let (x, y) = (self.value(x)?, self.value(y)?);
        if let Step::Binary(BinaryOp::Add, a, b) = self.steps[y] {
            let (one, of) =
                if self.number(a) == Some(1.0) { (true, b) } else { (self.number(b) == Some(1.0), a) };
            if let (true, Step::Function(Function::Exp, of)) = (one, self.steps[of]) {
                let of = self.function(Function::Neg, of);
                let sigmoid = self.step(Step::Function(Function::Sigmoid, of));
                return Some(match self.number(x) {
                    Some(1.0) => sigmoid,
                    _ => self.step(Step::Binary(BinaryOp::Mul, x, sigmoid)),
                });
            }
        }
        let usual = |c: &f32| (1e-30..1e30).contains(&c.abs());
        if let Some(c) = self.number(y).filter(usual)
            && self.is_of_result(x)
        {
            let reciprocal = self.step(Step::Number(1.0 / c));
            return Some(self.step(Step::Binary(BinaryOp::Mul, x, reciprocal)));
        }
        Some(self.step(Step::Binary(BinaryOp::Div, x, y)))
    }

    fn is_of_result(&self, at: At) -> bool {
        let step = self.steps[at];
        step == Step::Result || step.reads().any(|of| self.is_of_result(of))
    }

    /// The smaller or the larger of two, NaN if either is.
    fn limit(&mut self, op: BinaryOp, x: &Expr, y: &Expr) -> Option<At> {
        let (x, y) = (self.value(x)?, self.value(y)?);
        // Of a number and what may be NaN, that is the second operand.
        let (first, second) = if self.number(y).is_some() { (y, x) } else { (x, y) };
        let of = self.step(Step::Binary(op, first, second));
        if self.number(first).is_some() {
            return Some(of);
        }
        let missing = self.step(Step::Compare(Predicate::Unordered, first, first));
        Some(self.step(Step::Choose(missing, first, of)))
    }

    fn choice(&mut self, c: &Expr, x: &Expr, y: &Expr) -> Option<At> {
        if let Expr::Unary(UnaryFn::Not, c) = c {
            return self.choice(c, y, x);
        }
        let (mask, x, y) = (self.condition(c)?, self.value(x)?, self.value(y)?);
        let step = match self.steps[mask] {
            // What is compared is what is chosen from: `a > b ? a : b` and `a < b ? a : b`.
            Step::Compare(Predicate::Lt, a, b) if (a, b) == (y, x) => Step::Binary(BinaryOp::Max, x, y),
            Step::Compare(Predicate::Gt, a, b) if (a, b) == (y, x) => Step::Binary(BinaryOp::Min, x, y),
            Step::Compare(Predicate::Gt, a, b) if (a, b) == (x, y) => Step::Binary(BinaryOp::Max, x, y),
            Step::Compare(Predicate::Lt, a, b) if (a, b) == (x, y) => Step::Binary(BinaryOp::Min, x, y),
            // A part of what is below zero.
            Step::Compare(Predicate::Lt, a, zero)
                if a == y && self.number(zero) == Some(0.0) && self.is_part(x, y) =>
            {
                Step::Binary(BinaryOp::Max, y, x)
            }
            _ => Step::Choose(mask, x, y),
        };
        Some(self.step(step))
    }

    /// Whether `part` is a number above 0 and below 1 times `of`.
    fn is_part(&self, part: At, of: At) -> bool {
        let Step::Binary(BinaryOp::Mul, a, b) = self.steps[part] else { return false };
        let factor = if a == of { self.number(b) } else { self.number(a).filter(|_| b == of) };
        factor.is_some_and(|c| c > 0.0 && c < 1.0)
    }

    /// All bits where it is true.
    fn condition(&mut self, e: &Expr) -> Option<At> {
        let (op, x, y) = match e {
            Expr::Compare(f, x, y) => {
                let (x, y) = (self.value(x)?, self.value(y)?);
                return Some(self.step(Step::Compare(predicate(*f), x, y)));
            }
            Expr::Binary(BinaryFn::And, x, y) => (BinaryOp::And, x, y),
            Expr::Binary(BinaryFn::Or, x, y) => (BinaryOp::Or, x, y),
            _ => return None,
        };
        let (x, y) = (self.condition(x)?, self.condition(y)?);
        Some(self.step(Step::Binary(op, x, y)))
    }
}

fn function(f: UnaryFn) -> Option<Function> {
    Some(match f {
        UnaryFn::Neg => Function::Neg,
        UnaryFn::Abs => Function::Abs,
        UnaryFn::Sqrt => Function::Sqrt,
        UnaryFn::Exp => Function::Exp,
        UnaryFn::Log => Function::Log,
        UnaryFn::Tanh => Function::Tanh,
        UnaryFn::Erf => Function::Erf,
        UnaryFn::Floor => Function::Floor,
        UnaryFn::Ceil => Function::Ceil,
        UnaryFn::Round => Function::Round,
        _ => return None,
    })
}

fn predicate(f: CompareFn) -> Predicate {
    match f {
        CompareFn::Eq => Predicate::Eq,
        CompareFn::Ne => Predicate::Ne,
        CompareFn::Lt => Predicate::Lt,
        CompareFn::Le => Predicate::Le,
        CompareFn::Gt => Predicate::Gt,
        CompareFn::Ge => Predicate::Ge,
    }
}
