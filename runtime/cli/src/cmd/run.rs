//! `octrt run`: inputs in, outputs and the best classes out.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use octrt::classify::{self, Class, Scores};
use octrt::image::{Preprocessing, SideFile};
use octrt::{Labels, Model, Tensor};
use serde::Serialize;

use crate::args::{Format, RunArgs};
use crate::difference::{self, Difference, Scale, Tolerance};
use crate::failure::Failure;
use crate::inputs::{self, Given, Inputs};
use crate::model::{self, Dims};
use crate::output;
use crate::preprocessing;
use crate::tensor_files::save_npy;

/// Outputs with no more elements than this are printed in full.
const SHOWN_ELEMENTS: usize = 16;
/// `--top-k` when it is not given.
const TOP_K: usize = 5;

#[derive(Serialize)]
struct Report {
    schema: String,
    model: String,
    outputs: Vec<OutputReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<Vec<Class>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Vec<ExpectReport>>,
    /// None when no input is a picture.
    preprocessing: Option<Preprocessing>,
    timings_ms: Timings,
}

#[derive(Serialize)]
struct OutputReport {
    name: String,
    shape: Vec<usize>,
    dtype: &'static str,
    file: Option<PathBuf>,
}

#[derive(Serialize)]
struct ExpectReport {
    output: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Wall time in milliseconds.
#[derive(Clone, Copy, Serialize)]
struct Timings {
    /// Reading and compiling the model.
    load: f64,
    /// Reading and preparing the inputs.
    preprocess: f64,
    /// Running the model.
    run: f64,
}

/// Runs the command.
///
/// # Errors
/// [`Failure::Check`] when an output is not what `--expect` says; those of loading, reading and running.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let start = Instant::now();
    let model = model::load(&args.model, &args.machine)?;
    let mut load = milliseconds(start);
    let side = SideFile::find(&args.model, args.image.side_file.as_deref())?;
    let labels = Labels::find(args.labels.labels.as_deref(), side.as_ref(), model.metadata())?;
    let expected = inputs::bind(model.outputs(), "output", &args.expect)?;

    let start = Instant::now();
    let mut preprocessing = preprocessing::resolve(&args.image, side.as_ref(), model.metadata())?;
    let dims = Dims::new(&model, &args.inputs.dims)?;
    let given = inputs::bind(model.inputs(), "input", &args.inputs.words())?;
    let has_picture = given.iter().any(|g| matches!(g, Some(Given::Picture(_))));
    let max_bytes = model::max_memory(&args.machine.compiler);
    let inputs = Inputs::make(&model, &dims, given, &mut preprocessing, max_bytes)?;
    let preprocess = milliseconds(start);

    if let Some(message) = inputs.misfit(model.inputs()) {
        return Err(Failure::Usage(message).into());
    }
    let start = Instant::now();
    let mut session = model.session()?;
    session.prepare_for(&inputs.views()?)?;
    load += milliseconds(start);
    let start = Instant::now();
    let outputs = session.run(&inputs.views()?)?;
    let timings = Timings { load, preprocess, run: milliseconds(start) };

