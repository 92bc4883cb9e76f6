//! Graphs of one node each: every operator, with attributes of each kind.

use octrt_ops::def::affine_grid::AffineGrid;
use octrt_ops::def::arg_extreme::{ArgExtreme, Extreme, Tie};
use octrt_ops::def::attention::{Attention, AttentionStep};
use octrt_ops::def::average_pool::AveragePool;
use octrt_ops::def::batch_normalization::BatchNormalization;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::bit_shift::{BitShift, ShiftDirection};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::celu::Celu;
use octrt_ops::def::center_crop_pad::CenterCropPad;
use octrt_ops::def::clip::Clip;
use octrt_ops::def::col2im::Col2Im;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::compress::Compress;
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::conv::Conv;
use octrt_ops::def::conv_integer::ConvInteger;
use octrt_ops::def::conv_transpose::ConvTranspose;
use octrt_ops::def::cumulative::{Cumulative, CumulativeKind};
use octrt_ops::def::deform_conv::DeformConv;
use octrt_ops::def::depth_to_space::{DepthOrder, DepthToSpace};
use octrt_ops::def::dequantize_linear::DequantizeLinear;
use octrt_ops::def::dynamic_quantize_linear::DynamicQuantizeLinear;
use octrt_ops::def::einsum::Einsum;
use octrt_ops::def::elu::Elu;
use octrt_ops::def::expand::Expand;
use octrt_ops::def::eye_like::EyeLike;
use octrt_ops::def::flatten::Flatten;
use octrt_ops::def::gather::Gather;
use octrt_ops::def::gather_elements::GatherElements;
use octrt_ops::def::gather_nd::GatherNd;
use octrt_ops::def::gelu::{Gelu, GeluForm};
use octrt_ops::def::gemm::Gemm;
use octrt_ops::def::global_lp_pool::GlobalLpPool;
use octrt_ops::def::global_pool::{GlobalPool, GlobalPoolKind};
use octrt_ops::def::grid_sample::{GridSample, SampleMode, SamplePadding};
use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::gru::Gru;
use octrt_ops::def::hard_sigmoid::HardSigmoid;
use octrt_ops::def::hardmax::Hardmax;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::instance_normalization::InstanceNormalization;
use octrt_ops::def::is_inf::{IsInf, IsNan};
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::leaky_relu::LeakyRelu;
use octrt_ops::def::lp_normalization::{LpNormalization, Norm};
use octrt_ops::def::lp_pool::LpPool;
use octrt_ops::def::lrn::Lrn;
use octrt_ops::def::lstm::Lstm;
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::matmul_integer::MatMulInteger;
use octrt_ops::def::max_pool::MaxPool;
use octrt_ops::def::max_pool_indices::MaxPoolIndices;
use octrt_ops::def::max_roi_pool::MaxRoiPool;
use octrt_ops::def::max_unpool::MaxUnpool;
use octrt_ops::def::mean_variance_normalization::MeanVarianceNormalization;
use octrt_ops::def::modulo::Mod;
use octrt_ops::def::one_hot::OneHot;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::prelu::PRelu;
use octrt_ops::def::qlinear_conv::QLinearConv;
use octrt_ops::def::qlinear_matmul::QLinearMatMul;
use octrt_ops::def::quantize_linear::QuantizeLinear;
use octrt_ops::def::range::Range;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::def::reverse_sequence::ReverseSequence;
use octrt_ops::def::rms_normalization::RmsNormalization;
use octrt_ops::def::rnn::Rnn;
use octrt_ops::def::roi_align::{RoiAlign, RoiMode};
use octrt_ops::def::rotary_embedding::RotaryEmbedding;
use octrt_ops::def::round_float::FloatFormat;
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::scatter_elements::ScatterElements;
use octrt_ops::def::scatter_nd::ScatterNd;
use octrt_ops::def::selu::Selu;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::def::shrink::Shrink;
use octrt_ops::def::size::Size;
use octrt_ops::def::slice::Slice;
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::def::space_to_depth::SpaceToDepth;
use octrt_ops::def::split::Split;
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::swish::Swish;
use octrt_ops::def::tensor_scatter::{CacheMode, TensorScatter};
use octrt_ops::def::thresholded_relu::ThresholdedRelu;
use octrt_ops::def::tile::Tile;
use octrt_ops::def::top_k::TopK;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::def::trilu::Trilu;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::def::where_::Where;
use octrt_ops::recurrent::{ActivationKind, Direction};
use octrt_ops::window::{AutoPad, Window};
use octrt_ops::{DType, Dim, Graph, Op, Tensor, ValueId};

