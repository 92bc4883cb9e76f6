//! The loop IR on the files of `filetests/loop`.
//!
//! `; test verify` verifies the kernel and prints it. `; test schedule primitive arguments`, once or several times,
//! applies primitives in this order and prints the result: `split L2 8`, `reorder L0 L3 L1`, `unroll L2`,
//! `vectorize L2`, `parallel L0`, `fuse L0 L1`. Beside the text, every test checks that the kernel reads back as it
//! prints, and that its schedule computes the same bits on pseudorandom inputs.

mod filetest;

use filetest::{Case, Directive};
use octrt_compiler::loop_ir::{Kernel, KernelBuffer, interp, text, verify};
use octrt_compiler::schedule::{fuse, parallel, reorder, split, unroll, vectorize};
use octrt_ops::compute;
use octrt_ops::expr::{Expr, Scalar, VarId};
use octrt_ops::{DType, Tensor};

#[test]
fn loops() {
    filetest::run_folder("filetests/loop", &test);
}

fn test(case: &Case) -> Result<String, String> {
    let given = text::parse(&case.input).map_err(|e| e.to_string())?;
    let mut kernel = given.clone();
    for directive in &case.directives {
        let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
        kernel = match (directive.name.as_str(), &words[..]) {
            ("test", ["verify"]) => kernel,
            ("test", ["schedule", primitive, args @ ..]) => apply(&kernel, primitive, args)?,
            _ => return Err(format!("there is no test '{}'", text_of(directive))),
        };
    }
    verify::verify(&kernel).map_err(|e| e.to_string())?;
    let printed = kernel.to_string();
    assert_eq!(text::parse(&printed).as_ref(), Ok(&kernel), "{}", case.path.display());
    let buffers =
        kernel.buffers.iter().enumerate().map(|(i, b)| tensor(b, i)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(run(&kernel, &buffers), run(&given, &buffers), "{}", case.path.display());
    Ok(printed)
}

fn text_of(directive: &Directive) -> String {
    format!("{} {}", directive.name, directive.words.join(" "))
}

fn apply(k: &Kernel, primitive: &str, args: &[&str]) -> Result<Kernel, String> {
    let loops: Vec<VarId> = args.iter().filter_map(|a| variable(a)).collect();
    let result = match (primitive, &loops[..], args) {
        ("split", [l], [_, factor]) => {
            let factor = factor.parse().map_err(|_| format!("'{factor}' is not a factor"))?;
            split::split(k, *l, factor).map(|(k, ..)| k)
        }
        ("reorder", order, _) if order.len() == args.len() => reorder::reorder(k, order),
        ("unroll", [l], [_]) => unroll::unroll(k, *l),
        ("vectorize", [l], [_]) => vectorize::vectorize(k, *l),
        ("parallel", [l], [_]) => parallel::parallel(k, *l),
        ("fuse", [outer, inner], [_, _]) => fuse::fuse(k, *outer, *inner).map(|(k, _)| k),
        _ => return Err(format!("there is no schedule '{primitive} {}'", args.join(" "))),
    };
    result.map_err(|e| e.to_string())
}

fn variable(word: &str) -> Option<VarId> {
    match octrt_compiler::nest::text::parse_expr(word) {
        Ok(Expr::Var(id)) => Some(id),
        _ => None,
    }
}

fn run(kernel: &Kernel, buffers: &[Tensor]) -> Result<Tensor, String> {
    let buffers: Vec<Option<&Tensor>> = buffers.iter().map(Some).collect();
    interp::run(kernel, &buffers).map_err(|e| e.to_string())
}

/// Pseudorandom elements, in the buffer's range if it has one.
fn tensor(buffer: &KernelBuffer, seed: usize) -> Result<Tensor, String> {
    let mut state = seed as u64 + 1;
    let mut below = move |n: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % n.max(1)
    };
    let (lo, hi) = buffer.range.unwrap_or((0, 100));
    let width = hi.abs_diff(lo).saturating_add(1);
    let ints: Vec<i64> =
        (0..buffer.ty.shape.numel()).map(|_| lo.wrapping_add_unsigned(below(width))).collect();
    let element = |&v: &i64| match buffer.ty.dtype {
        DType::F32 => Scalar::F32(v as f32 * 0.37 - 17.0),
        DType::F64 => Scalar::F64(v as f64 * 0.37 - 17.0),
        DType::Bool => Scalar::Bool(v % 2 == 0),
        integer => Scalar::I64(v).cast(integer),
    };
    compute::tensor(&buffer.ty, &ints.iter().map(element).collect::<Vec<_>>()).map_err(|e| e.to_string())
}
