//! Expressions: scalars, or all lanes of the vector loop at once.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32, F32X4, I8, I32, I64};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value};
use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, BufId, CompareFn, Expr, Scalar, UnaryFn, VarId};

use super::emitter::{Binding, Emit, Emitter, Operand};
use super::math::Math;
use crate::loop_ir::affine::{Affine, uses};
use crate::target::Target;

fn clif_type(dtype: DType) -> Type {
    match dtype {
        DType::F32 => F32,
        DType::I64 => I64,
        DType::I32 => I32,
        DType::U8 | DType::Bool => I8,
    }
}

impl Emitter<'_, '_> {
    /// The variable of the vector loop, where all its lanes are wanted.
    fn lanes(&self) -> Option<VarId> {
        self.bindings.iter().find(|(_, b)| matches!(b, Binding::Lanes)).map(|(v, _)| *v)
    }

    /// The value of an expression; a vector only where it differs between lanes.
    pub(super) fn operand(&mut self, e: &Expr) -> Emit<Operand> {
        let Some(lane) = self.lanes() else { return self.scalar(e) };
        let acc_is_vector = matches!(self.acc, Some(Operand::Vector(_)));
        let mut varies = uses(e, lane);
        e.visit(&mut |e| varies |= acc_is_vector && matches!(e, Expr::Acc));
        if !varies {
            return self.scalar(e);
        }
        match e {
            Expr::Acc => self.acc.ok_or_else(|| "acc outside a reduction".into()),
            Expr::Load(b, index) => self.load_lanes(e, *b, index, lane),
            Expr::Unary(f, a) => {
                let a = self.operand(a)?;
                self.unary(*f, a)
            }
            Expr::Binary(f, a, b) => {
                let (a, b) = (self.operand(a)?, self.operand(b)?);
                self.binary(*f, a, b)
            }
            Expr::Select(c, a, b) => self.select_lanes(e, c, a, b, lane),
            Expr::Var(_) | Expr::Const(_) | Expr::Compare(..) | Expr::Cast(..) => self.each_lane(e, lane),
        }
    }

    /// Evaluates lane by lane: always right, seldom fast. The result must be f32.
    fn each_lane(&mut self, e: &Expr, lane: VarId) -> Emit<Operand> {
        let acc = self.acc;
        let mut vector = None;
        for k in 0..Target::LANES {
            self.bindings.insert(lane, Binding::Constant(k as i64));
            if let Some(Operand::Vector(v)) = acc {
                self.acc = Some(Operand::Scalar(self.b.ins().extractlane(v, k as u8), DType::F32));
            }
            let s = self.scalar(e)?;
            if s.dtype() != DType::F32 {
                return Err(format!("a vector of {} in `{e}`", s.dtype()));
            }
            vector = Some(match vector {
                None => self.b.ins().scalar_to_vector(F32X4, s.value()),
                Some(v) => self.b.ins().insertlane(v, s.value(), k as u8),
            });
        }
        self.acc = acc;
        self.bindings.insert(lane, Binding::Lanes);
        vector.map(Operand::Vector).ok_or_else(|| "no lanes".into())
    }

    fn load_lanes(&mut self, e: &Expr, b: BufId, index: &[Expr], lane: VarId) -> Emit<Operand> {
        let buffer = &self.kernel.buffers[b.0 as usize];
        let contiguous = Affine::flat(buffer, index).stride(lane) == Some(1);
        if !contiguous || buffer.ty.dtype != DType::F32 {
            return self.each_lane(e, lane);
        }
        let (address, offset) = self.address(b, index)?;
        let flags = self.load_flags();
        Ok(Operand::Vector(self.b.ins().load(F32X4, flags, address, offset)))
    }

