//! Numbers to integers: `y = saturate(round(x / y_scale) + y_zero_point)`, halves rounded to even.
//!
//! | input | type | shape |
//! |---|---|---|
//! | 0 `x` | f32, i32 (as f32) | any |
//! | 1 `y_scale` | f32 | one element; or `[D]`, D the extent of `axis`; or that of x with the extent of `axis` divided by the block size, rounded up |
//! | 2 `y_zero_point`, optional | u8, i8, u16, i16 | that of `y_scale` |
//!
//! Output: the shape of x; the type of the zero point, else the attribute's, else u8. The quotient is rounded to f32,
//! or to the narrower float of `precision`. NaN becomes the integer 0.
//!
//! Errors: shapes that do not fit, a zero point whose type is not the attribute's. Mirrors ONNX QuantizeLinear-10 to
//! -25; 8-bit floats and integers of 4 and 2 bits are no element types.

use super::round_float::FloatFormat;
use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, tensor};
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar, UnaryFn, round_bf16, round_f16};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::quant::{Grain, quantize, quantized, whole};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Quantises numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizeLinear {
    /// The axis that scales belong to; negative counts from the end.
    pub axis: i64,
    /// Neighbours along `axis` that share a scale; 0 when scales are not by blocks.
    pub block_size: usize,
    /// The type of the result, where the zero point does not say it.
    pub output_dtype: Option<DType>,
    /// What the quotient is rounded to, when that is not f32.
    pub precision: Option<FloatFormat>,
}

crate::attributes!(QuantizeLinear { axis, block_size, output_dtype, precision });

/// What numbers are quantised to.
const RESULTS: &[DType] = &[DType::U8, DType::I8, DType::U16, DType::I16];

struct Arguments<'a> {
    x: Arg<'a>,
    scale: Arg<'a>,
    zero_point: Option<Arg<'a>>,
    grain: Grain,
    ty: TensorType,
}

impl QuantizeLinear {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.typed(0, "x", &[DType::F32, DType::I32])?;
        let scale = args.typed(1, "y_scale", &[DType::F32])?;
        let grain = Grain::resolve(x.shape, scale.shape, self.axis, self.block_size)?;
        let zero_point = match args.optional(2) {
            None => None,
            Some(_) => Some(args.typed(2, "y_zero_point", RESULTS)?),
        };
        if let Some(zero) = zero_point {
            super::dequantize_linear::same_parameters(2, &zero, &scale)?;
        }
        let dtype = match (zero_point.map(|z| z.dtype), self.output_dtype) {
            (Some(found), Some(expected)) if found != expected => {
                return invalid!(
                    "input 2 (y_zero_point): expected {expected}, the output's type, found {found}"
                );
            }
            (Some(dtype), _) | (None, Some(dtype)) => dtype,
            (None, None) => DType::U8,
        };
        if !RESULTS.contains(&dtype) {
            return invalid!("output_dtype: expected u8, i8, u16 or i16, found {dtype}");
        }
        Ok(Arguments { x, scale, zero_point, grain, ty: TensorType::new(dtype, x.shape.dims().to_vec()) })
    }
}

