//! Opsets 1 to 6: what operators said by attributes then.

use octrt_ops::def::binary::{Binary, BinaryKind};
use octrt_ops::def::concat::Concat;
use octrt_ops::def::constant_of_shape::ConstantOfShape;
use octrt_ops::def::reshape::Reshape;
use octrt_ops::def::shape::ShapeOf;
use octrt_ops::{Tensor, ValueId};

use crate::error::Fault;
use crate::node::NodeReader;

/// The inputs of a function of two tensors as numpy broadcasts them. Before opset 7 the second one was broadcast where
/// `broadcast` is 1: its axes belong to those of the first from `axis` on, or to the last ones.
pub(crate) fn operands(n: &mut NodeReader<'_>) -> Result<Vec<Option<ValueId>>, Fault> {
    let mut inputs = n.inputs(2, 0)?;
    if n.opset() >= 7 {
        return Ok(inputs);
    }
    let (broadcasts, axis) = (n.attrs.flag("broadcast")?, n.attrs.int("axis")?);
    if let (true, Some(axis), [Some(a), Some(b)]) = (broadcasts, axis, &inputs[..]) {
        let count = if axis >= 0 {
            let rank = rank(n, "a", *a)?;
            let missing = difference(n, "missing", rank, *b)?;
            let axis = n.ints("axis", &[axis])?;
            n.step("count", Binary { kind: BinaryKind::Sub }, vec![Some(missing), Some(axis)])?
        } else {
            let from_end = n.ints("axis", &[axis.saturating_neg()])?;
            difference(n, "count", from_end, *b)?
        };
        inputs[1] = Some(with_trailing_ones(n, *b, count)?);
    }
    Ok(inputs)
}

/// The slope of `PRelu`, which had an element per channel (axis 1 of the data) before opset 7.
pub(crate) fn slope(n: &mut NodeReader<'_>, data: ValueId, slope: ValueId) -> Result<ValueId, Fault> {
    let rank = rank(n, "data", data)?;
    let missing = difference(n, "missing", rank, slope)?;
    let (one, zero) = (n.ints("one", &[1])?, n.ints("zero", &[0])?);
    let count = n.step("behind", Binary { kind: BinaryKind::Sub }, vec![Some(missing), Some(one)])?;
    let count = n.step("count", Binary { kind: BinaryKind::Max }, vec![Some(count), Some(zero)])?;
    with_trailing_ones(n, slope, count)
}

/// The number of axes of a value, as a list of one element.
pub(crate) fn rank(n: &mut NodeReader<'_>, role: &str, value: ValueId) -> Result<ValueId, Fault> {
    let shape = n.step(&format!("{role}.shape"), ShapeOf { start: 0, end: None }, vec![Some(value)])?;
    n.step(&format!("{role}.rank"), ShapeOf { start: 0, end: None }, vec![Some(shape)])
}

/// `number` less the number of axes of `value`.
fn difference(n: &mut NodeReader<'_>, role: &str, number: ValueId, value: ValueId) -> Result<ValueId, Fault> {
    let rank = rank(n, "b", value)?;
    n.step(role, Binary { kind: BinaryKind::Sub }, vec![Some(number), Some(rank)])
}

/// The value with `count` axes of extent 1 more, behind its own.
fn with_trailing_ones(n: &mut NodeReader<'_>, value: ValueId, count: ValueId) -> Result<ValueId, Fault> {
    let shape = n.step("from", ShapeOf { start: 0, end: None }, vec![Some(value)])?;
    let ones = ones(n, count)?;
    let shape = n.step("to", Concat { axis: 0 }, vec![Some(shape), Some(ones)])?;
    n.step("aligned", Reshape { allow_zero: true }, vec![Some(value), Some(shape)])
}

/// A list of `count` ones.
pub(crate) fn ones(n: &mut NodeReader<'_>, count: ValueId) -> Result<ValueId, Fault> {
    let one = Tensor::new([1], &[1i64]).map_err(|e| Fault::Invalid(e.to_string()))?;
    let one = n.constant("1", one);
    n.step("ones", ConstantOfShape {}, vec![Some(count), Some(one)])
}
