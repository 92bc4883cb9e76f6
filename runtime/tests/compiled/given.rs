//! What the tests start from: small models as compiled files, and what is asked of models.

use std::path::Path;

use octrt::{Error, LoadOptions, Model};
use octrt_ops::compute;
use octrt_ops::expr::Scalar;
use octrt_ops::graph::text::parse;
use octrt_ops::{DType, Dim, Tensor, TensorType};

use crate::support::{self, root};

/// The carried network.
pub fn carried() -> Model {
    Model::load(root().join("bench/shapes/oct_resnet_shapes.onnx"), &LoadOptions::default()).unwrap()
}

/// The model of a graph.
pub fn model(text: &str) -> Model {
    let graph = parse(text, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
    Model::from_graph(graph, &LoadOptions::default()).unwrap()
}

/// The graphs that fuzzing starts from.
pub fn small_models() -> Vec<Model> {
    let mut files: Vec<_> = std::fs::read_dir(root().join("runtime/fuzz/seeds")).unwrap().collect();
    files.sort_by_key(|e| e.as_ref().unwrap().path());
    files.into_iter().map(|e| model(&std::fs::read_to_string(e.unwrap().path()).unwrap())).collect()
}

/// Two convolutions whose weights are packed, the first ones more than 64 KiB, between constants that are not.
pub const PACKED: &str = r#"graph "packed" {
  input %0 "x": f32[1,32,6,6]
  const %1 "w1": f32[64,32,3,3] = random(1)
  const %2 "b1": f32[64] = random(2)
  const %3 "w2": f32[16,64,1,1] = random(3)
  const %4 "index": i64[4] = [3, 0, -1, 2]
  const %5 "factors": f32[1,16,1,5] = random(4)
  %6 "c1" = n0 "conv1" Conv { kernel = [3, 3], strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1], auto_pad = notset, group = 1 } (%0, %1, %2)
  %7 "r1" = n1 "relu1" Unary { kind = relu } (%6)
  %8 "c2" = n2 "conv2" Conv { kernel = [1, 1], strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], auto_pad = notset, group = 1 } (%7, %3)
  %9 "g" = n3 "gather" Gather { axis = 3 } (%8, %4)
  %10 "p" = n4 "pool" Reduce { kind = mean, keep_dims = 1, noop_with_empty_axes = 0 } (%9)
  %11 "m" = n5 "mul" Binary { kind = mul } (%10, %5)
  output "y" = %9
  output "z" = %11
}
"#;

/// The types of the inputs, dynamic dimensions being `extent`.
pub fn types(model: &Model, extent: usize) -> Vec<TensorType> {
    let fixed = |d: &Dim| if let Dim::Fixed(d) = d { *d } else { extent };
    let ty = |p: &octrt::PortInfo| {
        let dims: Vec<usize> = p.dims.iter().flatten().map(fixed).collect();
        TensorType::new(p.dtype.inside(), dims)
    };
    model.inputs().iter().map(ty).collect()
}

/// The file of a model compiled for inputs of these types.
pub fn saved(model: &Model, types: &[TensorType]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.octrt");
    model.save(types, &path).unwrap_or_else(|e| panic!("{}: {e}", model.name()));
    std::fs::read(path).unwrap()
}

/// [`PACKED`] as a file.
pub fn packed_file() -> Vec<u8> {
    let model = model(PACKED);
    saved(&model, &types(&model, 1))
}

/// Inputs of these types: numbers of both signs.
pub fn inputs(types: &[TensorType]) -> Vec<Tensor> {
    // Small, so that they are also positions.
    let number = |i: usize| (i * 7 % 9) as i64 - 4;
    let tensor = |ty: &TensorType| {
        let element = |i: usize| match ty.dtype {
            DType::F32 | DType::F64 => Scalar::F32(number(i) as f32 / 8.0),
            DType::U8 => Scalar::U8((i * 37) as u8),
            DType::Bool => Scalar::Bool(i.is_multiple_of(3)),
            _ => Scalar::I64(number(i)),
        };
        let elements: Vec<Scalar> = (0..ty.shape.numel()).map(|i| element(i).cast(ty.dtype)).collect();
        compute::tensor(ty, &elements)
    };
    types.iter().map(|ty| tensor(ty).unwrap()).collect()
}

/// Results of a session of its own.
pub fn results(model: &Model, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    support::run(&mut model.session()?, inputs)
}

/// Loads a file's bytes with default options.
pub fn load(bytes: &[u8]) -> Result<Model, Error> {
    Model::from_bytes(bytes.to_vec(), &LoadOptions::default())
}

/// Loads and runs a file's bytes.
pub fn answer(bytes: &[u8], inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
    results(&load(bytes)?, inputs)
}

/// The names in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
