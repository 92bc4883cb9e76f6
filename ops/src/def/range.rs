//! Evenly spaced numbers: `Y[i] = start + i * delta` for `i` below `max(0, ceil((limit - start) / delta))`.
//!
//! Inputs: start, limit, delta, one element each, of one type: f32, f64, i64, i32 or i16. All three are known before
//! the run, because the extent depends on them. For f32 the extent is computed in f64, elements in f32.
//!
//! Errors: other or different element types, a delta of 0, a number that is not finite.
//! Mirrors ONNX Range-11 and later.

use crate::arg::{Args, known_args};
use crate::axes::extent;
use crate::compute::{Compute, scalars};
use crate::dtype::DType;
use crate::elements::room;
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::{Element, Tensor};

/// Evenly spaced numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {}

crate::attributes!(Range {});

/// Start, limit and delta.
fn arguments(args: Args<'_>) -> Result<[Scalar; 3], OpError> {
    let mut values = [Scalar::I64(0); 3];
    for (i, name) in ["start", "limit", "delta"].into_iter().enumerate() {
        let arg = args.typed(i, name, &[DType::F32, DType::F64, DType::I64, DType::I32, DType::I16])?;
        let t = args.known(i, name)?;
        values[i] = match scalars(t)?[..] {
            [one] => one,
            _ => return invalid!("input {i} ({name}): expected one element, found {}", arg.ty()),
        };
        if values[i].dtype() != values[0].dtype() {
            return invalid!("input {i} ({name}): expected {}, found {}", values[0].dtype(), arg.ty());
        }
    }
    Ok(values)
}

/// The number of elements.
fn count(values: [Scalar; 3]) -> Result<usize, OpError> {
    let [start, limit, delta] = values;
    let zero = || invalid!("delta: expected another number than 0, found 0");
    match (start.int(), limit.int(), delta.int()) {
        (None, ..) | (_, None, _) | (.., None) => {
            let [a, b, d] = values.map(Scalar::to_f64);
            if [a, b, d].iter().any(|v| !v.is_finite()) {
                return invalid!("start, limit and delta: expected finite numbers, found {a}, {b} and {d}");
            }
            if d == 0.0 {
                return zero();
            }
            // The conversion saturates.
            extent(((b - a) / d).ceil().max(0.0) as i128, "range")
        }
        (Some(a), Some(b), Some(d)) => {
            if d == 0 {
                return zero();
            }
            let distance = if d < 0 { a - b } else { b - a };
            extent((distance.max(0) + d.abs() - 1) / d.abs(), "range")
        }
    }
}

impl Operator for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let values = arguments(args)?;
        Ok(vec![TensorType::new(values[0].dtype(), [count(values)?])])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let [start, _, delta] = arguments(args)?;
        let mut c = Compute::new();
        let i = match ty.dtype {
            DType::I64 => Expr::var(0),
            other => Expr::var(0).cast(other),
        };
        let out = c.map("range", ty, Expr::Const(start) + i * Expr::Const(delta));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let values = arguments(Args(&args))?;
        let n = count(values)?;
        Ok(vec![match (values[0], values[2]) {
            (Scalar::F32(start), Scalar::F32(delta)) => list((0..n).map(|i| start + i as f32 * delta))?,
            (Scalar::F64(start), Scalar::F64(delta)) => list((0..n).map(|i| start + i as f64 * delta))?,
            (Scalar::I16(start), Scalar::I16(delta)) => list(steps(start, n, |v| v.wrapping_add(delta)))?,
            (Scalar::I32(start), Scalar::I32(delta)) => list(steps(start, n, |v| v.wrapping_add(delta)))?,
            (Scalar::I64(start), Scalar::I64(delta)) => list(steps(start, n, |v| v.wrapping_add(delta)))?,
            (a, b) => return invalid!("inputs: expected numbers of one type, found {a} and {b}"),
        }])
    }
}

/// `n` numbers, each the next one of that before it.
fn steps<T: Copy>(start: T, n: usize, next: impl Fn(T) -> T) -> impl Iterator<Item = T> {
    std::iter::successors(Some(start), move |v| Some(next(*v))).take(n)
}

fn list<T: Element>(elements: impl Iterator<Item = T>) -> Result<Tensor, OpError> {
    let mut all = room(elements.size_hint().1.unwrap_or(0))?;
    all.extend(elements);
    Tensor::new([all.len()], &all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, infer_unknown, run, t};

    #[test]
    fn integers() {
        let cases: &[(i64, i64, i64, &[i64])] = &[
            (0, 4, 1, &[0, 1, 2, 3]),
            (3, 10, 3, &[3, 6, 9]),
            (10, 4, -2, &[10, 8, 6]),
            (0, 0, 1, &[]),
            (5, 0, 1, &[]),
            (i64::MAX - 1, i64::MAX, 5, &[i64::MAX - 1]),
            (i64::MIN, i64::MAX, i64::MAX, &[i64::MIN, -1, i64::MAX - 1]),
        ];
        for &(start, limit, delta, want) in cases {
            let y = run(&Range {}, &[&t([], &[start]), &t([], &[limit]), &t([1], &[delta])]);
            assert_eq!(y, Ok(t([want.len()], want)), "{start} to {limit} by {delta}");
        }
        let narrow = run(&Range {}, &[&t([], &[2i32]), &t([], &[-3i32]), &t([], &[-2i32])]);
        assert_eq!(narrow, Ok(t([3], &[2i32, 0, -2])));
    }

    #[test]
    fn floats() {
        let of = |v: [f32; 3]| run(&Range {}, &[&t([], &[v[0]]), &t([], &[v[1]]), &t([], &[v[2]])]).unwrap();
        assert_eq!(of([1.0, 2.0, 0.25]), t([4], &[1.0f32, 1.25, 1.5, 1.75]));
        assert_eq!(of([1.0, 2.1, 0.5]), t([3], &[1.0f32, 1.5, 2.0]));
        assert_eq!(of([0.0, -1.0, 1.0]), t::<f32>([0], &[]));
    }

    #[test]
    fn errors() {
        let of = |v: [f32; 3]| error(&Range {}, &[&t([], &[v[0]]), &t([], &[v[1]]), &t([], &[v[2]])]);
        assert_eq!(of([0.0, 1.0, 0.0]), "delta: expected another number than 0, found 0");
        assert!(of([0.0, f32::INFINITY, 1.0]).contains("found 0, inf and 1"));
        assert!(of([0.0, 3e38, 1e-38]).contains("out of range"));
        let one = t([], &[1i64]);
        assert_eq!(
            error(&Range {}, &[&one, &one, &t([], &[0i64])]),
            "delta: expected another number than 0, found 0"
        );
        assert!(error(&Range {}, &[&one, &t([], &[1i32]), &one]).contains("expected i64, found i32[]"));
        assert!(error(&Range {}, &[&t([2], &[1i64, 2]), &one, &one]).contains("expected one element"));
        let unknown = infer_unknown(&Range {}, &vec![TensorType::new(DType::I64, []); 3]);
        assert!(matches!(unknown, Err(OpError::DataDependent(_))));
    }
}
