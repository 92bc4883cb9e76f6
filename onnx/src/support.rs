//! Which operators of which opsets are read, and by which reader.

use crate::error::{Fault, corrupt, unsupported};
use crate::node::Reader;
use crate::readers::{
    activation, attention, constant, control, conv, einsum, indexed, loss, math, norm, pool, quant,
    recurrent, reduce, resize, shape, vision,
};

/// The first opset that is read.
pub const MIN_OPSET: i64 = 1;
/// The last opset whose operators were compared with the table.
pub const MAX_OPSET: i64 = 27;

/// An operator that is read.
#[derive(Clone, Debug)]
pub struct Support {
    /// The set of operators that it is of; empty: the standard one.
    pub domain: &'static str,
    /// Its ONNX name.
    pub op: &'static str,
    /// The opsets that define or redefine it.
    pub versions: &'static [i64],
    /// What is not supported or differs; empty when nothing.
    pub note: &'static str,
    read: Reader,
}

impl Support {
    /// The name with its domain, if that is not the standard one.
    pub fn qualified_name(&self) -> String {
        if self.domain.is_empty() { self.op.into() } else { format!("{}.{}", self.domain, self.op) }
    }

    /// The first opset, of its domain, in which the operator is read.
    pub fn since(&self) -> i64 {
        if !self.domain.is_empty() {
            return self.versions.first().copied().unwrap_or(1);
        }
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
    if !TABLE.iter().any(|row| row.domain == domain) {
        return unsupported!("operators of domain '{domain}' are not supported");
    }
    if opset == 0 {
        return match domain {
            "" => corrupt!("the model declares no opset of the standard operators"),
            _ => corrupt!("the model declares no opset of domain '{domain}'"),
        };
    }
    match TABLE.iter().find(|row| row.op == op && row.domain == domain) {
        None => unsupported!("the operator is not supported"),
        Some(row) if opset < row.since() => {
            unsupported!("the operator exists from opset {} on, the model declares {opset}", row.since())
        }
        Some(row) => Ok(row.read),
    }
}

const fn row(op: &'static str, versions: &'static [i64], note: &'static str, read: Reader) -> Support {
    Support { domain: "", op, versions, note, read }
}

/// An operator of ONNX Runtime's own, which exist since version 1 of their domain.
const fn microsoft(op: &'static str, note: &'static str, read: Reader) -> Support {
    Support { domain: "com.microsoft", op, versions: &[1], note, read }
}

const ROI_BOUND: &str = "sampling_ratio 0 with computed regions: none larger than the image";

const BYTES: &str = "8, 16 and 32-bit integers";
const ROUNDED_ONCE: &str = "as the operator on numbers, rounded once";

/// One row per operator, by name and domain.
#[rustfmt::skip]
const TABLE: &[Support] = &[
    row("Abs", &[1, 6, 13], "", math::unary),
    row("Acos", &[7, 22], "", math::unary),
    row("Acosh", &[9, 22], "", math::unary),
    row("Add", &[1, 6, 7, 13, 14], "", math::binary),
    row("AffineGrid", &[20], "", vision::affine_grid),
    row("And", &[1, 7], "", math::binary),
    row("ArgMax", &[1, 11, 12, 13], "", reduce::arg_extreme),
    row("ArgMin", &[1, 11, 12, 13], "", reduce::arg_extreme),
    row("Asin", &[7, 22], "", math::unary),
    row("Asinh", &[9, 22], "", math::unary),
    row("Atan", &[7, 22], "", math::unary),
    row("Atanh", &[9, 22], "", math::unary),
    row("Attention", &[23, 24], "softmax in the precision of its operands", attention::attention),
    row("AveragePool", &[1, 7, 10, 11, 19, 22], "", pool::average_pool),
    row("BatchNormalization", &[1, 6, 7, 9, 14, 15], "", norm::batch_normalization),
    row("BitShift", &[11], "", math::bit_shift),
    row("BitwiseAnd", &[18], "", math::binary),
    row("BitwiseNot", &[18], "", math::unary),
    row("BitwiseOr", &[18], "", math::binary),
    row("BitwiseXor", &[18], "", math::binary),
    row("Cast", &[1, 6, 9, 13, 19, 21, 23, 24, 25], "to 8-bit floats and 4-bit integers: not supported", math::cast),
    row("CastLike", &[15, 19, 21, 23, 24, 25], "as Cast", math::cast_like),
    row("Ceil", &[1, 6, 13], "", math::unary),
    row("Celu", &[12], "", activation::celu),
    row("CenterCropPad", &[18], "", indexed::center_crop_pad),
    row("Clip", &[1, 6, 11, 12, 13], "", math::clip),
    row("Col2Im", &[18], "", indexed::col2im),
    row("Compress", &[9, 11], "the condition is known when the model is specialised", indexed::compress),
    row("Concat", &[1, 4, 11, 13], "", shape::concat),
    row("Constant", &[1, 9, 11, 12, 13, 19, 21, 23, 24, 25], "dense numbers only", constant::constant),
    row("ConstantOfShape", &[9, 20, 21, 23, 24, 25], "", constant::constant_of_shape),
    row("Conv", &[1, 11, 22], "", conv::conv),
    row("ConvInteger", &[10], "", quant::conv_integer),
    row("ConvTranspose", &[1, 11, 22], "", conv::conv_transpose),
    row("Cos", &[7, 22], "", math::unary),
    row("Cosh", &[9, 22], "", math::unary),
    row("CumProd", &[26], "", reduce::cumulative),
    row("CumSum", &[11, 14], "", reduce::cumulative),
    row("DeformConv", &[19, 22], "", vision::deform_conv),
    row("DepthToSpace", &[1, 11, 13], "", shape::depth_to_space),
    row("DequantizeLinear", &[10, 13, 19, 21, 23, 24, 25], BYTES, quant::dequantize),
    microsoft("DequantizeLinear", BYTES, quant::dequantize),
    row("Div", &[1, 6, 7, 13, 14], "an integer divided by 0 is 0", math::binary),
    row("Dropout", &[1, 6, 7, 10, 12, 13, 22], "inference only; output mask is not computed", norm::dropout),
    microsoft("DynamicQuantizeLSTM", "weights become numbers; activations are not quantised", recurrent::dynamic_quantize_lstm),
    row("DynamicQuantizeLinear", &[11], "", quant::dynamic_quantize),
    row("Einsum", &[12], "", einsum::einsum),
    row("Elu", &[1, 6, 22], "", math::elu),
    row("Equal", &[1, 7, 11, 13, 19], "", math::compare),
    row("Erf", &[9, 13], "", math::unary),
    row("Exp", &[1, 6, 13], "", math::unary),
    row("Expand", &[8, 13], "", shape::expand),
    row("EyeLike", &[9, 22], "", indexed::eye_like),
    row("Flatten", &[1, 9, 11, 13, 21, 23, 24, 25], "", shape::flatten),
    row("Floor", &[1, 6, 13], "", math::unary),
    row("GRU", &[7, 14, 22], "", recurrent::gru),
    row("Gather", &[1, 11, 13], "", shape::gather),
    row("GatherElements", &[11, 13], "", indexed::gather_elements),
    row("GatherND", &[11, 12, 13], "", indexed::gather_nd),
    row("Gelu", &[20], "", activation::gelu),
    row("Gemm", &[1, 6, 7, 9, 11, 13], "", math::gemm),
    row("GlobalAveragePool", &[1, 22], "", pool::global_pool),
    row("GlobalLpPool", &[2, 22], "", pool::global_lp_pool),
    row("GlobalMaxPool", &[1, 22], "", pool::global_pool),
    row("Greater", &[1, 7, 9, 13], "", math::compare),
    row("GreaterOrEqual", &[12, 16], "", math::compare),
    row("GridSample", &[16, 20, 22], "", vision::grid_sample),
    row("GroupNormalization", &[18, 21], "", norm::group_normalization),
    row("HardSigmoid", &[1, 6, 22], "", math::hard_sigmoid),
    row("HardSwish", &[14, 22], "", math::unary),
    row("Hardmax", &[1, 11, 13], "", norm::hardmax),
    row("Identity", &[1, 13, 14, 16, 19, 21, 23, 24, 25], "tensors only", shape::identity),
    row("If", &[1, 11, 13, 16, 19, 21, 23, 24, 25], "condition from constants and shapes", control::if_),
    row("InstanceNormalization", &[1, 6, 22], "", norm::instance_normalization),
    row("IsInf", &[10, 20], "", activation::is_inf),
    row("IsNaN", &[9, 13, 20], "", activation::is_nan),
    row("LRN", &[1, 13], "", norm::lrn),
    row("LSTM", &[7, 14, 22], "", recurrent::lstm),
    row("LayerNormalization", &[17], "", norm::layer_normalization),
    row("LeakyRelu", &[1, 6, 16], "", math::leaky_relu),
    row("Less", &[1, 7, 9, 13], "", math::compare),
    row("LessOrEqual", &[12, 16], "", math::compare),
    row("Log", &[1, 6, 13], "", math::unary),
    row("LogSoftmax", &[1, 11, 13], "", norm::softmax),
    row("LpNormalization", &[1, 22], "", norm::lp_normalization),
    row("LpPool", &[2, 11, 18, 22], "", pool::lp_pool),
    row("MatMul", &[1, 9, 13], "", math::matmul),
    row("MatMulInteger", &[10], "", quant::matmul_integer),
    row("Max", &[1, 6, 8, 12, 13], "", math::fold),
    row("MaxPool", &[1, 8, 10, 11, 12, 22], "", pool::max_pool),
    row("MaxRoiPool", &[1, 22], "", vision::max_roi_pool),
    row("MaxUnpool", &[9, 11, 22], "", indexed::max_unpool),
    row("Mean", &[1, 6, 8, 13], "", math::fold),
    row("MeanVarianceNormalization", &[9, 13], "", norm::mean_variance_normalization),
    row("Min", &[1, 6, 8, 12, 13], "", math::fold),
    row("Mish", &[18, 22], "", math::unary),
    row("Mod", &[10, 13], "", math::modulo),
    row("Mul", &[1, 6, 7, 13, 14], "", math::binary),
    row("Neg", &[1, 6, 13], "", math::unary),
    row("NegativeLogLikelihoodLoss", &[12, 13, 22], "", loss::negative_log_likelihood_loss),
    row("Not", &[1], "", math::unary),
    row("OneHot", &[9, 11], "", indexed::one_hot),
    row("Or", &[1, 7], "", math::binary),
    row("PRelu", &[1, 6, 7, 9, 16], "", math::prelu),
    row("Pad", &[1, 2, 11, 13, 18, 19, 21, 23, 24, 25], "", shape::pad),
    row("Pow", &[1, 7, 12, 13, 15], "", math::binary),
    microsoft("QGemm", "", quant::qgemm),
    microsoft("QLinearAdd", ROUNDED_ONCE, quant::qlinear_binary),
    microsoft("QLinearAveragePool", ROUNDED_ONCE, quant::qlinear_average_pool),
    microsoft("QLinearConcat", ROUNDED_ONCE, quant::qlinear_concat),
    row("QLinearConv", &[10], "", quant::qlinear_conv),
    microsoft("QLinearGlobalAveragePool", ROUNDED_ONCE, quant::qlinear_global_average_pool),
    microsoft("QLinearLeakyRelu", ROUNDED_ONCE, quant::qlinear_leaky_relu),
    row("QLinearMatMul", &[10, 21], "scale and zero point of the output: one each", quant::qlinear_matmul),
    microsoft("QLinearMul", ROUNDED_ONCE, quant::qlinear_binary),
    microsoft("QLinearSigmoid", ROUNDED_ONCE, quant::qlinear_sigmoid),
    row("QuantizeLinear", &[10, 13, 19, 21, 23, 24, 25], "to 8 and 16-bit integers", quant::quantize),
    microsoft("QuantizeLinear", "to 8 and 16-bit integers", quant::quantize),
    row("RMSNormalization", &[23], "", norm::rms_normalization),
    row("RNN", &[7, 14, 22], "", recurrent::rnn),
    row("Range", &[11, 27], "", constant::range),
    row("Reciprocal", &[1, 6, 13], "", math::unary),
    row("ReduceL1", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceL2", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceLogSum", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceLogSumExp", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceMax", &[1, 11, 12, 13, 18, 20], "", reduce::reduce),
    row("ReduceMean", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceMin", &[1, 11, 12, 13, 18, 20], "", reduce::reduce),
    row("ReduceProd", &[1, 11, 13, 18], "", reduce::reduce),
    row("ReduceSum", &[1, 11, 13], "", reduce::reduce),
    row("ReduceSumSquare", &[1, 11, 13, 18], "", reduce::reduce),
    row("Relu", &[1, 6, 13, 14], "", math::unary),
    row("Reshape", &[1, 5, 13, 14, 19, 21, 23, 24, 25], "", shape::reshape),
    row("Resize", &[10, 11, 13, 18, 19], "opset 10 as asymmetric, floor", resize::resize),
    row("ReverseSequence", &[10], "", indexed::reverse_sequence),
    row("RoiAlign", &[10, 16, 22], ROI_BOUND, vision::roi_align),
    row("RotaryEmbedding", &[23], "", attention::rotary_embedding),
    row("Round", &[11, 22], "", math::unary),
    row("Scatter", &[9, 11], "read as ScatterElements", indexed::scatter_elements),
    row("ScatterElements", &[11, 13, 16, 18], "", indexed::scatter_elements),
    row("ScatterND", &[11, 13, 16, 18], "", indexed::scatter_nd),
    row("Selu", &[1, 6, 22], "", activation::selu),
    row("Shape", &[1, 13, 15, 19, 21, 23, 24, 25], "", shape::shape),
    row("Shrink", &[9], "", activation::shrink),
    row("Sigmoid", &[1, 6, 13], "", math::unary),
    row("Sign", &[9, 13], "", math::unary),
    row("Sin", &[7, 22], "", math::unary),
    row("Sinh", &[9, 22], "", math::unary),
    row("Size", &[1, 13, 19, 21, 23, 24, 25], "", shape::size),
    row("Slice", &[1, 10, 11, 13], "", shape::slice),
    row("Softmax", &[1, 11, 13], "", norm::softmax),
    row("SoftmaxCrossEntropyLoss", &[12, 13], "", loss::softmax_cross_entropy_loss),
    row("Softplus", &[1, 22], "", math::unary),
    row("Softsign", &[1, 22], "", math::unary),
    row("SpaceToDepth", &[1, 13], "", shape::space_to_depth),
    row("Split", &[1, 2, 11, 13, 18], "", shape::split),
    row("Sqrt", &[1, 6, 13], "", math::unary),
    row("Squeeze", &[1, 11, 13, 21, 23, 24, 25], "", shape::squeeze),
    row("Sub", &[1, 6, 7, 13, 14], "", math::binary),
    row("Sum", &[1, 6, 8, 13], "", math::fold),
    row("Swish", &[24], "", activation::swish),
    row("Tan", &[7, 22], "", math::unary),
    row("Tanh", &[1, 6, 13], "", math::unary),
    row("TensorScatter", &[24], "", indexed::tensor_scatter),
    row("ThresholdedRelu", &[10, 22], "", activation::thresholded_relu),
    row("Tile", &[1, 6, 13], "", shape::tile),
    row("TopK", &[1, 10, 11, 24], "", reduce::top_k),
    row("Transpose", &[1, 13, 21, 23, 24, 25], "", shape::transpose),
    row("Trilu", &[14], "", indexed::trilu),
    row("Unsqueeze", &[1, 11, 13, 21, 23, 24, 25], "", shape::unsqueeze),
    row("Upsample", &[1, 7, 9, 10], "read as Resize: asymmetric, floor", resize::upsample),
    row("Where", &[9, 16], "", math::where_),
    row("Xor", &[1, 7], "", math::binary),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_opsets_that_exist() {
        assert!(TABLE.is_sorted_by(|a, b| (a.op, a.domain) < (b.op, b.domain)));
        for row in TABLE {
            assert!(row.versions.is_sorted_by(|a, b| a < b), "{}", row.op);
            assert!((1..=MAX_OPSET).contains(&row.versions[0]), "{}", row.op);
        }
    }

    #[test]
    fn operators_are_found_by_domain_name_and_opset() {
        assert!(reader("", "Conv", 1).is_ok());
        assert!(reader("", "HardSwish", 14).is_ok());
        assert!(reader("", "HardSwish", 13).is_err());
        assert!(reader("com.microsoft", "QLinearAdd", 1).is_ok());
        assert!(reader("com.microsoft", "QLinearAdd", 0).is_err());
        assert!(reader("com.microsoft", "Conv", 1).is_err());
        assert!(reader("", "QLinearAdd", 21).is_err());
        assert!(reader("org.example", "Conv", 1).is_err());
        assert!(reader("", "Loop", 13).is_err());
    }
}
