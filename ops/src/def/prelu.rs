//! ReLU with a learned slope below zero: `Y = X < 0 ? slope * X : X`.
//!
//! Inputs: X and slope of one type, a float or an integer of 32 or 64 bits (wrapping); slope is broadcast to X's shape, which Y has.
//!
//! Errors: other or different element types, a slope that does not broadcast to X.
//! Mirrors ONNX PRelu-7 to -16 and later.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map2};
use crate::error::OpError;
use crate::expr::{CompareFn, Expr};
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// ReLU with a learned slope below zero.
#[derive(Clone, Debug, PartialEq)]
pub struct PRelu {}

crate::attributes!(PRelu {});

const TAKEN: &[DType] = &[DType::F32, DType::F64, DType::I64, DType::I32, DType::U64, DType::U32];

fn arguments(args: Args<'_>) -> Result<(Arg<'_>, Arg<'_>), OpError> {
    let x = args.typed(0, "X", TAKEN)?;
    let slope = args.required(1, "slope")?;
    let fits = x.dtype == slope.dtype && x.shape.broadcast(slope.shape).is_ok_and(|s| s == *x.shape);
    if !fits {
        return invalid!("input 1 (slope): expected what broadcasts to {}, found {}", x.ty(), slope.ty());
    }
    Ok((x, slope))
}

impl Operator for PRelu {
    fn name(&self) -> &'static str {
        "PRelu"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.0.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (x, slope) = arguments(args)?;
        let mut c = Compute::new();
        let v = broadcast_load(&mut c, 0, &x, x.shape);
        let s = broadcast_load(&mut c, 1, &slope, x.shape);
        let negative = Expr::compare(CompareFn::Lt, v.clone(), Expr::literal(x.dtype, 0.0));
        let out = c.map("prelu", x.ty(), negative.select(s * v.clone(), v));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let (x, slope) = (input(inputs, 0, "X")?, input(inputs, 1, "slope")?);
        Ok(vec![match x.dtype() {
            // Nothing is below zero.
            DType::U64 | DType::U32 => x.clone(),
            DType::I64 => map2(x, slope, |v: i64, s: i64| if v < 0 { v.wrapping_mul(s) } else { v })?,
            DType::I32 => map2(x, slope, |v: i32, s: i32| if v < 0 { v.wrapping_mul(s) } else { v })?,
            DType::F64 => map2(x, slope, |v: f64, s: f64| if v < 0.0 { v * s } else { v })?,
            _ => map2(x, slope, |v: f32, s: f32| if v < 0.0 { v * s } else { v })?,
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn slope_per_channel() {
        let x = t([2, 2], &[-1.0f32, 2.0, -3.0, -4.0]);
        assert_eq!(
            run(&PRelu {}, &[&x, &t([2, 1], &[0.5f32, 2.0])]),
            Ok(t([2, 2], &[-0.5f32, 2.0, -6.0, -8.0]))
        );
        assert_eq!(run(&PRelu {}, &[&x, &t([], &[0.0f32])]), Ok(t([2, 2], &[-0.0f32, 2.0, -0.0, -0.0])));
        assert_eq!(run(&PRelu {}, &[&t([2], &[-3i64, 3]), &t([1], &[2i64])]), Ok(t([2], &[-6i64, 3])));
    }

    #[test]
    fn errors() {
        let x = t([2], &[-1.0f32, 2.0]);
        let expected = "input 1 (slope): expected what broadcasts to f32[2], found";
        assert_eq!(error(&PRelu {}, &[&x, &t([3], &[1.0f32; 3])]), format!("{expected} f32[3]"));
        assert_eq!(error(&PRelu {}, &[&x, &t([1, 2], &[1.0f32; 2])]), format!("{expected} f32[1,2]"));
        assert_eq!(error(&PRelu {}, &[&x, &t([2], &[1i64; 2])]), format!("{expected} i64[2]"));
    }
}
