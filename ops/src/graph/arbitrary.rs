//! Random graphs for property tests.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::def::binary::{Binary, BinaryKind};
use crate::def::cast::Cast;
use crate::def::clip::Clip;
use crate::def::conv::Conv;
use crate::def::elu::Elu;
use crate::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use crate::def::shape::ShapeOf;
use crate::graph::{Graph, ValueId};
use crate::op::Op;
use crate::shape::{Dim, TensorType};
use crate::window::{AutoPad, Window};
use crate::{DType, Tensor};

/// Any name.
pub fn name() -> impl Strategy<Value = String> {
    vec(prop_oneof![any::<char>(), proptest::char::range(' ', '~')], 0..6).prop_map(String::from_iter)
}

/// One of a list.
pub fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

/// Operators that between them have every kind of attribute.
fn op() -> impl Strategy<Value = Op> {
    let number = || any::<f32>().prop_filter("equal to itself", |v| !v.is_nan());
    let lists = || vec(vec(0usize..9, 0..4), 4);
    prop_oneof![
        Just(Clip {}.into()),
        one_of(BinaryKind::ALL).prop_map(|kind| Binary { kind }.into()),
        one_of(&DType::ALL).prop_map(|to| Cast { to }.into()),
        number().prop_map(|alpha| Elu { alpha }.into()),
        (any::<i64>(), any::<Option<i64>>()).prop_map(|(start, end)| ShapeOf { start, end }.into()),
        (lists(), one_of(AutoPad::ALL), 1usize..9).prop_map(|(mut l, auto_pad, group)| {
            let mut list = || l.pop().unwrap_or_default();
            Conv {
                window: Window { kernel: list(), strides: list(), dilations: list(), pads: list(), auto_pad },
                group,
            }
            .into()
        }),
        (number(), number(), any::<[bool; 2]>(), vec(any::<i64>(), 0..3)).prop_map(|(a, b, c, axes)| {
            Resize {
                mode: ResizeMode::Cubic,
                coordinates: CoordinateTransform::TfCropAndResize,
                nearest_mode: NearestMode::Ceil,
                cubic_coeff_a: a,
                exclude_outside: c[0],
                extrapolation_value: b,
                antialias: c[1],
                aspect: AspectPolicy::NotLarger,
                axes,
            }
            .into()
        }),
    ]
}

fn ty() -> impl Strategy<Value = TensorType> {
    (one_of(&DType::ALL), vec(0usize..6, 0..4)).prop_map(|(d, s)| TensorType::new(d, s))
}

fn tensor() -> impl Strategy<Value = Tensor> {
    ty().prop_flat_map(|ty| {
        vec(any::<u8>(), ty.bytes()).prop_map(move |b| Tensor::from_bytes(ty.clone(), b).unwrap())
    })
}

fn dim() -> impl Strategy<Value = Dim> {
    prop_oneof![
        any::<usize>().prop_map(Dim::Fixed),
        name().prop_map(Dim::Dynamic),
        Just(Dim::Dynamic("_".into()))
    ]
}

#[derive(Clone, Debug)]
enum Line {
    Input(String, DType, Vec<Dim>, Option<Option<TensorType>>),
    Const(String, Tensor),
    Node(String, Op, Vec<Option<prop::sample::Index>>, Vec<(String, Option<TensorType>)>),
    Output(String, prop::sample::Index),
}

fn line() -> impl Strategy<Value = Line> {
    let index = any::<prop::sample::Index>;
    let known = proptest::option::of(proptest::option::of(ty()));
    prop_oneof![
        (name(), one_of(&DType::ALL), vec(dim(), 0..4), known)
            .prop_map(|(n, d, s, t)| Line::Input(n, d, s, t)),
        (name(), tensor()).prop_map(|(n, t)| Line::Const(n, t)),
        (
            name(),
            op(),
            vec(proptest::option::of(index()), 0..4),
            vec((name(), proptest::option::of(ty())), 1..4)
        )
            .prop_map(|(n, op, i, o)| Line::Node(n, op, i, o)),
        (name(), index()).prop_map(|(n, i)| Line::Output(n, i)),
    ]
}

/// A graph with any names, types, attributes and constants, in which nodes use values defined before them.
pub fn graph() -> impl Strategy<Value = Graph> {
    (name(), vec(line(), 0..12)).prop_map(|(name, lines)| build(name, lines))
}

/// The graph of these lines; uses pick among the values defined before.
fn build(name: String, lines: Vec<Line>) -> Graph {
    let mut graph = Graph::new(name);
    graph.add_const("", Tensor::scalar(0i64));
    for line in lines {
        let pick = |i: prop::sample::Index, g: &Graph| ValueId(i.index(g.values.len()) as u32);
        match line {
            Line::Input(name, dtype, dims, ty) => {
                let v = graph.add_input(name, dtype, dims);
                if let Some(ty) = ty {
                    graph.values[v.index()].ty = ty;
                }
            }
            Line::Const(name, t) => {
                graph.add_const(name, t);
            }
            Line::Node(name, op, inputs, outputs) => {
                let inputs = inputs.into_iter().map(|i| i.map(|i| pick(i, &graph))).collect();
                let names: Vec<&str> = outputs.iter().map(|o| o.0.as_str()).collect();
                let values = graph.add_node(name, op, inputs, &names);
                for (v, (_, ty)) in values.into_iter().zip(outputs) {
                    graph.values[v.index()].ty = ty;
                }
            }
            Line::Output(name, i) => {
                let v = pick(i, &graph);
                graph.add_output(name, v);
            }
        }
    }
    graph
}
