//! General matrix product with bias: ONNX `Gemm`, opsets 7 to 13.
//!
//! ```text
//! dst[m, n] = alpha * (sum over k of A'[m, k] * B'[k, n]) + beta * C[m, n]
//! ```
//!
//! Inputs, of one type of numbers: 0 (`A`) `[M, K]`, or `[K, M]` with `trans_a`; 1 (`B`) `[K, N]`, or `[N, K]` with
//! `trans_b`; 2 (`C`), optional, broadcasts to `[M, N]` and is not read when `beta` is 0. Output: `[M, N]` of their type.
//! Integers wrap. Errors: inner extents that differ, a `C` that does not broadcast; `alpha` or `beta` with a fraction is
//! not supported for integers.

use crate::arg::known_args;
use crate::compute::{Compute, Reduce, ReduceFn, tensor};
use crate::def::matmul::integers;
use crate::elements::floats;
use crate::expr::{BufId, Expr, Scalar};
use crate::index::broadcast_index;
use crate::{Args, DType, OpError, Operator, Shape, Tensor, TensorType};
use crate::{invalid, unsupported};

/// ONNX operator Gemm.
#[derive(Clone, Debug, PartialEq)]
pub struct Gemm {
    /// Scale of the product.
    pub alpha: f32,
    /// Scale of the bias.
    pub beta: f32,
    /// Whether A is transposed.
    pub trans_a: bool,
    /// Whether B is transposed.
    pub trans_b: bool,
}

crate::attributes!(Gemm { alpha, beta, trans_a, trans_b });

/// Largest factor of integers: all whole numbers up to it are exact.
const LARGEST: f32 = 16_777_216.0;

/// A product whose arguments are known to fit.
struct Problem {
    dtype: DType,
    m: usize,
    n: usize,
    k: usize,
    /// The shape of `C`, when it is given and counts.
    bias: Option<Shape>,
}

impl Problem {
    fn dst(&self) -> TensorType {
        TensorType::new(self.dtype, [self.m, self.n])
    }
}

impl Gemm {
    fn problem(&self, args: Args<'_>) -> Result<Problem, OpError> {
        let dtype = args.required(0, "A")?.dtype;
        for (i, name) in ["A", "B", "C"].into_iter().enumerate().take(if args.len() > 2 { 3 } else { 2 }) {
            if args.optional(i).is_some() {
                args.typed(i, name, if i == 0 { DType::NUMBERS } else { std::slice::from_ref(&dtype) })?;
            }
        }
        if let Some((name, factor)) = [("alpha", self.alpha), ("beta", self.beta)]
            .into_iter()
            .find(|(_, v)| dtype.is_int() && (v.fract() != 0.0 || !v.is_finite() || v.abs() > LARGEST))
        {
            return unsupported!("{name} {factor} with inputs of {dtype}: expected a whole number");
        }
        let (a, b) = (args.required(0, "A")?.shape, args.required(1, "B")?.shape);
        let ([a0, a1], [b0, b1]) = (a.dims(), b.dims()) else {
            return invalid!("expected two matrices, found {a} and {b}");
        };
        let (m, ka) = if self.trans_a { (*a1, *a0) } else { (*a0, *a1) };
        let (kb, n) = if self.trans_b { (*b1, *b0) } else { (*b0, *b1) };
        if ka != kb {
            return invalid!("A {a} has {ka} inner elements, B {b} has {kb}");
        }
        let dst = Shape::from([m, n]);
        let bias = args.optional(2).map(|c| c.shape.clone());
        if let Some(c) = &bias
            && c.broadcast(&dst).ok().as_ref() != Some(&dst)
        {
            return invalid!("input 2 (C): expected a shape that broadcasts to {dst}, found {c}");
        }
        Ok(Problem { dtype, m, n, k: ka, bias: bias.filter(|_| self.beta != 0.0) })
    }
}

fn scaled(e: Expr, factor: f32, dtype: DType) -> Expr {
    if factor == 1.0 { e } else { e * factor_of(dtype, factor) }
}

impl Gemm {
    /// The elements of the result, by `add(s, x, y)`, which is `s + x * y`.
    fn product<T: Copy + Default>(
        &self,
        p: &Problem,
        a: &[T],
        b: &[T],
        bias: Option<&[T]>,
        (alpha, beta): (T, T),
        add: impl Fn(T, T, T) -> T,
    ) -> Vec<T> {
        let (rows, columns) = match p.bias.as_ref().map(|s| s.dims()) {
            Some([rows, columns]) => (*rows, *columns),
            Some([columns]) => (1, *columns),
            _ => (1, 1),
        };
        let mut dst = Vec::with_capacity(p.m * p.n);
        for (m, n) in (0..p.m).flat_map(|m| (0..p.n).map(move |n| (m, n))) {
            let sum = (0..p.k).fold(T::default(), |s, k| {
                let x = a[if self.trans_a { k * p.m + m } else { m * p.k + k }];
                add(s, x, b[if self.trans_b { n * p.k + k } else { k * p.n + n }])
            });
            let bias =
                bias.map_or(T::default(), |c| add(T::default(), beta, c[m % rows * columns + n % columns]));
            dst.push(add(bias, alpha, sum));
        }
        dst
    }
}

/// A factor as a literal; of integers it wraps as they do.
fn factor_of(dtype: DType, factor: f32) -> Expr {
    if dtype.is_float() {
        Expr::literal(dtype, factor.into())
    } else {
        Expr::Const(Scalar::I64(factor as i64).cast(dtype))
    }
}

