//! Small OctConv networks of every known dialect: compiled code gives the outputs that another runtime stored, and so
//! does the interpreter; one thread and two give the same bits. Compiled for AVX-512 and emulated they give them on any machine.
#![allow(missing_docs)]

mod support;

use std::path::Path;

use octrt::{Model, Session, Threads};
use octrt_compiler::nest::interp::Engine;
use octrt_compiler::place::program::{Program, interp};
use octrt_compiler::{Isa, Options, Precision, Records, Target, passes, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{Tensor, TensorType};
use support::{Tolerance, compare_all, folders, interpret, load, npy_files, rms, rounded, run, shared, stem};

/// Largest error as a part of the root mean square of an output.
const PART: f64 = 1e-5;

/// What the cases gave.
#[derive(Default)]
struct Summary {
    cases: usize,
    sets: usize,
    worst_compiled: f64,
    worst_interpreted: f64,
    failures: Vec<String>,
}

/// The largest error, relative to the root mean square of its output, when all are within the tolerance.
fn judge(found: &[Tensor], expected: &[Tensor]) -> Result<f64, String> {
    compare_all(found, expected, &|e| Tolerance::of_rms(PART, e))?;
    let part = |(f, e): (&Tensor, &Tensor)| {
        let differences = f.to_f64s().into_iter().zip(e.to_f64s()).map(|(f, e)| (f - e).abs());
        differences.fold(0.0, f64::max) / rms(e).max(f64::MIN_POSITIVE)
    };
    Ok(found.iter().zip(expected).map(part).fold(0.0, f64::max))
}

/// Tensors of the same shapes, full of NaN.
fn nans(like: &[Tensor]) -> Vec<Tensor> {
    let one = |t: &Tensor| Tensor::new(t.shape().clone(), &vec![f32::NAN; t.numel()]).unwrap();
    like.iter().map(one).collect()
}

/// One pair of inputs and outputs: relative errors of compiled code and of the interpreter. `sessions` differ in their
/// threads.
fn run_set(sessions: &mut [Session; 2], set: &Path) -> Result<(f64, f64), String> {
    let [session, other] = sessions;
    let (inputs, expected) = (npy_files(set, "input"), npy_files(set, "output"));
    if expected.is_empty() {
        return Err("no stored outputs".into());
    }
    let interpreted = interpret(session.model(), &inputs)?;
    let interpreted = judge(&interpreted, &expected).map_err(|e| format!("interpreter: {e}"))?;
    let compiled = run(session, &inputs).map_err(|e| format!("compiled: {e}"))?;
    if run(other, &inputs).map_err(|e| format!("two threads: {e}"))? != compiled {
        return Err("two threads give other results than one".into());
    }
    run(session, &nans(&inputs)).map_err(|e| format!("inputs of NaN: {e}"))?;
    if run(session, &inputs).map_err(|e| format!("again: {e}"))? != compiled {
        return Err("a run on NaN changes the results of the next".into());
    }
    let compiled = judge(&compiled, &expected).map_err(|e| format!("compiled: {e}"))?;
    Ok((compiled, interpreted))
}

fn run_case(case: &Path, summary: &mut Summary) {
    let name = stem(case);
    summary.cases += 1;
    let sessions = |m: Model| Ok([m.session()?, m.session()?.with_threads(Threads::new(2)?)]);
    let mut sessions = match load(&case.join("model.onnx")).and_then(sessions) {
        Ok(sessions) => sessions,
        Err(e) => return summary.failures.push(format!("{name}: {e}")),
    };
    let sets = std::iter::once(case.to_path_buf()).chain(folders(case));
    for set in sets {
        summary.sets += 1;
        match run_set(&mut sessions, &set) {
            Ok((compiled, interpreted)) => {
                summary.worst_compiled = summary.worst_compiled.max(compiled);
                summary.worst_interpreted = summary.worst_interpreted.max(interpreted);
            }
            Err(e) => summary.failures.push(format!("{name}, {}: {e}", stem(&set))),
        }
    }
}

#[test]
fn every_case_gives_the_stored_outputs() {
    let Some(root) = shared("octconv") else { return };
    let mut summary = Summary::default();
    folders(&root).iter().for_each(|case| run_case(case, &mut summary));
    let Summary { cases, sets, worst_compiled, worst_interpreted, failures } = summary;
    println!(
        "{cases} cases, {sets} sets, {} failed; largest error over rms: compiled {worst_compiled:.1e}, \
         interpreter {worst_interpreted:.1e}",
        failures.len()
    );
    assert!(failures.is_empty(), "{} of {sets} sets failed:\n{}", failures.len(), failures.join("\n"));
    assert!(cases >= 39, "{cases} cases in {}", root.display());
}

/// The largest relative error of the model compiled for AVX-512, with leaf programs as emulated machine code, over all
/// sets of a case.
fn emulate_case(case: &Path, precision: Precision) -> Result<f64, String> {
    let model = load(&case.join("model.onnx")).map_err(|e| e.to_string())?;
    let graph = model.graph().ok_or("no graph")?;
    let options = Options { target: Target::new(Isa::V4), precision };
    let mut compiled: Option<(Vec<TensorType>, Program)> = None;
    let mut worst = 0.0f64;
    for set in std::iter::once(case.to_path_buf()).chain(folders(case)) {
        let of_set = |e: String| format!("{}: {e}", stem(&set));
        let (inputs, expected) = (npy_files(&set, "input"), npy_files(&set, "output"));
        let types: Vec<TensorType> = inputs.iter().map(|t| t.ty().clone()).collect();
        let program = match compiled.take() {
            Some((of, program)) if of == types => program,
            _ => {
                let graph =
                    specialize(graph, &types, Limits::default()).map_err(|e| of_set(e.to_string()))?;
                let (graph, _) = passes::optimize(&graph, options).map_err(|e| of_set(e.to_string()))?;
                pipeline::program(&graph, options, &Records::NONE).map_err(|e| of_set(e.to_string()))?
            }
        };
        let found = interp::run(&program, &inputs, Engine::Emulator).map_err(|e| of_set(e.to_string()))?;
        let found: Vec<Tensor> =
            found.iter().zip(model.outputs()).map(|(t, port)| rounded(t, port.dtype)).collect();
        worst = worst.max(judge(&found, &expected).map_err(of_set)?);
        compiled = Some((types, program));
    }
    Ok(worst)
}

#[test]
fn every_case_compiled_for_avx512_gives_the_stored_outputs() {
    let Some(root) = shared("octconv") else { return };
    let (mut failures, mut worst) = (Vec::new(), 0.0f64);
    for case in folders(&root) {
        for precision in Precision::ALL {
            match emulate_case(&case, precision) {
                Ok(error) => worst = worst.max(error),
                Err(e) => failures.push(format!("{}, {precision}: {e}", stem(&case))),
            }
        }
    }
    println!("{} failed; largest error over rms {worst:.1e}", failures.len());
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
