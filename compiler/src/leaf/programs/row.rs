//! Reductions of a row of elements, and functions of its elements and of what they were reduced to: a softmax, a
//! normalisation.

use super::builder::Builder;
use super::elementwise::Reads;
use super::formula::{Formula, From, OPERAND};
use super::hoist::hoisted;
use crate::leaf::{
    Address, BinaryOp, Inst, Operand, Predicate, Program, PtrId, Shuffle, VecId, Width, registers,
};

/// How elements are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// The largest; which one where one is NaN is not defined.
    Max,
    /// The smallest; which one where one is NaN is not defined.
    Min,
    /// The largest, NaN if one is NaN.
    MaxOrNan,
    /// The smallest, NaN if one is NaN.
    MinOrNan,
}

impl Combine {
    /// What changes nothing that it is combined with.
    fn identity(self) -> f32 {
        match self {
            Combine::Sum => 0.0,
            Combine::Max | Combine::MaxOrNan => f32::NEG_INFINITY,
            Combine::Min | Combine::MinOrNan => f32::INFINITY,
        }
    }

    /// `acc = acc combined with x`
    fn write(self, b: &mut Builder, acc: VecId, x: VecId) {
        let op = match self {
            Combine::Sum => BinaryOp::Add,
            Combine::Max | Combine::MaxOrNan => BinaryOp::Max,
            Combine::Min | Combine::MinOrNan => BinaryOp::Min,
        };
        // NaN in the second operand is the result.
        if matches!(self, Combine::MaxOrNan | Combine::MinOrNan) {
            let nan = b.vector();
            b.push(Inst::Compare { op: Predicate::Unordered, dst: nan, a: acc, b: acc });
            b.assign(acc, op, acc, Operand::Vector(x));
            b.assign(acc, BinaryOp::Or, acc, Operand::Vector(nan));
        } else {
            b.assign(acc, op, acc, Operand::Vector(x));
        }
    }
}

/// A walk through the row. Formulas number the operands of the program first, then the results of the reductions before.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// The row becomes one number.
    Reduce {
        /// What is combined of each element.
        body: Formula,
        /// How.
        combine: Combine,
        /// What becomes of the result, of it and of operands with one element for the row.
        finish: Formula,
        /// Whether what is combined of each element is stored at the slot `dst`, too.
        kept: bool,
        /// Whether the number is stored, at the slot `result`.
        stored: bool,
    },
    /// Each element of the slot `dst`.
    Map(Formula),
}

/// Walks through a row of `elements`. Operand `k` is at the slot [`OPERAND`]`[k]`; where the row does not fill its last vector,
/// the slot `exists` points to a vector whose lanes have their first bit set as far as they are elements of that, else none.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Width of the vectors.
    pub width: Width,
    /// Elements of the row.
    pub elements: usize,
    /// What is computed; one of them at most is a [`Stage::Map`], and at most three have more vectors than a trip.
    pub stages: Vec<Stage>,
    /// How each operand goes on; [`Reads::Held`] is not among them.
    pub operands: Vec<Reads>,
}

const VECTORS: usize = Row::ACCUMULATORS;

/// Vectors of the row, in trips, one by one, and in part.
#[derive(Clone, Copy)]
struct Cut {
    trips: usize,
    singles: usize,
    rest: u8,
}

impl Row {
    /// Accumulators of a reduction, and vectors of a trip.
    pub const ACCUMULATORS: usize = 4;

    /// Names of the slots that count the trips of each stage.
    pub const TRIPS: [&'static str; 3] = ["trips0", "trips1", "trips2"];

    /// Trips of the walks of more vectors than one trip has: the value of each of [`Row::TRIPS`] that the program has.
    pub fn trips(&self) -> usize {
        self.cut().trips
    }

    /// Whether the last vector is one in part.
    pub fn is_uneven(&self) -> bool {
        self.cut().rest > 0
    }

    fn cut(&self) -> Cut {
        let lanes = self.width.lanes() as usize;
        let vectors = self.elements / lanes;
        // A single trip is no loop.
        let trips = if vectors >= 2 * VECTORS { vectors / VECTORS } else { 0 };
        Cut { trips, singles: vectors - trips * VECTORS, rest: (self.elements % lanes) as u8 }
    }

    /// The program; its registers are for the caller to see to.
    pub fn program(&self) -> Program {
        let all = (2..=VECTORS).rev().map(|together| self.together(together));
        hoisted(all.into_iter().find(registers::fits).unwrap_or_else(|| self.together(1)))
    }

    /// With statements of so many vectors in turn.
    fn together(&self, together: usize) -> Program {
        let mut b = Builder::new(format!("row_{}", self.elements), self.width);
        let mut known: Vec<Option<VecId>> = Vec::new();
        for (reads, name) in self.operands.iter().zip(OPERAND) {
            known.push(match reads {
                Reads::Along => None,
                Reads::Held | Reads::Single => {
                    let pointer = b.pointer(name);
                    Some(b.broadcast(Address::new(pointer, 0)))
                }
            });
        }
        for (number, stage) in self.stages.iter().enumerate() {
            let walk =
                Walk { row: self, together, trips: Row::TRIPS.get(number).copied().unwrap_or("trips") };
            match stage {
                Stage::Reduce { body, combine, finish, kept, stored } => {
                    let result = walk.reduce(&mut b, &known, (body, *combine), *kept);
                    let constants = finish.constants(&mut b);
                    let result =
                        finish.write(&mut b, &constants, Some(result), &mut |b, k| held(b, &known, k));
                    if *stored {
                        let to = b.pointer("result");
                        b.store(Address::new(to, 0), 1, result);
                    }
                    known.push(Some(result));
                }
                Stage::Map(value) => walk.map(&mut b, &known, value),
            }
        }
        b.finish()
    }
}

/// An operand that has one element for the row.
fn held(b: &mut Builder, known: &[Option<VecId>], k: usize) -> From {
    From::Held(known.get(k).copied().flatten().unwrap_or_else(|| b.zero()))
}

struct Walk<'a> {
    row: &'a Row,
    together: usize,
    trips: &'static str,
}

