//! Artifacts made by hand: executed, refused when they lie, freed.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use octrt_compiler::artifact::{Artifact, Constant, Copy, FunctionId, Place};
use octrt_compiler::{Isa, Target};
use octrt_ops::{DType, Tensor, TensorType};

use super::by_hand::{buffer, copy_byte, function, mode, model, port, scale_twice, step};
use crate::{DataType, Error, ErrorKind, LoadOptions, Session, StepEvent, TensorMut, TensorRef, Threads};

fn options() -> LoadOptions {
    LoadOptions::default()
}

fn ramp(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32 / 7.0).collect()
}

#[test]
fn steps_run_in_order() {
    let model = model(scale_twice(100), &options()).unwrap();
    let mut session = model.session().unwrap();
    let x = ramp(100);
    let expected: Vec<f32> = x.iter().map(|x| x * 2.0 * 3.0).collect();
    for _ in 0..2 {
        let y = session.run(&[("x", TensorRef::new(&[100], &x).unwrap())]).unwrap();
        assert_eq!(y[0].0, "y");
        assert_eq!(y[0].1.shape(), [100]);
        assert_eq!(y[0].1.elements::<f32>().unwrap(), expected);
    }
    let mut y = vec![0.0f32; 100];
    let out = TensorMut::new(&[100], &mut y).unwrap();
    session.run_into(&[("x", TensorRef::new(&[100], &x).unwrap())], &mut [("y", out)]).unwrap();
    assert_eq!(y, expected);
    session.run_into(&[("x", TensorRef::new(&[100], &x).unwrap())], &mut []).unwrap();
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let n = 100_003;
    let model = model(scale_twice(n), &options()).unwrap();
    let x = ramp(n);
    let run = |threads: Threads| {
        let mut session = model.session().unwrap().with_threads(threads);
        session.run(&[("x", TensorRef::new(&[n], &x).unwrap())]).unwrap()
    };
    let one = run(Threads::one());
    for count in [2, 3] {
        assert_eq!(run(Threads::new(count).unwrap()), one);
    }
}

#[test]
fn sessions_on_several_threads_share_a_model() {
    for threads in [Threads::one(), Threads::new(2).unwrap()] {
        let options = options().with_threads(threads);
        let model = model(scale_twice(20_000), &options).unwrap();
        std::thread::scope(|s| {
            for k in 0..3 {
                let model = &model;
                s.spawn(move || {
                    let mut session = model.session().unwrap();
                    let x = vec![k as f32; 20_000];
                    for _ in 0..50 {
                        let y = session.run(&[("x", TensorRef::new(&[20_000], &x).unwrap())]).unwrap();
                        assert!(y[0].1.elements::<f32>().unwrap().iter().all(|&y| y == 6.0 * k as f32));
                    }
                });
            }
        });
    }
}

#[test]
fn models_are_shared_and_sessions_sent() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<crate::Model>();
    shared::<Threads>();
    sent::<Session>();
    sent::<Error>();
}

#[test]
fn sessions_outlive_their_model() {
    let mut session = model(scale_twice(3), &options()).unwrap().session().unwrap();
    let y = session.run(&[("x", TensorRef::new(&[3], &[1.0f32; 3]).unwrap())]).unwrap();
    assert_eq!(y[0].1.elements::<f32>().unwrap(), [6.0; 3]);
}

/// One step that tells the floating point mode that it runs in.
fn mode_artifact() -> Artifact {
    Artifact {
        target: crate::detect_target().unwrap(),
        inputs: vec![],
        outputs: vec![port("mode", DType::I32, &[2])],
        functions: vec![function("mode", mode)],
        steps: vec![step(0, vec![buffer(Place::Output(0), DType::I32, &[2])], 1)],
        repeats: vec![],
        copies: vec![],
        constants: vec![],
        arena_bytes: 0,
        scratch_bytes: 0,
    }
}

fn mxcsr() -> u32 {
    let mut value = 0u32;
    // SAFETY: stores four bytes into `value`.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &mut value, options(nostack)) };
    value
}

