//! Matrix product with broadcasting: ONNX `MatMul`, opsets 1 to 13, which is `numpy.matmul`.
//!
//! ```text
//! dst[b.., m, n] = sum over k of A[b.., m, k] * B[b.., k, n]
//! ```
//!
//! Inputs 0 (`A`) and 1 (`B`), of one type of numbers (integers wrap). Their leading axes broadcast. A one-axis
//! `A` is a row and a one-axis `B` a column, and that axis is missing from the output. Errors: scalars, inner extents
//! that differ, leading axes that do not broadcast.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn, scalars, tensor};
use crate::elements::floats;
use crate::expr::{BufId, Expr, Scalar};
use crate::index::broadcast_index;
use crate::invalid;
use crate::tensor::filled;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};

/// ONNX operator MatMul.
#[derive(Clone, Debug, PartialEq)]
pub struct MatMul {}

crate::attributes!(MatMul {});

/// A product whose arguments are known to fit.
pub(crate) struct Problem {
    dtype: DType,
    /// The leading axes of A, B and the output.
    batch: [Shape; 3],
    /// Rows; none when A has one axis.
    m: Option<usize>,
    pub(crate) k: usize,
    /// Columns; none when B has one axis.
    n: Option<usize>,
}

impl Problem {
    /// The product of matrices of these shapes and of this element type.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when they do not fit each other.
    pub(crate) fn new(dtype: DType, a: &Shape, b: &Shape) -> Result<Problem, OpError> {
        let (batch_a, m, ka) = match a.dims() {
            [] => return invalid!("input 0 (A): expected a matrix or a row, found a scalar"),
            [k] => (&[][..], None, *k),
            [batch @ .., m, k] => (batch, Some(*m), *k),
        };
        let (batch_b, kb, n) = match b.dims() {
            [] => return invalid!("input 1 (B): expected a matrix or a column, found a scalar"),
            [k] => (&[][..], *k, None),
            [batch @ .., k, n] => (batch, *k, Some(*n)),
        };
        if ka != kb {
            return invalid!("A {a} has {ka} inner elements, B {b} has {kb}");
        }
        let (batch_a, batch_b) = (Shape::new(batch_a), Shape::new(batch_b));
        let batch = batch_a.broadcast(&batch_b)?;
        Ok(Problem { dtype, batch: [batch_a, batch_b, batch], m, k: ka, n })
    }

    pub(crate) fn dst(&self) -> TensorType {
        let mut dims = self.batch[2].dims().to_vec();
        dims.extend(self.m);
        dims.extend(self.n);
        TensorType::new(self.dtype, dims)
    }

    /// Multiply-accumulates.
    pub(crate) fn macs(&self) -> u64 {
        (self.dst().shape.numel() as u64).saturating_mul(self.k as u64)
    }

    /// Stage `matmul` for operands that are not empty: `finish(sum over k of A * B)` as a tensor of type `dst`.
    pub(crate) fn stage(
        &self,
        c: &mut Compute,
        (a, b): (BufId, BufId),
        dst: TensorType,
        finish: Expr,
    ) -> BufId {
        let [batch_a, batch_b, batch] = &self.batch;
        let row = batch.rank();
        let column = row + usize::from(self.m.is_some());
        let k = Expr::var(dst.shape.rank());
        let mut a_index = broadcast_index(batch_a, row);
        a_index.extend(self.m.map(|_| Expr::var(row)));
        a_index.push(k.clone());
        let mut b_index = broadcast_index(batch_b, row);
        b_index.push(k);
        b_index.extend(self.n.map(|_| Expr::var(column)));
        let init = Expr::Const(Scalar::zero(self.dtype));
        let reduce = Reduce { extents: vec![self.k], combine: ReduceFn::Sum, init, finish };
        c.sum_products("matmul", dst, reduce, Expr::load(a, a_index) * Expr::load(b, b_index))
    }
}

impl MatMul {
    fn problem(&self, args: Args<'_>) -> Result<Problem, OpError> {
        let a = args.typed(0, "A", DType::NUMBERS)?;
        let b = args.typed(1, "B", &[a.dtype])?;
        Problem::new(a.dtype, a.shape, b.shape)
    }

