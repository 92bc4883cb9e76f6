//! Pictures: file in, the model's input out.

use std::ffi::{CString, c_char, c_void};
use std::mem::offset_of;
use std::path::Path;
use std::ptr;

use octrt::PortInfo;
use octrt::image::{
    Choice, Orientation, Picture, PreprocessedImage, Preprocessing, SideFile, parse_overrides,
};
use octrt_ops::Dim;

use crate::error::{Failure, OCTRT_E_INPUT, OCTRT_E_MEMORY, c_string, octrt_error};
use crate::guard;
use crate::model::octrt_model;
use crate::sized::{self, CStruct};
use crate::tensor::{View, octrt_tensor};
use crate::text;

/// Pictures are turned upright, as their EXIF orientation says.
pub const OCTRT_EXIF_APPLY: i32 = 0;
/// Pixels are taken as they are stored.
pub const OCTRT_EXIF_IGNORE: i32 = 1;

/// How pictures become an input of a model. Start with OCTRT_PICTURE_OPTIONS_INIT. What is not said here is taken from
/// the side file, then from the model's metadata "octrt.preprocess", then from the preset imagenet, as `octrt run` does.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct octrt_picture_options {
    /// sizeof(octrt_picture_options).
    pub struct_size: usize,
    /// Name of the input; NULL for the first that takes pictures.
    pub input: *const c_char,
    /// Settings as JSON, such as {"preset": "imagenet", "filter": "bicubic"}: the fields of a side file without "labels".
    /// NULL for none.
    pub settings: *const c_char,
    /// The side file; NULL for MODEL.json beside the file that the model was loaded from, "none" for none.
    pub side_file: *const c_char,
    /// Height of the input in pixels, where the model leaves it open; 0 for the usual one of the preset.
    pub height: i64,
    /// Its width; 0 when height is.
    pub width: i64,
    /// OCTRT_EXIF_*.
    pub exif: i32,
    /// 0.
    pub reserved: i32,
}

// SAFETY: integers and pointers, the defaults of which are 0.
unsafe impl CStruct for octrt_picture_options {
    const NAME: &'static str = "octrt_picture_options";
    const MIN_BYTES: usize = offset_of!(octrt_picture_options, exif);
}

/// Makes an input of pictures, all in the same way. Never changes; may be used by any number of threads at a time.
pub struct octrt_preprocessor {
    settings: Preprocessing,
    port: PortInfo,
    description: CString,
    dims: [i64; 4],
    name: CString,
}

/// Finds out how pictures become an input of a model.
///
/// model         needed during the call only
/// options       NULL for OCTRT_PICTURE_OPTIONS_INIT; not used after the call
/// preprocessor  gets the object, which octrt_preprocessor_free frees; unchanged on error
///
/// Any thread. Errors: OCTRT_E_IO and OCTRT_E_CORRUPT of the side file or the metadata; OCTRT_E_INPUT when the input takes
/// no pictures or its size is open; OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// Pointers are NULL or valid; texts end with a zero byte.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocessor_new(
    model: *const octrt_model,
    options: *const octrt_picture_options,
    preprocessor: *mut *mut octrt_preprocessor,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let model = unsafe { text::object(model, "model")? };
        if preprocessor.is_null() {
            return Err(Failure::null("preprocessor"));
        }
        // SAFETY: the caller's promise.
        let made = unsafe { new(model, options)? };
        // SAFETY: not NULL, and the caller's promise.
        unsafe { preprocessor.write(Box::into_raw(Box::new(made))) };
        Ok(())
    })
}

/// # Safety
/// As [`octrt_preprocessor_new`].
unsafe fn new(
    model: &octrt_model,
    options: *const octrt_picture_options,
) -> Result<octrt_preprocessor, Failure> {
    let mut choice = Choice::new("settings");
    let (mut input, mut side_file) = (None, None);
    if !options.is_null() {
        // SAFETY: the caller's promise.
        let o = unsafe { sized::read(options)? };
        choice.orientation = match o.exif {
            OCTRT_EXIF_APPLY => Orientation::Apply,
            OCTRT_EXIF_IGNORE => Orientation::Ignore,
            other => return Err(Failure::argument(format!("exif is {other}: expected OCTRT_EXIF_*"))),
        };
        choice.size = size(o.height, o.width)?;
        if !o.settings.is_null() {
            // SAFETY: the caller's promise.
            let settings = unsafe { text::text(o.settings, "settings")? };
            choice.overrides = parse_overrides("settings".to_string(), settings)?;
        }
        // SAFETY: the caller's promise.
        side_file = unsafe { text::optional_path(o.side_file) };
        if !o.input.is_null() {
            // SAFETY: the caller's promise.
            input = Some(unsafe { text::text(o.input, "input")? });
        }
    }
    let side = side_file_of(model, side_file)?;
    let settings = Preprocessing::resolve(choice, side.as_ref(), model.model.metadata())?;
    fit(&settings, model.model.inputs(), input)
}

