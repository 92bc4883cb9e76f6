//! Files whose checksums are right and whose manifest lies.

use octrt::{Error, ErrorKind, Model};
use octrt_ops::Tensor;
use serde_json::{Value, json};

use crate::given::*;
use crate::growing::Numbers;
use crate::support::compiled_file::{Parts, assemble, file_of};
use crate::support::hostile::{Reached, options, survive};

/// More than the models of this file need.
const MEMORY: usize = 8 << 20;

/// Loads and compiles.
fn prepared(file: &[u8]) -> Result<Model, Error> {
    let model = Model::from_bytes(file.to_vec(), &options(MEMORY))?;
    model.session()?;
    Ok(model)
}

/// The message about [`PACKED`] with a changed manifest, which must be refused as corrupt.
fn refused(change: impl FnOnce(&mut Parts)) -> String {
    let mut parts = Parts::of(&packed_file());
    let before = parts.manifest.clone();
    change(&mut parts);
    assert!(parts.manifest != before, "nothing changed");
    match prepared(&parts.file()) {
        Ok(_) => panic!("accepted: {}", parts.manifest),
        Err(e) => {
            assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
            assert!(e.to_string().starts_with("model: "), "{e}");
            e.to_string()
        }
    }
}

fn set(list: &'static str, i: usize, field: &'static str, value: Value) -> impl Fn(&mut Parts) {
    move |p| {
        assert!(p.manifest[list][i].get(field).is_some(), "{list} {i} {field}: {}", p.manifest[list]);
        p.manifest[list][i][field] = value.clone();
    }
}

#[test]
fn the_file_taken_apart_and_put_together_is_the_file() {
    let file = packed_file();
    let parts = Parts::of(&file);
    assert!(prepared(&parts.file()).is_ok());
    assert_eq!(parts.data.len() as u64, parts.manifest["data_bytes"].as_u64().unwrap());
    assert_eq!(parts.file()[..40].len(), 40);
    // A constant of 72 KiB that is there in packed form only, and one of 5120 bytes that is there in both.
    let at: Vec<bool> =
        parts.manifest["blobs"].as_array().unwrap().iter().map(|b| b["at"].is_null()).collect();
    assert_eq!(at, [true, false, false], "{}", parts.manifest["blobs"]);
    assert!(parts.manifest["weights"].as_array().unwrap().len() >= 2);
}

#[test]
fn places_in_the_data() {
    let parts = Parts::of(&packed_file());
    let len = parts.data.len() as u64;
    let wrong = [1, 32, 64, len - 64, len, len + 64, u64::MAX, u64::MAX - 63, 1 << 63];
    for at in wrong {
        for (list, i) in [("blobs", 1), ("weights", 0), ("weights", 1)] {
            if parts.manifest[list][i]["at"] == json!(at) {
                continue;
            }
            let message = refused(set(list, i, "at", json!(at)));
            assert!(message.contains(&at.to_string()), "{message}");
        }
    }
    // Overlapping and out of order: only the writer's own places are taken.
    let (a, b) = (parts.manifest["weights"][0]["at"].clone(), parts.manifest["weights"][1]["at"].clone());
    refused(set("weights", 1, "at", a.clone()));
    refused(|p| {
        p.manifest["weights"][0]["at"] = b;
        p.manifest["weights"][1]["at"] = a;
    });
    refused(set("blobs", 0, "at", json!(0)));
    refused(set("blobs", 1, "at", Value::Null));
    for at in [json!(-1), json!(0.5), json!("0"), json!([]), json!(1e30)] {
        refused(set("blobs", 1, "at", at.clone()));
        refused(set("weights", 1, "at", at));
    }
    let message = refused(set("weights", 1, "at", Value::Null));
    assert!(message.contains("null"), "{message}");
}

