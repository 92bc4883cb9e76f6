use std::sync::Arc;

use octrt_ops::compute::ReduceFn;
use octrt_ops::expr::{Expr, VarId};
use octrt_ops::{DType, Tensor, TensorType};

use super::*;
use crate::leaf::programs::Fill;
use crate::leaf::{Program, Width};
use crate::nest::Buffer;
use crate::nest::{Form, Loop, Reduction, Role};

fn leaf() -> Program {
    Fill { width: Width::W8, value: 1.0, lanes: 8 }.program()
}

/// Every form of every part, most of them against the rules.
fn all() -> Nest {
    let floats = TensorType::new(DType::F32, [2, 1, 8]);
    let table = |t: Tensor| Buffer::new(t.ty().clone(), BufferRole::Table(t));
    let long: Vec<i32> = (0..90).map(|i| i * i * 40_000 - 100_000).collect();
    let buffer = |role| Buffer { ty: floats.clone(), role, range: None };
    let buffers = vec![
        buffer(BufferRole::Src),
        table(Tensor::new([2, 2], &[0, -4, i32::MIN, i32::MAX]).unwrap()),
        table(Tensor::new([90], &long).unwrap()),
        table(Tensor::new([1], &[i64::MIN]).unwrap()),
        table(Tensor::new::<i32>([0], &[]).unwrap()),
        buffer(BufferRole::Dst),
        buffer(BufferRole::Scratch),
        Buffer::new(TensorType::new(DType::I64, []), BufferRole::Src),
    ];
    let leaves = vec![leaf(), Program { name: "fill \"again\"".into(), ..leaf() }];
    let distance = |base, terms: &[(u32, i64)]| Distance {
        base,
        terms: terms.iter().map(|&(l, factor)| (VarId(l), factor)).collect(),
    };
    let pointer = |b, at| SlotValue::Pointer(BufId(b), at);
    let call = |leaf, slots: &[SlotValue]| Stmt::Call { leaf, slots: slots.to_vec() };
    let values = [
        pointer(5, distance(0, &[])),
        SlotValue::Number(-3),
        pointer(9, distance(-64, &[(0, 32), (1, -8)])),
        pointer(0, distance(i64::MIN, &[(7, i64::MAX), (7, 0)])),
        pointer(0, distance(0, &[(0, i64::MIN)])),
        SlotValue::Number(i64::MIN),
    ];
    let loop_ = |id, extent, role, form, body| Stmt::Loop(Loop { id: VarId(id), extent, role, form }, body);
    let sum = Reduction { combine: ReduceFn::Sum, init: Expr::f32(0.5), finish: Expr::Acc };
    let index = vec![Expr::var(0), Expr::int(0), Expr::var(1)];
    let define = |when, reduce| Define {
        dst: BufId(5),
        index: index.clone(),
        when,
        value: Expr::load(BufId(0), index.clone()),
        reduce,
        update: false,
    };
    let when = Expr::compare(octrt_ops::expr::CompareFn::Lt, Expr::var(1), Expr::int(7));
    let inner = loop_(1, 0, Role::Data, Form::Serial, vec![]);
    let calls = vec![
        call(0, &values[..2]),
        loop_(1, 3, Role::Reduce, Form::Serial, vec![inner, call(1, &values)]),
        call(0, &[]),
        call(1, &values[..1]),
        call(2, &values[..1]),
        loop_(8, 2, Role::Data, Form::Vector, vec![Stmt::Define(define(None, Some(sum)))]),
    ];
    let body = vec![
        loop_(0, 2, Role::Data, Form::Parallel, calls),
        Stmt::Define(define(Some(when), None)),
        loop_(3, 2, Role::Data, Form::Unrolled, vec![]),
        loop_(4, 2, Role::Data, Form::Turn, vec![]),
    ];
    Nest { name: "all \\ of\tthem".into(), buffers, leaves: leaves.into_iter().map(Arc::new).collect(), body }
}