fn size(height: i64, width: i64) -> Result<Option<[usize; 2]>, Failure> {
    let side = |n: i64| usize::try_from(n).ok().filter(|&n| n > 0);
    match (height, width) {
        (0, 0) => Ok(None),
        (h, w) => match (side(h), side(w)) {
            (Some(h), Some(w)) => Ok(Some([h, w])),
            _ => Err(Failure::argument(format!("height {h} and width {w}: expected two numbers above 0"))),
        },
    }
}

/// The side file chosen, or the one beside the model.
pub(crate) fn side_file_of(model: &octrt_model, chosen: Option<&Path>) -> Result<Option<SideFile>, Failure> {
    match (&model.path, chosen) {
        (None, None) => Ok(None),
        (path, chosen) => Ok(SideFile::find(path.as_deref().unwrap_or(Path::new("")), chosen)?),
    }
}

/// Fits the settings to the input of this name, or to the first that takes pictures.
fn fit(
    settings: &Preprocessing,
    inputs: &[PortInfo],
    name: Option<&str>,
) -> Result<octrt_preprocessor, Failure> {
    let mut refusal = match name {
        Some(name) => Failure::new(OCTRT_E_INPUT, format!("no input is named '{name}'")),
        None => Failure::new(OCTRT_E_INPUT, "the model has no inputs"),
    };
    let candidates = inputs.iter().filter(|p| name.is_none_or(|n| n == p.name));
    for (i, port) in candidates.enumerate() {
        let mut settings = settings.clone();
        let extent = |axis: usize| match port.dims.as_ref()?.get(axis)? {
            Dim::Fixed(n) => Some(*n),
            Dim::Dynamic(_) => None,
        };
        match settings.fit(port, extent) {
            Ok(()) => return finished(settings, port),
            Err(e) if i == 0 => refusal = e.into(),
            Err(_) => {}
        }
    }
    Err(refusal)
}

fn finished(settings: Preprocessing, port: &PortInfo) -> Result<octrt_preprocessor, Failure> {
    let size = settings.size().unwrap_or_default();
    let too_large = || Failure::new(OCTRT_E_MEMORY, format!("pictures of {size:?} are too large"));
    let elements = size[0].checked_mul(size[1]).and_then(|n| n.checked_mul(24)).ok_or_else(too_large)?;
    isize::try_from(elements).map_err(|_| too_large())?;
    let extent = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Ok(octrt_preprocessor {
        description: c_string(&settings.describe()),
        dims: [1, 3, extent(size[0]), extent(size[1])],
        name: c_string(&port.name),
        port: port.clone(),
        settings,
    })
}

/// Frees a preprocessor. NULL is allowed. Any thread.
///
/// # Safety
/// `preprocessor` is NULL or was not freed, and no call uses it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocessor_free(preprocessor: *mut octrt_preprocessor) {
    guard::value((), || {
        if !preprocessor.is_null() {
            // SAFETY: the pointer came from `Box::into_raw`, and the caller gives it up.
            drop(unsafe { Box::from_raw(preprocessor) });
        }
    });
}

/// One line: where the settings come from, and what they are. The text belongs to the preprocessor. "" for NULL. Any
/// thread.
///
/// # Safety
/// `preprocessor` is NULL or was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocessor_description(
    preprocessor: *const octrt_preprocessor,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { preprocessor.as_ref() }.map_or(c"".as_ptr(), |p| p.description.as_ptr())
}

/// Tells name, type, shape (1, 3, H, W) and size of the input that pictures become. `input` is filled in, with data NULL;
/// unchanged on error. With data set it can be handed to the functions below and to octrt_session_run. Its name and dims
/// belong to the preprocessor. Any thread. Errors: OCTRT_E_INVALID_ARGUMENT.
///
/// # Safety
/// `preprocessor` is NULL or was not freed; `input` is NULL or as large as its struct_size.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocessor_input(
    preprocessor: *const octrt_preprocessor,
    input: *mut octrt_tensor,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let p = unsafe { text::object(preprocessor, "preprocessor")? };
        let [h, w] = p.settings.size().unwrap_or_default();
        let tensor = octrt_tensor {
            struct_size: size_of::<octrt_tensor>(),
            dtype: crate::tensor::data_type_code(p.port.dtype),
            rank: 4,
            dims: p.dims.as_ptr(),
            data: ptr::null_mut(),
            bytes: 3 * h * w * p.port.dtype.size(),
            name: p.name.as_ptr(),
        };
        // SAFETY: the caller's promise.
        unsafe { sized::write(input, tensor) }
    })
}

