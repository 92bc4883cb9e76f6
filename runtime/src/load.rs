//! From ONNX bytes to a [`Model`].

use std::path::Path;
use std::sync::Arc;

use octrt_onnx::{Bytes, ElemType, ExternalData, Imported, NoExternalData, OnnxError, Port};

use crate::error::Error;
use crate::model::{About, Model};
use crate::options::LoadOptions;
use crate::ports::{Declared, Ports};
use crate::source::{ExternalFiles, MappedFile, Shared};
use crate::tensor::DataType;

impl Model {
    /// Loads the ONNX model at `path`, with weights in files beside it.
    ///
    /// The files are mapped, not read: nobody may change them while the model exists. Copy the bytes and use
    /// [`Model::from_bytes`] where that cannot be ruled out. Files beside the model are found by names relative to its
    /// folder, without `..` and symbolic links.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], [`Error::Unsupported`], [`Error::TooLarge`]; when all dimensions of the
    /// inputs are fixed also [`Error::Compile`].
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let io = |source| Error::Io { path: path.to_path_buf(), source };
        let file = Arc::new(MappedFile::open(path).map_err(io)?);
        let external = ExternalFiles::beside(path);
        let imported = import(&name, Bytes::from_owner(Shared(file.clone())), &external, options)?;
        let mut files = external.into_files();
        files.push(file);
        build(name, imported, files, options)
    }

    /// Loads an ONNX model that has all its weights inside.
    ///
    /// # Errors
    /// As [`Model::load`]; a model with weights in other files is [`Error::Corrupt`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        let name = "model".to_string();
        let imported = import(&name, bytes.into(), &NoExternalData, options)?;
        build(name, imported, Vec::new(), options)
    }
}

fn import(
    name: &str,
    bytes: Bytes,
    external: &dyn ExternalData,
    options: &LoadOptions,
) -> Result<Imported, Error> {
    if bytes.len() > options.max_memory {
        let message = format!("the file has {} bytes, the limit is {}", bytes.len(), options.max_memory);
        return Err(Error::TooLarge { model: name.to_string(), message });
    }
    octrt_onnx::import(bytes, external).map_err(|e| {
        let (model, message) = (name.to_string(), e.to_string());
        match e {
            OnnxError::Unsupported(_) => Error::Unsupported { model, message },
            OnnxError::TooLarge { .. } => Error::TooLarge { model, message },
            OnnxError::Corrupt { .. } | OnnxError::Invalid { .. } | OnnxError::ExternalData { .. } => {
                Error::Corrupt { model, message }
            }
        }
    })
}

fn build(
    name: String,
    imported: Imported,
    files: Vec<Arc<MappedFile>>,
    options: &LoadOptions,
) -> Result<Model, Error> {
    let ports = |ports: Vec<Port>| -> Result<Vec<Declared>, Error> {
        ports.into_iter().map(|p| read_port(&name, p)).collect()
    };
    let declared = Ports { inputs: ports(imported.inputs)?, outputs: ports(imported.outputs)? };
    let about = About {
        metadata: imported.metadata,
        opset: Some(imported.opset),
        producer: imported.producer,
        warnings: imported.warnings,
    };
    tracing::debug!(model = name, nodes = imported.graph.nodes.len(), "imported");
    Model::build(name, imported.graph, declared, about, files, options)
}

fn read_port(model: &str, port: Port) -> Result<Declared, Error> {
    let dtype = match port.elem {
        None => None,
        Some(ElemType::F32) => Some(DataType::F32),
        Some(ElemType::F16) => Some(DataType::F16),
        Some(ElemType::BF16) => Some(DataType::BF16),
        Some(ElemType::F64) => Some(DataType::F64),
        Some(ElemType::I64) => Some(DataType::I64),
        Some(ElemType::I32) => Some(DataType::I32),
        Some(ElemType::U8) => Some(DataType::U8),
        Some(ElemType::Bool) => Some(DataType::Bool),
        Some(other @ ElemType::Other(_)) => {
            let message = format!("'{}' has elements of {other}, which are not supported", port.name);
            return Err(Error::Unsupported { model: model.to_string(), message });
        }
    };
    Ok(Declared { dtype, dims: port.dims })
}
