//! Tensors at the border: what callers hand in and get back. Dense, row-major, in the byte order of x86-64.

use std::fmt;

use half::{bf16, f16};

use crate::data_type::DataType;
use crate::error::{Error, InputError};

mod sealed {
    /// Types whose memory is `DATA_TYPE.size()` initialised bytes, with an alignment of at most 8, and any bytes of
    /// which are valid, save for `bool`, which must be 0 or 1.
    pub trait Plain: Copy + 'static {}
}

/// A Rust type that is the element of a tensor: `f32`, [`f16`](struct@f16), [`bf16`], `f64`, the integers up to 64 bits,
/// `bool`.
pub trait Element: sealed::Plain {
    /// The element type.
    const DATA_TYPE: DataType;
}

macro_rules! element {
    ($($t:ty = $d:ident),*) => { $(
        impl sealed::Plain for $t {}
        impl Element for $t {
            const DATA_TYPE: DataType = DataType::$d;
        }
    )* };
}
element!(f32 = F32, f16 = F16, bf16 = BF16, f64 = F64, i64 = I64, i32 = I32, i16 = I16, i8 = I8);
element!(u64 = U64, u32 = U32, u16 = U16, u8 = U8, bool = Bool);

/// `f32[1,3,224,224]`.
pub(crate) fn describe(dtype: DataType, shape: &[usize]) -> String {
    format!("{dtype}{}", octrt_ops::Shape::new(shape))
}

fn check_len(dtype: DataType, shape: &[usize], bytes: usize) -> Result<(), InputError> {
    let need = if shape.contains(&0) {
        Some(0)
    } else {
        shape.iter().try_fold(dtype.size(), |a, &d| a.checked_mul(d))
    };
    if need == Some(bytes) {
        return Ok(());
    }
    let (ty, elements) = (describe(dtype, shape), bytes / dtype.size());
    Err(InputError::Elements(format!("{elements} elements ({bytes} bytes) given for a tensor {ty}")))
}

fn as_bytes<T: Element>(elements: &[T]) -> &[u8] {
    // SAFETY: `Plain` types are `size_of::<T>()` initialised bytes each, without padding; `u8` has no alignment.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), std::mem::size_of_val(elements)) }
}

/// A tensor whose elements the caller keeps, to be read.
#[derive(Clone, Copy, Debug)]
pub struct TensorRef<'a> {
    dtype: DataType,
    shape: &'a [usize],
    bytes: &'a [u8],
}

impl<'a> TensorRef<'a> {
    /// `elements` in row-major order under `shape`.
    ///
    /// # Errors
    /// [`InputError::Elements`] when their number is not that of the shape.
    pub fn new<T: Element>(shape: &'a [usize], elements: &'a [T]) -> Result<Self, InputError> {
        let bytes = as_bytes(elements);
        check_len(T::DATA_TYPE, shape, bytes.len())?;
        Ok(TensorRef { dtype: T::DATA_TYPE, shape, bytes })
    }

    /// A tensor from its bytes, which need no alignment.
    ///
    /// # Errors
    /// [`InputError::Elements`] when the size is wrong, or a `bool` is neither 0 nor 1.
    pub fn from_bytes(dtype: DataType, shape: &'a [usize], bytes: &'a [u8]) -> Result<Self, InputError> {
        check_len(dtype, shape, bytes.len())?;
        if dtype == DataType::Bool
            && let Some(b) = bytes.iter().find(|&&b| b > 1)
        {
            return Err(InputError::Elements(format!("the byte {b} is no bool: expected 0 or 1")));
        }
        Ok(TensorRef { dtype, shape, bytes })
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The elements' bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A tensor whose elements the caller keeps, to be written.
#[derive(Debug)]
pub struct TensorMut<'a> {
    dtype: DataType,
    shape: &'a [usize],
    bytes: &'a mut [u8],
}

impl<'a> TensorMut<'a> {
    /// Room for a tensor of `shape`.
    ///
    /// # Errors
    /// [`InputError::Elements`] when the number of elements is not that of the shape.
    pub fn new<T: Element>(shape: &'a [usize], elements: &'a mut [T]) -> Result<Self, InputError> {
        let len = std::mem::size_of_val(elements);
        check_len(T::DATA_TYPE, shape, len)?;
        // SAFETY: `Plain` types are initialised bytes without padding. The bytes are written in this crate only, which
        // keeps `bool`s 0 or 1: see `DataType::is_written_in_place`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), len) };
        Ok(TensorMut { dtype: T::DATA_TYPE, shape, bytes })
    }