#[test]
fn lengths() {
    let bytes = Parts::of(&packed_file()).manifest["weights"][0]["bytes"].as_u64().unwrap();
    for wrong in [0, 1, 64, bytes - 64, bytes + 64, bytes * 2, u64::MAX, u64::MAX - 63] {
        refused(set("weights", 0, "bytes", json!(wrong)));
    }
    for dims in [json!([]), json!([1]), json!([64, 32, 3, 2]), json!([1u64 << 62, 8]), json!([-1])] {
        refused(set("weights", 0, "dims", dims.clone()));
        refused(set("blobs", 1, "dims", dims.clone()));
        refused(set("blobs", 0, "dims", dims));
    }
    for dtype in ["i64", "u8", "bool", "f64", "", "F32"] {
        refused(set("weights", 0, "dtype", json!(dtype)));
        refused(set("blobs", 1, "dtype", json!(dtype)));
    }
}

#[test]
fn what_is_missing_and_what_is_too_much() {
    for list in ["blobs", "weights"] {
        let all = Parts::of(&packed_file()).manifest[list].as_array().unwrap().clone();
        for i in 0..all.len() {
            let without: Vec<Value> =
                all.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| v.clone()).collect();
            refused(|p| p.manifest[list] = json!(without));
            let mut twice = all.clone();
            twice.insert(i, all[i].clone());
            refused(|p| p.manifest[list] = json!(twice));
        }
        refused(|p| p.manifest[list] = json!([]));
    }
    for field in Parts::of(&packed_file()).manifest.as_object().unwrap().keys() {
        if ["chunks", "data_bytes"].contains(&field.as_str()) {
            continue; // `Parts::file` sets them
        }
        let without = |p: &mut Parts| drop(p.manifest.as_object_mut().unwrap().remove(field));
        let mut parts = Parts::of(&packed_file());
        without(&mut parts);
        let e = prepared(&parts.file()).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. } | Error::Stale { .. }), "{e:?}");
    }
}

#[test]
fn checksums_of_the_data() {
    let mut parts = Parts::of(&packed_file());
    parts = Parts::of(&parts.file());
    let sum = parts.manifest["chunks"][0].clone();
    for chunks in [json!([]), json!([sum, sum]), json!([1]), json!([sum, 7, 8]), json!(null), json!([-1])] {
        parts.manifest["chunks"] = chunks;
        let e = prepared(&parts.file_as_it_is()).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
    }
    parts = Parts::of(&packed_file());
    let len = parts.data.len();
    for wrong in [0, len - 1, len + 1] {
        parts.manifest["data_bytes"] = json!(wrong);
        let e = prepared(&parts.file_as_it_is()).unwrap_err();
        assert_eq!(e.to_string(), format!("model: expected {wrong} bytes of data, found {len}"));
    }
    let mut longer = Parts::of(&packed_file());
    longer.data.resize(len + 64, 0);
    let e = prepared(&longer.file()).unwrap_err();
    assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
}

#[test]
fn recipes() {
    let packing = Parts::of(&packed_file()).manifest["weights"][0]["packing"].as_str().unwrap().to_string();
    for wrong in [String::new(), packing.replacen(char::is_numeric, "7", 1), packing.to_uppercase()] {
        let message = refused(set("weights", 0, "packing", json!(wrong)));
        assert!(message.contains("packed weight 0"), "{message}");
    }
    let second = Parts::of(&packed_file()).manifest["weights"][1]["packing"].clone();
    refused(set("weights", 0, "packing", second));
}

#[test]
fn ports() {
    for list in ["inputs", "outputs"] {
        for name in ["", "other", "z", "x\0"] {
            let message = refused(set(list, 0, "name", json!(name)));
            assert!(message.contains("put"), "{message}");
        }
        for dtype in ["f64", "i64", "i32", "i8", "u8", "bool", "f8", ""] {
            refused(set(list, 0, "dtype", json!(dtype)));
        }
        for dims in [json!([]), json!([1, 32, 6, 7]), json!([u64::MAX, 2]), json!([0]), json!([-1])] {
            refused(set(list, 0, "dims", dims));
        }
        refused(|p| p.manifest[list] = json!([]));
        refused(|p| {
            let ports = p.manifest[list].as_array_mut().unwrap();
            ports.push(ports[0].clone());
        });
        // Narrower floats at the border are a choice of whoever wrote the file.
        let mut parts = Parts::of(&packed_file());
        parts.manifest[list][0]["dtype"] = json!("f16");
        assert_eq!(survive(&parts.file(), MEMORY), Reached::Results);
    }
    refused(|p| p.manifest["outputs"].as_array_mut().unwrap().swap(0, 1));
}

