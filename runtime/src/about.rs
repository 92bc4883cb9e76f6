//! What files of models say about themselves.

use std::collections::BTreeMap;

/// What a model's file says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// The model's own notes (`metadata_props` in ONNX).
    pub metadata: BTreeMap<String, String>,
    /// Version of the ONNX operators; none for a model that does not come from ONNX.
    pub opset: Option<i64>,
    /// The program that wrote the model; empty when it does not say.
    pub producer: String,
    /// What is unusual but was read: one sentence each, naming the place.
    pub warnings: Vec<String>,
}
