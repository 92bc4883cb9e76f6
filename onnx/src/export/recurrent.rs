//! Attributes of recurrent operators.

use octrt_ops::def::gru::Gru;
use octrt_ops::def::lstm::Lstm;
use octrt_ops::def::rnn::Rnn;
use octrt_ops::recurrent::{ActivationKind, Direction};
use octrt_ops::{Graph, Node};

use super::attributes::{attribute, float, int, text};
use crate::names::{ACTIVATION, DIRECTION, name_of};
use crate::proto::AttributeProto;
use crate::proto::attribute_proto::AttributeType;

fn floats(name: &str, values: Vec<f32>) -> Option<AttributeProto> {
    let list = AttributeProto { floats: values, ..attribute(name, AttributeType::Floats) };
    (!list.floats.is_empty()).then_some(list)
}

fn shared(
    (direction, batch_first): (Direction, bool),
    activations: &[ActivationKind],
    [alpha, beta]: [&[f32]; 2],
    clip: Option<f32>,
) -> Vec<AttributeProto> {
    let names = activations.iter().map(|kind| name_of(ACTIVATION, kind).as_bytes().to_vec()).collect();
    let mut list = vec![
        text("direction", name_of(DIRECTION, &direction)),
        int("layout", batch_first.into()),
        AttributeProto { strings: names, ..attribute("activations", AttributeType::Strings) },
    ];
    // ONNX lists values for those that have the parameter only.
    let of = |list: &[f32], has: fn((bool, bool)) -> bool| {
        let used = activations.iter().zip(list).filter(|(kind, _)| has(kind.parameters()));
        used.map(|(_, v)| *v).collect()
    };
    list.extend(floats("activation_alpha", of(alpha, |p| p.0)));
    list.extend(floats("activation_beta", of(beta, |p| p.1)));
    list.extend(clip.map(|clip| float("clip", clip)));
    list
}

pub(super) fn rnn(op: &Rnn) -> Vec<AttributeProto> {
    let arrangement = (op.direction, op.batch_first);
    shared(arrangement, &op.activations, [&op.alpha, &op.beta], op.clip)
}

pub(super) fn gru(op: &Gru) -> Vec<AttributeProto> {
    let arrangement = (op.direction, op.batch_first);
    let mut list = shared(arrangement, &op.activations, [&op.alpha, &op.beta], op.clip);
    list.push(int("linear_before_reset", op.linear_before_reset.into()));
    list
}

pub(super) fn lstm(op: &Lstm) -> Vec<AttributeProto> {
    let arrangement = (op.direction, op.batch_first);
    let mut list = shared(arrangement, &op.activations, [&op.alpha, &op.beta], op.clip);
    list.push(int("input_forget", op.input_forget.into()));
    list
}

/// The attribute `hidden_size`, where the shape of `R` is known.
pub(super) fn hidden_size(graph: &Graph, node: &Node) -> Option<AttributeProto> {
    let r = node.input(2)?;
    let known = graph.constant(r).map(|t| t.shape().clone());
    let shape = known.or_else(|| graph.value(r).ty.as_ref().map(|ty| ty.shape.clone()))?;
    Some(int("hidden_size", i64::try_from(*shape.last()?).ok()?))
}
