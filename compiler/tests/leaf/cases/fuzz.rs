//! Programs of random statements.

use octrt_compiler::leaf::memory::{Access, Memory, Place, Region, Value};
use octrt_compiler::leaf::{
    Address, BinaryOp, Cache, Inst, OffId, Operand, Predicate, Program, PtrId, Shift, Shuffle, Slot, SlotId,
    SlotKind, Step, UnaryOp, VecId, Width,
};

use super::{Case, Rng, number};

const VECTORS: i64 = 10;
const POINTERS: i64 = 5;
const OFFSETS: i64 = 4;

/// A program that keeps the rules; a few leave their memory.
pub fn fuzz(width: Width, rng: &mut Rng) -> Case {
    let slot = |name: &str, kind| Slot { name: name.into(), kind };
    let mut slots: Vec<Slot> = (0..POINTERS).map(|i| slot(&format!("p{i}"), SlotKind::Pointer)).collect();
    slots.extend([slot("table", SlotKind::Pointer)]);
    slots.extend([slot("n0", SlotKind::Count), slot("n1", SlotKind::Count), slot("step", SlotKind::Stride)]);
    // Every variable is assigned at first; the table's pointer is the one after the others.
    let table = PtrId(POINTERS as u16);
    let pointer = |i: i64| Inst::Pointer { dst: PtrId(i as u16), slot: SlotId(i as u16) };
    let mut body: Vec<Inst> = (0..=POINTERS).map(pointer).collect();
    body.extend((0..OFFSETS as u16).map(|i| Inst::Offset { dst: OffId(i), table, entry: i }));
    body.extend((0..VECTORS).map(|i| match rng.range(0, 1) {
        0 => Inst::Splat(VecId(i as u16), rng.range(-9, 9) as f32 * 0.5),
        _ => Inst::Zero(VecId(i as u16)),
    }));
    let mut g =
        Generator { width, lanes: (0..3).map(|_| rng.range(1, width.lanes().into()) as u8).collect() };
    body.extend(g.block(rng, &mut vec![SlotId(POINTERS as u16 + 1), SlotId(POINTERS as u16 + 2)]));
    // All results are stored where pointers hardly move to.
    for i in 0..VECTORS {
        let to = Address::new(PtrId(0), 700 + i as i32 * width.bytes());
        body.push(Inst::Store { to, lanes: width.lanes() as u8, src: VecId(i as u16) });
    }
    let program = Program { name: "fuzz".into(), width, slots, body };
    let (values, memory) = memory(rng);
    Case { name: "fuzz".into(), program, slots: values, memory, formula: None, scratch: None }
}

fn memory(rng: &mut Rng) -> (Vec<Value>, Memory) {
    let mut memory = Memory::default();
    let mut values = Vec::new();
    for _ in 0..POINTERS {
        let floats: Vec<f32> = (0..800).map(|_| number(rng)).collect();
        let place = memory.add(Region::floats(&floats, Access::ReadWrite));
        values.push(Value::Pointer(Place { byte: 1200, ..place }));
    }
    let table: Vec<i32> = (0..OFFSETS).map(|_| 4 * rng.range(-40, 40) as i32).collect();
    values.push(Value::Pointer(memory.add(Region::table(&table))));
    values.extend([rng.range(0, 3), rng.range(0, 3), 4 * rng.range(-9, 9)].map(Value::Number));
    (values, memory)
}

struct Generator {
    width: Width,
    /// Numbers of lanes of partial accesses: there are only so many masks.
    lanes: Vec<u8>,
}

impl Generator {
    fn vector(&self, rng: &mut Rng) -> VecId {
        VecId(rng.range(0, VECTORS - 1) as u16)
    }

    fn pointer(&self, rng: &mut Rng) -> PtrId {
        PtrId(rng.range(0, POINTERS - 1) as u16)
    }

    fn address(&self, rng: &mut Rng) -> Address {
        let offset = rng.chance(3).then(|| OffId(rng.range(0, OFFSETS - 1) as u16));
        let far = if rng.chance(100) { 1 << 30 } else { 0 };
        Address { base: self.pointer(rng), offset, bytes: 4 * rng.range(-100, 60) as i32 + far }
    }

    fn operand(&self, rng: &mut Rng) -> Operand {
        match rng.range(0, 4) {
            0 => Operand::Memory(self.address(rng)),
            4 => Operand::Splat(rng.pick(&[0.5, -2.0, 1e-40])),
            1 if self.width == Width::W16 => Operand::Broadcast(self.address(rng)),
            _ => Operand::Vector(self.vector(rng)),
        }
    }