impl Operator for Gemm {
    fn name(&self) -> &'static str {
        "Gemm"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.dst()])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let p = self.problem(args)?;
        let dst = p.dst();
        let zero = Scalar::zero(p.dtype);
        if dst.shape.numel() == 0 {
            return Ok(Compute::filled(dst, zero));
        }
        let mut c = Compute::new();
        let a = c.input(0, &args.required(0, "A")?);
        let b = c.input(1, &args.required(1, "B")?);
        let bias = match &p.bias {
            None => None,
            Some(shape) => {
                let buf = c.input(2, &args.required(2, "C")?);
                Some(scaled(Expr::load(buf, broadcast_index(shape, 2)), self.beta, p.dtype))
            }
        };
        let out = if p.k == 0 {
            c.map("gemm", dst, bias.unwrap_or(Expr::Const(zero)))
        } else {
            let load = |buf: BufId, row: Expr, column: Expr, transposed: bool| {
                Expr::load(buf, if transposed { [column, row] } else { [row, column] })
            };
            let (m, n, k) = (Expr::var(0), Expr::var(1), Expr::var(2));
            let body = load(a, m, k.clone(), self.trans_a) * load(b, k, n, self.trans_b);
            let product = scaled(Expr::Acc, self.alpha, p.dtype);
            let finish = match bias {
                Some(bias) => product + bias,
                None => product,
            };
            let reduce =
                Reduce { extents: vec![p.k], combine: ReduceFn::Sum, init: Expr::Const(zero), finish };
            c.sum_products("gemm", dst, reduce, body)
        };
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let args = Args(&args);
        let p = self.problem(args)?;
        if p.dst().shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(p.dst(), Vec::new())?]);
        }
        let (a, b) = (args.known(0, "A")?, args.known(1, "B")?);
        let bias = p.bias.as_ref().map(|_| args.known(2, "C")).transpose()?;
        if p.dtype.is_float() {
            let bias = bias.map(Tensor::to_f64s);
            let factors = (f64::from(self.alpha), f64::from(self.beta));
            let dst =
                self.product(&p, &a.to_f64s(), &b.to_f64s(), bias.as_deref(), factors, |s, x, y| s + x * y);
            return Ok(vec![floats(p.dst(), dst)?]);
        }
        let bias = bias.map(integers).transpose()?;
        let factors = (self.alpha as i64, self.beta as i64);
        let add = |s: i64, x: i64, y: i64| s.wrapping_add(x.wrapping_mul(y));
        let dst = self.product(&p, &integers(a)?, &integers(b)?, bias.as_deref(), factors, add);
        let dst: Vec<Scalar> = dst.into_iter().map(|v| Scalar::I64(v).cast(p.dtype)).collect();
        Ok(vec![tensor(&p.dst(), &dst)?])
    }

    fn macs(&self, args: Args<'_>) -> u64 {
        self.problem(args)
            .map_or(0, |p| [p.m, p.n, p.k].into_iter().fold(1u64, |a, b| a.saturating_mul(b as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Gemm = Gemm { alpha: 1.0, beta: 1.0, trans_a: false, trans_b: false };

    fn run(op: &Gemm, tensors: &[(&[usize], &[f32])]) -> Result<Vec<f32>, OpError> {
        let tensors: Vec<Tensor> = tensors.iter().map(|(s, v)| Tensor::new(s.to_vec(), v).unwrap()).collect();
        op.reference(&tensors.iter().map(Some).collect::<Vec<_>>())?[0].to_vec()
    }

    #[test]
    fn hand_computed() {
        let a: (&[usize], &[f32]) = (&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let b: (&[usize], &[f32]) = (&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(run(&PLAIN, &[a, b]).unwrap(), [4.0, 5.0, 10.0, 11.0]);
        let half = Gemm { alpha: 0.5, beta: 2.0, ..PLAIN };
        assert_eq!(run(&half, &[a, b, (&[2, 1], &[1.0, 3.0])]).unwrap(), [4.0, 4.5, 11.0, 11.5]);
        let both = Gemm { trans_a: true, trans_b: true, ..PLAIN };
        // [[1, 4], [2, 5], [3, 6]] * [[1, 0, 1], [0, 1, 1]]
        let y = run(&both, &[a, b]).unwrap();
        assert_eq!(y, [1.0, 4.0, 5.0, 2.0, 5.0, 7.0, 3.0, 6.0, 9.0]);
        let unread = Gemm { beta: 0.0, ..PLAIN };
        assert_eq!(run(&unread, &[a, b, (&[], &[f32::NAN])]).unwrap(), [4.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn errors_say_expected_and_found() {
        let fail = |shapes: &[&[usize]]| {
            let data = [0.0f32; 16];
            let tensors: Vec<(&[usize], &[f32])> =
                shapes.iter().map(|s| (*s, &data[..s.iter().product()])).collect();
            run(&PLAIN, &tensors).unwrap_err().to_string()
        };
        assert_eq!(fail(&[&[2, 3], &[4, 2]]), "A [2,3] has 3 inner elements, B [4,2] has 4");
        assert!(fail(&[&[2, 3], &[3]]).contains("two matrices"));
        assert!(fail(&[&[2, 3], &[3, 2], &[3]]).contains("broadcasts to [2,2]"));
        assert!(fail(&[&[1, 3], &[3, 1], &[2, 1]]).contains("broadcasts to [1,1]"));
        assert!(fail(&[&[1, 3]]).contains("missing"));
        let ints = Tensor::new([1, 1], &[1i64]).unwrap();
        let half = Gemm { alpha: 0.5, ..PLAIN };
        let error = half.reference(&[Some(&ints), Some(&ints)]).unwrap_err();
        assert!(matches!(error, OpError::Unsupported(_)), "{error}");
    }
}