fn set_mxcsr(value: u32) {
    // SAFETY: loads a valid mode; the test restores the usual one before any floating point code runs.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &value, options(nostack)) };
}

#[test]
fn floating_point_mode_is_set_inside_and_restored() {
    let model = model(mode_artifact(), &options()).unwrap();
    let mut session = model.session().unwrap();
    let usual = mxcsr();
    // Rounding towards zero, then up, with sticky flags set; the last leaves the inexact exception masked only.
    for unusual in [0x7f80, 0x5fa1, 0x1f80, 0x3f9f] {
        let mut seen = [0i32; 2];
        set_mxcsr(unusual);
        let out = TensorMut::new(&[2], &mut seen);
        let result = out.map(|out| session.run_into(&[], &mut [("mode", out)]).is_ok());
        let after = mxcsr();
        set_mxcsr(usual);
        assert_eq!(result, Ok(true));
        assert_eq!(after, unusual);
        assert_eq!(seen[0], 0x9fc0, "FTZ, DAZ, all exceptions masked, rounding to nearest");
        assert_eq!(seen[1], 8, "the stack is aligned to 16 before the call");
    }
}

#[test]
fn checks_stop_the_run_and_name_the_node() {
    let bools = |p| buffer(p, DType::Bool, &[1]);
    let mut a = Artifact {
        target: Target::new(Isa::V2),
        inputs: vec![port("ok", DType::Bool, &[1])],
        outputs: vec![port("same", DType::Bool, &[1])],
        functions: vec![function("copy_byte", copy_byte)],
        steps: vec![step(0, vec![bools(Place::Input(0)), bools(Place::Output(0))], 1)],
        repeats: vec![],
        copies: vec![],
        constants: vec![],
        arena_bytes: 0,
        scratch_bytes: 0,
    };
    a.steps[0].check = Some("an index is out of range".to_string());
    let mut session = model(a, &options()).unwrap().session().unwrap();
    let y = session.run(&[("ok", TensorRef::new(&[1], &[true]).unwrap())]).unwrap();
    assert_eq!(y[0].1.elements::<bool>().unwrap(), [true]);
    let e = session.run(&[("ok", TensorRef::new(&[1], &[false]).unwrap())]).unwrap_err();
    assert_eq!(e.to_string(), "node 'node0' (Mul): an index is out of range");
    assert_eq!(e.kind(), ErrorKind::Runtime);
}

#[test]
fn bools_are_zero_or_one_whatever_code_writes() {
    let mut a = Artifact {
        target: Target::new(Isa::V2),
        inputs: vec![port("x", DType::U8, &[1])],
        outputs: vec![port("y", DType::Bool, &[1])],
        functions: vec![function("copy_byte", copy_byte)],
        steps: vec![],
        repeats: vec![],
        copies: vec![],
        constants: vec![],
        arena_bytes: 0,
        scratch_bytes: 0,
    };
    let x = buffer(Place::Input(0), DType::U8, &[1]);
    a.steps.push(step(0, vec![x, buffer(Place::Output(0), DType::Bool, &[1])], 1));
    let mut session = model(a, &options()).unwrap().session().unwrap();
    let mut y = [false];
    let out = TensorMut::new(&[1], &mut y).unwrap();
    session.run_into(&[("x", TensorRef::new(&[1], &[77u8]).unwrap())], &mut [("y", out)]).unwrap();
    assert_eq!(u8::from(y[0]), 1);
}

/// A byte that is 1 until it is changed, as one of a file.
struct Restless(AtomicBool);

impl AsRef<[u8]> for Restless {
    fn as_ref(&self) -> &[u8] {
        if self.0.load(Ordering::Relaxed) { &[2] } else { &[1] }
    }
}

#[test]
fn bools_that_change_before_they_are_copied_are_refused() {
    let ty = TensorType::new(DType::Bool, [1]);
    let bytes = Arc::new(Restless(AtomicBool::new(false)));
    let mut a = scale_twice(3);
    a.constants.push(Constant::Plain(Tensor::from_shared(ty, bytes.clone(), 0).unwrap()));
    bytes.0.store(true, Ordering::Relaxed);
    let e = model(a, &options()).unwrap_err();
    assert!(matches!(&e, Error::Artifact(m) if m.contains("a bool is neither 0 nor 1")), "{e}");
}

