//! How a convolution is carried out: as the first record that serves says, else by the algorithm that is the cheapest by an
//! estimate.

use octrt_ops::Graph;

use super::fuse::Group;
use super::{Chosen, Refused, Windows};
use crate::layout::Map;
use crate::leaf::programs::Winograd;
use crate::options::Options;
use crate::passes::is_whole;
use crate::precision::Precision;
use crate::records::{Convolution, Records};
use crate::strategy::conv::{Algorithm, Sharing};
use crate::strategy::conv_winograd;
use crate::strategy::decision::Decision;
use crate::target::Target;

/// What direct convolutions are taken to reach of the peak; single ones are measured at 0.67, with cold weights, to 0.95.
const DIRECT_OF_PEAK: f64 = 0.9;

/// What the products of Winograd's algorithm are taken to reach of the peak.
const PRODUCTS_OF_PEAK: f64 = 0.85;

/// Part of the time of these products in which the weights come that later ones use, where the level-2 cache does not hold
/// them and calls bring them near.
const WEIGHTS_COME: f64 = 0.5;

/// Winograd's part of the direct cycles above which it is not taken: three steps have costs of their own.
const WORTH_IT: f64 = 0.9;

/// What the algorithm of a convolution is chosen by.
pub(super) struct Chooser<'a> {
    pub(super) graph: &'a Graph,
    pub(super) options: Options,
    pub(super) records: &'a Records,
    pub(super) refused: &'a Refused,
}

impl Chooser<'_> {
    /// What is decided for the convolution that begins a group: `src` has the lanes in which it is read.
    pub(super) fn choose(&self, group: &Group, windows: &Windows, src: &Map, dst: &Map) -> Chosen {
        let convolution = convolution(windows, src, dst);
        let sizes = self.sizes(group, windows, src, dst);
        let serves = |d: &&Decision| match d.algorithm {
            Algorithm::Direct => true,
            Algorithm::Winograd(size) => sizes.contains(&size),
        };
        let recorded = self.records.get(&convolution).iter().find(serves).copied();
        let decision = recorded
            .unwrap_or_else(|| cheapest(&convolution, sizes.iter().copied(), self.options.target).into());
        Chosen { convolution, src_lanes: src.layout.lanes, decision }
    }

    /// The sizes of Winograd's tiles that serve.
    fn sizes(&self, group: &Group, windows: &Windows, src: &Map, dst: &Map) -> Vec<Winograd> {
        let Chooser { graph, options, refused, .. } = self;
        let inexact = options.precision == Precision::Strict || is_whole(graph, graph.node(group.root));
        let in_blocks = src.layout.lanes == dst.layout.lanes && src.axes == 2;
        let alone = windows.groups == 1 && windows.sharing == Sharing::Merged(1);
        if inexact || !in_blocks || !alone || !windows.window().is_3x3_s1() {
            return Vec::new();
        }
        let repeats = || group.ending.operands.iter().map(|o| o.repeat);
        let serves = |size: &Winograd| {
            let algorithm = Algorithm::Winograd(*size);
            conv_winograd::ends_with(*size, repeats()).is_ok()
                && !refused.contains_key(&(group.root, algorithm.into()))
        };
        [Winograd::F2, Winograd::F4].into_iter().filter(serves).collect()
    }
}

/// The cheapest of direct convolution and Winograd's algorithm in tiles of these sizes.
fn cheapest(c: &Convolution, sizes: impl Iterator<Item = Winograd>, target: Target) -> Algorithm {
    let direct = WORTH_IT * direct_cycles(c, target);
    let cycles = sizes.map(|size| (winograd_cycles(c, size, target), size));
    let cheapest = cycles.filter(|(cycles, _)| *cycles < direct).min_by(|a, b| a.0.total_cmp(&b.0));
    cheapest.map_or(Algorithm::Direct, |(_, size)| Algorithm::Winograd(size))
}

/// The convolution as records know it.
fn convolution(windows: &Windows, src: &Map, dst: &Map) -> Convolution {
    Convolution {
        mb: dst.mb,
        groups: windows.groups,
        ic: src.c,
        oc: dst.c,
        src: src.extents(),
        dst: dst.extents(),
        window: windows.window(),
    }
}

/// Multiply-accumulates in a cycle.
fn rate(target: Target) -> f64 {
    2.0 * lanes(target) * target.vector_rate()
}

fn lanes(target: Target) -> f64 {
    target.width().map_or(4.0, |w| f64::from(w.lanes()))
}

