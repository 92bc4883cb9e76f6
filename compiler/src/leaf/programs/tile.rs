//! Begin and end of a tile of accumulators.

use super::builder::{Builder, Pixel, Places};
use super::formula::{Constants, From, OPERAND};
use super::{Bias, Epilogue};
use crate::leaf::{Address, BinaryOp, Operand, Program, PtrId, VecId, registers};

/// The accumulators of a tile: `[pixel][vector]`.
pub(super) type Tile = Vec<Vec<VecId>>;

/// Lanes of each vector of a tile.
pub(super) fn lanes(b: &Builder, vectors: usize, tail: Option<u8>) -> Vec<u8> {
    let full = b.width().lanes() as u8;
    (0..vectors).map(|v| if v + 1 == vectors { tail.unwrap_or(full) } else { full }).collect()
}

/// Accumulators of 0.
pub(super) fn zeros(b: &mut Builder, (pixels, vectors): (usize, usize)) -> Tile {
    (0..pixels).map(|_| (0..vectors).map(|_| b.zero()).collect()).collect()
}

/// How a tile ends where its accumulators leave few registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Each accumulator is finished where it is.
    InRegisters,
    /// All are stored first; then each is read again and finished.
    ByMemory,
}

/// The program of a tile that `of` writes: by memory where nothing else fits the registers.
pub(super) fn fitting(epilogue: &Epilogue, of: impl Fn(Ending) -> Program) -> Program {
    let program = of(Ending::InRegisters);
    if epilogue.formula.is_short() || registers::fits(&program) {
        return program;
    }
    of(Ending::ByMemory)
}

/// What is added to the sums of a tile, with its pointers in registers.
struct Added {
    bias: Option<(Bias, PtrId)>,
    partial: Option<Places>,
}

impl Added {
    fn new(b: &mut Builder, epilogue: &Epilogue, pixels: usize) -> Added {
        let partial = epilogue.partial.as_ref().map(|grid| b.places("partial", grid, pixels));
        let bias = (epilogue.bias != Bias::Absent).then(|| (epilogue.bias, b.pointer("bias")));
        Added { bias, partial }
    }

    /// Adds it to the accumulators of a pixel.
    fn to(&self, b: &mut Builder, p: usize, (row, lanes): (&[VecId], &[u8])) {
        if let Some(places) = &self.partial {
            let pixel = b.pixel(places, p);
            for (v, (&acc, &lanes)) in row.iter().zip(lanes).enumerate() {
                let from = pixel.at(v, 0);
                let other = match u32::from(lanes) == b.width().lanes() {
                    true => Operand::Memory(from),
                    false => Operand::Vector(b.load_lanes(from, lanes)),
                };
                b.assign(acc, BinaryOp::Add, acc, other);
            }
        }
        self.bias(b, p, row, false);
    }

    /// Adds the bias, of vector 0 to all accumulators where they are `merged`.
    fn bias(&self, b: &mut Builder, p: usize, row: &[VecId], merged: bool) {
        let Some((kind, bias)) = self.bias else { return };
        let bytes = b.width().bytes();
        let element = (kind == Bias::Pixels).then(|| b.broadcast(Address::new(bias, 4 * p as i32)));
        for (v, &acc) in row.iter().enumerate() {
            let v = if merged { 0 } else { v as i32 };
            let vector = Operand::Memory(Address::new(bias, v * bytes));
            b.assign(acc, BinaryOp::Add, acc, element.map_or(vector, Operand::Vector));
        }
    }
}

/// The end of a tile, with its pointers and constants in registers.
struct End<'a> {
    epilogue: &'a Epilogue,
    constants: Constants,
    /// None where they are more than a few: each pixel reads the pointers again then.
    operands: Option<Vec<Places>>,
    dst: Places,
    pixels: usize,
}

/// Most operands whose pointers stay in registers, beside those of all else that is added and stored by tables.
const FEW: usize = 2;

