//! Plain copying and mapping of elements: what the operators' `reference` functions share.

use crate::dtype::DType;
use crate::error::OpError;
use crate::expr::Scalar;
use crate::invalid;
use crate::shape::{Shape, TensorType};
use crate::tensor::{Element, Tensor};

/// Input `i`, which must be given; `name` is the ONNX name.
///
/// # Errors
/// [`OpError::Invalid`] when it is omitted.
pub fn input<'a>(inputs: &[Option<&'a Tensor>], i: usize, name: &str) -> Result<&'a Tensor, OpError> {
    match inputs.get(i).copied().flatten() {
        Some(t) => Ok(t),
        None => invalid!("input {i} ({name}) is missing"),
    }
}

/// One axis of a walk over a tensor: the step between neighbours in elements, and the indices to visit.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Elements between neighbours along the axis.
    pub stride: usize,
    /// Indices in the order of the result; `None` is a place outside the tensor.
    pub indices: Vec<Option<usize>>,
}

impl Walk {
    /// Visits `indices`, all of them inside.
    pub fn over(stride: usize, indices: impl IntoIterator<Item = usize>) -> Self {
        Walk { stride, indices: indices.into_iter().map(Some).collect() }
    }
}

/// An empty vector with room for `n` values.
///
/// # Errors
/// [`OpError::TooLarge`] when there is no room for it.
pub fn room<T>(n: usize) -> Result<Vec<T>, OpError> {
    let mut v = Vec::new();
    match v.try_reserve_exact(n) {
        Ok(()) => Ok(v),
        Err(_) => Err(OpError::TooLarge(format!("no memory for {n} elements"))),
    }
}

/// Positions in a tensor for every combination of the indices, the last axis fastest.
///
/// # Errors
/// [`OpError::TooLarge`] when there are too many.
pub fn positions(axes: &[Walk]) -> Result<Vec<Option<usize>>, OpError> {
    let mut all = vec![Some(0usize)];
    if axes.iter().any(|w| w.indices.is_empty()) {
        return Ok(Vec::new());
    }
    for walk in axes {
        let mut next = room(all.len().saturating_mul(walk.indices.len()))?;
        for base in &all {
            next.extend(walk.indices.iter().map(|i| Some((*base)? + (*i)? * walk.stride)));
        }
        all = next;
    }
    Ok(all)
}

/// Positions in a tensor of shape `from` for every element of a tensor of shape `to` to which it is broadcast.
///
/// # Errors
/// [`OpError::Invalid`] when it cannot be broadcast to that shape, [`OpError::TooLarge`] when there are too many.
pub fn broadcast_positions(from: &Shape, to: &Shape) -> Result<Vec<usize>, OpError> {
    let mut all = room(to.numel())?;
    all.extend(broadcast_walk(from, to)?);
    Ok(all)
}

/// As [`broadcast_positions`], one after the other.
///
/// # Errors
/// As there.
pub fn broadcast_walk(from: &Shape, to: &Shape) -> Result<impl Iterator<Item = usize> + use<>, OpError> {
    let strides = from.strides();
    if from.rank() > to.rank() {
        return invalid!("shape {from} does not broadcast to {to}");
    }
    // Extents and strides, neighbours along which positions go on evenly as one.
    let mut axes: Vec<(usize, usize)> = Vec::new();
    for (i, &d) in to.iter().enumerate() {
        let stride = match (i + from.rank()).checked_sub(to.rank()) {
            Some(k) if from[k] == d && d != 1 => strides[k],
            Some(k) if from[k] != 1 => return invalid!("shape {from} does not broadcast to {to}"),
            _ => 0,
        };
        match axes.last_mut() {
            Some((n, s)) if d == 1 || stride.checked_mul(d) == Some(*s) => {
                (*n, *s) = (n.saturating_mul(d), if d == 1 { *s } else { stride });
            }
            _ => axes.push((d, stride)),
        }
    }
    let (inner, stride) = axes.pop().unwrap_or((1, 0));
    let mut bases = vec![0];
    if to.numel() == 0 {
        bases.clear();
    }
    for (n, s) in axes.into_iter().filter(|_| to.numel() > 0) {
        let mut next = room(bases.len().saturating_mul(n))?;
        bases.iter().for_each(|base| next.extend((0..n).map(|i| base + i * s)));
        bases = next;
    }
    Ok(bases.into_iter().flat_map(move |base| (0..inner).map(move |i| base + i * stride)))
}

