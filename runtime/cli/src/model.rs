//! Models: loading them as the command line says, and the shapes of their inputs.

use std::path::Path;

use octrt::{FileAccess, LoadOptions, Model, PortInfo, Records, Threads};
use octrt_compiler::Options;
use octrt_ops::{Dim, Graph, TensorType};

use crate::args::{CompilerArgs, DimArgs, MachineArgs};
use crate::failure::Failure;
use crate::sizes::DimArg;

/// Loads the model at `path` for the machine that the arguments describe.
///
/// # Errors
/// As [`Model::load`] and [`options`]; also when the threads cannot be started.
pub fn load(path: &Path, machine: &MachineArgs) -> Result<Model, octrt::Error> {
    let threads = Threads::new(machine.threads)?;
    let file_access = if machine.no_mmap { FileAccess::Read } else { FileAccess::Map };
    let cache_dir = machine.cache_dir.clone();
    Model::load(
        path,
        &options(&machine.compiler)?
            .with_threads(threads)
            .with_file_access(file_access)
            .with_cache_dir(cache_dir),
    )
}

/// The options of the command line, on one thread.
///
/// # Errors
/// As [`Records::read`].
pub fn options(args: &CompilerArgs) -> Result<LoadOptions, octrt::Error> {
    Ok(LoadOptions::default()
        .with_target(args.target.0)
        .with_precision(args.precision)
        .with_max_memory(max_memory(args))
        .with_records(records(args.records.as_deref())?))
}

/// The records of a file; none where none is given.
///
/// # Errors
/// As [`Records::read`].
pub fn records(path: Option<&Path>) -> Result<Records, octrt::Error> {
    path.map_or_else(|| Ok(Records::default()), Records::read)
}

/// Bytes that tensors and weights may take.
pub fn max_memory(args: &CompilerArgs) -> usize {
    args.max_memory.map_or_else(octrt::default_memory_limit, |b| b.0)
}

/// The graph of a model that was not compiled before.
///
/// # Errors
/// [`Failure::Unsupported`] naming the model.
pub fn graph(model: &Model) -> Result<&Graph, Failure> {
    let none = || {
        let name = model.name();
        Failure::Unsupported(format!(
            "{name}: a compiled model has no graph; give the model it was made from"
        ))
    };
    model.graph().ok_or_else(none)
}

/// What the compiler is told about a model.
///
/// # Errors
/// As [`Model::target`].
pub fn compiler_options(model: &Model) -> Result<Options, octrt::Error> {
    Ok(Options { target: model.target()?, precision: model.precision() })
}

/// Extents of dynamic dimensions: those of `--dim`; 1 for the first dimension of an input, which is the batch.
pub struct Dims<'a> {
    inputs: &'a [PortInfo],
    given: &'a [DimArg],
}

impl<'a> Dims<'a> {
    /// The extents for the inputs of a model.
    ///
    /// # Errors
    /// [`Failure::Usage`] when `--dim` names what is no dynamic dimension of the model.
    pub fn new(model: &'a Model, args: &'a DimArgs) -> Result<Self, Failure> {
        let dims = Dims { inputs: model.inputs(), given: &args.dims };
        let known: Vec<String> = dims.names();
        match dims.given.iter().find(|d| !known.contains(&d.name)) {
            None => Ok(dims),
            Some(d) if known.is_empty() => {
                Err(Failure::Usage(format!("--dim {}: the model has no dynamic dimensions", d.name)))
            }
            Some(d) => {
                let known = known.join(", ");
                Err(Failure::Usage(format!("--dim {}: no dynamic dimension has this name: {known}", d.name)))
            }
        }
    }

    /// What `--dim` may name.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for input in self.inputs {
            for (axis, dim) in input.dims.iter().flatten().enumerate() {
                if let Dim::Dynamic(name) = dim {
                    names.extend((!name.is_empty()).then(|| name.clone()));
                    names.push(place(input, axis));
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        names.retain(|n| seen.insert(n.clone()));
        names
    }

    /// The extent of an axis of an input; none where the model and the arguments leave it open.
    pub fn extent(&self, input: &PortInfo, axis: usize) -> Option<usize> {
        let name = match input.dims.as_ref()?.get(axis)? {
            Dim::Fixed(n) => return Some(*n),
            Dim::Dynamic(name) => name,
        };
        let place = place(input, axis);
        let is_this = |d: &&DimArg| d.name == place || (!name.is_empty() && d.name == *name);
        let is_batch = axis == 0 || self.inputs.iter().any(|i| is_named(i.dims.as_deref(), name));
        self.given.iter().find(is_this).map(|d| d.extent).or(is_batch.then_some(1))
    }

    /// The shape of an input.
    ///
    /// # Errors
    /// [`Failure::Usage`] naming the dimension that is open.
    pub fn shape(&self, input: &PortInfo) -> Result<Vec<usize>, Failure> {
        let rank = input.dims.as_ref().map_or(0, Vec::len);
        (0..rank).map(|axis| self.extent(input, axis).ok_or_else(|| self.open(input, axis))).collect()
    }

    /// The types of all inputs inside the graph.
    ///
    /// # Errors
    /// As [`Dims::shape`].
    pub fn types(&self) -> Result<Vec<TensorType>, Failure> {
        self.inputs.iter().map(|i| Ok(TensorType::new(i.dtype.inside(), self.shape(i)?))).collect()
    }

    /// The failure that an axis of an input is open.
    fn open(&self, input: &PortInfo, axis: usize) -> Failure {
        let name = match input.dims.as_ref().and_then(|d| d.get(axis)) {
            Some(Dim::Dynamic(name)) if !name.is_empty() => name.clone(),
            _ => place(input, axis),
        };
        Failure::Usage(format!(
            "input '{}' {input}: give the extent of axis {axis} as --dim {name}=N",
            input.name
        ))
    }
}

fn place(input: &PortInfo, axis: usize) -> String {
    format!("{}:{axis}", input.name)
}

/// Whether the first dimension has this name.
fn is_named(dims: Option<&[Dim]>, name: &str) -> bool {
    !name.is_empty() && matches!(dims.and_then(<[Dim]>::first), Some(Dim::Dynamic(n)) if n == name)
}