    /// Room for a tensor of `shape` as bytes, which need no alignment.
    ///
    /// # Errors
    /// [`InputError::Elements`] when the size is wrong.
    pub fn from_bytes(dtype: DataType, shape: &'a [usize], bytes: &'a mut [u8]) -> Result<Self, InputError> {
        check_len(dtype, shape, bytes.len())?;
        Ok(TensorMut { dtype, shape, bytes })
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &'a [usize] {
        self.shape
    }

    /// The bytes; whoever writes them keeps the rule for `bool`.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }
}

/// A tensor that owns its elements.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    dtype: DataType,
    shape: Vec<usize>,
    /// The elements' bytes, then zeros up to a whole line.
    lines: Vec<Line>,
}

/// A line of the caches: elements of any type are aligned in it, and a vector of a tensor lies in no two.
#[repr(C, align(64))]
#[derive(Clone, Copy, PartialEq)]
struct Line([u64; 8]);

impl Line {
    const BYTES: usize = size_of::<Line>();
    const ZERO: Line = Line([0; 8]);
}

impl Tensor {
    /// Zeros.
    ///
    /// # Errors
    /// [`Error::Memory`] when the system has not enough.
    pub fn zeros(dtype: DataType, shape: &[usize]) -> Result<Self, Error> {
        let memory = |bytes, why: String| Error::Memory { what: describe(dtype, shape), bytes, why };
        let numel = octrt_ops::Shape::new(shape).numel();
        let bytes = numel
            .checked_mul(dtype.size())
            .ok_or_else(|| memory(usize::MAX, "it is larger than the address space".to_string()))?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(bytes.div_ceil(Line::BYTES)).map_err(|e| memory(bytes, e.to_string()))?;
        lines.resize(bytes.div_ceil(Line::BYTES), Line::ZERO);
        Ok(Tensor { dtype, shape: shape.to_vec(), lines })
    }

    /// A tensor with copies of `elements` in row-major order.
    ///
    /// # Errors
    /// [`InputError::Elements`] when their number is not that of the shape, [`Error::Memory`] as [`Tensor::zeros`].
    pub fn new<T: Element>(shape: &[usize], elements: &[T]) -> Result<Self, Error> {
        TensorRef::new(shape, elements)?.to_owned()
    }

    /// Element type.
    pub fn dtype(&self) -> DataType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        if self.shape.contains(&0) { 0 } else { self.shape.iter().product() }
    }

    /// The elements' bytes, row-major.
    pub fn bytes(&self) -> &[u8] {
        let len = self.numel() * self.dtype.size();
        // SAFETY: lines are initialised bytes, and there are enough for all elements.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), len) }
    }

    /// The bytes; whoever writes them keeps the rule for `bool`.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.numel() * self.dtype.size();
        // SAFETY: as in `bytes`; any bytes make valid lines.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }

    /// The elements, row-major.
    ///
    /// # Errors
    /// [`InputError::Elements`] when the element type is not `T`.
    pub fn elements<T: Element>(&self) -> Result<&[T], InputError> {
        if T::DATA_TYPE != self.dtype {
            let found = describe(self.dtype, &self.shape);
            return Err(InputError::Elements(format!("elements of {} asked of {found}", T::DATA_TYPE)));
        }
        // SAFETY: the bytes are elements of this type (`bool`s are kept 0 or 1), lines are aligned for all of them.
        Ok(unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.numel()) })
    }

    /// The tensor, borrowed.
    pub fn view(&self) -> TensorRef<'_> {
        TensorRef { dtype: self.dtype, shape: &self.shape, bytes: self.bytes() }
    }

    /// The tensor, borrowed to be written.
    pub fn view_mut(&mut self) -> TensorMut<'_> {
        let len = self.numel() * self.dtype.size();
        // SAFETY: as in `bytes_mut`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) };
        TensorMut { dtype: self.dtype, shape: &self.shape, bytes }
    }
}

