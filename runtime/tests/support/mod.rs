//! What the tests of whole models share: where the data is, compiled runs, interpreted runs, comparison.
#![allow(dead_code, missing_docs)]

pub mod compiled_file;
pub mod hostile;
pub mod nests;
pub mod npy;
pub mod pb;
pub mod process;
pub mod proto;
pub mod skip;

use std::path::{Path, PathBuf};

use half::{bf16, f16};
use octrt::{DataType, Error, LoadOptions, Model, Session, TensorRef};
use octrt_ops::graph::infer::Limits;
use octrt_ops::graph::infer::values::specialize_on;
use octrt_ops::graph::interp;
use octrt_ops::{Tensor, TensorType};

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of the shared data, `OCTRT_SHARED` or `../shared` from the workspace's root; `None`, with a word on stderr,
/// when it is not there.
pub fn shared(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("OCTRT_SHARED").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = root().join(shared).join("data").join(name);
    if !folder.is_dir() {
        skip::without(&format!("no folder {}; set OCTRT_SHARED to the shared data", folder.display()));
        return None;
    }
    Some(folder)
}

/// The folders in `folder`, sorted.
pub fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut dirs: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    dirs.sort();
    dirs
}

/// Last part of a path.
pub fn stem(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The tensors `prefix_0.npy`, `prefix_1.npy`, ... of a folder.
pub fn npy_files(folder: &Path, prefix: &str) -> Vec<Tensor> {
    let path = |i: usize| folder.join(format!("{prefix}_{i}.npy"));
    (0..).map(path).take_while(|p| p.is_file()).map(|p| npy::read(&p)).collect()
}

/// `t` as bytes of the element type that a model declares.
fn to_border(t: &Tensor, dtype: DataType) -> Vec<u8> {
    let f32s = || t.to_vec::<f32>().unwrap().into_iter();
    match dtype {
        DataType::F16 => f32s().flat_map(|v| f16::from_f32(v).to_le_bytes()).collect(),
        DataType::BF16 => f32s().flat_map(|v| bf16::from_f32(v).to_le_bytes()).collect(),
        _ => t.bytes().to_vec(),
    }
}

/// A result of a session with the element type that the graph computes in.
fn to_inside(t: &octrt::Tensor) -> Tensor {
    let f32s: Vec<f32> = match t.dtype() {
        DataType::F16 => t.elements::<f16>().unwrap().iter().map(|v| v.to_f32()).collect(),
        DataType::BF16 => t.elements::<bf16>().unwrap().iter().map(|v| v.to_f32()).collect(),
        other => {
            let ty = TensorType::new(other.inside(), t.shape().to_vec());
            return Tensor::from_bytes(ty, t.bytes().to_vec()).unwrap();
        }
    };
    Tensor::new(t.shape().to_vec(), &f32s).unwrap()
}

/// Compiled run. Inputs and outputs in the model's order, in the element types that the graph computes in.
pub fn run(session: &mut Session, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    let ports = session.model().inputs().to_vec();
    assert_eq!(ports.len(), inputs.len(), "number of inputs");
    let bytes: Vec<Vec<u8>> = ports.iter().zip(inputs).map(|(p, t)| to_border(t, p.dtype)).collect();
    let mut named = Vec::new();
    for ((port, t), bytes) in ports.iter().zip(inputs).zip(&bytes) {
        let dtype = if port.dtype.inside() == t.dtype() { port.dtype } else { t.dtype().into() };
        named.push((port.name.as_str(), TensorRef::from_bytes(dtype, t.shape(), bytes)?));
    }
    Ok(session.run(&named)?.iter().map(|(_, t)| to_inside(t)).collect())
}

/// `t` as a caller gets it back: rounded to the element type that the model declares.
pub fn rounded(t: &Tensor, dtype: DataType) -> Tensor {
    if dtype.inside() != t.dtype() {
        return t.clone();
    }
    to_inside(&TensorRef::from_bytes(dtype, t.shape(), &to_border(t, dtype)).unwrap().to_owned().unwrap())
}

/// Interpreted run of the imported graph, specialised (on the inputs that decide shapes too) but not optimised: what the
/// model means.
pub fn interpret(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    let types: Vec<TensorType> = inputs.iter().map(|t| t.ty().clone()).collect();
    let graph = model.graph().ok_or("no graph")?;
    let value = |i: usize| inputs.get(i).cloned();
    let fixed =
        specialize_on(graph, &types, &value, Limits::default()).map_err(|e| format!("specialize: {e:?}"))?;
    let results = interp::run(&fixed.graph, inputs).map_err(|e| format!("interpreter: {e}"))?;
    Ok(results.iter().zip(model.outputs()).map(|(t, port)| rounded(t, port.dtype)).collect())
}

/// How far a result may be from what is expected: `absolute + relative * |expected|`. Integers and bools are equal.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub absolute: f64,
    pub relative: f64,
}

