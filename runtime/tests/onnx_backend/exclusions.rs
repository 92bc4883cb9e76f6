//! Backend tests that need not pass, and why.

use crate::case::Case;

const TRAINING: &str = "training";
const RANDOM: &str = "random numbers";
const SIGNAL: &str = "signal processing";
const CLASSICAL: &str = "classical machine learning";
const TEXT: &str = "text";
const SEQUENCE: &str = "sequences and optionals";
const LOOP: &str = "subgraphs that run more than once";
const COUNT: &str = "the extents of its output depend on the elements of its input";
const PICTURE: &str = "pictures are decoded before a run";
const STATE: &str = "attention and convolution of language models, in preview";

/// Operators that octrt does not have.
#[rustfmt::skip]
const OPERATORS: &[(&str, &str)] = &[
    ("BitCast", "elements of another type with the same bits"),
    ("BlackmanWindow", SIGNAL),
    ("Bernoulli", RANDOM),
    ("CausalConvWithState", STATE),
    ("ConcatFromSequence", SEQUENCE),
    ("DFT", SIGNAL),
    ("Det", "determinants"),
    ("HammingWindow", SIGNAL),
    ("HannWindow", SIGNAL),
    ("ImageDecoder", PICTURE),
    ("LinearAttention", STATE),
    ("Loop", LOOP),
    ("MelWeightMatrix", SIGNAL),
    ("NonMaxSuppression", COUNT),
    ("NonZero", COUNT),
    ("OptionalGetElement", SEQUENCE),
    ("OptionalHasElement", SEQUENCE),
    ("RandomUniformLike", RANDOM),
    ("RegexFullMatch", TEXT),
    ("STFT", SIGNAL),
    ("Scan", LOOP),
    ("SequenceAt", SEQUENCE),
    ("SequenceConstruct", SEQUENCE),
    ("SequenceEmpty", SEQUENCE),
    ("SequenceErase", SEQUENCE),
    ("SequenceInsert", SEQUENCE),
    ("SequenceLength", SEQUENCE),
    ("SequenceMap", SEQUENCE),
    ("SplitToSequence", SEQUENCE),
    ("StringConcat", TEXT),
    ("StringNormalizer", TEXT),
    ("StringSplit", TEXT),
    ("TfIdfVectorizer", TEXT),
    ("Unique", COUNT),
    ("ai.onnx.ml.ArrayFeatureExtractor", CLASSICAL),
    ("ai.onnx.ml.Binarizer", CLASSICAL),
    ("ai.onnx.ml.LabelEncoder", CLASSICAL),
    ("ai.onnx.ml.TreeEnsemble", CLASSICAL),
    ("ai.onnx.preview.FlexAttention", STATE),
    ("ai.onnx.preview.training.Adagrad", TRAINING),
    ("ai.onnx.preview.training.Adam", TRAINING),
    ("ai.onnx.preview.training.Gradient", TRAINING),
    ("ai.onnx.preview.training.Momentum", TRAINING),
];

const MASK: &str = "optional output mask";
const DIVISOR: &str =
    "the divisor of align_corners is in * scale - 1 there; PyTorch and ONNX Runtime round in * scale down";

/// Single tests.
const NAMES: &[(&str, &str)] = &[
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

/// Why a test need not pass.
pub fn of(case: &Case) -> Option<String> {
    let op = OPERATORS.iter().find(|(op, _)| case.ops.contains(*op));
    let name = NAMES.iter().find(|(name, _)| *name == case.name).map(|(_, why)| (*why).to_string());
    let foreign = || case.foreign.first().map(|what| format!("element type or container {what}"));
    op.map(|(op, why)| format!("{op}: {why}")).or(name).or_else(foreign)
}

/// Tests and operators that are excluded and that no case has.
pub fn unknown(cases: &[Case]) -> impl Iterator<Item = &'static str> {
    let names = NAMES.iter().map(|(name, _)| *name);
    let ops = OPERATORS.iter().map(|(op, _)| *op);
    let names = names.filter(|name| !cases.iter().any(|c| c.name == *name));
    names.chain(ops.filter(|op| !cases.iter().any(|c| c.ops.contains(*op))))
}
