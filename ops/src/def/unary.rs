//! Functions of one tensor, element by element. The result has the input's type.
//!
//! | function | formula | element types | ONNX operator, first opset |
//! |---|---|---|---|
//! | abs | `abs(x)`, wrapping | f32 i64 i32 u8 | Abs-6 |
//! | neg | `-x`, wrapping | f32 i64 i32 | Neg-6 |
//! | relu | `x < 0 ? 0 : x` (keeps NaN) | f32 i64 i32 | Relu-6 |
//! | sqrt, exp, log, tanh, erf | as named | f32 | Sqrt-6, Exp-6, Log-6, Tanh-6, Erf-9 |
//! | sigmoid | `1 / (1 + exp(-x))` | f32 | Sigmoid-6 |
//! | softplus | `log(1 + exp(x))`, as `max(x, 0) + log(1 + e)`, `e = exp(-abs(x))` | f32 | Softplus-1 |
//! | softsign | `x / (1 + abs(x))` | f32 | Softsign-1 |
//! | hard_swish | `x * max(0, min(1, x / 6 + 0.5))` | f32 | HardSwish-14 |
//! | floor, ceil, round | as named; round: halves to even | f32 | Floor-6, Ceil-6, Round-11 |
//! | reciprocal | `1 / x` | f32 | Reciprocal-6 |
//! | not | logical | bool | Not-1 |
//!
//! Errors: an input of another element type.

use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map1};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, UnaryFn, erf};
use crate::index::{from_input, vars};
use crate::op::{Args, Operator, known_args};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The functions of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryKind {
    /// ONNX `Abs`.
    Abs,
    /// ONNX `Neg`.
    Neg,
    /// ONNX `Sqrt`.
    Sqrt,
    /// ONNX `Exp`.
    Exp,
    /// ONNX `Log`.
    Log,
    /// ONNX `Relu`.
    Relu,
    /// ONNX `Sigmoid`.
    Sigmoid,
    /// ONNX `Tanh`.
    Tanh,
    /// ONNX `Erf`.
    Erf,
    /// ONNX `Softplus`.
    Softplus,
    /// ONNX `Softsign`.
    Softsign,
    /// ONNX `HardSwish`.
    HardSwish,
    /// ONNX `Floor`.
    Floor,
    /// ONNX `Ceil`.
    Ceil,
    /// ONNX `Round`.
    Round,
    /// ONNX `Reciprocal`.
    Reciprocal,
    /// ONNX `Not`.
    Not,
}

crate::attr_enum!(UnaryKind {
    Abs = "abs",
    Neg = "neg",
    Sqrt = "sqrt",
    Exp = "exp",
    Log = "log",
    Relu = "relu",
    Sigmoid = "sigmoid",
    Tanh = "tanh",
    Erf = "erf",
    Softplus = "softplus",
    Softsign = "softsign",
    HardSwish = "hard_swish",
    Floor = "floor",
    Ceil = "ceil",
    Round = "round",
    Reciprocal = "reciprocal",
    Not = "not",
});

/// A function of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// The function.
    pub kind: UnaryKind,
}

crate::attributes!(Unary { kind });

