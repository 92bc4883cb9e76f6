//! What ONNX calls the variants of operators: one table for both directions.

use octrt_ops::def::binary::BinaryKind;
use octrt_ops::def::bit_shift::ShiftDirection;
use octrt_ops::def::compare::CompareKind;
use octrt_ops::def::depth_to_space::DepthOrder;
use octrt_ops::def::gelu::GeluForm;
use octrt_ops::def::global_pool::GlobalPoolKind;
use octrt_ops::def::pad::PadMode;
use octrt_ops::def::reduce::ReduceKind;
use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, ResizeMode};
use octrt_ops::def::scatter::ScatterReduction;
use octrt_ops::def::tensor_scatter::CacheMode;
use octrt_ops::def::unary::UnaryKind;
use octrt_ops::window::AutoPad;

/// ONNX names and what they stand for.
pub(crate) type Names<T> = &'static [(&'static str, T)];

/// The ONNX name of `value`; every variant is in its table.
pub(crate) fn name_of<T: PartialEq>(names: Names<T>, value: &T) -> &'static str {
    names.iter().find(|(_, v)| v == value).map_or("", |(name, _)| name)
}

/// What `name` stands for.
pub(crate) fn value_of<T: Copy>(names: Names<T>, name: &str) -> Option<T> {
    names.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
}

pub(crate) const AUTO_PAD: Names<AutoPad> = &[
    ("NOTSET", AutoPad::NotSet),
    ("SAME_UPPER", AutoPad::SameUpper),
    ("SAME_LOWER", AutoPad::SameLower),
    ("VALID", AutoPad::Valid),
];

pub(crate) const UNARY: Names<UnaryKind> = &[
    ("Abs", UnaryKind::Abs),
    ("Neg", UnaryKind::Neg),
    ("Sqrt", UnaryKind::Sqrt),
    ("Exp", UnaryKind::Exp),
    ("Log", UnaryKind::Log),
    ("Relu", UnaryKind::Relu),
    ("Sigmoid", UnaryKind::Sigmoid),
    ("Tanh", UnaryKind::Tanh),
    ("Erf", UnaryKind::Erf),
    ("Softplus", UnaryKind::Softplus),
    ("Softsign", UnaryKind::Softsign),
    ("HardSwish", UnaryKind::HardSwish),
    ("Floor", UnaryKind::Floor),
    ("Ceil", UnaryKind::Ceil),
    ("Round", UnaryKind::Round),
    ("Reciprocal", UnaryKind::Reciprocal),
    ("Not", UnaryKind::Not),
    ("BitwiseNot", UnaryKind::BitwiseNot),
    ("Sign", UnaryKind::Sign),
    ("Mish", UnaryKind::Mish),
    ("Sin", UnaryKind::Sin),
    ("Cos", UnaryKind::Cos),
    ("Tan", UnaryKind::Tan),
    ("Asin", UnaryKind::Asin),
    ("Acos", UnaryKind::Acos),
    ("Atan", UnaryKind::Atan),
    ("Sinh", UnaryKind::Sinh),
    ("Cosh", UnaryKind::Cosh),
    ("Asinh", UnaryKind::Asinh),
    ("Acosh", UnaryKind::Acosh),
    ("Atanh", UnaryKind::Atanh),
];

pub(crate) const BINARY: Names<BinaryKind> = &[
    ("Add", BinaryKind::Add),
    ("Sub", BinaryKind::Sub),
    ("Mul", BinaryKind::Mul),
    ("Div", BinaryKind::Div),
    ("Pow", BinaryKind::Pow),
    ("Max", BinaryKind::Max),
    ("Min", BinaryKind::Min),
    ("And", BinaryKind::And),
    ("Or", BinaryKind::Or),
    ("Xor", BinaryKind::Xor),
    ("BitwiseAnd", BinaryKind::BitwiseAnd),
    ("BitwiseOr", BinaryKind::BitwiseOr),
    ("BitwiseXor", BinaryKind::BitwiseXor),
];

pub(crate) const COMPARE: Names<CompareKind> = &[
    ("Equal", CompareKind::Equal),
    ("Less", CompareKind::Less),
    ("LessOrEqual", CompareKind::LessOrEqual),
    ("Greater", CompareKind::Greater),
    ("GreaterOrEqual", CompareKind::GreaterOrEqual),
];