    fn select_lanes(&mut self, e: &Expr, c: &Expr, a: &Expr, b: &Expr, lane: VarId) -> Emit<Operand> {
        if !uses(c, lane) && !matches!(self.acc, Some(Operand::Vector(_))) {
            let c = self.scalar(c)?;
            let (a, b) = (self.operand(a)?, self.operand(b)?);
            let (a, b) = (self.widen(a), self.widen(b));
            return Ok(Operand::Vector(self.b.ins().select(c.value(), a.value(), b.value())));
        }
        let Expr::Compare(f, x, y) = c else { return self.each_lane(e, lane) };
        if self.dtype(x)? != DType::F32 {
            return self.each_lane(e, lane);
        }
        let (x, y) = (self.operand(x)?, self.operand(y)?);
        let (x, y) = (self.widen(x), self.widen(y));
        let mask = self.b.ins().fcmp(float_condition(*f), x.value(), y.value());
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        let mask = self.b.ins().bitcast(F32X4, flags, mask);
        let (a, b) = (self.operand(a)?, self.operand(b)?);
        let (a, b) = (self.widen(a), self.widen(b));
        Ok(Operand::Vector(self.b.ins().bitselect(mask, a.value(), b.value())))
    }

    fn dtype(&self, e: &Expr) -> Emit<DType> {
        let buffers = |b: BufId| self.kernel.buffers.get(b.0 as usize).map(|k| k.ty.dtype);
        e.dtype(&buffers, self.acc.map(|a| a.dtype())).map_err(|e| e.to_string())
    }

    /// The operand in every lane.
    pub(super) fn widen(&mut self, v: Operand) -> Operand {
        match v {
            Operand::Scalar(s, DType::F32) => Operand::Vector(self.b.ins().splat(F32X4, s)),
            other => other,
        }
    }

    fn load_flags(&self) -> MemFlagsData {
        // No kernel reads what it writes, so loads may be moved and merged freely.
        MemFlagsData::new().with_notrap().with_readonly().with_can_move()
    }

    /// Address of an element (of lane 0) and a constant offset, both in bytes.
    pub(super) fn address(&mut self, b: BufId, index: &[Expr]) -> Emit<(Value, i32)> {
        let buffer = &self.kernel.buffers[b.0 as usize];
        let size = buffer.ty.dtype.size() as i64;
        let flat = Affine::flat(buffer, index);
        // Terms that change in outer loops come first, so that their sums stay outside inner loops.
        let mut terms: Vec<(usize, i64, &Expr)> =
            flat.terms.iter().map(|(c, e)| (self.depth(e), c.wrapping_mul(size), e)).collect();
        terms.sort_by_key(|t| t.0);
        let mut offset = flat.constant.wrapping_mul(size);
        let mut address = self.bases[b.0 as usize];
        for (_, c, e) in terms {
            if let Expr::Var(v) = e {
                match self.bindings.get(v) {
                    Some(Binding::Constant(k)) => {
                        offset = offset.wrapping_add(c.wrapping_mul(*k));
                        continue;
                    }
                    Some(Binding::Lanes) => continue,
                    _ => {}
                }
            }
            let v = self.scalar(e)?.value();
            let scaled = if c == 1 { v } else { self.b.ins().imul_imm_s(v, c) };
            address = self.b.ins().iadd(address, scaled);
        }
        match i32::try_from(offset) {
            Ok(offset) => Ok((address, offset)),
            Err(_) => Ok((self.b.ins().iadd_imm_s(address, offset), 0)),
        }
    }

    /// Position of the innermost loop that the expression depends on, from 1; 0 when it depends on none.
    fn depth(&self, e: &Expr) -> usize {
        let loops = &self.kernel.loops;
        loops.iter().rposition(|l| uses(e, l.id)).map_or(0, |p| p + 1)
    }

