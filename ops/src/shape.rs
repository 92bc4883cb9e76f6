//! Shapes, possibly dynamic dimensions, tensor types.

use std::fmt;
use std::ops::Deref;

use crate::dtype::DType;
use crate::error::OpError;

/// The extents of a tensor, outermost first. Prints as `[1,3,224,224]`; a scalar is `[]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// A shape with these extents.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Shape(dims.into())
    }

    /// The shape of a scalar.
    pub fn scalar() -> Self {
        Shape(Vec::new())
    }

    /// From signed extents, as ONNX writes them.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when one is negative.
    pub fn from_i64(dims: &[i64]) -> Result<Self, OpError> {
        dims.iter()
            .map(|&d| usize::try_from(d).map_err(|_| OpError::Invalid(format!("dimension {d} is negative"))))
            .collect::<Result<Vec<_>, _>>()
            .map(Shape)
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The extents as a slice.
    pub fn dims(&self) -> &[usize] {
        &self.0
    }

    /// Number of elements. Saturates: use [`Shape::checked_bytes`] to refuse what cannot be addressed.
    pub fn numel(&self) -> usize {
        if self.0.contains(&0) {
            return 0;
        }
        self.0.iter().fold(1, |a, &d| a.saturating_mul(d))
    }

    /// Size in bytes of a dense tensor of this shape.
    ///
    /// # Errors
    /// [`OpError::TooLarge`] above `isize::MAX` bytes.
    pub fn checked_bytes(&self, dtype: DType) -> Result<usize, OpError> {
        let too_large =
            || OpError::TooLarge(format!("tensor {dtype}{self} is larger than the address space"));
        if self.0.contains(&0) {
            return Ok(0);
        }
        let mut bytes = dtype.size();
        for &d in &self.0 {
            bytes = bytes.checked_mul(d).ok_or_else(too_large)?;
        }
        if bytes > isize::MAX as usize { Err(too_large()) } else { Ok(bytes) }
    }

    /// Row-major strides in elements.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.0.len()];
        for i in (0..self.0.len().saturating_sub(1)).rev() {
            strides[i] = strides[i + 1].saturating_mul(self.0[i + 1]);
        }
        strides
    }

    /// The shape that numpy-style broadcasting of `self` and `other` gives.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when a pair of extents differs and neither is 1.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape, OpError> {
        let rank = self.rank().max(other.rank());
        let at = |s: &Shape, i: usize| (i + s.rank()).checked_sub(rank).map_or(1, |k| s.0[k]);
        (0..rank)
            .map(|i| match (at(self, i), at(other, i)) {
                (a, b) if a == b => Ok(a),
                (1, b) => Ok(b),
                (a, 1) => Ok(a),
                _ => Err(OpError::Invalid(format!("shapes {self} and {other} do not broadcast"))),
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Shape)
    }

    /// Visits every index of the shape in row-major order.
    pub fn indices(&self) -> impl Iterator<Item = Vec<usize>> + '_ {
        let strides = self.strides();
        (0..self.numel())
            .map(move |flat| self.0.iter().zip(&strides).map(|(&d, &s)| flat / s % d.max(1)).collect())
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Shape {
    fn from(v: Vec<usize>) -> Self {
        Shape(v)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(v: [usize; N]) -> Self {
        Shape(v.to_vec())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, d) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{d}")?;
        }
        f.write_str("]")
    }
}

/// One dimension of a graph input: known, or named and known only when the model is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// A fixed extent.
    Fixed(usize),
    /// A dynamic extent; equal names within one graph mean equal extents. Nameless ones are all different.
    Dynamic(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(d) => write!(f, "{d}"),
            Dim::Dynamic(name) if name.is_empty() => f.write_str("?"),
            Dim::Dynamic(name) => f.write_str(name),
        }
    }
}

/// Element type and shape. Prints as `f32[1,3,224,224]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Extents.
    pub shape: Shape,
}

impl TensorType {
    /// Element type and shape in one value.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> Self {
        TensorType { dtype, shape: shape.into() }
    }

    /// Size in bytes; saturating like [`Shape::numel`].
    pub fn bytes(&self) -> usize {
        self.shape.numel().saturating_mul(self.dtype.size())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcast_follows_numpy() {
        let s = |d: &[usize]| Shape::new(d);
        assert_eq!(s(&[2, 1, 3]).broadcast(&s(&[4, 1])).unwrap(), s(&[2, 4, 3]));
        assert_eq!(s(&[]).broadcast(&s(&[5])).unwrap(), s(&[5]));
        assert_eq!(s(&[0]).broadcast(&s(&[1])).unwrap(), s(&[0]));
        assert!(s(&[2]).broadcast(&s(&[3])).is_err());
    }

    #[test]
    fn huge_shapes_are_refused_not_wrapped() {
        let s = Shape::new([usize::MAX / 2, 3]);
        assert!(matches!(s.checked_bytes(DType::F32), Err(OpError::TooLarge(_))));
        assert_eq!(Shape::new([usize::MAX, 0]).checked_bytes(DType::I64), Ok(0));
        assert_eq!(Shape::new([2, 3]).checked_bytes(DType::I64), Ok(48));
    }

    #[test]
    fn indices_are_row_major() {
        let all: Vec<_> = Shape::new([2, 2]).indices().collect();
        assert_eq!(all, [[0, 0], [0, 1], [1, 0], [1, 1]]);
        assert_eq!(Shape::scalar().indices().count(), 1);
        assert_eq!(Shape::new([3, 0]).indices().count(), 0);
    }
}
