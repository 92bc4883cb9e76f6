//! Decoding of a model and what its header says: versions, operator sets, types of inputs and outputs.

use std::collections::BTreeMap;

use octrt_ops::Dim;
use prost::Message;
use prost::bytes::Bytes;

use crate::elem::ElemType;
use crate::error::{Fault, OnnxError, corrupt, invalid, unsupported};
use crate::proto::tensor_shape_proto::dimension;
use crate::proto::{ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto, type_proto};

/// The lowest `ir_version` that is read.
const MIN_IR: i64 = 3;

/// How the file begins that Git leaves in the place of one that Git LFS keeps.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// The model in `bytes`. Weights in `raw_data` share `bytes`.
///
/// # Errors
/// [`OnnxError::Corrupt`] when the bytes are not a model with a graph and a version, [`OnnxError::Unsupported`] when the
/// version is too old.
pub(crate) fn decode(bytes: Bytes) -> Result<ModelProto, OnnxError> {
    let refuse = |message: String| OnnxError::Corrupt { place: "model".into(), message };
    if bytes.is_empty() {
        return Err(refuse("the file is empty".into()));
    }
    if bytes.starts_with(LFS_POINTER) {
        return Err(refuse(
            "the file is a Git LFS pointer, not the model; 'git lfs pull' fetches the model".into(),
        ));
    }
    let model = ModelProto::decode(bytes).map_err(|e| refuse(format!("not an ONNX model: {e}")))?;
    if model.graph.is_none() {
        return Err(refuse("not an ONNX model: it has no graph".into()));
    }
    match model.ir_version {
        found if found < 1 => Err(refuse(format!("not an ONNX model: its ir_version is {found}"))),
        found if found < MIN_IR => {
            let reason = format!("expected ir_version {MIN_IR} or later, found {found}");
            Err(Fault::Unsupported(reason).at("model"))
        }
        _ => Ok(model),
    }
}

/// The name by which a domain is known here: that of the standard operators is "".
pub(crate) fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}

/// Versions of operators by domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opsets(BTreeMap<String, i64>);

impl Opsets {
    /// From the imports of a model or a function.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] when a domain has two versions or one below 1.
    pub(crate) fn new(imports: &[OperatorSetIdProto]) -> Result<Self, Fault> {
        let mut versions = BTreeMap::new();
        for import in imports {
            let (domain, version) = (domain(&import.domain), import.version);
            if version < 1 {
                return corrupt!("opset version {version} of domain '{domain}' is not a version");
            }
            let known = *versions.entry(domain.to_string()).or_insert(version);
            if known != version {
                return corrupt!("domain '{domain}' is declared with opset {known} and opset {version}");
            }
        }
        Ok(Opsets(versions))
    }

    /// The version of a domain (as [`domain`] names it); 0 when none is declared.
    pub(crate) fn version(&self, domain: &str) -> i64 {
        self.0.get(domain).copied().unwrap_or(0)
    }
}

/// The type of an input or output as the model declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeclaredType {
    /// None when the model does not say.
    pub(crate) elem: Option<ElemType>,
    /// None when the model does not give even the number of dimensions.
    pub(crate) dims: Option<Vec<Dim>>,
}

/// Element type and extents as declared; adds to `remarks` what is unusual.
///
/// # Errors
/// [`Fault::Unsupported`] for what is not a tensor, [`Fault::Invalid`] for a negative extent other than -1.
pub(crate) fn tensor_type(ty: Option<&TypeProto>, remarks: &mut Vec<String>) -> Result<DeclaredType, Fault> {
    use type_proto::Value;
    match ty.and_then(|t| t.value.as_ref()) {
        None => Ok(DeclaredType::default()),
        Some(Value::TensorType(t)) => {
            // 0 is "undefined" in the format.
            let elem = Some(ElemType::from_onnx(t.elem_type)).filter(|e| *e != ElemType::Other(0));
            Ok(DeclaredType { elem, dims: t.shape.as_ref().map(|s| dims(s, remarks)).transpose()? })
        }
        Some(Value::SequenceType(_)) => unsupported!("it is a sequence; expected a tensor"),
        Some(Value::MapType(_)) => unsupported!("it is a map; expected a tensor"),
        Some(Value::OptionalType(_)) => unsupported!("it is optional; expected a tensor"),
        Some(Value::SparseTensorType(_)) => unsupported!("it is a sparse tensor; expected a dense one"),
    }
}

/// Exporters write an extent that is known only at run time as a name, as nothing, as -1, as 0 or as `?`; only names
/// tell that two are the same.
fn dims(shape: &TensorShapeProto, remarks: &mut Vec<String>) -> Result<Vec<Dim>, Fault> {
    let mut dims = Vec::with_capacity(shape.dim.len());
    let mut zeros = Vec::new();
    for (axis, dim) in shape.dim.iter().enumerate() {
        dims.push(match &dim.value {
            None | Some(dimension::Value::DimValue(-1)) => Dim::Dynamic(String::new()),
            Some(dimension::Value::DimParam(name)) if name == "?" => Dim::Dynamic(String::new()),
            Some(dimension::Value::DimParam(name)) => Dim::Dynamic(name.clone()),
            Some(dimension::Value::DimValue(0)) => {
                zeros.push(axis);
                Dim::Dynamic(String::new())
            }
            Some(dimension::Value::DimValue(v)) => match usize::try_from(*v) {
                Ok(extent) => Dim::Fixed(extent),
                Err(_) => return invalid!("extent {v} of axis {axis} is negative"),
            },
        });
    }
    if !zeros.is_empty() {
        remarks.push(format!("extents that are 0 are taken as unknown: axes {zeros:?}"));
    }
    Ok(dims)
}