impl TensorRef<'_> {
    /// A copy that owns its elements.
    ///
    /// # Errors
    /// [`Error::Memory`] as [`Tensor::zeros`].
    pub fn to_owned(&self) -> Result<Tensor, Error> {
        let mut t = Tensor::zeros(self.dtype, self.shape)?;
        t.bytes_mut().copy_from_slice(self.bytes);
        Ok(t)
    }

    /// The elements, of any type, as `f64`; integers beyond 2^53 are rounded.
    pub fn to_f64s(&self) -> Vec<f64> {
        fn each<const N: usize>(bytes: &[u8], read: fn([u8; N]) -> f64) -> Vec<f64> {
            bytes.as_chunks::<N>().0.iter().map(|b| read(*b)).collect()
        }
        match self.dtype {
            DataType::F32 => each(self.bytes, |b| f32::from_le_bytes(b).into()),
            DataType::F16 => each(self.bytes, |b| f16::from_le_bytes(b).into()),
            DataType::BF16 => each(self.bytes, |b| bf16::from_le_bytes(b).into()),
            DataType::F64 => each(self.bytes, f64::from_le_bytes),
            DataType::I64 => each(self.bytes, |b| i64::from_le_bytes(b) as f64),
            DataType::I32 => each(self.bytes, |b| i32::from_le_bytes(b).into()),
            DataType::I16 => each(self.bytes, |b| i16::from_le_bytes(b).into()),
            DataType::I8 => each(self.bytes, |b| i8::from_le_bytes(b).into()),
            DataType::U64 => each(self.bytes, |b| u64::from_le_bytes(b) as f64),
            DataType::U32 => each(self.bytes, |b| u32::from_le_bytes(b).into()),
            DataType::U16 => each(self.bytes, |b| u16::from_le_bytes(b).into()),
            DataType::U8 | DataType::Bool => each(self.bytes, |[b]: [u8; 1]| b.into()),
        }
    }
}

impl TensorMut<'_> {
    /// Fills the tensor, of floats of any type, with the nearest to `elements`.
    ///
    /// # Errors
    /// [`InputError::Elements`] when the tensor has another number of elements, or is not of floats.
    pub fn set_f32s(&mut self, elements: &[f32]) -> Result<(), InputError> {
        if !self.dtype.inside().is_float() || self.bytes.len() / self.dtype.size() != elements.len() {
            let (found, ty) = (elements.len(), describe(self.dtype, self.shape));
            return Err(InputError::Elements(format!("{found} floats given for a tensor {ty}")));
        }
        match self.dtype {
            DataType::F64 => {
                for (o, v) in self.bytes.as_chunks_mut::<8>().0.iter_mut().zip(elements) {
                    *o = f64::from(*v).to_le_bytes();
                }
            }
            dtype => from_inside(dtype, as_bytes(elements), self.bytes),
        }
        Ok(())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&describe(self.dtype, &self.shape))
    }
}

