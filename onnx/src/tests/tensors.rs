//! Every encoding of tensors, and what is wrong with some.

use std::sync::{Arc, Mutex};

use half::{bf16, f16};
use octrt_ops::tensor::SharedBytes;
use octrt_ops::{Element, Tensor};
use prost::bytes::Bytes;

use super::{DataType, f32_tensor, load as load_model, model, node, tensor};
use crate::error::Fault;
use crate::external::{ExternalData, NoExternalData};
use crate::proto::tensor_proto::{DataLocation, Segment};
use crate::proto::{StringStringEntryProto, TensorProto};
use crate::tensor::load;

fn raw(elem: DataType, dims: &[i64], bytes: &[u8]) -> TensorProto {
    TensorProto { raw_data: Bytes::copy_from_slice(bytes), ..tensor("w", elem, dims) }
}

fn read(proto: &TensorProto) -> Tensor {
    load(proto, &NoExternalData).expect("a tensor").tensor
}

fn elements<T: Element>(proto: &TensorProto) -> Vec<T> {
    read(proto).to_vec().expect("elements")
}

fn fault(proto: &TensorProto) -> Fault {
    load(proto, &NoExternalData).expect_err("a fault")
}

#[test]
fn raw_elements() {
    let f: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(elements::<f32>(&raw(DataType::Float, &[2, 1], &f)), [1.5, -2.0]);
    let i: Vec<u8> = [7i64, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(elements::<i64>(&raw(DataType::Int64, &[2], &i)), [7, -1]);
    let i: Vec<u8> = [7i32, -1].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(elements::<i32>(&raw(DataType::Int32, &[2], &i)), [7, -1]);
    assert_eq!(elements::<u8>(&raw(DataType::Uint8, &[2], &[7, 255])), [7, 255]);
    assert_eq!(elements::<bool>(&raw(DataType::Bool, &[3], &[0, 1, 7])), [false, true, true]);
    assert_eq!(read(&raw(DataType::Bool, &[1], &[7])).bytes(), [1]);
}

#[test]
fn raw_elements_of_other_floats() {
    let h: Vec<u8> = [1.5, 1e-7].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
    let expected = [1.5, f16::from_f32(1e-7).to_f32()];
    assert_eq!(elements::<f32>(&raw(DataType::Float16, &[2], &h)), expected);
    let b = bf16::from_f32(3.0).to_le_bytes();
    assert_eq!(elements::<f32>(&raw(DataType::Bfloat16, &[], &b)), [3.0]);
    let d: Vec<u8> = [0.1f64, 1e300].iter().flat_map(|v| v.to_le_bytes()).collect();
    let loaded = load(&raw(DataType::Double, &[2], &d), &NoExternalData).expect("a tensor");
    assert_eq!(loaded.tensor.to_vec::<f64>(), Ok(vec![0.1, 1e300]));
    assert_eq!(loaded.remarks, [""; 0]);
}

#[test]
fn typed_elements() {
    let ints = |elem, values: &[i32]| TensorProto {
        int32_data: values.to_vec(),
        ..tensor("w", elem, &[values.len() as i64])
    };
    assert_eq!(elements::<f32>(&f32_tensor("w", &[2], &[0.5, 2.0])), [0.5, 2.0]);
    assert_eq!(elements::<i32>(&ints(DataType::Int32, &[-5])), [-5]);
    assert_eq!(elements::<u8>(&ints(DataType::Uint8, &[200])), [200]);
    assert_eq!(elements::<bool>(&ints(DataType::Bool, &[0, 1])), [false, true]);
    let half = i32::from(f16::from_f32(-1.5).to_bits());
    assert_eq!(elements::<f32>(&ints(DataType::Float16, &[half])), [-1.5]);
    let brain = i32::from(bf16::from_f32(-1.5).to_bits());
    assert_eq!(elements::<f32>(&ints(DataType::Bfloat16, &[brain])), [-1.5]);
    let longs = TensorProto { int64_data: vec![9], ..tensor("w", DataType::Int64, &[]) };
    assert_eq!(elements::<i64>(&longs), [9]);
    let doubles = TensorProto { double_data: vec![0.25], ..tensor("w", DataType::Double, &[1]) };
    assert_eq!(elements::<f64>(&doubles), [0.25]);
    let wide = |elem, v: u64| TensorProto { uint64_data: vec![v], ..tensor("w", elem, &[1]) };
    assert_eq!(elements::<u64>(&wide(DataType::Uint64, u64::MAX)), [u64::MAX]);
    assert_eq!(elements::<u32>(&wide(DataType::Uint32, 7)), [7]);
    assert!(matches!(fault(&wide(DataType::Uint32, 1 << 32)), Fault::Corrupt(_)));
    assert_eq!(elements::<i8>(&ints(DataType::Int8, &[-128])), [-128]);
    assert_eq!(elements::<i16>(&ints(DataType::Int16, &[-300])), [-300]);
    assert_eq!(elements::<u16>(&ints(DataType::Uint16, &[65535])), [65535]);
    assert_eq!(read(&tensor("w", DataType::Float, &[0, 3])).shape().dims(), [0, 3]);

    let message = fault(&ints(DataType::Uint8, &[300]));
    assert_eq!(message, Fault::Corrupt("the element 300 is out of the type's range".into()));
    assert!(matches!(fault(&ints(DataType::Float16, &[-1])), Fault::Corrupt(_)));
}

#[test]
fn small_integers_get_a_byte_each() {
    let nibbles = [0x81, 0x0f];
    assert_eq!(elements::<i8>(&raw(DataType::Int4, &[3], &nibbles)), [1, -8, -1]);
    assert_eq!(elements::<u8>(&raw(DataType::Uint4, &[3], &nibbles)), [1, 8, 15]);
    assert_eq!(elements::<i8>(&raw(DataType::Int2, &[2, 2], &[0b1101_1000])), [0, -2, 1, -1]);
    assert_eq!(elements::<u8>(&raw(DataType::Uint2, &[5], &[0b1101_1000, 2])), [0, 2, 1, 3, 2]);
    let typed = TensorProto { int32_data: vec![0x81, 0x0f], ..tensor("w", DataType::Int4, &[4]) };
    assert_eq!(elements::<i8>(&typed), [1, -8, -1, 0]);
    assert!(matches!(fault(&raw(DataType::Int4, &[5], &nibbles)), Fault::Corrupt(_)));
    let large = TensorProto { int32_data: vec![256], ..tensor("w", DataType::Int4, &[1]) };
    assert!(matches!(fault(&large), Fault::Corrupt(_)));
}

#[test]
fn contradictions_are_refused_before_anything_is_allocated() {
    let corrupt = |proto: &TensorProto, part: &str| match fault(proto) {
        Fault::Corrupt(message) => assert!(message.contains(part), "{message}"),
        other => panic!("{other:?}"),
    };
    corrupt(&raw(DataType::Float, &[2], &[0; 7]), "should have 8 bytes by the dimensions, it has 7");
    corrupt(&f32_tensor("w", &[2], &[1.0]), "should have 2 elements by the dimensions, it has 1");
    corrupt(&f32_tensor("w", &[1 << 40], &[1.0]), "should have 1099511627776 elements");
    corrupt(&f32_tensor("w", &[-1], &[1.0]), "dimension -1 is negative");
    corrupt(&tensor("w", DataType::Float, &[2]), "it has 0");
    let both = TensorProto { int32_data: vec![1], ..f32_tensor("w", &[1], &[1.0]) };
    corrupt(&both, "elements are in int32_data; expected in float_data");
    let both = TensorProto { float_data: vec![1.0], ..raw(DataType::Float, &[1], &[0; 4]) };
    corrupt(&both, "expected in raw_data");
    let huge = tensor("w", DataType::Double, &[i64::MAX, 3]);
    assert!(matches!(fault(&huge), Fault::TooLarge(_)));
    let huge = tensor("w", DataType::Double, &[i64::MAX / 5]);
    assert!(matches!(fault(&huge), Fault::TooLarge(_)));
}

#[test]
fn other_element_types_and_segments_are_not_supported() {
    for elem in [DataType::String, DataType::Complex64, DataType::Float8e4m3fn, DataType::Float4e2m1] {
        let name = elem.as_str_name().to_lowercase();
        let expected = Fault::Unsupported(format!("its elements are {name}"));
        assert_eq!(fault(&tensor("w", elem, &[0])), expected);
    }
    let part = TensorProto { segment: Some(Segment::default()), ..f32_tensor("w", &[1], &[1.0]) };
    assert!(matches!(fault(&part), Fault::Unsupported(_)));
}

#[test]
fn elements_that_are_not_finite_are_remarked() {
    let weights = f32_tensor("w", &[3], &[f32::NAN, 1.0, f32::NEG_INFINITY]);
    let add = node("Add", &["x", "w"], &["y"], vec![]);
    let model = load_model(&model(vec![add], vec![weights])).expect("a model");
    assert_eq!(
        model.warnings,
        ["initializer 'w': 1 of 3 elements are NaN", "initializer 'w': 1 of 3 elements are infinite"]
    );
}

#[test]
fn raw_elements_are_shared_with_the_model() {
    let weights = raw(DataType::Float, &[1], &1f32.to_le_bytes());
    let add = node("Add", &["x", "w"], &["y"], vec![]);
    let bytes = super::bytes(&model(vec![add], vec![weights]));
    let range = bytes.as_ptr_range();
    let model = crate::import(bytes, &NoExternalData).expect("a model");
    let weight = model.graph.values.iter().find(|v| v.name == "w").and_then(|v| match &v.def {
        octrt_ops::graph::ValueDef::Const(t) => Some(t),
        _ => None,
    });
    assert!(range.contains(&weight.expect("the weight").bytes().as_ptr()));
}

/// Remembers what was asked for.
#[derive(Default)]
struct Recorder(Mutex<Vec<(String, u64, u64)>>);

impl ExternalData for Recorder {
    fn read(&self, location: &str, offset: u64, length: u64) -> Result<SharedBytes, String> {
        self.0.lock().expect("a lock").push((location.into(), offset, length));
        Ok(Arc::new(vec![0u8; length as usize]))
    }
}

fn external(entries: &[(&str, &str)]) -> TensorProto {
    let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
        key: key.to_string(),
        value: value.to_string(),
    };
    TensorProto {
        data_location: DataLocation::External as i32,
        external_data: entries.iter().map(entry).collect(),
        ..tensor("w", DataType::Float, &[3])
    }
}