impl Operator for QuantizeLinear {
    fn name(&self) -> &'static str {
        "QuantizeLinear"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, scale, zero_point, grain, ty } = self.arguments(args)?;
        if ty.shape.numel() == 0 {
            let zero = Scalar::zero(ty.dtype);
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let rank = ty.shape.rank();
        let src = c.input(0, &x);
        let value = Expr::load(src, vars(rank));
        let value = if x.dtype == DType::F32 { value } else { value.cast(DType::F32) };
        let quotient = match grain.load(&mut c, 1, &scale, rank) {
            Expr::Const(Scalar::F32(1.0)) => value,
            scale => value / scale,
        };
        let quotient = match self.precision {
            None => quotient,
            Some(FloatFormat::F16) => Expr::unary(UnaryFn::RoundF16, quotient),
            Some(FloatFormat::BF16) => Expr::unary(UnaryFn::RoundBf16, quotient),
        };
        let zero = zero_point.map(|z| grain.load(&mut c, 2, &z, rank));
        let body = quantized(quotient, zero, ty.dtype);
        let out = c.map("quantize", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let Arguments { grain, ty, scale, .. } = self.arguments(Args(&known))?;
        let x = input(inputs, 0, "x")?;
        let values: Vec<f32> = match x.dtype() {
            DType::F32 => x.to_vec()?,
            _ => x.to_vec::<i32>()?.into_iter().map(|v| v as f32).collect(),
        };
        let scales: Vec<f32> = input(inputs, 1, "y_scale")?.to_vec()?;
        let zeros = inputs.get(2).copied().flatten().map(whole).transpose()?;
        let mut out = Vec::with_capacity(values.len());
        for (v, at) in values.into_iter().zip(ty.shape.indices()) {
            let parameter = grain.position(&at, scale.shape);
            let quotient = match self.precision {
                None => v / scales[parameter],
                Some(FloatFormat::F16) => round_f16(v / scales[parameter]),
                Some(FloatFormat::BF16) => round_bf16(v / scales[parameter]),
            };
            out.push(quantize(quotient, zeros.as_ref().map_or(0, |z| z[parameter]), ty.dtype));
        }
        Ok(vec![tensor(&ty, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};

    fn op() -> QuantizeLinear {
        QuantizeLinear { axis: 1, block_size: 0, output_dtype: None, precision: None }
    }

    #[test]
    fn rounds_and_saturates() {
        let x = t([6], &[0.0f32, 2.0, 3.0, 1000.0, -254.0, -1000.0]);
        let y = run(&op(), &[&x, &t([], &[2.0f32]), &t([], &[128u8])]);
        assert_eq!(y, Ok(t([6], &[128u8, 129, 130, 255, 1, 0])));
        let halves = t([4], &[0.5f32, 1.5, 2.5, -0.5]);
        assert_eq!(run(&op(), &[&halves, &t([1], &[1.0f32])]), Ok(t([4], &[0u8, 2, 2, 0])));
        let i16s = QuantizeLinear { output_dtype: Some(DType::I16), ..op() };
        assert_eq!(
            run(&i16s, &[&x, &t([], &[0.01f32])]),
            Ok(t([6], &[0i16, 200, 300, 32767, -25400, -32768]))
        );
        let ints = t([3], &[7i32, -7, 100_000]);
        assert_eq!(run(&op(), &[&ints, &t([], &[2.0f32]), &t([], &[1i8])]), Ok(t([3], &[5i8, -3, 127])));
        assert_eq!(run(&op(), &[&t::<f32>([0, 2], &[]), &t([], &[2.0f32])]), Ok(t::<u8>([0, 2], &[])));
    }

    #[test]
    fn per_axis_and_blocked() {
        let x = t([2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let y = run(&op(), &[&x, &t([3], &[1.0f32, 2.0, 3.0]), &t([3], &[0i8, -1, 1])]);
        assert_eq!(y, Ok(t([2, 3], &[1i8, 0, 2, 4, 1, 3])));
        let rows = QuantizeLinear { axis: -2, ..op() };
        assert_eq!(run(&rows, &[&x, &t([2], &[1.0f32, 0.5])]), Ok(t([2, 3], &[1u8, 2, 3, 8, 10, 12])));
        let blocked = QuantizeLinear { block_size: 2, ..op() };
        let scales = t([2, 2], &[1.0f32, 0.5, 0.25, 2.0]);
        assert_eq!(run(&blocked, &[&x, &scales]), Ok(t([2, 3], &[1u8, 2, 6, 16, 20, 3])));
        let zeros = t([2, 2], &[1u16, 2, 3, 4]);
        assert_eq!(run(&blocked, &[&x, &scales, &zeros]), Ok(t([2, 3], &[2u16, 3, 8, 19, 23, 7])));
    }

    #[test]
    fn quotients_of_narrower_floats() {
        let x = t([1], &[1025.0f32 / 2048.0]);
        let of = |precision| run(&QuantizeLinear { precision, ..op() }, &[&x, &t([], &[1.0f32])]);
        assert_eq!(of(None), Ok(t([1], &[1u8])));
        assert_eq!(of(Some(FloatFormat::BF16)), Ok(t([1], &[0u8])));
        let wide = t([1], &[0.50001f32]);
        let half = QuantizeLinear { precision: Some(FloatFormat::F16), ..op() };
        assert_eq!(run(&half, &[&wide, &t([], &[1.0f32])]), Ok(t([1], &[0u8])));
    }

    #[test]
    fn errors() {
        let (x, scale) = (t([2, 3], &[0.0f32; 6]), t([], &[1.0f32]));
        assert!(error(&op(), &[&x, &t([2], &[1.0f32; 2])]).contains("expected 3 elements for axis 1"));
        assert!(error(&op(), &[&x, &scale, &t([2], &[1u8; 2])]).contains("the scale is f32[]"));
        assert!(error(&op(), &[&x, &scale, &t([], &[1i32])]).contains("expected u8 or i8 or u16 or i16"));
        let i8s = QuantizeLinear { output_dtype: Some(DType::I8), ..op() };
        assert!(error(&i8s, &[&x, &scale, &t([], &[1u8])]).contains("expected i8"));
        let floats = QuantizeLinear { output_dtype: Some(DType::F32), ..op() };
        assert!(error(&floats, &[&x, &scale]).contains("found f32"));
        assert!(error(&op(), &[&t([1], &[1.0f64]), &scale]).contains("expected f32 or i32"));
        assert!(run_all(&op(), &[Some(&x), None]).is_err());
        let blocked = QuantizeLinear { block_size: 2, ..op() };
        assert!(error(&blocked, &[&t([], &[1.0f32]), &scale]).contains("axis"));
    }
}
