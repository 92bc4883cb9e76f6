//! Models that are measured: on inputs that are random, the same every time, or given.

use std::path::Path;

use anyhow::Context;
use octrt::{LoadOptions, Model, Specialization};
use octrt_bench::measure::{self, Buffer, Subject};
use octrt_bench::stats::Samples;
use octrt_bench::table::percent;

use crate::args::{DimArgs, ValueArgs};
use crate::inputs::Inputs;
use crate::model::Dims;
use crate::output;
use crate::tensor_files::NamedTensor;

/// A model that has run once.
#[derive(Debug)]
pub struct Measured {
    /// The model.
    pub model: Model,
    /// What it is compiled for.
    pub on: Specialization,
    /// A session on it, with inputs and outputs.
    pub subject: Subject,
    /// Multiply-accumulates of a run.
    pub macs: u64,
}

/// Loads the model at `path` and runs it once.
///
/// # Errors
/// Those of loading and running; [`crate::failure::Failure::Usage`] when a dimension is open, or an input that decides a
/// shape is not given.
pub fn load(
    path: &Path,
    dims: &DimArgs,
    values: &ValueArgs,
    options: &LoadOptions,
) -> anyhow::Result<Measured> {
    let model = Model::load(path, options)?;
    let dims = Dims::new(&model, dims).with_context(|| model.name().to_string())?;
    let inputs = Inputs::random(&model, &dims, &values.values, options.max_memory)
        .with_context(|| model.name().to_string())?;
    let on = inputs.specialization()?;
    let macs = measure::macs(&model, &on)?;
    let mut session = model.session()?;
    session.prepare_on(&on)?;
    let subject = Subject::new(session, inputs.0.into_iter().map(buffer).collect())?;
    Ok(Measured { on, macs, subject, model })
}

/// Tells on stderr when the runs of a model vary so much that something else kept the machine busy.
pub fn note_noise(model: &str, samples: &Samples) {
    if samples.is_noisy() {
        let spread = percent(Some(samples.spread()));
        output::note(&format!(
            "{model}: the machine is noisy: the 90 % quantile lies {spread} above the fastest run"
        ));
    }
}

fn buffer(tensor: NamedTensor) -> Buffer {
    let NamedTensor { name, dtype, shape, bytes } = tensor;
    Buffer { name, dtype, shape, bytes }
}