    fn some_lanes(&self, rng: &mut Rng) -> u8 {
        if rng.chance(2) { self.width.lanes() as u8 } else { rng.pick(&self.lanes) }
    }

    fn block(&mut self, rng: &mut Rng, loops: &mut Vec<SlotId>) -> Vec<Inst> {
        let mut out = Vec::new();
        for _ in 0..rng.range(3, 14) {
            match loops.pop() {
                Some(count) if rng.chance(5) => {
                    out.push(Inst::Loop { count, body: self.block(rng, loops) });
                }
                count => {
                    loops.extend(count);
                    if rng.chance(6) {
                        out.extend(self.of_masks(rng));
                    } else {
                        out.push(self.inst(rng));
                    }
                }
            }
        }
        out
    }

    /// An operation on the bits of comparisons: those of NaN are not defined.
    fn of_masks(&self, rng: &mut Rng) -> [Inst; 3] {
        let [dst, a, b] = [(); 3].map(|()| self.vector(rng));
        let mut compare = |dst| {
            let op = rng.pick(&Predicate::ALL);
            Inst::Compare { op, dst, a: self.vector(rng), b: self.vector(rng) }
        };
        let (first, second) = (compare(a), compare(b));
        let last = match rng.range(0, 3) {
            0 => Inst::Select { dst, mask: a, a: self.vector(rng), b },
            1 => Inst::Shift { op: rng.pick(&Shift::ALL), dst, src: a, by: rng.range(0, 31) as u8 },
            2 => Inst::Unary { op: UnaryOp::FromInt, dst, src: b },
            _ => {
                let bits = [BinaryOp::And, BinaryOp::AndNot, BinaryOp::Xor, BinaryOp::SubBits];
                Inst::Binary { op: rng.pick(&bits), dst, a, b: Operand::Vector(b) }
            }
        };
        [first, second, last]
    }

    fn inst(&self, rng: &mut Rng) -> Inst {
        let (dst, src) = (self.vector(rng), self.vector(rng));
        match rng.range(0, 17) {
            0 => {
                let by = match rng.range(0, 1) {
                    0 => Step::Slot(SlotId(POINTERS as u16 + 3)),
                    _ => Step::Bytes(4 * rng.range(-9, 9) as i32),
                };
                Inst::Advance { ptr: self.pointer(rng), by }
            }
            1 if rng.chance(3) => {
                // The first pointer is where results are stored.
                let dst = PtrId(rng.range(1, POINTERS - 1) as u16);
                Inst::Displace { dst, base: self.pointer(rng), by: OffId(rng.range(0, OFFSETS - 1) as u16) }
            }
            2 => Inst::Copy { dst, src },
            3 => Inst::Load { dst, from: self.address(rng), lanes: self.some_lanes(rng) },
            4 => Inst::Broadcast { dst, from: self.address(rng) },
            5 => Inst::Compare { op: rng.pick(&Predicate::ALL), dst, a: src, b: self.vector(rng) },
            6 => Inst::Store { to: self.address(rng), lanes: self.some_lanes(rng), src },
            7 => Inst::Prefetch(rng.pick(&[Cache::L1, Cache::L2]), self.address(rng)),
            8 => Inst::Splat(dst, rng.pick(&[0.5, -2.0, f32::INFINITY, 1e-40])),
            9 => Inst::Fma { acc: dst, a: src, b: self.operand(rng) },
            10 => Inst::Horner { acc: dst, x: src, c: self.operand(rng) },
            11 | 12 => Inst::Shuffle { op: rng.pick(&Shuffle::ALL), dst, a: src, b: self.vector(rng) },
            13 | 14 => {
                let narrow = [UnaryOp::Sqrt, UnaryOp::Round, UnaryOp::Floor, UnaryOp::Ceil];
                let op = match self.width {
                    Width::W16 if rng.chance(3) => rng.pick(&[UnaryOp::Exponent, UnaryOp::Mantissa]),
                    _ => rng.pick(&narrow),
                };
                Inst::Unary { op, dst, src }
            }
            15 if self.width == Width::W16 => {
                Inst::Binary { op: BinaryOp::Scale, dst, a: src, b: self.operand(rng) }
            }
            _ => {
                let op = rng.pick(&[
                    BinaryOp::Add,
                    BinaryOp::Sub,
                    BinaryOp::Mul,
                    BinaryOp::Div,
                    BinaryOp::Min,
                    BinaryOp::Max,
                    BinaryOp::Or,
                ]);
                Inst::Binary { op, dst, a: src, b: self.operand(rng) }
            }
        }
    }
}
