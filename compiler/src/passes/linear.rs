//! Sums of convolutions, with upsampled parts: what a factor and a summand for each channel pass through.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::resize::{CoordinateTransform, Resize, ResizeMode};
use octrt_ops::graph::rewrite::Editor;
use octrt_ops::{Node, NodeId, Op, ValueId};

use super::Skip;
use super::query::leaves_channels;

/// Deepest nesting that is followed.
const DEPTH: usize = 32;

/// A value as a sum of convolutions, some of them upsampled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linear {
    /// A convolution or a product of matrices.
    Conv(NodeId),
    /// The sum of two.
    Sum(NodeId, Box<[Linear; 2]>),
    /// A Resize that interpolates: every result is a weighted mean.
    Resize(NodeId, Box<Linear>),
}

/// How `value` is computed, if every node of the sum has no other user than the next one and `value` has one.
///
/// # Errors
/// [`Skip::NoMatch`] when `value` is no convolution, sum or resize; [`Skip::Blocked`] when a part of it is something else
/// or is needed elsewhere.
pub fn linear(graph: &Editor, value: ValueId) -> Result<Linear, Skip> {
    of(graph, value, None, 0)
}

fn of(graph: &Editor, value: ValueId, user: Option<&Node>, depth: usize) -> Result<Linear, Skip> {
    let found = graph.producer(value).filter(|_| depth < DEPTH).filter(|id| is_linear(graph.node(*id)));
    let id = match (found, user) {
        (Some(id), _) => id,
        (None, None) => return Err(Skip::NoMatch),
        (None, Some(user)) => {
            let message = match graph.producer(value).map(|id| graph.node(id)) {
                Some(node) => {
                    format!(
                        "it follows {} '{}', a sum with {} '{}'",
                        user.op.as_operator().name(),
                        user.name,
                        node.op.as_operator().name(),
                        node.name
                    )
                }
                None => {
                    let user_op = user.op.as_operator().name();
                    format!("it follows {user_op} '{}', a sum with an input or a constant", user.name)
                }
            };
            return Err(Skip::Blocked(message));
        }
    };
    let node = graph.node(id);
    match graph.uses(value) {
        (1, 0) => {}
        (_, 0) => {
            let message = format!("the result of {} '{}' has other users", node.op.tag(), node.name);
            return Err(Skip::Blocked(message));
        }
        _ => {
            let message = format!("the result of {} '{}' is an output", node.op.tag(), node.name);
            return Err(Skip::Blocked(message));
        }
    }
    let part = |i: usize| {
        let v = node.input(i).ok_or(Skip::NoMatch)?;
        if matches!(node.op, Op::Binary(_)) && graph.value(v).ty != graph.value(value).ty {
            return Err(Skip::Blocked(format!(
                "{} '{}' broadcasts",
                node.op.as_operator().name(),
                node.name
            )));
        }
        if let Op::Resize(resize) = &node.op
            && !leaves_channels(graph, node, resize)
        {
            return Err(Skip::Blocked(format!("{} '{}' changes channels", node.op.tag(), node.name)));
        }
        of(graph, v, Some(node), depth + 1)
    };
    Ok(match &node.op {
        Op::Binary(_) => Linear::Sum(id, Box::new([part(0)?, part(1)?])),
        Op::Resize(_) => Linear::Resize(id, Box::new(part(0)?)),
        _ => Linear::Conv(id),
    })
}

fn is_linear(node: &Node) -> bool {
    match &node.op {
        Op::Conv(_) | Op::ConvTranspose(_) | Op::Gemm(_) => true,
        Op::Binary(Binary { kind }) => *kind == BinaryKind::Add,
        Op::Resize(Resize { mode, coordinates, .. }) => {
            // A crop may show a value that no interpolation gives.
            *mode != ResizeMode::Cubic && *coordinates != CoordinateTransform::TfCropAndResize
        }
        _ => false,
    }
}