#[test]
fn targets_and_precisions() {
    for target in ["", "x86-64-v9", "arm64", "x86-64-v2 "] {
        let message = refused(|p| p.manifest["target"] = json!(target));
        assert!(message.contains("expected x86-64-v2, x86-64-v3 or x86-64-v4"), "{message}");
    }
    refused(|p| p.manifest["precision"] = json!("fast"));
    // Another target wants other packed weights; one that the machine is not is told apart.
    for target in ["x86-64-v2", "x86-64-v3", "x86-64-v4"] {
        let mut parts = Parts::of(&packed_file());
        // What is known of the processor beside its instructions packs nothing otherwise here.
        if parts.manifest["target"].as_str().unwrap().starts_with(target) {
            continue;
        }
        parts.manifest["target"] = json!(target);
        let e = prepared(&parts.file()).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. } | Error::Target(_)), "{e:?}");
    }
}

/// A constant that is not stored is zeros; who says so of one that decides what is read gets what zeros give.
#[test]
fn constants_that_are_said_to_be_packed_only() {
    let index: Vec<i64> = (0..100).map(|i| i % 5).collect();
    let text = format!(
        "graph \"g\" {{\n  input %0 \"x\": f32[2,5]\n  const %1: i64[100] = {index:?}\n  %2 = \"g\" Gather {{ axis = 1 }} (%0, %1)\n  output \"y\" = %2\n}}\n"
    );
    let model = model(&text);
    let types = types(&model, 1);
    let mut parts = Parts::of(&saved(&model, &types));
    assert_eq!(parts.manifest["blobs"][0]["at"], json!(0));
    let inputs = inputs(&types);
    let x = inputs[0].to_vec::<f32>().unwrap();
    assert_eq!(answer(&parts.file(), &inputs).unwrap()[0].to_vec::<f32>().unwrap()[..5], x[..5]);
    for wrong in [5i64, -6, 1 << 40, i64::MIN, i64::MAX] {
        let mut bad = parts.clone();
        bad.data[..8].copy_from_slice(&wrong.to_le_bytes());
        let e = prepared(&bad.file()).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
        assert!(e.to_string().contains("Gather"), "{e}");
    }
    parts.manifest["blobs"][0]["at"] = Value::Null;
    parts.data.clear();
    match answer(&parts.file(), &inputs) {
        Ok(y) => assert!(y[0].to_vec::<f32>().unwrap()[..100].iter().all(|v| *v == x[0])),
        Err(e) => assert!(matches!(e, Error::Corrupt { .. }), "{e:?}"),
    }
}

#[test]
fn a_bool_that_is_neither() {
    let bools: Vec<bool> = (0..70).map(|i| i % 3 == 0).collect();
    let text = format!(
        "graph \"g\" {{\n  input %0 \"x\": f32[70]\n  const %1: bool[70] = {bools:?}\n  %2 = \"w\" Where (%1, %0, %0)\n  output \"y\" = %2\n  output \"b\" = %1\n}}\n"
    );
    let model = model(&text);
    let mut parts = Parts::of(&saved(&model, &types(&model, 1)));
    parts.data[3] = 2;
    let e = prepared(&parts.file()).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Corrupt, "{e:?}");
}

