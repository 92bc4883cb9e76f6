//! Which operators of which opsets are read, and by which reader.

use crate::error::{Fault, corrupt, unsupported};
use crate::node::NodeReader;
use crate::readers::{constant, conv, math, norm, pool, reduce, resize, shape};

/// The first opset that is read.
pub const MIN_OPSET: i64 = 7;
/// The last opset whose operators were compared with the table.
pub const MAX_OPSET: i64 = 27;

/// Reads one node into the graph.
pub(crate) type Reader = fn(&mut NodeReader<'_>) -> Result<(), Fault>;

/// An operator that is read.
#[derive(Clone, Debug)]
pub struct Support {
    /// Its ONNX name; all are of the standard domain.
    pub op: &'static str,
    /// The opsets that define or redefine it, from the one in force at [`MIN_OPSET`] on.
    pub versions: &'static [i64],
    /// What is not supported or differs; empty when nothing.
    pub note: &'static str,
    read: Reader,
}

impl Support {
    /// The first opset in which the operator is read.
    pub fn since(&self) -> i64 {
        self.versions.first().copied().unwrap_or(MIN_OPSET).max(MIN_OPSET)
    }
}

/// The operators that are read, by name.
pub fn operators() -> &'static [Support] {
    TABLE
}

/// The reader of an operator.
///
/// # Errors
/// [`Fault::Unsupported`] when there is none for the domain, the operator or the opset; [`Fault::Corrupt`] when `opset`
/// is 0: none declared.
pub(crate) fn reader(domain: &str, op: &str, opset: i64) -> Result<Reader, Fault> {
    if !domain.is_empty() {
        return unsupported!("operators of domain '{domain}' are not supported");
    }
    if opset == 0 {
        return corrupt!("the model declares no opset of the standard operators");
    }
    match TABLE.iter().find(|row| row.op == op) {
        None => unsupported!("the operator is not supported"),
        Some(row) if opset < row.since() => {
            unsupported!("the operator exists from opset {} on, the model declares {opset}", row.since())
        }
        Some(row) => Ok(row.read),
    }
}

const fn row(op: &'static str, versions: &'static [i64], note: &'static str, read: Reader) -> Support {
    Support { op, versions, note, read }
}

const TRAINING: &str = "inference only";
const ONLY_FIRST: &str = "output Indices is not computed";

