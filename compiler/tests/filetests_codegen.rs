//! Lowering, scheduling and code generation on the files of `filetests/lower`, `filetests/strategy` and
//! `filetests/codegen`.
//!
//! The input is a graph. `; test lower` prints its naive nests of definitions, `; test schedule` all scheduled ones, `; test
//! plan` the calls and where their buffers lie, `; test script` the schedules of nests of leaf programs, `; test clif` and
//! `; test asm` what becomes of each nest. `target=x86-64-v3` chooses the target, x86-64-v2 unless said. Beside the text,
//! every test runs the nests through their interpreter and compares with the graph's interpreter.

mod filetest;

use filetest::Case;
use octrt_compiler::codegen::Codegen;
use octrt_compiler::decide::{Refused, choose};
use octrt_compiler::lower::calls::{Call, Work};
use octrt_compiler::lower::lower_graph;
use octrt_compiler::nest::interp::Engine;
use octrt_compiler::nest::{self, Nest};
use octrt_compiler::pipeline::Options;
use octrt_compiler::place::program::{Program, interp};
use octrt_compiler::schedule::script::Schedule;
use octrt_compiler::{Precision, Records, Target, pipeline};
use octrt_ops::graph::infer::{self, Limits};
use octrt_ops::graph::text;
use octrt_ops::{Graph, Tensor};

#[test]
fn lower() {
    filetest::run_folder("filetests/lower", &test);
}

#[test]
fn strategy() {
    filetest::run_folder("filetests/strategy", &test);
}

#[test]
fn codegen() {
    filetest::run_folder("filetests/codegen", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let graph = specialized(&case.input)?;
    // Below x86-64-v3 there are no leaf programs: every operator goes through the loop nest of its definition.
    let target: Target = case.option("target").unwrap_or("x86-64-v2").parse()?;
    let options = Options { target, precision: Precision::Default };
    let lowered = lower_graph(&graph, &choose(&graph, options, &Records::NONE, &Refused::new()), options)
        .map_err(|e| e.to_string())?;
    assert_eq!(lowered.refused, Refused::new(), "{}", case.path.display());
    let schedules = || lowered.calls.iter().flat_map(Call::schedules);
    let scripts: Vec<String> = schedules().map(|(s, of)| format!("; test {of}\n{}", s.test())).collect();
    schedules().try_for_each(|(s, _)| replays(s))?;
    let naive: Vec<Nest> = lowered
        .calls
        .into_iter()
        .filter_map(|c| match c.work {
            Work::Naive(nest) => Some(nest),
            Work::Scheduled(_) => None,
        })
        .collect();
    let program = pipeline::program(&graph, options, &Records::NONE).map_err(|e| e.to_string())?;
    for nest in naive.iter().chain(&program.nests) {
        nest::verify::verify(nest).map_err(|e| format!("{e}\n{nest}"))?;
    }
    same_results(&graph, &program);
    let codegen = Codegen::new(target).map_err(|e| e.to_string())?;
    let each = |print: &dyn Fn(&Nest) -> Result<String, String>| {
        program.nests.iter().map(print).collect::<Result<Vec<_>, _>>().map(|v| v.join("\n"))
    };
    let wanted = case.directive("test").and_then(|d| d.words.first()).map(String::as_str);
    match wanted {
        Some("lower") => Ok(naive.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        Some("script") => Ok(scripts.join("\n")),
        Some("schedule") => each(&|k| Ok(k.to_string())),
        Some("plan") => Ok(program.to_string()),
        Some("clif") => each(&|k| codegen.clif(k).map_err(|e| e.to_string())),
        Some("asm") => each(&|k| codegen.assembly(k).map_err(|e| e.to_string())),
        other => Err(format!("there is no test {other:?}")),
    }
}

/// That the text of a schedule, applied to the text of its naive nest, makes the same nest.
fn replays(schedule: &Schedule) -> Result<(), String> {
    let naive = nest::text::parse(&schedule.naive().to_string()).map_err(|e| e.to_string())?;
    assert_eq!(naive, *schedule.naive());
    let mut again = Schedule::new(naive);
    for step in schedule.to_string().lines() {
        again.apply(step).map_err(|e| format!("{step}: {e}"))?;
    }
    assert_eq!(again.to_string(), schedule.to_string());
    assert_eq!(again.nest(), schedule.nest());
    Ok(())
}

fn specialized(input: &str) -> Result<Graph, String> {
    let graph = text::parse(input, &[]).map_err(|e| e.to_string())?;
    let types = graph.inputs.iter().map(|i| i.declared_type()).collect::<Option<Vec<_>>>();
    infer::specialize(&graph, &types.ok_or("the inputs must have fixed dimensions")?, Limits::default())
        .map_err(|e| e.to_string())
}

/// Runs the nests through their interpreter and compares with the graph's interpreter.
fn same_results(graph: &Graph, program: &Program) {
    let inputs: Vec<Tensor> = program
        .inputs
        .iter()
        .enumerate()
        .map(|(i, port)| text::random(&port.ty.shape, i as u64).expect("inputs are small"))
        .collect();
    let expected = octrt_ops::graph::interp::run(graph, &inputs).expect("the graph runs");
    let got = interp::run(program, &inputs, Engine::Interpreter).expect("the program runs");
    for (port, (got, expected)) in program.outputs.iter().zip(got.iter().zip(&expected)) {
        let (got, expected) = (got.to_f64s(), expected.to_f64s());
        let largest = expected.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        for (g, e) in got.iter().zip(&expected) {
            assert!((g - e).abs() <= 1e-5 * largest.max(1e-3), "{}: {g} instead of {e}", port.name);
        }
    }
}
