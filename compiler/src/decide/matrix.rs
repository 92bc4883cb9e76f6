//! Products with constant matrices, and means over maps.

use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::def::reduce::ReduceKind;
use octrt_ops::graph::infer::with_args;
use octrt_ops::{DType, Graph, Node, Op, Tensor, ValueId};

use crate::layout::AXES;
use crate::leaf::programs::Activation;
use crate::strategy::problem::GemmProblem;

/// A product `src * wei + bias` with a constant `wei`.
pub(crate) struct Product<'a> {
    pub(crate) problem: GemmProblem,
    pub(crate) src: ValueId,
    pub(crate) wei: &'a Tensor,
    pub(crate) transposed: bool,
    pub(crate) scale: f32,
    pub(crate) bias: Option<&'a Tensor>,
}

/// The product that a node is; `None` where an operand is not what the schedule needs.
pub(crate) fn problem<'a>(graph: &'a Graph, node: &Node) -> Option<Product<'a>> {
    let operand = |i: usize| node.input(i);
    let (src, wei) = (operand(0)?, graph.constant(operand(1)?)?);
    let (ty, dst) = (graph.ty(src).ok()?, graph.ty(*node.outputs.first()?).ok()?);
    let &[rows, columns] = wei.shape().dims() else { return None };
    let (transposed, scale, bias) = match &node.op {
        Op::Gemm(g) if !g.trans_a => {
            let bias = match operand(2) {
                Some(v) if g.beta != 0.0 => Some(graph.constant(v).filter(|_| g.beta == 1.0)?),
                _ => None,
            };
            (g.trans_b, g.alpha, bias)
        }
        Op::MatMul(_) => (false, 1.0, None),
        _ => return None,
    };
    let (n, k) = if transposed { (rows, columns) } else { (columns, rows) };
    let per_column = |t: &Tensor| t.dtype() == DType::F32 && t.numel() == n && t.shape().last() == Some(&n);
    let m = dst.shape.numel().checked_div(n)?;
    let fits = graph.constant(src).is_none()
        && ty.dtype == DType::F32
        && ty.shape.rank() >= 2
        && ty.shape.last() == Some(&k)
        && ty.shape.numel() == m * k
        && bias.is_none_or(per_column)
        && m * n * k > 0
        && wei.dtype() == DType::F32;
    let problem = GemmProblem { m, n, k, activation: Activation::Identity };
    fits.then_some(Product { problem, src, wei, transposed, scale, bias })
}

/// The pooling that a reduction is, when it reduces all axes behind the channels of `[mb, c, extents..]` and nothing else.
pub(crate) fn mean_over_maps(graph: &Graph, node: &Node) -> Option<GlobalPoolKind> {
    let Op::Reduce(r) = &node.op else { return None };
    let src = graph.ty(node.inputs.first().copied().flatten()?).ok()?;
    let &[mb, c, ref extents @ ..] = src.shape.dims() else { return None };
    let dst = with_args(graph, node, |args| node.op.as_operator().infer(args)).ok()?.ok()?;
    let kept = [vec![mb, c], if r.keep_dims { vec![1; extents.len()] } else { vec![] }].concat();
    let (axes, rank) = (graph.constant(node.input(1)?)?, src.shape.rank() as i64);
    let axes: Vec<i64> = axes.to_i64s().ok()?.iter().map(|a| a.rem_euclid(rank)).collect();
    let maps = axes.len() == extents.len() && (2..rank).all(|axis| axes.contains(&axis));
    let fits = maps
        && matches!(extents.len(), 1..=AXES)
        && extents.iter().all(|n| *n > 0)
        && src.dtype == DType::F32
        && dst.first()?.shape.dims() == kept;
    match r.kind {
        ReduceKind::Mean if fits => Some(GlobalPoolKind::Average),
        ReduceKind::Max if fits => Some(GlobalPoolKind::Max),
        _ => None,
    }
}
