use octrt_ops::DType;
use octrt_ops::expr::{BufId, Expr, Scalar, VarId};

use super::parse;
use crate::loop_ir::verify::samples::{conv, copy, pad};
use crate::loop_ir::{Form, Kernel};
use crate::nest::text::parse_expr;

fn reads_back(k: &Kernel) {
    let text = k.to_string();
    assert_eq!(parse(&text).as_ref(), Ok(k), "{text}");
}

#[test]
fn conv_prints_like_its_definition() {
    let text = r#"kernel "conv" {
  in b0: f32[3, 7, 8]
  in b1: f32[8, 3, 3, 3]
  out b2: f32[8, 5, 6]
  in b3: f32[8]
  for L0 in 8
  for L1 in 5
  for L2 in 6
  reduce L3 in 3
  reduce L4 in 3
  reduce L5 in 3
  b2[L0, L1, L2]
    init b3[L0]
    sum mul(b0[L3, add(L1, L4), add(L2, L5)], b1[L0, L3, L4, L5])
    finish max(acc, 0.0f32)
}"#;
    assert_eq!(conv().to_string(), text);
}

#[test]
fn kernels_read_back() {
    reads_back(&conv());
    reads_back(&pad());
    let mut k = copy(12, &[3, 4], Expr::var(0) * Expr::int(4) + Expr::var(1));
    for form in [Form::Serial, Form::Parallel, Form::Unrolled, Form::Vector] {
        k.loops[1].form = form;
        reads_back(&k);
    }
    k.buffers[0].ty.dtype = DType::I64;
    k.buffers[0].range = Some((i64::MIN, -3));
    reads_back(&k);
    k.buffers[0].range = Some((0, 3));
    reads_back(&k);
    k.name = "quote \" backslash \\ tab \t nul \0 line\nü \u{200b} {".into();
    reads_back(&k);
    k.buffers[1].ty.shape = octrt_ops::Shape::scalar();
    (k.index, k.loops) = (vec![], vec![]);
    reads_back(&k);
}

#[test]
fn literals_read_back() {
    let floats =
        [0.0, -0.0, 1.5, -1e-5, 1e16, f32::MAX, f32::MIN_POSITIVE, 1e-45, f32::INFINITY, f32::NEG_INFINITY];
    let scalars = floats.into_iter().chain([f32::NAN]).map(Scalar::F32).chain([
        Scalar::I64(i64::MIN),
        Scalar::I64(-1),
        Scalar::I64(0),
        Scalar::I32(i32::MIN),
        Scalar::I32(7),
        Scalar::U8(255),
        Scalar::Bool(true),
        Scalar::Bool(false),
    ]);
    for s in scalars {
        assert_eq!(parse_expr(&s.to_string()), Ok(Expr::Const(s)), "{s}");
    }
}

#[test]
fn every_function_reads_back() {
    use octrt_ops::expr::{BinaryFn, CompareFn, UnaryFn};
    let (a, b) = (|| Expr::load(BufId(3), [Expr::var(1), Expr::int(-2)]), || Expr::Var(VarId(u32::MAX)));
    let unary = UnaryFn::ALL.iter().map(|f| Expr::unary(*f, a()));
    let binary = BinaryFn::ALL.iter().map(|f| Expr::binary(*f, a(), b()));
    let compare = CompareFn::ALL.iter().map(|f| Expr::compare(*f, a(), b()));
    let cast = DType::ALL.into_iter().map(|d| a().cast(d));
    let others = [Expr::Acc.select(a(), b()), Expr::load(BufId(0), [])];
    for e in unary.chain(binary).chain(compare).chain(cast).chain(others) {
        assert_eq!(parse_expr(&e.to_string()), Ok(e.clone()), "{e}");
    }
}

#[test]
fn errors_point_into_the_text() {
    let expr = |s: &str| parse_expr(s).unwrap_err().to_string();
    assert_eq!(expr("add(L0, "), "line 1, column 9: expected an expression, found the end");
    assert_eq!(expr("add(L0)"), "line 1, column 1: expected arguments: 2, found 1");
    assert_eq!(expr("add(L0 L1)"), "line 1, column 8: expected `,` or `)`, found `L1`");
    assert_eq!(expr("sine(L0)"), "line 1, column 1: expected an expression, found `sine`");
    assert_eq!(expr("L0 L1"), "line 1, column 4: expected the end, found `L1`");
    assert_eq!(expr("mul(L0, 99999999999999999999)").split(": ").next(), Some("line 1, column 9"));
    assert_eq!(expr("L0 ?"), "line 1, column 4: expected the end, found `?`");
    assert!(expr(&"neg(".repeat(100_000)).contains("at most 200 nested expressions"));
    let kernel = |s: &str| parse(s).unwrap_err().to_string();
    assert_eq!(kernel(""), "line 1, column 1: expected `kernel`, found the end");
    assert_eq!(kernel("kernel \"a"), "line 1, column 8: expected the kernel's name as a string, found `\"a`");
    assert_eq!(kernel("kernel \"a\" {\n  in b1: f32[]"), "line 2, column 6: expected `b0`, found `b1`");
    assert_eq!(
        kernel("kernel \"a\" {\n  in b0: f16[]"),
        "line 2, column 10: expected an element type, found `f16`"
    );
    let two = "kernel \"a\" {\n out b0: f32[] ; one\n out b1: f32[] b0[] = 1.0f32 }";
    assert_eq!(kernel(two), "line 3, column 2: expected a loop or the store to b0, found `out`");
    assert_eq!(
        kernel("kernel \"a\" { in b0: f32[] b0[]"),
        "line 1, column 27: expected a buffer `in` or `out`, found `b0`"
    );
    assert_eq!(
        kernel("kernel \"a\" { out b0: f32[] b0[] }"),
        "line 1, column 33: expected `=` or `init`, found `}`"
    );
}

#[test]
fn no_text_makes_the_reader_panic() {
    let text = conv().to_string();
    for (at, _) in text.char_indices() {
        assert!(parse(&text[..at]).is_err());
        for junk in ["\"", "\\", "é", "-", "9", "..", "[", "\"\\u{", "\"\\u{110000}\"", ";"] {
            // Some are kernels, with another name or extent.
            let _ = parse(&format!("{}{junk}{}", &text[..at], &text[at..]));
        }
    }
}
