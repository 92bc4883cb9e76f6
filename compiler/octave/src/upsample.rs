//! How a tensor is brought to twice its rows and columns.

use octrt_ops::def::resize::{Resize, ResizeMode};
use octrt_ops::{NodeId, Op, ValueId};

use super::UpKind;
use super::view::{View, extents};
use octrt_compiler::decide::fuse::doubles;

/// An upsampling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Up {
    /// Its nodes.
    pub nodes: Vec<NodeId>,
    /// What it does.
    pub kind: UpKind,
    /// Why it cannot be done where the sum is computed.
    pub flaw: Option<String>,
}

/// The upsampling that a node is, and what it is applied to.
pub fn of(view: &View<'_>, id: NodeId) -> Option<(ValueId, Up)> {
    let node = view.node(id);
    let x = node.input(0)?;
    let (from, to) = (view.spatial(x)?, view.spatial(*node.outputs.first()?)?);
    if from.len() != to.len() || from.iter().zip(to).any(|(f, t)| f > t) || from == to {
        return None;
    }
    let title = view.title(id);
    let (kind, flaw) = match &node.op {
        Op::Resize(Resize { mode: ResizeMode::Nearest, .. }) => {
            let twice = from.iter().zip(to).all(|(f, t)| 2 * f == *t);
            // Of maps with more axes the sum says that it is not fused.
            let flaw = match (from.len() == 2, twice) {
                (true, _) if doubles(view.graph, node) => None,
                (true, false) => Some(format!(
                    "{title} makes {} pixels of {}: not twice as many",
                    extents(to),
                    extents(from)
                )),
                (true, true) => Some(format!("{title} does not repeat every pixel twice")),
                (false, _) => None,
            };
            (UpKind::Nearest, flaw)
        }
        Op::Resize(_) => {
            (UpKind::Bilinear, Some(format!("{title} interpolates, and only repeated pixels are fused")))
        }
        Op::ConvTranspose(_) => {
            (UpKind::Deconv, Some(format!("{title} upsamples, and only repeated pixels are fused")))
        }
        _ => return None,
    };
    Some((x, Up { nodes: vec![id], kind, flaw }))
}
