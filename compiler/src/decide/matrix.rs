//! Products of matrices, and means over maps.

use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::def::reduce::ReduceKind;
use octrt_ops::graph::infer::with_args;
use octrt_ops::window::{Rounding, WindowAxis};
use octrt_ops::{DType, Graph, Node, Op, Tensor, ValueId};

use crate::layout::AXES;
use crate::strategy::problem::{Bias, GemmProblem, Lhs, Rhs};
use crate::strategy::tail::Tail;

/// A product `lhs * rhs + bias`.
pub(crate) struct Product<'a> {
    pub(crate) problem: GemmProblem,
    pub(crate) lhs: ValueId,
    pub(crate) rhs: Right<'a>,
    pub(crate) bias: Option<&'a Tensor>,
}

/// The factor on the right of a product.
pub(crate) enum Right<'a> {
    /// A constant matrix that is packed.
    Weights { wei: &'a Tensor, transposed: bool, scale: f32 },
    /// Matrices as they lie.
    Value(ValueId),
}

/// The product that a node is; `None` where an operand is not what the schedule needs.
pub(crate) fn problem<'a>(graph: &'a Graph, node: &Node) -> Option<Product<'a>> {
    if let Op::Conv(_) = node.op {
        return pointwise(graph, node);
    }
    match graph.constant(node.input(1)?) {
        Some(wei) if wei.shape().rank() == 2 => with_weights(graph, node, wei),
        _ => of_two(graph, node),
    }
}

/// A product of a computed matrix with a constant one.
fn with_weights<'a>(graph: &'a Graph, node: &Node, wei: &'a Tensor) -> Option<Product<'a>> {
    let src = node.input(0)?;
    let (ty, dst) = (graph.ty(src).ok()?, graph.ty(*node.outputs.first()?).ok()?);
    let &[rows, columns] = wei.shape().dims() else { return None };
    let (transposed, scale) = match &node.op {
        Op::Gemm(g) if !g.trans_a => (g.trans_b, g.alpha),
        Op::MatMul(_) => (false, 1.0),
        _ => return None,
    };
    let (n, k) = if transposed { (rows, columns) } else { (columns, rows) };
    let bias = bias(graph, node, n)?;
    let m = dst.shape.numel().checked_div(n)?;
    let fits = graph.constant(src).is_none()
        && ty.dtype == DType::F32
        && ty.shape.rank() >= 2
        && ty.shape.last() == Some(&k)
        && ty.shape.numel() == m * k
        && m * n * k > 0
        && wei.dtype() == DType::F32;
    let problem = GemmProblem::packed([m, n, k], Tail::NONE);
    fits.then_some(Product { problem, lhs: src, rhs: Right::Weights { wei, transposed, scale }, bias })
}

/// A bias of each column, `None` inside where there is none: nothing where it is another tensor.
#[expect(
    clippy::option_option,
    reason = "a product without a bias is one, a product with another one is not"
)]
fn bias<'a>(graph: &'a Graph, node: &Node, n: usize) -> Option<Option<&'a Tensor>> {
    let Op::Gemm(g) = &node.op else { return Some(None) };
    let Some(v) = node.input(2).filter(|_| g.beta != 0.0) else { return Some(None) };
    let per_column = |t: &&Tensor| t.dtype() == DType::F32 && t.numel() == n && t.shape().last() == Some(&n);
    graph.constant(v).filter(|_| g.beta == 1.0).filter(per_column).map(Some)
}

/// Products of matrices that both lie row by row.
fn of_two<'a>(graph: &'a Graph, node: &Node) -> Option<Product<'a>> {
    match &node.op {
        Op::MatMul(_) => {}
        Op::Gemm(g) if !g.trans_a && !g.trans_b && g.alpha == 1.0 => {}
        _ => return None,
    }
    let (lhs, rhs) = (node.input(0)?, node.input(1)?);
    let (a, b) = (graph.ty(lhs).ok()?, graph.ty(rhs).ok()?);
    let (&[ref many @ .., m, k], &[ref each @ .., terms, n]) = (a.shape.dims(), b.shape.dims()) else {
        return None;
    };
    let (rows, batch): (usize, usize) = (many.iter().product(), each.iter().product());
    // One matrix on the right takes the rows of all on the left; one on the left serves all on the right.
    let (batch, m, side) = match (rows, batch) {
        (_, 1) => (1, rows * m, Lhs::Shared),
        (1, _) => (batch, m, Lhs::Shared),
        _ if many == each => (batch, m, Lhs::Each),
        _ => return None,
    };
    let bias = bias(graph, node, n)?;
    let computed = [lhs, rhs].iter().any(|v| graph.constant(*v).is_none());
    let floats = a.dtype == DType::F32 && b.dtype == DType::F32;
    let of = if bias.is_some() { Bias::Columns } else { Bias::Absent };
    let rhs = Right::Value(rhs);
    let problem = GemmProblem { batch, m, n, k, lhs: side, rhs: Rhs::Each, bias: of, tail: Tail::NONE };
    let fits = computed && floats && terms == k && batch * m * n * k > 0;
    fits.then_some(Product { problem, lhs, rhs, bias })
}

/// A convolution of single pixels: its weights times the channels of each picture.
fn pointwise<'a>(graph: &'a Graph, node: &Node) -> Option<Product<'a>> {
    let Op::Conv(op) = &node.op else { return None };
    let (src, weight) = (node.input(0)?, node.input(1)?);
    let (x, wei) = (graph.ty(src).ok()?, graph.constant(weight)?);
    let (&[mb, ic, ref extents @ ..], &[oc, k, ref kernel @ ..]) = (x.shape.dims(), wei.shape().dims())
    else {
        return None;
    };
    let axes = op.window.axes_with(kernel, extents, Rounding::Floor).ok()?;
    let single = |a: &WindowAxis| a.kernel == 1 && a.stride == 1 && a.pad_begin == 0 && a.output == a.input;
    let alone = op.group == 1 && axes.iter().all(single);
    let bias = match node.input(2) {
        Some(v) => Some(graph.constant(v).filter(|t| t.dtype() == DType::F32 && t.numel() == oc)?),
        None => None,
    };
    let n = extents.iter().product();
    let floats = x.dtype == DType::F32 && wei.dtype() == DType::F32 && graph.constant(src).is_none();
    let problem = GemmProblem {
        batch: mb,
        m: oc,
        n,
        k,
        lhs: Lhs::Shared,
        rhs: Rhs::Each,
        bias: if bias.is_some() { Bias::Rows } else { Bias::Absent },
        tail: Tail::NONE,
    };
    let fits = alone && floats && k == ic && mb * oc * n * k > 0;
    fits.then_some(Product { problem, lhs: weight, rhs: Right::Value(src), bias })
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
