//! Product of matrices of bytes in 32-bit integers: ONNX `MatMulInteger-10`.
//!
//! ```text
//! Y[b.., m, n] = sum over k of (A[b.., m, k] - a_zero_point[m]) * (B[b.., k, n] - b_zero_point[n])
//! ```
//!
//! with the shapes of [`super::matmul`]; sums wrap.
//!
//! | input | type | shape |
//! |---|---|---|
//! | 0 `A` | u8, i8 | `[.., M, K]` or `[K]` |
//! | 1 `B` | u8, i8 | `[.., K, N]` or `[K]` |
//! | 2 `a_zero_point`, optional | that of A | one element, `[M]`, or `[.., M, 1]` |
//! | 3 `b_zero_point`, optional | that of B | one element, `[N]`, or `[.., 1, N]` |
//!
//! Output: i32. Errors: those of MatMul; zero points of another type or shape.

use super::matmul::{Problem, each_product};
use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::input;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::invalid;
use crate::operator::Operator;
use crate::quant::{BYTES, Operand, centered, less_zero_points};
use crate::shape::{Shape, TensorType};
use crate::tensor::{Tensor, filled};

/// ONNX operator MatMulInteger.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMulInteger {}

crate::attributes!(MatMulInteger {});

/// A parameter of an operand: its position, itself, and the shape by which it broadcasts.
#[derive(Clone)]
pub(super) struct Parameter<'a> {
    /// The position of the input.
    pub(super) i: usize,
    /// The argument.
    pub(super) arg: Arg<'a>,
    /// See [`Operand::parameter`].
    pub(super) aligned: Shape,
}

/// Input `i`, a parameter of type `dtype` of the matrix `of`.
///
/// # Errors
/// [`OpError::Invalid`] when it is omitted or another tensor.
pub(super) fn parameter<'a>(
    args: Args<'a>,
    (i, name): (usize, &str),
    dtype: DType,
    (operand, of): (Operand, &Shape),
) -> Result<Parameter<'a>, OpError> {
    let arg = args.typed(i, name, &[dtype])?;
    let aligned = operand.parameter(&format!("input {i} ({name})"), arg.shape, of)?;
    Ok(Parameter { i, arg, aligned })
}

/// A matrix less its zero points, as a stage in i32.
pub(super) fn centered_matrix(
    c: &mut Compute,
    name: &'static str,
    (i, arg): (usize, &Arg<'_>),
    zero: Option<&Parameter<'_>>,
    operand: Operand,
) -> crate::expr::BufId {
    let zero = zero.map(|z| (z.i, z.arg, operand.index(z.arg.shape.rank(), &z.aligned, arg.shape.rank())));
    centered(c, name, (i, arg), zero)
}

/// The sums of products of two matrices of integers, row-major.
///
/// # Errors
/// [`OpError::TooLarge`] when there is no memory for them.
pub(super) fn integer_product(p: &Problem, a: &[i64], b: &[i64]) -> Result<Vec<i32>, OpError> {
    let mut sums = filled(&p.dst().shape, 0i32)?;
    if !sums.is_empty() {
        each_product(p, |to, pairs| sums[to] = pairs.map(|(i, j)| a[i] * b[j]).sum::<i64>() as i32);
    }
    Ok(sums)
}

/// That parameters for rows and columns belong to matrices.
///
/// # Errors
/// [`OpError::Invalid`] when one of the operands has one axis.
pub(super) fn need_matrices(a: &Arg<'_>, b: &Arg<'_>, parameters: &[&Parameter<'_>]) -> Result<(), OpError> {
    match parameters.iter().find(|p| p.aligned.rank() > 0) {
        Some(p) if a.shape.rank() < 2 || b.shape.rank() < 2 => {
            invalid!("input {}: expected one element for operands of one axis, found {}", p.i, p.arg.ty())
        }
        _ => Ok(()),
    }
}

struct Arguments<'a> {
    a: Arg<'a>,
    b: Arg<'a>,
    a_zero: Option<Parameter<'a>>,
    b_zero: Option<Parameter<'a>>,
    problem: Problem,
}

impl MatMulInteger {
    fn arguments<'a>(&self, args: Args<'a>) -> Result<Arguments<'a>, OpError> {
        let a = args.typed(0, "A", BYTES)?;
        let b = args.typed(1, "B", BYTES)?;
        let problem = Problem::new(DType::I32, a.shape, b.shape)?;
        let rows = |_| parameter(args, (2, "a_zero_point"), a.dtype, (Operand::Rows, a.shape));
        let columns = |_| parameter(args, (3, "b_zero_point"), b.dtype, (Operand::Columns, b.shape));
        let a_zero = args.optional(2).map(rows).transpose()?;
        let b_zero = args.optional(3).map(columns).transpose()?;
        let parameters: Vec<_> = a_zero.iter().chain(&b_zero).collect();
        need_matrices(&a, &b, &parameters)?;
        Ok(Arguments { a, b, a_zero, b_zero, problem })
    }
}

