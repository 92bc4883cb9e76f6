//! Functions of scalars: integers of all widths, conversions, and floats of either width.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, CompareFn, Scalar, UnaryFn};

use super::emitter::{Emit, Emitter, Operand};
use super::math::Math;

/// The type of registers that hold values of an element type.
pub(super) fn clif_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => F32,
        DType::F64 => F64,
        DType::I64 | DType::U64 => I64,
        DType::I32 | DType::U32 => I32,
        DType::I16 | DType::U16 => I16,
        DType::I8 | DType::U8 | DType::Bool => I8,
    }
}

impl Emitter<'_, '_> {
    pub(super) fn constant(&mut self, s: Scalar) -> Operand {
        let value = match (s, s.int()) {
            (Scalar::F32(v), _) => self.b.ins().f32const(v),
            (_, None) => self.b.ins().f64const(s.to_f64()),
            (_, Some(v)) => {
                // The bits beyond the width are zero.
                let bits = 8 * s.dtype().size() as u32;
                self.b.ins().iconst(clif_type(s.dtype()), (v & ((1i128 << bits) - 1)) as i64)
            }
        };
        Operand::Scalar(value, s.dtype())
    }

    /// A function of one scalar that is not a float.
    pub(super) fn int_unary(&mut self, f: UnaryFn, v: Value, dtype: DType) -> Emit<Value> {
        Ok(match (f, dtype) {
            (UnaryFn::Not, DType::Bool) => self.b.ins().bxor_imm_u(v, 1),
            (_, DType::Bool) => return Err(format!("{} of bool", f.name())),
            (UnaryFn::Not, _) => self.b.ins().bnot(v),
            (UnaryFn::Neg, _) => self.b.ins().ineg(v),
            (UnaryFn::Abs, d) if d.is_unsigned() => v,
            (UnaryFn::Abs, _) => {
                let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, v, 0);
                let negated = self.b.ins().ineg(v);
                self.b.ins().select(negative, negated, v)
            }
            _ => return Err(format!("{} of {dtype}", f.name())),
        })
    }

    /// A function of one f64.
    pub(super) fn f64_unary(&mut self, f: UnaryFn, v: Value) -> Emit<Value> {
        let fma = self.target.has_fma();
        let mut math = Math { b: &mut *self.b, ty: F64, fma };
        Ok(match f {
            UnaryFn::Neg => self.b.ins().fneg(v),
            UnaryFn::Abs => self.b.ins().fabs(v),
            UnaryFn::Sqrt => self.b.ins().sqrt(v),
            UnaryFn::Floor => self.b.ins().floor(v),
            UnaryFn::Ceil => self.b.ins().ceil(v),
            UnaryFn::Round => self.b.ins().nearest(v),
            UnaryFn::Exp => math.wide_exp(v),
            UnaryFn::Log => math.wide_log(v),
            UnaryFn::Tanh => math.wide_tanh(v),
            UnaryFn::Erf => math.wide_erf(v),
            UnaryFn::Sin => math.wide_sin(v, 0),
            UnaryFn::Cos => math.wide_sin(v, 1),
            UnaryFn::Atan => math.wide_atan(v),
            UnaryFn::RoundF16 | UnaryFn::RoundBf16 | UnaryFn::Not => {
                return Err(format!("{} of f64", f.name()));
            }
        })
    }

    /// A function of one f32 that is computed in f64.
    pub(super) fn promoted_unary(&mut self, f: UnaryFn, v: Value) -> Emit<Value> {
        let wide = self.b.ins().fpromote(F64, v);
        let fma = self.target.has_fma();
        let mut math = Math { b: &mut *self.b, ty: F64, fma };
        let y = match f {
            UnaryFn::Atan => math.rough_atan(wide),
            _ => self.f64_unary(f, wide)?,
        };
        Ok(self.b.ins().fdemote(F32, y))
    }

    /// A function of two f64.
    pub(super) fn f64_binary(&mut self, f: BinaryFn, x: Value, y: Value) -> Emit<Value> {
        let fma = self.target.has_fma();
        let mut math = Math { b: &mut *self.b, ty: F64, fma };
        Ok(match f {
            BinaryFn::Add => self.b.ins().fadd(x, y),
            BinaryFn::Sub => self.b.ins().fsub(x, y),
            BinaryFn::Mul => self.b.ins().fmul(x, y),
            BinaryFn::Div => self.b.ins().fdiv(x, y),
            BinaryFn::Min => self.b.ins().fmin(x, y),
            BinaryFn::Max => self.b.ins().fmax(x, y),
            BinaryFn::Rem => math.wide_rem(x, y),
            BinaryFn::Pow => math.wide_pow(x, y),
            _ => return Err(format!("{} of f64", f.name())),
        })
    }

    /// C's `fmod` of two f32.
    pub(super) fn f32_rem(&mut self, x: Value, y: Value) -> Value {
        let (x, y) = (self.b.ins().fpromote(F64, x), self.b.ins().fpromote(F64, y));
        let fma = self.target.has_fma();
        let r = Math { b: &mut *self.b, ty: F64, fma }.wide_rem(x, y);
        self.b.ins().fdemote(F32, r)
    }

    pub(super) fn int_binary(&mut self, f: BinaryFn, x: Value, y: Value, dtype: DType) -> Emit<Value> {
        let unsigned = dtype.is_unsigned();
        Ok(match f {
            BinaryFn::Add => self.b.ins().iadd(x, y),
            BinaryFn::Sub => self.b.ins().isub(x, y),
            BinaryFn::Mul if dtype.size() == 1 => {
                // There is no multiplication of bytes.
                let (x, y) = (self.b.ins().uextend(I32, x), self.b.ins().uextend(I32, y));
                let product = self.b.ins().imul(x, y);
                self.b.ins().ireduce(I8, product)
            }
            BinaryFn::Mul => self.b.ins().imul(x, y),
            BinaryFn::And => self.b.ins().band(x, y),
            BinaryFn::Or => self.b.ins().bor(x, y),
            BinaryFn::Xor => self.b.ins().bxor(x, y),
            BinaryFn::Min | BinaryFn::Max => {
                let condition = match (f, unsigned) {
                    (BinaryFn::Min, true) => IntCC::UnsignedLessThan,
                    (BinaryFn::Min, false) => IntCC::SignedLessThan,
                    (_, true) => IntCC::UnsignedGreaterThan,
                    (_, false) => IntCC::SignedGreaterThan,
                };
                let first = self.b.ins().icmp(condition, x, y);
                self.b.ins().select(first, x, y)
            }
            BinaryFn::Div | BinaryFn::Rem => self.divide(f, x, y, dtype),
            BinaryFn::Shl | BinaryFn::Shr => self.shift(f, x, y, dtype),
            BinaryFn::Pow => return Err(format!("{} of {dtype}", f.name())),
        })
    }

    /// A shift by `y` bits; one that is negative or not below the width leaves nothing, or the sign.
    fn shift(&mut self, f: BinaryFn, x: Value, y: Value, dtype: DType) -> Value {
        let ty = clif_type(dtype);
        let bits = i64::from(ty.bits());
        let (zero, most) = (self.b.ins().iconst(ty, 0), self.b.ins().iconst(ty, bits - 1));
        let fits = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, y, most);
        match (f, dtype.is_unsigned()) {
            (BinaryFn::Shl, _) => {
                let v = self.b.ins().ishl(x, y);
                self.b.ins().select(fits, v, zero)
            }
            (_, true) => {
                let v = self.b.ins().ushr(x, y);
                self.b.ins().select(fits, v, zero)
            }
            (_, false) => {
                let y = self.b.ins().select(fits, y, most);
                self.b.ins().sshr(x, y)
            }
        }
    }

    /// Division that cannot trap: a divisor of 0 gives 0, one of -1 negates.
    fn divide(&mut self, f: BinaryFn, x: Value, y: Value, dtype: DType) -> Value {
        let wider = match dtype {
            DType::U8 | DType::U16 | DType::I8 | DType::I16 => Some(DType::I32),
            DType::U32 => Some(DType::I64),
            _ => None,
        };
        if let Some(wide) = wider {
            let (x, y) = (self.integer(x, dtype, wide), self.integer(y, dtype, wide));
            let q = self.divide(f, x, y, wide);
            return self.b.ins().ireduce(clif_type(dtype), q);
        }
        let ty = clif_type(dtype);
        let (zero, one) = (self.b.ins().iconst(ty, 0), self.b.ins().iconst(ty, 1));
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let safe = self.b.ins().select(by_zero, one, y);
        if dtype == DType::U64 {
            let q = match f {
                BinaryFn::Rem => self.b.ins().urem(x, safe),
                _ => self.b.ins().udiv(x, safe),
            };
            return self.b.ins().select(by_zero, zero, q);
        }
        let by_minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let safe = self.b.ins().select(by_minus_one, one, safe);
        let (q, minus_one_gives) = match f {
            BinaryFn::Rem => (self.b.ins().srem(x, safe), zero),
            _ => (self.b.ins().sdiv(x, safe), self.b.ins().ineg(x)),
        };
        let q = self.b.ins().select(by_minus_one, minus_one_gives, q);
        self.b.ins().select(by_zero, zero, q)
    }

    pub(super) fn compare(&mut self, f: CompareFn, a: Operand, b: Operand) -> Value {
        let (x, y) = (a.value(), b.value());
        match a.dtype() {
            d if d.is_float() => self.b.ins().fcmp(float_condition(f), x, y),
            d => self.b.ins().icmp(int_condition(f, d), x, y),
        }
    }

    /// The bits of a float.
    pub(super) fn bits(&mut self, a: Operand) -> Emit<Operand> {
        let to = match a.dtype() {
            DType::F32 => DType::I32,
            DType::F64 => DType::I64,
            d => return Err(format!("bits of {d}")),
        };
        let bits = self.b.ins().bitcast(clif_type(to), MemFlagsData::new(), a.value());
        Ok(Operand::Scalar(bits, to))
    }

    pub(super) fn convert(&mut self, a: Operand, to: DType) -> Value {
        let (v, from) = (a.value(), a.dtype());
        match (from, to) {
            _ if from == to => v,
            (DType::F32, DType::Bool) => {
                let zero = self.b.ins().f32const(0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, v, zero)
            }
            (DType::F64, DType::Bool) => {
                let zero = self.b.ins().f64const(0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, v, zero)
            }
            (_, DType::Bool) => self.b.ins().icmp_imm_s(IntCC::NotEqual, v, 0),
            (DType::F32, DType::F64) => self.b.ins().fpromote(F64, v),
            (DType::F64, DType::F32) => self.b.ins().fdemote(F32, v),
            (DType::F32 | DType::F64, _) => self.truncate(v, to),
            (_, DType::F32 | DType::F64) => {
                let ty = clif_type(to);
                match from {
                    DType::U64 => self.b.ins().fcvt_from_uint(ty, v),
                    DType::U32 => {
                        let v = self.b.ins().uextend(I64, v);
                        self.b.ins().fcvt_from_sint(ty, v)
                    }
                    DType::I64 | DType::I32 => self.b.ins().fcvt_from_sint(ty, v),
                    _ => {
                        let v = self.integer(v, from, DType::I32);
                        self.b.ins().fcvt_from_sint(ty, v)
                    }
                }
            }
            _ => self.integer(v, from, to),
        }
    }

    /// A float as an integer, truncated and limited to the type's range.
    fn truncate(&mut self, v: Value, to: DType) -> Value {
        match to {
            DType::I64 | DType::I32 => self.b.ins().fcvt_to_sint_sat(clif_type(to), v),
            DType::U64 | DType::U32 => self.b.ins().fcvt_to_uint_sat(clif_type(to), v),
            _ => {
                let i = self.b.ins().fcvt_to_sint_sat(I32, v);
                let (low, high) = Scalar::limits(to);
                let limit = |s: Scalar| s.int().unwrap_or(0) as i64 & 0xffff_ffff;
                let (low, high) =
                    (self.b.ins().iconst(I32, limit(low)), self.b.ins().iconst(I32, limit(high)));
                let i = self.b.ins().smax(i, low);
                let i = self.b.ins().smin(i, high);
                self.b.ins().ireduce(clif_type(to), i)
            }
        }
    }

    /// An integer or `bool` as an integer of another width: wider with its sign, narrower without its upper bits.
    pub(super) fn integer(&mut self, v: Value, from: DType, to: DType) -> Value {
        let ty = clif_type(to);
        match (from.size().cmp(&to.size()), from.is_unsigned()) {
            (std::cmp::Ordering::Equal, _) => v,
            (std::cmp::Ordering::Greater, _) => self.b.ins().ireduce(ty, v),
            (std::cmp::Ordering::Less, true) => self.b.ins().uextend(ty, v),
            (std::cmp::Ordering::Less, false) => self.b.ins().sextend(ty, v),
        }
    }
}