impl<'a> End<'a> {
    fn new(b: &mut Builder, epilogue: &'a Epilogue, pixels: usize) -> End<'a> {
        let constants = epilogue.formula.constants(b);
        let few = epilogue.operands.len() <= FEW;
        let operands = few.then(|| {
            epilogue.operands.iter().zip(OPERAND).map(|(grid, name)| b.places(name, grid, pixels)).collect()
        });
        End { epilogue, constants, operands, dst: b.places("dst", &epilogue.dst, pixels), pixels }
    }

    fn operands_of(&self, b: &mut Builder, p: usize) -> Vec<Pixel> {
        match &self.operands {
            Some(all) => all.iter().map(|places| b.pixel(places, p)).collect(),
            None => {
                let each = self.epilogue.operands.iter().zip(OPERAND);
                let mut pixel = |(grid, name)| {
                    let places = b.places(name, grid, self.pixels);
                    b.pixel(&places, p)
                };
                each.map(&mut pixel).collect()
            }
        }
    }

    /// What becomes of an accumulator, vector `v` of the pixel of these operands.
    fn value(&self, b: &mut Builder, operands: &[Pixel], (v, lanes): (usize, u8), acc: VecId) -> VecId {
        self.epilogue.formula.write(b, &self.constants, Some(acc), &mut |b, k| match operands.get(k) {
            Some(pixel) => From::Memory(pixel.at(v, 0), lanes),
            None => From::Held(b.zero()),
        })
    }
}

/// Finishes and stores accumulators each of which has its share of the lanes of one vector: the last is stored whole, then
/// each overwrites the first lanes up to its own.
pub(super) fn finish_merged(b: &mut Builder, epilogue: &Epilogue, tile: &Tile, ending: Ending) {
    let full = b.width().lanes() as u8;
    let added = Added::new(b, epilogue, tile.len());
    tile.iter().enumerate().for_each(|(p, row)| added.bias(b, p, row, true));
    let end = End::new(b, epilogue, tile.len());
    for (p, row) in tile.iter().enumerate() {
        let operands = if ending == Ending::InRegisters { end.operands_of(b, p) } else { Vec::new() };
        let dst = b.pixel(&end.dst, p);
        for (i, &acc) in row.iter().enumerate().rev() {
            let x = match ending {
                Ending::InRegisters => end.value(b, &operands, (0, full), acc),
                Ending::ByMemory => acc,
            };
            b.store(dst.at(0, 0), full / row.len() as u8 * (i as u8 + 1), x);
        }
    }
    if ending == Ending::ByMemory {
        end.stored(b, (tile.len(), 1), &[full]);
    }
}

/// Finishes and stores the accumulators.
pub(super) fn finish(b: &mut Builder, epilogue: &Epilogue, tile: &Tile, ending: Ending) {
    let (pixels, vectors) = (tile.len(), tile.first().map_or(0, Vec::len));
    let lanes = lanes(b, vectors, epilogue.tail);
    let added = Added::new(b, epilogue, pixels);
    let end = End::new(b, epilogue, pixels);
    if ending == Ending::ByMemory {
        for (p, row) in tile.iter().enumerate() {
            added.to(b, p, (row, &lanes));
            let dst = b.pixel(&end.dst, p);
            row.iter().enumerate().for_each(|(v, &acc)| b.store(dst.at(v, 0), lanes[v], acc));
        }
        end.stored(b, (pixels, vectors), &lanes);
        return;
    }
    for (p, row) in tile.iter().enumerate() {
        added.to(b, p, (row, &lanes));
        let operands = end.operands_of(b, p);
        let dst = b.pixel(&end.dst, p);
        for (v, &acc) in row.iter().enumerate() {
            let x = end.value(b, &operands, (v, lanes[v]), acc);
            end.store(b, &dst, (v, vectors), (&lanes, x));
        }
    }
}

impl End<'_> {
    /// Finishes what lies in the destination.
    fn stored(&self, b: &mut Builder, (pixels, vectors): (usize, usize), lanes: &[u8]) {
        for p in 0..pixels {
            let operands = self.operands_of(b, p);
            let dst = b.pixel(&self.dst, p);
            for v in 0..vectors {
                let x = b.load_lanes(dst.at(v, 0), lanes[v]);
                let x = self.value(b, &operands, (v, lanes[v]), x);
                self.store(b, &dst, (v, vectors), (lanes, x));
            }
        }
    }

    fn store(&self, b: &mut Builder, dst: &Pixel, (v, vectors): (usize, usize), (lanes, x): (&[u8], VecId)) {
        b.store(dst.at(v, 0), lanes[v], x);
        if let Some(used) = self.epilogue.used.filter(|_| v + 1 == vectors) {
            // Loading some lanes clears the others.
            let x = b.load_lanes(dst.at(v, 0), used);
            b.store(dst.at(v, 0), lanes[v], x);
        }
    }
}
