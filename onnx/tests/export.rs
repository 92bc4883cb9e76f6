//! Export and import are inverse to each other.

use std::collections::BTreeMap;

use octrt_onnx::{Bytes, ElemType, Imported, NoExternalData, OnnxError, export, import};
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
use octrt_ops::def::if_::If;
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
use octrt_ops::def::round_float::{FloatFormat, RoundFloat};
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
use octrt_ops::graph::{ValueDef, interp};
use octrt_ops::recurrent::{ActivationKind, Direction};
use octrt_ops::window::AutoPad;
use octrt_ops::{DType, Dim, Graph, NodeId, Op, Tensor, ValueId};

mod shared;

/// A value without its name.
#[derive(Debug, PartialEq)]
enum Source {
    Input(usize),
    Const(Tensor),
    Node(NodeId, usize),
}

fn source(g: &Graph, v: ValueId) -> Source {
    match &g.value(v).def {
        ValueDef::Input(i) => Source::Input(*i),
        ValueDef::Const(t) => Source::Const(t.clone()),
        ValueDef::Node(n, i) => Source::Node(*n, *i),
    }
}

/// Everything of a graph but the names of values and nodes and the order of constants.
#[derive(Debug, PartialEq)]
struct Essence {
    nodes: Vec<(Op, Vec<Option<Source>>, usize)>,
    inputs: Vec<(DType, Vec<Dim>)>,
    outputs: Vec<(String, Source)>,
}

fn essence(g: &Graph) -> Essence {
    let node = |n: &octrt_ops::Node| {
        (n.op.clone(), n.inputs.iter().map(|v| v.map(|v| source(g, v))).collect(), n.outputs.len())
    };
    Essence {
        nodes: g.nodes.iter().map(node).collect(),
        inputs: g.inputs.iter().map(|i| (i.dtype, i.dims.clone())).collect(),
        outputs: g.outputs.iter().map(|o| (o.name.clone(), source(g, o.value))).collect(),
    }
}

fn there_and_back(g: &Graph) -> Imported {
    let bytes = export(g, &BTreeMap::new()).expect("an export");
    import(Bytes::from(bytes), &NoExternalData).expect("an import")
}

/// A graph of the one node `op` with as many inputs as the string has letters: `x` the input, `f` a float, `i` integers,
/// `b` bools, `_` omitted.
fn single(op: impl Into<Op>, inputs: &str, outputs: usize) -> Graph {
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
        kernel: vec![2, 2],
        strides: vec![],
        dilations,
        pads: vec![0, 0, 1, 1],
        auto_pad: AutoPad::NotSet,
        ceil_mode: true,
        count_include_pad: true,
    }
}

