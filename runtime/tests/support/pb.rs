//! Tensors of the ONNX backend's tests: files `input_0.pb`, `output_0.pb`, ...

use std::path::Path;

use octrt_onnx::{Bytes, read_tensor};
use octrt_ops::Tensor;

use super::Tolerance;

/// The backend's defaults for floats; integers and bools are compared exactly.
pub const TOLERANCE: Tolerance = Tolerance { absolute: 1e-7, relative: 1e-3 };

/// The tensor in a file.
///
/// # Errors
/// Says why there is none that octrt takes.
pub fn read(path: &Path) -> Result<Tensor, String> {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    let read = read_tensor(bytes).map(|(_, tensor, _)| tensor);
    read.map_err(|e| format!("{}: {e}", path.display()))
}

/// The tensors `prefix_0.pb`, `prefix_1.pb`, ... of a folder.
///
/// # Errors
/// As [`read`].
pub fn stored(set: &Path, prefix: &str) -> Result<Vec<Tensor>, String> {
    let path = |i: usize| set.join(format!("{prefix}_{i}.pb"));
    (0..).map(path).take_while(|p| p.is_file()).map(|p| read(&p)).collect()
}
