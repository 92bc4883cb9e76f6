//! `src/proto.rs` is what prost generates from `proto/onnx.proto`; `OCTRT_BLESS=1` rewrites it, no protoc is needed.
//! Run it before the code that uses the types changes: the test links the library.

use std::path::Path;

use prost_build::{Config, Module};

/// The Rust source generated from `proto/onnx.proto` below `root`.
fn generate(root: &Path) -> String {
    let files = protox::compile(["onnx.proto"], [root.join("proto")]).expect("onnx.proto compiles");
    let requests = files
        .file
        .into_iter()
        .map(|file| (Module::from_protobuf_package_name(file.package()), file))
        .collect();
    let modules = Config::new()
        // Shared with the bytes of the model, so that weights are not copied.
        .bytes([".onnx.TensorProto.raw_data"])
        // Most attributes are small numbers.
        .boxed(".onnx.AttributeProto.t")
        .boxed(".onnx.AttributeProto.g")
        .generate(requests)
        .expect("onnx.proto generates");
    modules.into_values().collect()
}

#[test]
fn checked_in_types_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("src/proto.rs");
    let generated = generate(root);
    if std::env::var_os("OCTRT_BLESS").is_some() {
        std::fs::write(&path, &generated).expect("src/proto.rs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == generated, "src/proto.rs is stale: OCTRT_BLESS=1 cargo test -p octrt-onnx --test proto");
}
