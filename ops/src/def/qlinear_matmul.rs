//! Product of matrices of quantised numbers: ONNX `QLinearMatMul`, opsets 10 and 21.
//!
//! ```text
//! sum[.., m, n] = sum over k of (a[.., m, k] - a_zero_point[m]) * (b[.., k, n] - b_zero_point[n])
//! y = saturate(round(sum * (a_scale[m] * b_scale[n] / y_scale)) + y_zero_point)
//! ```
//!
//! The sum is that of [`super::matmul_integer`], in i32; the factor and what it multiplies are f32, halves are rounded to
//! even.
//!
//! | input | type | shape |
//! |---|---|---|
//! | 0 `a` | u8, i8 | `[.., M, K]` or `[K]` |
//! | 1 `a_scale`, 2 `a_zero_point` | f32, that of a | one element, `[M]`, or `[.., M, 1]` |
//! | 3 `b` | u8, i8 | `[.., K, N]` or `[K]` |
//! | 4 `b_scale`, 5 `b_zero_point` | f32, that of b | one element, `[N]`, or `[.., 1, N]` |
//! | 6 `y_scale`, 7 `y_zero_point` | f32; u8, i8 | one element |
//!
//! Output: of the type of `y_zero_point`. Errors: those of MatMul; parameters of another type or shape.

use super::matmul::Problem;
use super::matmul_integer::{Parameter, centered_matrix, integer_product, need_matrices, parameter};
use crate::arg::{Arg, Args, known_args};
use crate::compute::{Compute, tensor};
use crate::dtype::DType;
use crate::elements::{broadcast_positions, input};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::operator::Operator;
use crate::quant::{BYTES, Operand, factor, less_zero_points, one, quantize, quantized, single, whole};
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// ONNX operator QLinearMatMul.
#[derive(Clone, Debug, PartialEq)]
pub struct QLinearMatMul {}

crate::attributes!(QLinearMatMul {});

struct Arguments<'a> {
    a: Arg<'a>,
    a_scale: Parameter<'a>,
    a_zero: Parameter<'a>,
    b: Arg<'a>,
    b_scale: Parameter<'a>,
    b_zero: Parameter<'a>,
    y_scale: Arg<'a>,
    y_zero: Arg<'a>,
    problem: Problem,
}

impl Arguments<'_> {
    fn ty(&self) -> TensorType {
        TensorType { dtype: self.y_zero.dtype, ..self.problem.dst() }
    }
}

impl QLinearMatMul {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let a = args.typed(0, "a", BYTES)?;
        let b = args.typed(3, "b", BYTES)?;
        let problem = Problem::new(DType::I32, a.shape, b.shape)?;
        let (rows, columns) = ((Operand::Rows, a.shape), (Operand::Columns, b.shape));
        let a_scale = parameter(args, (1, "a_scale"), DType::F32, rows)?;
        let a_zero = parameter(args, (2, "a_zero_point"), a.dtype, rows)?;
        let b_scale = parameter(args, (4, "b_scale"), DType::F32, columns)?;
        let b_zero = parameter(args, (5, "b_zero_point"), b.dtype, columns)?;
        need_matrices(&a, &b, &[&a_scale, &a_zero, &b_scale, &b_zero])?;
        let y_scale = one(args, 6, "y_scale", &[DType::F32])?;
        let y_zero = one(args, 7, "y_zero_point", BYTES)?;
        Ok(Arguments { a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero, problem })
    }
}