impl Walk<'_> {
    /// What a formula makes of a vector, `vector` vectors behind the pointers.
    fn value(
        &self,
        b: &mut Builder,
        (known, pointers): (&[Option<VecId>], &[Option<PtrId>]),
        (formula, constants): (&Formula, &super::formula::Constants),
        (vector, lanes): (usize, u8),
    ) -> VecId {
        let at = |p: PtrId| Address::new(p, vector as i32 * self.row.width.bytes());
        formula.write(b, constants, None, &mut |b, k| match pointers.get(k).copied().flatten() {
            Some(p) => From::Memory(at(p), lanes),
            None => held(b, known, k),
        })
    }

    /// Pointers to the operands that a formula reads along the row.
    fn pointers(&self, b: &mut Builder, formula: &Formula) -> Vec<Option<PtrId>> {
        let along = |k: usize| self.row.operands[k] == Reads::Along && formula.reads(k);
        (0..self.row.operands.len()).map(|k| along(k).then(|| b.pointer(OPERAND[k]))).collect()
    }

    /// Calls `body` for each vector: with its number behind the pointers, its place in its trip and its lanes; and moves these
    /// pointers on.
    fn each(
        &self,
        b: &mut Builder,
        pointers: &[PtrId],
        body: &mut dyn FnMut(&mut Builder, usize, usize, u8),
    ) {
        let (cut, lanes) = (self.row.cut(), self.row.width.lanes() as u8);
        let mut run = |b: &mut Builder, vectors: usize| {
            let numbers: Vec<usize> = (0..vectors).collect();
            for several in numbers.chunks(self.together) {
                let all = several.iter().map(|v| b.aside(|b| body(b, *v, *v, lanes))).collect();
                b.in_turns(all);
            }
        };
        if cut.trips > 0 {
            b.repeat(self.trips, |b| {
                run(b, VECTORS);
                pointers.iter().for_each(|p| b.advance(*p, VECTORS as i32 * self.row.width.bytes()));
            });
        }
        run(b, cut.singles);
        if cut.rest > 0 {
            body(b, cut.singles, 0, cut.rest);
        }
    }

    fn reduce(
        &self,
        b: &mut Builder,
        known: &[Option<VecId>],
        (formula, combine): (&Formula, Combine),
        kept: bool,
    ) -> VecId {
        let cut = self.row.cut();
        let accumulators = if cut.trips > 0 { VECTORS } else { cut.singles.clamp(1, VECTORS) };
        let accumulators: Vec<VecId> = (0..accumulators).map(|_| b.splat(combine.identity())).collect();
        let pointers = self.pointers(b, formula);
        let constants = formula.constants(b);
        let dst = kept.then(|| b.pointer("dst"));
        let moving: Vec<PtrId> = pointers.iter().flatten().copied().chain(dst).collect();
        let lanes = self.row.width.lanes();
        self.each(b, &moving, &mut |b, vector, place, of| {
            let mut x = self.value(b, (known, &pointers), (formula, &constants), (vector, of));
            if let Some(dst) = dst {
                b.store(Address::new(dst, vector as i32 * self.row.width.bytes()), of, x);
            }
            if u32::from(of) < lanes {
                let exists = b.pointer("exists");
                let (mask, nothing, some) =
                    (b.load(Address::new(exists, 0)), b.splat(combine.identity()), b.vector());
                b.push(Inst::Select { dst: some, mask, a: x, b: nothing });
                x = some;
            }
            combine.write(b, accumulators[place % accumulators.len()], x);
        });
        let mut left = accumulators;
        while left.len() > 1 {
            let half = left.len().div_ceil(2);
            for i in half..left.len() {
                combine.write(b, left[i - half], left[i]);
            }
            left.truncate(half);
        }
        self.across(b, combine, left[0])
    }

    /// All lanes combined, in all lanes.
    fn across(&self, b: &mut Builder, combine: Combine, acc: VecId) -> VecId {
        let both = |b: &mut Builder, [one, other]: [Shuffle; 2], x: VecId| {
            let (first, second) = (b.shuffle(one, x, x), b.shuffle(other, x, x));
            combine.write(b, first, second);
            first
        };
        let mut x = acc;
        for _ in 0..(self.row.width.lanes() / 4).ilog2() {
            x = both(b, [Shuffle::EvenQuads, Shuffle::OddQuads], x);
        }
        // Lanes 0, 1 and 2, 3 of each quad, which are all alike.
        let x = both(b, [Shuffle::JoinLow, Shuffle::JoinHigh], x);
        let x = b.shuffle(Shuffle::InterleaveLow, x, x);
        both(b, [Shuffle::JoinLow, Shuffle::JoinHigh], x)
    }

    fn map(&self, b: &mut Builder, known: &[Option<VecId>], value: &Formula) {
        let pointers = self.pointers(b, value);
        let constants = value.constants(b);
        let dst = b.pointer("dst");
        let moving: Vec<PtrId> = pointers.iter().flatten().copied().chain([dst]).collect();
        self.each(b, &moving, &mut |b, vector, _, lanes| {
            let x = self.value(b, (known, &pointers), (value, &constants), (vector, lanes));
            b.store(Address::new(dst, vector as i32 * self.row.width.bytes()), lanes, x);
        });
    }
}
