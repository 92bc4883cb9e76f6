//! Shifts of bits, element by element, with numpy broadcasting: `Z = X << Y` or `X >> Y`; 0 where all bits are shifted
//! out.
//!
//! Inputs: X and Y of one type, unsigned integers. Errors: other or different element types, shapes that do not
//! broadcast. Mirrors ONNX BitShift-11.

use crate::arg::{Arg, Args, known_args};
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::{input, map2};
use crate::error::OpError;
use crate::expr::{BinaryFn, Expr};
use crate::index::broadcast_load;
use crate::invalid;
use crate::operator::Operator;
use crate::shape::TensorType;
use crate::tensor::Tensor;

/// Where bits go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShiftDirection {
    /// To more value.
    Left,
    /// To less value.
    Right,
}

crate::attr_enum!(ShiftDirection { Left = "left", Right = "right" });

/// Shifts bits.
#[derive(Clone, Debug, PartialEq)]
pub struct BitShift {
    /// Where bits go.
    pub direction: ShiftDirection,
}

crate::attributes!(BitShift { direction });

const TAKEN: &[DType] = &[DType::U64, DType::U32, DType::U16, DType::U8];

fn arguments(args: Args<'_>) -> Result<([Arg<'_>; 2], TensorType), OpError> {
    let (a, b) = (args.typed(0, "X", TAKEN)?, args.typed(1, "Y", TAKEN)?);
    if a.dtype != b.dtype {
        return invalid!("inputs: expected one element type, found {} and {}", a.ty(), b.ty());
    }
    Ok(([a, b], TensorType { dtype: a.dtype, shape: a.shape.broadcast(b.shape)? }))
}

impl Operator for BitShift {
    fn name(&self) -> &'static str {
        "BitShift"
    }

    fn infer(&self, args: Args<'_>) -> Result<Vec<TensorType>, OpError> {
        Ok(vec![arguments(args)?.1])
    }

    fn compute(&self, args: Args<'_>) -> Result<Compute, OpError> {
        let ([a, b], ty) = arguments(args)?;
        let function = match self.direction {
            ShiftDirection::Left => BinaryFn::Shl,
            ShiftDirection::Right => BinaryFn::Shr,
        };
        let mut c = Compute::new();
        let x = broadcast_load(&mut c, 0, &a, &ty.shape);
        let y = broadcast_load(&mut c, 1, &b, &ty.shape);
        let out = c.map("shift", ty, Expr::binary(function, x, y));
        c.output(out);
        Ok(c)
    }

    fn reference(&self, inputs: &[Option<&Tensor>]) -> Result<Vec<Tensor>, OpError> {
        self.infer(Args(&known_args(inputs)))?;
        let (a, b) = (input(inputs, 0, "X")?, input(inputs, 1, "Y")?);
        macro_rules! shifted {
            ($t:ty) => {
                map2(a, b, |x: $t, y: $t| match (u64::from(y), self.direction) {
                    (n, _) if n >= <$t>::BITS.into() => 0,
                    // Wider than any of the types, so that no bit is lost on the way.
                    (n, ShiftDirection::Left) => (u128::from(x) << n) as $t,
                    (n, ShiftDirection::Right) => x >> n,
                })?
            };
        }
        Ok(vec![match a.dtype() {
            DType::U64 => shifted!(u64),
            DType::U32 => shifted!(u32),
            DType::U16 => shifted!(u16),
            _ => shifted!(u8),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{error, run, t};

    #[test]
    fn values() {
        let (x, n) = (t([4], &[16u8, 255, 255, 3]), t([4], &[1u8, 4, 8, 200]));
        let of = |direction| run(&BitShift { direction }, &[&x, &n]);
        assert_eq!(of(ShiftDirection::Left), Ok(t([4], &[32u8, 240, 0, 0])));
        assert_eq!(of(ShiftDirection::Right), Ok(t([4], &[8u8, 15, 0, 0])));
        let wide = run(&BitShift { direction: ShiftDirection::Left }, &[&t([1], &[1u64]), &t([], &[63u64])]);
        assert_eq!(wide, Ok(t([1], &[1u64 << 63])));
        assert!(
            error(&BitShift { direction: ShiftDirection::Left }, &[&t([1], &[1i32]), &n])
                .contains("found i32")
        );
    }
}
