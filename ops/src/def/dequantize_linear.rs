//! Integers to numbers: `y = (x - x_zero_point) * x_scale`.
//!
//! | input | type | shape |
//! |---|---|---|
//! | 0 `x` | u8, i8, u16, i16, i32 | any |
//! | 1 `x_scale` | f32 | one element; or `[D]`, D the extent of `axis`; or that of x with the extent of `axis` divided by the block size, rounded up |
//! | 2 `x_zero_point`, optional | that of x | that of `x_scale` |
//!
//! Output: f32, the shape of x. The difference is taken in i32 and rounded to f32 once.
//!
//! Errors: shapes or types that do not fit. Mirrors ONNX DequantizeLinear-10 to -25; 8-bit floats and integers of 4 and 2
//! bits are no element types.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::index::vars;
use crate::invalid;
use crate::operator::Operator;
use crate::quant::{Grain, whole};
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Gives the numbers that integers stand for.
#[derive(Clone, Debug, PartialEq)]
pub struct DequantizeLinear {
    /// The axis that scales belong to; negative counts from the end.
    pub axis: i64,
    /// Neighbours along `axis` that share a scale; 0 when scales are not by blocks.
    pub block_size: usize,
}

crate::attributes!(DequantizeLinear { axis, block_size });

/// That a zero point, input `i`, has the shape of its scale, or both have one element.
///
/// # Errors
/// [`OpError::Invalid`] when not.
pub(super) fn same_parameters(i: usize, zero: &Arg<'_>, scale: &Arg<'_>) -> Result<(), OpError> {
    if zero.shape == scale.shape || (zero.shape.numel() == 1 && scale.shape.numel() == 1) {
        return Ok(());
    }
    invalid!("input {i} (zero point): the scale is {}, found {}", scale.ty(), zero.ty())
}

struct Arguments<'a> {
    x: Arg<'a>,
    scale: Arg<'a>,
    zero_point: Option<Arg<'a>>,
    grain: Grain,
    ty: TensorType,
}

impl DequantizeLinear {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let x = args.typed(0, "x", &[DType::U8, DType::I8, DType::U16, DType::I16, DType::I32])?;
        let scale = args.typed(1, "x_scale", &[DType::F32])?;
        let grain = Grain::resolve(x.shape, scale.shape, self.axis, self.block_size)?;
        let zero_point = match args.optional(2) {
            None => None,
            Some(_) => Some(args.typed(2, "x_zero_point", &[x.dtype])?),
        };
        if let Some(zero) = zero_point {
            same_parameters(2, &zero, &scale)?;
        }
        let ty = TensorType::new(DType::F32, x.shape.dims().to_vec());
        Ok(Arguments { x, scale, zero_point, grain, ty })
    }
}

impl Operator for DequantizeLinear {
    fn name(&self) -> &'static str {
        "DequantizeLinear"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { x, scale, zero_point, grain, ty } = self.arguments(args)?;
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty, Scalar::F32(0.0)));
        }
        let mut c = Compute::new();
        let rank = ty.shape.rank();
        let src = c.input(0, &x);
        let int = |e: Expr| match e {
            Expr::Const(s) => Expr::Const(s.cast(DType::I32)),
            e if x.dtype == DType::I32 => e,
            e => e.cast(DType::I32),
        };
        let q = int(Expr::load(src, vars(rank)));
        let zero = zero_point.map(|z| int(grain.load(&mut c, 2, &z, rank)));
        let difference = match zero {
            Some(z) if z != Expr::Const(Scalar::I32(0)) => q - z,
            _ => q,
        };
        let scale = grain.load(&mut c, 1, &scale, rank);
        let out = c.map("dequantize", ty, difference.cast(DType::F32) * scale);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let Arguments { grain, ty, scale, .. } = self.arguments(Args(&known))?;
        let values = whole(input(inputs, 0, "x")?)?;
        let scales: Vec<f32> = input(inputs, 1, "x_scale")?.to_vec()?;
        let zeros = inputs.get(2).copied().flatten().map(whole).transpose()?;
        let mut out = Vec::with_capacity(values.len());
        for (v, at) in values.into_iter().zip(ty.shape.indices()) {
            let parameter = grain.position(&at, scale.shape);
            let difference = (v - zeros.as_ref().map_or(0, |z| z[parameter])) as i32;
            out.push(difference as f32 * scales[parameter]);
        }
        Ok(vec![Tensor::new(ty.shape, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    fn op() -> DequantizeLinear {
        DequantizeLinear { axis: 1, block_size: 0 }
    }

    #[test]
    fn values() {
        let x = t([4], &[0u8, 3, 128, 255]);
        let y = run(&op(), &[&x, &t([], &[2.0f32]), &t([], &[128u8])]);
        assert_eq!(y, Ok(t([4], &[-256.0f32, -250.0, 0.0, 254.0])));
        let i32s = t([2], &[-7i32, 16_777_217]);
        assert_eq!(run(&op(), &[&i32s, &t([1], &[0.5f32])]), Ok(t([2], &[-3.5f32, 8_388_608.0])));
        assert_eq!(run(&op(), &[&t([1], &[-300i16]), &t([], &[2.0f32])]), Ok(t([1], &[-600.0f32])));
        assert_eq!(run(&op(), &[&t([], &[65535u16]), &t([], &[1.0f32])]), Ok(t([], &[65535.0f32])));
        assert_eq!(run(&op(), &[&t::<i8>([2, 0], &[]), &t([], &[2.0f32])]), Ok(t::<f32>([2, 0], &[])));
    }

    #[test]
    fn per_axis_and_blocked() {
        let x = t([2, 3], &[1i8, 2, 3, -4, -5, -6]);
        let y = run(&op(), &[&x, &t([3], &[1.0f32, 2.0, 3.0]), &t([3], &[0i8, -1, 1])]);
        assert_eq!(y, Ok(t([2, 3], &[1.0f32, 6.0, 6.0, -4.0, -8.0, -21.0])));
        let rows = DequantizeLinear { axis: 0, ..op() };
        let y = run(&rows, &[&x, &t([2], &[1.0f32, 0.5])]);
        assert_eq!(y, Ok(t([2, 3], &[1.0f32, 2.0, 3.0, -2.0, -2.5, -3.0])));
        let blocked = DequantizeLinear { block_size: 2, ..op() };
        let y = run(&blocked, &[&x, &t([2, 2], &[1.0f32, 0.5, 0.25, 2.0])]);
        assert_eq!(y, Ok(t([2, 3], &[1.0f32, 2.0, 1.5, -1.0, -1.25, -12.0])));
    }

    #[test]
    fn errors() {
        let (x, scale) = (t([2, 3], &[0u8; 6]), t([], &[1.0f32]));
        assert!(error(&op(), &[&x, &t([2], &[1.0f32; 2])]).contains("expected 3 elements for axis 1"));
        assert!(error(&op(), &[&x, &scale, &t([], &[1i8])]).contains("expected u8"));
        assert!(error(&op(), &[&x, &t([2, 3], &[1.0f32; 6])]).contains("one element or a list"));
        assert!(error(&op(), &[&t([1], &[1.0f32]), &scale]).contains("expected u8 or i8"));
        assert!(error(&DequantizeLinear { axis: 2, ..op() }, &[&x, &t([3], &[1.0f32; 3])]).contains("axis"));
    }
}
