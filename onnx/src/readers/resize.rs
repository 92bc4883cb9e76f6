//! Resampling.

use octrt_ops::def::resize::{AspectPolicy, CoordinateTransform, NearestMode, Resize, ResizeMode};
use octrt_ops::{Tensor, ValueId};

use crate::error::{Fault, invalid};
use crate::names::{ASPECT, COORDINATES, NEAREST_MODE, RESIZE_MODE};
use crate::node::NodeReader;

/// `Resize`: data, roi, scales, sizes; in opset 10 data, scales, with the meaning of `Upsample`.
pub(crate) fn resize(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    if n.opset() == 10 {
        return upsample(n);
    }
    let op = Resize {
        mode: n.attrs.keyword("mode", RESIZE_MODE, ResizeMode::Nearest)?,
        coordinates: n.attrs.keyword(
            "coordinate_transformation_mode",
            COORDINATES,
            CoordinateTransform::HalfPixel,
        )?,
        nearest_mode: n.attrs.keyword("nearest_mode", NEAREST_MODE, NearestMode::RoundPreferFloor)?,
        cubic_coeff_a: n.attrs.float("cubic_coeff_a")?.unwrap_or(-0.75),
        exclude_outside: n.attrs.flag("exclude_outside")?,
        extrapolation_value: n.attrs.float("extrapolation_value")?.unwrap_or(0.0),
        antialias: n.attrs.flag("antialias")?,
        aspect: n.attrs.keyword("keep_aspect_ratio_policy", ASPECT, AspectPolicy::Stretch)?,
        axes: n.attrs.ints("axes")?.unwrap_or_default().to_vec(),
    };
    // Exporters write an omitted input also as a tensor without elements.
    let given = |v: &Option<ValueId>| v.filter(|v| n.tensor_of(*v).is_none_or(|t| t.numel() > 0));
    let mut inputs: Vec<Option<ValueId>> = n.inputs(1, 3)?.iter().map(given).collect();
    match (inputs[2], inputs[3]) {
        (None, None) => return invalid!("neither scales nor sizes are given"),
        (Some(_), Some(_)) => return invalid!("both scales and sizes are given"),
        _ => {}
    }
    if op.coordinates != CoordinateTransform::TfCropAndResize {
        inputs[1] = None;
    }
    n.emit(op, inputs)
}

/// `Upsample` and `Resize` of opset 10: positions `x / scale`, rounded down. The scales are an attribute before opset 9,
/// one each for rows and columns before opset 7, an input from opset 9 on. `bilinear` was `linear` before opset 7.
pub(crate) fn upsample(n: &mut NodeReader<'_>) -> Result<(), Fault> {
    const MODES: crate::names::Names<ResizeMode> =
        &[("nearest", ResizeMode::Nearest), ("linear", ResizeMode::Linear), ("bilinear", ResizeMode::Linear)];
    let op = Resize { mode: n.attrs.keyword("mode", MODES, ResizeMode::Nearest)?, ..Resize::nearest() };
    if n.opset() >= 9 {
        let inputs = n.inputs(2, 0)?;
        return n.emit(op, vec![inputs[0], None, inputs[1]]);
    }
    let scales = if n.opset() >= 7 {
        n.attrs.floats("scales")?.ok_or_else(|| missing("scales"))?.to_vec()
    } else {
        let mut scale = |name| n.attrs.float(name)?.ok_or_else(|| missing(name));
        vec![1.0, 1.0, scale("height_scale")?, scale("width_scale")?]
    };
    let data = n.inputs(1, 0)?[0];
    let scales = Tensor::new([scales.len()], &scales).map_err(|e| Fault::Invalid(e.to_string()))?;
    let scales = n.constant("scales", scales);
    n.emit(op, vec![data, None, Some(scales)])
}

fn missing(name: &str) -> Fault {
    Fault::Invalid(format!("attribute '{name}' is missing"))
}
