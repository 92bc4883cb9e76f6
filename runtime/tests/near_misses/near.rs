//! A graph that is nearly a pattern: helpers that make what a rule wants, and seldom something else.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Dim, Op, Tensor, ValueId};

use crate::growing::Growing;

/// Largest number of elements of a value.
const ELEMENTS: usize = 6000;
/// One decision in so many goes against the pattern.
const ODDS: usize = 14;

pub struct Near {
    pub g: Growing,
    /// Outputs beside the values that nobody uses.
    outputs: Vec<ValueId>,
}

impl Near {
    pub fn new(seed: u64) -> Self {
        Near { g: Growing::empty(seed, ELEMENTS), outputs: Vec::new() }
    }

    /// Whether to go against the pattern.
    pub fn odd(&mut self) -> bool {
        self.g.numbers.one_in(ODDS)
    }

    /// What the pattern wants, or seldom one of `others`.
    pub fn or<T: Copy>(&mut self, wanted: T, others: &[T]) -> T {
        if self.odd() { self.pick(others) } else { wanted }
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        self.g.numbers.pick(from)
    }

    pub fn half(&mut self) -> bool {
        self.g.numbers.one_in(2)
    }

    pub fn tensor(&self, v: ValueId) -> &Tensor {
        &self.g.value(v).1
    }

    pub fn shape(&self, v: ValueId) -> Vec<usize> {
        self.tensor(v).shape().dims().to_vec()
    }

    pub fn input_of(&mut self, t: Tensor) -> ValueId {
        let dims = t.shape().iter().map(|&d| Dim::Fixed(d)).collect();
        let v = self.g.graph.add_input(format!("x{}", self.g.inputs.len()), t.dtype(), dims);
        self.g.inputs.push(t.clone());
        self.g.values.push((v, t, true));
        v
    }

    pub fn input(&mut self, shape: &[usize]) -> ValueId {
        let t = self.g.numbers.tensor(DType::F32, shape);
        self.input_of(t)
    }

    /// A constant, seldom an input.
    pub fn weight(&mut self, shape: &[usize]) -> ValueId {
        if self.odd() { self.input(shape) } else { self.g.f32s(shape) }
    }

