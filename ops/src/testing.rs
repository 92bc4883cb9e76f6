//! Shorthands for the unit tests of the operators.

use crate::arg::{Arg, Args, known_args};
use crate::error::OpError;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::{Element, Tensor};

/// A tensor.
pub fn t<T: Element>(shape: impl Into<Shape>, elements: &[T]) -> Tensor {
    Tensor::new(shape, elements).unwrap()
}

/// The outputs by `reference`; `infer` and the definition must agree, to 1e-6 of the larger of 1 and the value.
pub fn run_all(op: &dyn Operator, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
    let known = known_args(inputs);
    let types = op.infer(Args(&known));
    let want = match op.reference(inputs) {
        Ok(want) => want,
        Err(e) => {
            assert_eq!(types, Err(e.clone()), "{}: infer and reference disagree", op.name());
            return Err(e);
        }
    };
    let found: Vec<TensorType> = want.iter().map(|t| t.ty().clone()).collect();
    assert_eq!(types, Ok(found), "{}: types", op.name());
    let by_definition = op.compute(Args(&known)).and_then(|c| c.evaluate(inputs));
    for (a, b) in by_definition.unwrap().iter().zip(&want) {
        for (x, y) in a.to_f64s().into_iter().zip(b.to_f64s()) {
            let same = x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-6 * y.abs().max(1.0);
            assert!(same, "{}: definition {a:?}, reference {b:?}", op.name());
        }
    }
    Ok(want)
}

/// The only output of an operator all of whose inputs are given; see [`run_all`].
pub fn run(op: &dyn Operator, inputs: &[&Tensor]) -> Result<Tensor, OpError> {
    let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
    run_all(op, &inputs).map(|mut all| all.remove(0))
}

/// The error for these inputs.
pub fn error(op: &dyn Operator, inputs: &[&Tensor]) -> String {
    run(op, inputs).expect_err("an error is expected").to_string()
}

/// What `infer` says of arguments of these types whose values are not known.
pub fn infer_unknown(op: &dyn Operator, types: &[TensorType]) -> Result<Vec<TensorType>, OpError> {
    let args: Vec<_> =
        types.iter().map(|ty| Some(Arg { dtype: ty.dtype, shape: &ty.shape, value: None })).collect();
    op.infer(Args(&args))
}
