//! One of two values, by a condition that is known before anything runs: `Y = condition ? A : B`, whole.
//!
//! Inputs: condition, one bool; then and else, of any types, which may differ. Which of them is taken decides what
//! follows, so the condition must be known when types are inferred, as the shape of a Reshape must:
//! [`specialize`](crate::graph::infer::specialize) puts the value that is taken in the place of the result and drops
//! the nodes that only the other one needs. These may be impossible: their errors count only where they are taken.
//!
//! Errors: a condition that is not one bool ([`OpError::Invalid`]) or is not known ([`OpError::DataDependent`]).
//! Mirrors one output of ONNX If-1 to -25, whose branches are nodes of the graph here.

use crate::arg::Args;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// One of two values.
#[derive(Clone, Debug, PartialEq)]
pub struct If {}

crate::attributes!(If {});

/// Position of the input that a condition chooses.
///
/// # Errors
/// [`OpError::Invalid`] when it is not one bool.
pub fn chosen(condition: &Tensor) -> Result<usize, OpError> {
    match condition.bytes() {
        [value] if condition.dtype() == DType::Bool => Ok(if *value != 0 { 1 } else { 2 }),
        _ => invalid!("input 0 (cond): expected one bool, found {}", condition.ty()),
    }
}

/// What the messages call the inputs.
const NAMES: [&str; 3] = ["cond", "then", "else"];

impl Operator for If {
    fn name(&self) -> &'static str {
        "If"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let taken = chosen(args.known(0, NAMES[0])?)?;
        Ok(vec![args.required(taken, NAMES[taken])?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let taken = chosen(args.known(0, NAMES[0])?)?;
        let x = args.required(taken, NAMES[taken])?;
        let mut c = Compute::new();
        let body = if x.shape.numel() == 0 {
            Expr::Const(Scalar::zero(x.dtype))
        } else {
            let b = c.input(taken, &x);
            Expr::load(b, vars(x.shape.rank()))
        };
        let out = c.map("copy", x.ty(), body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let taken = chosen(input(inputs, 0, NAMES[0])?)?;
        Ok(vec![input(inputs, taken, NAMES[taken])?.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, t};

    #[test]
    fn the_condition_chooses_among_values_of_any_types() {
        let (x, y) = (t([2], &[1.0f32, f32::NEG_INFINITY]), t([0, 3], &[] as &[i64]));
        assert_eq!(run(&If {}, &[&t([], &[true]), &x, &y]), Ok(x.clone()));
        assert_eq!(run(&If {}, &[&t([1, 1], &[false]), &x, &y]), Ok(y.clone()));
    }

    #[test]
    fn errors() {
        let x = t([2], &[1.0f32; 2]);
        assert_eq!(error(&If {}, &[]), "input 0 (cond) is missing");
        assert_eq!(error(&If {}, &[&t([], &[true])]), "input 1 (then) is missing");
        assert!(error(&If {}, &[&x, &x, &x]).contains("expected one bool, found f32[2]"));
        assert!(error(&If {}, &[&t([2], &[true; 2]), &x, &x]).contains("found bool[2]"));
        let unknown =
            infer_unknown(&If {}, &[TensorType::new(DType::Bool, []), x.ty().clone(), x.ty().clone()]);
        assert!(matches!(unknown, Err(OpError::DataDependent(_))));
    }
}
