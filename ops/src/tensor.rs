//! Tensors: a type and shared little-endian bytes.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::dtype::DType;
use crate::error::OpError;
use crate::shape::{Shape, TensorType};

/// Bytes that several tensors may share: a mapped file, a decoded message, a vector.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// A Rust type that is the element of a tensor.
pub trait Element: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The element type.
    const DTYPE: DType;
    /// Reads one element from exactly `DTYPE.size()` little-endian bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Appends the element as little-endian bytes.
    fn write(self, out: &mut Vec<u8>);
}

macro_rules! number {
    ($t:ty, $d:ident, $n:literal) => {
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let mut b = [0; $n];
                b.copy_from_slice(bytes);
                <$t>::from_le_bytes(b)
            }
            #[inline]
            fn write(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}
number!(f32, F32, 4);
number!(f64, F64, 8);
number!(i64, I64, 8);
number!(i32, I32, 4);
number!(i16, I16, 2);
number!(i8, I8, 1);
number!(u64, U64, 8);
number!(u32, U32, 4);
number!(u16, U16, 2);
number!(u8, U8, 1);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn read(bytes: &[u8]) -> Self {
        bytes[0] != 0
    }
    fn write(self, out: &mut Vec<u8>) {
        out.push(self.into());
    }
}

/// A dense, row-major, immutable tensor over shared bytes. Cloning shares the bytes.
#[derive(Clone)]
pub struct Tensor {
    ty: TensorType,
    data: Data,
    /// The largest magnitude, once somebody has asked for it.
    magnitude: Arc<OnceLock<f32>>,
}

#[derive(Clone)]
enum Data {
    /// From this offset on.
    Bytes(SharedBytes, usize),
    Scaled(Arc<Scaled>),
}

/// Products that are computed when somebody reads them.
struct Scaled {
    source: Tensor,
    factors: Vec<f64>,
    products: OnceLock<Vec<u8>>,
}

impl Scaled {
    fn products(&self) -> &[u8] {
        self.products.get_or_init(|| {
            let mut bytes = self.source.bytes().to_vec();
            let run = self.source.numel() / self.factors.len().max(1);
            for (run, factor) in bytes.chunks_exact_mut(4 * run.max(1)).zip(&self.factors) {
                for x in run.as_chunks_mut::<4>().0 {
                    *x = scale(f32::from_le_bytes(*x), *factor).to_le_bytes();
                }
            }
            bytes
        })
    }
}

/// `x * factor`, rounded once.
#[inline]
pub fn scale(x: f32, factor: f64) -> f32 {
    (f64::from(x) * factor) as f32
}

impl Tensor {
    fn over(ty: TensorType, data: Data) -> Self {
        Tensor { ty, data, magnitude: Arc::default() }
    }

    /// A tensor from elements in row-major order.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the number of elements is not the shape's.
    pub fn new<T: Element>(shape: impl Into<Shape>, elements: &[T]) -> Result<Self, OpError> {
        let ty = TensorType { dtype: T::DTYPE, shape: shape.into() };
        if elements.len() != ty.shape.numel() {
            return Err(OpError::Invalid(format!("{} elements given for a tensor {ty}", elements.len())));
        }
        let mut bytes = Vec::with_capacity(std::mem::size_of_val(elements));
        elements.iter().for_each(|e| e.write(&mut bytes));
        Ok(Tensor::over(ty, Data::Bytes(Arc::new(bytes), 0)))
    }

    /// A scalar (rank 0).
    pub fn scalar<T: Element>(value: T) -> Self {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        Tensor::over(TensorType::new(T::DTYPE, Shape::scalar()), Data::Bytes(Arc::new(bytes), 0))
    }

    /// A tensor whose elements are the little-endian bytes of `data` from `offset` on.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when `data` ends too early, [`OpError::TooLarge`] when the shape cannot be addressed.
    pub fn from_shared(ty: TensorType, data: SharedBytes, offset: usize) -> Result<Self, OpError> {
        let need = ty.shape.checked_bytes(ty.dtype)?;
        let have = (*data).as_ref().len();
        if offset.checked_add(need).is_none_or(|end| end > have) {
            return Err(OpError::Invalid(format!(
                "tensor {ty} needs {need} bytes at offset {offset}, the data has {have}"
            )));
        }
        Ok(Tensor::over(ty, Data::Bytes(data, offset)))
    }

