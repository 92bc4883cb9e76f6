//! Schedules of nests on the files of `filetests/schedule`.
//!
//! The input is a naive nest, the steps of its schedule are directives: `; fuse L3 L4`, `; cut L12 into 4x6 5x5`. The test
//! prints the nest that they make, or what the primitive says that refuses. Beside the text, every test checks that the nest
//! reads back as it prints, that the schedule's own text makes the same nest, and that the nest computes the same numbers,
//! with definitions and with calls of leaf programs. What `octrt compile --emit schedule` prints is such a file.

mod filetest;

use filetest::Case;
use octrt_compiler::nest::interp::{Engine, run};
use octrt_compiler::nest::{BufferRole, Nest, Stmt, definitions, text, verify};
use octrt_compiler::schedule::script::Schedule;
use octrt_ops::Tensor;

#[test]
fn schedules() {
    filetest::run_folder("filetests/schedule", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let naive = text::parse(&case.input).map_err(|e| e.to_string())?;
    assert_eq!(text::parse(&naive.to_string()).as_ref(), Ok(&naive), "{}", case.path.display());
    let mut schedule = Schedule::new(naive.clone());
    for directive in &case.directives {
        if directive.name != "test" {
            let step = format!("{} {}", directive.name, directive.words.join(" "));
            schedule.apply(&step).map_err(|e| e.to_string())?;
        }
    }
    let mut again = Schedule::new(naive.clone());
    for step in schedule.to_string().lines() {
        again.apply(step).map_err(|e| format!("{step}: {e}"))?;
    }
    assert_eq!(again.nest(), schedule.nest(), "{}", case.path.display());
    assert_eq!(again.to_string(), schedule.to_string(), "{}", case.path.display());
    if naive.buffers.iter().all(|b| b.ty.shape.numel() < 10_000) {
        same_numbers(&naive, &schedule, &case.path.display().to_string());
    }
    Ok(schedule.nest().outline().to_string())
}

/// Runs both nests on whole numbers, of which every sum is exact, and products with small factors too: definitions by their
/// interpreter; a nest of calls, which must verify, by that of leaf programs. Packed buffers hold the same number everywhere.
/// One that is half calls is not run.
fn same_numbers(naive: &Nest, schedule: &Schedule, path: &str) {
    let (scheduled, steps) = (schedule.nest(), schedule.to_string());
    let inputs = |nest: &Nest| -> Vec<Option<Tensor>> {
        let each = naive.buffers.iter().zip(&nest.buffers).enumerate();
        let of = each.map(|(i, (_, to))| {
            let packed = steps.lines().any(|step| step.starts_with(&format!("pack b{i} ")));
            let value = |k: usize| if packed { 3.0 } else { ((k * 37 + i * 11) % 19) as f32 - 9.0 };
            let values: Vec<f32> = (0..to.ty.shape.numel()).map(value).collect();
            let tensor = Tensor::new(to.ty.shape.clone(), &values).expect("as many elements");
            (to.role == BufferRole::Src).then_some(tensor)
        });
        // Tables are not given.
        of.chain(nest.buffers[naive.buffers.len()..].iter().map(|_| None)).collect()
    };
    let expected = definitions::run(naive, &inputs(naive)).expect("the naive nest runs").to_vec::<f32>();
    let found = match scheduled.canonical() {
        Some(tiles) => {
            verify::verify(&tiles).expect("a nest that verifies");
            let inputs = inputs(scheduled);
            let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
            run(&tiles, &inputs, None, Engine::Interpreter).expect("the calls run").to_vec::<f32>()
        }
        None if has_calls(scheduled) => return,
        None => definitions::run(scheduled, &inputs(scheduled)).expect("the nest runs").to_vec::<f32>(),
    };
    assert_eq!(found, expected, "{path}");
}

fn has_calls(nest: &Nest) -> bool {
    let mut calls = false;
    nest.body.iter().for_each(|s| s.visit(&mut |s| calls |= matches!(s, Stmt::Call { .. })));
    calls
}
