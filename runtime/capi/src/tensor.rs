//! Tensors in the caller's memory.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use octrt::{DataType, InputError, PortInfo, TensorMut, TensorRef};

use crate::error::Failure;
use crate::sized::{self, CStruct};
use crate::text;

/// The element type that the model has: OCTRT_F32 and so on of its input or output.
pub const OCTRT_DTYPE_OF_MODEL: i32 = 0;
/// IEEE 754 binary32.
pub const OCTRT_F32: i32 = 1;
/// IEEE 754 binary16.
pub const OCTRT_F16: i32 = 2;
/// The upper half of an IEEE 754 binary32.
pub const OCTRT_BF16: i32 = 3;
/// IEEE 754 binary64.
pub const OCTRT_F64: i32 = 4;
/// 64-bit two's complement.
pub const OCTRT_I64: i32 = 5;
/// 32-bit two's complement.
pub const OCTRT_I32: i32 = 6;
/// 8-bit unsigned.
pub const OCTRT_U8: i32 = 7;
/// One byte, 0 or 1.
pub const OCTRT_BOOL: i32 = 8;
/// 16-bit two's complement.
pub const OCTRT_I16: i32 = 9;
/// 8-bit two's complement.
pub const OCTRT_I8: i32 = 10;
/// 64-bit unsigned.
pub const OCTRT_U64: i32 = 11;
/// 32-bit unsigned.
pub const OCTRT_U32: i32 = 12;
/// 16-bit unsigned.
pub const OCTRT_U16: i32 = 13;

/// The shape that the session has: the one set by octrt_session_set_shape, or the model's.
pub const OCTRT_RANK_OF_MODEL: i32 = -1;
/// Most dimensions of a tensor.
pub const OCTRT_MAX_RANK: i32 = 64;

/// A tensor whose elements lie in the caller's memory: dense, row-major, little-endian, at any address. Start with
/// OCTRT_TENSOR_INIT. In an array of tensors all have the struct_size of the first.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct octrt_tensor {
    /// sizeof(octrt_tensor).
    pub struct_size: usize,
    /// Element type, or OCTRT_DTYPE_OF_MODEL.
    pub dtype: i32,
    /// Number of dimensions, or OCTRT_RANK_OF_MODEL.
    pub rank: i32,
    /// `rank` extents, outermost first; may be NULL when rank is 0 or OCTRT_RANK_OF_MODEL.
    pub dims: *const i64,
    /// The elements. Those of inputs are only read. May be NULL when there are none.
    pub data: *mut c_void,
    /// Size of the elements in bytes: that of the element type times all extents.
    pub bytes: usize,
    /// Name of the input or output; NULL for the one at the tensor's place in the array.
    pub name: *const c_char,
}

// SAFETY: integers and pointers; without a name a tensor goes by its position.
unsafe impl CStruct for octrt_tensor {
    const NAME: &'static str = "octrt_tensor";
    const MIN_BYTES: usize = offset_of!(octrt_tensor, name);
}

/// The code of an element type.
pub(crate) fn data_type_code(dtype: DataType) -> i32 {
    match dtype {
        DataType::F32 => OCTRT_F32,
        DataType::F16 => OCTRT_F16,
        DataType::BF16 => OCTRT_BF16,
        DataType::F64 => OCTRT_F64,
        DataType::I64 => OCTRT_I64,
        DataType::I32 => OCTRT_I32,
        DataType::I16 => OCTRT_I16,
        DataType::I8 => OCTRT_I8,
        DataType::U64 => OCTRT_U64,
        DataType::U32 => OCTRT_U32,
        DataType::U16 => OCTRT_U16,
        DataType::U8 => OCTRT_U8,
        DataType::Bool => OCTRT_BOOL,
    }
}

fn data_type(code: i32, of_model: DataType) -> Result<DataType, Failure> {
    Ok(match code {
        OCTRT_DTYPE_OF_MODEL => of_model,
        OCTRT_F32 => DataType::F32,
        OCTRT_F16 => DataType::F16,
        OCTRT_BF16 => DataType::BF16,
        OCTRT_F64 => DataType::F64,
        OCTRT_I64 => DataType::I64,
        OCTRT_I32 => DataType::I32,
        OCTRT_I16 => DataType::I16,
        OCTRT_I8 => DataType::I8,
        OCTRT_U64 => DataType::U64,
        OCTRT_U32 => DataType::U32,
        OCTRT_U16 => DataType::U16,
        OCTRT_U8 => DataType::U8,
        OCTRT_BOOL => DataType::Bool,
        other => return Err(Failure::argument(format!("dtype is {other}: no element type has this code"))),
    })
}

/// Extents from C.
///
/// # Safety
/// `dims` is NULL or points to `rank` extents.
pub(crate) unsafe fn shape(dims: *const i64, rank: i32) -> Result<Vec<usize>, Failure> {
    if !(0..=OCTRT_MAX_RANK).contains(&rank) {
        return Err(Failure::argument(format!("rank is {rank}: expected 0 to {OCTRT_MAX_RANK}")));
    }
    if rank == 0 {
        return Ok(Vec::new());
    }
    if dims.is_null() || !dims.is_aligned() {
        return Err(Failure::argument("dims is NULL or not aligned"));
    }
    // SAFETY: the caller's promise.
    let dims = unsafe { std::slice::from_raw_parts(dims, rank.unsigned_abs() as usize) };
    let extent = |&d: &i64| {
        usize::try_from(d).map_err(|_| Failure::argument(format!("an extent is {d}: expected 0 or more")))
    };
    dims.iter().map(extent).collect()
}

