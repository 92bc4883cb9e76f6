//! Small graphs as scheduled programs: run through the interpreters of the nests, with the leaf programs' emulated machine
//! code, they give what the graphs mean, for both vector widths and precisions.
#![allow(missing_docs)]

mod axes;
mod cases;
mod net;
mod networks;
mod winograd;

use octrt_compiler::artifact::Constant;
use octrt_compiler::leaf::programs::Winograd;
use octrt_compiler::nest::interp::{Engine, races};
use octrt_compiler::nest::{BufferRole, Nest, text, verify};
use octrt_compiler::pack::Packing;
use octrt_compiler::place::program::{Program, interp};
use octrt_compiler::{Isa, Options, Precision, Records, Target, pipeline};
use octrt_ops::graph::text::random;
use octrt_ops::{Tensor, graph};

use cases::Case;

const ISAS: [Isa; 2] = [Isa::V3, Isa::V4];

/// Largest error over the root of the mean square of an output.
const TOLERANCE: f64 = 1e-5;

/// Calls `check` for every case, vector width and precision; panics with all that it complains of.
fn each(check: &dyn Fn(&Case, &Program) -> Result<(), String>) {
    let mut failures = Vec::new();
    for case in cases::all() {
        for isa in ISAS {
            for precision in Precision::ALL {
                let target = Target::new(isa);
                let program = pipeline::program(&case.graph, Options { target, precision }, &Records::NONE);
                let checked = program.map_err(|e| e.to_string()).and_then(|p| check(&case, &p));
                if let Err(e) = checked {
                    failures.push(format!("{}, {target}, {precision}: {e}", case.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn tiles(program: &Program) -> impl Iterator<Item = &Nest> {
    program.nests.iter().filter(|n| !n.leaves.is_empty())
}

/// Whether a convolution of the program is computed by this transform.
fn transforms(program: &Program, size: Winograd) -> bool {
    let packed = |c: &Constant| matches!(c, Constant::Packed(Packing::Winograd(s, _), _) if *s == size);
    program.constants.iter().any(packed)
}

/// Root of the mean square.
fn rms(x: &[f64]) -> f64 {
    (x.iter().map(|x| x * x).sum::<f64>() / x.len().max(1) as f64).sqrt()
}

/// Compares with what is expected: largest error over root of the mean square.
fn compare(found: &[f64], expected: &[f64], tolerance: f64) -> Result<f64, String> {
    assert_eq!(found.len(), expected.len());
    let scale = rms(expected).max(f64::MIN_POSITIVE);
    let mut worst = 0.0f64;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let error = if f.is_finite() { (f - e).abs() / scale } else { f64::INFINITY };
        if error > tolerance {
            return Err(format!("element {i}: expected {e}, found {f}: {error:.1e} of the root mean square"));
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

#[test]
fn programs_give_what_graphs_mean() {
    each(&|case, program| {
        let inputs = net::inputs(&case.graph);
        let expected = graph::interp::run(&case.graph, &inputs).map_err(|e| e.to_string())?;
        let found = interp::run(program, &inputs, Engine::Emulator).map_err(|e| e.to_string())?;
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            let by_output = |m: String| format!("output {i} {}: {m}", e.ty());
            if f.ty() != e.ty() {
                return Err(by_output(format!("found {}", f.ty())));
            }
            compare(&f.to_f64s(), &e.to_f64s(), TOLERANCE).map_err(by_output)?;
        }
        Ok(())
    });
}

#[test]
fn leaves_mean_what_their_machine_code_does() {
    each(&|case, program| {
        let inputs = net::inputs(&case.graph);
        let run = |engine| interp::run(program, &inputs, engine).map_err(|e| e.to_string());
        if run(Engine::Interpreter)? == run(Engine::Emulator)? { Ok(()) } else { Err("they differ".into()) }
    });
}

#[test]
fn cases_use_the_nests_that_they_are_about() {
    each(&|case, program| {
        // Windows over what lies plain bring it into blocks in their nest.
        let own = |n: &Nest| n.name.strip_prefix("reorder_").unwrap_or(&n.name).to_string();
        let names: Vec<String> = tiles(program).map(own).collect();
        match case.uses.iter().find(|u| !names.iter().any(|n| n == *u)) {
            Some(missing) => Err(format!("expected {missing}, found {names:?}")),
            None => Ok(()),
        }
    });
}

#[test]
fn strict_programs_do_without_transforms() {
    let (mut f2, mut f4) = (false, false);
    for case in cases::all() {
        for isa in ISAS {
            let of = |precision| {
                pipeline::program(
                    &case.graph,
                    Options { target: Target::new(isa), precision },
                    &Records::NONE,
                )
                .unwrap()
            };
            let strict = of(Precision::Strict);
            assert!(
                !transforms(&strict, Winograd::F2) && !transforms(&strict, Winograd::F4),
                "{}",
                case.name
            );
            let free = of(Precision::Default);
            f2 |= transforms(&free, Winograd::F2);
            f4 |= transforms(&free, Winograd::F4);
        }
    }
    assert!(f2 && f4, "F2 in a case: {f2}, F4 in a case: {f4}");
}

#[test]
fn every_nest_verifies() {
    each(&|_, program| {
        tiles(program).try_for_each(|nest| verify::verify(nest).map_err(|e| format!("{e}\n{nest}")))
    });
}

#[test]
fn nests_parse_back() {
    each(&|_, program| {
        tiles(program).try_for_each(|nest| {
            let printed = nest.to_string();
            match text::parse(&printed) {
                Ok(read) if read == *nest => Ok(()),
                Ok(_) => Err(format!("another nest is read\n{printed}")),
                Err(e) => Err(format!("{e}\n{printed}")),
            }
        })
    });
}

/// Tensors for the inputs of a nest.
fn sources(nest: &Nest) -> Vec<Option<Tensor>> {
    let one = |(i, b): (usize, &octrt_compiler::nest::Buffer)| match b.role {
        BufferRole::Src => Some(random(&b.ty.shape, i as u64).unwrap()),
        _ => None,
    };
    nest.buffers.iter().enumerate().map(one).collect()
}

#[test]
fn parallel_iterations_write_different_bytes() {
    let mut seen: Vec<Nest> = Vec::new();
    for case in cases::all() {
        for isa in ISAS {
            let options = Options { target: Target::new(isa), precision: Precision::Default };
            let program = pipeline::program(&case.graph, options, &Records::NONE).unwrap();
            for nest in tiles(&program).filter(|n| n.parallel_extent() > 1) {
                if seen.contains(nest) {
                    continue;
                }
                seen.push(nest.clone());
                let sources = sources(nest);
                let inputs: Vec<Option<&Tensor>> = sources.iter().map(Option::as_ref).collect();
                assert_eq!(races(nest, &inputs), Ok(None), "{}, {isa:?}\n{nest}", case.name);
            }
        }
    }
    assert!(seen.len() > 50, "{} nests", seen.len());
}
