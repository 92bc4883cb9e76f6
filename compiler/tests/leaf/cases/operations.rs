//! Each operation alone, on bits of every kind.

use octrt_compiler::leaf::memory::{Access, Memory, Region, Value};
use octrt_compiler::leaf::{
    Address, BinaryOp, Inst, Operand, Predicate, Program, PtrId, Shift, Slot, SlotId, SlotKind, UnaryOp,
    VecId, Width,
};

use super::{Case, Rng};

/// Vectors that each operation is computed of.
const VECTORS: i64 = 40;

/// Zeros, denormals, ones, numbers that round to integers, the ends of integers and exponents, infinities and NaN; the
/// negative ones too.
const SPECIAL: [u32; 24] = [
    0,
    1,
    0x007f_ffff,
    0x0080_0000,
    0x0100_0000,
    0x3e80_0000,
    0x3f00_0000,
    0x3f35_04f3,
    0x3f40_0000,
    0x3f7f_ffff,
    0x3f80_0000,
    0x3fc0_0000,
    0x3fff_ffff,
    0x4020_0000,
    0x4060_0000,
    0x42fe_0000,
    0x4300_0000,
    0x4316_0000,
    0x4aff_ffff,
    0x4b00_0001,
    0x4f00_0000,
    0x7f7f_ffff,
    0x7f80_0000,
    0x7fc0_0000,
];

fn pattern(rng: &mut Rng) -> f32 {
    let sign = (rng.next() as u32) << 31;
    f32::from_bits(match rng.range(0, 5) {
        0 | 1 => rng.pick(&SPECIAL) | sign,
        // About 1, and up to thousands.
        2 | 3 => ((rng.next() as u32 & 0x07ff_ffff) + 0x3d00_0000) | sign,
        _ => quiet(rng.next() as u32),
    })
}

/// The bits, with the quiet NaN for one that signals.
fn quiet(bits: u32) -> u32 {
    if f32::from_bits(bits).is_nan() { bits | 0x0040_0000 } else { bits }
}

/// What each operation does to `v0`, `v1` and `v2`, into `v3`.
fn all(width: Width) -> Vec<Inst> {
    let (dst, a, b, c) = (VecId(3), VecId(0), VecId(1), VecId(2));
    let mut out: Vec<Inst> = Vec::new();
    out.extend(BinaryOp::ALL.map(|op| Inst::Binary { op, dst, a, b: Operand::Vector(b) }));
    out.extend(UnaryOp::ALL.map(|op| Inst::Unary { op, dst, src: a }));
    for by in [0, 1, 23, 31] {
        out.extend(Shift::ALL.map(|op| Inst::Shift { op, dst, src: a, by }));
    }
    out.extend(Predicate::ALL.map(|op| Inst::Compare { op, dst, a, b }));
    out.push(Inst::Select { dst, mask: a, a: b, b: c });
    out.retain(|inst| width == Width::W16 || !wide(inst));
    out
}

/// Whether only vectors of 16 lanes have the operation.
fn wide(inst: &Inst) -> bool {
    matches!(
        inst,
        Inst::Binary { op: BinaryOp::Scale, .. }
            | Inst::Unary { op: UnaryOp::Exponent | UnaryOp::Mantissa, .. }
    )
}

/// One case for each operation.
pub fn operations(width: Width, rng: &mut Rng) -> Vec<Case> {
    all(width).into_iter().map(|inst| case(width, rng, inst)).collect()
}

fn case(width: Width, rng: &mut Rng, inst: Inst) -> Case {
    let slots: Vec<Slot> = ["a", "b", "c", "dst"]
        .map(|name| Slot { name: name.into(), kind: SlotKind::Pointer })
        .into_iter()
        .chain([Slot { name: "trips".into(), kind: SlotKind::Count }])
        .collect();
    let pointer = |p| Inst::Pointer { dst: PtrId(p), slot: SlotId(p) };
    let lanes = width.lanes() as u8;
    let at = |p| Address::new(PtrId(p), 0);
    let mut body: Vec<Inst> = (0..3).map(|p| Inst::Load { dst: VecId(p), from: at(p), lanes }).collect();
    let name = inst.to_string();
    body.extend([inst, Inst::Store { to: at(3), lanes, src: VecId(3) }]);
    let by = octrt_compiler::leaf::Step::Bytes(width.bytes());
    body.extend((0..4).map(|p| Inst::Advance { ptr: PtrId(p), by }));
    let mut whole: Vec<Inst> = (0..4).map(pointer).collect();
    whole.push(Inst::Loop { count: SlotId(4), body });
    let program = Program { name: "operation".into(), width, slots, body: whole };
    let mut memory = Memory::default();
    let elements = VECTORS * i64::from(width.lanes());
    let mut values: Vec<Value> = (0..3)
        .map(|_| {
            let floats: Vec<f32> = (0..elements).map(|_| pattern(rng)).collect();
            Value::Pointer(memory.add(Region::floats(&floats, Access::Read)))
        })
        .collect();
    let dst = memory.add(Region::floats(&vec![0.0; elements as usize], Access::ReadWrite));
    values.extend([Value::Pointer(dst), Value::Number(VECTORS)]);
    Case { name, program, slots: values, memory, formula: None, scratch: None }
}