    /// The definition, in a computation that has nothing yet.
    ///
    /// # Errors
    /// As [`Operator::compute`].
    pub fn define(&self, args: Args<'_>, mut c: Compute) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let dst = p.dst();
        let zero = Scalar::zero(dst.dtype);
        if dst.shape.numel() == 0 || p.k == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let a = c.input(0, &args.required(0, "A")?);
        let b = c.input(1, &args.required(1, "B")?);
        let out = p.stage(&mut c, (a, b), dst, Expr::Acc);
        c.output(out);
        Ok(c)
    }
}

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        self.define(args, Compute::new())
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        if p.dst().shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(p.dst(), Vec::new())?]);
        }
        let (a, b) = (args.known(0, "A")?, args.known(1, "B")?);
        if p.dtype.is_float() {
            let (a, b) = (a.to_f64s(), b.to_f64s());
            let mut dst = filled(&p.dst().shape, 0.0)?;
            each_product(&p, |to, pairs| dst[to] = pairs.map(|(i, j)| a[i] * b[j]).sum());
            return Ok(vec![floats(p.dst(), dst)?]);
        }
        let (a, b) = (integers(a)?, integers(b)?);
        let mut dst = filled(&p.dst().shape, 0i64)?;
        each_product(&p, |to, pairs| {
            dst[to] = pairs.fold(0, |s: i64, (i, j)| s.wrapping_add(a[i].wrapping_mul(b[j])));
        });
        let dst: Vec<Scalar> = dst.into_iter().map(|v| Scalar::I64(v).cast(p.dtype)).collect();
        Ok(vec![tensor(&p.dst(), &dst)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args).map_or(0, |p| p.macs())
    }
}

/// The elements of a tensor of integers of any type, wrapped: what sums of products of all of them are computed in.
pub(super) fn integers(t: &Tensor) -> Result<Vec<i64>, OpError> {
    Ok(scalars(t)?.into_iter().filter_map(Scalar::int).map(|v| v as i64).collect())
}

/// Calls `f` for every element of the output with its place and the places in A and B of the pairs it sums.
pub(crate) fn each_product(p: &Problem, mut f: impl FnMut(usize, &mut dyn Iterator<Item = (usize, usize)>)) {
    let [batch_a, batch_b, batch] = &p.batch;
    let (m, k, n) = (p.m.unwrap_or(1), p.k, p.n.unwrap_or(1));
    let flat = |operand: &Shape, at: &[usize]| {
        let at = &at[at.len() - operand.rank()..];
        operand.iter().zip(at).fold(0, |flat, (&d, &i)| flat * d + if d == 1 { 0 } else { i })
    };
    for (product, at) in batch.indices().enumerate() {
        let a = flat(batch_a, &at) * m * k;
        let b = flat(batch_b, &at) * k * n;
        for (row, column) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let mut pairs = (0..k).map(|r| (a + row * k + r, b + r * n + column));
            f((product * m + row) * n + column, &mut pairs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(a: (&[usize], &[f32]), b: (&[usize], &[f32])) -> Result<(Vec<usize>, Vec<f32>), OpError> {
        let a = Tensor::new(a.0.to_vec(), a.1)?;
        let b = Tensor::new(b.0.to_vec(), b.1)?;
        let y = MatMul {}.reference(&[Some(&a), Some(&b)])?.remove(0);
        Ok((y.shape().dims().to_vec(), y.to_vec()?))
    }

    #[test]
    fn hand_computed() {
        let square: (&[usize], &[f32]) = (&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let line: (&[usize], &[f32]) = (&[2], &[10.0, 1.0]);
        assert_eq!(run(square, square).unwrap(), (vec![2, 2], vec![7.0, 10.0, 15.0, 22.0]));
        assert_eq!(run(square, line).unwrap(), (vec![2], vec![12.0, 34.0]));
        assert_eq!(run(line, square).unwrap(), (vec![2], vec![13.0, 24.0]));
        assert_eq!(run(line, line).unwrap(), (vec![], vec![101.0]));
        let batch: (&[usize], &[f32]) = (&[2, 1, 1, 2], &[1.0, 0.0, 0.0, 1.0]);
        let y = (vec![2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(run(batch, square).unwrap(), y);
        assert_eq!(run((&[1, 0], &[]), (&[0, 1], &[])).unwrap(), (vec![1, 1], vec![0.0]));
    }

    #[test]
    fn integers_wrap() {
        let t = Tensor::new([2], &[i32::MAX, 1]).unwrap();
        let y = MatMul {}.reference(&[Some(&t), Some(&t)]).unwrap();
        assert_eq!(y[0].to_vec::<i32>().unwrap(), [2]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |a: &[usize], b: &[usize]| {
            let data = [0.0; 64];
            let t = |s: &[usize]| s.iter().product::<usize>();
            run((a, &data[..t(a)]), (b, &data[..t(b)])).unwrap_err().to_string()
        };
        assert_eq!(fail(&[2, 3], &[4, 2]), "A [2,3] has 3 inner elements, B [4,2] has 4");
        assert!(fail(&[], &[2]).contains("scalar"));
        assert!(fail(&[2, 1, 2], &[3, 2, 1]).contains("do not broadcast"));
    }
}
