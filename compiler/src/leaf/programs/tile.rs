//! Start and end of a tile of accumulators.

use super::builder::{ActivationConstants, Builder};
use super::{Activation, Epilogue, Residual, Start};
use crate::leaf::{Address, BinaryOp, Operand, VecId};

/// The accumulators of a tile: `[pixel][vector]`.
pub(super) type Tile = Vec<Vec<VecId>>;

/// Lanes of each vector of a tile.
pub(super) fn lanes(b: &Builder, vectors: usize, tail: Option<u8>) -> Vec<u8> {
    let full = b.width().lanes() as u8;
    (0..vectors).map(|v| if v + 1 == vectors { tail.unwrap_or(full) } else { full }).collect()
}

/// Assigns the accumulators.
pub(super) fn start(
    b: &mut Builder,
    start: &Start,
    (pixels, vectors): (usize, usize),
    tail: Option<u8>,
) -> Tile {
    match start {
        Start::Zero => (0..pixels).map(|_| (0..vectors).map(|_| b.zero()).collect()).collect(),
        Start::Bias => {
            let bytes = b.width().bytes();
            let bias = b.pointer("bias");
            let at = |v: usize| Address::new(bias, v as i32 * bytes);
            (0..pixels).map(|_| (0..vectors).map(|v| b.load(at(v))).collect()).collect()
        }
        Start::PixelBias => {
            let bias = b.pointer("bias");
            let at = |p: usize| Address::new(bias, 4 * p as i32);
            (0..pixels).map(|p| (0..vectors).map(|_| b.broadcast(at(p))).collect()).collect()
        }
        Start::Load(grid) => {
            let lanes = lanes(b, vectors, tail);
            let places = b.places("start", grid, pixels);
            let mut row = |p| {
                let pixel = b.pixel(&places, p);
                (0..vectors).map(|v| b.load_lanes(pixel.at(v, 0), lanes[v])).collect()
            };
            (0..pixels).map(&mut row).collect()
        }
    }
}

/// As many accumulators for each pixel, all from the one vector at the slot `bias`.
pub(super) fn start_merged(b: &mut Builder, pixels: usize, merged: usize) -> Tile {
    let bias = b.pointer("bias");
    (0..pixels).map(|_| (0..merged).map(|_| b.load(Address::new(bias, 0))).collect()).collect()
}

/// Finishes and stores accumulators each of which has its share of the lanes of one vector: the last is stored whole, then
/// each overwrites the first lanes up to its own.
pub(super) fn finish_merged(b: &mut Builder, epilogue: &Epilogue, tile: &Tile) {
    let pixels = tile.len();
    let full = b.width().lanes() as u8;
    let constants = b.activation_constants(epilogue.activation);
    let residual = match &epilogue.residual {
        Residual::Absent => None,
        Residual::Before(grid) | Residual::After(grid) => Some(b.places("residual", grid, pixels)),
    };
    let dst = b.places("dst", &epilogue.dst, pixels);
    for (p, row) in tile.iter().enumerate() {
        let residual = residual.as_ref().map(|places| b.pixel(places, p));
        let dst = b.pixel(&dst, p);
        for (i, &acc) in row.iter().enumerate().rev() {
            end(b, epilogue, &constants, residual.map(|r| (r.at(0, 0), full)), acc);
            b.store(dst.at(0, 0), full / row.len() as u8 * (i as u8 + 1), acc);
        }
    }
}

/// Finishes and stores the accumulators.
pub(super) fn finish(b: &mut Builder, epilogue: &Epilogue, tile: &Tile) {
    let (pixels, vectors) = (tile.len(), tile.first().map_or(0, Vec::len));
    let lanes = lanes(b, vectors, epilogue.tail);
    let constants = b.activation_constants(epilogue.activation);
    let residual = match &epilogue.residual {
        Residual::Absent => None,
        Residual::Before(grid) | Residual::After(grid) => Some(b.places("residual", grid, pixels)),
    };
    let base = epilogue.base.as_ref().map(|grid| b.places("base", grid, pixels));
    let dst = b.places("dst", &epilogue.dst, pixels);
    for (p, row) in tile.iter().enumerate() {
        if let Some(places) = &base {
            let base = b.pixel(places, p);
            for (v, &acc) in row.iter().enumerate() {
                add(b, acc, (base.at(v, 0), lanes[v]));
            }
        }
        let residual = residual.as_ref().map(|places| b.pixel(places, p));
        let dst = b.pixel(&dst, p);
        for (v, &acc) in row.iter().enumerate() {
            end(b, epilogue, &constants, residual.map(|r| (r.at(v, 0), lanes[v])), acc);
            b.store(dst.at(v, 0), lanes[v], acc);
            if let Some(used) = epilogue.used.filter(|_| v + 1 == vectors) {
                // Loading some lanes clears the others.
                let x = b.load_lanes(dst.at(v, 0), used);
                b.store(dst.at(v, 0), lanes[v], x);
            }
        }
    }
    if let Some(grid) = &epilogue.pool {
        let quads: Vec<&[Vec<VecId>]> = tile.chunks_exact(4).collect();
        let places = b.places("pool", grid, quads.len());
        let quarter = b.splat(0.25);
        for (q, quad) in quads.into_iter().enumerate() {
            let pixel = b.pixel(&places, q);
            for v in 0..vectors {
                let upper = b.binary(BinaryOp::Add, quad[0][v], quad[1][v]);
                let lower = b.binary(BinaryOp::Add, quad[2][v], quad[3][v]);
                let sum = b.binary(BinaryOp::Add, upper, lower);
                let mean = b.binary(BinaryOp::Mul, sum, quarter);
                b.store(pixel.at(v, 0), lanes[v], mean);
            }
        }
    }
}

/// Residual and activation of one accumulator.
fn end(
    b: &mut Builder,
    epilogue: &Epilogue,
    constants: &ActivationConstants,
    residual: Option<(Address, u8)>,
    acc: VecId,
) {
    let activation: Activation = epilogue.activation;
    if let Residual::After(_) = epilogue.residual {
        b.activate(activation, constants, acc);
    }
    if let Some(residual) = residual {
        add(b, acc, residual);
    }
    if !matches!(epilogue.residual, Residual::After(_)) {
        b.activate(activation, constants, acc);
    }
}

/// Adds some lanes in memory to an accumulator.
fn add(b: &mut Builder, acc: VecId, (from, lanes): (Address, u8)) {
    let other = match u32::from(lanes) == b.width().lanes() {
        true => Operand::Memory(from),
        false => Operand::Vector(b.load_lanes(from, lanes)),
    };
    b.assign(acc, BinaryOp::Add, acc, other);
}
