//! The kinds of nodes, each with attributes and operands that it probably takes.

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::expand::Expand;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::def::where_::Where;
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Dim, Tensor, ValueId};

use super::growing::Growing;

fn signed(v: &[usize]) -> Vec<i64> {
    v.iter().map(|&v| v as i64).collect()
}

impl Growing {
    /// Tries to add a node of any kind.
    pub fn grow(&mut self) {
        let (v, x) = self.any();
        match self.numbers.below(16) {
            0 => self.again(),
            1..=4 => self.elementwise(v, &x),
            5..=7 => self.moved(v, &x),
            8..=10 => self.reshaped(v, &x),
            _ => self.spatial(v, &x),
        };
    }

    fn elementwise(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let x0 = Some(v);
        match self.numbers.below(9) {
            0 | 1 => {
                let kind = self.numbers.pick(UnaryKind::ALL);
                self.add(Unary { kind }, &[x0], 1)
            }
            2..=4 => {
                let kind = self.numbers.pick(BinaryKind::ALL);
                let y = Some(self.operand(x));
                let inputs = if self.numbers.one_in(2) { [x0, y] } else { [y, x0] };
                self.add(Binary { kind }, &inputs, 1)
            }
            5 => {
                let kind = self.numbers.pick(CompareKind::ALL);
                let y = Some(self.operand(x));
                self.add(Compare { kind }, &[x0, y], 1)
            }
            6 => {
                let to = self.numbers.pick(&DType::ALL);
                self.add(Cast { to }, &[x0], 1)
            }
            7 => {
                let a = self.numbers.tensor(x.dtype(), &[]);
                let b = self.numbers.tensor(x.dtype(), &[]);
                let low = (!self.numbers.one_in(3)).then(|| self.constant(a));
                let high = (!self.numbers.one_in(3)).then(|| self.constant(b));
                self.add(Clip {}, &[x0, low, high], 1)
            }
            _ => match self.numbers.below(4) {
                0 => {
                    let slope = Some(self.operand(x));
                    self.add(PRelu {}, &[x0, slope], 1)
                }
                1 => self.add(HardSigmoid { alpha: 0.25, beta: 0.5 }, &[x0], 1),
                2 => self.add(Identity {}, &[x0], 1),
                _ => {
                    let bools: Vec<ValueId> =
                        self.values.iter().filter(|v| v.1.dtype() == DType::Bool).map(|v| v.0).collect();
                    if bools.is_empty() {
                        return None;
                    }
                    let c = Some(self.numbers.pick(&bools));
                    let y = Some(self.operand(x));
                    self.add(Where {}, &[c, x0, y], 1)
                }
            },
        }
    }

    fn axis(&mut self, rank: usize) -> i64 {
        let axis = self.numbers.below(rank.max(1)) as i64;
        if self.numbers.one_in(3) { axis - rank.max(1) as i64 } else { axis }
    }

    fn moved(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let (x0, rank) = (Some(v), x.shape().rank());
        match self.numbers.below(9) {
            0 => {
                let mut perm: Vec<usize> = (0..rank).collect();
                for i in 0..rank {
                    let j = self.numbers.below(rank);
                    perm.swap(i, j);
                }
                self.add(Transpose { perm }, &[x0], 1)
            }
            1 => {
                let axis = self.axis(rank);
                let mut all = vec![x0];
                for _ in 0..self.numbers.below(3) {
                    let same: Vec<ValueId> = self
                        .values
                        .iter()
                        .filter(|v| v.1.dtype() == x.dtype() && v.1.shape().rank() == rank)
                        .map(|v| v.0)
                        .collect();
                    all.push(Some(self.numbers.pick(&same)));
                }
                self.add(Concat { axis }, &all, 1)
            }
            2 => {
                let axis = self.axis(rank);
                let n = 1 + self.numbers.below(3);
                let used = if self.numbers.one_in(4) { 1 } else { n };
                self.add(Split { axis, num_outputs: n }, &[x0, None], used)
            }
            3 => {
                let axis = self.axis(rank);
                let (start, end) = (self.numbers.below(9) as i64 - 4, self.numbers.below(19) as i64 - 9);
                let step = self.numbers.pick(&[1i64, 1, 1, 2, 3, -1, -2]);
                let inputs =
                    [x0, self.list(&[start]), self.list(&[end]), self.list(&[axis]), self.list(&[step])];
                self.add(Slice {}, &inputs, 1)
            }
            _ => self.extended(v, x),
        }
    }