/// One random edit of a value somewhere in the manifest.
fn edit(value: &mut Value, numbers: &mut Numbers) {
    const TEXTS: [&str; 6] = ["", "0", "x", "f32", "%1", "\u{0}\u{fffd}"];
    match value {
        Value::Object(fields) if !fields.is_empty() && !numbers.one_in(12) => {
            let key = fields.keys().nth(numbers.below(fields.len())).unwrap().clone();
            edit(&mut fields[&key], numbers);
        }
        Value::Array(items) if !items.is_empty() && !numbers.one_in(5) => {
            let i = numbers.below(items.len());
            match numbers.below(6) {
                0 => drop(items.remove(i)),
                1 => items.push(items[i].clone()),
                2 => items.swap(0, i),
                _ => edit(&mut items[i], numbers),
            }
        }
        Value::Number(n) => {
            let n = n.as_u64().unwrap_or(0);
            let near = [n ^ 1, n.wrapping_add(64), n.wrapping_sub(64), n.wrapping_mul(2), n / 2];
            let far = [0, 1, u64::MAX, 1 << 32, 1 << 63];
            *value = json!(if numbers.one_in(2) { numbers.pick(&near) } else { numbers.pick(&far) });
        }
        Value::String(text) if text.len() > 1 && !numbers.one_in(8) => *value = json!(garbled(text, numbers)),
        other => {
            let others = [
                json!(null),
                json!(0),
                json!(-1),
                json!(1.5),
                json!([]),
                json!({}),
                json!(true),
                json!([[]]),
            ];
            let i = numbers.below(others.len() + 1);
            *other = others.get(i).cloned().unwrap_or_else(|| json!(numbers.pick(&TEXTS)));
        }
    }
}

/// A text with a piece changed: a character, a number, a line.
pub fn garbled(text: &str, numbers: &mut Numbers) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = numbers.below(chars.len());
    let string = |c: &[char]| c.iter().collect::<String>();
    let (before, after) = (string(&chars[..at]), string(&chars[at..]));
    let rest = string(&chars[(at + 1).min(chars.len())..]);
    match numbers.below(8) {
        0 => before + &rest,
        1 => before + &string(&chars[at..at + (chars.len() - at).div_ceil(3)]) + &after,
        2 => {
            let mut lines: Vec<&str> = text.lines().collect();
            let (a, b) = (numbers.below(lines.len()), numbers.below(lines.len()));
            lines.swap(a, b);
            lines.join("\n")
        }
        3 => {
            let mut lines: Vec<&str> = text.lines().collect();
            lines.remove(numbers.below(lines.len()));
            lines.join("\n")
        }
        // Another number in place of the next one.
        4..=6 => {
            let digits: usize = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let end = after[digits..].find(|c: char| !c.is_ascii_digit()).map_or(after.len(), |n| digits + n);
            let new = numbers.pick(&["0", "1", "2", "3", "7", "64", "255", "65536", "4294967296", "-1"]);
            before + &after[..digits] + new + &after[end..]
        }
        _ => before + numbers.pick(&["%", "9", "(", "\"", "[", ",", "_", " "]) + &rest,
    }
}

#[test]
fn random_edits() {
    let mut files: Vec<Parts> = small_models().iter().map(|m| Parts::of(&saved(m, &types(m, 2)))).collect();
    files.push(Parts::of(&packed_file()));
    let mut reached = [0usize; 3];
    for seed in 0..3000u64 {
        let mut numbers = Numbers::of(seed);
        let mut parts = files[seed as usize % files.len()].clone();
        for _ in 0..1 + numbers.below(3) {
            edit(&mut parts.manifest, &mut numbers);
        }
        // The fingerprint is no protection: it is written in every file.
        if let Some(fields) = parts.manifest.as_object_mut() {
            fields.insert("compiler".to_string(), json!(octrt::fingerprint()));
        }
        reached[survive(&parts.file(), 1 << 20) as usize] += 1;
    }
    println!("refused when loaded, when run, results: {reached:?}");
    assert!(reached[0] > 1000 && reached[2] > 100, "{reached:?}");
}