#[test]
fn external_elements() {
    let files = Recorder::default();
    load(&external(&[("location", "./w.bin"), ("offset", "8"), ("length", "12")]), &files).expect("a tensor");
    load(&external(&[("location", "a/w.bin")]), &files).expect("a tensor");
    assert_eq!(*files.0.lock().expect("a lock"), [("w.bin".into(), 8, 12), ("a/w.bin".into(), 0, 12)]);
}

#[test]
fn external_elements_that_cannot_be_had() {
    let fault =
        |entries: &[(&str, &str)]| load(&external(entries), &Recorder::default()).expect_err("a fault");
    assert!(matches!(fault(&[]), Fault::Corrupt(_)));
    assert!(matches!(fault(&[("location", "w"), ("offset", "-1")]), Fault::Corrupt(_)));
    assert!(matches!(fault(&[("location", "w"), ("length", "13")]), Fault::Corrupt(_)));
    assert!(matches!(fault(&[("location", "../w")]), Fault::ExternalData { .. }));
    let add = node("Add", &["x", "w"], &["y"], vec![]);
    let error = super::error(&model(vec![add], vec![external(&[("location", "w.bin")])]));
    expect_test::expect!["external data of initializer 'w' in 'w.bin': the model was given without its folder, so files beside it cannot be read"]
        .assert_eq(&error);
}