#[test]
fn copies_follow_the_steps() {
    let mut a = scale_twice(3);
    a.outputs.extend(["y2", "x2", "w2", "half"].map(|n| port(n, DType::F32, &[3])));
    a.constants.push(Constant::Plain(Tensor::new([3], &[7.0f32, 8.0, 9.0]).unwrap()));
    let places = [Place::Output(0), Place::Input(0), Place::Const(2), Place::Arena(64)];
    a.copies = places.into_iter().enumerate().map(|(i, from)| Copy { from, output: i + 1 }).collect();
    let mut session = model(a, &options()).unwrap().session().unwrap();
    let y = session.run(&[("x", TensorRef::new(&[3], &[1.0f32, 2.0, 3.0]).unwrap())]).unwrap();
    let got: Vec<&[f32]> = y.iter().map(|(_, t)| t.elements().unwrap()).collect();
    let expected = [[6.0, 12.0, 18.0], [6.0, 12.0, 18.0], [1.0, 2.0, 3.0], [7.0, 8.0, 9.0], [2.0, 4.0, 6.0]];
    assert_eq!(got, expected);
}

#[test]
fn observers_see_every_step_and_may_end_the_run() {
    let mut session = model(scale_twice(2), &options()).unwrap().session().unwrap();
    let x = [1.0f32, 2.0];
    let mut seen = Vec::new();
    let observe = &mut |e: &StepEvent<'_>| {
        seen.push((e.step, e.ty.to_string(), e.bytes.to_vec()));
        ControlFlow::Continue(())
    };
    session.run_observed(&[("x", TensorRef::new(&[2], &x).unwrap())], observe).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].2, [2.0f32.to_le_bytes(), 4.0f32.to_le_bytes()].concat());
    let stop = &mut |_: &StepEvent<'_>| ControlFlow::Break(());
    let e = session.run_observed(&[("x", TensorRef::new(&[2], &x).unwrap())], stop).unwrap_err();
    assert!(matches!(e, Error::Cancelled { node } if node == "node0"));
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let mut session = model(scale_twice(3), &options()).unwrap().session().unwrap();
    let ok = TensorRef::new(&[3], &[0.0f32; 3]).unwrap();
    let message = |session: &mut Session, inputs: &[(&str, TensorRef<'_>)]| {
        let e = session.run(inputs).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Input);
        e.to_string()
    };
    let s = &mut session;
    assert_eq!(message(s, &[]), "input 'x' is missing: expected f32[3]");
    assert_eq!(message(s, &[("z", ok)]), "no input is named 'z'; the model has 'x'");
    assert_eq!(message(s, &[("x", ok), ("x", ok)]), "'x' is given twice");
    let short = TensorRef::new(&[2], &[0.0f32; 2]).unwrap();
    assert_eq!(message(s, &[("x", short)]), "'x': expected f32[3], found f32[2]");
    let ints = TensorRef::new(&[3], &[0i64; 3]).unwrap();
    assert_eq!(message(s, &[("x", ints)]), "'x': expected elements of f32[3], found i64[3]");
    let mut y = [0.0f32; 4];
    let out = TensorMut::new(&[2, 2], &mut y).unwrap();
    let e = session.run_into(&[("x", ok)], &mut [("y", out)]).unwrap_err();
    assert_eq!(e.to_string(), "'y': expected f32[3], found f32[2,2]");
    let out = TensorMut::new(&[2, 2], &mut y).unwrap();
    let e = session.run_into(&[("x", ok)], &mut [("z", out)]).unwrap_err();
    assert_eq!(e.to_string(), "no output is named 'z'; the model has 'y'");
    assert_eq!(session.model().inputs()[0].dtype, DataType::F32);
}

