//! Reductions of lists of numbers, one list for each element of the result.

use super::ReduceKind;
use crate::compute::{scalars, tensor};
use crate::elements::{from_f64s, reduced_positions};
use crate::expr::Scalar;
use crate::{DType, OpError, Tensor, TensorType};

/// The reduction of `src` along the axes that are `reduced`.
pub(super) fn reduce(
    kind: ReduceKind,
    src: &Tensor,
    reduced: &[bool],
    dst: &TensorType,
) -> Result<Tensor, OpError> {
    let n = dst.shape.numel();
    // Where the last axes are reduced, lists are rows.
    let first = reduced.iter().position(|r| *r).unwrap_or(reduced.len());
    let row = src.shape().iter().skip(first).fold(1usize, |n, &d| n.saturating_mul(d));
    if dst.dtype.is_float() && reduced[first..].iter().all(|r| *r) && row > 0 {
        let results: Vec<f64> = src.to_f64s().chunks(row).map(|list| of_floats(kind, list)).collect();
        return from_f64s(dst, &results);
    }
    let to = reduced_positions(src.shape(), reduced);
    if dst.dtype.is_float() {
        let results: Vec<f64> =
            lists(src.to_f64s(), &to, n).iter().map(|list| of_floats(kind, list)).collect();
        return from_f64s(dst, &results);
    }
    let elements = scalars(src)?.into_iter().filter_map(Scalar::int).collect();
    let results: Vec<Scalar> =
        lists(elements, &to, n).iter().map(|list| of_integers(kind, list, dst.dtype)).collect();
    tensor(dst, &results)
}

/// The elements that go to each of `n` places.
fn lists<T>(elements: Vec<T>, to: &[usize], n: usize) -> Vec<Vec<T>> {
    let mut lists: Vec<Vec<T>> = (0..n).map(|_| Vec::new()).collect();
    elements.into_iter().zip(to).for_each(|(v, &to)| lists[to].push(v));
    lists
}

fn of_floats(kind: ReduceKind, x: &[f64]) -> f64 {
    let sum = |f: fn(f64) -> f64| x.iter().map(|&v| f(v)).fold(0.0, |a, b| a + b);
    let nan = x.iter().any(|v| v.is_nan());
    match kind {
        ReduceKind::Mean => sum(|v| v) / x.len() as f64,
        ReduceKind::Sum => sum(|v| v),
        ReduceKind::Max | ReduceKind::Min if nan => f64::NAN,
        ReduceKind::Max => x.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ReduceKind::Min => x.iter().copied().fold(f64::INFINITY, f64::min),
        ReduceKind::L1 => sum(f64::abs),
        ReduceKind::L2 => sum(|v| v * v).sqrt(),
        ReduceKind::Prod => x.iter().product(),
        ReduceKind::SumSquare => sum(|v| v * v),
        ReduceKind::LogSum => sum(|v| v).ln(),
        ReduceKind::LogSumExp if nan => f64::NAN,
        ReduceKind::LogSumExp => match of_floats(ReduceKind::Max, x) {
            max if max.is_infinite() => max,
            max => max + x.iter().map(|v| (v - max).exp()).sum::<f64>().ln(),
        },
    }
}

fn of_integers(kind: ReduceKind, x: &[i128], dtype: DType) -> Scalar {
    // Conversion to 64 bits and further to the type wraps.
    let wrapped = |v: i128| Scalar::I64(v as i64).cast(dtype);
    let of_f64 = |v: f64| Scalar::F64(v).cast(dtype);
    let int = |s: Scalar| s.int().unwrap_or(0);
    let fold = |start: i128, f: &dyn Fn(i128, i128) -> i128| {
        x.iter().fold(wrapped(start), |a, &v| wrapped(f(int(a), v)))
    };
    let sum = || fold(0, &|a, v| a + v);
    let squares = || fold(0, &|a, v| a.wrapping_add(v.wrapping_mul(v)));
    match kind {
        ReduceKind::Mean if x.is_empty() => wrapped(0),
        ReduceKind::Mean => wrapped(int(sum()) / x.len() as i128),
        ReduceKind::Sum => sum(),
        ReduceKind::Max => x.iter().max().map_or(Scalar::lowest(dtype), |&v| wrapped(v)),
        ReduceKind::Min => x.iter().min().map_or(Scalar::highest(dtype), |&v| wrapped(v)),
        ReduceKind::L1 => fold(0, &|a, v| a + v.abs()),
        ReduceKind::L2 => of_f64((int(squares()) as f64).sqrt()),
        ReduceKind::Prod => fold(1, &|a, v| a.wrapping_mul(v)),
        ReduceKind::SumSquare => squares(),
        ReduceKind::LogSum => of_f64((int(sum()) as f64).ln()),
        ReduceKind::LogSumExp => {
            let floats: Vec<f64> = x.iter().map(|&v| v as f64).collect();
            of_f64(of_floats(kind, &floats))
        }
    }
}