    /// The first result of a new node; none when it does not take these inputs.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Option<ValueId> {
        let inputs: Vec<_> = inputs.iter().map(|v| Some(*v)).collect();
        let result = self.g.add(op, &inputs, 1)?[0];
        self.shared(result);
        Some(result)
    }

    /// Seldom lets an output of the graph or another node see the value too.
    pub fn shared(&mut self, v: ValueId) {
        if !self.odd() {
            return;
        }
        if self.half() {
            self.outputs.push(v);
        } else {
            self.g.add(Unary { kind: UnaryKind::Neg }, &[Some(v)], 1);
        }
    }

    /// What a node computes from an input, seldom an input.
    pub fn made(&mut self, shape: &[usize]) -> Option<ValueId> {
        let x = self.input(shape);
        if self.odd() {
            return Some(x);
        }
        let kind = self.pick(&[UnaryKind::Relu, UnaryKind::Abs]);
        self.add(Unary { kind }, &[x])
    }

    /// A convolution that keeps the extents, with a window of this extent.
    pub fn conv(&mut self, x: ValueId, oc: usize, window: usize) -> Option<ValueId> {
        let shape = self.shape(x);
        let [_, ic, space @ ..] = &shape[..] else { return None };
        if space.is_empty() {
            return None;
        }
        let group = match self.or(0, &[1, 2]) {
            1 if oc.is_multiple_of(2) && ic.is_multiple_of(2) => 2,
            2 if oc.is_multiple_of(*ic) => *ic,
            _ => 1,
        };
        let n = space.len();
        let (stride, dilation) = (self.or(1, &[2]), self.or(1, &[2]));
        let mut kernel = vec![window; n];
        if self.odd() {
            kernel[n - 1] = self.pick(&[1, 2, 3]);
        }
        let mut pads = vec![(window - 1) * dilation / 2; 2 * n];
        if self.odd() {
            let at = self.g.numbers.below(2 * n);
            pads[at] = self.pick(&[0, 1, 2]);
        }
        let auto_pad = self.or(AutoPad::NotSet, &[AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid]);
        if auto_pad != AutoPad::NotSet {
            pads.clear();
        }
        let wei = self.weight(&[&[oc, ic / group], &kernel[..]].concat());
        let mut inputs = vec![x, wei];
        if self.half() {
            inputs.push(self.weight(&[oc]));
        }
        let spelled = |v: usize, all: bool| if all || v != 1 { vec![v; n] } else { vec![] };
        let (strides, dilations) = (spelled(stride, self.half()), spelled(dilation, self.half()));
        let window = Window { strides, dilations, pads, auto_pad, ..Window::default() };
        self.add(Conv { window, group }, &inputs)
    }

    /// A pooling of windows side by side.
    pub fn pooled(&mut self, x: ValueId) -> Option<ValueId> {
        let n = self.shape(x).len().checked_sub(2).filter(|n| *n > 0)?;
        let mut kernel = vec![2; n];
        let mut strides = vec![2; n];
        if self.odd() {
            kernel[0] = self.pick(&[1, 3]);
        }
        if self.odd() {
            strides[0] = self.pick(&[1, 3]);
        }
        let mut pads = vec![0; 2 * n];
        if self.odd() {
            let at = self.g.numbers.below(2 * n);
            pads[at] = 1;
        }
        let auto_pad = self.or(AutoPad::NotSet, &[AutoPad::SameUpper, AutoPad::SameLower, AutoPad::Valid]);
        if auto_pad != AutoPad::NotSet {
            pads.clear();
        }
        let dilations = if self.odd() { vec![2; n] } else { vec![] };
        let (ceil_mode, count_include_pad) = (self.or(false, &[true]), self.half());
        let window = Window { kernel, strides, dilations, pads, auto_pad };
        self.add(AveragePool { window, ceil_mode, count_include_pad }, &[x])
    }

    /// A factor of an axis, of which many give the extent that 1 gives or `usual`, and other elements.
    fn factor(&mut self, axis: usize, usual: f32) -> f32 {
        let nearly = [1.0 + 5e-6, 1.025, 1.1, 1.2, 1.0 - 1e-7, 0.95, 0.75, 1.5];
        match axis {
            0 | 1 if self.g.numbers.one_in(5) => self.pick(&[1.01, 1.1, 1.3, 0.9, 2.0]),
            0 | 1 => 1.0,
            _ if self.g.numbers.one_in(4) => usual * self.pick(&nearly),
            _ => usual,
        }
    }

    /// As many rows and columns as `usual` says, or nearly; by any rule for which pixel shows which.
    pub fn resized(&mut self, x: ValueId, usual: f32) -> Option<ValueId> {
        let shape = self.shape(x);
        if shape.is_empty() {
            return None;
        }
        let factors: Vec<f32> = (0..shape.len()).map(|axis| self.factor(axis, usual)).collect();
        let mut axes: Vec<i64> = (0..shape.len() as i64).collect();
        if shape.len() > 2 && self.odd() {
            axes.drain(..2);
            axes.reverse();
        }
        let listed: Vec<f32> = axes.iter().map(|&a| factors[a as usize]).collect();
        let extent = |(&a, f): (&i64, &f32)| (shape[a as usize] as f32 * f).floor() as i64;
        let sizes: Vec<i64> = axes.iter().zip(&listed).map(extent).collect();
        let (mut coordinates, mut nearest_mode) =
            (self.pick(CoordinateTransform::ALL), self.pick(NearestMode::ALL));
        if self.half() {
            (coordinates, nearest_mode) = self.pick(&[
                (CoordinateTransform::Asymmetric, NearestMode::Floor),
                (CoordinateTransform::HalfPixel, NearestMode::RoundPreferFloor),
            ]);
        }
        let by_sizes = self.g.numbers.one_in(4);
        let aspect = [AspectPolicy::NotLarger, AspectPolicy::NotSmaller];
        let aspect = if by_sizes { self.or(AspectPolicy::Stretch, &aspect) } else { AspectPolicy::Stretch };
        let op = Resize {
            mode: self.or(ResizeMode::Nearest, &[ResizeMode::Linear, ResizeMode::Linear, ResizeMode::Cubic]),
            coordinates,
            nearest_mode,
            aspect,
            axes: if axes.len() == shape.len() { vec![] } else { axes.clone() },
            ..Resize::nearest()
        };
        let floats =
            |n: &mut Near, list: &[f32]| Some(n.g.constant(Tensor::new([list.len()], list).unwrap()));
        let roi: Vec<f32> = (0..2 * axes.len()).map(|i| if i < axes.len() { 0.0 } else { 1.0 }).collect();
        let crop = coordinates == CoordinateTransform::TfCropAndResize;
        let roi = if crop { floats(self, &roi) } else { None };
        // Sizes that are an empty list count as none.
        let by_scales = |n: &mut Near| [floats(n, &listed), if n.half() { n.g.list(&[]) } else { None }];
        let size = if by_sizes { [None, self.g.list(&sizes)] } else { by_scales(self) };
        let result = self.g.add(op, &[Some(x), roi, size[0], size[1]], 1)?[0];
        self.shared(result);
        Some(result)
    }

    /// A function that a convolution can apply, or nothing.
    pub fn activated(&mut self, x: ValueId) -> Option<ValueId> {
        match self.g.numbers.below(3) {
            0 => self.add(Unary { kind: UnaryKind::Relu }, &[x]),
            1 => {
                let kind = self.pick(&[UnaryKind::HardSwish, UnaryKind::Abs, UnaryKind::Relu]);
                self.add(Unary { kind }, &[x])
            }
            _ => Some(x),
        }
    }

    /// Makes outputs of what nobody uses, and of what is to be one.
    pub fn finish(&mut self) {
        let users = self.g.graph.users();
        let nodes = self.g.graph.nodes.iter().flat_map(|n| n.outputs.clone());
        let mut outputs: Vec<ValueId> = nodes.filter(|v| users[v.index()].is_empty()).collect();
        outputs.append(&mut self.outputs);
        for (i, v) in outputs.into_iter().enumerate() {
            self.g.graph.add_output(format!("y{i}"), v);
        }
    }
}
