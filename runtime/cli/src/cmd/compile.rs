//! `octrt compile`: a compiled model, or what a stage of the compiler makes of one, as text.

use std::fmt::Write;

use octrt::{Error, Model, Specialization};
use octrt_compiler::CompileError;
use octrt_compiler::artifact::Step;
use octrt_compiler::codegen::Codegen;
use octrt_compiler::leaf::Program;
use octrt_compiler::nest::Nest;
use octrt_compiler::pipeline::{self, Stages};
use octrt_ops::graph::text;

use crate::args::{CompileArgs, Stage};
use crate::failure::Failure;
use crate::inputs;
use crate::model::{self, Dims};
use crate::output;

/// Runs the command.
///
/// # Errors
/// Those of loading and compiling the model, and of writing.
pub fn run(args: &CompileArgs) -> anyhow::Result<()> {
    let model = Model::load(&args.model, &model::options(&args.machine)?)?;
    let on = inputs::specialization(&model, &Dims::new(&model, &args.dims)?, &args.values.values)?;
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
    let options = model::compiler_options(model)?;
    if emit == Stage::Passes {
        return Ok(text::print(&pipeline::decide(&graph, options, model.records()).map_err(fail)?.optimized));
    }
    let stages = pipeline::stages(&graph, options, model.records()).map_err(fail)?;
    let dump = Dump::new(&stages, args.node.as_deref())?;
    let codegen = || Codegen::new(options.target).map_err(fail);
    Ok(match emit {
        Stage::Plan => stages.program.to_string(),
        Stage::Schedule => dump.schedules()?,
        Stage::Nest => dump.naive(),
        Stage::Loop => dump.each(|nest| Ok(nest.to_string())).map_err(fail)?,
        Stage::Leaf => dump.leaves(),
        Stage::Clif => {
            let codegen = codegen()?;
            dump.each(|nest| codegen.clif(nest)).map_err(fail)?
        }
        Stage::Asm | Stage::Graph | Stage::Passes => {
            let codegen = codegen()?;
            dump.each(|nest| codegen.assembly(nest)).map_err(fail)?
        }
    })
}

/// The nests of a program that are shown, with what they are called for.
struct Dump<'a> {
    stages: &'a Stages,
    node: Option<&'a str>,
    /// Positions of nests, and for each the nodes that it serves.
    shown: Vec<(usize, String)>,
}

impl<'a> Dump<'a> {
    /// Of a node, or of all.
    fn new(stages: &'a Stages, node: Option<&'a str>) -> Result<Dump<'a>, Failure> {
        let steps = &stages.program.steps;
        if let Some(name) = node.filter(|name| steps.iter().all(|s| s.node != *name)) {
            return Err(Failure::Usage(format!("node '{name}' is none of the compiled graph's")));
        }
        let user = |s: &Step| format!("'{}' ({}): {}", s.node, s.op, s.stage);
        let users = |i: usize| -> Vec<String> {
            let of = steps.iter().filter(|s| s.function.0 as usize == i);
            of.filter(|s| node.is_none_or(|name| s.node == name)).map(user).collect()
        };
        let all = (0..stages.program.nests.len()).map(|i| (i, users(i)));
        let shown =
            all.filter(|(_, users)| !users.is_empty()).map(|(i, users)| (i, users.join(", "))).collect();
        Ok(Dump { stages, node, shown })
    }

    /// The text of every nest under a comment with its symbol and its nodes.
    fn each(&self, print: impl Fn(&Nest) -> Result<String, CompileError>) -> Result<String, CompileError> {
        let mut out = String::new();
        for (i, users) in &self.shown {
            let nest = &self.stages.program.nests[*i];
            let _ =
                writeln!(out, "; f{i} {} {users}\n{}\n", pipeline::symbol(*i, nest), print(nest)?.trim_end());
        }
        Ok(out)
    }

    /// What operators mean as nests before they are scheduled; nests of calls that no schedule made are left out.
    fn naive(&self) -> String {
        let mut out = String::new();
        for (i, users) in &self.shown {
            let made = &self.stages.made[*i];
            for schedule in made.schedule.iter().chain(&made.parts) {
                let naive = schedule.naive();
                let part = if made.schedule.is_some() {
                    String::new()
                } else {
                    format!(", its part \"{}\"", naive.name)
                };
                let _ = writeln!(out, "; f{i} {users}{part}\n{}\n", naive.to_string().trim_end());
            }
        }
        out
    }

    /// The schedules of nests and of their parts: each a naive nest, the steps, and what they make of it.
    fn schedules(&self) -> Result<String, Failure> {
        let mut all: Vec<String> = Vec::new();
        for (i, users) in &self.shown {
            let made = &self.stages.made[*i];
            all.extend(made.schedule.iter().map(|s| format!("; test {users}\n{}", s.test())));
            for part in &made.parts {
                let name = &part.naive().name;
                all.push(format!("; test {users}, the part \"{name}\" of its nest\n{}", part.test()));
            }
        }
        match self.node {
            Some(name) if all.is_empty() => {
                Err(Failure::Usage(format!("node '{name}' was not made by a schedule")))
            }
            _ => Ok(all.join("\n")),
        }
    }

    /// Every leaf program once, under a comment with the functions that call it.
    fn leaves(&self) -> String {
        let mut all: Vec<(&Program, Vec<String>)> = Vec::new();
        for (i, _) in &self.shown {
            for leaf in &self.stages.program.nests[*i].leaves {
                match all.iter_mut().find(|(known, _)| **known == **leaf) {
                    Some((_, users)) => users.push(format!("f{i}")),
                    None => all.push((leaf, vec![format!("f{i}")])),
                }
            }
        }
        let text = |(leaf, users): (&Program, Vec<String>)| {
            format!("; {}\n{}\n\n", users.join(" "), leaf.to_string().trim_end())
        };
        all.into_iter().map(text).collect()
    }
}