    /// A tensor that owns its little-endian bytes.
    ///
    /// # Errors
    /// As [`Tensor::from_shared`]; also when bytes are left over.
    pub fn from_bytes(ty: TensorType, bytes: Vec<u8>) -> Result<Self, OpError> {
        let have = bytes.len();
        let t = Tensor::from_shared(ty, Arc::new(bytes), 0)?;
        if t.bytes().len() != have {
            return Err(OpError::Invalid(format!(
                "tensor {} needs {} bytes, the data has {have}",
                t.ty,
                t.bytes().len()
            )));
        }
        Ok(t)
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the element counts differ.
    pub fn reshaped(&self, shape: impl Into<Shape>) -> Result<Self, OpError> {
        let shape = shape.into();
        if shape.numel() != self.ty.shape.numel() {
            return Err(OpError::Invalid(format!("cannot reshape {} to {shape}", self.ty)));
        }
        Ok(Tensor { ty: TensorType { dtype: self.ty.dtype, shape }, ..self.clone() })
    }

    /// The elements from `first` on, row-major, under a shape of their own.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when there are fewer.
    pub fn run(&self, first: usize, shape: impl Into<Shape>) -> Result<Self, OpError> {
        let (shape, size) = (shape.into(), self.ty.dtype.size());
        let end = (shape.checked_bytes(self.ty.dtype)? / size).checked_add(first);
        if end.is_none_or(|end| end > self.numel()) {
            return Err(OpError::Invalid(format!("{} has no {shape} from element {first} on", self.ty)));
        }
        let ty = TensorType { dtype: self.ty.dtype, shape };
        match &self.data {
            Data::Bytes(data, offset) => {
                Ok(Tensor::over(ty, Data::Bytes(data.clone(), offset + first * size)))
            }
            Data::Scaled(_) => {
                let bytes = self.bytes()[first * size..][..ty.bytes()].to_vec();
                Tensor::from_bytes(ty, bytes)
            }
        }
    }

    /// Element type and shape.
    pub fn ty(&self) -> &TensorType {
        &self.ty
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.ty.dtype
    }

    /// Extents.
    pub fn shape(&self) -> &Shape {
        &self.ty.shape
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.ty.shape.numel()
    }

    /// The elements as little-endian bytes, row-major; not necessarily aligned.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Bytes(data, offset) => &(**data).as_ref()[*offset..offset + self.ty.bytes()],
            Data::Scaled(s) => s.products(),
        }
    }

    /// An f32 tensor with every element multiplied in f64 and rounded once: the elements are cut into as many runs of
    /// equal length as there are factors. The products are computed when somebody reads them; see [`Tensor::unscaled`].
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the elements are not f32 or cannot be cut so.
    pub fn scaled(&self, factors: Vec<f64>) -> Result<Self, OpError> {
        if self.dtype() != DType::F32 || factors.is_empty() || !self.numel().is_multiple_of(factors.len()) {
            return Err(OpError::Invalid(format!(
                "{} factors given for a tensor {}",
                factors.len(),
                self.ty
            )));
        }
        let scaled = Scaled { source: self.clone(), factors, products: OnceLock::new() };
        Ok(Tensor::over(self.ty.clone(), Data::Scaled(Arc::new(scaled))))
    }

    /// What [`Tensor::scaled`] was given: the bytes of the source, and the factors. For other tensors their own bytes,
    /// without factors.
    pub fn unscaled(&self) -> (&[u8], &[f64]) {
        match &self.data {
            Data::Scaled(s) => (s.source.bytes(), &s.factors),
            Data::Bytes(..) => (self.bytes(), &[]),
        }
    }

    /// The largest magnitude of the elements of an f32 tensor, NaN when one of them is; 0 for other types. Elements are
    /// looked at once for all clones.
    pub fn magnitude(&self) -> f32 {
        *self.magnitude.get_or_init(|| {
            if self.dtype() != DType::F32 {
                return 0.0;
            }
            // Without their signs, f32s are ordered as their bits are, NaN above all; `i32` because baseline x86-64
            // has no maximum for either.
            let bits = self.bytes().as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b) & i32::MAX);
            f32::from_bits(bits.fold(0, |a, b| if b > a { b } else { a }).cast_unsigned())
        })
    }

    /// The elements, copied.
    ///
    /// # Errors
    /// [`OpError::Invalid`] when the element type is not `T`.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>, OpError> {
        if self.ty.dtype != T::DTYPE {
            return Err(OpError::Invalid(format!("expected a tensor of {}, found {}", T::DTYPE, self.ty)));
        }
        Ok(self.bytes().chunks_exact(T::DTYPE.size()).map(T::read).collect())
    }

    /// The elements of an i64 or i32 tensor as i64: how ONNX passes shapes, axes and the like.
    ///
    /// # Errors
    /// [`OpError::Invalid`] for other element types.
    pub fn to_i64s(&self) -> Result<Vec<i64>, OpError> {
        match self.ty.dtype {
            DType::I64 => self.to_vec(),
            DType::I32 => Ok(self.to_vec::<i32>()?.into_iter().map(i64::from).collect()),
            _ => Err(OpError::Invalid(format!("expected integers, found {}", self.ty))),
        }
    }

    /// The elements of a tensor of any type as f64, for comparisons and messages.
    pub fn to_f64s(&self) -> Vec<f64> {
        if self.ty.dtype == DType::Bool {
            return self.bytes().iter().map(|&b| f64::from(b)).collect();
        }
        let each = self.bytes().chunks_exact(self.ty.dtype.size());
        each.map(|b| match self.ty.dtype {
            DType::F32 => f32::read(b).into(),
            DType::F64 => f64::read(b),
            DType::I64 => i64::read(b) as f64,
            DType::I32 => i32::read(b).into(),
            DType::I16 => i16::read(b).into(),
            DType::I8 => i8::read(b).into(),
            DType::U64 => u64::read(b) as f64,
            DType::U32 => u32::read(b).into(),
            DType::U16 => u16::read(b).into(),
            DType::U8 | DType::Bool => b[0].into(),
        })
        .collect()
    }
}

