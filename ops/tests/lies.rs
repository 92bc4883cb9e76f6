//! Attributes and shapes that lie must give errors or definitions, never a panic.

mod support;

use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{Arg, Args, DType, Op, Shape, Tensor, TensorType};
use support::{Numbers, well_formed};

/// Shapes and attributes that lie: some plausible, some 0, some enormous.
struct Liar(Numbers);

impl Liar {
    fn number(&mut self) -> usize {
        let all = [0, 1, 1, 1, 2, 2, 2, 3, 3, 4, 1 << 31, 1 << 40, usize::MAX];
        all[self.0.below(all.len())]
    }

    fn list(&mut self, len: usize) -> Vec<usize> {
        let len = [0, len, len, len, len + 1][self.0.below(5)];
        (0..len).map(|_| self.number()).collect()
    }

    fn flag(&mut self) -> bool {
        self.0.below(2) == 0
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.below(all.len())]
    }

    fn op(&mut self) -> Op {
        let n = self.pick(&[1, 2]);
        let [kernel, strides, dilations, output_padding, output_shape] = [(); 5].map(|()| self.list(n));
        let pads = self.list(2 * n);
        let auto_pad = self.pick(AutoPad::ALL);
        let (group, ceil_mode, count_include_pad) = (self.number(), self.flag(), self.flag());
        let axis = self.number() as i64;
        let window = Window { kernel, strides, dilations, pads, auto_pad };
        let of_weight = Window { kernel: vec![], ..window.clone() };
        match self.0.below(11) {
            0 | 1 => Conv { window: of_weight, group }.into(),
            2 => MaxPool { window, ceil_mode }.into(),
            3 => AveragePool { window, ceil_mode, count_include_pad }.into(),
            4 => GlobalPool { kind: self.pick(GlobalPoolKind::ALL) }.into(),
            5 => BatchNormalization { epsilon: 0.0 }.into(),
            6 => Gemm { alpha: 1.0, beta: 1.0, trans_a: self.flag(), trans_b: self.flag() }.into(),
            7 => MatMul {}.into(),
            8 => {
                let kind = self.pick(ReduceKind::ALL);
                Reduce { kind, keep_dims: self.flag(), noop_with_empty_axes: self.flag() }.into()
            }
            9 => Softmax { axis: -axis, span: self.pick(SoftmaxSpan::ALL), log: self.flag() }.into(),
            _ => ConvTranspose { window: of_weight, group, output_padding, output_shape }.into(),
        }
    }

    fn resize(&mut self) -> Op {
        Resize {
            mode: self.pick(ResizeMode::ALL),
            coordinates: self.pick(CoordinateTransform::ALL),
            nearest_mode: self.pick(NearestMode::ALL),
            cubic_coeff_a: self.pick(&[-0.5, f32::NAN, f32::MAX]),
            exclude_outside: self.flag(),
            extrapolation_value: self.pick(&[0.0, f32::NAN]),
            antialias: self.flag(),
            aspect: self.pick(AspectPolicy::ALL),
            axes: self.list(2).into_iter().map(|a| a as i64).collect(),
        }
        .into()
    }
}

fn zeros(shape: &Shape) -> Tensor {
    let ty = TensorType::new(DType::F32, shape.clone());
    let bytes = ty.bytes();
    Tensor::from_bytes(ty, vec![0; bytes]).unwrap()
}

/// Infers, defines and, where the result is small, evaluates.
fn survive(op: &Op, args: &[Option<Arg<'_>>]) {
    let operator = op.as_operator();
    operator.macs(Args(args));
    let Ok(types) = operator.infer(Args(args)) else { return };
    let addressable = args.iter().flatten().all(|a| a.shape.checked_bytes(a.dtype).is_ok())
        && types.iter().all(|t| t.shape.checked_bytes(t.dtype).is_ok());
    if let Ok(c) = operator.compute(Args(args))
        && addressable
    {
        well_formed(&c).unwrap_or_else(|e| panic!("{op:?} on {args:?}: {e}"));
    }
    let values: Option<Vec<Option<&Tensor>>> =
        args.iter().map(|a| a.map_or(Some(None), |a| a.value.map(Some))).collect();
    if let Some(values) = values
        && types.iter().all(|t| t.shape.numel() < 1 << 16)
    {
        let _ = operator.reference(&values);
    }
}

#[test]
fn lies_are_survived() {
    let mut liar = Liar(Numbers(15));
    for _ in 0..20_000 {
        let op = liar.op();
        let rank = liar.pick(&[1, 2, 3, 4]);
        let shapes = [(); 3].map(|()| Shape::new((0..rank).map(|_| liar.number()).collect::<Vec<_>>()));
        // Shapes without elements are real tensors, whatever their extents.
        let tensors = shapes.each_ref().map(|s| (s.numel() < 1 << 12).then(|| zeros(s)));
        let args: Vec<Option<Arg<'_>>> = (shapes.iter().zip(&tensors))
            .map(|(shape, value)| Some(Arg { dtype: DType::F32, shape, value: value.as_ref() }))
            .collect();
        let inputs = match op {
            Op::MaxPool(_) | Op::AveragePool(_) | Op::GlobalPool(_) | Op::Softmax(_) | Op::Reduce(_) => 1,
            _ => liar.pick(&[2, 3]),
        };
        survive(&op, &args[..inputs]);
    }
}

#[test]
fn lies_about_resizing_are_survived() {
    let mut liar = Liar(Numbers(16));
    for _ in 0..4_000 {
        let op = liar.resize();
        let rank = liar.pick(&[1, 2]);
        let src = Shape::new((0..rank).map(|_| liar.number()).collect::<Vec<_>>());
        let value = (src.numel() < 1 << 12).then(|| zeros(&src));
        let floats = [0.5, 1.0, 2.0, 1e-20, 1e30, -1.0, f32::NAN, f32::INFINITY];
        let roi = Tensor::new([2 * rank], &[(); 4].map(|()| liar.pick(&floats))[..2 * rank]).unwrap();
        let scales = Tensor::new([rank], &[(); 2].map(|()| liar.pick(&floats))[..rank]).unwrap();
        let sizes: Vec<i64> = (0..rank).map(|_| liar.number() as i64).collect();
        let sizes = Tensor::new([rank], &sizes).unwrap();
        let src = Arg { dtype: DType::F32, shape: &src, value: value.as_ref() };
        let by_scale = liar.flag();
        let (scales, sizes) = (by_scale.then_some((&scales).into()), (!by_scale).then_some((&sizes).into()));
        survive(&op, &[Some(src), Some((&roi).into()), scales, sizes]);
    }
}
