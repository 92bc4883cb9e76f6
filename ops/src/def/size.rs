//! The number of elements of a tensor as an i64 scalar. Input 0 (`data`): any type and shape. Mirrors ONNX Size-1 and
//! later.

use crate::arg::Args;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::Expr;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// The number of elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Size {}

crate::attributes!(Size {});

impl Operator for Size {
    fn name(&self) -> &'static str {
        "Size"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        args.required(0, "data")?;
        Ok(vec![TensorType::new(DType::I64, [])])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let count = args.required(0, "data")?.shape.numel();
        let mut c = Compute::new();
        let out = c.map("size", TensorType::new(DType::I64, []), Expr::int(count));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let data = input(inputs, 0, "data")?;
        Ok(vec![Tensor::scalar(data.shape().iter().product::<usize>() as i64)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn counts() {
        assert_eq!(run(&Size {}, &[&t([2, 3], &[0u8; 6])]), Ok(t([], &[6i64])));
        assert_eq!(run(&Size {}, &[&t([], &[true])]), Ok(t([], &[1i64])));
        assert_eq!(run(&Size {}, &[&t::<f32>([0, 3], &[])]), Ok(t([], &[0i64])));
        assert_eq!(error(&Size {}, &[]), "input 0 (data) is missing");
    }
}
