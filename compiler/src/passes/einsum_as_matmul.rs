//! Pass `einsum_as_matmul`.

use octrt_ops::def::einsum::equation::{Label, Problem};
use octrt_ops::def::matmul::MatMul;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::transpose::Transpose;
use octrt_ops::graph::infer::with_args;
use octrt_ops::graph::rewrite::{Editor, Patch};
use octrt_ops::{NodeId, Op, Tensor, ValueId};

use super::Skip;

/// `Einsum(a, b) -> Transpose(Reshape(MatMul(Reshape(Transpose(a)), Reshape(Transpose(b)))))`, where the result has the
/// axes that both operands have and sums over at least one of them.
///
/// Axes that both operands and the result have become those of a batch of products, those that both have and the result
/// does not become K, those of one operand M or N: whichever the result has first is M. What moves nothing is removed by
/// `remove_identity`.
///
/// Requires: two operands, of floats, of which none is empty; types are known. Blocked when: an operand has an axis twice,
/// or one that is summed and that the other does not have; or an axis is broadcast.
pub fn einsum_as_matmul(graph: &Editor, id: NodeId) -> Result<Patch, Skip> {
    let node = graph.node(id);
    let Op::Einsum(op) = &node.op else { return Err(Skip::NoMatch) };
    let [Some(a), Some(b)] = node.inputs[..] else { return Err(Skip::NoMatch) };
    let types = [a, b].map(|v| graph.ty(v).ok());
    let [Some(ty_a), Some(ty_b)] = types else { return Err(Skip::NoMatch) };
    if !ty_a.dtype.is_float() || ty_a.shape.numel() == 0 || ty_b.shape.numel() == 0 {
        return Err(Skip::NoMatch);
    }
    let labels = with_args(graph, node, |args| op.labels(args));
    let Ok(Ok(p)) = labels else { return Err(Skip::NoMatch) };
    let roles = Roles::of(&p, [ty_a.shape.dims(), ty_b.shape.dims()])?;
    let swap = roles.comes_first(&p.result);
    let [a, b] = if swap { [1, 0] } else { [0, 1] };
    let mut emit = Emit { patch: Patch::new(graph), name: &node.name, problem: &p };
    let operand = |i: usize| node.input(i).ok_or(Skip::NoMatch);
    let left = [&roles.batch, &roles.own[a], &roles.summed];
    let right = [&roles.batch, &roles.summed, &roles.own[b]];
    let left = emit.matrices(operand(a)?, &p.operands[a], left);
    let right = emit.matrices(operand(b)?, &p.operands[b], right);
    let product = emit.node("", MatMul {}, vec![Some(left), Some(right)], "");
    let order = [&roles.batch[..], &roles.own[a], &roles.own[b]].concat();
    let shaped = emit.reshape(product, p.shape(&order).dims().to_vec());
    let name = &graph.value(node.outputs[0]).name;
    let perm = p.result.iter().filter_map(|l| order.iter().position(|o| o == l)).collect();
    let result = emit.node("/result", Transpose { perm }, vec![Some(shaped)], name);
    emit.patch.replace(node.outputs[0], result);
    Ok(emit.patch)
}

/// What the axes of a product are.
struct Roles {
    /// Of both operands and the result.
    batch: Vec<Label>,
    /// Of both operands only.
    summed: Vec<Label>,
    /// Of one operand and the result.
    own: [Vec<Label>; 2],
}

impl Roles {
    fn of(p: &Problem, shapes: [&[usize]; 2]) -> Result<Roles, Skip> {
        for (labels, dims) in p.operands.iter().zip(shapes) {
            if labels.iter().enumerate().any(|(i, l)| labels[..i].contains(l)) {
                return Err(Skip::Blocked("an operand has an axis twice".into()));
            }
            if labels.iter().zip(dims).any(|(l, n)| p.extent(*l) != *n) {
                return Err(Skip::Blocked("an axis is broadcast".into()));
            }
        }
        let in_result = |l: &Label| p.result.contains(l);
        let [a, b] = [&p.operands[0], &p.operands[1]];
        let batch = p.result.iter().filter(|l| a.contains(l) && b.contains(l)).copied().collect();
        let summed: Vec<Label> = a.iter().filter(|l| b.contains(l) && !in_result(l)).copied().collect();
        let alone = |l: &&Label| !in_result(l) && !summed.contains(l);
        if a.iter().chain(b).any(|l| alone(&l)) {
            return Err(Skip::Blocked("an axis of one operand is summed".into()));
        }
        if summed.is_empty() {
            return Err(Skip::NoMatch);
        }
        let own = [(a, b), (b, a)].map(|(of, other)| {
            p.result.iter().filter(|l| of.contains(l) && !other.contains(l)).copied().collect()
        });
        Ok(Roles { batch, summed, own })
    }

    /// Whether the result has an axis of the second operand before any of the first.
    fn comes_first(&self, result: &[Label]) -> bool {
        let first = |own: &[Label]| result.iter().position(|l| own.contains(l)).unwrap_or(result.len());
        first(&self.own[1]) < first(&self.own[0])
    }
}

struct Emit<'a> {
    patch: Patch,
    name: &'a str,
    problem: &'a Problem,
}

impl Emit<'_> {
    fn node(
        &mut self,
        suffix: &str,
        op: impl Into<Op>,
        inputs: Vec<Option<ValueId>>,
        value: &str,
    ) -> ValueId {
        self.patch.add_node(format!("{}{suffix}", self.name), op, inputs, &[value])[0]
    }

    fn reshape(&mut self, v: ValueId, dims: Vec<usize>) -> ValueId {
        let dims: Vec<i64> = dims.into_iter().map(|d| d as i64).collect();
        // A list of as many elements as its shape says.
        let shape = Tensor::new([dims.len()], &dims).unwrap_or_else(|_| Tensor::scalar(-1i64));
        let shape = self.patch.add_const("", shape);
        self.node("/shape", Reshape { allow_zero: false }, vec![Some(v), Some(shape)], "")
    }

    /// An operand as matrices: its axes in this order, each of the three lists one axis; no batch, no axis for it.
    fn matrices(&mut self, v: ValueId, labels: &[Label], order: [&Vec<Label>; 3]) -> ValueId {
        let axes = order.iter().flat_map(|list| list.iter());
        let perm = axes.filter_map(|l| labels.iter().position(|o| o == l)).collect();
        let moved = self.node("/order", Transpose { perm }, vec![Some(v)], "");
        let extents = order.map(|list| self.problem.shape(list).numel());
        let dims = if order[0].is_empty() { extents[1..].to_vec() } else { extents.to_vec() };
        self.reshape(moved, dims)
    }
}
