//! What must hold for any bytes given as a model: a typed error or a result. Tests and fuzz targets call it.
#![allow(dead_code)]

use octrt::{Error, ErrorKind, LoadOptions, Model, TensorRef};
use octrt_ops::compute;
use octrt_ops::expr::Scalar;
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{DType, Dim, Graph, Tensor, TensorType};

/// Bytes that the tensors of one run may take.
pub const MEMORY: usize = 1 << 16;
/// Multiply-accumulates of one run that are worth waiting for, for each byte of memory.
const MACS_PER_BYTE: u64 = 256;
/// Extents tried for dynamic dimensions.
const DYNAMIC: [usize; 2] = [2, 0];

/// How far the bytes got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reached {
    /// The model was refused.
    Load,
    /// The model was loaded; compilation or the run was refused for all inputs tried.
    Run,
    /// Results.
    Results,
}

/// Options with limits for models that may ask for anything.
pub fn options(max_memory: usize) -> LoadOptions {
    LoadOptions::default().with_max_memory(max_memory)
}

/// Loads the model, compiles and runs it.
///
/// # Panics
/// When an error is not the model's fault, or says nothing; when a second run gives other results.
pub fn survive(bytes: &[u8], max_memory: usize) -> Reached {
    survive_loading(Model::from_bytes(bytes.to_vec(), &options(max_memory)), max_memory)
}

/// As [`survive`] for a model that is a graph.
///
/// # Panics
/// As [`survive`].
pub fn survive_graph(graph: Graph, max_memory: usize) -> Reached {
    survive_loading(Model::from_graph(graph, &options(max_memory)), max_memory)
}

fn survive_loading(model: Result<Model, Error>, max_memory: usize) -> Reached {
    let model = match model {
        Ok(model) => model,
        Err(e) => {
            judge(&e);
            return Reached::Load;
        }
    };
    let dynamic = model.fixed_input_types().is_none();
    let mut reached = Reached::Run;
    for &extent in if dynamic { &DYNAMIC[..] } else { &DYNAMIC[..1] } {
        match run(&model, extent, max_memory) {
            Ok(true) => reached = Reached::Results,
            Ok(false) => {}
            Err(e) => judge(&e),
        }
    }
    reached
}

/// An error of a model is the model's fault and says something.
fn judge(e: &Error) {
    assert!(e.to_string().len() > 10, "an error without a message: {e:?}");
    let of_the_model = e.kind() != ErrorKind::Runtime || matches!(e, Error::Check { .. });
    assert!(of_the_model, "not the fault of the model: {e}");
}

/// Small numbers of both signs.
fn elements(ty: &TensorType) -> Tensor {
    let n = ty.shape.numel();
    let number = |i: usize| (i * 7 % 11) as i64 - 4;
    let element = |i: usize| match ty.dtype {
        DType::F32 | DType::F64 => Scalar::F32(number(i) as f32 / 4.0),
        DType::U8 => Scalar::U8((i * 37) as u8),
        DType::Bool => Scalar::Bool(i.is_multiple_of(3)),
        _ => Scalar::I64(number(i)),
    };
    let elements: Vec<Scalar> = (0..n).map(|i| element(i).cast(ty.dtype)).collect();
    compute::tensor(ty, &elements).expect("as many elements as the shape has")
}

/// Whether the model gave results; `false` when its inputs are too large to be tried.
fn run(model: &Model, extent: usize, max_memory: usize) -> Result<bool, Error> {
    let extents = |dims: &[Dim]| -> Vec<usize> {
        dims.iter().map(|d| if let Dim::Fixed(d) = d { *d } else { extent }).collect()
    };
    let types: Vec<TensorType> = model
        .inputs()
        .iter()
        .map(|p| TensorType::new(p.dtype.inside(), extents(p.dims.as_deref().unwrap_or_default())))
        .collect();
    let limits = Limits { max_bytes: max_memory };
    // A graph that is refused here is refused by the session too, which says so to the caller.
    let macs = model.graph().and_then(|g| specialize(g, &types, limits).ok()).map_or(0, |g| g.macs());
    if types.iter().any(|t| t.bytes() > max_memory) || macs > MACS_PER_BYTE * max_memory as u64 {
        return Ok(false);
    }
    let mut session = model.session()?;
    let tensors: Vec<Tensor> = types.iter().map(elements).collect();
    let mut inputs = Vec::new();
    // f64 and 16-bit inputs are given as zeros.
    let zeros: Vec<Vec<u8>> =
        model.inputs().iter().zip(&types).map(|(p, t)| vec![0; t.shape.numel() * p.dtype.size()]).collect();
    for ((port, tensor), zeros) in model.inputs().iter().zip(&tensors).zip(&zeros) {
        let bytes = if zeros.len() == tensor.bytes().len() { tensor.bytes() } else { zeros };
        inputs.push((port.name.as_str(), TensorRef::from_bytes(port.dtype, tensor.shape(), bytes)?));
    }
    let results = session.run(&inputs)?;
    assert_eq!(results.len(), model.outputs().len(), "number of outputs");
    assert!(session.run(&inputs)? == results, "the second run gives other results");
    Ok(true)
}
