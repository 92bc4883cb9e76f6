//! The three transforms of Winograd's algorithm together are a convolution.

use octrt_compiler::leaf::memory::{Access, Memory, Region, Value};
use octrt_compiler::leaf::programs::{Formula, Winograd, WinogradInput, WinogradOutput};
use octrt_compiler::leaf::{Program, Width, interp};

use super::cases::Rng;

/// Runs a program on named regions of f32, one block, and gives what `dst` holds.
fn run(program: &Program, src: &[f32], dst: usize) -> Vec<f32> {
    let mut memory = Memory::default();
    let slot = |name: &str| match name {
        "blocks" => Value::Number(1),
        "src" => Value::Pointer(memory.add(Region::floats(src, Access::Read))),
        "dst" => Value::Pointer(memory.add(Region::floats(&vec![0.0; dst], Access::ReadWrite))),
        "bias" | "scratch" => Value::Pointer(memory.add(Region::floats(&[0.0; 36 * 16], Access::ReadWrite))),
        _ => Value::Number(0),
    };
    let slots: Vec<Value> = program.slots.iter().map(|s| s.name.as_str()).map(slot).collect();
    interp::run(program, &slots, &mut memory).expect("the program touches only its memory");
    let Some(Value::Pointer(place)) = program.slot("dst").map(|s| slots[usize::from(s.0)]) else {
        panic!("there is no slot `dst`");
    };
    memory.regions[place.region].to_floats()
}

/// Largest error over the largest result, for one tile in every lane.
fn error(size: Winograd, width: Width, rng: &mut Rng) -> f64 {
    let (n, m, lanes) = (size.input(), size.output(), width.lanes() as usize);
    let mut random =
        |count: usize| -> Vec<f32> { (0..count).map(|_| rng.range(-1000, 1000) as f32 * 1e-3).collect() };
    let (src, kernel) = (random(n * n * lanes), random(9));
    let bytes = width.bytes();
    let input = WinogradInput {
        width,
        size,
        rows: n,
        columns: n,
        row_bytes: n as i32 * bytes,
        pixel_bytes: bytes,
        plane_bytes: bytes,
    };
    let output = WinogradOutput {
        width,
        size,
        rows: m,
        columns: m,
        plane_bytes: bytes,
        row_bytes: m as i32 * bytes,
        pixel_bytes: bytes,
        formula: Formula::identity(),
        operands: Vec::new(),
    };
    let g = size.kernel();
    let taps = || (0..3).flat_map(|k| (0..3).map(move |l| (k, l)));
    let transformed = |i: usize, j: usize| {
        taps().map(|(k, l)| g[i][k] * f64::from(kernel[3 * k + l]) * g[j][l]).sum::<f64>()
    };
    let mut products = run(&input.program(), &src, n * n * lanes);
    for (p, x) in products.chunks_mut(lanes).enumerate() {
        x.iter_mut().for_each(|x| *x *= transformed(p / n, p % n) as f32);
    }
    let found = run(&output.program(), &products, m * m * lanes);
    let (mut worst, mut largest) = (0.0f64, 0.0f64);
    for (i, x) in found.iter().enumerate() {
        let (row, column, lane) = (i / lanes / m, i / lanes % m, i % lanes);
        let at = |k: usize, l: usize| f64::from(src[((row + k) * n + column + l) * lanes + lane]);
        let expected: f64 = taps().map(|(k, l)| at(k, l) * f64::from(kernel[3 * k + l])).sum();
        worst = worst.max((f64::from(*x) - expected).abs());
        largest = largest.max(expected.abs());
    }
    worst / largest
}

#[test]
fn transforms_convolve() {
    let mut rng = Rng::new(5);
    for (size, bound) in [(Winograd::F2, 2e-6), (Winograd::F4, 2e-5)] {
        for width in Width::ALL {
            let found = error(size, width, &mut rng);
            assert!(found < bound, "{size:?}: {found}");
        }
    }
}
