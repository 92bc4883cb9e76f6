//! What nodes are written with.

use octrt_ops::{Graph, Tensor, ValueId};
use prost::bytes::Bytes;

use crate::elem::ElemType;
use crate::proto::{NodeProto, TensorProto};

/// A graph, and its nodes in ONNX as far as they are written.
pub(super) struct Writer<'a> {
    /// The graph that is written.
    pub(super) graph: &'a Graph,
    /// The opset by which it is written.
    pub(super) opset: i64,
    /// ONNX name of each value.
    pub(super) names: Vec<String>,
    /// Its nodes as far as they are written.
    pub(super) nodes: Vec<NodeProto>,
}

impl Writer<'_> {
    /// The ONNX name of a value.
    pub(super) fn name(&self, value: ValueId) -> &str {
        &self.names[value.index()]
    }
}

/// Bytes of a tensor, shared.
struct TensorBytes(Tensor);

impl AsRef<[u8]> for TensorBytes {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A tensor that shares the bytes of `t`.
pub(super) fn tensor(name: &str, t: &Tensor) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: t.shape().iter().map(|d| *d as i64).collect(),
        data_type: ElemType::from(t.dtype()).onnx(),
        raw_data: Bytes::from_owner(TensorBytes(t.clone())),
        ..TensorProto::default()
    }
}
