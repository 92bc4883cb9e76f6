//! How a convolution is carried out: as the first record that serves says, else by the algorithm that is the cheapest by an
//! estimate.

use octrt_ops::{Graph, Node};

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
use crate::strategy::decision::{Decision, Tiling};
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
        if self.graph.constant_input(self.graph.node(group.root), 1).is_none() {
            // Computed weights are packed in tiles of as many vectors each, and not transformed.
            let blocks = dst.blocks();
            let vectors = (1..=2).rev().find(|n| blocks.is_multiple_of(*n));
            let decision = Decision { tiling: Tiling { vectors, ..Tiling::NONE }, ..Decision::DIRECT };
            return Chosen { convolution, src_lanes: src.layout.lanes, decision };
        }
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
        let in_blocks = src.layout.lanes == dst.layout.lanes && src.axes > 1;
        if !in_blocks || !may_be_winograd(graph, graph.node(group.root), windows, options.precision) {
            return Vec::new();
        }
        let window = windows.window();
        let repeats = || group.ending.operands.iter().map(|o| o.repeat);
        let serves = |size: &Winograd| {
            let algorithm = Algorithm::Winograd(*size);
            conv_winograd::ends_with(*size, &window, repeats()).is_ok()
                && !refused.contains_key(&(group.root, algorithm.into()))
        };
        [Winograd::F2, Winograd::F4].into_iter().filter(serves).collect()
    }
}

/// Whether the windows are such, and the sums need not be exact.
fn may_be_winograd(graph: &Graph, node: &Node, windows: &Windows, precision: Precision) -> bool {
    let alone = windows.groups == 1 && windows.sharing == Sharing::Merged(1);
    let fits = alone && windows.window().is_3x3_planes();
    fits && precision != Precision::Strict && !is_whole(graph, node)
}

/// The part of a direct convolution's cycles that Winograd's algorithm is estimated to take, where it may serve: 1 where not.
pub(super) fn part_of_direct(
    (graph, node): (&Graph, &Node),
    windows: &Windows,
    (src, dst): (&Map, &Map),
    options: Options,
) -> f64 {
    if src.axes < 2 || !may_be_winograd(graph, node, windows, options.precision) {
        return 1.0;
    }
    let c = convolution(windows, src, dst);
    let cycles = [Winograd::F2, Winograd::F4].map(|size| winograd_cycles(&c, size, options.target));
    cycles[0].min(cycles[1]) / direct_cycles(&c, options.target)
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
    let [planes, h, w] = c.dst;
    let [along_planes, rows, columns] = c.window.dilations;
    // Rows and columns that are a dilation apart have tiles of their own.
    let along = |extent: usize, dilation: usize| -> usize {
        (0..dilation.min(extent))
            .map(|first| (extent - first).div_ceil(dilation).div_ceil(size.output()))
            .sum()
    };
    let tiles = (c.mb * along(h, rows) * along(w, columns)) as f64;
    let (of_src, of_dst) = ((planes + (c.window.kernel[0] - 1) * along_planes) as f64, planes as f64);
    let elements = (size.input() * size.input()) as f64;
    let weights = elements * (c.ic * c.oc * c.window.kernel[0]) as f64;
    let [input, output] = transform_cycles(size);
    let blocks = |channels: usize| (channels as f64 / lanes(target)).ceil();
    let (src, dst) = (blocks(c.ic) * of_src, blocks(c.oc) * of_dst);
    let transforms = tiles * (src * input + dst * output) / target.vector_rate();
    let products = weights * tiles * of_dst / rate(target) / PRODUCTS_OF_PEAK;
    let bytes = weights * 4.0;
    let is_cold = bytes > target.caches().l2 as f64 / 2.0;
    let meanwhile = if is_cold { WEIGHTS_COME * products } else { 0.0 };
    // Grids and planes are not cut so that their transforms stay near: these are written and read.
    let between = elements * tiles * (src + dst) * lanes(target) * 4.0;
    let is_far = (rows * columns > 1 || planes > 1) && between > target.caches().l2 as f64;
    let moved = if is_far { 2.0 * between / target.cold_bytes() } else { 0.0 };
    products + transforms + moved + (bytes / target.cold_bytes() - meanwhile).max(0.0)
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

    #[test]
    fn grids_and_planes_have_tiles_of_their_own() {
        let f4 = Algorithm::Winograd(Winograd::F4);
        // Channels, planes, rows and columns, planes of the kernel, dilation.
        for (channels, [d, extent], kernel, dilation, expected) in [
            (64, [16, 56], 3, 1, f4),
            (256, [4, 14], 3, 1, f4),
            (64, [8, 56], 1, 1, f4),
            (512, [1, 65], 1, 4, f4),
            (256, [1, 33], 1, 2, f4),
            // Grids of a pixel or two: most of each tile is no pixel.
            (256, [1, 14], 1, 12, Algorithm::Direct),
        ] {
            let extents = [d, extent, extent];
            let dilations = [1, dilation, dilation];
            let pads = [kernel / 2, dilation, dilation];
            let window = MapWindow { kernel: [kernel, 3, 3], strides: [1; 3], dilations, pads };
            let c = Convolution {
                mb: 1,
                groups: 1,
                ic: channels,
                oc: channels,
                src: extents,
                dst: extents,
                window,
            };
            for isa in [Isa::V3, Isa::V4] {
                let found = cheapest(&c, [Winograd::F2, Winograd::F4].into_iter(), Target::new(isa));
                assert_eq!(found, expected, "{channels} channels, {extents:?}, {window:?}, {isa:?}");
            }
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
