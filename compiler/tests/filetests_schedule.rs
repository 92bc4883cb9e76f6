//! Schedules of nests on the files of `filetests/schedule`.
//!
//! The input is a naive nest, the steps of its schedule are directives: `; fuse L3 L4`, `; cut L12 into 4x6 5x5`. The test
//! prints the nest that they make, or what the primitive says that refuses. Beside the text, every test checks that the nest
//! reads back as it prints, that the schedule's own text makes the same nest, and that what no call has replaced yet
//! computes the same numbers, but for the rounding of sums that were split. What `octrt compile --emit schedule` prints is
//! such a file.

mod filetest;

use filetest::Case;
use octrt_compiler::nest::{Nest, Stmt, interp, text};
use octrt_compiler::schedule::script::Schedule;
use octrt_compiler::tile::BufferRole;
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
    if is_defined(schedule.nest()) && naive.buffers.iter().all(|b| b.ty.shape.numel() < 10_000) {
        same_numbers(&naive, schedule.nest(), &case.path.display().to_string());
    }
    Ok(schedule.nest().to_string())
}

/// Whether no call has replaced a definition.
fn is_defined(nest: &Nest) -> bool {
    let mut calls = false;
    nest.body.iter().for_each(|s| s.visit(&mut |s| calls |= matches!(s, Stmt::Call { .. })));
    !calls
}

/// Runs both nests on whole numbers, of which every sum is exact. Packed buffers hold the same number everywhere.
fn same_numbers(naive: &Nest, scheduled: &Nest, path: &str) {
    let inputs = |nest: &Nest| -> Vec<Option<Tensor>> {
        let each = naive.buffers.iter().zip(&nest.buffers).enumerate();
        each.map(|(i, (from, to))| {
            let packed = scheduled.buffers[i].ty != from.ty;
            let value = |k: usize| if packed { 3.0 } else { ((k * 37 + i * 11) % 19) as f32 - 9.0 };
            let values: Vec<f32> = (0..to.ty.shape.numel()).map(value).collect();
            let tensor = Tensor::new(to.ty.shape.clone(), &values).expect("as many elements");
            (to.role == BufferRole::Src).then_some(tensor)
        })
        .collect()
    };
    let result = |nest: &Nest| interp::run(nest, &inputs(nest)).expect("the nest runs").to_vec::<f32>();
    assert_eq!(result(scheduled), result(naive), "{path}");
}
