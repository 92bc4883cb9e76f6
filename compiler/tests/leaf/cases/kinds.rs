//! Programs of every builder with random parameters.

use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::programs::{
    Advance, Axis, Bias, Conv, Copy, Depthwise, Elementwise, Epilogue, Formula, Grid, Lanes, OPERAND, Pixels,
    Pool, PoolKind, Reads, Reduction, Source, Sums, Weave, Weights,
};
use octrt_compiler::strategy::tail::Tail;
use octrt_ops::expr::Expr;

mod transpose;
mod winograd;

use super::model::{Ending, Model, Of, distances, elements, endings, exists, finished, trips, zeros};
use super::{Case, Rng};

fn grid(width: Width, pixels: usize, rng: &mut Rng) -> Grid {
    let bytes = 4 * rng.pick(&[1, 8, 16, 20]);
    let mut distances = || (0..pixels).map(|_| 4 * rng.range(-40, 100) as i32).collect();
    let distances: Vec<i32> = distances();
    let pixels = match rng.range(0, 3) {
        0 => Pixels::Strided { bytes: width.bytes(), repeat: 1 },
        1 => Pixels::Strided { bytes, repeat: 2 },
        2 => Pixels::Fixed(distances),
        _ => Pixels::Table,
    };
    Grid { pixels, vector_bytes: 4 * rng.range(-64, 300) as i32 }
}

/// As [`grid`], where offsets of all pixels fit the general registers.
fn source(width: Width, pixels: usize, rng: &mut Rng) -> Grid {
    let grid = grid(width, pixels, rng);
    match grid.pixels {
        Pixels::Table if pixels > 12 => Grid { pixels: Pixels::Strided { bytes: 12, repeat: 1 }, ..grid },
        _ => grid,
    }
}

/// As [`grid`], with no two places in common.
fn separate(width: Width, pixels: usize, rng: &mut Rng) -> Grid {
    let bytes = width.bytes();
    let distance = |p: usize| p as i32 * (bytes + 8);
    let vector_bytes = (bytes + 8) * (pixels as i32 + 1);
    let pixels = match rng.range(0, 2) {
        0 => Pixels::Strided { bytes, repeat: 1 },
        1 => Pixels::Fixed((0..pixels).rev().map(distance).collect()),
        _ => Pixels::Table,
    };
    Grid { pixels, vector_bytes }
}

fn reduction(rng: &mut Rng) -> Reduction {
    let axis = |name, rng: &mut Rng| Axis {
        name,
        src: if rng.chance(2) { Advance::Slot } else { Advance::Bytes(4 * rng.range(-20, 90) as i32) },
    };
    match rng.range(0, 3) {
        0 => Reduction::Loops(vec![]),
        1 => Reduction::Loops(vec![axis("blocks", rng)]),
        2 => Reduction::Loops(vec![axis("blocks", rng), axis("rows", rng)]),
        _ => Reduction::Table,
    }
}

pub fn ending(rng: &mut Rng) -> Ending {
    rng.pick(&endings())
}

/// An end, and what it computes.
fn epilogue(width: Width, pixels: usize, rng: &mut Rng) -> (Epilogue, Of) {
    let ending = ending(rng);
    let tail = rng.chance(2).then(|| rng.range(1, i64::from(width.lanes())) as u8);
    let epilogue = Epilogue {
        bias: rng.pick(&[Bias::Absent, Bias::Vectors, Bias::Pixels]),
        partial: rng.chance(4).then(|| grid(width, pixels, rng)),
        formula: Formula::of_buffers(&ending.value).expect("a formula"),
        operands: (0..ending.operands).map(|_| grid(width, pixels, rng)).collect(),
        dst: separate(width, pixels, rng),
        tail,
        used: None,
    };
    (epilogue, ending.of)
}

