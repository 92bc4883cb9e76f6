//! One problem: what compiled code gives, against the reference.

use octrt::{LoadOptions, Model, Session};
use octrt_compiler::nest::interp::Engine;
use octrt_compiler::place::program::interp;
use octrt_compiler::{Isa, Options, Records, Target, passes, pipeline};
use octrt_ops::graph::infer::{Limits, specialize};
use octrt_ops::{Tensor, TensorType};

use crate::build::{self, Extents};
use crate::problem::Problem;
use crate::reference::{self, Precision, Value};
use crate::shape;
use crate::support::run;

/// How problems are compiled.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The machine, if not the one that the test runs on; leaf programs for more than that one has are emulated.
    pub target: Option<Target>,
    pub precision: Precision,
}

impl Setting {
    /// What users get.
    pub const DEFAULT: Setting = Setting { target: None, precision: Precision::Default };

    /// Direct convolutions only.
    pub const STRICT: Setting = Setting { target: None, precision: Precision::Strict };

    pub fn options(self) -> LoadOptions {
        LoadOptions::default().with_target(self.target).with_precision(self.precision())
    }

    fn precision(self) -> octrt_compiler::Precision {
        match self.precision {
            Precision::Default => octrt_compiler::Precision::Default,
            Precision::Strict => octrt_compiler::Precision::Strict,
        }
    }
}

/// The targets that this machine runs.
pub fn targets() -> Vec<Target> {
    let host = octrt::detect_isa().unwrap();
    [Isa::V2, Isa::V3, Isa::V4].into_iter().filter(|&isa| isa <= host).map(Target::new).collect()
}

/// The shapes of a problem's nodes.
pub fn shapes(p: &Problem) -> Result<Vec<Vec<usize>>, String> {
    shape::infer_all(p).ok_or_else(|| "a node does not take its inputs".into())
}

/// The compiled problem.
pub fn model(p: &Problem, extents: Extents, setting: Setting) -> Result<Model, String> {
    let graph = build::graph(p, &shapes(p)?, extents);
    Model::from_graph(graph, &setting.options()).map_err(|e| format!("load: {e}"))
}

/// A session on the compiled problem.
pub fn session(p: &Problem, setting: Setting) -> Result<Session, String> {
    model(p, Extents::Fixed, setting)?.session().map_err(|e| format!("compile: {e}"))
}

/// What the scheduled program gives, with leaf programs as emulated machine code.
fn emulate(
    p: &Problem,
    shapes: &[Vec<usize>],
    options: Options,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>, String> {
    let types: Vec<TensorType> = inputs.iter().map(|t| t.ty().clone()).collect();
    let graph = build::graph(p, shapes, Extents::Fixed);
    let graph = specialize(&graph, &types, Limits::default()).map_err(|e| format!("specialize: {e}"))?;
    let (graph, _) = passes::optimize(&graph, options).map_err(|e| format!("passes: {e}"))?;
    let program = pipeline::program(&graph, options, &Records::NONE).map_err(|e| format!("compile: {e}"))?;
    interp::run(&program, inputs, Engine::Emulator).map_err(|e| format!("run: {e}"))
}

/// Compares compiled code with the reference. Gives the largest error of any output as a part of what is allowed.
///
/// # Errors
/// Says what is wrong, then the problem in a form that can be run alone.
pub fn check(p: &Problem, setting: Setting) -> Result<f64, String> {
    let found = shapes(p).and_then(|shapes| {
        let expected = reference::run(p, &shapes, 0, setting.precision);
        let inputs = build::inputs(p, 0);
        let found = match setting.target.filter(|t| !targets().contains(t)) {
            Some(target) => emulate(p, &shapes, Options { target, precision: setting.precision() }, &inputs)?,
            None => run(&mut session(p, setting)?, &inputs).map_err(|e| format!("run: {e}"))?,
        };
        compare(p, &found, &expected)
    });
    found.map_err(|e| {
        let target = setting.target.map_or(String::new(), |t| format!("{t}: "));
        format!("{target}{e}\n  OCTRT_PROBLEM='{p}'")
    })
}

/// The largest error of any output as a part of what is allowed.
fn compare(p: &Problem, found: &[Tensor], expected: &[Value]) -> Result<f64, String> {
    let outputs = p.all_outputs();
    if outputs.len() != found.len() {
        return Err(format!("{} outputs, {} found", outputs.len(), found.len()));
    }
    let mut worst = 0.0f64;
    for (found, node) in found.iter().zip(outputs) {
        let at = |e: String| format!("node {node}: {e}");
        worst = worst.max(compare_one(found, &expected[node]).map_err(at)?);
    }
    Ok(worst)
}

fn compare_one(found: &Tensor, expected: &Value) -> Result<f64, String> {
    if found.shape().dims() != expected.shape {
        return Err(format!("expected the shape {:?}, found {}", expected.shape, found.shape()));
    }
    let found = found.to_f64s();
    let wrong = |&(&f, &e): &(&f64, &f64)| match e.is_finite() {
        // Not `>`: a NaN is wrong.
        true => (f - e).abs().partial_cmp(&expected.error).is_none_or(|o| o.is_gt()),
        false => f != e && !(f.is_nan() && e.is_nan()),
    };
    let pairs = || found.iter().zip(&expected.v);
    let distance = |(f, e): (&f64, &f64)| if e.is_finite() { (f - e).abs() } else { 0.0 };
    let Some(first) = pairs().position(|pair| wrong(&pair)) else {
        let worst = pairs().map(distance).fold(0.0, f64::max);
        return Ok(if worst == 0.0 { 0.0 } else { worst / expected.error });
    };
    let count = pairs().filter(wrong).count();
    let worst = pairs().map(distance).fold(0.0, |a, d| if d.is_nan() { f64::INFINITY } else { a.max(d) });
    let (rms, n) = (expected.rms(), found.len());
    Err(format!(
        "{count} of {n} elements are wrong, by up to {:.1e} of the rms, {:.1e} allowed; the first at {:?}: \
         expected {}, found {}",
        worst / rms,
        expected.error / rms,
        position(first, &expected.shape),
        expected.v[first],
        found[first]
    ))
}

/// The position of element `i` along each axis.
fn position(mut i: usize, shape: &[usize]) -> Vec<usize> {
    let mut at = vec![0; shape.len()];
    for (axis, extent) in shape.iter().enumerate().rev() {
        at[axis] = i % extent;
        i /= extent;
    }
    at
}

/// Checks all problems; gives their number.
///
/// # Panics
/// When one fails. Shows the first few.
pub fn check_all(what: &str, problems: &[Problem], setting: Setting) -> usize {
    let (mut worst, mut wrong) = ((0.0, String::new()), Vec::new());
    for p in problems {
        match check(p, setting) {
            Ok(part) if part > worst.0 => worst = (part, p.to_string()),
            Ok(_) => {}
            Err(e) => wrong.push(e),
        }
    }
    let n = problems.len();
    println!(
        "{what}: {n} problems, {} wrong; largest part of the allowed error {:.2}: {}",
        wrong.len(),
        worst.0,
        worst.1
    );
    wrong.sort_by_key(String::len);
    assert!(
        wrong.is_empty(),
        "{what}: {} of {n} are wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(8)].join("\n")
    );
    n
}
