//! Functions of one tensor, element by element. The result has the input's type.
//!
//! | function | formula | element types | ONNX operator, first opset |
//! |---|---|---|---|
//! | abs | `abs(x)`, wrapping | numbers | Abs-6 |
//! | neg | `-x`, wrapping | numbers with a sign | Neg-6 |
//! | relu | `x < 0 ? 0 : x` (keeps NaN) | numbers with a sign | Relu-6 |
//! | sign | 1, 0 or -1 (keeps NaN) | numbers | Sign-9 |
//! | sqrt, exp, log, tanh, erf | as named | floats | Sqrt-6, Exp-6, Log-6, Tanh-6, Erf-9 |
//! | sin, cos, tan, asin, acos, atan | as named, of and in radians; sin, cos and tan to a unit of the last place up to 1e6 in magnitude, less beyond | floats | Sin-7, Cos-7, Tan-7, Asin-7, Acos-7, Atan-7 |
//! | sinh, cosh, asinh, acosh, atanh | as named | floats | Sinh-9, Cosh-9, Asinh-9, Acosh-9, Atanh-9 |
//! | sigmoid | `1 / (1 + exp(-x))` | floats | Sigmoid-6 |
//! | softplus | `log(1 + exp(x))`, as `max(x, 0) + log(1 + e)`, `e = exp(-abs(x))` | floats | Softplus-1 |
//! | softsign | `x / (1 + abs(x))` | floats | Softsign-1 |
//! | hard_swish | `x * max(0, min(1, x / 6 + 0.5))` | floats | HardSwish-14 |
//! | mish | `x * tanh(softplus(x))` | floats | Mish-18 |
//! | floor, ceil, round | as named; round: halves to even | floats | Floor-6, Ceil-6, Round-11 |
//! | reciprocal | `1 / x` | floats | Reciprocal-6 |
//! | not | logical | bool | Not-1 |
//! | bitwise_not | all bits inverted | integers | BitwiseNot-18 |
//!
//! Errors: an input of another element type.