/// Elements of `f16` or `bf16`, as the model computes them: `f32`. `src` has room for as many as `dst`.
pub(crate) fn to_inside(dtype: DataType, src: &[u8], dst: &mut [u8]) {
    let out = dst.chunks_exact_mut(4);
    match dtype {
        DataType::F16 => {
            for (o, b) in out.zip(src.chunks_exact(2)) {
                o.copy_from_slice(&f16::from_le_bytes([b[0], b[1]]).to_f32().to_le_bytes());
            }
        }
        DataType::BF16 => {
            for (o, b) in out.zip(src.chunks_exact(2)) {
                o.copy_from_slice(&bf16::from_le_bytes([b[0], b[1]]).to_f32().to_le_bytes());
            }
        }
        _ => dst.copy_from_slice(src),
    }
}

/// The reverse of [`to_inside`]: `f32` results as the nearest `f16` or `bf16`; any `bool` but 0 becomes 1.
pub(crate) fn from_inside(dtype: DataType, src: &[u8], dst: &mut [u8]) {
    let values = src.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
    match dtype {
        DataType::F16 => {
            for (o, v) in dst.chunks_exact_mut(2).zip(values) {
                o.copy_from_slice(&f16::from_f32(v).to_le_bytes());
            }
        }
        DataType::BF16 => {
            for (o, v) in dst.chunks_exact_mut(2).zip(values) {
                o.copy_from_slice(&bf16::from_f32(v).to_le_bytes());
            }
        }
        DataType::Bool => dst.iter_mut().zip(src).for_each(|(o, b)| *o = u8::from(*b != 0)),
        _ => dst.copy_from_slice(src),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_checked() {
        assert!(TensorRef::new(&[2, 2], &[1.0f32; 4]).is_ok());
        assert!(TensorRef::new(&[2, 2], &[1.0f32; 3]).is_err());
        assert!(TensorRef::new::<f32>(&[usize::MAX, 0], &[]).is_ok());
        assert!(TensorRef::new(&[usize::MAX, 2], &[0u8; 2]).is_err());
        assert!(TensorRef::from_bytes(DataType::Bool, &[2], &[1, 2]).is_err());
        assert!(TensorMut::new(&[3], &mut [0i64; 2]).is_err());
        assert!(matches!(Tensor::zeros(DataType::F64, &[usize::MAX]), Err(Error::Memory { .. })));
    }

    #[test]
    fn tensors_begin_at_a_line_of_the_caches() {
        for n in [1, 3, 16, 1000] {
            let t = Tensor::new(&[n], &vec![1u8; n]).unwrap();
            assert_eq!((t.bytes().as_ptr() as usize % 64, t.bytes().len()), (0, n));
        }
    }

    #[test]
    fn elements_come_back() {
        let t = Tensor::new(&[3], &[true, false, true]).unwrap();
        assert_eq!(t.elements::<bool>().unwrap(), [true, false, true]);
        assert!(t.elements::<u8>().is_err());
        assert_eq!(t.view().to_owned().unwrap(), t);
        let none = Tensor::new::<f64>(&[usize::MAX, 2, 0], &[]).unwrap();
        assert_eq!(none.elements::<f64>().unwrap(), [0.0; 0]);
    }

    #[test]
    fn tensors_of_floats_take_f32s() {
        for dtype in [DataType::F32, DataType::F16, DataType::BF16, DataType::F64] {
            let mut t = Tensor::zeros(dtype, &[2, 1]).unwrap();
            t.view_mut().set_f32s(&[0.5, -2.0]).unwrap();
            assert_eq!(t.view().to_f64s(), [0.5, -2.0], "{dtype}");
            assert!(t.view_mut().set_f32s(&[1.0]).is_err());
        }
        assert!(Tensor::zeros(DataType::I32, &[1]).unwrap().view_mut().set_f32s(&[1.0]).is_err());
    }

    #[test]
    fn conversions_round_to_nearest() {
        let halves = [f16::from_f32(0.1), f16::INFINITY, f16::NEG_ZERO];
        let mut f32s = [0; 12];
        to_inside(DataType::F16, as_bytes(&halves), &mut f32s);
        let mut back = [0; 6];
        from_inside(DataType::F16, &f32s, &mut back);
        assert_eq!(back, as_bytes(&halves));
    }
}