/// A graph of the one node `op` with as many inputs as the string has letters: `x` the input, `f` a float, `i` integers,
/// `b` bools, `_` omitted.
pub fn single(op: impl Into<Op>, inputs: &str, outputs: usize) -> Graph {
    let mut g = Graph::new("g");
    let x =
        g.add_input("x", DType::F32, vec![Dim::Dynamic("N".into()), Dim::Fixed(4), Dim::Dynamic("".into())]);
    let inputs: Vec<Option<ValueId>> = inputs
        .chars()
        .map(|c| match c {
            'x' => Some(x),
            'f' => Some(g.add_const("", Tensor::scalar(0.5f32))),
            'i' => Some(g.add_const("i", Tensor::new([1], &[2i64]).expect("a tensor"))),
            'b' => Some(g.add_const("b", Tensor::scalar(true))),
            _ => None,
        })
        .collect();
    let names = ["y", "z", "x", "w"];
    for (v, name) in g.add_node("n", op, inputs, &names[..outputs]).into_iter().zip(["y", "z", "u", "w"]) {
        g.add_output(name, v);
    }
    g
}

fn resize() -> Resize {
    Resize {
        mode: ResizeMode::Linear,
        coordinates: CoordinateTransform::HalfPixel,
        nearest_mode: NearestMode::Ceil,
        cubic_coeff_a: -0.5,
        exclude_outside: true,
        extrapolation_value: 2.0,
        antialias: false,
        aspect: AspectPolicy::Stretch,
        axes: vec![],
    }
}

fn average_pool(dilations: Vec<usize>) -> AveragePool {
    AveragePool {
        window: Window { kernel: vec![2, 2], dilations, pads: vec![0, 0, 1, 1], ..Window::default() },
        ceil_mode: true,
        count_include_pad: true,
    }
}

/// A graph for every operator, with attributes other than the defaults.
pub fn windows() -> Vec<Graph> {
    let list = || vec![2, 1];
    let conv = Conv {
        window: Window {
            strides: list(),
            dilations: list(),
            auto_pad: AutoPad::SameLower,
            ..Window::default()
        },
        group: 3,
    };
    let transposed = ConvTranspose {
        window: Window {
            kernel: list(),
            strides: list(),
            dilations: list(),
            pads: vec![0, 0, 1, 1],
            ..Window::default()
        },
        group: 2,
        output_padding: list(),
        output_shape: list(),
    };
    let max_pool = MaxPool {
        window: Window {
            kernel: list(),
            strides: list(),
            dilations: list(),
            auto_pad: AutoPad::Valid,
            ..Window::default()
        },
        ceil_mode: true,
    };
    vec![
        single(conv.clone(), "xff", 1),
        single(conv, "xf", 1),
        single(transposed, "xf", 1),
        single(max_pool, "x", 1),
        single(average_pool(vec![]), "x", 1),
        single(average_pool(list()), "x", 1),
        single(GlobalPool { kind: GlobalPoolKind::Max }, "x", 1),
        single(resize(), "x_f", 1),
        single(resize(), "x__i", 1),
        single(Resize { coordinates: CoordinateTransform::TfCropAndResize, ..resize() }, "xff", 1),
        single(Resize { coordinates: CoordinateTransform::HalfPixelSymmetric, ..resize() }, "x__i", 1),
        single(
            Resize { antialias: true, aspect: AspectPolicy::NotSmaller, axes: vec![-1], ..resize() },
            "x__i",
            1,
        ),
    ]
}