impl Operator for MatMulInteger {
    fn name(&self) -> &'static str {
        "MatMulInteger"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.arguments(args)?.problem.dst()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let Arguments { a, b, a_zero, b_zero, problem } = self.arguments(args)?;
        let dst = problem.dst();
        if dst.shape.numel() == 0 || problem.k == 0 {
            return Ok(Compute::filled(dst, Scalar::I32(0)));
        }
        let mut c = Compute::new();
        let left = centered_matrix(&mut c, "a", (0, &a), a_zero.as_ref(), Operand::Rows);
        let right = centered_matrix(&mut c, "b", (1, &b), b_zero.as_ref(), Operand::Columns);
        let out = problem.stage(&mut c, (left, right), dst, Expr::Acc);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let known = known_args(inputs);
        let Arguments { a_zero, b_zero, problem, .. } = self.arguments(Args(&known))?;
        let values = |i: usize, name: &str, zero: Option<Parameter<'_>>| {
            let zero = match zero {
                None => None,
                Some(z) => Some((input(inputs, z.i, name)?, z.aligned)),
            };
            less_zero_points(input(inputs, i, name)?, zero)
        };
        let sums = integer_product(&problem, &values(0, "A", a_zero)?, &values(1, "B", b_zero)?)?;
        Ok(vec![Tensor::new(problem.dst().shape, &sums)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.arguments(args).map_or(0, |a| a.problem.macs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, run_all, t};

    #[test]
    fn hand_computed() {
        let a = t([4, 3], &[11u8, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0]);
        let b = t([3, 2], &[1u8, 4, 2, 5, 3, 6]);
        let y = run(&MatMulInteger {}, &[&a, &b, &t([1], &[12u8]), &t([1], &[0u8])]);
        assert_eq!(y, Ok(t([4, 2], &[-38i32, -83, -44, -98, -50, -113, -56, -128])));
        assert_eq!(
            run(&MatMulInteger {}, &[&t([2], &[-128i8, 127]), &t([2], &[255u8, 1])]),
            Ok(t([], &[-32513i32]))
        );
        let y = run(&MatMulInteger {}, &[&t::<u8>([2, 0], &[]), &t::<i8>([0, 1], &[])]);
        assert_eq!(y, Ok(t([2, 1], &[0i32; 2])));
    }

    #[test]
    fn zero_points_of_rows_and_columns() {
        let a = t([2, 2], &[1i8, 2, 3, 4]);
        let b = t([2, 3], &[1i8, 2, 3, 4, 5, 6]);
        let y = run(&MatMulInteger {}, &[&a, &b, &t([2], &[1i8, 3]), &t([3], &[0i8, 1, 2])]);
        assert_eq!(y, Ok(t([2, 3], &[4i32, 4, 4, 4, 4, 4])));
        let batch = t([2, 1, 2], &[1u8, 2, 3, 4]);
        let zeros = t([2, 1, 1], &[1u8, 3]);
        let columns = t([1, 3], &[0i8, 1, 2]);
        let y = run(&MatMulInteger {}, &[&batch, &b, &zeros, &columns]);
        assert_eq!(y, Ok(t([2, 1, 3], &[4i32, 4, 4, 4, 4, 4])));
        let y = run_all(&MatMulInteger {}, &[Some(&a), Some(&b), None, Some(&t([], &[1i8]))]);
        assert_eq!(y, Ok(vec![t([2, 3], &[6i32, 9, 12, 12, 19, 26])]));
    }

    #[test]
    fn errors() {
        let (a, b) = (t([2, 3], &[1u8; 6]), t([3, 2], &[1i8; 6]));
        let fail = |inputs: &[&Tensor]| error(&MatMulInteger {}, inputs);
        assert!(fail(&[&a, &a]).contains("inner elements"));
        assert!(fail(&[&a, &b, &t([], &[1i8])]).contains("expected u8"));
        assert!(fail(&[&a, &b, &t([3], &[1u8; 3])]).contains("one for each row of [2,3]"));
        assert!(fail(&[&a, &b, &t([], &[1u8]), &t([3], &[1i8; 3])]).contains("each column"));
        assert!(fail(&[&a, &t([3], &[1i8; 3]), &t([2], &[1u8; 2])]).contains("one axis"));
        assert!(fail(&[&t([2, 2], &[1i32; 4]), &b]).contains("expected u8 or i8"));
    }
}
