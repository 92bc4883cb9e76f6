//! `octrt compile`: what a stage of the compiler makes of a model, as text.

use std::fmt::Write;

use octrt::compiler::codegen::Codegen;
use octrt::compiler::pipeline;
use octrt::compiler::program::Program;
use octrt::compiler::{CompileError, Options, Target, passes};
use octrt::ops::graph::infer::{Limits, specialize};
use octrt::ops::graph::text;
use octrt::{Error, Model, detect_target};

use crate::args::{CompileArgs, Stage};
use crate::failure::Failure;
use crate::model::{self, Dims};
use crate::output;

/// Runs the command.
///
/// # Errors
/// Those of loading and compiling the model, and of writing.
pub fn run(args: &CompileArgs) -> anyhow::Result<()> {
    let model = Model::load(&args.model, &model::options(&args.machine))?;
    let text = stage(&model, args)?;
    match &args.output {
        None => Ok(output::print(&text)?),
        Some(path) => output::write_file(path, |w| Ok(w.write_all(text.as_bytes())?)),
    }
}

/// The text of the stage; the stages after it are not run.
fn stage(model: &Model, args: &CompileArgs) -> anyhow::Result<String> {
    let fail = |source: CompileError| Error::Compile { model: model.name().to_string(), source };
    let types = Dims::new(model, &args.dims)?.types()?;
    let graph = model.graph().ok_or_else(|| Failure::Unsupported("the model has no graph".to_string()))?;
    let limits = Limits { max_bytes: model::options(&args.machine).max_memory };
    let graph = specialize(graph, &types, limits).map_err(|e| fail(e.into()))?;
    if args.emit == Stage::Graph {
        return Ok(text::print(&graph));
    }
    let (graph, _) = passes::optimize(&graph).map_err(|e| fail(e.into()))?;
    if args.emit == Stage::Passes {
        return Ok(text::print(&graph));
    }
    let target = args.machine.target.0.map_or_else(detect_target, Ok)?;
    let options = Options { target, precision: args.machine.precision };
    let program = pipeline::program(&graph, options).map_err(fail)?;
    Ok(match args.emit {
        Stage::Plan => program.to_string(),
        Stage::Loop => kernels(&program, "//", |k| Ok(k.to_string())).map_err(fail)?,
        Stage::Clif => functions(&program, target, Codegen::clif).map_err(fail)?,
        Stage::Asm | Stage::Graph | Stage::Passes => {
            functions(&program, target, Codegen::assembly).map_err(fail)?
        }
    })
}

type Kernel = octrt::compiler::program::Nest;

/// The text of every kernel under a comment with its symbol.
fn kernels(
    program: &Program,
    comment: &str,
    print: impl Fn(&Kernel) -> Result<String, CompileError>,
) -> Result<String, CompileError> {
    let mut out = String::new();
    for (i, kernel) in program.nests.iter().enumerate() {
        let _ = writeln!(out, "{comment} f{i} {}", pipeline::symbol(i, kernel));
        let _ = writeln!(out, "{}", print(kernel)?.trim_end());
        out.push('\n');
    }
    Ok(out)
}

fn functions(
    program: &Program,
    target: Target,
    print: fn(&Codegen, &Kernel) -> Result<String, CompileError>,
) -> Result<String, CompileError> {
    let codegen = Codegen::new(target)?;
    kernels(program, ";", |kernel| print(&codegen, kernel))
}
