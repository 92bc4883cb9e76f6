use octrt_ops::{DType, Tensor, TensorType};

use super::*;
use crate::leaf::programs::Fill;
use crate::leaf::{Program, Width};
use crate::tile::{LoopId, TileBuffer};

fn leaf() -> Program {
    Fill { width: Width::W8, value: 1.0, lanes: 8 }.program()
}

/// Every form of every part, most of them against the rules.
fn all() -> TileNest {
    let floats = TensorType::new(DType::F32, [2, 1, 8]);
    let table = |t: Tensor| TileBuffer { ty: t.ty().clone(), role: BufferRole::Table(t) };
    let long: Vec<i32> = (0..90).map(|i| i * i * 40_000 - 100_000).collect();
    let buffer = |role| TileBuffer { ty: floats.clone(), role };
    let buffers = vec![
        buffer(BufferRole::Src),
        table(Tensor::new([2, 2], &[0, -4, i32::MIN, i32::MAX]).unwrap()),
        table(Tensor::new([90], &long).unwrap()),
        table(Tensor::new([1], &[i64::MIN]).unwrap()),
        table(Tensor::new::<i32>([0], &[]).unwrap()),
        buffer(BufferRole::Dst),
        buffer(BufferRole::Scratch),
        TileBuffer { ty: TensorType::new(DType::I64, []), role: BufferRole::Src },
    ];
    let leaves = vec![leaf(), Program { name: "fill again".into(), ..leaf() }];
    let distance = |base, terms: &[(u32, i64)]| Distance {
        base,
        terms: terms.iter().map(|&(l, factor)| (LoopId(l), factor)).collect(),
    };
    let pointer = |b, at| SlotValue::Pointer(BufferId(b), at);
    let call = |leaf, slots: &[SlotValue]| Stmt::Call { leaf, slots: slots.to_vec() };
    let values = [
        pointer(5, distance(0, &[])),
        SlotValue::Number(-3),
        pointer(9, distance(-64, &[(0, 32), (1, -8)])),
        pointer(0, distance(i64::MIN, &[(7, i64::MAX), (7, 0)])),
        pointer(0, distance(0, &[(0, i64::MIN)])),
        SlotValue::Number(i64::MIN),
    ];
    let inner = Stmt::Loop { id: LoopId(1), extent: 0, body: vec![] };
    let body = vec![
        call(0, &values[..2]),
        Stmt::Loop { id: LoopId(1), extent: 3, body: vec![inner, call(1, &values)] },
        call(0, &[]),
        call(1, &values[..1]),
        call(2, &values[..1]),
    ];
    TileNest { name: "all of them".into(), buffers, leaves, parallel: LoopId(0), extent: 2, body }
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
    assert_eq!(error("in b0", "in b1"), "line 2: expected `b0`, found `b1`");
    assert_eq!(error("in b0", "input b0"), "line 2: expected a buffer or `for`, found `input`");
    assert_eq!(error("f32[2,1,8]", "f33[2,1,8]"), "line 2: expected an element type, found `f33`");
    let huge = error("f32[2,1,8]", "f32[9000000000,9000000000,9000000000]");
    assert_eq!(huge, "line 2: expected a type that can be addressed, found `f32`");
    assert_eq!(error("0, -4, ", "0, "), "line 3: expected 4 entries, found `0`");
    assert_eq!(error("0, -4, ", "0, 4000000000, "), "line 3: expected an i32, found `4000000000`");
    assert_eq!(error("i32[2,2]", "f32[2,2]"), "line 3: expected a table of `i32` or `i64`, found `f32`");
    assert_eq!(error("trips = -3", "trip = -3"), "line 23: expected `trips`, found `trip`");
    assert_eq!(error("0 \"fill\" (dst", "0 \"fil\" (dst"), "line 23: expected `\"fill\"`, found `\"fil\"`");
    assert_eq!(
        error("call 2 (", "call 2 \"x\" ("),
        "line 31: expected `(`, for there is no such leaf, found `\"x\"`"
    );
    assert_eq!(error("- 64 + 32*L0", "- 64 + 32"), "line 27: expected `*`, found `-`");
    assert_eq!(error(" parallel", ""), "line 22: expected `parallel`, found `{`");
    assert_eq!(error("leaf \"fill", "lead \"fill"), "line 36: expected the end, found `lead`");
    let deep = format!("tile \"t\" {{ for L0 in 1 parallel {{ {}", "for L1 in 1 { ".repeat(100_000));
    assert_eq!(parse(&deep).unwrap_err().to_string(), "line 1: expected `for`, `call` or `}`, found `for`");
}
