//! Leaf programs: the innermost register tiles, as data.
//!
//! A [`Program`] is straight-line code over vectors of f32 with at most three counted loops:
//!
//! ```text
//! leaf "conv_1x8" w8 {
//!   slot 0 "src": pointer
//!   slot 1 "wei": pointer
//!   slot 2 "dst": pointer
//!   slot 3 "blocks": count
//!   slot 4 "src_step": stride
//!   p0 = slot 0
//!   p1 = slot 1
//!   v0 = zero
//!   loop slot 3 {
//!     v1 = broadcast [p0]
//!     v0 += v1 * [p1]
//!     v2 = broadcast [p0 + 4]
//!     v0 += v2 * [p1 + 32]
//!     p0 += slot 4
//!     p1 += 64
//!   }
//!   v3 = zero
//!   v4 = max v3, v0
//!   p2 = slot 2
//!   store [p2], v4
//! }
//! ```
//!
//! Vectors (`v0`) hold [`Width::lanes`] lanes, pointers (`p0`) are addresses, offsets (`o0`) are signed byte counts
//! read from tables of i32. All of them are variables: they may be assigned again. Loads and stores touch 4-byte
//! elements of any alignment; a *partial* one touches the first lanes only, and a partial load zeroes the others.
//! Each lane is computed by itself in IEEE single precision, rounding to nearest; a product and a sum round once. `max a, b` is
//! `a > b ? a : b` and `min a, b` is `a < b ? a : b`: where a lane of either is NaN, and for zeros of both signs, the
//! result is `b`. So `max 0, x` is a ReLU that keeps NaN. Which NaN an operation yields is not defined.
//! A [comparison](Predicate) as `lt a, b` sets all bits of the lanes where it is true and clears the others;
//! `select m, a, b` is `a` in the lanes where the first bit of `m` is set, else `b`. Some [operations](BinaryOp) take lanes
//! for bits. [Shuffles](Shuffle) alone move lanes.
//!
//! The machine code has the C signature `void leaf(const uint64_t *slots)`: `slots[i]` is the value of slot `i`. It
//! touches nothing but what its loads, stores and offset tables address, calls nothing, needs no relocation, and
//! preserves all callee-saved registers and the floating-point mode; upper halves of vector registers are clear on
//! return.
//!
//! [`programs`] makes the programs of each kind of operator, [`verify`] has the rules, [`interp`] is the meaning,
//! [`reach`] and [`footprint`] say what memory a program touches, [`registers`] assigns machine registers, [`x64`]
//! assembles, [`emulate`] runs the assembled bytes on any machine.

use std::fmt;

pub mod emulate;
pub mod footprint;
pub mod interp;
pub mod memory;
mod operations;
pub mod programs;
pub mod reach;
pub mod registers;
pub mod text;
pub mod verify;
pub mod x64;

pub use operations::{BinaryOp, Predicate, Shift, Shuffle, UnaryOp};

/// A cache that a line is brought into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Level 1: what is used soon.
    L1,
    /// Level 2: what is used after more than level 1 holds.
    L2,
}

/// Width of the vectors of a program, which decides the instruction set it is assembled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// 8 lanes: AVX2 and FMA.
    W8,
    /// 16 lanes: AVX-512 F and DQ.
    W16,
}

impl Width {
    /// All widths.
    pub const ALL: [Width; 2] = [Width::W8, Width::W16];

    /// Elements in a vector.
    pub fn lanes(self) -> u32 {
        match self {
            Width::W8 => 8,
            Width::W16 => 16,
        }
    }

    /// Bytes in a vector.
    pub fn bytes(self) -> i32 {
        4 * self.lanes() as i32
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub u16);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// A vector variable. Prints as `v3`.
    VecId,
    "v"
);
id!(
    /// A pointer variable. Prints as `p3`.
    PtrId,
    "p"
);
id!(
    /// An offset variable: a signed number of bytes. Prints as `o3`.
    OffId,
    "o"
);
id!(
    /// A parameter: a position in [`Program::slots`] and in the array that the caller passes. Prints as `slot 3`.
    SlotId,
    "slot "
);

/// What a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// An address.
    Pointer,
    /// Iterations of a loop; 0 is allowed.
    Count,
    /// A signed number of bytes.
    Stride,
}

/// A parameter of a program: 8 bytes of the array that the caller passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What the builder calls it (`src`, `wei`, `dst`); unique in the program.
    pub name: String,
    /// What it is.
    pub kind: SlotKind,
}

/// A place in memory: `base + offset + bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Where to start from.
    pub base: PtrId,
    /// A run-time distance.
    pub offset: Option<OffId>,
    /// A constant distance in bytes, a multiple of 4.
    pub bytes: i32,
}

/// The second factor or operand of an operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operand {
    /// A vector variable.
    Vector(VecId),
    /// A full vector in memory.
    Memory(Address),
    /// One element in memory, in all lanes; only with [`Width::W16`].
    Broadcast(Address),
    /// A number in all lanes; not NaN.
    Splat(f32),
}