mod formula;

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map_floats, map_ints, map1};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::{from_input, vars};
use crate::operator::Operator;
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
    /// ONNX `BitwiseNot`.
    BitwiseNot,
    /// ONNX `Sign`.
    Sign,
    /// ONNX `Mish`.
    Mish,
    /// ONNX `Sin`.
    Sin,
    /// ONNX `Cos`.
    Cos,
    /// ONNX `Tan`.
    Tan,
    /// ONNX `Asin`.
    Asin,
    /// ONNX `Acos`.
    Acos,
    /// ONNX `Atan`.
    Atan,
    /// ONNX `Sinh`.
    Sinh,
    /// ONNX `Cosh`.
    Cosh,
    /// ONNX `Asinh`.
    Asinh,
    /// ONNX `Acosh`.
    Acosh,
    /// ONNX `Atanh`.
    Atanh,
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
    BitwiseNot = "bitwise_not",
    Sign = "sign",
    Mish = "mish",
    Sin = "sin",
    Cos = "cos",
    Tan = "tan",
    Asin = "asin",
    Acos = "acos",
    Atan = "atan",
    Sinh = "sinh",
    Cosh = "cosh",
    Asinh = "asinh",
    Acosh = "acosh",
    Atanh = "atanh",
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
            UnaryKind::Abs | UnaryKind::Sign => DType::NUMBERS,
            UnaryKind::Neg | UnaryKind::Relu => DType::SIGNED,
            UnaryKind::Not => &[DType::Bool],
            UnaryKind::BitwiseNot => DType::INTEGERS,
            _ => DType::FLOATS,
        }
    }
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
            UnaryKind::BitwiseNot => "BitwiseNot",
            UnaryKind::Sign => "Sign",
            UnaryKind::Mish => "Mish",
            UnaryKind::Sin => "Sin",
            UnaryKind::Cos => "Cos",
            UnaryKind::Tan => "Tan",
            UnaryKind::Asin => "Asin",
            UnaryKind::Acos => "Acos",
            UnaryKind::Atan => "Atan",
            UnaryKind::Sinh => "Sinh",
            UnaryKind::Cosh => "Cosh",
            UnaryKind::Asinh => "Asinh",
            UnaryKind::Acosh => "Acosh",
            UnaryKind::Atanh => "Atanh",
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
        Ok(vec![match x.dtype() {
            DType::Bool => map1(x, |v: bool| !v)?,
            d if d.is_float() => map_floats(x, |v| self.kind.of_float(v))?,
            _ => map_ints(x, |v| self.kind.of_int(v))?,
        }])
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
            (Sign, -7.5, -1.0),
            (Sign, 0.0, 0.0),
            (Mish, 0.0, 0.0),
            (Mish, 1.0, 0.865_098_4),
            (Mish, -100.0, 0.0),
            (Mish, 100.0, 100.0),
            (Sin, 1.0, 0.841_471),
            (Cos, 1.0, 0.540_302_3),
            (Tan, 1.0, 1.557_407_7),
            (Asin, 1.0, std::f32::consts::FRAC_PI_2),
            (Acos, -1.0, std::f32::consts::PI),
            (Acos, 0.5, std::f32::consts::FRAC_PI_3),
            (Atan, -1.0, -std::f32::consts::FRAC_PI_4),
            (Sinh, 1.0, 1.175_201_2),
            (Cosh, -1.0, 1.543_080_6),
            (Asinh, -1.0, -0.881_373_6),
            (Acosh, 2.0, 1.316_958),
            (Atanh, 0.5, 0.549_306_1),
            (Atanh, 1.0, f32::INFINITY),
        ];
        for &(kind, x, want) in cases {
            let y = run(&Unary { kind }, &[&t([1], &[x])]).unwrap().to_vec::<f32>().unwrap()[0];
            assert!(y == want || (y - want).abs() < 1e-6, "{kind}({x}) = {y}, expected {want}");
        }
    }

    #[test]
    fn nan_stays() {
        for &kind in UnaryKind::ALL.iter().filter(|k| k.dtypes().contains(&DType::F32)) {
            let y = run(&Unary { kind }, &[&t([1], &[f32::NAN])]).unwrap().to_vec::<f32>().unwrap()[0];
            assert!(y.is_nan(), "{kind}");
        }
    }

    /// Where a formula in the type itself would lose digits: close to zero, and where squares leave the type.
    #[test]
    fn hyperbolic_functions_keep_their_digits() {
        use UnaryKind::*;
        let small = [(Sinh, 1e-9), (Asinh, 1e-9), (Atanh, 1e-9), (Asin, 1e-9)];
        let of = |kind, x: f64| {
            let y = Unary { kind }.compute(Args(&known_args(&[Some(&t([1], &[x]))]))).unwrap();
            y.evaluate(&[Some(&t([1], &[x]))]).unwrap()[0].to_vec::<f64>().unwrap()[0]
        };
        for (kind, x) in small {
            assert!((of(kind, x) - x).abs() < 1e-24, "{kind}");
        }
        for (kind, x) in [(Asinh, 1e200), (Acosh, 1e200), (Sinh, 705.0), (Cosh, -705.0), (Acosh, 1.0 + 1e-12)]
        {
            let (y, want) = (of(kind, x), kind.of_float(x));
            assert!(want.is_finite() && (y / want - 1.0).abs() < 1e-11, "{kind}({x}) = {y}, expected {want}");
        }
        assert!(of(Acosh, -2.0).is_nan() && of(Atanh, 2.0).is_nan() && of(Asin, 1.5).is_nan());
    }

    #[test]
    fn other_types() {
        let ints = t([3], &[-3i64, 0, i64::MIN]);
        let of = |kind| run(&Unary { kind }, &[&ints]).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(of(UnaryKind::Abs), [3, 0, i64::MIN]);
        assert_eq!(of(UnaryKind::Neg), [3, 0, i64::MIN]);
        assert_eq!(of(UnaryKind::Relu), [0, 0, 0]);
        assert_eq!(of(UnaryKind::Sign), [-1, 0, -1]);
        assert_eq!(of(UnaryKind::BitwiseNot), [2, -1, i64::MAX]);
        let bytes = run(&Unary { kind: UnaryKind::BitwiseNot }, &[&t([2], &[0u8, 200])]);
        assert_eq!(bytes, Ok(t([2], &[255u8, 55])));
        let not = run(&Unary { kind: UnaryKind::Not }, &[&t([2], &[true, false])]).unwrap();
        assert_eq!(not, t([2], &[false, true]));
        let empty = t::<f32>([2, 0], &[]);
        assert_eq!(run(&Unary { kind: UnaryKind::Exp }, &[&empty]), Ok(empty));
    }

    #[test]
    fn errors() {
        let message = error(&Unary { kind: UnaryKind::Exp }, &[&t([2], &[1i64, 2])]);
        assert_eq!(message, "input 0 (X): expected f32 or f64, found i64[2]");
        assert_eq!(error(&Unary { kind: UnaryKind::Abs }, &[]), "input 0 (X) is missing");
    }
}