#[test]
fn what_prints_parses_back() {
    let nest = all();
    let text = nest.to_string();
    assert_eq!(parse(&text).as_ref(), Ok(&nest), "{text}");
    assert!(text.lines().filter(|l| !l.contains("call")).all(|l| l.len() <= COLUMNS), "{text}");
    assert!(text.contains("  table b1: i32[2,2] = [0, -4, -2147483648, 2147483647]\n"), "{text}");
    assert!(text.contains("= b9 - 64 + 32*L0 - 8*L1, "), "{text}");
    assert!(text.contains("    call 0 \"fill\" (dst = b5, trips = -3)\n"), "{text}");
    assert!(text.contains("    call 2 (_ = b5)\n"), "{text}");
    // Spaces and comments mean nothing.
    let spaced = text.replace('\n', "  ; a comment\n\n").replace(" = ", "  =\n");
    assert_eq!(parse(&spaced), Ok(nest));
}

/// What is said of the text of [`all`] with `old` replaced by `new`.
fn error(old: &str, new: &str) -> String {
    let text = all().to_string();
    assert!(text.contains(old), "{text}");
    parse(&text.replacen(old, new, 1)).unwrap_err().to_string()
}

#[test]
fn errors_say_where_and_what() {
    assert_eq!(error("in b0", "in b1"), "line 2, column 6: expected `b0`, found `b1`");
    let element = "expected `for`, `reduce`, `call`, an element or `}`";
    assert_eq!(error("in b0", "input b0"), format!("line 2, column 3: {element}, found `input`"));
    assert_eq!(error("f32[2,1,8]", "f33[2,1,8]"), "line 2, column 10: expected an element type, found `f33`");
    let huge = error("f32[2,1,8]", "f32[9000000000,9000000000,9000000000]");
    assert_eq!(huge, "line 2, column 10: expected a type that can be addressed, found `f32`");
    assert_eq!(error("0, -4, ", "0, "), "line 3, column 25: expected 4 entries, found `0`");
    assert_eq!(error("0, -4, ", "0, 4000000000, "), "line 3, column 28: expected an i32, found `4000000000`");
    let table = error("i32[2,2]", "f32[2,2]");
    assert_eq!(table, "line 3, column 13: expected a table of `i32` or `i64`, found `f32`");
    assert_eq!(error("trips = -3", "trip = -3"), "line 23, column 30: expected `trips`, found `trip`");
    let name = error("0 \"fill\" (dst", "0 \"fil\" (dst");
    assert_eq!(name, "line 23, column 12: expected `\"fill\"`, found `\"fil\"`");
    assert_eq!(
        error("call 2 (", "call 2 \"x\" ("),
        "line 31, column 12: expected `(`, for there is no such leaf, found `\"x\"`"
    );
    let sign = error("- 64 + 32*L0", "- 64 + 32");
    assert!(sign.starts_with("line 27, column ") && sign.ends_with(": expected `*`, found `-`"), "{sign}");
    assert_eq!(error(" parallel", " parallels"), "line 22, column 15: expected `{`, found `parallels`");
    assert_eq!(error("leaf \"fill", "lead \"fill"), "line 47, column 1: expected the end, found `lead`");
    assert_eq!(
        error("sum b0", "sun b0"),
        "line 35, column 9: expected `sum`, `max`, `min` or `prod`, found `sun`"
    );
    let deep = format!("nest \"t\" {{ {}", "for L1 in 1 { ".repeat(100_000));
    let deep = parse(&deep).unwrap_err().to_string();
    assert!(deep.starts_with("line 1, column ") && deep.ends_with("found `for`"), "{deep}");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = all().to_string();
    for (at, _) in text.trim_end().char_indices() {
        assert!(parse(&text[..at]).is_err());
        for junk in ["\"", "\\", "é", "-", "9", "..", "[", "\"\\u{", "\"\\u{110000}\"", ";"] {
            // Some are nests, with another name or extent.
            let _ = parse(&format!("{}{junk}{}", &text[..at], &text[at..]));
        }
    }
}
