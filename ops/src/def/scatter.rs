//! What scattering operators share: how a new value meets the one that is there.

use crate::arg::Arg;
use crate::compute::Compute;
use crate::dtype::DType;
use crate::elements::wrapped;
use crate::error::OpError;
use crate::expr::{BinaryFn, BufId, Expr, Scalar};
use crate::index::vars;
use crate::invalid;

/// How a value that is scattered meets the one that is there (ONNX attribute `reduction`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScatterReduction {
    /// It replaces it; the last one stays.
    Replace,
    /// Their sum; integers wrap.
    Add,
    /// Their product; integers wrap.
    Mul,
    /// The larger; NaN if either is NaN.
    Max,
    /// The smaller; NaN if either is NaN.
    Min,
}

crate::attr_enum!(ScatterReduction { Replace = "replace", Add = "add", Mul = "mul", Max = "max", Min = "min" });

impl ScatterReduction {
    /// Checks that values of this type can meet so.
    ///
    /// # Errors
    /// [`OpError::Invalid`] for bools, but for `Replace`.
    pub fn takes(self, dtype: DType) -> Result<(), OpError> {
        match (self, dtype) {
            (ScatterReduction::Replace, _) => Ok(()),
            (_, DType::Bool) => invalid!("reduction {self}: expected numbers, found bool"),
            _ => Ok(()),
        }
    }

    /// The new value where `old` is.
    pub fn expr(self, old: Expr, new: Expr) -> Expr {
        match self {
            ScatterReduction::Replace => new,
            ScatterReduction::Add => old + new,
            ScatterReduction::Mul => old * new,
            ScatterReduction::Max => Expr::binary(BinaryFn::Max, old, new),
            ScatterReduction::Min => Expr::binary(BinaryFn::Min, old, new),
        }
    }

    /// The new value where `old` is, in plain Rust. f32s are combined as f64s and rounded, which is exact rounding.
    pub fn of(self, old: Scalar, new: Scalar) -> Scalar {
        let (a, b) = (old.to_f64(), new.to_f64());
        let float = |v: f64| Scalar::F64(v).cast(old.dtype());
        match (self, old.int(), new.int()) {
            (ScatterReduction::Replace, ..) => new,
            (ScatterReduction::Add, Some(a), Some(b)) => wrapped(old.dtype(), a + b),
            (ScatterReduction::Mul, Some(a), Some(b)) => wrapped(old.dtype(), a.wrapping_mul(b)),
            (ScatterReduction::Max, Some(a), Some(b)) => wrapped(old.dtype(), a.max(b)),
            (ScatterReduction::Min, Some(a), Some(b)) => wrapped(old.dtype(), a.min(b)),
            (ScatterReduction::Add, ..) => float(a + b),
            (ScatterReduction::Mul, ..) => float(a * b),
            _ if a.is_nan() || b.is_nan() => float(f64::NAN),
            (ScatterReduction::Max, ..) => float(a.max(b)),
            (ScatterReduction::Min, ..) => float(a.min(b)),
        }
    }
}

/// A stage that copies input 0, for updates to change.
pub(super) fn copy(c: &mut Compute, data: &Arg<'_>) -> BufId {
    let src = c.input(0, data);
    c.map("copy", data.ty(), Expr::load(src, vars(data.shape.rank())))
}