/// How far a pointer moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This many bytes, a multiple of 4.
    Bytes(i32),
    /// As many bytes as a slot of kind [`SlotKind::Stride`] says.
    Slot(SlotId),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Inst {
    /// `p0 = slot 3`: the address in a slot of kind [`SlotKind::Pointer`].
    Pointer {
        /// Assigned.
        dst: PtrId,
        /// Where it comes from.
        slot: SlotId,
    },
    /// `p0 = p1 + o2`.
    Displace {
        /// Assigned.
        dst: PtrId,
        /// Where to start from.
        base: PtrId,
        /// How far.
        by: OffId,
    },
    /// `p0 += 64`, `p0 += slot 4`.
    Advance {
        /// Moved.
        ptr: PtrId,
        /// How far.
        by: Step,
    },
    /// `o0 = table p1[2]`: the i32 at `p1 + 4 * 2`.
    Offset {
        /// Assigned.
        dst: OffId,
        /// Address of the table.
        table: PtrId,
        /// Position of the entry.
        entry: u16,
    },
    /// `v0 = zero`.
    Zero(VecId),
    /// `v0 = splat 0.5`: a number in all lanes; not NaN.
    Splat(VecId, f32),
    /// `v0 = copy v1`.
    Copy {
        /// Assigned.
        dst: VecId,
        /// Read.
        src: VecId,
    },
    /// `v0 = load [p0 + o1 + 32]`, `v0 = load [p0] lanes 3`.
    Load {
        /// Assigned.
        dst: VecId,
        /// Address of lane 0.
        from: Address,
        /// Lanes that are read, from 1 to all; the others become 0.
        lanes: u8,
    },
    /// `v0 = broadcast [p0 + 4]`: one element in all lanes.
    Broadcast {
        /// Assigned.
        dst: VecId,
        /// Address of the element.
        from: Address,
    },
    /// `v0 += v1 * v2`, rounded once.
    Fma {
        /// Read and assigned.
        acc: VecId,
        /// First factor.
        a: VecId,
        /// Second factor.
        b: Operand,
    },
    /// `v0 = v0 * v1 + v2`, rounded once: a step of a polynomial in `v1`.
    Horner {
        /// Read and assigned.
        acc: VecId,
        /// The factor.
        x: VecId,
        /// What is added.
        c: Operand,
    },
    /// `v0 = max v1, v2`.
    Binary {
        /// What is computed.
        op: BinaryOp,
        /// Assigned.
        dst: VecId,
        /// First operand.
        a: VecId,
        /// Second operand.
        b: Operand,
    },
    /// `v0 = sqrt v1`.
    Unary {
        /// What is computed.
        op: UnaryOp,
        /// Assigned.
        dst: VecId,
        /// Read.
        src: VecId,
    },
    /// `v0 = shift_left v1, 23`.
    Shift {
        /// Which way.
        op: Shift,
        /// Assigned.
        dst: VecId,
        /// Read.
        src: VecId,
        /// How many bits, from 0 to 31.
        by: u8,
    },
    /// `v0 = lt v1, v2`: all bits set where it is true, else clear.
    Compare {
        /// What is asked.
        op: Predicate,
        /// Assigned.
        dst: VecId,
        /// First operand.
        a: VecId,
        /// Second operand.
        b: VecId,
    },
    /// `v0 = select v1, v2, v3`.
    Select {
        /// Assigned.
        dst: VecId,
        /// Its first bits say which.
        mask: VecId,
        /// Taken where they are set.
        a: VecId,
        /// Taken where they are clear.
        b: VecId,
    },
    /// `v0 = interleave_low v1, v2`.
    Shuffle {
        /// Which lanes.
        op: Shuffle,
        /// Assigned.
        dst: VecId,
        /// The first vector.
        a: VecId,
        /// The second vector.
        b: VecId,
    },
    /// `store [p0 + 32], v0`, `store [p0] lanes 3, v0`.
    Store {
        /// Address of lane 0.
        to: Address,
        /// Lanes that are written, from 1 to all.
        lanes: u8,
        /// Read.
        src: VecId,
    },
    /// `prefetch l2 [p0 + 512]`: brings a cache line into this cache; the address need not be valid.
    Prefetch(Cache, Address),
    /// `loop slot 3 { ... }`: runs the body as often as a slot of kind [`SlotKind::Count`] says.
    Loop {
        /// Number of iterations.
        count: SlotId,
        /// What each does.
        body: Vec<Inst>,
    },
}

/// A leaf program.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Name for dumps and symbols: `conv_6x16`.
    pub name: String,
    /// Width of all its vectors.
    pub width: Width,
    /// Its parameters; a [`SlotId`] is a position here.
    pub slots: Vec<Slot>,
    /// What it does.
    pub body: Vec<Inst>,
}

