//! A problem that is being drawn: nodes are added one at a time, if they fit and are not too much work.

use crate::problem::{Binary, Conv, Fill, Kind, Problem};
use crate::random::Random;
use crate::shape;

/// Multiply-accumulates of any problem.
pub const MOST_MACS: usize = 2_000_000;
/// Multiply-accumulates of most problems.
const USUAL_MACS: usize = 250_000;
/// Elements of any tensor.
const MOST_ELEMENTS: usize = 60_000;

pub struct Draft {
    pub r: Random,
    pub problem: Problem,
    shapes: Vec<Vec<usize>>,
    macs: usize,
    /// Multiply-accumulates that the problem may have.
    budget: usize,
}

impl Draft {
    pub fn new(seed: u64) -> Self {
        let mut r = Random::new(seed);
        let budget = if r.one_in(8) { MOST_MACS } else { USUAL_MACS };
        Draft { r, problem: Problem::new(seed), shapes: Vec::new(), macs: 0, budget }
    }

    pub fn shape(&self, node: usize) -> &[usize] {
        &self.shapes[node]
    }

    pub fn channels(&self, node: usize) -> usize {
        self.shapes[node][1]
    }

    /// Number of spatial axes.
    pub fn axes(&self, node: usize) -> usize {
        self.shapes[node].len() - 2
    }

    /// What a node of this kind would give; none when it does not fit or is too much work.
    pub fn fits(&self, kind: &Kind, inputs: &[usize]) -> Option<Vec<usize>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.shape(i)).collect();
        let dst = shape::infer(kind, &shapes)?;
        let src = shapes.first().copied().unwrap_or_default();
        let elements: usize = dst.iter().product();
        let macs = self.macs + shape::macs(kind, src, &dst);
        (elements > 0 && elements <= MOST_ELEMENTS && macs <= self.budget).then_some(dst)
    }

    /// Adds a node.
    pub fn add(&mut self, kind: Kind, inputs: &[usize]) -> Option<usize> {
        let dst = self.fits(&kind, inputs)?;
        let src = inputs.first().map_or(vec![], |&i| self.shapes[i].clone());
        self.macs += shape::macs(&kind, &src, &dst);
        self.shapes.push(dst);
        Some(self.problem.add(kind, inputs))
    }

    pub fn input(&mut self, shape: &[usize], fill: Fill) -> Option<usize> {
        self.add(Kind::Input { shape: shape.to_vec(), fill }, &[])
    }

    pub fn constant(&mut self, shape: &[usize], fill: Fill) -> Option<usize> {
        self.add(Kind::Const { shape: shape.to_vec(), fill }, &[])
    }

    pub fn conv(&mut self, conv: Conv, src: usize) -> Option<usize> {
        self.add(Kind::Conv(conv), &[src])
    }

    /// A convolution whose weights are another node.
    pub fn conv_by(&mut self, conv: Conv, src: usize, wei: usize) -> Option<usize> {
        self.add(Kind::Conv(conv), &[src, wei])
    }

    /// `f(a, b)`, or `f(b, a)`.
    pub fn binary(&mut self, f: Binary, a: usize, b: usize) -> Option<usize> {
        let inputs = if self.r.one_in(2) { [a, b] } else { [b, a] };
        self.add(Kind::Binary(f), &inputs)
    }

    /// Makes a node an output, beside the last one.
    pub fn output(&mut self, node: usize) {
        if !self.problem.outputs.contains(&node) {
            self.problem.outputs.push(node);
        }
    }
}

/// `count` problems that `draw` draws, from the seed `first` on; seeds of which nothing comes are left out.
///
/// # Panics
/// When `draw` nearly always fails.
pub fn drawn(first: u64, count: usize, draw: impl Fn(&mut Draft) -> Option<()>) -> Vec<Problem> {
    let one = |seed| {
        let mut d = Draft::new(seed);
        draw(&mut d).map(|()| d.problem)
    };
    let seeds = first..first + 40 * count as u64;
    let problems: Vec<Problem> = seeds.filter_map(one).take(count).collect();
    assert_eq!(problems.len(), count, "too few problems from seed {first} on");
    problems
}