/// Pixels and vectors of a tile that fits the registers beside an epilogue.
fn tile_size(width: Width, rng: &mut Rng) -> (usize, usize) {
    match width {
        Width::W8 => {
            rng.pick(&[(6, 2), (5, 2), (4, 2), (1, 1), (3, 1), (4, 3), (3, 4), (1, 4), (2, 3), (8, 1)])
        }
        Width::W16 => rng.pick(&[(12, 2), (6, 4), (1, 1), (11, 2), (5, 3), (3, 6), (8, 3), (28, 1)]),
    }
}

fn taps(rng: &mut Rng) -> Vec<i32> {
    (0..rng.range(1, 3)).map(|_| 4 * rng.range(-20, 60) as i32).collect()
}

/// A generator of cases of one kind.
pub type Kind = fn(Width, &mut Rng) -> Case;

/// One per builder.
pub const KINDS: [Kind; 10] = [
    weave,
    conv,
    depthwise,
    pool,
    elementwise,
    copy,
    some_lanes,
    transpose::transpose,
    winograd::input,
    winograd::output,
];

fn conv(width: Width, rng: &mut Rng) -> Case {
    let tile = tile_size(width, rng);
    let (pixels, vectors) = tile;
    let mut src = source(width, pixels, rng);
    let mut reduction = reduction(rng);
    if src.pixels == Pixels::Table && pixels > 8 && reduction == Reduction::Table {
        // Offsets of so many pixels leave no registers for the table of taps.
        reduction = Reduction::Loops(vec![]);
    }
    src.vector_bytes = 0;
    let (epilogue, of) = epilogue(width, pixels, rng);
    let conv = Conv {
        width,
        pixels,
        vectors,
        channels: rng.range(1, 5) as usize,
        taps: taps(rng),
        src,
        weights: match rng.chance(3) {
            true => Weights::Rows(4 * rng.range(-200, 200) as i32),
            false => Weights::Packed,
        },
        reduction,
        merged: 1,
        ahead: 0,
        epilogue,
    };
    let mut model = Model::new(rng);
    let mut acc = zeros(width, tile);
    let from = distances(&mut model, "src", &conv.src, tile);
    let mut row = 0;
    for trip in trips(&mut model, &conv.reduction) {
        for (tap, c) in conv.taps.iter().flat_map(|t| (0..conv.channels).map(move |c| (*t, c as i64))) {
            for (p, v, l) in elements(tile, width) {
                let x = model.read("src", from[p][0] + trip + i64::from(tap) + 4 * c);
                let lane = (v * width.lanes() as usize + l) as i64;
                let packed = i64::from(vectors as i32 * width.bytes());
                let w = match conv.weights {
                    Weights::Packed => model.read("wei", row * packed + 4 * lane),
                    // What does not exist is not read.
                    Weights::Rows(_) if !exists(width, vectors, conv.epilogue.tail, v, l) => 0.0,
                    Weights::Rows(bytes) => model.read("wei", row * i64::from(bytes) + 4 * lane),
                };
                acc[p][v][l] = x.mul_add(w, acc[p][v][l]);
            }
            row += 1;
        }
    }
    finished(&mut model, width, (&conv.epilogue, of), &acc);
    model.case(format!("{conv:?}"), conv.program())
}

fn depthwise(width: Width, rng: &mut Rng) -> Case {
    let tile = tile_size(width, rng);
    let (pixels, vectors) = tile;
    let (epilogue, of) = epilogue(width, pixels, rng);
    let depthwise = Depthwise {
        width,
        pixels,
        vectors,
        taps: taps(rng),
        src: source(width, pixels, rng),
        reduction: Reduction::Loops(vec![Axis { name: "rows", src: Advance::Slot }]),
        epilogue,
    };
    let mut model = Model::new(rng);
    let mut acc = zeros(width, tile);
    let from = distances(&mut model, "src", &depthwise.src, tile);
    let mut row = 0;
    for trip in trips(&mut model, &depthwise.reduction) {
        for tap in &depthwise.taps {
            for (p, v, l) in elements(tile, width) {
                let x = model.read("src", from[p][v] + trip + i64::from(*tap) + 4 * l as i64);
                let lane = (row * vectors + v) * width.lanes() as usize + l;
                let w = model.read("wei", 4 * lane as i64);
                acc[p][v][l] = w.mul_add(x, acc[p][v][l]);
            }
            row += 1;
        }
    }
    finished(&mut model, width, (&depthwise.epilogue, of), &acc);
    model.case(format!("{depthwise:?}"), depthwise.program())
}

