//! Writing of statements with fresh variables.

use super::{Advance, Axis, Grid, Pixels, Reduction};
use crate::leaf::{
    Address, BinaryOp, Inst, OffId, Operand, Program, PtrId, Shuffle, Slot, SlotId, SlotKind, Step, VecId,
    Width,
};

/// A program that is being written.
pub(super) struct Builder {
    program: Program,
    vectors: u16,
    pointers: u16,
    offsets: u16,
}

/// The places of a grid from its pointer.
pub(super) struct Places {
    base: PtrId,
    table: Option<PtrId>,
    distances: Vec<i32>,
    vector_bytes: i32,
}

/// The place of a pixel, ready to be addressed.
#[derive(Clone, Copy)]
pub(super) struct Pixel {
    base: PtrId,
    offset: Option<OffId>,
    bytes: i32,
    vector_bytes: i32,
}

/// All pixels of a tile's input.
pub(super) struct Source {
    base: PtrId,
    pixels: Vec<Pixel>,
}

impl Pixel {
    /// Vector `v`, some bytes further on.
    pub(super) fn at(&self, v: usize, bytes: i32) -> Address {
        let bytes = self.bytes + v as i32 * self.vector_bytes + bytes;
        Address { base: self.base, offset: self.offset, bytes }
    }
}

impl Source {
    /// Vector `v` of pixel `p`, some bytes further on.
    pub(super) fn at(&self, p: usize, v: usize, bytes: i32) -> Address {
        self.pixels[p].at(v, bytes)
    }

    /// The same pixels from another pointer.
    fn from(&self, base: PtrId) -> Source {
        Source { base, pixels: self.pixels.iter().map(|p| Pixel { base, ..*p }).collect() }
    }
}

/// Writes what one trip of a reduction does.
type Trip<'a> = Box<dyn FnOnce(&mut Builder, &Source) + 'a>;

impl Builder {
    pub(super) fn new(name: String, width: Width) -> Builder {
        let program = Program { name, width, slots: Vec::new(), body: Vec::new() };
        Builder { program, vectors: 0, pointers: 0, offsets: 0 }
    }

    pub(super) fn finish(self) -> Program {
        self.program
    }

    pub(super) fn width(&self) -> Width {
        self.program.width
    }

    pub(super) fn push(&mut self, inst: Inst) {
        self.program.body.push(inst);
    }

    fn slot(&mut self, name: &str, kind: SlotKind) -> SlotId {
        self.program.slot(name).unwrap_or_else(|| {
            self.program.slots.push(Slot { name: name.into(), kind });
            SlotId(self.program.slots.len() as u16 - 1)
        })
    }

    pub(super) fn vector(&mut self) -> VecId {
        self.vectors += 1;
        VecId(self.vectors - 1)
    }

    fn fresh_pointer(&mut self) -> PtrId {
        self.pointers += 1;
        PtrId(self.pointers - 1)
    }

    /// The pointer in a slot.
    pub(super) fn pointer(&mut self, name: &str) -> PtrId {
        let (dst, slot) = (self.fresh_pointer(), self.slot(name, SlotKind::Pointer));
        self.push(Inst::Pointer { dst, slot });
        dst
    }

    fn table(&mut self, table: PtrId, entry: u16) -> OffId {
        let dst = OffId(self.offsets);
        self.offsets += 1;
        self.push(Inst::Offset { dst, table, entry });
        dst
    }

    /// The places of a grid, whose pointer slot has this name.
    pub(super) fn places(&mut self, name: &str, grid: &Grid, pixels: usize) -> Places {
        let table = match grid.pixels {
            Pixels::Table => Some(self.pointer(&format!("{name}_offsets"))),
            _ => None,
        };
        let distance = |p: usize| match &grid.pixels {
            Pixels::Strided { bytes, repeat } => (p as u32 / repeat.max(&1)) as i32 * bytes,
            Pixels::Fixed(distances) => distances.get(p).copied().unwrap_or(0),
            Pixels::Table => 0,
        };
        let distances = (0..pixels).map(distance).collect();
        Places { base: self.pointer(name), table, distances, vector_bytes: grid.vector_bytes }
    }

    /// The place of a pixel; reads its offset if there is a table.
    pub(super) fn pixel(&mut self, places: &Places, p: usize) -> Pixel {
        let offset = places.table.map(|table| self.table(table, p as u16));
        let Places { base, vector_bytes, .. } = *places;
        Pixel { base, offset, bytes: places.distances[p], vector_bytes }
    }

    /// The pixels of the slot `src`, all offsets in registers.
    pub(super) fn source(&mut self, grid: &Grid, pixels: usize) -> Source {
        let places = self.places("src", grid, pixels);
        Source { base: places.base, pixels: (0..pixels).map(|p| self.pixel(&places, p)).collect() }
    }

    pub(super) fn zero(&mut self) -> VecId {
        let v = self.vector();
        self.push(Inst::Zero(v));
        v
    }

    pub(super) fn splat(&mut self, x: f32) -> VecId {
        let v = self.vector();
        self.push(Inst::Splat(v, x));
        v
    }

    /// `first + sum of a * b` in a fresh vector.
    pub(super) fn sum(&mut self, first: VecId, products: &[(VecId, VecId)]) -> VecId {
        let dst = self.vector();
        self.push(Inst::Copy { dst, src: first });
        products.iter().for_each(|&(a, b)| self.fma(dst, a, Operand::Vector(b)));
        dst
    }

