//! Moves space into channels: blocks of `b` by `b` pixels become `b * b` channels.
//!
//! `[N, C, H, W]` becomes `[N, C b², H / b, W / b]`, any element type. `Y[n, (i b + j) C + c, h, w]` is
//! `X[n, c, h b + i, w b + j]`.
//!
//! Errors: another rank than 4, a block size of 0, extents that b does not divide. Mirrors ONNX SpaceToDepth-1 to -13
//! and later.

use crate::arg::{Args, known_args};
use crate::axes::extent;
use crate::compute::Compute;
use crate::def::depth_to_space::image;
use crate::elements::{Walk, input, walk};
use crate::error::OpError;
use crate::expr::Expr;
use crate::index::from_input;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::{Shape, TensorType};
use crate::tensor::Tensor;

/// Moves space into channels.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceToDepth {
    /// Edge of the square block.
    pub blocksize: usize,
}

crate::attributes!(SpaceToDepth { blocksize });

impl Operator for SpaceToDepth {
    fn name(&self) -> &'static str {
        "SpaceToDepth"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        let b = self.blocksize;
        let (x, [n, c, h, w]) = image(args, b)?;
        if h % b != 0 || w % b != 0 {
            return invalid!("input 0 (input): expected height and width that {b} divides, found {}", x.ty());
        }
        let channels = (c as i128).saturating_mul(b as i128).saturating_mul(b as i128);
        Ok(vec![TensorType::new(x.dtype, [n, extent(channels, "channels")?, h / b, w / b])])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ty = self.infer(args)?.remove(0);
        let (x, [_, c, _, _]) = image(args, self.blocksize)?;
        let b = || Expr::int(self.blocksize);
        Ok(from_input("space_to_depth", &x, ty, |_, src| {
            let (k, h, w) = (Expr::var(1), Expr::var(2), Expr::var(3));
            let block = k.clone() / Expr::int(c);
            let index =
                [Expr::var(0), k % Expr::int(c), h * b() + block.clone() / b(), w * b() + block % b()];
            Expr::load(src, index)
        }))
    }

    /// As ONNX defines it: reshape to six axes, transpose, reshape.
    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        let ty = self.infer(Args(&known_args(inputs)))?.remove(0);
        let (x, b) = (input(inputs, 0, "input")?, self.blocksize);
        let [n, h, w] = [ty.shape[0], ty.shape[2], ty.shape[3]];
        let y = walk(x, ty.shape, || {
            let dims = [n, x.shape()[1], h, b, w, b];
            let strides = Shape::from(dims).strides();
            [0, 3, 5, 1, 2, 4].into_iter().map(|k| Walk::over(strides[k], 0..dims[k])).collect()
        })?;
        Ok(vec![y])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn blocks_become_channels() {
        let op = SpaceToDepth { blocksize: 2 };
        let x = t([1, 1, 2, 4], &[0i32, 2, 1, 3, 4, 6, 5, 7]);
        assert_eq!(run(&op, &[&x]), Ok(t([1, 4, 1, 2], &[0i32, 1, 2, 3, 4, 5, 6, 7])));
        let two = t([1, 2, 2, 2], &[0u8, 2, 4, 6, 1, 3, 5, 7]);
        assert_eq!(run(&op, &[&two]), Ok(t([1, 8, 1, 1], &[0u8, 1, 2, 3, 4, 5, 6, 7])));
        assert_eq!(run(&op, &[&t::<f32>([1, 0, 2, 2], &[])]), Ok(t::<f32>([1, 0, 1, 1], &[])));
    }

    #[test]
    fn errors() {
        let x = t([1, 1, 2, 1], &[0u8, 1]);
        let of = |blocksize| error(&SpaceToDepth { blocksize }, &[&x]);
        assert_eq!(of(2), "input 0 (input): expected height and width that 2 divides, found u8[1,1,2,1]");
        assert_eq!(of(0), "blocksize: expected at least 1, found 0");
        assert!(error(&SpaceToDepth { blocksize: 1 }, &[&t([1], &[1u8])]).contains("expected rank 4"));
    }
}