fn pool(width: Width, rng: &mut Rng) -> Case {
    let tile = tile_size(width, rng);
    let kind = rng.pick(&[PoolKind::Max, PoolKind::Sum]);
    let mut src = source(width, tile.0, rng);
    if src.pixels == Pixels::Table && tile.0 > 8 {
        src.pixels = Pixels::Strided { bytes: 12, repeat: 1 };
    }
    let (epilogue, of) = epilogue(width, tile.0, rng);
    let pool = Pool {
        width,
        pixels: tile.0,
        vectors: tile.1,
        taps: taps(rng),
        src,
        reduction: reduction(rng),
        kind,
        // Runs take as many registers again.
        sums: if tile.0 * tile.1 <= 5 && rng.chance(2) { Sums::Runs } else { Sums::Single },
        epilogue,
    };
    let mut model = Model::new(rng);
    let first = if kind == PoolKind::Max { f32::NEG_INFINITY } else { 0.0 };
    let mut acc = vec![vec![vec![first; width.lanes() as usize]; tile.1]; tile.0];
    let from = distances(&mut model, "src", &pool.src, tile);
    let trips = trips(&mut model, &pool.reduction);
    let two = matches!(&pool.reduction, Reduction::Loops(axes) if axes.len() == 2);
    let runs = two && kind != PoolKind::Max && pool.sums == Sums::Runs;
    let length = if runs { model.numbers["rows"].max(1) as usize } else { trips.len().max(1) };
    for run in trips.chunks(length) {
        let mut own = acc.clone();
        if runs {
            own.iter_mut().flatten().for_each(|vector| vector.fill(0.0));
        }
        for (trip, tap) in run.iter().flat_map(|trip| pool.taps.iter().map(move |tap| (trip, tap))) {
            for (p, v, l) in elements(tile, width) {
                let x = model.read("src", from[p][v] + trip + i64::from(*tap) + 4 * l as i64);
                let a = own[p][v][l];
                own[p][v][l] = match kind {
                    PoolKind::Sum => a + x,
                    PoolKind::Max if a.is_nan() || x.is_nan() => f32::NAN,
                    PoolKind::Max if a > x => a,
                    PoolKind::Max => x,
                };
            }
        }
        for (p, v, l) in elements(tile, width) {
            acc[p][v][l] = if runs { acc[p][v][l] + own[p][v][l] } else { own[p][v][l] };
        }
    }
    finished(&mut model, width, (&pool.epilogue, of), &acc);
    model.case(format!("{pool:?}"), pool.program())
}

