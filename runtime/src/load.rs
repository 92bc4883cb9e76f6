//! From a file to a [`Model`].

use std::io;
use std::path::Path;
use std::sync::Arc;

use octrt_onnx::{Bytes, ElemType, ExternalData, Imported, NoExternalData, OnnxError, Port};
use octrt_ops::graph::infer::Limits;

use crate::about::About;
use crate::arena::Arena;
use crate::cache::Identity;
use crate::compiled::{self, is_compiled};
use crate::data_type::DataType;
use crate::error::Error;
use crate::model::{Files, Model};
use crate::options::LoadOptions;
use crate::ports::{Declared, Ports};
use crate::source::{ExternalFiles, ModelFile, Shared};

impl Model {
    /// Loads the ONNX model at `path`, with weights in files beside it, or a model that [`Model::save`] has written.
    ///
    /// The files are mapped, not read: nobody may change them while the model exists. Choose
    /// [`FileAccess::Read`](crate::FileAccess::Read) where that cannot be ruled out. Files beside the model are found by
    /// names relative to its folder, without `..` and symbolic links. A model compiled before has the target and the
    /// precision that it was compiled for.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Corrupt`], [`Error::Unsupported`], [`Error::TooLarge`]; when all dimensions of the
    /// inputs are fixed also [`Error::Compile`]. For a model compiled before [`Error::Stale`] when another octrt has
    /// written it or it does not keep the precision asked for, and [`Error::Target`] when another target was asked for.
    pub fn load(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::FileTooLarge => {
                Error::TooLarge { model: name.clone(), message: source.to_string() }
            }
            _ => Error::Io { path: path.to_path_buf(), source },
        };
        let file = ModelFile::open(path, options.file_access, options.max_memory).map_err(refused)?;
        let file = Arc::new(file);
        if is_compiled((*file).as_ref()) {
            return load_compiled(name, file, options);
        }
        let external = ExternalFiles::beside(path, options.file_access, options.max_memory);
        let imported = import(&name, Bytes::from_owner(Shared(file.clone())), &external)?;
        let mut files = vec![file];
        files.extend(external.into_files());
        let parts = files.iter().map(|f| (**f).as_ref());
        let identity = options.cache_dir.is_some().then(|| Identity::of(parts));
        build(name, imported, Files { files, identity }, options)
    }

    /// Loads an ONNX model that has all its weights inside, or one that [`Model::save`] has written, whose weights are
    /// copied.
    ///
    /// # Errors
    /// As [`Model::load`]; a model with weights in other files is [`Error::Corrupt`].
    pub fn from_bytes(bytes: impl Into<Bytes>, options: &LoadOptions) -> Result<Self, Error> {
        let (name, bytes) = ("model".to_string(), bytes.into());
        check_size(&name, bytes.len(), options)?;
        if is_compiled(&bytes) {
            let mut copy = Arena::new(bytes.len(), "the model")?;
            copy.bytes_mut().copy_from_slice(&bytes);
            return load_compiled(name, Arc::new(ModelFile::Read(copy)), options);
        }
        let identity = options.cache_dir.is_some().then(|| Identity::of([&*bytes].into_iter()));
        let imported = import(&name, bytes, &NoExternalData)?;
        build(name, imported, Files { files: Vec::new(), identity }, options)
    }
}

fn check_size(model: &str, bytes: usize, options: &LoadOptions) -> Result<(), Error> {
    if bytes > options.max_memory {
        let message = format!("the file has {bytes} bytes, the limit is {}", options.max_memory);
        return Err(Error::TooLarge { model: model.to_string(), message });
    }
    Ok(())
}

fn load_compiled(name: String, file: Arc<ModelFile>, options: &LoadOptions) -> Result<Model, Error> {
    let limits = Limits { max_bytes: options.max_memory };
    let compiled = compiled::read(&name, file, limits, &options.threads)?;
    let found = compiled.options;
    if let Some(target) = options.target.filter(|t| t.isa != found.target.isa) {
        return Err(Error::Target(format!("{name}: it was compiled for {}, not for {target}", found.target)));
    }
    if options.precision > found.precision {
        let message =
            format!("expected precision {}, it was compiled for {}", options.precision, found.precision);
        return Err(Error::Stale { model: name, message });
    }
    Ok(Model::from_compiled(name, compiled, options))
}

fn import(name: &str, bytes: Bytes, external: &dyn ExternalData) -> Result<Imported, Error> {
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

fn build(name: String, imported: Imported, files: Files, options: &LoadOptions) -> Result<Model, Error> {
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
        Some(ElemType::I16) => Some(DataType::I16),
        Some(ElemType::I8) => Some(DataType::I8),
        Some(ElemType::U64) => Some(DataType::U64),
        Some(ElemType::U32) => Some(DataType::U32),
        Some(ElemType::U16) => Some(DataType::U16),
        Some(ElemType::U8) => Some(DataType::U8),
        Some(ElemType::Bool) => Some(DataType::Bool),
        Some(other @ ElemType::Other(_)) => {
            let message = format!("'{}' has elements of {other}, which are not supported", port.name);
            return Err(Error::Unsupported { model: model.to_string(), message });
        }
    };
    Ok(Declared { dtype, dims: port.dims })
}