    fn extended(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let (x0, rank) = (Some(v), x.shape().rank());
        match self.numbers.below(5) {
            0 => {
                let pads: Vec<i64> = (0..2 * rank).map(|_| self.numbers.pick(&[0, 0, 0, 1, 2, -1])).collect();
                let mode = self.numbers.pick(PadMode::ALL);
                let pads = self.list(&pads);
                self.add(Pad { mode }, &[x0, pads], 1)
            }
            1 => {
                let axis = self.axis(rank);
                let extent =
                    x.shape().get(axis.rem_euclid(rank.max(1) as i64) as usize).copied().unwrap_or(1);
                let n = self.numbers.below(4);
                let places: Vec<i64> = (0..n).map(|_| self.numbers.below(extent.max(1)) as i64).collect();
                let places = if self.numbers.one_in(3) {
                    let t = Tensor::new([n], &places).unwrap();
                    let p = self.graph.add_input(
                        format!("x{}", self.inputs.len()),
                        DType::I64,
                        vec![Dim::Fixed(n)],
                    );
                    self.inputs.push(t.clone());
                    self.values.push((p, t, true));
                    Some(p)
                } else {
                    self.list(&places)
                };
                self.add(Gather { axis }, &[x0, places], 1)
            }
            2 => {
                let repeats: Vec<i64> = (0..rank).map(|_| self.numbers.pick(&[1, 1, 2])).collect();
                let repeats = self.list(&repeats);
                self.add(Tile {}, &[x0, repeats], 1)
            }
            3 => {
                let mut to = signed(x.shape());
                to.iter_mut().for_each(|d| {
                    if *d == 1 {
                        *d = self.numbers.pick(&[1, 3, 5]);
                    }
                });
                if self.numbers.one_in(2) {
                    to.insert(0, 2);
                }
                let to = self.list(&to);
                self.add(Expand {}, &[x0, to], 1)
            }
            _ => {
                let mode = self.numbers.pick(&[DepthOrder::Dcr, DepthOrder::Crd]);
                let blocksize = self.numbers.pick(&[1, 2, 3]);
                if self.numbers.one_in(2) {
                    self.add(DepthToSpace { blocksize, mode }, &[x0], 1)
                } else {
                    self.add(SpaceToDepth { blocksize }, &[x0], 1)
                }
            }
        }
    }

    fn reshaped(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let (x0, rank) = (Some(v), x.shape().rank());
        match self.numbers.below(7) {
            0 => {
                let mut to = signed(x.shape());
                if rank > 1 && self.numbers.one_in(2) {
                    let last = to.pop()?;
                    *to.last_mut()? *= last;
                } else {
                    to.insert(self.numbers.below(rank + 1), 1);
                }
                let to = self.list(&to);
                self.add(Reshape { allow_zero: true }, &[x0, to], 1)
            }
            1 => {
                let axis = self.axis(rank);
                self.add(Flatten { axis }, &[x0], 1)
            }
            2 => self.add(Squeeze {}, &[x0], 1),
            3 => {
                let axis = self.numbers.below(rank + 1) as i64;
                let axes = self.list(&[axis]);
                self.add(Unsqueeze {}, &[x0, axes], 1)
            }
            4 => {
                let kind = self.numbers.pick(ReduceKind::ALL);
                let keep_dims = self.numbers.one_in(2);
                let n = self.numbers.below(rank.min(3) + 1);
                let axes: Vec<i64> = (0..n).map(|_| self.axis(rank)).collect();
                let axes = if n == 0 { None } else { self.list(&axes) };
                let noop_with_empty_axes = self.numbers.one_in(2);
                self.add(Reduce { kind, keep_dims, noop_with_empty_axes }, &[x0, axes], 1)
            }
            5 => {
                let axis = self.axis(rank);
                let span = self.numbers.pick(&[SoftmaxSpan::Axis, SoftmaxSpan::Trailing]);
                let log = self.numbers.one_in(3);
                self.add(Softmax { axis, span, log }, &[x0], 1)
            }
            _ => {
                let end = if self.numbers.one_in(2) { None } else { Some(self.numbers.below(4) as i64) };
                let start = self.numbers.below(2) as i64;
                let shape = self.add(ShapeOf { start, end }, &[x0], 1)?;
                let same = self.value(shape[0]).1.to_i64s().unwrap_or_default();
                let shape = self.list(&same);
                self.add(ConstantOfShape {}, &[shape], 1)
            }
        }
    }

