//! `octrt compile`: a compiled model, or what a stage of the compiler makes of one, as text.

use std::fmt::Write;

use octrt::compiler::codegen::Codegen;
use octrt::compiler::decide::choose;
use octrt::compiler::lower::calls::{Call, Work};
use octrt::compiler::lower::lower_graph;
use octrt::compiler::pipeline;
use octrt::compiler::place::program::Program;
use octrt::compiler::{CompileError, Isa, Options, Target};
use octrt::ops::Graph;
use octrt::ops::graph::text;
use octrt::{Error, Model, Specialization, detect_target};

use crate::args::{CompileArgs, Stage};
use crate::failure::Failure;
use crate::model::{self, Dims};
use crate::output;
use crate::values;

/// Runs the command.
///
/// # Errors
/// Those of loading and compiling the model, and of writing.
pub fn run(args: &CompileArgs) -> anyhow::Result<()> {
    let model = Model::load(&args.model, &model::options(&args.machine))?;
    let on = values::specialization(&model, &Dims::new(&model, &args.dims)?, &args.values.values)?;
    match (args.emit, &args.output) {
        (None, None) => Err(Failure::Usage("give --output or --emit".to_string()).into()),
        (None, Some(path)) => {
            model::graph(&model)?;
            Ok(model.save_on(&on, path)?)
        }
        (Some(emit), None) => Ok(output::print(&stage(&model, &on, args, emit)?)?),
        (Some(emit), Some(path)) => {
            let text = stage(&model, &on, args, emit)?;
            output::write_file(path, |w| Ok(w.write_all(text.as_bytes())?))
        }
    }
}

/// The text of the stage; the stages after it are not run.
fn stage(model: &Model, on: &Specialization, args: &CompileArgs, emit: Stage) -> anyhow::Result<String> {
    let fail = |source: CompileError| Error::Compile { model: model.name().to_string(), source };
    model::graph(model)?;
    let graph = model.specialized(on)?;
    if emit == Stage::Graph {
        return Ok(text::print(&graph));
    }
    let target = args.machine.target.0.map_or_else(detect_target, Ok)?;
    let options = Options { target, precision: args.machine.precision };
    if matches!(emit, Stage::Passes | Stage::Nest | Stage::Schedule) {
        let decided = pipeline::decide(&graph, options).map_err(fail)?;
        return match emit {
            Stage::Passes => Ok(text::print(&decided.optimized)),
            Stage::Schedule => {
                let lowered = lower_graph(&decided.optimized, decided.choice, options).map_err(fail)?;
                Ok(schedules(&lowered.calls, args.node.as_deref())?)
            }
            _ => Ok(nests(&decided.optimized, options).map_err(fail)?),
        };
    }
    let program = pipeline::stages(&graph, options).map_err(fail)?.program;
    Ok(match emit {
        Stage::Plan => program.to_string(),
        Stage::Loop => kernels(&program, "//", |k| Ok(k.to_string())).map_err(fail)?,
        Stage::Leaf => leaves(&program),
        Stage::Clif => functions(&program, target, Codegen::clif).map_err(fail)?,
        Stage::Asm | Stage::Graph | Stage::Passes | Stage::Nest | Stage::Schedule => {
            functions(&program, target, Codegen::assembly).map_err(fail)?
        }
    })
}

type Kernel = octrt::compiler::place::program::Nest;

/// What operators mean, as loop nests without a schedule.
fn nests(graph: &Graph, options: Options) -> Result<String, CompileError> {
    // Below x86-64-v3 every operator goes through the loop nest of its definition.
    let options = Options { target: Target::new(Isa::V2), ..options };
    let mut out = String::new();
    for call in lower_graph(graph, choose(graph, options.target), options)?.calls {
        if let Work::Naive(kernel) = call.work {
            let _ = writeln!(
                out,
                "// '{}' ({}): {}\n{}\n",
                call.node,
                call.op,
                call.stage,
                kernel.to_string().trim_end()
            );
        }
    }
    Ok(out)
}

/// The schedules of a node, or of all, and those of nests that are parts of another one: each a naive nest, the steps, and
/// what they make of it. Equal ones are shown once.
fn schedules(calls: &[Call], node: Option<&str>) -> Result<String, Failure> {
    let mut all: Vec<(String, String)> = Vec::new();
    for call in calls.iter().filter(|call| node.is_none_or(|name| call.node == name)) {
        for (schedule, of) in call.schedules() {
            let (test, user) = (schedule.test(), format!("'{}' ({}): {of}", call.node, call.op));
            match all.iter_mut().find(|(known, _)| *known == test) {
                Some((_, users)) => users.push_str(&format!(", {user}")),
                None => all.push((test, user)),
            }
        }
    }
    if let (true, Some(name)) = (all.is_empty(), node) {
        let known = calls.iter().any(|call| call.node == name);
        let why = if known { "was not made by a schedule" } else { "is none of the compiled graph's" };
        return Err(Failure::Usage(format!("node '{name}' {why}")));
    }
    let text = |(test, users)| format!("; test {users}\n{test}");
    Ok(all.into_iter().map(text).collect::<Vec<_>>().join("\n"))
}

/// Every leaf program once, under a comment with the functions that call it.
fn leaves(program: &Program) -> String {
    let mut all: Vec<(&octrt::compiler::leaf::Program, Vec<String>)> = Vec::new();
    for (i, nest) in program.nests.iter().enumerate() {
        let Kernel::Tile(tile) = nest else { continue };
        for leaf in &tile.leaves {
            match all.iter_mut().find(|(known, _)| *known == leaf) {
                Some((_, users)) => users.push(format!("f{i}")),
                None => all.push((leaf, vec![format!("f{i}")])),
            }
        }
    }
    let mut out = String::new();
    for (leaf, users) in all {
        let _ = writeln!(out, "// {}\n{}\n", users.join(" "), leaf.to_string().trim_end());
    }
    out
}

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
