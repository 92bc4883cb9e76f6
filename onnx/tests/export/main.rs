//! Export and import are inverse to each other.

use std::collections::BTreeMap;

use octrt_onnx::{Bytes, ElemType, Imported, NoExternalData, OnnxError, export, import};
use octrt_ops::def::affine_grid::AffineGrid;
use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast::Cast;
use octrt_ops::def::cumulative::{Cumulative, CumulativeKind};
use octrt_ops::def::group_normalization::{GroupNormalization, ScalePer};
use octrt_ops::def::hardmax::Hardmax;
use octrt_ops::def::identity::Identity;
use octrt_ops::def::if_::If;
use octrt_ops::def::layer_normalization::LayerNormalization;
use octrt_ops::def::pad::{Pad, PadMode};
use octrt_ops::def::rotary_embedding::RotaryEmbedding;
use octrt_ops::def::round_float::{FloatFormat, RoundFloat};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::graph::{ValueDef, interp};
use octrt_ops::{DType, Dim, Graph, NodeId, Op, Tensor, ValueId};

use graphs::{
    elementwise, indexed, normalisations, norms_and_places, quantised, recurrent, searches, shapes, single,
    vision, windows,
};

mod graphs;
#[path = "../shared/mod.rs"]
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
