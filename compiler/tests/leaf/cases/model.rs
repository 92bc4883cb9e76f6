//! Formulas of tiles: what builders promise, computed element by element.

use std::collections::BTreeMap;

use octrt_compiler::leaf::memory::{Access, Memory, Place, Region, Value};
use octrt_compiler::leaf::programs::{Advance, Bias, Epilogue, Grid, OPERAND, Pixels, Reduction};
use octrt_compiler::leaf::{Program, SlotKind, Width};
use octrt_compiler::strategy::tail::Tail;
use octrt_ops::expr::{BinaryFn, CompareFn, Expr, UnaryFn};

use super::{Case, Rng, number};

/// Tensors without an end, by slot name: notes what a formula touches, so that regions end where the formula does.
pub struct Model {
    pub rng: Rng,
    /// Makes the contents of tensors.
    pub element: fn(&mut Rng) -> f32,
    before: BTreeMap<(String, i64), f32>,
    after: BTreeMap<(String, i64), f32>,
    tables: BTreeMap<String, Vec<i32>>,
    pub numbers: BTreeMap<String, i64>,
}

impl Model {
    pub fn new(rng: &mut Rng) -> Model {
        Model {
            rng: Rng::new(rng.next()),
            element: number,
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            tables: BTreeMap::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// The element at a byte from the pointer in a slot.
    pub fn read(&mut self, slot: &str, byte: i64) -> f32 {
        let value = (self.element)(&mut self.rng);
        let before = *self.before.entry((slot.into(), byte)).or_insert(value);
        self.after.get(&(slot.into(), byte)).copied().unwrap_or(before)
    }

    pub fn write(&mut self, slot: &str, byte: i64, value: f32) {
        self.read(slot, byte);
        self.after.insert((slot.into(), byte), value);
    }

    fn region(&mut self, slot: &str, memory: &mut Memory, formula: &mut Memory) -> Place {
        if let Some(table) = self.tables.get(slot) {
            formula.add(Region::table(table));
            return memory.add(Region::table(table));
        }
        let mine: Vec<i64> = self.before.keys().filter(|(s, _)| s == slot).map(|(_, byte)| *byte).collect();
        let first = mine.iter().min().copied().unwrap_or(0);
        let end = mine.iter().max().map_or(0, |last| last + 4);
        let written = self.after.keys().any(|(s, _)| s == slot);
        let access = if written { Access::ReadWrite } else { Access::Read };
        let before: Vec<f32> = (first..end).step_by(4).map(|byte| self.read_before(slot, byte)).collect();
        let after: Vec<f32> = (first..end).step_by(4).map(|byte| self.read(slot, byte)).collect();
        formula.add(Region::floats(&after, access));
        let place = memory.add(Region::floats(&before, access));
        Place { byte: -first, ..place }
    }

    fn read_before(&mut self, slot: &str, byte: i64) -> f32 {
        self.read(slot, byte);
        self.before[&(slot.to_string(), byte)]
    }

    /// The case of a program of which this is the formula.
    pub fn case(mut self, name: String, program: Program) -> Case {
        let (mut memory, mut formula) = (Memory::default(), Memory::default());
        let slots = program.slots.clone();
        let value = |slot: &octrt_compiler::leaf::Slot| match slot.kind {
            SlotKind::Pointer => Value::Pointer(self.region(&slot.name, &mut memory, &mut formula)),
            SlotKind::Count | SlotKind::Stride => Value::Number(self.numbers[&slot.name]),
        };
        let slots = slots.iter().map(value).collect();
        Case { name, program, slots, memory, formula: Some(formula), scratch: None }
    }
}

/// The distances of a grid's vectors, with a table where it has one.
pub fn distances(
    model: &mut Model,
    slot: &str,
    grid: &Grid,
    (pixels, vectors): (usize, usize),
) -> Vec<Vec<i64>> {
    let of: Vec<i64> = match &grid.pixels {
        Pixels::Strided { bytes, repeat } => {
            (0..pixels).map(|p| (p / *repeat as usize) as i64 * i64::from(*bytes)).collect()
        }
        Pixels::Fixed(d) => d.iter().map(|d| i64::from(*d)).collect(),
        Pixels::Table => {
            let table: Vec<i32> =
                (0..pixels).map(|p| (p as i32) * 72 + if model.rng.chance(3) { 2000 } else { 0 }).collect();
            model.tables.insert(format!("{slot}_offsets"), table.clone());
            table.into_iter().map(i64::from).collect()
        }
    };
    of.iter().map(|d| (0..vectors).map(|v| d + v as i64 * i64::from(grid.vector_bytes)).collect()).collect()
}

/// Where `src` is moved to in each trip of a reduction.
pub fn trips(model: &mut Model, reduction: &Reduction) -> Vec<i64> {
    let axes = match reduction {
        Reduction::Table => {
            let n = model.rng.range(0, 3);
            let table: Vec<i32> = (0..n.max(1)).map(|_| 4 * model.rng.range(-30, 200) as i32).collect();
            model.numbers.insert("taps".into(), n);
            model.tables.insert("tap_offsets".into(), table.clone());
            return table[..n as usize].iter().map(|t| i64::from(*t)).collect();
        }
        Reduction::Loops(axes) => axes,
    };
    let mut counts = Vec::new();
    for axis in axes {
        let n = model.rng.range(0, 3);
        model.numbers.insert(axis.name.into(), n);
        let step = match axis.src {
            Advance::Bytes(bytes) => i64::from(bytes),
            Advance::Slot => 4 * model.rng.range(-50, 100),
        };
        model.numbers.insert(format!("{}_step", axis.name), step);
        counts.push((n, step));
    }
    let (mut at, mut out) = (0, Vec::new());
    match counts[..] {
        [(n, step)] => out.extend((0..n).map(|i| i * step)),
        [(outer, outer_step), (inner, inner_step)] => {
            for _ in 0..outer {
                for _ in 0..inner {
                    out.push(at);
                    at += inner_step;
                }
                at += outer_step;
            }
        }
        _ => out.push(0),
    }
    out
}

/// What an end makes of a result and of the elements of its operands.
pub type Of = fn(f32, &[f32]) -> f32;

/// An end of tiles: its expression, what that is, and how many operands it has.
#[derive(Clone)]
pub struct Ending {
    pub value: Expr,
    pub of: Of,
    pub operands: usize,
}

fn at_least(lo: f32, x: Expr) -> Expr {
    Expr::compare(CompareFn::Lt, x.clone(), Expr::f32(lo)).select(Expr::f32(lo), x)
}

fn at_most(hi: f32, x: Expr) -> Expr {
    Expr::compare(CompareFn::Gt, x.clone(), Expr::f32(hi)).select(Expr::f32(hi), x)
}

/// The second where they are equal.
fn least(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// Ends of every kind.
pub fn endings() -> Vec<Ending> {
    let b = Tail::operand;
    let acc = || Expr::Acc;
    let gate = || acc() * Expr::f32(1.0 / 6.0) + Expr::f32(0.5);
    let less = |a, b| Expr::compare(CompareFn::Lt, a, b);
    let f = Expr::unary;
    let all: [(Expr, Of); 23] = [
        (acc(), |x, _| x),
        (at_least(0.0, acc()), |x, _| relu(x)),
        (at_most(6.0, at_least(-0.75, acc())), |x, _| x.clamp(-0.75, 6.0)),
        (acc() * at_least(0.0, at_most(1.0, gate())), |x, _| x * x.mul_add(1.0 / 6.0, 0.5).clamp(0.0, 1.0)),
        (acc() + b(0), |x, b| x + b[0]),
        (at_least(0.0, acc() + b(0)), |x, b| relu(x + b[0])),
        (at_least(0.0, acc()) + b(0), |x, b| relu(x) + b[0]),
        (at_least(0.0, acc() + b(0) + b(1)), |x, b| relu(x + b[0] + b[1])),
        (acc() * b(0) + b(1), |x, b| x.mul_add(b[0], b[1])),
        ((at_least(0.0, acc() * b(0) + b(1)) + b(2)) * b(3) + b(4), |x, b| {
            (relu(x.mul_add(b[0], b[1])) + b[2]).mul_add(b[3], b[4])
        }),
        (b(1) - (b(0) + acc() * acc()), |x, b| b[1] - x.mul_add(x, b[0])),
        (b(2) * acc() + (b(0) - b(1)) * b(0), |x, b| {
            // Either product may be the one that is not rounded.
            b[2].mul_add(x, (b[0] - b[1]) * b[0])
        }),
        (less(acc(), Expr::f32(0.0)).select(acc() * b(0), acc()), |x, b| if x < 0.0 { x * b[0] } else { x }),
        (less(acc(), Expr::f32(0.0)).select(Expr::f32(0.25) * acc(), acc()), |x, _| {
            if x < 0.0 { 0.25 * x } else { x }
        }),
        (acc().max(b(0)), |x, b| if x.is_nan() || b[0].is_nan() { f32::NAN } else { -least(-x, -b[0]) }),
        (b(1).min(Expr::f32(0.5)).min(acc()), |x, b| {
            if x.is_nan() || b[1].is_nan() { f32::NAN } else { least(least(0.5, b[1]), x) }
        }),
        (acc() / (f(UnaryFn::Abs, b(0)) + Expr::f32(1.0)), |x, b| x / (b[0].abs() + 1.0)),
        ((acc() + b(0)) / Expr::f32(4.0), |x, b| (x + b[0]) / 4.0),
        (f(UnaryFn::Floor, acc()) - f(UnaryFn::Round, b(0)), |x, b| x.floor() - b[0].round_ties_even()),
        (f(UnaryFn::Sqrt, f(UnaryFn::Abs, acc())), |x, _| x.abs().sqrt()),
        (f(UnaryFn::Neg, acc() * Expr::f32(3.0)), |x, _| x * -3.0),
        (
            f(UnaryFn::Not, less(acc(), b(0)).and(less(b(1), acc()))).select(f(UnaryFn::Ceil, acc()), b(1)),
            |x, b| if x < b[0] && b[1] < x { b[1] } else { x.ceil() },
        ),
        (
            Expr::binary(BinaryFn::Or, less(acc(), b(0)), Expr::compare(CompareFn::Ne, acc(), acc()))
                .select(b(0), acc()),
            |x, b| if x < b[0] || x.is_nan() { b[0] } else { x },
        ),
    ];
    let operands = |e: &Expr| {
        let mut n = 0;
        e.visit(&mut |e| {
            if let Expr::Load(b, _) = e {
                n = n.max(b.index() + 1);
            }
        });
        n
    };
    all.into_iter().map(|(value, of)| Ending { operands: operands(&value), value, of }).collect()
}

/// Lane `l` of vector `v` exists in the destination.
pub fn exists(width: Width, vectors: usize, tail: Option<u8>, v: usize, l: usize) -> bool {
    l < width.lanes() as usize && (v + 1 < vectors || l < usize::from(tail.unwrap_or(16)))
}

/// The accumulators `[pixel][vector][lane]` before the first term.
pub fn zeros(width: Width, tile: (usize, usize)) -> Vec<Vec<Vec<f32>>> {
    vec![vec![vec![0.0; width.lanes() as usize]; tile.1]; tile.0]
}

pub fn finished(model: &mut Model, width: Width, (e, of): (&Epilogue, Of), acc: &[Vec<Vec<f32>>]) {
    let tile = (acc.len(), acc[0].len());
    let from: Vec<Vec<Vec<i64>>> =
        e.operands.iter().zip(OPERAND).map(|(grid, name)| distances(model, name, grid, tile)).collect();
    let partial = e.partial.as_ref().map(|grid| distances(model, "partial", grid, tile));
    let to = distances(model, "dst", &e.dst, tile);
    for (p, v, l) in elements(tile, width) {
        // A bias has all lanes of its vectors.
        let bias = match e.bias {
            Bias::Absent => None,
            Bias::Vectors => Some(model.read("bias", (v as i64 * i64::from(width.lanes()) + l as i64) * 4)),
            Bias::Pixels => Some(model.read("bias", 4 * p as i64)),
        };
        if !exists(width, tile.1, e.tail, v, l) {
            continue;
        }
        let read = |(from, name): (&Vec<Vec<i64>>, &str)| model.read(name, from[p][v] + 4 * l as i64);
        let operands: Vec<f32> = from.iter().zip(OPERAND).map(read).collect();
        let before = partial.as_ref().map(|from| model.read("partial", from[p][v] + 4 * l as i64));
        let sum = before.map_or(acc[p][v][l], |before| acc[p][v][l] + before);
        let done = of(bias.map_or(sum, |bias| sum + bias), &operands);
        model.write("dst", to[p][v] + 4 * l as i64, done);
    }
}

pub fn elements(
    (pixels, vectors): (usize, usize),
    width: Width,
) -> impl Iterator<Item = (usize, usize, usize)> {
    let lanes = width.lanes() as usize;
    (0..pixels).flat_map(move |p| (0..vectors).flat_map(move |v| (0..lanes).map(move |l| (p, v, l))))
}