/// A graph for every operator, with attributes other than the defaults.
fn windows() -> Vec<Graph> {
    let list = || vec![2, 1];
    let conv = Conv {
        kernel: vec![],
        strides: list(),
        dilations: list(),
        pads: vec![],
        auto_pad: AutoPad::SameLower,
        group: 3,
    };
    let transposed = ConvTranspose {
        kernel: list(),
        strides: list(),
        dilations: list(),
        pads: vec![0, 0, 1, 1],
        auto_pad: AutoPad::NotSet,
        group: 2,
        output_padding: list(),
        output_shape: list(),
    };
    let max_pool = MaxPool {
        kernel: list(),
        strides: list(),
        dilations: list(),
        pads: vec![],
        auto_pad: AutoPad::Valid,
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

fn elementwise() -> Vec<Graph> {
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

fn normalisations() -> Vec<Graph> {
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

fn searches() -> Vec<Graph> {
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

fn shapes() -> Vec<Graph> {
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
fn indexed() -> Vec<Graph> {
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

fn recurrent() -> Vec<Graph> {
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

fn norms_and_places() -> Vec<Graph> {
    let list = || vec![2, 1];
    let lp_pool = LpPool {
        kernel: list(),
        strides: list(),
        dilations: vec![],
        pads: vec![0, 0, 1, 1],
        auto_pad: AutoPad::NotSet,
        ceil_mode: false,
        p: 3.0,
    };
    let places = MaxPoolIndices {
        kernel: list(),
        strides: list(),
        dilations: list(),
        pads: vec![0, 0, 1, 1],
        auto_pad: AutoPad::NotSet,
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

fn vision() -> Vec<Graph> {
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

fn quantised() -> Vec<Graph> {
    let conv = QLinearConv {
        kernel: vec![2, 1],
        strides: vec![2, 1],
        dilations: vec![],
        pads: vec![0, 0, 1, 1],
        auto_pad: AutoPad::NotSet,
        group: 2,
    };
    let QLinearConv { kernel, strides, dilations, pads, auto_pad, group } = conv.clone();
    let integers = ConvInteger { kernel, strides, dilations, pads, auto_pad, group };
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

/// As ONNX has it, the value is of the narrower type in between.
#[test]
fn rounding_to_a_narrower_float_is_spelled_out() {
    for &to in FloatFormat::ALL {
        let back = there_and_back(&single(RoundFloat { to }, "x", 1)).graph;
        let ops: Vec<&Op> = back.nodes.iter().map(|n| &n.op).collect();
        let cast = Op::from(Cast { to: DType::F32 });
        assert_eq!(ops, [&cast, &RoundFloat { to }.into(), &cast]);
    }
}

#[test]
fn every_operator_survives() {
    let products = [windows(), elementwise(), normalisations(), recurrent(), vision(), quantised()];
    let moves = [searches(), shapes(), indexed(), norms_and_places()];
    let graphs: Vec<Graph> = products.into_iter().chain(moves).flatten().collect();
    for g in &graphs {
        let back = there_and_back(g);
        assert_eq!(essence(&back.graph), essence(g));
        assert_eq!(back.warnings, Vec::<String>::new());
    }
    let covered: std::collections::BTreeSet<&str> = graphs.iter().map(|g| g.nodes[0].op.tag()).collect();
    // The branches of an If become identities, roundings have casts around them: see their tests.
    let spelled_out = ["If", "RoundFloat"];
    assert_eq!(covered.len() + spelled_out.len(), Op::TAGS.len(), "{covered:?}");
}

#[test]
fn the_branches_of_an_if_are_identities() {
    let mut g = single(Unary { kind: UnaryKind::Neg }, "x", 1);
    let condition = g.add_input("c", DType::Bool, vec![]);
    let (x, negated) = (g.inputs[0].value, g.outputs[0].value);
    let w = g.add_const("w", Tensor::scalar(2f32));
    let a = g.add_node("a", If {}, vec![Some(condition), Some(x), Some(negated)], &["a"])[0];
    let b = g.add_node("b", If {}, vec![Some(condition), Some(w), Some(a)], &["b"])[0];
    g.outputs[0].value = b;
    let back = there_and_back(&g).graph;
    let tags: Vec<&str> = back.nodes.iter().map(|n| n.op.tag()).collect();
    assert_eq!(tags, ["Unary", "Identity", "Identity", "If", "Identity", "Identity", "If"]);
    let inputs = [Tensor::new([1, 4, 1], &[1f32, 2.0, 3.0, 4.0]).expect("a tensor"), Tensor::scalar(false)];
    assert_eq!(interp::run(&back, &inputs), interp::run(&g, &inputs));
    let inputs = [inputs[0].clone(), Tensor::scalar(true)];
    assert_eq!(interp::run(&back, &inputs), Ok(vec![Tensor::scalar(2f32)]));
}

#[test]
fn a_softmax_over_trailing_axes_is_spelled_out() {
    let back = there_and_back(&single(Softmax { axis: 1, span: SoftmaxSpan::Trailing, log: false }, "x", 1));
    let tags: Vec<&str> = back.graph.nodes.iter().map(|n| n.op.tag()).collect();
    assert_eq!(tags, ["Flatten", "Softmax", "Shape", "Reshape"]);
}

#[test]
fn a_hardmax_over_trailing_axes_is_spelled_out() {
    let back = there_and_back(&single(Hardmax { axis: 1, span: SoftmaxSpan::Trailing }, "x", 1));
    let tags: Vec<&str> = back.graph.nodes.iter().map(|n| n.op.tag()).collect();
    assert_eq!(tags, ["Flatten", "Hardmax", "Shape", "Reshape"]);
}

#[test]
fn scales_per_group_need_an_opset_that_has_them() {
    let op = GroupNormalization { groups: 2, epsilon: 0.0, per: ScalePer::Group, stash: DType::F32 };
    let mut g = single(op, "xff", 1);
    assert_eq!(there_and_back(&g).opset, 18);
    let product = Cumulative { kind: CumulativeKind::Prod, exclusive: false, reverse: false };
    let axis = g.add_const("axis", Tensor::scalar(0i64));
    let later = g.add_node("later", product, vec![Some(g.outputs[0].value), Some(axis)], &["later"])[0];
    g.add_output("later", later);
    let error = export(&g, &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("scales per group; from opset 21 on they are per channel"), "{error}");
}

#[test]
fn the_oldest_opset_that_suffices_is_used() {
    let opset = |g: &Graph| there_and_back(g).opset;
    assert_eq!(opset(&single(Identity {}, "x", 1)), 17);
    assert_eq!(opset(&single(Pad { mode: PadMode::Edge }, "xi_i", 1)), 18);
    assert_eq!(opset(&single(Pad { mode: PadMode::Wrap }, "xi", 1)), 19);
    assert_eq!(opset(&single(AffineGrid { align_corners: true }, "xi", 1)), 20);
    assert_eq!(
        opset(&single(RotaryEmbedding { interleaved: true, num_heads: 2, rotary_dim: 4 }, "xff", 1)),
        23
    );
    let quantised: Vec<i64> = quantised().iter().map(opset).collect();
    assert_eq!(quantised, [17, 17, 17, 21, 17, 17, 17, 17, 17, 21, 17, 21, 23]);
}

#[test]
fn names_are_made_different() {
    let mut g = Graph::new("");
    let x = g.add_input("x", DType::F32, vec![Dim::Fixed(2)]);
    let nameless = g.add_input("", DType::F32, vec![Dim::Fixed(2)]);
    let same = g.add_const("x", Tensor::scalar(1f32));
    let add = Op::from(Binary { kind: BinaryKind::Add });
    let a = g.add_node("", add.clone(), vec![Some(x), Some(same)], &["x"])[0];
    let b = g.add_node("", add, vec![Some(a), Some(nameless)], &["y"])[0];
    for (name, value) in [("y", a), ("v", b), ("again", b), ("one", same), ("x", x)] {
        g.add_output(name, value);
    }
    let back = there_and_back(&g);
    let outputs: Vec<&str> = back.graph.outputs.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(outputs, ["y", "v", "again", "one", "x"]);
    assert_eq!(back.graph.nodes.len(), 4);
    assert_eq!(back.inputs[0].name, "x");

    g.outputs[0].name = "x".into();
    g.outputs.truncate(1);
    assert!(matches!(export(&g, &BTreeMap::new()), Err(OnnxError::Invalid { .. })));
}

#[test]
fn the_header_says_what_is_known() {
    let g = single(Cast { to: DType::I64 }, "x", 1);
    let notes = BTreeMap::from([("task".to_string(), "test".to_string())]);
    let bytes = export(&g, &notes).expect("an export");
    let back = import(Bytes::from(bytes), &NoExternalData).expect("an import");
    assert_eq!(back.ir_version, 8);
    assert_eq!(back.metadata, notes);
    assert!(back.producer.starts_with("octrt "));
    assert_eq!(back.outputs[0].elem, Some(ElemType::I64));
}

/// Also where the types of outputs cannot be told from a sample of extents.
#[test]
fn statistics_are_declared_in_their_own_type() {
    let mut g = Graph::new("g");
    let x = g.add_input("x", DType::F64, vec![Dim::Dynamic("N".into())]);
    let scale = g.add_const("scale", Tensor::new([2], &[1.0f64, 2.0]).expect("a tensor"));
    let op = LayerNormalization { axis: -1, epsilon: 1e-5, stash: DType::F32 };
    let outputs = g.add_node("n", op, vec![Some(x), Some(scale)], &["y", "mean", "inverse"]);
    for (v, name) in outputs.into_iter().zip(["y", "mean", "inverse"]) {
        g.add_output(name, v);
    }
    let declared: Vec<Option<ElemType>> = there_and_back(&g).outputs.iter().map(|o| o.elem).collect();
    assert_eq!(declared, [Some(ElemType::F64), Some(ElemType::F32), Some(ElemType::F32)]);
}

#[test]
fn models_survive() {
    let Some(data) = shared::data() else { return };
    for path in shared::models(&data) {
        let model = shared::load(&path).graph;
        let back = there_and_back(&model).graph;
        let is_spelled_out =
            |n: &octrt_ops::Node| matches!(&n.op, Op::Softmax(s) if s.span == SoftmaxSpan::Trailing);
        if model.nodes.iter().any(is_spelled_out) {
            assert_eq!(back.nodes.len(), model.nodes.len() + 3, "{}", path.display());
        } else {
            assert!(essence(&back) == essence(&model), "{}", path.display());
        }
    }
}