/// `shape.numel()` copies of `value`: the elements of a result before they are computed.
///
/// # Errors
/// [`OpError::TooLarge`] when there is no memory for them.
pub fn filled<T: Element>(shape: &Shape, value: T) -> Result<Vec<T>, OpError> {
    shape.checked_bytes(T::DTYPE)?;
    let mut elements = Vec::new();
    elements
        .try_reserve_exact(shape.numel())
        .map_err(|_| OpError::TooLarge(format!("no memory for a tensor {}{shape}", T::DTYPE)))?;
    elements.resize(shape.numel(), value);
    Ok(elements)
}

impl PartialEq for Tensor {
    /// Equal types and equal bytes (so `NaN == NaN` when the bits agree, and `0.0 != -0.0`).
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty && self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.to_f64s();
        let shown = &all[..all.len().min(16)];
        write!(f, "{} {shown:?}{}", self.ty, if all.len() > 16 { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_survive() {
        let t = Tensor::new([2, 2], &[1.0f32, -2.0, f32::NAN, 4.0]).unwrap();
        assert_eq!(t.to_vec::<f32>().unwrap()[1], -2.0);
        assert_eq!(t, t.clone());
        assert!(t.to_vec::<i64>().is_err());
        assert_eq!(t.reshaped([4]).unwrap().shape().dims(), [4]);
        assert!(t.reshaped([5]).is_err());
    }

    #[test]
    fn runs_of_elements() {
        let t = Tensor::new([2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(t.run(1, [2, 2]), Tensor::new([2, 2], &[2.0f32, 3.0, 4.0, 5.0]));
        let scaled = t.scaled(vec![1.0, 10.0]).unwrap();
        assert_eq!(scaled.run(2, [2]), Tensor::new([2], &[3.0f32, 40.0]));
        assert_eq!(t.run(6, [0]).map(|t| t.numel()), Ok(0));
        for (first, n) in [(5, 2), (7, 0), (usize::MAX, 2)] {
            assert!(t.run(first, [n]).is_err(), "{first} {n}");
        }
    }

    #[test]
    fn products_are_those_of_runs() {
        let t = Tensor::new([2, 2], &[1.0f32, -2.0, 3.0, 0.1]).unwrap();
        let s = t.scaled(vec![2.0, 0.3]).unwrap();
        assert_eq!(s.unscaled(), (t.bytes(), &[2.0, 0.3][..]));
        let expected = [2.0, -4.0, (3.0f64 * 0.3) as f32, (f64::from(0.1f32) * 0.3) as f32];
        assert_eq!(s.to_vec::<f32>().unwrap(), expected);
        assert_eq!(s.reshaped([4]).unwrap().to_vec::<f32>().unwrap(), expected);
        assert_eq!(t.unscaled(), (t.bytes(), &[][..]));
        assert!(t.scaled(vec![1.0; 3]).is_err());
        assert!(t.scaled(Vec::new()).is_err());
        assert!(Tensor::new([2], &[1i32, 2]).unwrap().scaled(vec![1.0]).is_err());
    }

    #[test]
    fn magnitudes() {
        let of = |x: &[f32]| Tensor::new([x.len()], x).unwrap().magnitude();
        assert_eq!(of(&[]), 0.0);
        assert_eq!(of(&[1.0, -3.0, 2.0]), 3.0);
        assert_eq!(of(&[f32::MAX, f32::NEG_INFINITY]), f32::INFINITY);
        assert!(of(&[f32::INFINITY, -f32::NAN]).is_nan());
        assert_eq!(Tensor::new([1], &[7i64]).unwrap().magnitude(), 0.0);
    }

    #[test]
    fn lying_sizes_are_refused() {
        assert!(Tensor::new([3], &[1i64]).is_err());
        let ty = TensorType::new(DType::F32, [2]);
        assert!(Tensor::from_bytes(ty.clone(), vec![0; 7]).is_err());
        assert!(Tensor::from_bytes(ty.clone(), vec![0; 9]).is_err());
        assert!(Tensor::from_shared(ty.clone(), Arc::new(vec![0; 9]), usize::MAX).is_err());
        assert!(Tensor::from_shared(ty, Arc::new(vec![0; 9]), 1).is_ok());
    }
}