impl UnaryKind {
    fn dtypes(self) -> &'static [DType] {
        match self {
            UnaryKind::Abs => &[DType::F32, DType::I64, DType::I32, DType::U8],
            UnaryKind::Neg | UnaryKind::Relu => &[DType::F32, DType::I64, DType::I32],
            UnaryKind::Not => &[DType::Bool],
            _ => &[DType::F32],
        }
    }

    /// The function of an element `x` of type `dtype`.
    pub fn formula(self, x: Expr, dtype: DType) -> Expr {
        let f = |f, x| Expr::unary(f, x);
        match self {
            UnaryKind::Abs => f(UnaryFn::Abs, x),
            UnaryKind::Neg => f(UnaryFn::Neg, x),
            UnaryKind::Sqrt => f(UnaryFn::Sqrt, x),
            UnaryKind::Exp => f(UnaryFn::Exp, x),
            UnaryKind::Log => f(UnaryFn::Log, x),
            UnaryKind::Tanh => f(UnaryFn::Tanh, x),
            UnaryKind::Erf => f(UnaryFn::Erf, x),
            UnaryKind::Floor => f(UnaryFn::Floor, x),
            UnaryKind::Ceil => f(UnaryFn::Ceil, x),
            UnaryKind::Round => f(UnaryFn::Round, x),
            UnaryKind::Not => f(UnaryFn::Not, x),
            UnaryKind::Relu => {
                let zero = || Expr::literal(dtype, 0.0);
                Expr::compare(CompareFn::Lt, x.clone(), zero()).select(zero(), x)
            }
            UnaryKind::Sigmoid => Expr::f32(1.0) / (Expr::f32(1.0) + f(UnaryFn::Exp, f(UnaryFn::Neg, x))),
            UnaryKind::Softplus => {
                let decay = f(UnaryFn::Exp, f(UnaryFn::Neg, f(UnaryFn::Abs, x.clone())));
                x.max(Expr::f32(0.0)) + log_of_1_plus(decay)
            }
            UnaryKind::Softsign => x.clone() / (Expr::f32(1.0) + f(UnaryFn::Abs, x)),
            UnaryKind::HardSwish => {
                let gate = x.clone() * Expr::f32(1.0 / 6.0) + Expr::f32(0.5);
                x * gate.max(Expr::f32(0.0)).min(Expr::f32(1.0))
            }
            UnaryKind::Reciprocal => Expr::f32(1.0) / x,
        }
    }

    /// The function of an f32; what is not exact is computed in f64 and rounded once.
    fn of_f32(self, x: f32) -> f32 {
        let wide = |f: fn(f64) -> f64| f(f64::from(x)) as f32;
        match self {
            UnaryKind::Abs => x.abs(),
            UnaryKind::Neg => -x,
            UnaryKind::Sqrt => x.sqrt(),
            UnaryKind::Exp => wide(f64::exp),
            UnaryKind::Log => wide(f64::ln),
            UnaryKind::Relu if x < 0.0 => 0.0,
            UnaryKind::Relu => x,
            UnaryKind::Sigmoid => wide(|x| 1.0 / (1.0 + (-x).exp())),
            UnaryKind::Tanh => wide(f64::tanh),
            UnaryKind::Erf => wide(erf),
            UnaryKind::Softplus => wide(|x| if x > 40.0 { x } else { x.exp().ln_1p() }),
            UnaryKind::Softsign => wide(|x| x / (1.0 + x.abs())),
            UnaryKind::HardSwish => match x {
                x if x <= -3.0 => x * 0.0,
                x if x >= 3.0 => x,
                x => x * (x / 6.0 + 0.5),
            },
            UnaryKind::Floor => x.floor(),
            UnaryKind::Ceil => x.ceil(),
            UnaryKind::Round => x.round_ties_even(),
            UnaryKind::Reciprocal => 1.0 / x,
            UnaryKind::Not => f32::from(x == 0.0),
        }
    }
}

