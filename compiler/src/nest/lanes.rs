//! What the lanes of a vector loop can hold and compute at once.

use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, Expr, UnaryFn, VarId};

use super::Definition;
use super::affine::uses;

/// Whether lanes hold the type in i32.
pub fn in_i32(dtype: DType) -> bool {
    matches!(dtype, DType::I32 | DType::U8 | DType::I8 | DType::U16 | DType::I16 | DType::Bool)
}

/// Whether vectors of the type can be stored.
pub fn stores(dtype: DType) -> bool {
    dtype == DType::F32 || in_i32(dtype)
}

/// Whether there is an instruction, or a sequence of them, for a function of vectors.
pub fn computes(f: BinaryFn, dtype: DType) -> bool {
    use BinaryFn::{Add, And, Max, Min, Mul, Or, Sub, Xor};
    match dtype {
        DType::F32 => true,
        DType::Bool => matches!(f, And | Or | Xor),
        DType::I32 => matches!(f, Add | Sub | Mul | Min | Max | And | Or | Xor),
        _ => false,
    }
}

/// Whether there is an instruction, or a sequence of them, for a conversion of vectors.
pub fn converts(from: DType, to: DType) -> bool {
    match (from, to) {
        _ if from == to => stores(from),
        (DType::F32, to) => in_i32(to),
        (from, DType::F32 | DType::I32) => in_i32(from),
        _ => false,
    }
}

/// Whether all lanes of `lane` are computed at once, with nothing that is done for each of them alone.
pub fn together(k: &Definition<'_>, e: &Expr, lane: VarId) -> bool {
    let of = |e: &Expr| e.dtype(&|b| k.buffers.get(b.0 as usize).map(|b| b.ty.dtype), None);
    let Ok(dtype) = of(e) else { return false };
    if !uses(e, lane) {
        return stores(dtype);
    }
    match e {
        Expr::Load(..) => stores(dtype),
        Expr::Unary(f, a) => {
            let alike = dtype == DType::F32 || (dtype, *f) == (DType::Bool, UnaryFn::Not);
            alike && together(k, a, lane)
        }
        Expr::Binary(f, a, b) => computes(*f, dtype) && together(k, a, lane) && together(k, b, lane),
        Expr::Compare(_, a, b) => {
            matches!(of(a), Ok(DType::F32 | DType::I32)) && together(k, a, lane) && together(k, b, lane)
        }
        Expr::Select(c, a, b) => {
            let condition = !uses(c, lane) || together(k, c, lane);
            dtype == DType::F32 && condition && together(k, a, lane) && together(k, b, lane)
        }
        Expr::Cast(to, a) => of(a).is_ok_and(|from| converts(from, *to)) && together(k, a, lane),
        Expr::Var(_) | Expr::Const(_) | Expr::Acc | Expr::Bits(_) => false,
    }
}
