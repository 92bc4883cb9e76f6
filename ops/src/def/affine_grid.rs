//! A grid of positions from affine maps: ONNX `AffineGrid`, opset 20, for `GridSample`.
//!
//! ```text
//! grid[n, o.., i] = sum over j of theta[n, i, j] * base_j(o_j) + theta[n, i, r]
//! ```
//!
//! `base_j` are the centres of the elements along spatial axis `r - 1 - j` of an image that reaches from -1 to 1; with
//! `align_corners` the centres of the first and the last one are -1 and 1, and the centre of a single one is 0.
//!
//! Input 0 (`theta`): `[N, r, r + 1]`, f32 or f64, r 2 or 3. Input 1 (`size`): the shape `[N, C, o1 .. or]` of the image,
//! known integers. The output is `[N, o1 .. or, r]`, of theta's type. Errors: shapes that do not fit, a size that is negative.

use crate::arg::known_args;
use crate::axes::{extent, required_ints};
use crate::compute::{Compute, TABLE_ELEMENTS, tensor};
use crate::expr::{Expr, Scalar};
use crate::{Arg, Args, DType, OpError, Operator, Shape, Tensor, TensorType, attributes, invalid};

/// ONNX operator AffineGrid.
#[derive(Clone, Debug, PartialEq)]
pub struct AffineGrid {
    /// Whether -1 and 1 are the centres of the border elements, not their edges.
    pub align_corners: bool,
}

attributes!(AffineGrid { align_corners });

impl AffineGrid {
    fn problem<'a>(&self, args: Args<'a>) -> Result<(Arg<'a>, TensorType), OpError> {
        let theta = args.typed(0, "theta", DType::FLOATS)?;
        let size = required_ints(args, 1, "size")?;
        let size: Vec<usize> = size.iter().map(|&n| extent(n.into(), "size")).collect::<Result<_, _>>()?;
        let r = size.len().saturating_sub(2);
        if !(2..=3).contains(&r) {
            return invalid!("input 1 (size): expected four or five extents, found {size:?}");
        }
        let expected = [size[0], r, r + 1];
        if theta.shape.dims() != expected {
            return invalid!("input 0 (theta): expected {}, found {}", Shape::from(expected), theta.shape);
        }
        let dims = [&size[..1], &size[2..], &[r]].concat();
        let ty = TensorType::new(theta.dtype, dims);
        ty.shape.checked_bytes(ty.dtype)?;
        Ok((theta, ty))
    }

    /// The centre of element `o` of `n`.
    fn centre(&self, o: usize, n: usize) -> f64 {
        match (self.align_corners, n) {
            (true, 1) => 0.0,
            (true, _) => -1.0 + 2.0 * o as f64 / (n as f64 - 1.0),
            (false, _) => (2.0 * o as f64 + 1.0) / n as f64 - 1.0,
        }
    }
}

impl Operator for AffineGrid {
    fn name(&self) -> &'static str {
        "AffineGrid"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![self.problem(args)?.1])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let (theta, ty) = self.problem(args)?;
        if ty.shape.numel() == 0 {
            return Ok(Compute::filled(ty.clone(), Scalar::zero(ty.dtype)));
        }
        let mut c = Compute::new();
        let buf = c.input(0, &theta);
        let r = ty.shape.rank() - 2;
        let row = Expr::var(r + 1);
        let at = |j: usize| Expr::load(buf, [Expr::var(0), row.clone(), Expr::int(j)]);
        let mut sum = at(r);
        for j in 0..r {
            let axis = r - j;
            let n = ty.shape[axis];
            if n > TABLE_ELEMENTS {
                return Err(OpError::TooLarge(format!("an axis of the grid has {n} positions")));
            }
            let mut bytes = Vec::new();
            (0..n).for_each(|o| Scalar::F64(self.centre(o, n)).cast(ty.dtype).write(&mut bytes));
            let table = c.table(Tensor::from_bytes(TensorType::new(ty.dtype, [n]), bytes)?);
            sum = sum + at(j) * Expr::load(table, [Expr::var(axis)]);
        }
        let out = c.map("grid", ty, sum);
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let args = known_args(inputs);
        let (_, ty) = self.problem(Args(&args))?;
        let theta = Args(&args).known(0, "theta")?.to_f64s();
        let r = ty.shape.rank() - 2;
        let mut out = Vec::new();
        for index in ty.shape.indices() {
            let row = &theta[(index[0] * r + index[r + 1]) * (r + 1)..][..=r];
            let position = |j: usize| self.centre(index[r - j], ty.shape[r - j]);
            let sum = (0..r).map(|j| row[j] * position(j)).sum::<f64>() + row[r];
            out.push(Scalar::F64(sum).cast(ty.dtype));
        }
        Ok(vec![tensor(&ty, &out)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn hand_computed() {
        let theta = t([1, 2, 3], &[1.0f32, 10.0, 100.0, 0.0, 1.0, 0.0]);
        let size = t([4], &[1i64, 5, 1, 2]);
        let of = |align_corners| run(&AffineGrid { align_corners }, &[&theta, &size]).unwrap();
        assert_eq!(of(true), t([1, 1, 2, 2], &[99.0f32, 0.0, 101.0, 0.0]));
        assert_eq!(of(false), t([1, 1, 2, 2], &[99.5f32, 0.0, 100.5, 0.0]));
    }

    #[test]
    fn definition_is_reference() {
        let ramp = |n: usize| (0..n).map(|i| i as f64 * 0.37 - 2.0).collect::<Vec<f64>>();
        for align_corners in [false, true] {
            let op = AffineGrid { align_corners };
            run(&op, &[&t([2, 3, 4], &ramp(24)), &t([5], &[2i64, 1, 3, 4, 1])]).unwrap();
            run(&op, &[&t([2, 2, 3], &ramp(12)), &t([4], &[2i64, 7, 0, 4])]).unwrap();
        }
    }

    #[test]
    fn errors_say_expected_and_found() {
        let op = AffineGrid { align_corners: false };
        let theta = t([1, 2, 3], &[0.0f32; 6]);
        assert!(error(&op, &[&theta, &t([3], &[1i64, 1, 2])]).contains("four or five"));
        assert!(error(&op, &[&theta, &t([5], &[1i64, 1, 2, 2, 2])]).contains("expected [1,3,4]"));
        assert!(error(&op, &[&theta, &t([4], &[1i64, 1, -2, 2])]).contains("at least 0, found -2"));
        assert!(error(&op, &[&theta, &t([4], &[1i64, 1, i64::MAX, i64::MAX])]).contains("address space"));
    }
}
