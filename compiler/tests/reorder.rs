//! Reorders between plain maps and blocks, over sizes that fill neither vectors nor blocks: verified, without races, and
//! equal to the definition of the layout, element by element.

use octrt_compiler::layout::{AXES, Halo, Layout, Map, relayout};
use octrt_compiler::nest::interp::{Engine, races, run};
use octrt_compiler::nest::verify::verify;
use octrt_compiler::strategy::{reorder, rows};
use octrt_compiler::{Isa, Target};
use octrt_ops::Tensor;

/// A generator of numbers (xorshift).
struct Rng(u64);

impl Rng {
    /// From `lo` to `hi`, both included.
    fn range(&mut self, lo: usize, hi: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        lo + (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as usize % (hi - lo + 1)
    }
}

/// A map in blocks of one to three axes of up to 40, and of at most 400 pixels.
fn draw(rng: &mut Rng, lanes: usize) -> Map {
    let axes = rng.range(1, AXES);
    let mut left = 400;
    let mut extents = [1; AXES];
    for extent in &mut extents[AXES - axes..] {
        *extent = rng.range(1, 40.min(left));
        left /= *extent;
    }
    let mut end = |axis: usize| if axis >= AXES - axes && rng.range(0, 2) == 0 { rng.range(1, 2) } else { 0 };
    let halo = Halo { front: end(0), back: end(0), top: end(1), bottom: end(1), left: end(2), right: end(2) };
    let halo = if rng.range(0, 1) == 0 { Halo::default() } else { halo };
    let [d, h, w] = extents;
    let layout = Layout { halo, ..Layout::blocked(lanes) };
    Map { mb: rng.range(1, 3), c: rng.range(1, 40), d, h, w, axes, layout }
}

/// Elements that are all different.
fn counted(map: &Map) -> Tensor {
    let ty = map.ty();
    let elements: Vec<f32> = (0..ty.shape.numel()).map(|i| i as f32 + 1.0).collect();
    Tensor::new(ty.shape, &elements).expect("a tensor")
}

/// One direction of one map; whether the strategy takes it. `more` looks for races, too, and emulates the machine code.
fn check(from: &Map, to: &Map, target: Target, more: bool) -> bool {
    let Ok(nest) = reorder::nest(from, to, target) else { return false };
    let what = format!("{from:?} -> {to:?}");
    assert_eq!(verify(&nest), Ok(()), "{what}");
    let src = counted(from);
    if more {
        assert_eq!(races(&nest, &[Some(&src)]), Ok(None), "{what}");
    }
    let engine = if more { Engine::Emulator } else { Engine::Interpreter };
    // Every element is written by the border or by the reorder.
    let nothing = Tensor::new(to.ty().shape, &vec![f32::NAN; to.ty().shape.numel()]).expect("a tensor");
    let bordered = match to.layout.halo.is_none() {
        true => nothing,
        false => {
            let border = rows::border(to, target).expect("a border");
            run(&border, &[], Some(&nothing), engine).expect("it runs")
        }
    };
    let found = run(&nest, &[Some(&src), None], Some(&bordered), engine).expect("it runs");
    let expected = relayout(from, to).evaluate(&[Some(&src)]).expect("a definition").remove(0);
    assert_eq!(found, expected, "{what}");
    true
}

#[test]
fn reorders_are_the_layouts_definition() {
    let mut rng = Rng(11);
    for target in [Isa::V3, Isa::V4].map(Target::new) {
        let lanes = target.width().map_or(1, |w| w.lanes() as usize);
        let mut taken = 0;
        for i in 0..60 {
            let blocks = draw(&mut rng, lanes);
            let plain = Map { layout: Layout::PLAIN, ..blocks };
            let more = i % 5 == 0;
            let both = [check(&plain, &blocks, target, more), check(&blocks, &plain, target, more)];
            assert_eq!(both, [blocks.pixels() > 1; 2], "{blocks:?}");
            taken += usize::from(both[0]);
        }
        assert!(taken > 50, "{taken} of 60 maps have more than a pixel");
    }
}

#[test]
fn other_layouts_are_refused() {
    let map = |lanes, w| Map { mb: 1, c: 20, d: 1, h: 1, w, axes: 1, layout: Layout::blocked(lanes) };
    let refused =
        |from: &Map, to: &Map, isa| reorder::nest(from, to, Target::new(isa)).map(|_| ()).unwrap_err();
    let unfit = "a reorder other than between plain and blocks of the target";
    assert_eq!(refused(&map(8, 5), &map(8, 5), Isa::V3).to_string(), unfit);
    assert_eq!(refused(&map(1, 5), &map(8, 5), Isa::V4).to_string(), unfit);
    assert_eq!(
        refused(&map(1, 1), &map(8, 1), Isa::V3).to_string(),
        "channels that lie side by side in both layouts"
    );
    let large = "tensors are so large that distances in them have more than 32 bits";
    assert_eq!(refused(&map(1, 1 << 27), &map(8, 1 << 27), Isa::V3).to_string(), large);
    assert_eq!(refused(&map(1, 5), &map(8, 5), Isa::V2).to_string(), "x86-64-v2 has no leaf programs");
}
