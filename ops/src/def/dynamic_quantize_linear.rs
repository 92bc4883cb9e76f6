//! Numbers to bytes by their own range.
//!
//! ```text
//! low = min(0, min x), high = max(0, max x)
//! y_scale = (high - low) / 255                                   1 where high = low, as ONNX Runtime has it
//! y_zero_point = saturate(round(-low / y_scale))
//! y = saturate(round(x / y_scale) + y_zero_point)
//! ```
//!
//! Input 0 (`x`): f32, any shape. Outputs: `y` u8 of its shape, `y_scale` f32 and `y_zero_point` u8, both scalars. Halves
//! are rounded to even. Mirrors ONNX DynamicQuantizeLinear-11.

use crate::arg::{Args, known_args};
use crate::compute::{Compute, Reduce, ReduceFn, tensor};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{CompareFn, Expr, UnaryFn};
use crate::index::vars;
use crate::operator::Operator;
use crate::quant::{quantize, quantized};
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Quantises numbers by their range.
#[derive(Clone, Debug, PartialEq)]
pub struct DynamicQuantizeLinear {}

crate::attributes!(DynamicQuantizeLinear {});

fn scalar(dtype: DType) -> TensorType {
    TensorType::new(dtype, Shape::scalar())
}

impl Operator for DynamicQuantizeLinear {
    fn name(&self) -> &'static str {
        "DynamicQuantizeLinear"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let x = args.typed(0, "x", &[DType::F32])?;
        let y = TensorType::new(DType::U8, x.shape.dims().to_vec());
        Ok(vec![y, scalar(DType::F32), scalar(DType::U8)])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let x = args.typed(0, "x", &[DType::F32])?;
        let rank = x.shape.rank();
        let mut c = Compute::new();
        let zero = || Expr::f32(0.0);
        let (low, high) = if x.shape.numel() == 0 {
            (c.map("low", scalar(DType::F32), zero()), c.map("high", scalar(DType::F32), zero()))
        } else {
            let src = c.input(0, &x);
            let mut extreme = |name, combine| {
                let extents = x.shape.dims().to_vec();
                let reduce = Reduce { extents, combine, init: zero(), finish: Expr::Acc };
                c.reduce_blocked(name, scalar(DType::F32), reduce, Expr::load(src, vars(rank)))
            };
            (extreme("low", ReduceFn::Min), extreme("high", ReduceFn::Max))
        };
        let of = |b| Expr::load(b, []);
        let step = (of(high) - of(low)) / Expr::f32(255.0);
        let none = Expr::compare(CompareFn::Eq, of(high), of(low));
        let scale = c.map("scale", scalar(DType::F32), none.select(Expr::f32(1.0), step));
        let zero_point = quantized(Expr::unary(UnaryFn::Neg, of(low)) / of(scale), None, DType::U8);
        let zero_point = c.map("zero_point", scalar(DType::U8), zero_point);
        let body = if x.shape.numel() == 0 {
            Expr::literal(DType::U8, 0.0)
        } else {
            let src = c.input(0, &x);
            quantized(Expr::load(src, vars(rank)) / of(scale), Some(of(zero_point)), DType::U8)
        };
        let y = c.map("quantize", TensorType::new(DType::U8, x.shape.dims().to_vec()), body);
        for out in [y, scale, zero_point] {
            c.output(out);
        }
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let types = self.infer(Args(&known_args(inputs)))?;
        let x: Vec<f32> = input(inputs, 0, "x")?.to_vec()?;
        let (mut low, mut high) = (0.0f32, 0.0f32);
        for &v in &x {
            // NaN stays.
            if v < low || v.is_nan() {
                low = v;
            }
            if v > high || v.is_nan() {
                high = v;
            }
        }
        let scale = if low == high { 1.0 } else { (high - low) / 255.0 };
        let zero = quantize(-low / scale, 0, DType::U8);
        let zero_point = zero.int().unwrap_or(0) as i64;
        let y: Vec<_> = x.iter().map(|v| quantize(v / scale, zero_point, DType::U8)).collect();
        Ok(vec![tensor(&types[0], &y)?, Tensor::scalar(scale), tensor(&types[2], &[zero])?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run_all, t};

    #[test]
    fn ranges() {
        let of = |x: &Tensor| run_all(&DynamicQuantizeLinear {}, &[Some(x)]).unwrap();
        let y = of(&t([6], &[0.0f32, 2.0, -3.0, -2.5, 1.34, 0.5]));
        assert_eq!(y[0], t([6], &[153u8, 255, 0, 26, 221, 179]));
        assert_eq!(y[2], t([], &[153u8]));
        let y = of(&t([2, 1], &[-1.0f32, -255.0]));
        assert_eq!(y, [t([2, 1], &[254u8, 0]), t([], &[1.0f32]), t([], &[255u8])]);
        assert_eq!(of(&t([2], &[0.0f32; 2])), [t([2], &[0u8; 2]), t([], &[1.0f32]), t([], &[0u8])]);
        assert_eq!(of(&t::<f32>([0], &[])), [t::<u8>([0], &[]), t([], &[1.0f32]), t([], &[0u8])]);
        assert!(error(&DynamicQuantizeLinear {}, &[&t([1], &[1i32])]).contains("expected f32"));
    }
}
