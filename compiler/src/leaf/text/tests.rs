use super::*;
use crate::leaf::{
    Address, BinaryOp, Cache, Inst, OffId, Operand, Predicate, Program, PtrId, Shift, Shuffle, Slot, SlotId,
    SlotKind, Step, UnaryOp, VecId, Width,
};

/// Every statement with every form of its operands.
fn all() -> Program {
    let slot = |name: &str, kind| Slot { name: name.into(), kind };
    let (v, p, o) = (VecId, PtrId, OffId);
    let addresses = [
        Address::new(p(0), 0),
        Address::new(p(0), -64),
        Address { base: p(1), offset: Some(o(0)), bytes: 0 },
        Address { base: p(1), offset: Some(o(0)), bytes: i32::MIN },
        Address { base: p(1), offset: Some(o(0)), bytes: i32::MAX - 3 },
    ];
    let mut inner: Vec<Inst> =
        addresses.iter().map(|&from| Inst::Load { dst: v(0), from, lanes: 8 }).collect();
    let operands = [
        Operand::Vector(v(1)),
        Operand::Memory(addresses[1]),
        Operand::Broadcast(addresses[2]),
        Operand::Splat(-0.1),
    ];
    inner.extend(BinaryOp::ALL.map(|op| Inst::Binary { op, dst: v(0), a: v(1), b: operands[2] }));
    inner.extend(UnaryOp::ALL.map(|op| Inst::Unary { op, dst: v(0), src: v(1) }));
    inner.extend(Shift::ALL.map(|op| Inst::Shift { op, dst: v(0), src: v(1), by: 23 }));
    inner.extend(Predicate::ALL.map(|op| Inst::Compare { op, dst: v(0), a: v(1), b: v(0) }));
    inner.extend(Shuffle::ALL.map(|op| Inst::Shuffle { op, dst: v(0), a: v(1), b: v(0) }));
    inner.extend(operands.map(|b| Inst::Fma { acc: v(0), a: v(1), b }));
    inner.extend(operands.map(|c| Inst::Horner { acc: v(0), x: v(1), c }));
    inner.extend([0.1, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e-40, -3e38].map(|x| Inst::Splat(v(2), x)));
    let body = vec![
        Inst::Pointer { dst: p(0), slot: SlotId(0) },
        Inst::Offset { dst: o(0), table: p(0), entry: 3 },
        Inst::Displace { dst: p(1), base: p(0), by: o(0) },
        Inst::Advance { ptr: p(1), by: Step::Bytes(-64) },
        Inst::Zero(v(0)),
        Inst::Copy { dst: v(1), src: v(0) },
        Inst::Select { dst: v(1), mask: v(0), a: v(2), b: v(3) },
        Inst::Broadcast { dst: v(1), from: addresses[3] },
        Inst::Loop {
            count: SlotId(1),
            body: vec![
                Inst::Loop { count: SlotId(1), body: inner },
                Inst::Loop { count: SlotId(1), body: vec![] },
            ],
        },
        Inst::Advance { ptr: p(1), by: Step::Slot(SlotId(2)) },
        Inst::Load { dst: v(0), from: addresses[0], lanes: 3 },
        Inst::Store { to: addresses[4], lanes: 3, src: v(0) },
        Inst::Store { to: addresses[4], lanes: 8, src: v(0) },
        Inst::Prefetch(Cache::L1, addresses[1]),
        Inst::Prefetch(Cache::L2, addresses[2]),
    ];
    let kinds = [("src", SlotKind::Pointer), ("n", SlotKind::Count), ("a b; {", SlotKind::Stride)];
    let slots = kinds.map(|(name, kind)| slot(name, kind)).into();
    Program { name: "all of \\ them".into(), width: Width::W8, slots, body }
}

#[test]
fn what_prints_parses_back() {
    for width in Width::ALL {
        let program = Program { width, ..all() };
        assert_eq!(parse(&program.to_string()).as_ref(), Ok(&program), "{program}");
    }
}

#[test]
fn spaces_and_comments_mean_nothing() {
    let text = all().to_string();
    let spread = text.replace('\n', " ; a comment\n\n  ").replace(" = ", "=").replace(", ", " ,");
    assert_eq!(parse(&spread), Ok(all()));
}

#[test]
fn errors_say_where_and_what() {
    let message = |body: &str| {
        let text = format!("leaf \"x\" w8 {{\n  slot 0 \"n\": count\n  {body}\n}}");
        parse(&text).map_err(|e| e.to_string())
    };
    for (body, expected) in [
        ("v0 = v1 * v0 + v2", "line 3, column 8: expected an operation, found `v1`"),
        ("v0 = cbrt v1", "line 3, column 8: expected an operation, found `cbrt`"),
        ("v0 = shift_left v1, 256", "line 3, column 23: expected a number of bits, found `256`"),
        ("v0 = select v1, v2", "line 4, column 1: expected `,`, found `}`"),
        ("v0 = add v1 v2", "line 3, column 15: expected `,`, found `v2`"),
        ("v0 = load [v1]", "line 3, column 14: expected a pointer, found `v1`"),
        ("loop n {", "line 3, column 8: expected `slot`, found `n`"),
        ("loop slot 0 {", "line 4, column 2: expected a statement or `}`, found the end"),
        ("slot 7 \"m\": count", "line 3, column 8: expected `1`, found `7`"),
        ("v70000 = zero", "line 3, column 3: expected a statement or `}`, found `v70000`"),
        ("store [p0] lanes 999, v1", "line 3, column 20: expected a number of lanes, found `999`"),
    ] {
        assert_eq!(message(body), Err(expected.into()), "{body}");
    }
    for text in ["", "leaf", "leaf \"", "\u{e9}", "leaf \"x\" w9 {}", "leaf \"x\" w8 {} {"] {
        assert!(parse(text).is_err(), "{text}");
    }
    let deep = format!("leaf \"x\" w8 {{ {}", "loop slot 0 {".repeat(100_000));
    assert!(parse(&deep).is_err());
}
