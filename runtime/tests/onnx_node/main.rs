//! The ONNX backend's node tests: `OCTRT_ONNX_NODE` = the folder `onnx/backend/test/data/node` of the wheel of onnx 1.22.0.
//!
//! Every test whose operators are listed below and whose tensors are of a supported element type gives the stored
//! outputs, in the interpreter and as machine code, with the backend's own tolerances. Tests that do not are named in
//! `EXCLUDED` with the reason, and one that is named there but passes is a failure too.
//!
//! Models that get shapes, axes and the like as inputs are compiled for what these inputs hold; they are counted.
#![allow(missing_docs)]

mod case;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use case::{Case, Outcome};
use support::{folders, stem};

/// Operators that must work; all are of the standard domain.
#[rustfmt::skip]
const LISTED: &[&str] = &[
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "Conv", "ConvTranspose", "DepthToSpace", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp",
    "Expand", "Flatten", "Floor", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual",
    "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max",
    "MaxPool", "Mean", "Min", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize", "Round", "Shape", "Sigmoid", "Slice",
    "Softmax", "Softplus", "Softsign", "SpaceToDepth", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile",
    "Transpose", "Unsqueeze", "Upsample", "Where", "Xor",
];

const TRAINING: &str = "training mode";
const INDICES: &str = "optional output Indices";
const MASK: &str = "optional output mask";
const OLD: &str = "the model declares opset 1; models of opset 7 and later are read";

/// Tests of listed operators that need not pass: the whole name, and why.
const EXCLUDED: &[(&str, &str)] = &[
    ("test_batchnorm_epsilon_training_mode", TRAINING),
    ("test_batchnorm_example_training_mode", TRAINING),
    ("test_dropout_default_mask", MASK),
    ("test_dropout_default_mask_ratio", MASK),
    ("test_maxpool_with_argmax_2d_precomputed_pads", INDICES),
    ("test_maxpool_with_argmax_2d_precomputed_strides", INDICES),
    ("test_not_2d", OLD),
    ("test_not_3d", OLD),
    ("test_not_4d", OLD),
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
    /// By the number of inputs that decided shapes by what they held.
    passed: BTreeMap<usize, usize>,
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
            (None, Outcome::Passed(values)) => *self.passed.entry(values).or_default() += 1,
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
    for (values, n) in &summary.passed {
        println!("  passed, {values} inputs decide shapes: {n}");
    }
    for (reason, n) in &summary.excluded {
        println!("  excluded, {reason}: {n}");
    }
    let unknown = EXCLUDED.iter().filter(|(name, _)| !names.iter().any(|n| n == name));
    summary.failures.extend(unknown.map(|(name, _)| format!("{name}: is excluded, but does not exist")));
    let failures = &summary.failures;
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    let with_values: usize = summary.passed.range(1..).map(|(_, n)| n).sum();
    assert!(with_values >= 175, "{with_values} tests have inputs that decide shapes");
    assert!(summary.total > 1700, "{} tests in {}", summary.total, folder.display());
}
