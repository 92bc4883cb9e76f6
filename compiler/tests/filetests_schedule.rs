//! Schedules of nests on the files of `filetests/schedule`.
//!
//! The input is a naive nest, the steps of its schedule are directives: `; fuse L3 L4`, `; cut L12 into 4x6 5x5`. The test
//! prints the nest that they make, or what the primitive says that refuses; with `; test verify`, what the verifier says that
//! refuses what they made. Beside the text, every test checks that the nest
//! reads back as it prints, that the schedule's own text makes the same nest, and that the nest computes the same numbers,
//! with definitions and with calls of leaf programs. What `octrt compile --emit schedule` prints is such a file.

mod filetest;

use filetest::Case;
use octrt_compiler::nest::interp::{self, Engine};
use octrt_compiler::nest::{Buffer, BufferRole, Nest, has_call, text, verify};
use octrt_compiler::schedule::script::Schedule;
use octrt_ops::expr::Scalar;
use octrt_ops::{Tensor, compute};

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
    if case.directive("test").is_some_and(|d| d.words == ["verify"]) {
        verify::verify(schedule.nest()).map_err(|e| e.to_string())?;
    }
    Ok(schedule.nest().outline().to_string())
}

/// Runs both nests on whole numbers, of which every sum is exact, and products with small factors too; a nest of calls must
/// verify. Packed buffers hold the same number everywhere. A nest that is half calls is not run.
fn same_numbers(naive: &Nest, schedule: &Schedule, path: &str) {
    let (scheduled, steps) = (schedule.nest(), schedule.to_string());
    let packed = |i: usize| steps.lines().any(|step| step.starts_with(&format!("pack b{i} ")));
    let run = |nest: &Nest, types: &Nest| {
        let given = |(i, b): (usize, &Buffer)| {
            // What is laid out anew is the same tensor.
            let moved = steps.lines().any(|step| step.starts_with(&format!("relayout b{i} ")));
            let b = if moved { naive.buffers.get(i).unwrap_or(b) } else { b };
            let t = numbers(b, i, packed(i))?;
            Some(if moved && !std::ptr::eq(types, naive) { laid_out(t, i, &steps) } else { t })
        };
        let inputs: Vec<Option<Tensor>> = types.buffers.iter().enumerate().map(given).collect();
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        // Turns load what earlier ones have written.
        let ty = &nest.buffers[nest.dst().expect("a result").index()].ty;
        let zeros = Tensor::from_bytes(ty.clone(), vec![0; ty.bytes()]).expect("as many bytes");
        interp::run(nest, &inputs, Some(&zeros), Engine::Interpreter).expect("the nest runs")
    };
    let expected = run(naive, naive);
    let dst = naive.dst().map_or(0, |b| b.index());
    let expected = laid_out(expected, dst, &steps);
    let found = if has_call(&scheduled.body) {
        // Sums that no call has replaced are run elsewhere.
        let Some(calls) = scheduled.canonical() else { return };
        verify::verify(&calls).expect("a nest that verifies");
        run(&calls, &calls)
    } else {
        run(scheduled, scheduled)
    };
    assert_eq!(found.bytes(), expected.bytes(), "{path}");
}

/// A tensor of f32 as the steps `relayout` of its buffer lay it out.
fn laid_out(mut t: Tensor, buffer: usize, steps: &str) -> Tensor {
    for step in steps.lines().filter(|step| step.starts_with(&format!("relayout b{buffer} "))) {
        let word = |i: usize| step.split(' ').nth(i).and_then(|w| w.parse::<usize>().ok()).expect("a number");
        let (dim, by) = (word(3), word(5));
        let mut dims = t.ty().shape.dims().to_vec();
        dims[dim] /= by;
        dims.push(by);
        let (from, to) = (t.to_vec::<f32>().expect("f32"), octrt_ops::Shape::new(dims));
        let old = t.ty().shape.strides();
        let element = |at: Vec<usize>| {
            let (lane, at) = at.split_last().expect("a dimension");
            let place = |(d, i): (usize, &usize)| if d == dim { i * by + lane } else { *i };
            from[at.iter().enumerate().map(place).zip(&old).map(|(i, stride)| i * stride).sum::<usize>()]
        };
        let values: Vec<f32> = to.indices().map(|at| element(at.to_vec())).collect();
        t = Tensor::new(to, &values).expect("as many elements");
    }
    t
}

/// Whole numbers for a buffer that is read, in its range if it has one.
fn numbers(b: &Buffer, i: usize, packed: bool) -> Option<Tensor> {
    if b.role != BufferRole::Src {
        return None;
    }
    let value = |k: usize| match b.range {
        Some((lo, hi)) => lo + (k as i64 * 37) % (hi - lo + 1),
        None if packed => 3,
        None => ((k * 37 + i * 11) % 19) as i64 - 9,
    };
    let scalars: Vec<Scalar> =
        (0..b.ty.shape.numel()).map(|k| Scalar::I64(value(k)).cast(b.ty.dtype)).collect();
    Some(compute::tensor(&b.ty, &scalars).expect("as many elements"))
}