    /// A full vector.
    pub(super) fn load(&mut self, from: Address) -> VecId {
        self.load_lanes(from, self.width().lanes() as u8)
    }

    /// An element in all lanes.
    pub(super) fn broadcast(&mut self, from: Address) -> VecId {
        let dst = self.vector();
        self.push(Inst::Broadcast { dst, from });
        dst
    }

    /// The first lanes of a vector.
    pub(super) fn load_lanes(&mut self, from: Address, lanes: u8) -> VecId {
        let dst = self.vector();
        self.push(Inst::Load { dst, from, lanes });
        dst
    }

    /// Writes the first lanes of a vector.
    pub(super) fn store(&mut self, to: Address, lanes: u8, src: VecId) {
        self.push(Inst::Store { to, lanes, src });
    }

    /// `acc += a * b`.
    pub(super) fn fma(&mut self, acc: VecId, a: VecId, b: Operand) {
        self.push(Inst::Fma { acc, a, b });
    }

    /// `dst = op a, b`.
    pub(super) fn assign(&mut self, dst: VecId, op: BinaryOp, a: VecId, b: Operand) {
        self.push(Inst::Binary { op, dst, a, b });
    }

    /// `op a, b` in a fresh vector.
    pub(super) fn binary(&mut self, op: BinaryOp, a: VecId, b: VecId) -> VecId {
        let dst = self.vector();
        self.assign(dst, op, a, Operand::Vector(b));
        dst
    }

    /// Some lanes of two vectors in a fresh one.
    pub(super) fn shuffle(&mut self, op: Shuffle, a: VecId, b: VecId) -> VecId {
        let dst = self.vector();
        self.push(Inst::Shuffle { op, dst, a, b });
        dst
    }

    pub(super) fn advance(&mut self, ptr: PtrId, bytes: i32) {
        self.push(Inst::Advance { ptr, by: Step::Bytes(bytes) });
    }

    /// A loop over what `body` writes.
    pub(super) fn repeat(&mut self, count: &str, body: impl FnOnce(&mut Builder)) {
        let count = self.slot(count, SlotKind::Count);
        let outside = std::mem::take(&mut self.program.body);
        body(self);
        let body = std::mem::replace(&mut self.program.body, outside);
        self.push(Inst::Loop { count, body });
    }

    /// What `body` writes, which does not become a part of the program yet.
    pub(super) fn aside(&mut self, body: impl FnOnce(&mut Builder)) -> Vec<Inst> {
        let before = std::mem::take(&mut self.program.body);
        body(self);
        std::mem::replace(&mut self.program.body, before)
    }

    /// Statements that do not depend on each other, one of each in turn: long chains of dependent ones leave a processor less
    /// to do at once than it can.
    pub(super) fn in_turns(&mut self, all: Vec<Vec<Inst>>) {
        let mut all: Vec<_> = all.into_iter().map(Vec::into_iter).collect();
        while !all.is_empty() {
            all.retain_mut(|statements| match statements.next() {
                Some(inst) => {
                    self.program.body.push(inst);
                    true
                }
                None => false,
            });
        }
    }

    /// Moves the pointer of an axis after a trip.
    pub(super) fn step(&mut self, ptr: PtrId, axis: &Axis) {
        let by = match axis.src {
            Advance::Bytes(bytes) => Step::Bytes(bytes),
            Advance::Slot => Step::Slot(self.slot(&format!("{}_step", axis.name), SlotKind::Stride)),
        };
        self.push(Inst::Advance { ptr, by });
    }

    /// Repeats what `taps` writes for the places of `src` at the current trip; `wei` moves by `wei_bytes` each trip.
    pub(super) fn reduce(
        &mut self,
        reduction: &Reduction,
        src: &Source,
        wei: Option<(PtrId, i32)>,
        taps: impl FnOnce(&mut Builder, &Source),
    ) {
        let trip = |b: &mut Builder, src: &Source| {
            taps(b, src);
            if let Some((wei, bytes)) = wei {
                b.advance(wei, bytes);
            }
        };
        match reduction {
            Reduction::Loops(axes) => self.nest(axes, src, Box::new(trip)),
            Reduction::Table => {
                let table = self.pointer("tap_offsets");
                self.repeat("taps", |b| {
                    let by = b.table(table, 0);
                    let dst = b.fresh_pointer();
                    b.push(Inst::Displace { dst, base: src.base, by });
                    trip(b, &src.from(dst));
                    b.advance(table, 4);
                });
            }
        }
    }

    /// Two loops: each trip of the outer one does what `start`, then all trips of the inner one, then `end` write.
    pub(super) fn runs<T>(
        &mut self,
        [outer, inner]: [&Axis; 2],
        src: &Source,
        start: impl FnOnce(&mut Builder) -> T,
        trip: impl FnOnce(&mut Builder, &T),
        end: impl FnOnce(&mut Builder, &T),
    ) {
        self.repeat(outer.name, |b| {
            let run = start(b);
            b.repeat(inner.name, |b| {
                trip(b, &run);
                b.step(src.base, inner);
            });
            end(b, &run);
            b.step(src.base, outer);
        });
    }

    fn nest(&mut self, axes: &[Axis], src: &Source, trip: Trip<'_>) {
        match axes {
            [] => trip(self, src),
            [axis, inner @ ..] => self.repeat(axis.name, |b| {
                b.nest(inner, src, trip);
                b.step(src.base, axis);
            }),
        }
    }
}
