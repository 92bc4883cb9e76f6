//! The families of problems.

pub mod branches;
pub mod lists;
pub mod octave;
pub mod other;
pub mod sequences;

use crate::draft::drawn;
use crate::problem::{Conv, Fill, Kind, Problem};

/// A name, and the problems.
pub type Family = (&'static str, fn() -> Vec<Problem>);

/// Problems of convolutions and what surrounds them.
pub const CONVOLUTIONS: [Family; 37] = [
    ("kernels", lists::kernels),
    ("three_by_three", lists::three_by_three),
    ("depthwise", lists::depthwise),
    ("paddings", lists::paddings),
    ("large", lists::large),
    ("single", || drawn(100_000, 700, |d| sequences::single(d, 2))),
    ("single_1d", || drawn(110_000, 100, |d| sequences::single(d, 1))),
    ("single_3d", || drawn(120_000, 120, |d| sequences::single(d, 3))),
    ("chains", || drawn(200_000, 350, |d| sequences::chain(d, 2))),
    ("chains_1d", || drawn(210_000, 40, |d| sequences::chain(d, 1))),
    ("chains_3d", || drawn(220_000, 50, |d| sequences::chain(d, 3))),
    ("residuals", || drawn(300_000, 320, |d| branches::residuals(d, 2))),
    ("residuals_3d", || drawn(310_000, 30, |d| branches::residuals(d, 3))),
    ("pooled", || drawn(400_000, 240, |d| sequences::pooled(d, 2))),
    ("pooled_3d", || drawn(410_000, 30, |d| sequences::pooled(d, 3))),
    ("joined", || drawn(500_000, 150, |d| branches::joined(d, 2))),
    ("octave", || drawn(600_000, 180, |d| octave::octave(d, 2))),
    ("octave_3d", || drawn(610_000, 20, |d| octave::octave(d, 3))),
    ("forked", || drawn(700_000, 180, |d| branches::forked(d, 2))),
    ("weights", || drawn(710_000, 80, branches::weights)),
    ("inverted", || drawn(800_000, 70, |d| sequences::inverted(d, 2))),
    ("excited", || drawn(810_000, 40, |d| branches::excited(d, 2))),
    ("moved", || drawn(820_000, 100, |d| sequences::moved(d, 2))),
    ("elementwise", || drawn(830_000, 120, |d| sequences::elementwise(d, 2))),
    ("residuals_1d", || drawn(1_000_000, 40, |d| branches::residuals(d, 1))),
    ("pooled_1d", || drawn(1_010_000, 40, |d| sequences::pooled(d, 1))),
    ("joined_1d", || drawn(1_020_000, 40, |d| branches::joined(d, 1))),
    ("joined_3d", || drawn(1_030_000, 40, |d| branches::joined(d, 3))),
    ("forked_1d", || drawn(1_040_000, 40, |d| branches::forked(d, 1))),
    ("forked_3d", || drawn(1_050_000, 40, |d| branches::forked(d, 3))),
    ("inverted_1d", || drawn(1_060_000, 20, |d| sequences::inverted(d, 1))),
    ("inverted_3d", || drawn(1_070_000, 20, |d| sequences::inverted(d, 3))),
    ("excited_1d", || drawn(1_080_000, 20, |d| branches::excited(d, 1))),
    ("excited_3d", || drawn(1_090_000, 20, |d| branches::excited(d, 3))),
    ("elementwise_1d", || drawn(1_100_000, 40, |d| sequences::elementwise(d, 1))),
    ("elementwise_3d", || drawn(1_110_000, 40, |d| sequences::elementwise(d, 3))),
    ("moved_1d", || drawn(1_120_000, 30, |d| sequences::moved(d, 1))),
];

/// Problems of other operators of convolutional networks.
pub const OTHERS: [Family; 6] = [
    ("gemm", || drawn(900_000, 150, other::gemm)),
    ("matmul", || drawn(910_000, 100, other::matmul)),
    ("pooling", || drawn(920_000, 100, |d| other::pooling(d, Fill::Unit))),
    ("pooling_negative", || drawn(930_000, 120, |d| other::pooling(d, Fill::Negative))),
    ("pooling_special", || drawn(940_000, 120, |d| other::pooling(d, Fill::Special))),
    ("transposed", || drawn(950_000, 150, other::transposed)),
];

/// The problems of the family of this name.
///
/// # Panics
/// When there is none.
pub fn family(name: &str) -> Vec<Problem> {
    let found = CONVOLUTIONS.iter().chain(&OTHERS).find(|(n, _)| *n == name);
    found.unwrap_or_else(|| panic!("no family '{name}'")).1()
}

/// The problems of all families of convolutions.
pub fn convolutions() -> Vec<Problem> {
    CONVOLUTIONS.iter().flat_map(|(_, draw)| draw()).collect()
}

/// About `count` of the problems, evenly over all.
pub fn sample(problems: Vec<Problem>, count: usize) -> Vec<Problem> {
    let step = (problems.len() / count).max(1);
    problems.into_iter().step_by(step).collect()
}

/// The convolutions of a problem.
pub fn convs(p: &Problem) -> impl Iterator<Item = &Conv> {
    p.nodes.iter().filter_map(|n| if let Kind::Conv(c) = &n.kind { Some(c) } else { None })
}

/// The problem with NaN and infinities among the numbers of its inputs, but for those that are weights: the product of
/// an infinite weight and padding is nothing that definitions speak of.
pub fn with_special_values(mut p: Problem) -> Problem {
    for i in 0..p.nodes.len() {
        let is_weights = p.is_weights(i);
        match &mut p.nodes[i].kind {
            Kind::Input { fill, .. } if !is_weights => *fill = Fill::Special,
            _ => {}
        }
    }
    p
}