fn direct_cycles(c: &Convolution, target: Target) -> f64 {
    let weights = (c.ic * c.oc * c.window.taps()) as f64;
    let pixels = (c.mb * c.dst.iter().product::<usize>()) as f64;
    weights * pixels / rate(target) / DIRECT_OF_PEAK + weights * 4.0 / target.cold_bytes()
}

fn winograd_cycles(c: &Convolution, size: Winograd, target: Target) -> f64 {
    let [_, h, w] = c.dst;
    let tiles = (c.mb * h.div_ceil(size.output()) * w.div_ceil(size.output())) as f64;
    let weights = (size.input() * size.input() * c.ic * c.oc) as f64;
    let [input, output] = transform_cycles(size);
    let blocks = |channels: usize| (channels as f64 / lanes(target)).ceil();
    let transforms = tiles * (blocks(c.ic) * input + blocks(c.oc) * output) / target.vector_rate();
    let products = weights * tiles / rate(target) / PRODUCTS_OF_PEAK;
    let bytes = weights * 4.0;
    let is_cold = bytes > target.caches().l2 as f64 / 2.0;
    let meanwhile = if is_cold { WEIGHTS_COME * products } else { 0.0 };
    products + transforms + (bytes / target.cold_bytes() - meanwhile).max(0.0)
}

/// Cycles of the transforms of a block of channels of a tile, of its input and of its output: about two instructions of their
/// leaf programs run in one.
fn transform_cycles(size: Winograd) -> [f64; 2] {
    match size {
        Winograd::F2 => [60.0, 40.0],
        Winograd::F4 => [180.0, 130.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::MapWindow;
    use crate::leaf::programs::{Formula, WinogradInput, WinogradOutput};
    use crate::leaf::{Inst, Width};
    use crate::strategy::tail::Tail;
    use crate::target::Isa;

    #[test]
    fn weights_decide_between_the_sizes_of_tiles() {
        let f2 = Algorithm::Winograd(Winograd::F2);
        let f4 = Algorithm::Winograd(Winograd::F4);
        // Channels, rows and columns, and what is fastest with vectors of 8 and of 16.
        let measured = [
            (64, 7, [Algorithm::Direct, Algorithm::Direct]),
            (64, 56, [f4, f4]),
            (128, 7, [f2, f2]),
            (128, 28, [f4, f4]),
            (128, 14, [f4, f2]),
            (256, 28, [f4, f4]),
            (256, 14, [f4, f2]),
            (256, 7, [f2, f2]),
            (512, 28, [f4, f4]),
            (512, 14, [f4, f2]),
            (512, 7, [f2, f2]),
        ];
        for (channels, extent, expected) in measured {
            let (extents, one) = ([1, extent, extent], [1; 3]);
            let c = Convolution {
                mb: 1,
                groups: 1,
                ic: channels,
                oc: channels,
                src: extents,
                dst: extents,
                window: MapWindow { kernel: [1, 3, 3], strides: one, dilations: one, pads: [0, 1, 1] },
            };
            let sizes = || [Winograd::F2, Winograd::F4].into_iter();
            let found = [Isa::V3, Isa::V4].map(|isa| cheapest(&c, sizes(), Target::new(isa)));
            assert_eq!(found, expected, "{channels} channels, {extent}x{extent}");
        }
    }

    fn instructions(body: &[Inst]) -> usize {
        let count = |i: &Inst| if let Inst::Loop { body, .. } = i { instructions(body) } else { 1 };
        body.iter().map(count).sum()
    }

    #[test]
    fn transforms_take_half_as_many_cycles_as_instructions() {
        for size in [Winograd::F2, Winograd::F4] {
            let (width, [rows, columns]) = (Width::W16, [size.input(); 2]);
            let bytes = width.bytes();
            let (row_bytes, pixel_bytes, plane_bytes) = (8 * bytes, bytes, bytes);
            let input = WinogradInput { width, size, rows, columns, row_bytes, pixel_bytes, plane_bytes };
            let formula = Formula::of_buffers(&Tail::relu().value).unwrap();
            let [rows, columns] = [size.output(); 2];
            let output = WinogradOutput {
                width,
                size,
                rows,
                columns,
                plane_bytes,
                row_bytes,
                pixel_bytes,
                formula,
                operands: Vec::new(),
            };
            let programs = [input.program(), output.program()];
            for (cycles, program) in transform_cycles(size).into_iter().zip(programs) {
                let n = instructions(&program.body) as f64;
                assert!(
                    (1.6..=2.4).contains(&(n / cycles)),
                    "{}: {n} instructions, {cycles} cycles",
                    program.name
                );
            }
        }
    }
}
