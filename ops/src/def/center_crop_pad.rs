//! Cuts or extends axes to given extents around their centres; what is new is 0. Of an odd difference the smaller half is
//! cut or added before.
//!
//! Inputs: data of any type; shape, the extents of the axes that the attribute names (integers, known before the run),
//! which are all by default.
//!
//! Errors: axes out of range or named twice, another number of extents, negative ones. Mirrors ONNX CenterCropPad-18.

use crate::arg::{Args, known_args};
use crate::axes::{extent, required_ints, resolve_axes};
use crate::compute::Compute;
use crate::def::pad::{Pad, PadAxis, PadMode};
use crate::elements::{Walk, input, positions, take, zero_bytes};
use crate::error::OpError;
use crate::expr::{Expr, Scalar};
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Cuts or extends axes around their centres.
#[derive(Clone, Debug, PartialEq)]
pub struct CenterCropPad {
    /// The axes that get new extents; none: all.
    pub axes: Option<Vec<i64>>,
}

crate::attributes!(CenterCropPad { axes });

impl CenterCropPad {
    fn problem(&self, args: Args<'_>) -> Result<(TensorType, Vec<PadAxis>), OpError> {
        let x = args.required(0, "input_data")?;
        let extents = required_ints(args, 1, "shape")?;
        let axes = match &self.axes {
            Some(axes) => resolve_axes(axes, x.shape.rank())?,
            None => (0..x.shape.rank()).collect(),
        };
        if extents.len() != axes.len() {
            return invalid!("shape: expected {} extents, found {}", axes.len(), extents.len());
        }
        let whole = |&d: &usize| PadAxis { begin: 0, first: 0, kept: d, output: d };
        let mut all: Vec<PadAxis> = x.shape.iter().map(whole).collect();
        for (&axis, &new) in axes.iter().zip(&extents) {
            let (d, output) = (x.shape[axis], extent(new.into(), "shape")?);
            all[axis] = PadAxis {
                begin: output.saturating_sub(d) / 2,
                first: d.saturating_sub(output) / 2,
                kept: d.min(output),
                output,
            };
        }
        let shape: Vec<usize> = all.iter().map(|a| a.output).collect();
        Ok((TensorType::new(x.dtype, shape), all))
    }
}

impl Operator for CenterCropPad {
    fn name(&self) -> &'static str {
        "CenterCropPad"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.0])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (ty, axes) = self.problem(args)?;
        let zero = Scalar::zero(ty.dtype);
        if ty.shape.numel() == 0 || axes.iter().any(|a| a.kept == 0) {
            return Ok(Compute::filled(ty, zero));
        }
        let mut c = Compute::new();
        let src = c.input(0, &args.required(0, "input_data")?);
        let pad = Pad { mode: PadMode::Constant };
        let (index, inside): (Vec<_>, Vec<_>) = axes.iter().enumerate().map(|(k, a)| pad.index(k, a)).unzip();
        let element = Expr::load(src, index);
        let body = match inside.into_iter().flatten().reduce(Expr::and) {
            Some(inside) => inside.select(element, Expr::Const(zero)),
            None => element,
        };
        let out = c.map("center_crop_pad", ty, body);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let (ty, axes) = self.problem(Args(&known_args(inputs)))?;
        let x = input(inputs, 0, "input_data")?;
        ty.shape.checked_bytes(ty.dtype)?;
        let source = |a: &PadAxis, i: usize| {
            let at = i.checked_sub(a.begin)?;
            (at < a.kept).then_some(a.first + at)
        };
        let walk = |(a, stride): (&PadAxis, usize)| Walk {
            stride,
            indices: (0..a.output).map(|i| source(a, i)).collect(),
        };
        if ty.shape.numel() == 0 {
            return Ok(vec![Tensor::from_bytes(ty, Vec::new())?]);
        }
        let walks: Vec<Walk> = axes.iter().zip(x.shape().strides()).map(walk).collect();
        Ok(vec![take(x, &positions(&walks)?, ty.shape, &zero_bytes(ty.dtype))?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn cuts_and_extends() {
        let x = t([5], &[1i64, 2, 3, 4, 5]);
        let of = |axes: Option<Vec<i64>>, to: i64| {
            run(&CenterCropPad { axes }, &[&x, &t([1], &[to])]).unwrap().to_vec::<i64>().unwrap()
        };
        assert_eq!(of(None, 3), [2, 3, 4]);
        assert_eq!(of(None, 2), [2, 3]);
        assert_eq!(of(None, 8), [0, 1, 2, 3, 4, 5, 0, 0]);
        assert_eq!(of(Some(vec![-1]), 5), [1, 2, 3, 4, 5]);
        assert_eq!(of(None, 0), [0i64; 0]);
        let y = run(&CenterCropPad { axes: None }, &[&t([1, 3], &[1u8, 2, 3]), &t([2], &[2i32, 1])]);
        assert_eq!(y, Ok(t([2, 1], &[2u8, 0])));
        let empty = run(&CenterCropPad { axes: None }, &[&t::<bool>([0], &[]), &t([1], &[2i64])]);
        assert_eq!(empty, Ok(t([2], &[false, false])));
        let kept = run(&CenterCropPad { axes: Some(vec![]) }, &[&x, &t::<i64>([0], &[])]);
        assert_eq!(kept, Ok(x.clone()));
    }

    #[test]
    fn errors() {
        let x = t([2, 3], &[1i64, 2, 3, 4, 5, 6]);
        let of =
            |axes: Option<Vec<i64>>, to: &[i64]| error(&CenterCropPad { axes }, &[&x, &t([to.len()], to)]);
        assert_eq!(of(None, &[1]), "shape: expected 2 extents, found 1");
        assert!(of(Some(vec![2]), &[1]).contains("found 2"));
        assert!(of(Some(vec![1, -1]), &[1, 1]).contains("twice"));
        assert!(of(None, &[1, -1]).contains("found -1"));
    }
}