/// The elements of `src` at `positions` under the shape `shape`; `fill` (one element's bytes) where there is none.
///
/// # Errors
/// [`OpError::Invalid`] when a position is outside or their number is not the shape's.
pub fn take(src: &Tensor, positions: &[Option<usize>], shape: Shape, fill: &[u8]) -> Result<Tensor, OpError> {
    let size = src.dtype().size();
    let bytes = src.bytes();
    let mut out: Vec<u8> = room(positions.len().saturating_mul(size))?;
    for p in positions {
        let element = match p {
            None => Some(fill),
            Some(p) => p.checked_mul(size).and_then(|at| bytes.get(at..at.checked_add(size)?)),
        };
        match element {
            Some(e) => out.extend_from_slice(e),
            None => return invalid!("position {p:?} is outside {}", src.ty()),
        }
    }
    Tensor::from_bytes(TensorType { dtype: src.dtype(), shape }, out)
}

/// [`take`] along walks, all inside; they are made only when there are elements to take.
///
/// # Errors
/// As [`take`]; [`OpError::TooLarge`] when there are too many elements.
pub fn walk(src: &Tensor, shape: Shape, axes: impl FnOnce() -> Vec<Walk>) -> Result<Tensor, OpError> {
    let numel = shape.numel();
    if numel == 0 {
        return take(src, &[], shape, &[]);
    }
    drop(room::<Option<usize>>(numel)?);
    take(src, &positions(&axes())?, shape, &[])
}

/// `f` of every element.
///
/// # Errors
/// [`OpError::Invalid`] when the element type is not `T`.
pub fn map1<T: Element, R: Element>(x: &Tensor, f: impl Fn(T) -> R) -> Result<Tensor, OpError> {
    let out: Vec<R> = x.to_vec::<T>()?.into_iter().map(f).collect();
    Tensor::new(x.shape().clone(), &out)
}

/// `f` of every pair of elements, broadcast against each other.
///
/// # Errors
/// [`OpError::Invalid`] when element types or shapes do not fit, [`OpError::TooLarge`] when the result does not.
pub fn map2<A: Element, B: Element, R: Element>(
    a: &Tensor,
    b: &Tensor,
    f: impl Fn(A, B) -> R,
) -> Result<Tensor, OpError> {
    let (x, y) = (a.to_vec::<A>()?, b.to_vec::<B>()?);
    if a.shape() == b.shape() {
        let out: Vec<R> = x.into_iter().zip(y).map(|(x, y)| f(x, y)).collect();
        return Tensor::new(a.shape().clone(), &out);
    }
    let shape = a.shape().broadcast(b.shape())?;
    let (at, bt) = (broadcast_walk(a.shape(), &shape)?, broadcast_walk(b.shape(), &shape)?);
    let mut out: Vec<R> = room(shape.numel())?;
    out.extend(at.zip(bt).map(|(i, j)| f(x[i], y[j])));
    Tensor::new(shape, &out)
}

/// A tensor of floats whose elements are the nearest to these.
///
/// # Errors
/// [`OpError::Invalid`] when their number is not the shape's.
pub fn floats(ty: TensorType, elements: impl IntoIterator<Item = f64>) -> Result<Tensor, OpError> {
    let mut bytes = room(ty.bytes())?;
    match ty.dtype {
        DType::F32 => elements.into_iter().for_each(|v| bytes.extend_from_slice(&(v as f32).to_le_bytes())),
        dtype => elements.into_iter().for_each(|v| Scalar::F64(v).cast(dtype).write(&mut bytes)),
    }
    Tensor::from_bytes(ty, bytes)
}

/// `f` of every element of a tensor of floats, computed in f64 and rounded once.
///
/// # Errors
/// As [`floats`].
pub fn map_floats(x: &Tensor, f: impl Fn(f64) -> f64) -> Result<Tensor, OpError> {
    floats(x.ty().clone(), x.to_f64s().into_iter().map(f))
}

