//! The ONNX backend's node tests: `OCTRT_ONNX_NODE` = the folder `onnx/backend/test/data/node` of the wheel of onnx 1.22.0.
//!
//! Every test whose operators are listed below and whose tensors are of a supported element type gives the stored
//! outputs, in the interpreter and as machine code, with the backend's own tolerances. Tests that do not are named in
//! `EXCLUDED` with the reason, and one that is named there but passes is a failure too.
//!
//! Shapes that depend on data are refused by design. A test that hands shapes, axes and the like to the model as
//! inputs is tried as it is first; if it is refused for that reason, its integers become initializers, then all inputs
//! but the first, then all.
#![allow(missing_docs)]

mod case;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use case::{Case, Constants, Outcome};
use support::{folders, stem};

/// Operators that must work; all are of the standard domain.
#[rustfmt::skip]
const LISTED: &[&str] = &[
    "Abs", "Acos", "Acosh", "Add", "AffineGrid", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh",
    "Attention", "AveragePool", "BatchNormalization", "BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr",
    "BitwiseXor", "Cast", "CastLike", "Ceil", "Celu", "CenterCropPad", "Clip", "Col2Im", "Compress", "Concat",
    "Constant", "ConstantOfShape", "Conv", "ConvInteger", "ConvTranspose", "Cos", "Cosh", "CumProd", "CumSum",
    "DeformConv", "DepthToSpace", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum", "Elu",
    "Equal", "Erf", "Exp", "Expand", "EyeLike", "Flatten", "Floor", "GRU", "Gather", "GatherElements", "GatherND",
    "Gelu", "Gemm", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample",
    "GroupNormalization", "HardSigmoid", "HardSwish", "Hardmax", "Identity", "If", "InstanceNormalization", "IsInf",
    "IsNaN", "LRN", "LSTM", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax",
    "LpNormalization", "LpPool", "MatMul", "MatMulInteger", "Max", "MaxPool", "MaxRoiPool", "MaxUnpool", "Mean",
    "MeanVarianceNormalization", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow",
    "QLinearConv", "QLinearMatMul", "QuantizeLinear", "RMSNormalization", "RNN", "Range", "Reciprocal", "ReduceL1",
    "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "Resize", "ReverseSequence", "RoiAlign", "RotaryEmbedding", "Round",
    "Scatter", "ScatterElements", "ScatterND", "Selu", "Shape", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Size",
    "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish",
    "Tan", "Tanh", "TensorScatter", "ThresholdedRelu", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Upsample",
    "Where", "Xor",
];

const TRAINING: &str = "training mode";
const MASK: &str = "optional output mask";
const DIVISOR: &str =
    "the divisor of align_corners is in * scale - 1 there; PyTorch and ONNX Runtime round in * scale down";

/// Tests of listed operators that need not pass: the whole name, and why.
const EXCLUDED: &[(&str, &str)] = &[
    ("test_dropout_default_mask", MASK),
    ("test_dropout_default_mask_ratio", MASK),
    ("test_resize_downsample_scales_cubic_align_corners", DIVISOR),
    ("test_resize_downsample_scales_linear_align_corners", DIVISOR),
    ("test_training_dropout", TRAINING),
    ("test_training_dropout_default", TRAINING),
    ("test_training_dropout_default_mask", TRAINING),
    ("test_training_dropout_mask", TRAINING),
    ("test_training_dropout_zero_ratio", TRAINING),
    ("test_training_dropout_zero_ratio_mask", TRAINING),
];

/// Counts by reason.
#[derive(Default)]
struct Summary {
    total: usize,
    passed: BTreeMap<Constants, usize>,
    excluded: BTreeMap<String, usize>,
    failures: Vec<String>,
}

impl Summary {
    /// Whether a test need not pass.
    fn exclusion(case: &Case) -> Option<String> {
        let op = case.ops.iter().find(|op| !LISTED.contains(&op.as_str()));
        let by_name = EXCLUDED.iter().find(|(name, _)| *name == case.name);
        let listed = || by_name.map(|(_, why)| (*why).to_string());
        op.map(|_| "operator not listed".to_string()).or_else(|| case.foreign.clone()).or_else(listed)
    }

    fn add(&mut self, case: &Case) {
        self.total += 1;
        match (Summary::exclusion(case), case.run()) {
            (None, Outcome::Passed(constants)) => *self.passed.entry(constants).or_default() += 1,
            (None, Outcome::Failed(why)) => self.failures.push(format!("{}: {why}", case.name)),
            (Some(reason), Outcome::Failed(_)) => *self.excluded.entry(reason).or_default() += 1,
            (Some(reason), Outcome::Passed(_)) => {
                self.failures.push(format!("{}: passes, but is excluded: {reason}", case.name));
            }
        }
    }
}

#[test]
fn node_tests_of_listed_operators_pass() {
    let Some(folder) = std::env::var_os("OCTRT_ONNX_NODE").map(PathBuf::from) else {
        eprintln!("SKIPPED: OCTRT_ONNX_NODE is not set");
        return;
    };
    let folder = support::root().join(folder);
    let mut summary = Summary::default();
    let mut names = Vec::new();
    for dir in folders(&folder) {
        names.push(stem(&dir));
        summary.add(&Case::read(&dir));
    }
    println!("{} node tests", summary.total);
    for (constants, n) in &summary.passed {
        println!("  passed, {constants}: {n}");
    }
    for (reason, n) in &summary.excluded {
        println!("  excluded, {reason}: {n}");
    }
    let unknown = EXCLUDED.iter().filter(|(name, _)| !names.iter().any(|n| n == name));
    summary.failures.extend(unknown.map(|(name, _)| format!("{name}: is excluded, but does not exist")));
    let failures = &summary.failures;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(summary.total > 1700, "{} tests in {}", summary.total, folder.display());
}