    /// The value of an expression that is the same for all lanes.
    fn scalar(&mut self, e: &Expr) -> Emit<Operand> {
        match e {
            Expr::Const(s) => Ok(self.constant(*s)),
            Expr::Var(v) => {
                let value = match self.bindings.get(v) {
                    Some(Binding::Counter(c)) => *c,
                    Some(Binding::Constant(k)) => self.b.ins().iconst(I64, *k),
                    other => return Err(format!("{v} is {other:?} in a scalar expression")),
                };
                Ok(Operand::Scalar(value, DType::I64))
            }
            Expr::Acc => self.acc.ok_or_else(|| "acc outside a reduction".into()),
            Expr::Load(b, index) => {
                let dtype = self.kernel.buffers[b.0 as usize].ty.dtype;
                let (address, offset) = self.address(*b, index)?;
                let flags = self.load_flags();
                Ok(Operand::Scalar(self.b.ins().load(clif_type(dtype), flags, address, offset), dtype))
            }
            Expr::Unary(f, a) => {
                let a = self.scalar(a)?;
                self.unary(*f, a)
            }
            Expr::Binary(f, a, b) => {
                if let Some(v) = self.div_by_constant(*f, a, b)? {
                    return Ok(v);
                }
                let (a, b) = (self.scalar(a)?, self.scalar(b)?);
                self.binary(*f, a, b)
            }
            Expr::Compare(f, a, b) => {
                let (a, b) = (self.scalar(a)?, self.scalar(b)?);
                Ok(Operand::Scalar(self.compare(*f, a, b), DType::Bool))
            }
            Expr::Select(c, a, b) => {
                let (c, a, b) = (self.scalar(c)?, self.scalar(a)?, self.scalar(b)?);
                Ok(Operand::Scalar(self.b.ins().select(c.value(), a.value(), b.value()), a.dtype()))
            }
            Expr::Cast(d, a) => {
                let a = self.scalar(a)?;
                Ok(Operand::Scalar(self.convert(a, *d), *d))
            }
        }
    }

    fn constant(&mut self, s: Scalar) -> Operand {
        let value = match s {
            Scalar::F32(v) => self.b.ins().f32const(v),
            Scalar::I64(v) => self.b.ins().iconst(I64, v),
            Scalar::I32(v) => self.b.ins().iconst(I32, i64::from(v) & 0xffff_ffff),
            Scalar::U8(v) => self.b.ins().iconst(I8, i64::from(v)),
            Scalar::Bool(v) => self.b.ins().iconst(I8, i64::from(v)),
        };
        Operand::Scalar(value, s.dtype())
    }

    pub(super) fn unary(&mut self, f: UnaryFn, a: Operand) -> Emit<Operand> {
        let v = a.value();
        let fma = self.target.has_fma();
        let ty = if matches!(a, Operand::Vector(_)) { F32X4 } else { F32 };
        let ins = |e: &mut Self| Math { b: &mut *e.b, ty, fma }.exp(v);
        let value = match (f, a.dtype()) {
            (UnaryFn::Not, DType::Bool) => self.b.ins().bxor_imm_u(v, 1),
            (UnaryFn::Neg, DType::F32) => self.b.ins().fneg(v),
            (UnaryFn::Abs, DType::F32) => self.b.ins().fabs(v),
            (UnaryFn::Sqrt, DType::F32) => self.b.ins().sqrt(v),
            (UnaryFn::Floor, DType::F32) => self.b.ins().floor(v),
            (UnaryFn::Ceil, DType::F32) => self.b.ins().ceil(v),
            (UnaryFn::Round, DType::F32) => self.b.ins().nearest(v),
            (UnaryFn::Exp, DType::F32) => ins(self),
            (UnaryFn::Log, DType::F32) => Math { b: &mut *self.b, ty, fma }.log(v),
            (UnaryFn::Tanh, DType::F32) => Math { b: &mut *self.b, ty, fma }.tanh(v),
            (UnaryFn::Erf, DType::F32) => Math { b: &mut *self.b, ty, fma }.erf(v),
            (UnaryFn::Neg, DType::I64 | DType::I32 | DType::U8) => self.b.ins().ineg(v),
            (UnaryFn::Abs, DType::I64 | DType::I32) => {
                let negative = self.b.ins().icmp_imm_s(IntCC::SignedLessThan, v, 0);
                let negated = self.b.ins().ineg(v);
                self.b.ins().select(negative, negated, v)
            }
            (UnaryFn::Abs, DType::U8) => v,
            (f, d) => return Err(format!("{} of {d}", f.name())),
        };
        Ok(match a {
            Operand::Vector(_) => Operand::Vector(value),
            Operand::Scalar(_, d) => Operand::Scalar(value, d),
        })
    }

