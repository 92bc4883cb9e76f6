//! Transforms of Winograd's algorithm, on integers: those of F(2x2, 3x3) are exact in any order of operations, those of
//! F(4x4, 3x3) are rounded in the order that is written here.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use octrt_compiler::leaf::Width;
use octrt_compiler::leaf::memory::{Access, Region, Value};
use octrt_compiler::leaf::programs::{
    Formula, OPERAND, STEP, TileOperand, Winograd, WinogradInput, WinogradOutput,
};

use super::super::model::Model;
use super::super::{Case, Rng};
use super::ending;

/// `B^T` and `A^T` of F(2x2, 3x3).
const B2: &[&[i32]] = &[&[1, 0, -1, 0], &[0, 1, 1, 0], &[0, -1, 1, 0], &[0, 1, 0, -1]];
const A2: &[&[i32]] = &[&[1, 1, 1, 0], &[0, 1, -1, -1]];

fn product(m: &[&[i32]], x: &[f32]) -> Vec<f32> {
    m.iter().map(|row| row.iter().zip(x).fold(0.0, |sum, (&m, x)| sum + m as f32 * x)).collect()
}

/// `B^T x` of F(4x4, 3x3).
fn input_of_4(x: &[f32]) -> Vec<f32> {
    let outer = |i: usize| x[i + 2].mul_add(-2.5, x[i] + x[i + 4]);
    let both = |factor: f32, point: f32| {
        let (even, odd) = (x[2].mul_add(factor, x[4]), x[1].mul_add(factor, x[3]));
        [odd.mul_add(point, even), odd.mul_add(-point, even)]
    };
    let ([a, b], [c, d]) = (both(-2.0, FRAC_1_SQRT_2), both(-0.5, SQRT_2));
    vec![outer(0), a, b, c, d, outer(1)]
}

/// `A^T x` of F(4x4, 3x3).
fn output_of_4(x: &[f32]) -> Vec<f32> {
    let (near, far) = ([x[1] + x[2], x[1] - x[2]], [x[3] + x[4], x[3] - x[4]]);
    vec![
        far[0].mul_add(0.5, near[0].mul_add(SQRT_2, x[0])),
        far[1].mul_add(FRAC_1_SQRT_2, near[1]),
        near[0].mul_add(FRAC_1_SQRT_2, far[0]),
        far[1].mul_add(SQRT_2, near[1].mul_add(0.5, x[5])),
    ]
}

fn integer(rng: &mut Rng) -> f32 {
    rng.range(-50, 50) as f32
}

/// The transform of the columns of `x`, then of the rows of that.
fn both_sides(transform: impl Fn(&[f32]) -> Vec<f32>, x: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let column = |j: usize| transform(&x.iter().map(|row| row[j]).collect::<Vec<_>>());
    let columns: Vec<Vec<f32>> = (0..x.len()).map(column).collect();
    let row = |i: usize| transform(&columns.iter().map(|column| column[i]).collect::<Vec<_>>());
    (0..columns[0].len()).map(row).collect()
}

/// Distances of rows, pixels, and blocks that do not overlap.
fn layout(width: Width, n: usize, rng: &mut Rng) -> [i64; 3] {
    let pixel = i64::from(width.bytes()) + 4 * rng.range(0, 3);
    let row = pixel * n as i64 + 4 * rng.range(0, 3);
    [row, pixel, row * n as i64 + 4 * rng.range(0, 9)]
}

fn element([row, pixel, block]: [i64; 3], of: usize, i: usize, j: usize, lane: usize) -> i64 {
    of as i64 * block + i as i64 * row + j as i64 * pixel + 4 * lane as i64
}

/// Gives a case its scratch memory.
fn scratch(mut case: Case, bytes: usize) -> Case {
    let slot = case.program.slot("scratch").map(|s| usize::from(s.0)).unwrap_or_default();
    let Value::Pointer(place) = case.slots[slot] else { return case };
    let access = Access::ReadWrite;
    let region = Region { bytes: vec![0; bytes], access };
    case.memory.regions[place.region] = region;
    case.scratch = Some(place.region);
    case
}