/// Writes the picture in a file (JPEG, PNG, BMP, WebP) into a buffer.
///
/// path   the file
/// input  as octrt_preprocessor_input fills it in, with data set; one picture of a batch goes to its place in the buffer
///
/// Any thread. Errors: OCTRT_E_IO, OCTRT_E_CORRUPT, OCTRT_E_LIMIT, OCTRT_E_INPUT, OCTRT_E_INVALID_ARGUMENT; the buffer is
/// unchanged then.
///
/// # Safety
/// Pointers are NULL or valid, and the buffer is as large as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocess_file(
    preprocessor: *const octrt_preprocessor,
    path: *const c_char,
    input: *const octrt_tensor,
) -> *mut octrt_error {
    // SAFETY: the caller's promise.
    let picture = |p: &octrt_preprocessor| Ok(p.settings.file(unsafe { text::path(path, "path")? })?);
    // SAFETY: the caller's promise.
    unsafe { preprocess(preprocessor, input, picture) }
}

/// As octrt_preprocess_file, of the content of a picture's file: `len` bytes at `bytes`, which are not used after the call.
///
/// # Safety
/// Pointers are NULL or valid, and the buffers are as large as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocess_memory(
    preprocessor: *const octrt_preprocessor,
    bytes: *const c_void,
    len: usize,
    input: *const octrt_tensor,
) -> *mut octrt_error {
    let picture = |p: &octrt_preprocessor| {
        // SAFETY: the caller's promise.
        let bytes = unsafe { text::bytes(bytes.cast(), len, "bytes")? };
        Ok(p.settings.bytes("picture", bytes)?)
    };
    // SAFETY: the caller's promise.
    unsafe { preprocess(preprocessor, input, picture) }
}

/// As octrt_preprocess_file, of decoded pixels: `height` rows from the top, each `row_bytes` from the one before, of
/// `width` pixels of three bytes R, G, B. The pixels are not used after the call.
///
/// # Safety
/// Pointers are NULL or valid, and the buffers are as large as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn octrt_preprocess_rgb(
    preprocessor: *const octrt_preprocessor,
    pixels: *const u8,
    height: usize,
    width: usize,
    row_bytes: usize,
    input: *const octrt_tensor,
) -> *mut octrt_error {
    let picture = |p: &octrt_preprocessor| {
        let bad = || {
            Failure::argument(format!("{height} rows of {width} pixels in {row_bytes} bytes are no picture"))
        };
        let row = width.checked_mul(3).filter(|&r| r > 0 && r <= row_bytes && height > 0).ok_or_else(bad)?;
        let len = (height - 1).checked_mul(row_bytes).and_then(|n| n.checked_add(row)).ok_or_else(bad)?;
        // SAFETY: the caller's promise.
        let pixels = unsafe { text::bytes(pixels, len, "pixels")? };
        let rgb: Vec<u8> = pixels.chunks(row_bytes).flat_map(|r| &r[..row]).copied().collect();
        Ok(p.settings.picture(&Picture::new("pixels", [height, width], rgb)?)?)
    };
    // SAFETY: the caller's promise.
    unsafe { preprocess(preprocessor, input, picture) }
}

/// # Safety
/// Pointers are NULL or valid, and the buffer is as large as it says.
unsafe fn preprocess(
    preprocessor: *const octrt_preprocessor,
    input: *const octrt_tensor,
    picture: impl FnOnce(&octrt_preprocessor) -> Result<PreprocessedImage, Failure>,
) -> *mut octrt_error {
    guard::call(None, || {
        // SAFETY: the caller's promise.
        let p = unsafe { text::object(preprocessor, "preprocessor")? };
        // SAFETY: the caller's promise.
        let mut view = unsafe { View::new(&sized::read(input)?, 0, std::slice::from_ref(&p.port), "input")? };
        let shape: Vec<usize> = p.dims.iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
        view.shaped(|_| Some(shape.clone()))?;
        // SAFETY: the caller's promise.
        let mut target = unsafe { view.output()? };
        if target.shape() != shape || target.dtype() != p.port.dtype {
            let message = format!(
                "the picture becomes {}{shape:?}, the buffer is for {}{:?}",
                p.port.dtype,
                target.dtype(),
                target.shape()
            );
            return Err(Failure::new(OCTRT_E_INPUT, message));
        }
        debug_assert!(p.port.dtype.inside().is_float(), "`fit` takes floats only");
        Ok(target.set_f32s(&picture(p)?.data)?)
    })
}
