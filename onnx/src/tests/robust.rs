//! Damaged files: any answer but a panic.

use super::*;
use crate::unsupported;

/// A small model with some of everything.
fn sample() -> Vec<u8> {
    let nodes = vec![
        node("Constant", &[], &["two"], vec![tensor_attribute("value", i64_tensor("t", &[0, -1]))]),
        node("Conv", &["x", "w", ""], &["c"], vec![ints("pads", &[0, 0, 0, 0]), text("auto_pad", "VALID")]),
        node("Clip", &["c", "min"], &["d"], vec![]),
        node("Split", &["d"], &["e", "f"], vec![int("axis", 1)]),
        node("Sum", &["e", "f", "e"], &["g"], vec![]),
        node("Reshape", &["g", "two"], &["y"], vec![int("allowzero", 0)]),
    ];
    let mut weights = tensor("w", DataType::Float16, &[4, 4, 1, 1]);
    weights.raw_data = Bytes::from(vec![0x3cu8; 32]);
    model(nodes, vec![weights, f32_tensor("min", &[], &[0.0])]).encode_to_vec()
}

fn try_import(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    // Both the graph and the refusal are fine.
    let imported = import(bytes.clone(), &NoExternalData);
    let listed = unsupported(bytes);
    if imported.is_ok() {
        assert_eq!(listed, Ok(Vec::new()));
    }
}

#[test]
fn a_whole_file_imports() {
    import(Bytes::from(sample()), &NoExternalData).expect("a model");
}

#[test]
fn truncated_files_do_not_panic() {
    let whole = sample();
    for end in 0..whole.len() {
        try_import(whole[..end].to_vec());
    }
}

#[test]
fn damaged_files_do_not_panic() {
    let whole = sample();
    for i in 0..whole.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff, !whole[i], whole[i] ^ 1, whole[i] ^ 0x10] {
            let mut damaged = whole.clone();
            damaged[i] = value;
            try_import(damaged);
        }
    }
}

#[test]
fn deep_nesting_is_refused() {
    // field 7 (graph) of field 1 (node) of field 5 (attribute) of field 6 (graph) ... each holding the next.
    let mut bytes = Vec::new();
    for tag in [0x0au8, 0x2a, 0x32].iter().cycle().take(3000) {
        let mut outer = vec![*tag];
        prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
        outer.append(&mut bytes);
        bytes = outer;
    }
    let mut model = vec![0x3a];
    prost::encoding::encode_varint(bytes.len() as u64, &mut model);
    model.append(&mut bytes);
    assert!(matches!(import(Bytes::from(model), &NoExternalData), Err(OnnxError::Corrupt { .. })));
}