/// One row per operator, by name.
#[rustfmt::skip]
const TABLE: &[Support] = &[
    row("Abs", &[6, 13], "", math::unary),
    row("Add", &[7, 13, 14], "", math::binary),
    row("And", &[7], "", math::binary),
    row("AveragePool", &[7, 10, 11, 19, 22], "", pool::average_pool),
    row("BatchNormalization", &[7, 9, 14, 15], TRAINING, norm::batch_normalization),
    row("Cast", &[6, 9, 13, 19, 21, 23, 24, 25], "to f16, bf16, f64 gives f32 without rounding", math::cast),
    row("CastLike", &[15, 19, 21, 23, 24, 25], "as Cast", math::cast_like),
    row("Ceil", &[6, 13], "", math::unary),
    row("Clip", &[6, 11, 12, 13], "", math::clip),
    row("Concat", &[4, 11, 13], "", shape::concat),
    row("Constant", &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25], "dense numbers only", constant::constant),
    row("ConstantOfShape", &[9, 20, 21, 23, 24, 25], "", constant::constant_of_shape),
    row("Conv", &[1, 11, 22], "", conv::conv),
    row("ConvTranspose", &[1, 11, 22], "", conv::conv_transpose),
    row("DepthToSpace", &[1, 11, 13], "", shape::depth_to_space),
    row("Div", &[7, 13, 14], "an integer divided by 0 is 0", math::binary),
    row("Dropout", &[7, 10, 12, 13, 22], "inference only; output mask is not computed", norm::dropout),
    row("Elu", &[6, 22], "", math::elu),
    row("Equal", &[7, 11, 13, 19], "", math::compare),
    row("Erf", &[9, 13], "", math::unary),
    row("Exp", &[6, 13], "", math::unary),
    row("Expand", &[8, 13], "", shape::expand),
    row("Flatten", &[1, 9, 11, 13, 21, 23, 24, 25], "", shape::flatten),
    row("Floor", &[6, 13], "", math::unary),
    row("Gather", &[1, 11, 13], "", shape::gather),
    row("Gemm", &[7, 9, 11, 13], "", math::gemm),
    row("GlobalAveragePool", &[1, 22], "", pool::global_pool),
    row("GlobalMaxPool", &[1, 22], "", pool::global_pool),
    row("Greater", &[7, 9, 13], "", math::compare),
    row("GreaterOrEqual", &[12, 16], "", math::compare),
    row("HardSigmoid", &[6, 22], "", math::hard_sigmoid),
    row("HardSwish", &[14, 22], "", math::unary),
    row("Identity", &[1, 13, 14, 16, 19, 21, 23, 24, 25], "tensors only", shape::identity),
    row("LeakyRelu", &[6, 16], "", math::leaky_relu),
    row("Less", &[7, 9, 13], "", math::compare),
    row("LessOrEqual", &[12, 16], "", math::compare),
    row("Log", &[6, 13], "", math::unary),
    row("LogSoftmax", &[1, 11, 13], "", norm::softmax),
    row("MatMul", &[1, 9, 13], "", math::matmul),
    row("Max", &[6, 8, 12, 13], "", math::fold),
    row("MaxPool", &[1, 8, 10, 11, 12, 22], ONLY_FIRST, pool::max_pool),
    row("Mean", &[6, 8, 13], "", math::fold),
    row("Min", &[6, 8, 12, 13], "", math::fold),
    row("Mul", &[7, 13, 14], "", math::binary),
    row("Neg", &[6, 13], "", math::unary),
    row("Not", &[1], "", math::unary),
    row("Or", &[7], "", math::binary),
    row("PRelu", &[7, 9, 16], "", math::prelu),
    row("Pad", &[2, 11, 13, 18, 19, 21, 23, 24, 25], "", shape::pad),
    row("Pow", &[7, 12, 13, 15], "", math::binary),
    row("Range", &[11, 27], "", constant::range),
    row("Reciprocal", &[6, 13], "", math::unary),
    row("ReduceMax", &[1, 11, 12, 13, 18, 20], "", reduce::reduce),
    row("ReduceMean", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceMin", &[1, 11, 12, 13, 18, 20], "", reduce::reduce),
    row("ReduceSum", &[1, 11, 13], "", reduce::reduce),
    row("Relu", &[6, 13, 14], "", math::unary),
    row("Reshape", &[5, 13, 14, 19, 21, 23, 24, 25], "", shape::reshape),
    row("Resize", &[10, 11, 13, 18, 19], "opset 10 as asymmetric, floor", resize::resize),
    row("Round", &[11, 22], "", math::unary),
    row("Shape", &[1, 13, 15, 19, 21, 23, 24, 25], "", shape::shape),
    row("Sigmoid", &[6, 13], "", math::unary),
    row("Slice", &[1, 10, 11, 13], "", shape::slice),
    row("Softmax", &[1, 11, 13], "", norm::softmax),
    row("Softplus", &[1, 22], "", math::unary),
    row("Softsign", &[1, 22], "", math::unary),
    row("SpaceToDepth", &[1, 13], "", shape::space_to_depth),
    row("Split", &[2, 11, 13, 18], "", shape::split),
    row("Sqrt", &[6, 13], "", math::unary),
    row("Squeeze", &[1, 11, 13, 21, 23, 24, 25], "", shape::squeeze),
    row("Sub", &[7, 13, 14], "", math::binary),
    row("Sum", &[6, 8, 13], "", math::fold),
    row("Tanh", &[6, 13], "", math::unary),
    row("Tile", &[6, 13], "", shape::tile),
    row("Transpose", &[1, 13, 21, 23, 24, 25], "", shape::transpose),
    row("Unsqueeze", &[1, 11, 13, 21, 23, 24, 25], "", shape::unsqueeze),
    row("Upsample", &[7, 9, 10], "read as Resize: asymmetric, floor", resize::upsample),
    row("Where", &[9, 16], "", math::where_),
    row("Xor", &[7], "", math::binary),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_opsets_that_exist() {
        assert!(TABLE.is_sorted_by(|a, b| a.op < b.op));
        for row in TABLE {
            assert!(row.versions.is_sorted_by(|a, b| a < b), "{}", row.op);
            assert!((1..=MAX_OPSET).contains(&row.versions[0]), "{}", row.op);
        }
    }

    #[test]
    fn operators_are_found_by_domain_name_and_opset() {
        assert!(reader("", "Conv", 7).is_ok());
        assert!(reader("", "HardSwish", 14).is_ok());
        assert!(reader("", "HardSwish", 13).is_err());
        assert!(reader("com.microsoft", "Conv", 1).is_err());
        assert!(reader("", "Loop", 13).is_err());
    }
}