pub fn elementwise() -> Vec<Graph> {
    let mut graphs: Vec<Graph> = Vec::new();
    graphs.extend(UnaryKind::ALL.iter().map(|kind| single(Unary { kind: *kind }, "x", 1)));
    graphs.extend(BinaryKind::ALL.iter().map(|kind| single(Binary { kind: *kind }, "xf", 1)));
    graphs.extend(CompareKind::ALL.iter().map(|kind| single(Compare { kind: *kind }, "xf", 1)));
    graphs.extend(DType::ALL.iter().map(|to| single(Cast { to: *to }, "x", 1)));
    graphs.extend([
        single(BatchNormalization { epsilon: 1e-4 }, "xffff", 1),
        single(CastLike {}, "xi", 1),
        single(Clip {}, "x_f", 1),
        single(Clip {}, "xf", 1),
        single(Elu { alpha: 0.5 }, "x", 1),
        single(HardSigmoid { alpha: 0.5, beta: 0.25 }, "x", 1),
        single(LeakyRelu { alpha: 0.5 }, "x", 1),
        single(PRelu {}, "xf", 1),
        single(Where {}, "bxf", 1),
        single(MatMul {}, "xf", 1),
        single(Gemm { alpha: 2.0, beta: 0.0, trans_a: true, trans_b: false }, "xf", 1),
        single(Softmax { axis: 1, span: SoftmaxSpan::Axis, log: true }, "x", 1),
        single(BitShift { direction: ShiftDirection::Right }, "xf", 1),
        single(Celu { alpha: 0.5 }, "x", 1),
        single(Gelu { approximate: GeluForm::Erf }, "x", 1),
        single(Gelu { approximate: GeluForm::Tanh }, "x", 1),
        single(IsInf { detect_negative: true, detect_positive: false }, "x", 1),
        single(IsNan {}, "x", 1),
        single(Mod { fmod: true }, "xf", 1),
        single(Selu { alpha: 0.5, gamma: 2.0 }, "x", 1),
        single(Shrink { bias: 0.25, lambd: 2.0 }, "x", 1),
        single(Swish { alpha: 0.5 }, "x", 1),
        single(ThresholdedRelu { alpha: 0.5 }, "x", 1),
    ]);
    graphs
}

pub fn normalisations() -> Vec<Graph> {
    let (epsilon, axis) = (1e-4, 1);
    let mut graphs = vec![
        single(InstanceNormalization { epsilon }, "xff", 1),
        single(Lrn { alpha: 0.5, beta: 0.25, bias: 2.0, size: 3 }, "x", 1),
        single(MeanVarianceNormalization { axes: vec![0, -1] }, "x", 1),
        single(MeanVarianceNormalization { axes: vec![] }, "x", 1),
        single(Hardmax { axis, span: SoftmaxSpan::Axis }, "x", 1),
    ];
    for stash in [DType::F32, DType::F64] {
        let per = ScalePer::Channel;
        graphs.extend([
            single(LayerNormalization { axis, epsilon, stash }, "xf", 1),
            single(LayerNormalization { axis, epsilon, stash }, "xff", 3),
            single(GroupNormalization { groups: 2, epsilon, per, stash }, "xff", 1),
            single(RmsNormalization { axis, epsilon, stash }, "xf", 1),
        ]);
    }
    let per = ScalePer::Group;
    graphs.push(single(GroupNormalization { groups: 2, epsilon, per, stash: DType::F32 }, "xff", 1));
    graphs.extend([Norm::L1, Norm::L2].map(|norm| single(LpNormalization { axis, norm }, "x", 1)));
    graphs
}

pub fn searches() -> Vec<Graph> {
    let mut graphs = Vec::new();
    for flag in [false, true] {
        for &kind in Extreme::ALL {
            let tie = if flag { Tie::Last } else { Tie::First };
            graphs.push(single(ArgExtreme { kind, axis: -1, keep_dims: !flag, tie }, "x", 1));
        }
        for &kind in CumulativeKind::ALL {
            graphs.push(single(Cumulative { kind, exclusive: flag, reverse: !flag }, "xi", 1));
        }
        graphs.push(single(TopK { axis: 1, largest: flag, sorted: !flag }, "xi", 2));
    }
    graphs
}