#[test]
fn lying_artifacts_are_refused() {
    type Lie = fn(&mut Artifact);
    let lies: &[(&str, Lie)] = &[
        ("no function f1", |a| a.steps[0].function = FunctionId(1)),
        ("extent 0", |a| a.steps[1].extent = 0),
        ("no buffer 3", |a| a.steps[0].results = vec![3]),
        ("no buffer 3", |a| a.steps[0].results.push(3)),
        ("writes nothing", |a| a.steps[0].results.clear()),
        ("writes Input(0)", |a| a.steps[0].results = vec![0]),
        ("writes Input(0)", |a| a.steps[0].results.push(0)),
        ("writes Const(0)", |a| a.steps[0].results = vec![1]),
        ("no Input(1)", |a| a.steps[0].buffers[0].place = Place::Input(1)),
        ("no Const(2)", |a| a.steps[0].buffers[1].place = Place::Const(2)),
        ("no Output(9)", |a| a.steps[1].buffers[2].place = Place::Output(9)),
        ("offset 64 of the arena of 100", |a| a.arena_bytes = 100),
        ("offset 68 is no multiple", |a| a.steps[0].buffers[2].place = Place::Arena(68)),
        ("offset 18446744073709551552", |a| a.steps[0].buffers[2].place = Place::Arena(usize::MAX - 63)),
        ("offset 0 of the scratch of 0", |a| a.steps[0].buffers[0].place = Place::Scratch(0)),
        ("writes Scratch(0)", |a| {
            a.scratch_bytes = 64;
            a.steps[0].buffers[2].place = Place::Scratch(0);
        }),
        ("shares scratch with another", |a| {
            a.scratch_bytes = 64;
            a.steps[0].buffers[0].place = Place::Scratch(0);
            a.steps[0].buffers[1].place = Place::Scratch(0);
        }),
        ("copies scratch", |a| a.copies.push(Copy { from: Place::Scratch(0), output: 0 })),
        ("writes buffer 2 while buffer 0 is there", |a| a.steps[1].buffers[2].place = Place::Arena(64)),
        ("which holds f32[12]", |a| a.inputs[0].ty = TensorType::new(DType::F32, [12])),
        ("which holds i32[16]", |a| a.outputs[0].ty = TensorType::new(DType::I32, [16])),
        ("which holds f32[2]", |a| {
            a.constants[1] = Constant::Plain(Tensor::new([2], &[0.0f32; 2]).unwrap());
        }),
        ("is not one bool", |a| a.steps[0].check = Some(String::new())),
        ("a bool is neither 0 nor 1", |a| {
            let ty = TensorType::new(DType::Bool, [1]);
            a.constants.push(Constant::Plain(Tensor::from_bytes(ty, vec![2]).unwrap()));
        }),
        ("nothing computes it", |a| a.outputs.push(port("z", DType::F32, &[1]))),
        ("no such output", |a| a.copies.push(Copy { from: Place::Input(0), output: 1 })),
        ("to itself", |a| a.copies.push(Copy { from: Place::Output(0), output: 0 })),
        ("function 'scale' has 0 bytes", |a| a.functions[0].bytes.clear()),
        ("the alignment 48", |a| a.functions[0].alignment = 48),
        ("Duplicate definition", |a| a.functions.push(a.functions[0].clone())),
        ("address space", |a| a.outputs[0].ty = TensorType::new(DType::F32, [usize::MAX, 2])),
    ];
    for (message, lie) in lies {
        let mut artifact = scale_twice(16);
        lie(&mut artifact);
        let result = model(artifact, &options());
        match result {
            Err(e @ Error::Artifact(_)) => assert!(e.to_string().contains(message), "{message}: {e}"),
            other => panic!("{message}: {other:?}"),
        }
    }
}

#[test]
fn the_memory_limit_holds() {
    let small = options().with_max_memory(1000);
    let e = model(scale_twice(1000), &small).unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Limit);
    assert_eq!(e.to_string(), "the arena needs 4064 bytes: the limit is 1000");
}

