//! ONNX models, written byte by byte, from file to results.
#![allow(missing_docs)]

mod wire;

use half::{bf16, f16};
use octrt::{Element, Error, ErrorKind, LoadOptions, Model, Specialization, Tensor, TensorMut, TensorRef};
use octrt_ops::{DType, Dim, TensorType};
use wire::{External, Weight, model, model_of};

const F32: u64 = 1;
const F16: u64 = 10;
const BF16: u64 = 16;

fn options() -> LoadOptions {
    LoadOptions::default()
}

fn weight() -> Weight {
    Weight::Inside([0.5f32, 2.0, 4.0].iter().flat_map(|w| w.to_le_bytes()).collect())
}

/// `y = x * w` over three elements, with borders of type `T`.
fn run_as<T: Element + PartialEq + std::fmt::Debug>(elem: u64, x: [T; 3], expected: [T; 3]) {
    let model = Model::from_bytes(model("Mul", elem, "", &weight()), &options()).unwrap();
    assert_eq!(model.inputs()[0].dtype, T::DATA_TYPE);
    assert_eq!(model.outputs()[0].dtype, T::DATA_TYPE);
    assert_eq!(model.outputs()[0].dims, Some(vec![Dim::Fixed(3)]));
    let mut session = model.session().unwrap();
    let x = TensorRef::new(&[3], &x).unwrap();
    assert_eq!(session.run(&[("x", x)]).unwrap()[0].1.elements::<T>().unwrap(), expected);
    let mut y = Tensor::zeros(T::DATA_TYPE, &[3]).unwrap().elements::<T>().unwrap().to_vec();
    session.run_into(&[("x", x)], &mut [("y", TensorMut::new(&[3], &mut y).unwrap())]).unwrap();
    assert_eq!(y, expected);
}

#[test]
fn borders_keep_the_types_of_the_model() {
    let (x, y) = ([1.0f32, -3.0, 0.25], [0.5f32, -6.0, 1.0]);
    run_as(F32, x, y);
    run_as(F16, x.map(f16::from_f32), y.map(f16::from_f32));
    run_as(BF16, x.map(bf16::from_f32), y.map(bf16::from_f32));
}

#[test]
fn what_the_file_says_is_told() {
    let model = Model::from_bytes(model("Mul", F32, "n", &weight()), &options()).unwrap();
    assert_eq!(model.inputs()[0].to_string(), "f32[n]");
    assert_eq!(model.outputs()[0].to_string(), "f32[n]");
    assert_eq!(model.metadata()["classes"], "3");
    assert_eq!(model.about().opset, Some(13));
    assert!(model.fixed_input_types().is_none());
    assert!(model.graph().is_some());
}

#[test]
fn the_graph_is_told_for_some_inputs() {
    let model = Model::from_bytes(model("Mul", F16, "n", &weight()), &options()).unwrap();
    let of = |dtype| model.specialized(&Specialization::new([TensorType::new(dtype, [3])]));
    let graph = of(DType::F32).unwrap();
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.value(graph.outputs[0].value).ty, Some(TensorType::new(DType::F32, [3])));
    let e = of(DType::I64).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Input, "{e}");
}

#[test]
fn shapes_that_the_model_cannot_take_are_the_callers_fault() {
    let mut session =
        Model::from_bytes(model("Mul", F32, "n", &weight()), &options()).unwrap().session().unwrap();
    let e = session.run(&[("x", TensorRef::new(&[5], &[0.0f32; 5]).unwrap())]).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Input);
    assert!(
        e.to_string().starts_with("the inputs 'x': f32[5] do not fit the model: node 'mul' (Mul): "),
        "{e}"
    );
}

#[test]
fn files_and_their_external_weights_are_mapped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    let Weight::Inside(bytes) = weight() else { unreachable!() };
    std::fs::write(dir.path().join("w.bin"), [&[9; 64][..], &bytes].concat()).unwrap();
    let write = |location: &str, offset: u64| {
        let external = External { location: location.to_string(), offset, length: 12 };
        std::fs::write(&path, model("Mul", F32, "", &Weight::Outside(external))).unwrap();
    };
    write("w.bin", 64);
    let mut session = Model::load(&path, &options()).unwrap().session().unwrap();
    let y = session.run(&[("x", TensorRef::new(&[3], &[1.0f32; 3]).unwrap())]).unwrap();
    assert_eq!(y[0].1.elements::<f32>().unwrap(), [0.5, 2.0, 4.0]);

    for (location, offset) in [("w.bin", 65), ("../w.bin", 0), ("none.bin", 0)] {
        write(location, offset);
        let e = Model::load(&path, &options()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        assert!(e.to_string().contains(location) && e.to_string().contains("model.onnx"), "{e}");
    }
    let e = Model::from_bytes(std::fs::read(&path).unwrap(), &options()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt);
}

#[test]
fn files_that_are_no_models_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let e = Model::load(dir.path().join("none.onnx"), &options()).unwrap_err();
    assert!(matches!(e, Error::Io { .. }), "{e}");
    assert!(matches!(Model::load(dir.path(), &options()).unwrap_err(), Error::Io { .. }));
    let path = dir.path().join("m.onnx");
    for bytes in [&b""[..], b"\0", b"not a model", &model("Mul", F32, "", &weight())[..40]] {
        std::fs::write(&path, bytes).unwrap();
        let e = Model::load(&path, &options()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
    }
    let e = Model::from_bytes(model("Frobnicate", F32, "", &weight()), &options()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}");
    let small = options().with_max_memory(100);
    let e = Model::from_bytes(model("Mul", F32, "", &weight()), &small).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Limit, "{e}");
}

#[test]
fn a_declared_type_that_is_not_computed_is_refused() {
    const I64: u64 = 7;
    for dim in ["", "n"] {
        let e = Model::from_bytes(model_of("Mul", [F32, I64], dim, &weight()), &options()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{e}");
        assert!(e.to_string().contains("i64"), "{e}");
    }
}