pub fn shapes() -> Vec<Graph> {
    let mut graphs = vec![
        single(Concat { axis: -1 }, "xfx", 1),
        single(ConstantOfShape {}, "xi", 1),
        single(DepthToSpace { blocksize: 2, mode: DepthOrder::Crd }, "x", 1),
        single(Expand {}, "xi", 1),
        single(Flatten { axis: 0 }, "x", 1),
        single(Gather { axis: -1 }, "xi", 1),
        single(Identity {}, "x", 1),
        single(Pad { mode: PadMode::Reflect }, "xi", 1),
        single(Pad { mode: PadMode::Constant }, "xif", 1),
        single(Pad { mode: PadMode::Edge }, "xi_i", 1),
        single(Pad { mode: PadMode::Wrap }, "xi", 1),
        single(Range {}, "iii", 1),
        single(Reshape { allow_zero: true }, "xi", 1),
        single(ShapeOf { start: 1, end: None }, "x", 1),
        single(ShapeOf { start: 0, end: Some(-1) }, "x", 1),
        single(Slice {}, "xii_i", 1),
        single(SpaceToDepth { blocksize: 2 }, "x", 1),
        single(Split { axis: 1, num_outputs: 2 }, "x", 2),
        single(Split { axis: 1, num_outputs: 2 }, "xi", 2),
        single(Squeeze {}, "x", 1),
        single(Squeeze {}, "xi", 1),
        single(Tile {}, "xi", 1),
        single(Transpose { perm: vec![] }, "x", 1),
        single(Transpose { perm: vec![0, 2, 1] }, "x", 1),
        single(Unsqueeze {}, "xi", 1),
    ];
    graphs.extend(indexed());
    for &kind in ReduceKind::ALL {
        for (inputs, noop_with_empty_axes) in [("x", false), ("xi", false), ("xi", true)] {
            graphs.push(single(Reduce { kind, keep_dims: false, noop_with_empty_axes }, inputs, 1));
        }
    }
    graphs
}

/// What reads or writes by index, or knows places.
pub fn indexed() -> Vec<Graph> {
    let list = || vec![2, 1];
    let mut graphs = vec![
        single(CenterCropPad { axes: None }, "xi", 1),
        single(CenterCropPad { axes: Some(vec![-1]) }, "xi", 1),
        single(Col2Im { dilations: list(), pads: vec![], strides: list() }, "xii", 1),
        single(Compress { axis: None }, "xb", 1),
        single(Compress { axis: Some(-1) }, "xb", 1),
        single(EyeLike { dtype: Some(DType::F64), k: -1 }, "x", 1),
        single(EyeLike { dtype: None, k: 1 }, "x", 1),
        single(GatherElements { axis: -1 }, "xi", 1),
        single(GatherNd { batch_dims: 1 }, "xi", 1),
        single(MaxUnpool { kernel: list(), pads: vec![1, 0, 0, 1], strides: list() }, "xii", 1),
        single(OneHot { axis: 1 }, "xif", 1),
        single(ReverseSequence { batch_axis: 0, time_axis: 1 }, "xi", 1),
        single(Size {}, "x", 1),
        single(TensorScatter { axis: -1, mode: CacheMode::Circular }, "xfi", 1),
        single(TensorScatter { axis: -1, mode: CacheMode::Linear }, "xf", 1),
        single(Trilu { upper: false }, "xi", 1),
    ];
    for &reduction in ScatterReduction::ALL {
        graphs.push(single(ScatterElements { axis: -1, reduction }, "xif", 1));
        graphs.push(single(ScatterNd { reduction }, "xif", 1));
    }
    graphs
}

pub fn recurrent() -> Vec<Graph> {
    let (alpha, beta) = (vec![0.5, 0.0, 0.25], vec![0.0, 0.0, 0.75]);
    let mixed = vec![ActivationKind::LeakyRelu, ActivationKind::Softplus, ActivationKind::HardSigmoid];
    let rnn = Rnn {
        direction: Direction::Reverse,
        batch_first: true,
        activations: vec![ActivationKind::Relu],
        alpha: vec![],
        beta: vec![],
        clip: Some(0.5),
    };
    let gru = Gru {
        direction: Direction::Bidirectional,
        batch_first: false,
        activations: vec![ActivationKind::Sigmoid; 4],
        alpha: vec![],
        beta: vec![],
        clip: None,
        linear_before_reset: true,
    };
    let lstm = Lstm {
        direction: Direction::Forward,
        batch_first: false,
        activations: mixed,
        alpha,
        beta,
        clip: None,
        input_forget: true,
    };
    vec![
        single(rnn.clone(), "xff", 1),
        single(rnn, "xfff_f", 2),
        single(gru, "xff", 2),
        single(lstm.clone(), "xff___ff", 3),
        single(lstm, "xffff", 2),
    ]
}