#[test]
fn code_for_a_newer_machine_is_refused() {
    if crate::detect_isa().unwrap() == Isa::V4 {
        return eprintln!("SKIPPED: this machine runs code for every target");
    }
    let mut artifact = scale_twice(3);
    artifact.target = Target::new(Isa::V4);
    let e = model(artifact, &options()).unwrap_err();
    assert!(matches!(e, Error::Target(_)), "{e}");
}

/// Tiles copied by a leaf program, and then normalised and cut off by definitions, one of them in lanes of a vector.
const MIXED: &str = r#"nest "mixed" {
  in b0: f32[4,3,8]
  in b1: f32[8]
  scratch b2: f32[1]
  out b3: f32[4,3,8]
  for L0 in 4 parallel {
    reduce L1 in 3 {
      reduce L2 in 8 {
        b2[0]
          init 1.0f32
          sum b0[L0, L1, L2]
          finish acc
      }
    }
    for L3 in 3 {
      call 0 "copy" (src = b0 + 96*L0 + 32*L3, dst = b3 + 96*L0 + 32*L3)
      for L4 in 2 {
        for L5 in 4 vector {
          b3[L0, L3, add(mul(L4, 4), L5)] = max(mul(b3[L0, L3, add(mul(L4, 4), L5)], b1[add(mul(L4, 4), L5)]), 0.0f32)
        }
      }
      for L6 in 8 {
        b3[L0, L3, L6] = div(b3[L0, L3, L6], b2[0])
      }
    }
  }
}

leaf "copy" w8 {
  slot 0 "src": pointer
  slot 1 "dst": pointer
  p0 = slot 0
  p1 = slot 1
  v0 = load [p0]
  store [p1], v0
}
"#;

#[test]
fn calls_and_definitions_in_one_nest_run_as_they_are_interpreted() {
    let target = crate::detect_target().unwrap();
    if target.width().is_none() {
        return eprintln!("SKIPPED: {target} has no leaf programs");
    }
    let nest = octrt_compiler::nest::text::parse(MIXED).unwrap();
    octrt_compiler::nest::verify::verify(&nest).unwrap();
    let codegen = octrt_compiler::codegen::Codegen::new(target).unwrap();
    let function = codegen.function(&nest, "mixed".into()).unwrap();
    let f32s = |place, dims: &[usize]| buffer(place, DType::F32, dims);
    let maps = [4, 3, 8];
    let buffers = vec![
        f32s(Place::Input(0), &maps),
        f32s(Place::Const(0), &[8]),
        f32s(Place::Scratch(0), &[1]),
        f32s(Place::Output(0), &maps),
    ];
    let factors = Tensor::new([8], &[1.0f32, -1.0, 2.0, 0.5, -2.0, 3.0, 1.5, 1.0]).unwrap();
    let artifact = Artifact {
        target,
        inputs: vec![port("x", DType::F32, &maps)],
        outputs: vec![port("y", DType::F32, &maps)],
        functions: vec![function],
        steps: vec![step(0, buffers, 4)],
        repeats: vec![],
        copies: vec![],
        constants: vec![Constant::Plain(factors.clone())],
        arena_bytes: 0,
        scratch_bytes: 64,
    };
    let x: Vec<f32> = (0..96).map(|i| ((i * 37) % 19) as f32 - 7.5).collect();
    let input = Tensor::new(maps, &x).unwrap();
    let engine = octrt_compiler::nest::interp::Engine::Emulator;
    let inputs = [Some(&input), Some(&factors), None, None];
    let expected = octrt_compiler::nest::interp::run(&nest, &inputs, None, engine).unwrap();
    let model = model(artifact, &options()).unwrap();
    for count in [1, 2] {
        let mut session = model.session().unwrap().with_threads(Threads::new(count).unwrap());
        let y = session.run(&[("x", TensorRef::new(&maps, &x).unwrap())]).unwrap();
        assert_eq!(y[0].1.elements::<f32>().unwrap(), expected.to_vec::<f32>().unwrap());
    }
    assert!(expected.to_vec::<f32>().unwrap().iter().any(|y| *y > 0.0));
}
