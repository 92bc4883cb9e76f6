//! By what the work of one octrt is known to another.

use std::sync::LazyLock;

static OF_ALL: LazyLock<String> = LazyLock::new(|| {
    [octrt_ops::FINGERPRINT, octrt_onnx::FINGERPRINT, octrt_compiler::FINGERPRINT].join("-")
});

/// Changes with every change of the sources that decide what a model becomes: of the operators, of the importer and of the
/// compiler. What one octrt has compiled, another one with the same fingerprint can use.
pub fn fingerprint() -> &'static str {
    &OF_ALL
}
