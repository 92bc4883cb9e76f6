//! Printing of programs.

use std::fmt;

use crate::leaf::{
    Address, BinaryOp, Cache, Inst, Operand, Predicate, Program, Shift, Shuffle, Slot, SlotKind, Step,
    UnaryOp, Width,
};

/// Prints as `w8`.
impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.lanes())
    }
}

/// Prints as `pointer`, `count` or `stride`.
impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SlotKind::Pointer => "pointer",
            SlotKind::Count => "count",
            SlotKind::Stride => "stride",
        })
    }
}

/// Prints as `"src": pointer`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.name, self.kind)
    }
}

/// Prints as `[p0 + o1 - 32]`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}", self.base)?;
        if let Some(o) = self.offset {
            write!(f, " + {o}")?;
        }
        match self.bytes {
            0 => {}
            1.. => write!(f, " + {}", self.bytes)?,
            _ => write!(f, " - {}", self.bytes.unsigned_abs())?,
        }
        f.write_str("]")
    }
}

/// Prints as `v0`, `[p0]`, `broadcast [p0]` or `splat 0.5`.
impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Vector(v) => v.fmt(f),
            Operand::Memory(a) => a.fmt(f),
            Operand::Broadcast(a) => write!(f, "broadcast {a}"),
            Operand::Splat(x) => write!(f, "splat {x:?}"),
        }
    }
}

impl BinaryOp {
    /// All of them.
    pub const ALL: [BinaryOp; 12] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Min,
        BinaryOp::Max,
        BinaryOp::And,
        BinaryOp::AndNot,
        BinaryOp::Or,
        BinaryOp::Xor,
        BinaryOp::SubBits,
        BinaryOp::Scale,
    ];
}

/// Prints as `add` or `sub_bits`.
impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BinaryOp::Add => "add",
            BinaryOp::Sub => "sub",
            BinaryOp::Mul => "mul",
            BinaryOp::Div => "div",
            BinaryOp::Min => "min",
            BinaryOp::Max => "max",
            BinaryOp::And => "and",
            BinaryOp::AndNot => "and_not",
            BinaryOp::Or => "or",
            BinaryOp::Xor => "xor",
            BinaryOp::SubBits => "sub_bits",
            BinaryOp::Scale => "scale",
        })
    }
}

impl UnaryOp {
    /// All of them.
    pub const ALL: [UnaryOp; 7] = [
        UnaryOp::Sqrt,
        UnaryOp::Round,
        UnaryOp::Floor,
        UnaryOp::Ceil,
        UnaryOp::FromInt,
        UnaryOp::Exponent,
        UnaryOp::Mantissa,
    ];
}

/// Prints as `sqrt` or `from_int`.
impl fmt::Display for UnaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnaryOp::Sqrt => "sqrt",
            UnaryOp::Round => "round",
            UnaryOp::Floor => "floor",
            UnaryOp::Ceil => "ceil",
            UnaryOp::FromInt => "from_int",
            UnaryOp::Exponent => "exponent",
            UnaryOp::Mantissa => "mantissa",
        })
    }
}

impl Shift {
    /// All of them.
    pub const ALL: [Shift; 2] = [Shift::Left, Shift::Right];
}

/// Prints as `shift_left` or `shift_right`.
impl fmt::Display for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shift::Left => "shift_left",
            Shift::Right => "shift_right",
        })
    }
}

impl Predicate {
    /// All of them.
    pub const ALL: [Predicate; 7] = [
        Predicate::Lt,
        Predicate::Le,
        Predicate::Gt,
        Predicate::Ge,
        Predicate::Eq,
        Predicate::Ne,
        Predicate::Unordered,
    ];
}

/// Prints as `lt` or `unordered`.
impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Predicate::Lt => "lt",
            Predicate::Le => "le",
            Predicate::Gt => "gt",
            Predicate::Ge => "ge",
            Predicate::Eq => "eq",
            Predicate::Ne => "ne",
            Predicate::Unordered => "unordered",
        })
    }
}

impl Shuffle {
    /// All of them.
    pub const ALL: [Shuffle; 6] = [
        Shuffle::InterleaveLow,
        Shuffle::InterleaveHigh,
        Shuffle::JoinLow,
        Shuffle::JoinHigh,
        Shuffle::EvenQuads,
        Shuffle::OddQuads,
    ];
}

