//! `octrt octavize`: OctConvs in place of a model's convolutions.

use octrt::{Error, Model, Specialization};
use octrt_compiler::CompileError;
use octrt_octave::octavize::octavize;

use crate::args::{CompilerArgs, OctavizeArgs};
use crate::failure::Failure;
use crate::model::{self, Dims};
use crate::output;

/// Runs the command.
///
/// # Errors
/// Those of loading the model and of writing; [`Failure::Usage`] when a dimension is open, [`Failure::Unsupported`] when
/// no convolution can be replaced.
pub fn run(args: &OctavizeArgs) -> anyhow::Result<()> {
    let options = model::options(&CompilerArgs::default())?;
    let model = Model::load(&args.model, &options)?;
    let fail = |source: CompileError| Error::Compile { model: model.name().to_string(), source };
    let types = Dims::new(&model, &args.dims)?.types()?;
    model::graph(&model)?;
    let graph = model.specialized(&Specialization::new(types))?;
    let new = octavize(&graph, args.alpha).map_err(|e| fail(e.into()))?;
    for kept in &new.kept {
        eprintln!("octrt: kept '{}': {}", kept.node, kept.reason);
    }
    if new.replaced.is_empty() {
        return Err(Failure::Unsupported("no convolution can be replaced".to_string()).into());
    }
    let bytes = octrt_onnx::export(&new.graph, model.metadata())?;
    output::write_file(&args.output, |w| Ok(w.write_all(&bytes)?))?;
    eprintln!("octrt: the network computes something else now: train it further before you use it");
    let (before, after) = (graph.macs(), new.graph.macs());
    let text = format!(
        "{}: {} of {} convolutions are OctConvs, {before} -> {after} multiply-accumulates ({:.1} %)\n",
        args.output.display(),
        new.replaced.len(),
        new.replaced.len() + new.kept.len(),
        100.0 * after as f64 / before.max(1) as f64
    );
    Ok(output::print(&text)?)
}