/// What the fuzz target `compiled` does, on bytes changed at random.
#[test]
fn random_bytes() {
    let mut inputs: Vec<Vec<u8>> =
        small_models().iter().map(|m| Parts::of(&saved(m, &types(m, 2))).input()).collect();
    inputs.push(Parts::of(&packed_file()).input());
    let mut reached = [0usize; 3];
    for seed in 0..2000u64 {
        let mut numbers = Numbers::of(500_000 + seed);
        let mut input = inputs[seed as usize % inputs.len()].clone();
        for _ in 0..1 + numbers.below(4) {
            let at = numbers.below(input.len());
            match numbers.below(4) {
                0 => input[at] ^= 1 << numbers.below(8),
                1 => input[at] = numbers.pick(b"0127-,[]{}\"%\0\xff"),
                2 => drop(input.drain(at..(at + numbers.below(9)).min(input.len()))),
                _ => input.insert(at, numbers.pick(b"019 ,]}\\n")),
            }
        }
        reached[survive(&file_of(&input), 1 << 20) as usize] += 1;
    }
    println!("refused when loaded, when run, results: {reached:?}");
    assert!(reached[0] > 100 && reached[2] > 100, "{reached:?}");
}

#[test]
fn bytes_that_are_no_manifest() {
    let deep = "[".repeat(1 << 20);
    for manifest in ["", "{", "null", "[]", "{}", "\u{0}", &deep] {
        let e = load(&assemble(manifest.as_bytes(), &[])).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
    }
    let e = load(&assemble(&[0xff; 100], &[0; 64])).unwrap_err();
    assert!(matches!(e, Error::Corrupt { .. }), "{e:?}");
}

/// What a hostile file makes of [`PACKED`] is still a model of its ports.
#[test]
fn other_weights_give_other_results_and_no_harm() {
    let mut parts = Parts::of(&packed_file());
    let inputs = inputs(&types(&model(PACKED), 1));
    let right = answer(&parts.file(), &inputs).unwrap();
    for byte in [0x00, 0xff, 0x7f] {
        parts.data.fill(byte);
        let found: Vec<Tensor> = answer(&parts.file(), &inputs).unwrap();
        assert!(found != right && found.iter().map(Tensor::ty).eq(right.iter().map(Tensor::ty)));
    }
}

/// Values that decide shapes: of inputs that exist, once each, of their size, and true bools.
#[test]
fn values_of_inputs() {
    let text = "graph \"g\" {\n input %0 \"x\": f32[2,3]\n input %1 \"shape\": i64[2]\n input %2 \"flag\": bool[1]\n \
                %3 = Reshape { allow_zero = 0 } (%0, %1)\n output \"y\" = %3\n output \"f\" = %2\n}";
    let model = model(text);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.octrt");
    let shape = octrt::Tensor::new(&[2], &[3i64, 2]).unwrap();
    model.save_on(&octrt::Specialization::new(types(&model, 1)).with_value(1, shape), &path).unwrap();
    let parts = Parts::of(&std::fs::read(&path).unwrap());
    let stored = json!([{"input": "shape", "bytes": [3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]}]);
    assert_eq!(parts.manifest["values"], stored);
    assert!(prepared(&parts.file()).is_ok());
    let one = &stored[0];
    for (values, message) in [
        (json!([one, one]), "two values are stored of 'shape'"),
        (json!([{"input": "none", "bytes": []}]), "a value is stored of 'none', which is no input"),
        (json!([{"input": "shape", "bytes": []}]), "the value of 'shape': 0 elements (0 bytes)"),
        (json!([{"input": "flag", "bytes": [2]}]), "the value of 'flag': the byte 2 is no bool"),
        (json!([{"input": "shape", "bytes": [256]}]), "invalid value"),
        (json!([{"input": "shape"}]), "missing field"),
    ] {
        let mut parts = parts.clone();
        parts.manifest["values"] = values;
        let e = prepared(&parts.file()).unwrap_err();
        assert!(matches!(e, Error::Corrupt { .. }) && e.to_string().contains(message), "{message}: {e}");
    }
    // A file may lie about what it was compiled for, but not about where code reads.
    let mut parts = parts.clone();
    parts.manifest["values"] = json!([{"input": "x", "bytes": vec![0; 24]}]);
    assert_eq!(prepared(&parts.file()).unwrap().value_inputs(), [0]);
}
