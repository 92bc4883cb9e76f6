//! Expressions: scalars, or all lanes of the vector loop at once.

use cranelift_codegen::ir::types::{F32, F32X4, I64};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value};
use octrt_ops::DType;
use octrt_ops::expr::{BinaryFn, BufId, Expr, Scalar, UnaryFn, VarId};

use super::emitter::{Binding, Emit, Emitter, Operand};
use super::math::Math;
use super::scalar::{clif_type, float_condition};
use crate::loop_ir::affine::{Affine, uses};
use crate::target::Target;

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
            Expr::Var(_) | Expr::Const(_) | Expr::Compare(..) | Expr::Cast(..) | Expr::Bits(_) => {
                self.each_lane(e, lane)
            }
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
        let flags = self.load_flags(b);
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

    fn load_flags(&self, b: BufId) -> MemFlagsData {
        let flags = MemFlagsData::new().with_notrap();
        // What a kernel does not write it may load at any time, and once for many uses.
        if b == self.kernel.dst { flags } else { flags.with_readonly().with_can_move() }
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
                let flags = self.load_flags(*b);
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
            Expr::Bits(a) => {
                let a = self.scalar(a)?;
                self.bits(a)
            }
            Expr::Cast(d, a) => {
                let a = self.scalar(a)?;
                Ok(Operand::Scalar(self.convert(a, *d), *d))
            }
        }
    }

    pub(super) fn unary(&mut self, f: UnaryFn, a: Operand) -> Emit<Operand> {
        let v = a.value();
        Ok(match a {
            Operand::Vector(_) => Operand::Vector(self.f32_unary(f, v, F32X4)?),
            Operand::Scalar(_, DType::F32) => Operand::Scalar(self.f32_unary(f, v, F32)?, DType::F32),
            Operand::Scalar(_, DType::F64) => Operand::Scalar(self.f64_unary(f, v)?, DType::F64),
            Operand::Scalar(_, d) => Operand::Scalar(self.int_unary(f, v, d)?, d),
        })
    }

    /// A function of an f32, or of a vector of them.
    fn f32_unary(&mut self, f: UnaryFn, v: Value, ty: Type) -> Emit<Value> {
        let fma = self.target.has_fma();
        let mut math = Math { b: &mut *self.b, ty, fma };
        Ok(match f {
            UnaryFn::Exp => math.exp(v),
            UnaryFn::Log => math.log(v),
            UnaryFn::Tanh => math.tanh(v),
            UnaryFn::Erf => math.erf(v),
            UnaryFn::Neg => self.b.ins().fneg(v),
            UnaryFn::Abs => self.b.ins().fabs(v),
            UnaryFn::Sqrt => self.b.ins().sqrt(v),
            UnaryFn::Floor => self.b.ins().floor(v),
            UnaryFn::Ceil => self.b.ins().ceil(v),
            UnaryFn::Round => self.b.ins().nearest(v),
            UnaryFn::Not => return Err("not of f32".into()),
            _ if ty == F32 => self.promoted_unary(f, v)?,
            _ => {
                let mut lanes = v;
                for k in 0..Target::LANES as u8 {
                    let lane = self.b.ins().extractlane(v, k);
                    let y = self.promoted_unary(f, lane)?;
                    lanes = self.b.ins().insertlane(lanes, y, k);
                }
                lanes
            }
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
            DType::F64 => self.f64_binary(f, x, y)?,
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
            BinaryFn::Pow | BinaryFn::Rem if !vector => {
                let fma = self.target.has_fma();
                match f {
                    BinaryFn::Pow => Math { b: &mut *self.b, ty: F32, fma }.pow(x, y),
                    _ => self.f32_rem(x, y),
                }
            }
            BinaryFn::Pow | BinaryFn::Rem => {
                let mut lanes = x;
                for k in 0..Target::LANES as u8 {
                    let (xk, yk) = (self.b.ins().extractlane(x, k), self.b.ins().extractlane(y, k));
                    let p = self.float_binary(f, xk, yk, false)?;
                    lanes = self.b.ins().insertlane(lanes, p, k);
                }
                lanes
            }
            _ => return Err(format!("{} of f32", f.name())),
        })
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
}
