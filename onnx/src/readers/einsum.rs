//! Sums of products over named axes.

use octrt_ops::def::einsum::Einsum;

use crate::error::Fault;
use crate::node::NodeReader;

/// `Einsum`.
pub(crate) fn einsum(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    let equation = n.attrs.required_text("equation")?;
    let inputs = n.variadic()?.into_iter().map(Some).collect();
    n.emit(Einsum { equation }, inputs)
}