pub(super) fn float_condition(f: CompareFn) -> FloatCC {
    match f {
        CompareFn::Eq => FloatCC::Equal,
        CompareFn::Ne => FloatCC::NotEqual,
        CompareFn::Lt => FloatCC::LessThan,
        CompareFn::Le => FloatCC::LessThanOrEqual,
        CompareFn::Gt => FloatCC::GreaterThan,
        CompareFn::Ge => FloatCC::GreaterThanOrEqual,
    }
}

pub(super) fn int_condition(f: CompareFn, dtype: DType) -> IntCC {
    match (f, dtype.is_unsigned()) {
        (CompareFn::Eq, _) => IntCC::Equal,
        (CompareFn::Ne, _) => IntCC::NotEqual,
        (CompareFn::Lt, true) => IntCC::UnsignedLessThan,
        (CompareFn::Le, true) => IntCC::UnsignedLessThanOrEqual,
        (CompareFn::Gt, true) => IntCC::UnsignedGreaterThan,
        (CompareFn::Ge, true) => IntCC::UnsignedGreaterThanOrEqual,
        (CompareFn::Lt, false) => IntCC::SignedLessThan,
        (CompareFn::Le, false) => IntCC::SignedLessThanOrEqual,
        (CompareFn::Gt, false) => IntCC::SignedGreaterThan,
        (CompareFn::Ge, false) => IntCC::SignedGreaterThanOrEqual,
    }
}
