//! Moves channels into space: blocks of `b * b` channels become blocks of `b` by `b` pixels.
//!
//! `[N, C, H, W]` becomes `[N, C / b², H b, W b]`, any element type. With `C' = C / b²`, `Y[n, c, h, w]` is
//! `X[n, k, h div b, w div b]` for
//!
//! * dcr: `k = ((h mod b) b + w mod b) C' + c`
//! * crd: `k = (c b + h mod b) b + w mod b`
//!
//! Errors: another rank than 4, a block size of 0, channels that b² does not divide.
//! Mirrors ONNX DepthToSpace-1 to -13 and later.

use crate::arg::{Arg, Args, known_args};
use crate::axes::extent;
use crate::compute::Compute;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::rearranged;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Variants of the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthOrder {
    /// Depth, column, row: the block index is outermost.
    Dcr,
    /// Column, row, depth: the channel index is outermost.
    Crd,
}

crate::attr_enum!(DepthOrder { Dcr = "dcr", Crd = "crd" });

/// Moves channels into space.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthToSpace {
    /// Edge of the square block.
    pub blocksize: usize,
    /// Order of the channels.
    pub mode: DepthOrder,
}

crate::attributes!(DepthToSpace { blocksize, mode });

/// Extents `[n, c, h, w]` of input 0, which must have four.
///
/// # Errors
/// [`OpError::Invalid`] when it has another rank or is omitted, or the block size is 0.
pub fn image<'a>(args: Args<'a>, blocksize: usize) -> Result<(Arg<'a>, [usize; 4]), OpError> {
    let x = args.required(0, "input")?;
    if blocksize == 0 {
        return invalid!("blocksize: expected at least 1, found 0");
    }
    match *x.shape.dims() {
        [n, c, h, w] => Ok((x, [n, c, h, w])),
        _ => invalid!("input 0 (input): expected rank 4, found {}", x.ty()),
    }
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        "DepthToSpace"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let (x, [n, c, h, w]) = image(args, self.blocksize)?;
        let b = self.blocksize as i128;
        // A block whose square exceeds i128 has no place for channels either.
        let block = b.checked_mul(b).unwrap_or(i128::MAX);
        if c as i128 % block != 0 {
            return invalid!("input 0 (input): expected channels that {block} divides, found {}", x.ty());
        }
        let scaled = |d: usize| extent((d as i128).saturating_mul(b), "the enlarged image");
        Ok(vec![TensorType::new(
            x.dtype,
            [n, extent(c as i128 / block, "channels")?, scaled(h)?, scaled(w)?],
        )])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let (x, _) = image(args, self.blocksize)?;
        let b = || Expr::int(self.blocksize);
        let (c, h, w) = (Expr::var(1), Expr::var(2), Expr::var(3));
        let (in_h, in_w) = (h.clone() % b(), w.clone() % b());
        let k = match self.mode {
            DepthOrder::Dcr => (in_h * b() + in_w) * Expr::int(ty.shape[1]) + c,
            DepthOrder::Crd => (c * b() + in_h) * b() + in_w,
        };
        let index = vec![Expr::var(0), k, h / b(), w / b()];
        Ok(rearranged("depth_to_space", &x, ty, index))
    }

    /// As ONNX defines it: reshape to six axes, transpose, reshape.
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let (x, b) = (input(inputs, 0, "input")?, self.blocksize);
        let [n, c] = [ty.shape[0], ty.shape[1]];
        let y = walk(x, ty.shape, || {
            let (h, w) = (x.shape()[2], x.shape()[3]);
            let (dims, order) = match self.mode {
                DepthOrder::Dcr => ([n, b, b, c, h, w], [0, 3, 4, 1, 5, 2]),
                DepthOrder::Crd => ([n, c, b, b, h, w], [0, 1, 4, 2, 5, 3]),
            };
            let strides = crate::shape::Shape::from(dims).strides();
            order.into_iter().map(|k| Walk::over(strides[k], 0..dims[k])).collect()
        })?;
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn both_orders() {
        // Eight channels of one pixel each.
        let x = t([1, 8, 1, 1], &[0i32, 1, 2, 3, 4, 5, 6, 7]);
        let of = |mode| run(&DepthToSpace { blocksize: 2, mode }, &[&x]).unwrap();
        assert_eq!(of(DepthOrder::Dcr), t([1, 2, 2, 2], &[0i32, 2, 4, 6, 1, 3, 5, 7]));
        assert_eq!(of(DepthOrder::Crd), t([1, 2, 2, 2], &[0i32, 1, 2, 3, 4, 5, 6, 7]));
        let wide = t([1, 4, 1, 2], &[0i32, 1, 2, 3, 4, 5, 6, 7]);
        let y = run(&DepthToSpace { blocksize: 2, mode: DepthOrder::Dcr }, &[&wide]);
        assert_eq!(y, Ok(t([1, 1, 2, 4], &[0i32, 2, 1, 3, 4, 6, 5, 7])));
        assert_eq!(run(&DepthToSpace { blocksize: 1, mode: DepthOrder::Crd }, &[&x]), Ok(x));
    }

    #[test]
    fn errors() {
        let x = t([1, 2, 1, 1], &[0u8, 1]);
        let of = |blocksize, x: &Tensor| error(&DepthToSpace { blocksize, mode: DepthOrder::Dcr }, &[x]);
        assert_eq!(of(2, &x), "input 0 (input): expected channels that 4 divides, found u8[1,2,1,1]");
        assert_eq!(of(0, &x), "blocksize: expected at least 1, found 0");
        assert!(of(usize::MAX, &x).contains("divides"));
        assert!(of(usize::MAX, &t::<u8>([1, 0, 3, 1], &[])).contains("out of range"));
        assert!(of(2, &t([4], &[0u8; 4])).contains("expected rank 4, found u8[4]"));
    }
}