pub fn input(width: Width, rng: &mut Rng) -> Case {
    let size = rng.pick(&[Winograd::F2, Winograd::F4]);
    let n = size.input();
    let [src, dst] = [layout(width, n, rng), layout(width, n * n, rng)];
    let w = WinogradInput {
        width,
        size,
        rows: rng.range(1, n as i64) as usize,
        columns: rng.range(1, n as i64) as usize,
        row_bytes: src[0] as i32,
        pixel_bytes: src[1] as i32,
        plane_bytes: dst[1] as i32,
    };
    let mut model = Model::new(rng);
    model.element = integer;
    let blocks = model.rng.range(0, 3) as usize;
    model.numbers.extend([
        ("blocks".into(), blocks as i64),
        ("src_step".into(), src[2]),
        ("dst_step".into(), dst[2]),
    ]);
    for (block, lane) in (0..blocks).flat_map(|b| (0..width.lanes() as usize).map(move |l| (b, l))) {
        let mut tile = vec![vec![0.0; n]; n];
        for (i, j) in (0..w.rows).flat_map(|i| (0..w.columns).map(move |j| (i, j))) {
            tile[i][j] = model.read("src", element(src, block, i, j, lane));
        }
        let product = match size {
            Winograd::F2 => both_sides(|x| product(B2, x), &tile),
            Winograd::F4 => both_sides(input_of_4, &tile),
        };
        for (p, x) in product.iter().flatten().enumerate() {
            model.write("dst", element([0, dst[1], dst[2]], block, 0, p, lane), *x);
        }
    }
    scratch(model.case(format!("{w:?}"), w.program()), n * n * width.bytes() as usize)
}

pub fn output(width: Width, rng: &mut Rng) -> Case {
    let size = rng.pick(&[Winograd::F2, Winograd::F4]);
    let (n, m) = (size.input(), size.output());
    let [src, dst] = [layout(width, n * n, rng), layout(width, m, rng)];
    let ending = ending(rng);
    let lows: Vec<[i64; 3]> = (0..ending.operands).map(|_| layout(width, m, rng)).collect();
    let operand = |low: &[i64; 3]| {
        let repeat = rng.range(1, 2) as usize;
        TileOperand { row_bytes: low[0] as i32, pixel_bytes: low[1] as i32, repeat }
    };
    let operands = lows.iter().map(operand).collect();
    let w = WinogradOutput {
        width,
        size,
        rows: rng.range(1, m as i64) as usize,
        columns: rng.range(1, m as i64) as usize,
        plane_bytes: src[1] as i32,
        row_bytes: dst[0] as i32,
        pixel_bytes: dst[1] as i32,
        formula: Formula::of_buffers(&ending.value).expect("a formula"),
        operands,
    };
    let mut model = Model::new(rng);
    model.element = integer;
    let blocks = model.rng.range(0, 3) as usize;
    model.numbers.extend([("blocks".into(), blocks as i64), ("src_step".into(), src[2])]);
    model.numbers.insert("dst_step".into(), dst[2]);
    model.numbers.extend(STEP.iter().zip(&lows).map(|(name, low)| (name.to_string(), low[2])));
    let lanes = width.lanes() as usize;
    for (block, lane) in (0..blocks).flat_map(|b| (0..lanes).map(move |l| (b, l))) {
        let mut read = |p: usize| model.read("src", element([0, src[1], src[2]], block, 0, p, lane));
        let tile: Vec<Vec<f32>> = (0..n).map(|i| (0..n).map(|j| read(i * n + j)).collect()).collect();
        let bias = model.read("bias", 4 * (block * lanes + lane) as i64);
        let product = match size {
            Winograd::F2 => both_sides(|x| product(A2, x), &tile),
            Winograd::F4 => both_sides(output_of_4, &tile),
        };
        for (i, j) in (0..w.rows).flat_map(|i| (0..w.columns).map(move |j| (i, j))) {
            let read = |((name, o), low): ((&str, &TileOperand), &[i64; 3])| {
                model.read(name, element(*low, block, i / o.repeat, j / o.repeat, lane))
            };
            let all: Vec<f32> = OPERAND.into_iter().zip(&w.operands).zip(&lows).map(read).collect();
            let x = (ending.of)(product[i][j] + bias, &all);
            model.write("dst", element(dst, block, i, j, lane), x);
        }
    }
    scratch(model.case(format!("{w:?}"), w.program()), n * m * width.bytes() as usize)
}
