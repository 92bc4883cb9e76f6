//! Losses, which training graphs end with: compositions of other operators, as their function bodies in ONNX.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::cast_like::CastLike;
use octrt_ops::def::compare::{Compare, CompareKind};
use octrt_ops::def::gather::Gather;
use octrt_ops::def::gather_elements::GatherElements;
use octrt_ops::def::reduce::{Reduce, ReduceKind};
use octrt_ops::def::softmax::{Softmax, SoftmaxSpan};
use octrt_ops::def::squeeze::Squeeze;
use octrt_ops::def::unary::{Unary, UnaryKind};
use octrt_ops::def::unsqueeze::Unsqueeze;
use octrt_ops::def::where_::Where;
use octrt_ops::{Tensor, ValueId};

use crate::error::Fault;
use crate::names::Names;
use crate::node::NodeReader;

/// What a loss makes of the losses of all positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LossReduction {
    /// All of them.
    None,
    /// Their sum.
    Sum,
    /// Their sum, over the sum of the weights.
    Mean,
}

const REDUCTION: Names<LossReduction> =
    &[("none", LossReduction::None), ("sum", LossReduction::Sum), ("mean", LossReduction::Mean)];

/// `NegativeLogLikelihoodLoss`: logarithms of probabilities [N, C, ...], classes [N, ...], weights of the classes [C].
pub(crate) fn negative_log_likelihood_loss(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let inputs = n.inputs(2, 1)?;
    loss(n, [inputs[0], inputs[1], inputs[2]])?;
    n.refuse_outputs_from(1);
    Ok(())
}

/// `SoftmaxCrossEntropyLoss`: scores [N, C, ...], classes [N, ...], weights of the classes [C]; outputs the loss, the
/// logarithms of the probabilities.
pub(crate) fn softmax_cross_entropy_loss(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let inputs = n.inputs(2, 1)?;
    let softmax = Softmax { axis: 1, span: SoftmaxSpan::Axis, log: true };
    let log_prob = n.step("log_prob", softmax, vec![inputs[0]])?;
    n.show(1, log_prob);
    loss(n, [Some(log_prob), inputs[1], inputs[2]])?;
    n.refuse_outputs_from(2);
    Ok(())
}

/// With `valid = classes != ignore_index` where that is given:
///
/// ```text
/// class = Where(valid, classes, 0); weight = Where(valid, Gather(weights, class), 0)
/// losses = Where(valid, -GatherElements(logs, class, axis 1) * weight, 0)
/// mean: ReduceSum(losses) / ReduceSum(weight)
/// ```
fn loss(n: &mut NodeReader<'_>, [logs, classes, weights]: [Option<ValueId>; 3]) -> Result<(), Fault> {
    let reduction = n.attrs.keyword("reduction", REDUCTION, LossReduction::Mean)?;
    let ignored = n.attrs.int("ignore_index")?;
    let valid = ignored.map(|class| valid(n, classes, class)).transpose()?;
    let class = only(n, "class", valid, classes)?;
    let axis = n.ints("axis", &[1])?;
    let place = n.step("place", Unsqueeze {}, vec![class, Some(axis)])?;
    let picked = n.step("picked", GatherElements { axis: 1 }, vec![logs, Some(place)])?;
    let likely = n.step("likely", Squeeze {}, vec![Some(picked), Some(axis)])?;
    let mut losses = n.step("losses", Unary { kind: UnaryKind::Neg }, vec![Some(likely)])?;
    let mut weight = match (weights, valid) {
        (None, None) => None,
        (Some(weights), _) => Some(n.step("weight", Gather { axis: 0 }, vec![Some(weights), class])?),
        (None, Some(valid)) => Some(n.step("weight", CastLike {}, vec![Some(valid), logs])?),
    };
    if weights.is_some() {
        weight = only(n, "weighed", valid, weight)?;
        losses = n.step("weighted", Binary { kind: BinaryKind::Mul }, vec![Some(losses), weight])?;
    }
    let losses = only(n, "kept", valid, Some(losses))?;
    let reduce = |kind| Reduce { kind, keep_dims: false, noop_with_empty_axes: false };
    match (reduction, weight) {
        (LossReduction::None, _) => losses.into_iter().for_each(|v| n.show(0, v)),
        (LossReduction::Sum, _) => n.emit_output(0, reduce(ReduceKind::Sum), vec![losses]),
        (LossReduction::Mean, None) => n.emit_output(0, reduce(ReduceKind::Mean), vec![losses]),
        (LossReduction::Mean, weight) => {
            let total = n.step("total", reduce(ReduceKind::Sum), vec![losses])?;
            let whole = n.step("whole", reduce(ReduceKind::Sum), vec![weight])?;
            n.emit_output(0, Binary { kind: BinaryKind::Div }, vec![Some(total), Some(whole)]);
        }
    }
    Ok(())
}

/// Whether each class is another than `ignored`.
fn valid(n: &mut NodeReader<'_>, classes: Option<ValueId>, ignored: i64) -> Result<ValueId, Fault> {
    let wide = n.constant("ignore_index", Tensor::scalar(ignored));
    let ignored = n.step("ignored", CastLike {}, vec![Some(wide), classes])?;
    let same = n.step("same", Compare { kind: CompareKind::Equal }, vec![classes, Some(ignored)])?;
    n.step("valid", Unary { kind: UnaryKind::Not }, vec![Some(same)])
}

/// `x` where `valid`, else 0.
fn only(
    n: &mut NodeReader<'_>,
    role: &str,
    valid: Option<ValueId>,
    x: Option<ValueId>,
) -> Result<Option<ValueId>, Fault> {
    let Some(valid) = valid else { return Ok(x) };
    let zero = n.constant(&format!("{role}.zero"), Tensor::scalar(0i64));
    let zero = n.step(&format!("{role}.none"), CastLike {}, vec![Some(zero), x])?;
    n.step(role, Where {}, vec![Some(valid), x, Some(zero)]).map(Some)
}