impl Operator for QLinearMatMul {
    fn name(&self) -> &'static str {
        "QLinearMatMul"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.ty()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.arguments(args)?;
        let dst = p.ty();
        if dst.shape.numel() == 0 {
            let zero = Scalar::zero(dst.dtype);
            return Ok(Compute::filled(dst, zero));
        }
        let (to, rank) = (dst.dtype, dst.shape.rank());
        let mut c = Compute::new();
        let mut scale = |s: &Parameter<'_>, of: Operand| of.load(&mut c, s.i, &s.arg, &s.aligned, rank);
        let a_scale = scale(&p.a_scale, Operand::Rows);
        let b_scale = scale(&p.b_scale, Operand::Columns);
        let y_scale = single(&mut c, 6, &p.y_scale);
        let y_zero = single(&mut c, 7, &p.y_zero);
        let factor = factor(a_scale, b_scale, y_scale);
        let finish = |sum: Expr| quantized(sum.cast(DType::F32) * factor, Some(y_zero), to);
        let out = if p.problem.k == 0 {
            c.map("matmul", dst, finish(Expr::Const(Scalar::I32(0))))
        } else {
            let left = centered_matrix(&mut c, "a", (0, &p.a), Some(&p.a_zero), Operand::Rows);
            let right = centered_matrix(&mut c, "b", (3, &p.b), Some(&p.b_zero), Operand::Columns);
            p.problem.stage(&mut c, (left, right), dst, finish(Expr::Acc))
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let p = self.arguments(Args(&known))?;
        let dst = p.ty();
        let values = |i: usize, zero: &Parameter<'_>| {
            let zero_point = input(inputs, zero.i, "zero point")?;
            less_zero_points(input(inputs, i, "matrix")?, Some((zero_point, zero.aligned.clone())))
        };
        let sums = integer_product(&p.problem, &values(0, &p.a_zero)?, &values(3, &p.b_zero)?)?;
        let scales = |scale: &Parameter<'_>, to: &Shape| {
            let values: Vec<f32> = input(inputs, scale.i, "scale")?.to_vec()?;
            let at = broadcast_positions(&scale.aligned, to)?;
            Ok::<_, OpError>(at.into_iter().map(|i| values[i]).collect::<Vec<f32>>())
        };
        let (a_scale, b_scale) = (scales(&p.a_scale, &dst.shape)?, scales(&p.b_scale, &dst.shape)?);
        let y_scale: Vec<f32> = input(inputs, 6, "y_scale")?.to_vec()?;
        let y_zero = whole(input(inputs, 7, "y_zero_point")?)?;
        let each = |(sum, (a, b)): (i32, (f32, f32))| {
            quantize(sum as f32 * (a * b / y_scale[0]), y_zero[0], dst.dtype)
        };
        let out: Vec<Scalar> = sums.into_iter().zip(a_scale.into_iter().zip(b_scale)).map(each).collect();
        Ok(vec![tensor(&dst, &out)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.arguments(args).map_or(0, |p| p.problem.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let a = t([2, 2], &[1u8, 2, 3, 255]);
        let b = t([2, 1], &[4i8, -3]);
        let one = t([], &[1.0f32]);
        let half = t([1], &[0.5f32]);
        let (zero, minus) = (t([], &[1u8]), t([], &[-1i8]));
        // [0 1; 2 254] * [5; -2] = [-2; -498], halved.
        let y = run(&QLinearMatMul {}, &[&a, &half, &zero, &b, &one, &minus, &one, &t([], &[5i8])]);
        assert_eq!(y, Ok(t([2, 1], &[4i8, -128])));
        let rows = t([2], &[2.0f32, 0.25]);
        let zeros = t([2, 1], &[0u8, 255]);
        // [1 2; -252 0] * [5; -2] = [1; -1260], times [2; 0.25].
        let y = run(&QLinearMatMul {}, &[&a, &rows, &zeros, &b, &one, &minus, &half, &t([], &[200u8])]);
        assert_eq!(y, Ok(t([2, 1], &[204u8, 0])));
        let none = (t::<u8>([1, 0], &[]), t::<i8>([0, 2], &[]));
        let columns = t([2], &[1.0f32, 2.0]);
        let y = run(&QLinearMatMul {}, &[&none.0, &one, &zero, &none.1, &columns, &minus, &one, &zero]);
        assert_eq!(y, Ok(t([1, 2], &[1u8, 1])));
    }

    #[test]
    fn errors() {
        let (a, b) = (t([2, 3], &[1u8; 6]), t([3, 4], &[1i8; 12]));
        let (one, u8s, i8s) = (t([], &[1.0f32]), t([], &[1u8]), t([], &[1i8]));
        let fail = |i: usize, other: &Tensor| {
            let mut all = [&a, &one, &u8s, &b, &one, &i8s, &one, &u8s];
            all[i] = other;
            error(&QLinearMatMul {}, &all)
        };
        assert!(fail(0, &t([2, 3], &[1i32; 6])).contains("expected u8 or i8"));
        assert!(
            fail(1, &t([3], &[1.0f32; 3]))
                .contains("input 1 (a_scale): expected one element or one for each row")
        );
        assert!(fail(4, &t([3], &[1.0f32; 3])).contains("each column"));
        assert!(fail(5, &u8s).contains("expected i8"));
        assert!(fail(6, &t([4], &[1.0f32; 4])).contains("expected one element"));
        assert!(fail(7, &t([], &[1i32])).contains("expected u8 or i8"));
        assert!(fail(3, &t([2, 2], &[1i8; 4])).contains("inner elements"));
    }
}