impl Program {
    /// The slot of this name.
    pub fn slot(&self, name: &str) -> Option<SlotId> {
        self.slots.iter().position(|s| s.name == name).map(|i| SlotId(i as u16))
    }
}

/// A variable of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variable {
    /// A vector.
    Vector(VecId),
    /// A pointer.
    Pointer(PtrId),
    /// An offset.
    Offset(OffId),
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Variable::Vector(v) => v.fmt(f),
            Variable::Pointer(p) => p.fmt(f),
            Variable::Offset(o) => o.fmt(f),
        }
    }
}

impl Inst {
    /// The variables that the statement itself reads; for a loop none, its body has its own.
    pub fn reads(&self) -> impl Iterator<Item = Variable> {
        let vector = |v: &VecId| Some(Variable::Vector(*v));
        let pointer = |p: &PtrId| Some(Variable::Pointer(*p));
        let address = |a: &Address| [pointer(&a.base), a.offset.map(Variable::Offset)];
        let operand = |b: &Operand| match b {
            Operand::Vector(v) => [vector(v), None],
            Operand::Memory(a) | Operand::Broadcast(a) => address(a),
            Operand::Splat(_) => [None; 2],
        };
        let four = |[a, b]: [Option<Variable>; 2], [c, d]: [Option<Variable>; 2]| [a, b, c, d];
        let all = match self {
            Inst::Displace { base, by, .. } => [pointer(base), Some(Variable::Offset(*by)), None, None],
            Inst::Advance { ptr: p, .. } | Inst::Offset { table: p, .. } => [pointer(p), None, None, None],
            Inst::Copy { src, .. } | Inst::Unary { src, .. } | Inst::Shift { src, .. } => {
                [vector(src), None, None, None]
            }
            Inst::Load { from: a, .. } | Inst::Broadcast { from: a, .. } | Inst::Prefetch(_, a) => {
                four(address(a), [None; 2])
            }
            Inst::Store { to, src, .. } => four(address(to), [vector(src), None]),
            Inst::Fma { acc, a, b } | Inst::Horner { acc, x: a, c: b } => {
                four(operand(b), [vector(acc), vector(a)])
            }
            Inst::Binary { a, b, .. } => four(operand(b), [vector(a), None]),
            Inst::Shuffle { a, b, .. } | Inst::Compare { a, b, .. } => [vector(a), vector(b), None, None],
            Inst::Select { mask, a, b, .. } => [vector(mask), vector(a), vector(b), None],
            Inst::Pointer { .. } | Inst::Zero(_) | Inst::Splat(..) | Inst::Loop { .. } => [None; 4],
        };
        all.into_iter().flatten()
    }

    /// The variable that the statement itself assigns.
    pub fn assigns(&self) -> Option<Variable> {
        match self {
            Inst::Pointer { dst, .. } | Inst::Displace { dst, .. } | Inst::Advance { ptr: dst, .. } => {
                Some(Variable::Pointer(*dst))
            }
            Inst::Offset { dst, .. } => Some(Variable::Offset(*dst)),
            Inst::Zero(dst)
            | Inst::Splat(dst, _)
            | Inst::Copy { dst, .. }
            | Inst::Load { dst, .. }
            | Inst::Broadcast { dst, .. }
            | Inst::Fma { acc: dst, .. }
            | Inst::Horner { acc: dst, .. }
            | Inst::Binary { dst, .. }
            | Inst::Shuffle { dst, .. }
            | Inst::Unary { dst, .. }
            | Inst::Shift { dst, .. }
            | Inst::Compare { dst, .. }
            | Inst::Select { dst, .. } => Some(Variable::Vector(*dst)),
            Inst::Store { .. } | Inst::Prefetch(..) | Inst::Loop { .. } => None,
        }
    }

    /// The address that the statement itself names, if any.
    pub fn address(&self) -> Option<Address> {
        match self {
            Inst::Load { from: a, .. }
            | Inst::Broadcast { from: a, .. }
            | Inst::Store { to: a, .. }
            | Inst::Prefetch(_, a)
            | Inst::Fma { b: Operand::Memory(a) | Operand::Broadcast(a), .. }
            | Inst::Horner { c: Operand::Memory(a) | Operand::Broadcast(a), .. }
            | Inst::Binary { b: Operand::Memory(a) | Operand::Broadcast(a), .. } => Some(*a),
            _ => None,
        }
    }
}

impl Address {
    /// `base + bytes`.
    pub fn new(base: PtrId, bytes: i32) -> Address {
        Address { base, offset: None, bytes }
    }
}

impl Operand {
    /// The vector variable, if it is one.
    pub fn vector(self) -> Option<VecId> {
        match self {
            Operand::Vector(v) => Some(v),
            Operand::Memory(_) | Operand::Broadcast(_) | Operand::Splat(_) => None,
        }
    }
}