    let files = save(args.save_outputs.as_deref(), &outputs)?;
    let top_k = best_classes(args, &model, &outputs, labels.as_ref())?;
    let expect = check(&outputs, expected, Tolerance { atol: args.atol, rtol: args.rtol })?;
    let report = Report {
        schema: output::schema("run"),
        model: args.model.display().to_string(),
        outputs: outputs.iter().zip(files).map(|((name, t), file)| described(name, t, file)).collect(),
        top_k,
        expect,
        preprocessing: has_picture.then_some(preprocessing),
        timings_ms: timings,
    };
    match args.format.format {
        Format::Json => output::print_json(&report)?,
        Format::Text => {
            let Timings { load, preprocess, run } = timings;
            output::note(&format!("load {load:.1} ms, preprocess {preprocess:.1} ms, run {run:.1} ms"));
            output::print(&text(&report, &outputs))?;
        }
    }
    verdict(report.expect.as_deref().unwrap_or_default())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn described(name: &str, tensor: &Tensor, file: Option<PathBuf>) -> OutputReport {
    let (shape, dtype) = (tensor.shape().to_vec(), tensor.dtype().name());
    OutputReport { name: name.to_string(), shape, dtype, file }
}

/// Saves the outputs in a folder, and says where.
fn save(folder: Option<&Path>, outputs: &[(String, Tensor)]) -> anyhow::Result<Vec<Option<PathBuf>>> {
    let Some(folder) = folder else { return Ok(vec![None; outputs.len()]) };
    output::make_folder(folder)?;
    let mut files = Vec::new();
    for (i, (name, tensor)) in outputs.iter().enumerate() {
        let path = folder.join(format!("output_{i}.npy"));
        save_npy(&path, tensor.view()).with_context(|| format!("output '{name}' is not saved"))?;
        files.push(Some(path));
    }
    Ok(files)
}

/// The best classes of the first output that has scores of classes.
fn best_classes(
    args: &RunArgs,
    model: &Model,
    outputs: &[(String, Tensor)],
    labels: Option<&Labels>,
) -> anyhow::Result<Option<Vec<Class>>> {
    let ranked = |(i, (_, t)): (usize, &(String, Tensor))| {
        classify::probabilities(t.view(), 1, Scores::of(model, i))?.into_iter().next()
    };
    let Some(probabilities) = outputs.iter().enumerate().find_map(ranked) else {
        if args.top_k.is_some() || args.labels.labels.is_some() {
            let message = "no output has scores of classes: expected floats [1,C], [1,C,1,1] or [C]";
            return Err(Failure::Usage(message.to_string()).into());
        }
        return Ok(None);
    };
    if let Some(labels) = labels {
        labels.check(probabilities.len())?;
    }
    Ok(Some(classify::top(&probabilities, args.top_k.unwrap_or(TOP_K), labels)))
}

/// Compares the outputs with the tensors expected; none when no tensor is expected.
fn check(
    outputs: &[(String, Tensor)],
    expected: Vec<Option<Given>>,
    tolerance: Tolerance,
) -> Result<Option<Vec<ExpectReport>>, Failure> {
    if expected.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut reports = Vec::new();
    for ((name, found), given) in outputs.iter().zip(expected) {
        let tensor = match given {
            None => {
                output::note(&format!("output '{name}' is not checked"));
                continue;
            }
            Some(Given::Tensor(tensor)) => tensor,
            Some(Given::Random | Given::Picture(_) | Given::Numbers(_)) => {
                let message = format!("--expect: output '{name}': expected a file .npy, .npz or .pb");
                return Err(Failure::Usage(message));
            }
        };
        if tensor.shape != found.shape() {
            let (expected, found) = (&tensor.shape, found.shape());
            return Err(Failure::Check(format!(
                "output '{name}': expected the shape {expected:?}, found {found:?}"
            )));
        }
        if tensor.dtype != found.dtype() {
            let (expected, found) = (tensor.dtype.name(), found.dtype().name());
            return Err(Failure::Check(format!(
                "output '{name}': expected elements of type {expected}, found {found}"
            )));
        }
        let expected = tensor.view().map_err(|e| Failure::Usage(e.to_string()))?;
        let (expected, found) = (expected.to_f64s(), found.view().to_f64s());
        let difference = difference::compare(&expected, &found, tolerance, Scale::Element);
        reports.push(ExpectReport { output: name.clone(), difference });
    }
    Ok(Some(reports))
}

fn verdict(expect: &[ExpectReport]) -> anyhow::Result<()> {
    let bad: Vec<String> = expect
        .iter()
        .filter(|r| r.difference.bad > 0)
        .map(|r| format!("'{}': {} of {} elements", r.output, r.difference.bad, r.difference.count))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::Check(format!("outputs differ by more than --atol and --rtol allow: {}", bad.join(", ")))
        .into())
}

fn text(report: &Report, outputs: &[(String, Tensor)]) -> String {
    let mut text = String::new();
    for (output, (_, tensor)) in report.outputs.iter().zip(outputs) {
        let OutputReport { name, shape, dtype, file } = output;
        let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let _ = write!(text, "{name}: {dtype}[{}]", dims.join(","));
        let _ = match file {
            Some(file) => writeln!(text, " saved as {}", file.display()),
            None => writeln!(text, "{}", summary(&tensor.view().to_f64s())),
        };
    }
    for class in report.top_k.iter().flatten() {
        let label = class.label.as_deref().unwrap_or_default();
        let line = format!("{:10.4}  {:>5}  {label}", class.probability, class.index);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for ExpectReport { output, difference: d } in report.expect.iter().flatten() {
        let verdict = if d.bad == 0 { "as expected" } else { "not as expected" };
        let _ = writeln!(
            text,
            "{output}: {verdict}: {} of {} elements differ, max abs {:.3e} at {}, max rel {:.3e}",
            d.bad, d.count, d.max_abs, d.worst, d.max_rel
        );
    }
    text
}

/// All elements, or what they range over.
fn summary(elements: &[f64]) -> String {
    if elements.len() <= SHOWN_ELEMENTS {
        let elements: Vec<String> = elements.iter().map(|v| format!("{v:.4}")).collect();
        return format!(" = {}", elements.join(" "));
    }
    let min = elements.iter().copied().fold(f64::INFINITY, f64::min);
    let max = elements.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mean = elements.iter().sum::<f64>() / elements.len() as f64;
    format!(" from {min:.4} to {max:.4}, mean {mean:.4}")
}