/// `f` of every element of a tensor of integers; what does not fit the type wraps.
///
/// # Errors
/// [`OpError::Invalid`] when the elements are no integers.
pub fn map_ints(x: &Tensor, f: impl Fn(i128) -> i128) -> Result<Tensor, OpError> {
    let mut bytes = room(x.ty().bytes())?;
    for element in x.bytes().chunks_exact(x.dtype().size()) {
        match Scalar::read(x.dtype(), element).int() {
            Some(v) => wrapped(x.dtype(), f(v)).write(&mut bytes),
            None => return invalid!("expected integers, found {}", x.ty()),
        }
    }
    Tensor::from_bytes(x.ty().clone(), bytes)
}

/// The integer of type `dtype` that has the lowest bits of `v`.
pub fn wrapped(dtype: DType, v: i128) -> Scalar {
    Scalar::I64(v as i64).cast(dtype)
}

/// For each element of a tensor of this shape, the position of the element of a result that it is reduced to: the axes
/// that are `reduced` are left out of the result, or have extent 1 there.
pub fn reduced_positions(shape: &Shape, reduced: &[bool]) -> Vec<usize> {
    if shape.numel() == 0 {
        return Vec::new();
    }
    let mut positions = vec![0];
    for (&d, &r) in shape.iter().zip(reduced) {
        positions =
            positions.iter().flat_map(|&p| (0..d).map(move |i| if r { p } else { p * d + i })).collect();
    }
    positions
}

/// A tensor of these elements, rounded to its type.
///
/// # Errors
/// [`OpError::Invalid`] when their number is not the shape's.
pub fn from_f64s(ty: &TensorType, elements: &[f64]) -> Result<Tensor, OpError> {
    floats(ty.clone(), elements.iter().copied())
}

/// The bytes of one element of value zero (or false).
pub fn zero_bytes(dtype: DType) -> Vec<u8> {
    vec![0; dtype.size()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_row_major() {
        let axes = [Walk::over(3, [1, 0]), Walk { stride: 1, indices: vec![Some(2), None] }];
        assert_eq!(positions(&axes).unwrap(), [Some(5), None, Some(2), None]);
        assert_eq!(positions(&[]).unwrap(), [Some(0)]);
        assert!(positions(&[Walk::over(1, [0]), Walk::over(1, [])]).unwrap().is_empty());
    }

    #[test]
    fn broadcasting_repeats() {
        let s = |d: &[usize]| Shape::new(d);
        assert_eq!(broadcast_positions(&s(&[2, 1]), &s(&[2, 3])).unwrap(), [0, 0, 0, 1, 1, 1]);
        assert_eq!(broadcast_positions(&s(&[3]), &s(&[2, 3])).unwrap(), [0, 1, 2, 0, 1, 2]);
        assert_eq!(
            broadcast_positions(&s(&[2, 1, 2]), &s(&[3, 2, 2, 2])).unwrap(),
            [0, 1, 0, 1, 2, 3, 2, 3].repeat(3)
        );
        assert_eq!(broadcast_positions(&s(&[1, 2, 1, 2]), &s(&[1, 2, 1, 2])).unwrap(), [0, 1, 2, 3]);
        assert_eq!(broadcast_positions(&s(&[]), &s(&[2, 2])).unwrap(), [0; 4]);
        assert_eq!(broadcast_positions(&s(&[1]), &s(&[2, 0])).unwrap(), [0; 0]);
        assert!(broadcast_positions(&s(&[1, 1]), &s(&[1])).is_err());
        assert!(broadcast_positions(&s(&[2]), &s(&[3])).is_err());
        let (a, b) = (Tensor::new([2, 1], &[1i64, 2]).unwrap(), Tensor::new([3], &[10i64, 20, 30]).unwrap());
        let sum = map2(&a, &b, |x: i64, y: i64| x + y).unwrap();
        assert_eq!(sum, Tensor::new([2, 3], &[11i64, 21, 31, 12, 22, 32]).unwrap());
    }

    #[test]
    fn elements_outside_are_filled_or_refused() {
        let t = Tensor::new([2], &[7u8, 8]).unwrap();
        assert_eq!(take(&t, &[Some(1), None], Shape::new([2]), &[9]).unwrap().bytes(), [8, 9]);
        assert!(take(&t, &[Some(2)], Shape::new([1]), &[9]).is_err());
        assert!(take(&t, &[Some(0)], Shape::new([2]), &[9]).is_err());
    }
}