impl Tolerance {
    pub const EXACT: Tolerance = Tolerance { absolute: 0.0, relative: 0.0 };

    /// This part of the largest magnitude of the expected elements: a small tensor may be wrong by little.
    pub fn of_largest(part: f64, expected: &Tensor) -> Self {
        Tolerance { absolute: part * largest(expected), relative: 0.0 }
    }

    /// This part of the root mean square of the expected elements.
    pub fn of_rms(part: f64, expected: &Tensor) -> Self {
        Tolerance { absolute: part * rms(expected), relative: 0.0 }
    }
}

/// Largest magnitude of a finite element.
pub fn largest(t: &Tensor) -> f64 {
    t.to_f64s().into_iter().filter(|v| v.is_finite()).fold(0.0, |a, v| a.max(v.abs()))
}

/// Root of the mean square of the finite elements.
pub fn rms(t: &Tensor) -> f64 {
    let finite: Vec<f64> = t.to_f64s().into_iter().filter(|v| v.is_finite()).collect();
    (finite.iter().map(|v| v * v).sum::<f64>() / finite.len().max(1) as f64).sqrt()
}

/// The largest difference between the elements of two tensors.
///
/// # Errors
/// Says which element is wrong by most, or how the types differ.
pub fn compare(found: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Result<f64, String> {
    if found.ty() != expected.ty() {
        return Err(format!("expected {}, found {}", expected.ty(), found.ty()));
    }
    if !found.dtype().is_float() && found != expected {
        return Err(format!("expected {expected:?}, found {found:?}"));
    }
    let mut worst = (0.0, 0.0);
    let mut wrong = None;
    for (i, (f, e)) in found.to_f64s().into_iter().zip(expected.to_f64s()).enumerate() {
        if f == e || (f.is_nan() && e.is_nan()) {
            continue;
        }
        let allowed = if e.is_finite() { tolerance.absolute + tolerance.relative * e.abs() } else { 0.0 };
        let error = if f.is_finite() && e.is_finite() { (f - e).abs() } else { f64::INFINITY };
        let excess = error - allowed;
        if excess > 0.0 && (wrong.is_none() || excess > worst.1) {
            worst.1 = excess;
            wrong = Some(format!("element {i}: expected {e}, found {f}, allowed {allowed:.3e}"));
        }
        worst.0 = error.max(worst.0);
    }
    wrong.map_or(Ok(worst.0), Err)
}

/// Compares lists of results; the largest difference in any.
///
/// # Errors
/// As [`compare`], with the position of the tensor.
pub fn compare_all(
    found: &[Tensor],
    expected: &[Tensor],
    tolerance: &dyn Fn(&Tensor) -> Tolerance,
) -> Result<f64, String> {
    if found.len() != expected.len() {
        return Err(format!("expected {} outputs, found {}", expected.len(), found.len()));
    }
    let mut worst = 0.0f64;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        worst = worst.max(compare(f, e, tolerance(e)).map_err(|e| format!("output {i}: {e}"))?);
    }
    Ok(worst)
}

/// Loads with default options.
pub fn load(path: &Path) -> Result<Model, Error> {
    Model::load(path, &LoadOptions::default())
}