/// A tensor in the caller's memory, and which input or output it is for.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Position of the input or output in the model.
    pub(crate) port: usize,
    dtype: DataType,
    /// None for that of the session.
    shape: Option<Vec<usize>>,
    data: *mut u8,
    bytes: usize,
}

// SAFETY: the address is used during calls only, in which the caller promises that it may be.
unsafe impl Send for View {}

impl View {
    /// Reads what the caller says of one tensor, at `place` in its array. Elements are not touched.
    ///
    /// # Safety
    /// Dims and name of the tensor are NULL or valid.
    pub(crate) unsafe fn new(
        tensor: &octrt_tensor,
        place: usize,
        ports: &[PortInfo],
        kind: &str,
    ) -> Result<Self, Failure> {
        let port = if tensor.name.is_null() {
            place
        } else {
            // SAFETY: the caller's promise.
            let name = unsafe { text::text(tensor.name, "name")? };
            position(name, ports, kind)?
        };
        let Some(info) = ports.get(port) else {
            let count = ports.len();
            let message = format!("{kind} {place} is given, the model has {count}");
            return Err(InputError::Elements(message).into());
        };
        let dtype = data_type(tensor.dtype, info.dtype)?;
        let shape = match tensor.rank {
            OCTRT_RANK_OF_MODEL => None,
            // SAFETY: the caller's promise.
            rank => Some(unsafe { shape(tensor.dims, rank)? }),
        };
        if tensor.bytes > 0 {
            text::check_range(tensor.data.cast(), tensor.bytes, "data")?;
        }
        Ok(View { port, dtype, shape, data: tensor.data.cast(), bytes: tensor.bytes })
    }

    /// Reads an array of tensors.
    ///
    /// # Safety
    /// As [`sized::read_all`] and [`View::new`].
    pub(crate) unsafe fn all(
        tensors: *const octrt_tensor,
        count: usize,
        ports: &[PortInfo],
        kind: &str,
    ) -> Result<Vec<Self>, Failure> {
        if count > ports.len() {
            let message = format!("{count} {kind}s are given, the model has {}", ports.len());
            return Err(InputError::Elements(message).into());
        }
        // SAFETY: the caller's promise.
        let all = unsafe { sized::read_all(tensors, count)? };
        // SAFETY: the caller's promise.
        all.iter().enumerate().map(|(i, t)| unsafe { View::new(t, i, ports, kind) }).collect()
    }

    /// Gives the tensor the shape of the session, where it has none of its own.
    pub(crate) fn shaped(
        &mut self,
        of_session: impl FnOnce(usize) -> Option<Vec<usize>>,
    ) -> Result<(), Failure> {
        if self.shape.is_none() {
            let open = || InputError::Elements(format!("the shape of input {} is not set", self.port));
            self.shape = Some(of_session(self.port).ok_or_else(open)?);
        }
        Ok(())
    }

    fn shape(&self) -> &[usize] {
        self.shape.as_deref().unwrap_or_default()
    }

    /// The tensor, to be read.
    ///
    /// # Safety
    /// The elements may be read as long as `'a`.
    pub(crate) unsafe fn input<'a>(&'a self) -> Result<TensorRef<'a>, Failure> {
        // SAFETY: the caller's promise.
        let bytes = unsafe { text::bytes(self.data, self.bytes, "data")? };
        Ok(TensorRef::from_bytes(self.dtype, self.shape(), bytes)?)
    }

    /// The tensor, to be written.
    ///
    /// # Safety
    /// Nobody but the result uses the elements as long as `'a`.
    pub(crate) unsafe fn output<'a>(&'a self) -> Result<TensorMut<'a>, Failure> {
        let bytes = match self.bytes {
            0 => &mut [],
            // SAFETY: the caller's promise; `new` has looked at the range.
            len => unsafe { std::slice::from_raw_parts_mut(self.data, len) },
        };
        Ok(TensorMut::from_bytes(self.dtype, self.shape(), bytes)?)
    }

    /// Whether both have an address in common.
    pub(crate) fn overlaps(&self, other: &View) -> bool {
        self.touches(other.data.addr(), other.bytes)
    }

    /// Whether an element lies in the `bytes` bytes at `address`.
    pub(crate) fn touches(&self, address: usize, bytes: usize) -> bool {
        let start = self.data.addr();
        self.bytes > 0 && bytes > 0 && start < address + bytes && address < start + self.bytes
    }
}

/// The position of an input or output, as `kind` says.
pub(crate) fn position(name: &str, ports: &[PortInfo], kind: &str) -> Result<usize, Failure> {
    ports.iter().position(|p| p.name == name).ok_or_else(|| {
        let known: Vec<String> = ports.iter().map(|p| format!("'{}'", p.name)).collect();
        let (name, known) = (name.to_string(), known.join(", "));
        match kind {
            "output" => InputError::UnknownOutput { name, known }.into(),
            _ => InputError::UnknownInput { name, known }.into(),
        }
    })
}

/// Checks that no output shares memory with an input or another output.
pub(crate) fn check_overlaps(inputs: &[View], outputs: &[View]) -> Result<(), Failure> {
    for (i, output) in outputs.iter().enumerate() {
        if let Some(input) = inputs.iter().find(|v| v.overlaps(output)) {
            let message = format!("output {} and input {} overlap in memory", output.port, input.port);
            return Err(Failure::argument(message));
        }
        if let Some(other) = outputs[..i].iter().find(|v| v.overlaps(output)) {
            let message = format!("outputs {} and {} overlap in memory", other.port, output.port);
            return Err(Failure::argument(message));
        }
    }
    Ok(())
}
