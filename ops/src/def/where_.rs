//! Chooses element by element: `Y = condition ? A : B`, with numpy broadcasting of all three.
//!
//! Inputs: condition of bool, X and Y of one type of any kind; the result has that type.
//!
//! Errors: other element types, shapes that do not broadcast. Mirrors ONNX Where-9 to -16 and later.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{broadcast_walk, input, room};
use crate::error::OpError;
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Chooses element by element.
#[derive(Clone, Debug, PartialEq)]
pub struct Where {}

crate::attributes!(Where {});

/// The condition, the two choices, the type of the result.
fn arguments(args: Args<'_>) -> Result<([Arg<'_>; 3], TensorType), OpError> {
    let condition = args.typed(0, "condition", &[DType::Bool])?;
    let (x, y) = (args.required(1, "X")?, args.required(2, "Y")?);
    if x.dtype != y.dtype {
        return invalid!("inputs: expected X and Y of one element type, found {} and {}", x.ty(), y.ty());
    }
    let shape = condition.shape.broadcast(&x.shape.broadcast(y.shape)?)?;
    Ok(([condition, x, y], TensorType { dtype: x.dtype, shape }))
}

impl Operator for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.1])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ([condition, x, y], ty) = arguments(args)?;
        let mut c = Compute::new();
        let condition = broadcast_load(&mut c, 0, &condition, &ty.shape);
        let x = broadcast_load(&mut c, 1, &x, &ty.shape);
        let y = broadcast_load(&mut c, 2, &y, &ty.shape);
        let out = c.map("where", ty, condition.select(x, y));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let (condition, x, y) =
            (input(inputs, 0, "condition")?, input(inputs, 1, "X")?, input(inputs, 2, "Y")?);
        let at = |t: &Tensor| broadcast_walk(t.shape(), &ty.shape);
        let (chosen, size) = (condition.to_vec::<bool>()?, ty.dtype.size());
        let (of_x, of_y) = (x.bytes(), y.bytes());
        let mut bytes: Vec<u8> = room(ty.bytes())?;
        for ((c, x), y) in at(condition)?.zip(at(x)?).zip(at(y)?) {
            let (from, at) = if chosen[c] { (of_x, x) } else { (of_y, y) };
            bytes.extend_from_slice(&from[at * size..(at + 1) * size]);
        }
        Ok(vec![Tensor::from_bytes(ty, bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn chooses() {
        let condition = t([2, 1], &[true, false]);
        let (x, y) = (t([3], &[1i64, 2, 3]), t([], &[0i64]));
        assert_eq!(run(&Where {}, &[&condition, &x, &y]), Ok(t([2, 3], &[1i64, 2, 3, 0, 0, 0])));
        assert_eq!(run(&Where {}, &[&t([], &[false]), &y, &x]), Ok(x.clone()));
        assert_eq!(run(&Where {}, &[&t::<bool>([0], &[]), &y, &y]), Ok(t::<i64>([0], &[])));
        let nan = run(&Where {}, &[&t([], &[false]), &t([1], &[f32::NAN]), &t([1], &[2.0f32])]);
        assert_eq!(nan, Ok(t([1], &[2.0f32])));
    }

    #[test]
    fn errors() {
        let (yes, x) = (t([1], &[true]), t([2], &[1i64, 2]));
        assert!(error(&Where {}, &[&x, &x, &x]).contains("expected bool"));
        assert!(error(&Where {}, &[&yes, &x, &t([2], &[1.0f32; 2])]).contains("found i64[2] and f32[2]"));
        assert!(error(&Where {}, &[&t([3], &[true; 3]), &x, &x]).contains("do not broadcast"));
    }
}
