//! Beginning and end of a tile of accumulators.

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

/// How a tile ends, by the registers that its accumulators leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Each accumulator is finished where it is.
    InRegisters,
    /// All are stored first; then each is read again and finished, so many in turn.
    ByMemory(usize),
}

/// Ways to end with long functions, the best first. In registers, turns gain nothing that was measured.
const ENDINGS: [Ending; 3] = [Ending::InRegisters, Ending::ByMemory(4), Ending::ByMemory(2)];

/// The program of a tile that `of` writes: by memory where nothing else fits the registers.
pub(super) fn fitting(epilogue: &Epilogue, of: impl Fn(Ending) -> Program) -> Program {
    if epilogue.formula.is_short() {
        return of(Ending::InRegisters);
    }
    let mut programs = ENDINGS.into_iter().map(&of);
    programs.find(registers::fits).unwrap_or_else(|| of(Ending::ByMemory(1)))
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
        let operands = match ending {
            Ending::InRegisters => end.operands_of(b, p),
            Ending::ByMemory(_) => Vec::new(),
        };
        let dst = b.pixel(&end.dst, p);
        for (i, &acc) in row.iter().enumerate().rev() {
            let x = match ending {
                Ending::InRegisters => end.value(b, &operands, (0, full), acc),
                Ending::ByMemory(_) => acc,
            };
            b.store(dst.at(0, 0), full / row.len() as u8 * (i as u8 + 1), x);
        }
    }
    if let Ending::ByMemory(turns) = ending {
        end.all(b, (tile.len(), 1), (&[full], turns), None);
    }
}

/// Finishes and stores the accumulators.
pub(super) fn finish(b: &mut Builder, epilogue: &Epilogue, tile: &Tile, ending: Ending) {
    let (pixels, vectors) = (tile.len(), tile.first().map_or(0, Vec::len));
    let lanes = lanes(b, vectors, epilogue.tail);
    let added = Added::new(b, epilogue, pixels);
    let end = End::new(b, epilogue, pixels);
    let turns = match ending {
        Ending::InRegisters => {
            end.all(b, (pixels, vectors), (&lanes, 1), Some((&added, tile)));
            return;
        }
        Ending::ByMemory(turns) => turns,
    };
    for (p, row) in tile.iter().enumerate() {
        added.to(b, p, (row, &lanes));
        let dst = b.pixel(&end.dst, p);
        row.iter().enumerate().for_each(|(v, &acc)| b.store(dst.at(v, 0), lanes[v], acc));
    }
    end.all(b, (pixels, vectors), (&lanes, turns), None);
}

impl End<'_> {
    /// Finishes all accumulators of a tile, so many in turn, with what is added to them first; or what lies in the destination.
    fn all(
        &self,
        b: &mut Builder,
        (pixels, vectors): (usize, usize),
        (lanes, turns): (&[u8], usize),
        sums: Option<(&Added, &Tile)>,
    ) {
        let together = (turns / vectors.max(1)).max(1);
        for first in (0..pixels).step_by(together) {
            let mut each = Vec::with_capacity(together * vectors);
            for p in first..pixels.min(first + together) {
                if let Some((added, tile)) = sums {
                    added.to(b, p, (&tile[p], lanes));
                }
                let (operands, dst) = (self.operands_of(b, p), b.pixel(&self.dst, p));
                let finish = |v: usize| {
                    let (operands, acc) = (operands.clone(), sums.map(|(_, tile)| tile[p][v]));
                    move |b: &mut Builder| {
                        let x = acc.unwrap_or_else(|| b.load_lanes(dst.at(v, 0), lanes[v]));
                        let x = self.value(b, &operands, (v, lanes[v]), x);
                        self.store(b, &dst, (v, vectors), (lanes, x));
                    }
                };
                each.extend((0..vectors).map(finish));
            }
            let mut each = each.into_iter().peekable();
            while each.peek().is_some() {
                let several = each.by_ref().take(turns.max(1)).map(|finish| b.aside(finish)).collect();
                b.in_turns(several);
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