pub fn norms_and_places() -> Vec<Graph> {
    let list = || vec![2, 1];
    let lp_pool = LpPool {
        window: Window { kernel: list(), strides: list(), pads: vec![0, 0, 1, 1], ..Window::default() },
        ceil_mode: false,
        p: 3.0,
    };
    let places = MaxPoolIndices {
        window: Window {
            kernel: list(),
            strides: list(),
            dilations: list(),
            pads: vec![0, 0, 1, 1],
            ..Window::default()
        },
        ceil_mode: true,
        column_major: true,
    };
    vec![
        single(GlobalLpPool { p: 1.0 }, "x", 1),
        single(LpPool { ceil_mode: true, ..lp_pool.clone() }, "x", 1),
        single(lp_pool, "x", 1),
        single(places, "x", 1),
    ]
}

pub fn vision() -> Vec<Graph> {
    let list = || vec![2, 1];
    let deform_conv = DeformConv {
        kernel: vec![],
        strides: list(),
        dilations: list(),
        pads: vec![0, 0, 1, 1],
        group: 2,
        offset_group: 3,
    };
    let roi_align = RoiAlign {
        mode: RoiMode::Max,
        half_pixel: false,
        output: vec![2, 3],
        sampling_ratio: 2,
        spatial_scale: 0.5,
    };
    let attention = Attention {
        is_causal: true,
        q_num_heads: Some(4),
        kv_num_heads: Some(2),
        scale: Some(0.5),
        softcap: 2.0,
        step: AttentionStep::Biased,
    };
    let mut graphs = vec![
        single(AffineGrid { align_corners: true }, "xi", 1),
        single(attention.clone(), "xxx", 1),
        single(Attention { scale: None, ..attention }, "xxx___i", 4),
        single(deform_conv, "xff_f", 1),
        single(Einsum { equation: "...ij,jk->...ik".into() }, "xf", 1),
        single(MaxRoiPool { output: vec![2, 3], spatial_scale: 0.5 }, "xf", 1),
        single(RoiAlign { mode: RoiMode::Average, half_pixel: true, ..roi_align.clone() }, "xfi", 1),
        single(roi_align, "xfi", 1),
        single(RotaryEmbedding { interleaved: true, num_heads: 2, rotary_dim: 4 }, "xffi", 1),
    ];
    for &mode in SampleMode::ALL {
        for &padding in SamplePadding::ALL {
            graphs.push(single(GridSample { mode, padding, align_corners: true }, "xf", 1));
        }
    }
    graphs
}

pub fn quantised() -> Vec<Graph> {
    let conv = QLinearConv {
        window: Window {
            kernel: vec![2, 1],
            strides: vec![2, 1],
            pads: vec![0, 0, 1, 1],
            ..Window::default()
        },
        group: 2,
    };
    let integers = ConvInteger { window: conv.window.clone(), group: conv.group };
    let plain = QuantizeLinear { axis: -1, block_size: 0, output_dtype: None, precision: None };
    let i16s = QuantizeLinear { output_dtype: Some(DType::I16), ..plain.clone() };
    let half = QuantizeLinear { precision: Some(FloatFormat::F16), ..plain.clone() };
    vec![
        single(integers.clone(), "xf", 1),
        single(integers, "xf_f", 1),
        single(DequantizeLinear { axis: 0, block_size: 0 }, "xf", 1),
        single(DequantizeLinear { axis: 1, block_size: 4 }, "xff", 1),
        single(DynamicQuantizeLinear {}, "x", 3),
        single(MatMulInteger {}, "xf_f", 1),
        single(conv.clone(), "xfffffff", 1),
        single(conv, "xffffffff", 1),
        single(QLinearMatMul {}, "xfffffff", 1),
        single(QuantizeLinear { block_size: 2, ..plain.clone() }, "xff", 1),
        single(plain, "xff", 1),
        single(i16s, "xf", 1),
        single(half, "xf", 1),
    ]
}