    pub(super) fn binary(&mut self, f: BinaryFn, a: Operand, b: Operand) -> Emit<Operand> {
        let (a, b) = match (a, b) {
            (Operand::Vector(_), b) => (a, self.widen(b)),
            (a, Operand::Vector(_)) => (self.widen(a), b),
            _ => (a, b),
        };
        let (x, y) = (a.value(), b.value());
        if a.dtype() != b.dtype() {
            return Err(format!("{} of {} and {}", f.name(), a.dtype(), b.dtype()));
        }
        let value = match a.dtype() {
            DType::F32 => self.float_binary(f, x, y, matches!(a, Operand::Vector(_)))?,
            DType::Bool => match f {
                BinaryFn::And => self.b.ins().band(x, y),
                BinaryFn::Or => self.b.ins().bor(x, y),
                BinaryFn::Xor => self.b.ins().bxor(x, y),
                _ => return Err(format!("{} of bool", f.name())),
            },
            d => self.int_binary(f, x, y, d)?,
        };
        Ok(match a {
            Operand::Vector(_) => Operand::Vector(value),
            Operand::Scalar(_, d) => Operand::Scalar(value, d),
        })
    }

    fn float_binary(&mut self, f: BinaryFn, x: Value, y: Value, vector: bool) -> Emit<Value> {
        Ok(match f {
            BinaryFn::Add => self.b.ins().fadd(x, y),
            BinaryFn::Sub => self.b.ins().fsub(x, y),
            BinaryFn::Mul => self.b.ins().fmul(x, y),
            BinaryFn::Div => self.b.ins().fdiv(x, y),
            BinaryFn::Min => self.b.ins().fmin(x, y),
            BinaryFn::Max => self.b.ins().fmax(x, y),
            BinaryFn::Pow => {
                let fma = self.target.has_fma();
                if !vector {
                    return Ok(Math { b: &mut *self.b, ty: F32, fma }.pow(x, y));
                }
                let mut lanes = x;
                for k in 0..Target::LANES as u8 {
                    let (xk, yk) = (self.b.ins().extractlane(x, k), self.b.ins().extractlane(y, k));
                    let p = Math { b: &mut *self.b, ty: F32, fma }.pow(xk, yk);
                    lanes = self.b.ins().insertlane(lanes, p, k);
                }
                lanes
            }
            _ => return Err(format!("{} of f32", f.name())),
        })
    }

    fn int_binary(&mut self, f: BinaryFn, x: Value, y: Value, dtype: DType) -> Emit<Value> {
        let unsigned = dtype == DType::U8;
        Ok(match f {
            BinaryFn::Add => self.b.ins().iadd(x, y),
            BinaryFn::Sub => self.b.ins().isub(x, y),
            BinaryFn::Mul => self.b.ins().imul(x, y),
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
            _ => return Err(format!("{} of {dtype}", f.name())),
        })
    }