/// `log(1 + e)` for `e` from 0 to 1, also where most digits of `e` are lost in the sum `u`: `log(u) * (e / (u - 1))`
/// makes up for what rounding did to `u`.
fn log_of_1_plus(e: Expr) -> Expr {
    let one = || Expr::f32(1.0);
    let u = one() + e.clone();
    let log = Expr::unary(UnaryFn::Log, u.clone()) * (e.clone() / (u.clone() - one()));
    Expr::compare(CompareFn::Eq, u, one()).select(e, log)
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        match self.kind {
            UnaryKind::Abs => "Abs",
            UnaryKind::Neg => "Neg",
            UnaryKind::Sqrt => "Sqrt",
            UnaryKind::Exp => "Exp",
            UnaryKind::Log => "Log",
            UnaryKind::Relu => "Relu",
            UnaryKind::Sigmoid => "Sigmoid",
            UnaryKind::Tanh => "Tanh",
            UnaryKind::Erf => "Erf",
            UnaryKind::Softplus => "Softplus",
            UnaryKind::Softsign => "Softsign",
            UnaryKind::HardSwish => "HardSwish",
            UnaryKind::Floor => "Floor",
            UnaryKind::Ceil => "Ceil",
            UnaryKind::Round => "Round",
            UnaryKind::Reciprocal => "Reciprocal",
            UnaryKind::Not => "Not",
        }
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![args.typed(0, "X", self.kind.dtypes())?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "X", self.kind.dtypes())?;
        let index = vars(x.shape.rank());
        let body = |b| self.kind.formula(Expr::load(b, index), x.dtype);
        Ok(from_input(self.kind.name(), &x, x.ty(), |_, b| body(b)))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "X")?;
        let y = match (self.kind, x.dtype()) {
            (UnaryKind::Not, _) => map1(x, |v: bool| !v)?,
            (kind, DType::F32) => map1(x, |v| kind.of_f32(v))?,
            (UnaryKind::Abs, DType::I64) => map1(x, i64::wrapping_abs)?,
            (UnaryKind::Abs, DType::I32) => map1(x, i32::wrapping_abs)?,
            (UnaryKind::Neg, DType::I64) => map1(x, i64::wrapping_neg)?,
            (UnaryKind::Neg, DType::I32) => map1(x, i32::wrapping_neg)?,
            (UnaryKind::Relu, DType::I64) => map1(x, |v: i64| v.max(0))?,
            (UnaryKind::Relu, DType::I32) => map1(x, |v: i32| v.max(0))?,
            _ => x.clone(),
        };
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn floats() {
        use UnaryKind::*;
        let cases: &[(UnaryKind, f32, f32)] = &[
            (Abs, -2.5, 2.5),
            (Neg, 2.5, -2.5),
            (Sqrt, 9.0, 3.0),
            (Exp, 1.0, std::f32::consts::E),
            (Log, 1.0, 0.0),
            (Log, 0.0, f32::NEG_INFINITY),
            (Relu, -3.0, 0.0),
            (Relu, 3.0, 3.0),
            (Sigmoid, 0.0, 0.5),
            (Sigmoid, -200.0, 0.0),
            (Sigmoid, 200.0, 1.0),
            (Tanh, 0.0, 0.0),
            (Tanh, 50.0, 1.0),
            (Erf, 0.0, 0.0),
            (Softplus, 0.0, std::f32::consts::LN_2),
            (Softplus, 1000.0, 1000.0),
            (Softplus, -1000.0, 0.0),
            (Softsign, 3.0, 0.75),
            (HardSwish, -4.0, 0.0),
            (HardSwish, 1.5, 1.125),
            (HardSwish, 4.0, 4.0),
            (Floor, -0.5, -1.0),
            (Ceil, 0.5, 1.0),
            (Round, 2.5, 2.0),
            (Round, -1.5, -2.0),
            (Reciprocal, 4.0, 0.25),
        ];
        for &(kind, x, want) in cases {
            let y = run(&Unary { kind }, &[&t([1], &[x])]).unwrap().to_vec::<f32>().unwrap()[0];
            assert!(y == want || (y - want).abs() < 1e-6, "{kind}({x}) = {y}, expected {want}");
        }
    }

    #[test]
    fn nan_stays() {
        for &kind in UnaryKind::ALL.iter().filter(|k| **k != UnaryKind::Not) {
            let y = run(&Unary { kind }, &[&t([1], &[f32::NAN])]).unwrap().to_vec::<f32>().unwrap()[0];
            assert!(y.is_nan(), "{kind}");
        }
    }

    #[test]
    fn other_types() {
        let ints = t([3], &[-3i64, 0, i64::MIN]);
        let of = |kind| run(&Unary { kind }, &[&ints]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(of(UnaryKind::Abs), [3, 0, i64::MIN]);
        assert_eq!(of(UnaryKind::Neg), [3, 0, i64::MIN]);
        assert_eq!(of(UnaryKind::Relu), [0, 0, 0]);
        let not = run(&Unary { kind: UnaryKind::Not }, &[&t([2], &[true, false])]).unwrap();
        assert_eq!(not, t([2], &[false, true]));
        let empty = t::<f32>([2, 0], &[]);
        assert_eq!(run(&Unary { kind: UnaryKind::Exp }, &[&empty]), Ok(empty));
    }

    #[test]
    fn errors() {
        let message = error(&Unary { kind: UnaryKind::Exp }, &[&t([2], &[1i64, 2])]);
        assert_eq!(message, "input 0 (X): expected f32, found i64[2]");
        assert_eq!(error(&Unary { kind: UnaryKind::Abs }, &[]), "input 0 (X) is missing");
    }
}
