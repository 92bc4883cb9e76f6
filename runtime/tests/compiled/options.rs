//! Files of other versions, compilers, targets and precisions.

use std::path::{Path, PathBuf};

use octrt::fingerprint;
use octrt::{Error, ErrorKind, LoadOptions, Model, detect_isa, detect_target};
use octrt_compiler::{Isa, Precision, Target};
use octrt_ops::graph::text::parse;
use serde_json::json;

use crate::given::*;
use crate::support::compiled_file::{Parts, seal};
use crate::support::root;

#[test]
fn another_version_of_the_format_is_stale() {
    let mut file = packed_file();
    file[8] = 77;
    // Another version may have another header, so the version is looked at first.
    for sealed in [false, true] {
        if sealed {
            seal(&mut file);
        }
        let e = load(&file).unwrap_err();
        assert!(matches!(e, Error::Stale { .. }), "{e}");
        assert_eq!(e.to_string(), "model: expected version 4 of the format, found 77; compile it again");
    }
}

#[test]
fn the_work_of_another_compiler_is_stale() {
    let mut parts = Parts::of(&packed_file());
    parts.manifest["compiler"] = json!("0123456789abcdef");
    parts.manifest["octrt"] = json!("0.0.9");
    let e = load(&parts.file()).unwrap_err();
    assert!(matches!(e, Error::Stale { .. }), "{e}");
    assert_eq!(e.kind(), ErrorKind::Unsupported);
    let text = e.to_string();
    for part in ["0.0.9", "0123456789abcdef", fingerprint(), env!("CARGO_PKG_VERSION"), "compile it again"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Every file whose change may change what a model becomes: also those of the importer, for the cache folder knows a
/// model by its bytes.
#[test]
fn the_fingerprint_is_that_of_all_sources() {
    fn list(folder: &Path, name: &str, files: &mut Vec<(PathBuf, PathBuf)>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = format!("{name}/{}", entry.file_name().to_str().unwrap());
            match entry.path() {
                path if path.is_dir() => list(&path, &name, files),
                path => files.push((name.into(), path)),
            }
        }
    }
    let of = |folder: &str| {
        let mut files = Vec::new();
        list(&root().join(folder), "src", &mut files);
        files.sort();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for (name, path) in files {
            let text = std::fs::read(path).unwrap();
            for byte in name.to_str().unwrap().bytes().chain([0]).chain(text).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    };
    assert_eq!(fingerprint(), ["ops/src", "onnx/src", "compiler/src"].map(of).join("-"));
}

#[test]
fn a_manifest_of_another_compiler_need_not_be_understood() {
    let mut parts = Parts::of(&packed_file());
    let fields = parts.manifest.as_object_mut().unwrap();
    fields.insert("compiler".to_string(), json!("0123456789abcdef"));
    fields.remove("weights");
    let e = load(&parts.file()).unwrap_err();
    assert!(matches!(e, Error::Stale { .. }), "{e}");
}

#[test]
fn another_target_than_the_one_asked_for() {
    let host = detect_target().unwrap();
    let other = Target::new(if host.isa == Isa::V2 { Isa::V3 } else { Isa::V2 });
    let file = packed_file();
    let load = |target| Model::from_bytes(file.clone(), &LoadOptions::default().with_target(target));
    assert_eq!(load(None).unwrap().target().unwrap(), host);
    assert_eq!(load(Some(host)).unwrap().target().unwrap(), host);
    let e = load(Some(other)).unwrap_err();
    assert!(matches!(e, Error::Target(_)), "{e}");
    assert_eq!(e.to_string(), format!("model: it was compiled for {host}, not for {other}"));
}

#[test]
fn a_target_that_this_machine_is_not() {
    let host = Target::new(detect_isa().unwrap());
    let Some(newer) = [Isa::V3, Isa::V4].into_iter().find(|&isa| isa > host.isa) else {
        return eprintln!("SKIPPED: this machine runs code for every target");
    };
    let options = LoadOptions::default().with_target(Target::new(newer));
    let model = Model::from_graph(parse(PACKED, &[]).unwrap(), &options).unwrap();
    let file = saved(&model, &types(&model, 1));
    let e = load(&file).unwrap().session().unwrap_err();
    assert!(matches!(e, Error::Target(_)), "{e}");
    assert!(e.to_string().contains(&host.to_string()), "{e}");
}

#[test]
fn precisions() {
    let file = |precision| {
        let options = LoadOptions::default().with_precision(precision);
        let model = Model::from_graph(parse(PACKED, &[]).unwrap(), &options).unwrap();
        saved(&model, &types(&model, 1))
    };
    let (default, strict) = (file(Precision::Default), file(Precision::Strict));
    let load = |file: &[u8], precision| {
        Model::from_bytes(file.to_vec(), &LoadOptions::default().with_precision(precision))
    };
    let e = load(&default, Precision::Strict).unwrap_err();
    assert!(matches!(e, Error::Stale { .. }), "{e}");
    assert!(e.to_string().contains("expected precision strict, it was compiled for default"), "{e}");
    assert!(load(&default, Precision::Default).is_ok() && load(&strict, Precision::Strict).is_ok());
    // What is exact enough for strict is so for everybody.
    let model = load(&strict, Precision::Default).unwrap();
    let inputs = inputs(&types(&model, 1));
    assert!(results(&model, &inputs).unwrap() == answer(&strict, &inputs).unwrap());
}

#[test]
fn limits() {
    let file = packed_file();
    let load = |max_memory| {
        Model::from_bytes(file.clone(), &LoadOptions::default().with_max_memory(max_memory))
            .and_then(|m| m.session().map(|_| m))
    };
    let least = (0..64).map(|i| file.len() / 2 + i * file.len() / 16).find(|&n| load(n).is_ok()).unwrap();
    for max_memory in [0, 1, file.len() - 1, file.len(), least - file.len() / 16] {
        let e = load(max_memory).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Limit, "limit {max_memory}: {e}");
        assert!(e.to_string().contains("the limit is"), "limit {max_memory}: {e}");
    }
}