/// Prints as `interleave_low`, `interleave_high`, `join_low`, `join_high`, `even_quads` or `odd_quads`.
impl fmt::Display for Shuffle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Shuffle::InterleaveLow => "interleave_low",
            Shuffle::InterleaveHigh => "interleave_high",
            Shuffle::JoinLow => "join_low",
            Shuffle::JoinHigh => "join_high",
            Shuffle::EvenQuads => "even_quads",
            Shuffle::OddQuads => "odd_quads",
        })
    }
}

/// Prints as in the header of [`leaf`](crate::leaf), where loads and stores of fewer than 16 lanes name them; a loop
/// without its body.
impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        inst(f, self, Width::W16)
    }
}

fn inst(f: &mut fmt::Formatter<'_>, inst: &Inst, width: Width) -> fmt::Result {
    let partial = |lanes: u8| match u32::from(lanes) == width.lanes() {
        true => String::new(),
        false => format!(" lanes {lanes}"),
    };
    match inst {
        Inst::Pointer { dst, slot } => write!(f, "{dst} = {slot}"),
        Inst::Displace { dst, base, by } => write!(f, "{dst} = {base} + {by}"),
        Inst::Advance { ptr, by: Step::Bytes(bytes) } => write!(f, "{ptr} += {bytes}"),
        Inst::Advance { ptr, by: Step::Slot(slot) } => write!(f, "{ptr} += {slot}"),
        Inst::Offset { dst, table, entry } => write!(f, "{dst} = table {table}[{entry}]"),
        Inst::Zero(v) => write!(f, "{v} = zero"),
        Inst::Splat(v, x) => write!(f, "{v} = splat {x:?}"),
        Inst::Copy { dst, src } => write!(f, "{dst} = copy {src}"),
        Inst::Load { dst, from, lanes } => write!(f, "{dst} = load {from}{}", partial(*lanes)),
        Inst::Broadcast { dst, from } => write!(f, "{dst} = broadcast {from}"),
        Inst::Fma { acc, a, b } => write!(f, "{acc} += {a} * {b}"),
        Inst::Horner { acc, x, c } => write!(f, "{acc} = {acc} * {x} + {c}"),
        Inst::Binary { op, dst, a, b } => write!(f, "{dst} = {op} {a}, {b}"),
        Inst::Shuffle { op, dst, a, b } => write!(f, "{dst} = {op} {a}, {b}"),
        Inst::Unary { op, dst, src } => write!(f, "{dst} = {op} {src}"),
        Inst::Shift { op, dst, src, by } => write!(f, "{dst} = {op} {src}, {by}"),
        Inst::Compare { op, dst, a, b } => write!(f, "{dst} = {op} {a}, {b}"),
        Inst::Select { dst, mask, a, b } => write!(f, "{dst} = select {mask}, {a}, {b}"),
        Inst::Store { to, lanes, src } => write!(f, "store {to}{}, {src}", partial(*lanes)),
        Inst::Prefetch(Cache::L1, a) => write!(f, "prefetch l1 {a}"),
        Inst::Prefetch(Cache::L2, a) => write!(f, "prefetch l2 {a}"),
        Inst::Loop { count, .. } => write!(f, "loop {count}"),
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "leaf {:?} {} {{", self.name, self.width)?;
        for (i, slot) in self.slots.iter().enumerate() {
            writeln!(f, "  slot {i} {slot}")?;
        }
        block(f, &self.body, self.width, 1)?;
        writeln!(f, "}}")
    }
}

fn block(f: &mut fmt::Formatter<'_>, insts: &[Inst], width: Width, depth: usize) -> fmt::Result {
    let indent = 2 * depth;
    for i in insts {
        write!(f, "{:indent$}", "")?;
        inst(f, i, width)?;
        match i {
            Inst::Loop { body, .. } => {
                writeln!(f, " {{")?;
                block(f, body, width, depth + 1)?;
                writeln!(f, "{:indent$}}}", "")?;
            }
            _ => writeln!(f)?,
        }
    }
    Ok(())
}