    /// A tensor of batch, channels and space.
    fn spatial(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let (x0, rank) = (Some(v), x.shape().rank());
        if x.dtype() != DType::F32 {
            return None;
        }
        if rank < 3 {
            return self.product(v, x);
        }
        let (n, c) = (rank - 2, x.shape()[1]);
        let auto_pad = self.numbers.pick(&[
            AutoPad::NotSet,
            AutoPad::NotSet,
            AutoPad::SameUpper,
            AutoPad::SameLower,
            AutoPad::Valid,
        ]);
        let kernel = self.numbers.list(n, &[1, 1, 2, 3]);
        let strides = self.numbers.list(n, &[1, 1, 2]);
        let dilations = self.numbers.list(n, &[1, 1, 2]);
        let pads = if auto_pad == AutoPad::NotSet { self.numbers.list(2 * n, &[0, 0, 1]) } else { vec![] };
        let window = Window { kernel, strides, dilations, pads, auto_pad };
        match self.numbers.below(8) {
            0..=2 => {
                let group = if c > 0 && self.numbers.one_in(3) { c } else { 1 };
                let oc = group * self.numbers.pick(&[1, 2, 4, 5]);
                let wei = Some(self.f32s(&[&[oc, c / group], &window.kernel[..]].concat()));
                let bias = (!self.numbers.one_in(3)).then(|| self.f32s(&[oc]));
                let op = Conv { window: Window { kernel: vec![], ..window }, group };
                let y = self.add(op, &[x0, wei, bias], 1)?;
                self.normalized(y[0])
            }
            3 => {
                let group = if c > 0 && self.numbers.one_in(3) { c } else { 1 };
                let oc = self.numbers.pick(&[1, 2, 4, 5]);
                let wei = Some(self.f32s(&[&[c, oc], &window.kernel[..]].concat()));
                let bias = (!self.numbers.one_in(3)).then(|| self.f32s(&[oc * group]));
                let (output_padding, output_shape) = (vec![], vec![]);
                let op = ConvTranspose {
                    window: Window { kernel: vec![], ..window },
                    group,
                    output_padding,
                    output_shape,
                };
                let y = self.add(op, &[x0, wei, bias], 1)?;
                self.normalized(y[0])
            }
            4 => {
                let ceil_mode = self.numbers.one_in(2);
                let op = MaxPool { window, ceil_mode };
                self.add(op, &[x0], 1)
            }
            5 => {
                let (ceil_mode, count_include_pad) = (self.numbers.one_in(2), self.numbers.one_in(2));
                let op = AveragePool { window, ceil_mode, count_include_pad };
                self.add(op, &[x0], 1)
            }
            6 => {
                let kind = self.numbers.pick(GlobalPoolKind::ALL);
                self.add(GlobalPool { kind }, &[x0], 1)
            }
            _ => self.resized(v, x),
        }
    }

    /// Sometimes with a normalisation behind it, and sometimes with another user.
    pub fn normalized(&mut self, v: ValueId) -> Option<Vec<ValueId>> {
        if self.numbers.one_in(4) {
            return Some(vec![v]);
        }
        let channels = self.value(v).1.shape().get(1).copied()?;
        let scale = Some(self.f32s(&[channels]));
        let shift = Some(self.f32s(&[channels]));
        let mean = Some(self.f32s(&[channels]));
        let var = self.numbers.tensor(DType::U8, &[channels]).to_f64s();
        let var: Vec<f32> = var.iter().map(|v| (v % 7.0) as f32 + 0.5).collect();
        let var = Some(self.constant(Tensor::new([channels], &var).unwrap()));
        self.add(BatchNormalization { epsilon: 1e-3 }, &[Some(v), scale, shift, mean, var], 1)
    }

    fn product(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let k = x.shape().last().copied()?;
        let n = self.numbers.pick(&[1, 3, 4, 8, 9]);
        if x.shape().rank() == 2 && self.numbers.one_in(2) {
            let (trans_a, trans_b) = (self.numbers.one_in(3), self.numbers.one_in(2));
            let k = if trans_a { x.shape()[0] } else { k };
            let b = Some(self.f32s(&if trans_b { [n, k] } else { [k, n] }));
            let shape = self.numbers.pick(&[&[][..], &[1], &[1, 1]]);
            let c = match self.numbers.below(3) {
                0 => None,
                1 => Some(self.f32s(&[n])),
                _ => Some(self.f32s(shape)),
            };
            let (alpha, beta) = (self.numbers.pick(&[1.0, 0.5]), self.numbers.pick(&[1.0, 2.0, 0.0]));
            let y = self.add(Gemm { alpha, beta, trans_a, trans_b }, &[Some(v), b, c], 1)?;
            return self.normalized(y[0]);
        }
        let y = Some(self.f32s(&[k, n]));
        self.add(MatMul {}, &[Some(v), y], 1)
    }

    fn resized(&mut self, v: ValueId, x: &Tensor) -> Option<Vec<ValueId>> {
        let rank = x.shape().rank();
        let op = Resize {
            mode: self.numbers.pick(ResizeMode::ALL),
            coordinates: self.numbers.pick(CoordinateTransform::ALL),
            nearest_mode: self.numbers.pick(NearestMode::ALL),
            cubic_coeff_a: -0.75,
            exclude_outside: self.numbers.one_in(3),
            extrapolation_value: 0.0,
            antialias: self.numbers.one_in(4),
            aspect: AspectPolicy::Stretch,
            axes: vec![],
        };
        let last: Vec<f32> = (2..rank).map(|_| self.numbers.pick(&[1.0, 2.0, 2.0, 0.5, 1.5])).collect();
        let scales = [&[1.0, 1.0], &last[..]].concat();
        let scales = Some(self.constant(Tensor::new([rank], &scales).unwrap()));
        self.add(op, &[Some(v), None, scales], 1)
    }

    /// A node that is there already, once more.
    fn again(&mut self) -> Option<Vec<ValueId>> {
        let n = self.graph.nodes.len();
        let node = self.graph.nodes.get(self.numbers.below(n.max(1)))?.clone();
        self.add(node.op, &node.inputs, node.outputs.len())
    }
}