    /// Division that cannot trap: a divisor of 0 gives 0, one of -1 negates.
    fn divide(&mut self, f: BinaryFn, x: Value, y: Value, dtype: DType) -> Value {
        if dtype == DType::U8 {
            let (x, y) = (self.b.ins().uextend(I32, x), self.b.ins().uextend(I32, y));
            let q = self.divide(f, x, y, DType::I32);
            return self.b.ins().ireduce(I8, q);
        }
        let ty = clif_type(dtype);
        let (zero, one) = (self.b.ins().iconst(ty, 0), self.b.ins().iconst(ty, 1));
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        let by_minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let safe = self.b.ins().select(by_zero, one, y);
        let safe = self.b.ins().select(by_minus_one, one, safe);
        let (q, minus_one_gives) = match f {
            BinaryFn::Rem => (self.b.ins().srem(x, safe), zero),
            _ => (self.b.ins().sdiv(x, safe), self.b.ins().ineg(x)),
        };
        let q = self.b.ins().select(by_minus_one, minus_one_gives, q);
        self.b.ins().select(by_zero, zero, q)
    }

    /// Division of an i64 by a positive literal needs no guard.
    fn div_by_constant(&mut self, f: BinaryFn, a: &Expr, b: &Expr) -> Emit<Option<Operand>> {
        let Expr::Const(Scalar::I64(d)) = b else { return Ok(None) };
        if *d <= 0 || !matches!(f, BinaryFn::Div | BinaryFn::Rem) {
            return Ok(None);
        }
        let a = self.scalar(a)?.value();
        let d = self.b.ins().iconst(I64, *d);
        let v = if f == BinaryFn::Div { self.b.ins().sdiv(a, d) } else { self.b.ins().srem(a, d) };
        Ok(Some(Operand::Scalar(v, DType::I64)))
    }

    fn compare(&mut self, f: CompareFn, a: Operand, b: Operand) -> Value {
        let (x, y) = (a.value(), b.value());
        match a.dtype() {
            DType::F32 => self.b.ins().fcmp(float_condition(f), x, y),
            d => self.b.ins().icmp(int_condition(f, d), x, y),
        }
    }

    fn convert(&mut self, a: Operand, to: DType) -> Value {
        let (v, from) = (a.value(), a.dtype());
        match (from, to) {
            _ if from == to => v,
            (DType::F32, DType::Bool) => {
                let zero = self.b.ins().f32const(0.0);
                self.b.ins().fcmp(FloatCC::NotEqual, v, zero)
            }
            (_, DType::Bool) => self.b.ins().icmp_imm_s(IntCC::NotEqual, v, 0),
            (DType::F32, DType::U8) => {
                let i = self.b.ins().fcvt_to_sint_sat(I32, v);
                let (low, high) = (self.b.ins().iconst(I32, 0), self.b.ins().iconst(I32, 255));
                let i = self.b.ins().smax(i, low);
                let i = self.b.ins().smin(i, high);
                self.b.ins().ireduce(I8, i)
            }
            (DType::F32, _) => self.b.ins().fcvt_to_sint_sat(clif_type(to), v),
            (DType::U8 | DType::Bool, DType::F32) => {
                let i = self.b.ins().uextend(I32, v);
                self.b.ins().fcvt_from_sint(F32, i)
            }
            (_, DType::F32) => self.b.ins().fcvt_from_sint(F32, v),
            (DType::U8 | DType::Bool, DType::U8) => v,
            (DType::U8 | DType::Bool, _) => self.b.ins().uextend(clif_type(to), v),
            (DType::I32, DType::I64) => self.b.ins().sextend(I64, v),
            (_, _) => self.b.ins().ireduce(clif_type(to), v),
        }
    }
}

fn float_condition(f: CompareFn) -> FloatCC {
    match f {
        CompareFn::Eq => FloatCC::Equal,
        CompareFn::Ne => FloatCC::NotEqual,
        CompareFn::Lt => FloatCC::LessThan,
        CompareFn::Le => FloatCC::LessThanOrEqual,
        CompareFn::Gt => FloatCC::GreaterThan,
        CompareFn::Ge => FloatCC::GreaterThanOrEqual,
    }
}

fn int_condition(f: CompareFn, dtype: DType) -> IntCC {
    let unsigned = matches!(dtype, DType::U8 | DType::Bool);
    match (f, unsigned) {
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