pub(crate) const REDUCE: Names<ReduceKind> = &[
    ("ReduceMean", ReduceKind::Mean),
    ("ReduceSum", ReduceKind::Sum),
    ("ReduceMax", ReduceKind::Max),
    ("ReduceMin", ReduceKind::Min),
];

pub(crate) const GLOBAL_POOL: Names<GlobalPoolKind> =
    &[("GlobalAveragePool", GlobalPoolKind::Average), ("GlobalMaxPool", GlobalPoolKind::Max)];

pub(crate) const DEPTH_ORDER: Names<DepthOrder> = &[("DCR", DepthOrder::Dcr), ("CRD", DepthOrder::Crd)];

pub(crate) const PAD_MODE: Names<PadMode> = &[
    ("constant", PadMode::Constant),
    ("reflect", PadMode::Reflect),
    ("edge", PadMode::Edge),
    ("wrap", PadMode::Wrap),
];

pub(crate) const RESIZE_MODE: Names<ResizeMode> =
    &[("nearest", ResizeMode::Nearest), ("linear", ResizeMode::Linear), ("cubic", ResizeMode::Cubic)];

pub(crate) const COORDINATES: Names<CoordinateTransform> = &[
    ("half_pixel", CoordinateTransform::HalfPixel),
    ("half_pixel_symmetric", CoordinateTransform::HalfPixelSymmetric),
    ("pytorch_half_pixel", CoordinateTransform::PytorchHalfPixel),
    ("align_corners", CoordinateTransform::AlignCorners),
    ("asymmetric", CoordinateTransform::Asymmetric),
    ("tf_half_pixel_for_nn", CoordinateTransform::TfHalfPixelForNn),
    ("tf_crop_and_resize", CoordinateTransform::TfCropAndResize),
];

pub(crate) const NEAREST_MODE: Names<NearestMode> = &[
    ("round_prefer_floor", NearestMode::RoundPreferFloor),
    ("round_prefer_ceil", NearestMode::RoundPreferCeil),
    ("floor", NearestMode::Floor),
    ("ceil", NearestMode::Ceil),
];

pub(crate) const ASPECT: Names<AspectPolicy> = &[
    ("stretch", AspectPolicy::Stretch),
    ("not_larger", AspectPolicy::NotLarger),
    ("not_smaller", AspectPolicy::NotSmaller),
];

pub(crate) const GELU: Names<GeluForm> = &[("none", GeluForm::Erf), ("tanh", GeluForm::Tanh)];

pub(crate) const SHIFT: Names<ShiftDirection> =
    &[("LEFT", ShiftDirection::Left), ("RIGHT", ShiftDirection::Right)];

pub(crate) const SCATTER: Names<ScatterReduction> = &[
    ("none", ScatterReduction::Replace),
    ("add", ScatterReduction::Add),
    ("mul", ScatterReduction::Mul),
    ("max", ScatterReduction::Max),
    ("min", ScatterReduction::Min),
];

pub(crate) const CACHE_MODE: Names<CacheMode> =
    &[("linear", CacheMode::Linear), ("circular", CacheMode::Circular)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_a_name() {
        fn complete<T: PartialEq + Copy>(names: Names<T>, all: &[T]) {
            assert_eq!(names.len(), all.len());
            assert!(all.iter().all(|v| value_of(names, name_of(names, v)) == Some(*v)));
        }
        complete(AUTO_PAD, AutoPad::ALL);
        complete(UNARY, UnaryKind::ALL);
        complete(BINARY, BinaryKind::ALL);
        complete(COMPARE, CompareKind::ALL);
        complete(REDUCE, ReduceKind::ALL);
        complete(GLOBAL_POOL, GlobalPoolKind::ALL);
        complete(DEPTH_ORDER, DepthOrder::ALL);
        complete(PAD_MODE, PadMode::ALL);
        complete(RESIZE_MODE, ResizeMode::ALL);
        complete(COORDINATES, CoordinateTransform::ALL);
        complete(NEAREST_MODE, NearestMode::ALL);
        complete(ASPECT, AspectPolicy::ALL);
        complete(GELU, GeluForm::ALL);
        complete(SHIFT, ShiftDirection::ALL);
        complete(SCATTER, ScatterReduction::ALL);
        complete(CACHE_MODE, CacheMode::ALL);
    }
}
