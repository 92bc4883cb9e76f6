//! Which elements are no finite numbers: ONNX `IsNaN`, opsets 9 to 20, and `IsInf`, opsets 10 and 20.
//!
//! `Y = X is NaN`, or `Y = X is infinite with a sign that is looked for`. Input 0 (`X`): f32 or f64, any shape; the output
//! is bool.

use crate::arg::{Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{BinaryFn, CompareFn, Expr, Scalar};
use crate::index::{from_input, vars};
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Whether elements are NaN.
#[derive(Clone, Debug, PartialEq)]
pub struct IsNan {}

crate::attributes!(IsNan {});

/// Whether elements are infinite.
#[derive(Clone, Debug, PartialEq)]
pub struct IsInf {
    /// Whether `-inf` counts.
    pub detect_negative: bool,
    /// Whether `inf` counts.
    pub detect_positive: bool,
}

crate::attributes!(IsInf { detect_negative, detect_positive });

fn infer(args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
    let x = args.typed(0, "X", DType::FLOATS)?;
    Ok(vec![TensorType { dtype: DType::Bool, shape: x.shape.clone() }])
}

fn compute(name: &'static str, args: Args<'_>, of: impl Fn(Expr) -> Expr) -> Result<Compute, OpError> {
    let (x, ty) = (args.typed(0, "X", DType::FLOATS)?, infer(args)?.remove(0));
    Ok(from_input(name, &x, ty, |_, b| of(Expr::load(b, vars(x.shape.rank())))))
}

fn reference(inputs: &[Option<&Tensor>], of: impl Fn(f64) -> bool) -> Result<Vec<Tensor>, OpError> {
    infer(Args(&known_args(inputs)))?;
    let x = input(inputs, 0, "X")?;
    let all: Vec<bool> = x.to_f64s().into_iter().map(of).collect();
    Ok(vec![Tensor::new(x.shape().clone(), &all)?])
}

impl Operator for IsNan {
    fn name(&self) -> &'static str {
        "IsNaN"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        infer(args)
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        compute("is_nan", args, |v| Expr::compare(CompareFn::Ne, v.clone(), v))
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        reference(inputs, f64::is_nan)
    }
}

impl Operator for IsInf {
    fn name(&self) -> &'static str {
        "IsInf"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        infer(args)
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let dtype = args.typed(0, "X", DType::FLOATS)?.dtype;
        let infinities = [(self.detect_negative, f64::NEG_INFINITY), (self.detect_positive, f64::INFINITY)];
        compute("is_inf", args, |v| {
            let wanted = infinities.iter().filter(|(wanted, _)| *wanted);
            wanted
                .map(|(_, inf)| Expr::compare(CompareFn::Eq, v.clone(), Expr::literal(dtype, *inf)))
                .reduce(|a, b| Expr::binary(BinaryFn::Or, a, b))
                .unwrap_or(Expr::Const(Scalar::Bool(false)))
        })
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let wanted = |x: f64| if x < 0.0 { self.detect_negative } else { self.detect_positive };
        reference(inputs, |x| x.is_infinite() && wanted(x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let x = t([4], &[1.0f32, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        assert_eq!(run(&IsNan {}, &[&x]), Ok(t([4], &[false, true, false, false])));
        for (detect_negative, detect_positive) in [(true, true), (true, false), (false, true), (false, false)]
        {
            let y = run(&IsInf { detect_negative, detect_positive }, &[&x]);
            assert_eq!(y, Ok(t([4], &[false, false, detect_positive, detect_negative])));
        }
        assert_eq!(run(&IsNan {}, &[&t([1], &[f64::NAN])]), Ok(t([1], &[true])));
        assert!(error(&IsNan {}, &[&t([1], &[1i64])]).contains("f32 or f64"));
    }
}