fn elementwise(width: Width, rng: &mut Rng) -> Case {
    // What ends a tile, of a first operand in the place of its result.
    let ending = ending(rng);
    let value = ending.value.map(&mut |e| match e {
        Expr::Acc => Some(Tail::operand(0)),
        Expr::Load(b, _) => Some(Tail::operand(b.index() + 1)),
        _ => None,
    });
    let mut reads = || rng.pick(&[Reads::Along, Reads::Along, Reads::Held, Reads::Single]);
    let operands: Vec<Reads> = (0..=ending.operands).map(|_| reads()).collect();
    let e = Elementwise {
        width,
        vectors: rng.range(1, 4) as usize,
        formula: Formula::of_buffers(&value).expect("a formula"),
        operands,
        tail: rng.chance(2).then(|| rng.range(1, i64::from(width.lanes())) as u8),
    };
    let mut model = Model::new(rng);
    let lanes = width.lanes() as i64;
    let n = rng.range(0, 4);
    model.numbers.insert("trips".into(), n);
    let in_trip = lanes * (e.vectors as i64 - 1) + e.tail.map_or(lanes, i64::from);
    // What is held is read whether there are trips or not.
    for (reads, name) in e.operands.iter().zip(OPERAND) {
        let all = match reads {
            Reads::Along => 0,
            Reads::Held => lanes,
            Reads::Single => 1,
        };
        for l in 0..all {
            model.read(name, 4 * l);
        }
    }
    for i in 0..n * in_trip {
        let read = |(reads, name): (&Reads, &str)| {
            let byte = match reads {
                Reads::Along => 4 * i,
                Reads::Held => 4 * (i % in_trip % lanes),
                Reads::Single => 0,
            };
            model.read(name, byte)
        };
        let all: Vec<f32> = e.operands.iter().zip(OPERAND).map(read).collect();
        model.write("dst", 4 * i, (ending.of)(all[0], &all[1..]));
    }
    model.case(format!("{e:?}"), e.program())
}

fn copy(width: Width, rng: &mut Rng) -> Case {
    let vectors = rng.range(1, 4) as usize;
    let rest = rng.range(0, i64::from(width.lanes()) - 1);
    let run = vectors as i32 * width.bytes() + 4 * rest as i32;
    let (src_bytes, dst_bytes) = (4 * rng.range(-60, 200) as i32, run + 4 * rng.range(0, 40) as i32);
    let copy = Copy { width, vectors, rest: rest as u8, src_bytes, dst_bytes };
    let mut model = Model::new(rng);
    let trips = model.rng.range(0, 4);
    model.numbers.insert("trips".into(), trips);
    for trip in 0..trips {
        for i in 0..i64::from(run / 4) {
            let at = |step: i32| trip * i64::from(step) + 4 * i;
            let x = model.read("src", at(src_bytes));
            model.write("dst", at(dst_bytes), x);
        }
    }
    model.case(format!("{copy:?}"), copy.program())
}

fn weave(width: Width, rng: &mut Rng) -> Case {
    let leaf = Weave { width, repeats: rng.chance(2) };
    let mut model = Model::new(rng);
    let trips = model.rng.range(0, 4);
    model.numbers.insert("trips".into(), trips);
    for i in 0..trips * i64::from(width.lanes()) {
        let even = model.read("even", 4 * i);
        let odd = if leaf.repeats { even } else { model.read("odd", 4 * i) };
        model.write("dst", 8 * i, even);
        model.write("dst", 8 * i + 4, odd);
    }
    model.case(format!("{leaf:?}"), leaf.program())
}

fn some_lanes(width: Width, rng: &mut Rng) -> Case {
    let bytes = i64::from(width.bytes());
    let leaf = Lanes {
        width,
        lanes: rng.range(1, i64::from(width.lanes())) as u8,
        pixel_bytes: rng.pick(&[bytes, bytes + 12, 2 * bytes]) as i32,
        source: rng.pick(&[
            Source::Pixels(8),
            Source::Pixels(-12),
            Source::Number(0.0),
            Source::Number(-1.5),
        ]),
    };
    let mut model = Model::new(rng);
    let n = model.rng.range(0, 4);
    model.numbers.insert("trips".into(), n);
    for (pixel, lane) in (0..n).flat_map(|p| (0..i64::from(leaf.lanes)).map(move |l| (p, l))) {
        let at = pixel * i64::from(leaf.pixel_bytes) + 4 * lane;
        let x = match leaf.source {
            Source::Pixels(step) => model.read("src", pixel * i64::from(step) + 4 * lane),
            Source::Number(x) => x,
        };
        model.write("dst", at, x);
    }
    model.case(format!("{leaf:?}"), leaf.program())
}
